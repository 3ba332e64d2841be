"""Bringing values in an order whose inverse is known.

Each value goes to one place, so the gradient is a permutation too. Jax, which
does not know that, would derive a scatter that adds: slow on every processor.

Shapes: N values of a row.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int


def permute_plain(
  x: Float[Array, '... n'],
  order: Int[Array, '... n'],
  rank: Int[Array, '... n'],
) -> Float[Array, '... n']:
  """Return the formula of `permute`."""
  del rank
  return jnp.take_along_axis(x, order, -1)


@jax.custom_vjp
def permute(
  x: Float[Array, '... n'],
  order: Int[Array, '... n'],
  rank: Int[Array, '... n'],
) -> Float[Array, '... n']:
  """Bring the values of each row in an order.

  Args:
    x: values of each row.
    order: the place in `x` of each value of the result.
    rank: the inverse: the place in the result of each value of `x`.

  Returns:
    The values in the new order.
  """
  return permute_plain(x, order, rank)


def _forward(x, order, rank):
  return permute(x, order, rank), (order, rank)


def _backward(inputs, gradient):
  order, rank = inputs
  return permute(gradient, rank, order), None, None


permute.defvjp(_forward, _backward)
