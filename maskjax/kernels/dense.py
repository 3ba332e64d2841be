"""Multiplying the last axis by a matrix.

What jax would derive transposes activations before the matrix products of the
gradient, which is slow on a CPU; here they see two axes only, and the small
operand is transposed.

Shapes: C F channels in and out.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def matmul_plain(
  x: Float[Array, '... c'], kernel: Float[Array, 'c f']
) -> Float[Array, '... f']:
  """Return the formula of `matmul`."""
  return jnp.tensordot(x, kernel, 1)


@jax.custom_vjp
def matmul(
  x: Float[Array, '... c'], kernel: Float[Array, 'c f']
) -> Float[Array, '... f']:
  """Multiply the last axis by a matrix.

  Args:
    x: rows, channels last.
    kernel: the matrix, rows of the inputs.

  Returns:
    The products; all axes but the last are those of `x`.
  """
  out = x.reshape(-1, x.shape[-1]) @ kernel
  return out.reshape(*x.shape[:-1], -1)


def _forward(x, kernel):
  return matmul(x, kernel), (x, kernel)


def _backward(saved, gradient):
  x, kernel = saved
  rows = gradient.reshape(-1, gradient.shape[-1])
  to_x = (rows @ kernel.T).reshape(x.shape)
  to_kernel = x.reshape(-1, x.shape[-1]).T @ rows
  return to_x, to_kernel


matmul.defvjp(_forward, _backward)
