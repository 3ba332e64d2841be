"""Small fits: all steps of Adam in one compiled loop.

For what is fitted in seconds and has no work folder; see `trainer` for what
is trained.
"""

from collections.abc import Callable
from typing import Any

import jax
from jaxtyping import Array, Float
import optax

PyTree = Any


def adam(
  loss: Callable[..., Float[Array, '']],
  params: PyTree,
  *data: PyTree,
  rates: PyTree,
  steps: int,
  eps: float = 1e-8,
) -> tuple[PyTree, Float[Array, 'steps']]:
  """Minimize a loss by Adam.

  Args:
    loss: `loss(params, *data)`, a scalar.
    params: where to begin.
    data: arrays that stay the same, as further arguments of the loss.
    rates: a step size for all parameters, or a tree of them with the upper
      structure of `params`; all fall to 0 along half a cosine.
    steps: number of updates.
    eps: least size of a gradient that makes a full step.

  Returns:
    The parameters found, and the loss before each step.
  """
  leaves, tree = jax.tree.flatten(rates)
  names = [str(index) for index in range(len(leaves))]
  tx = optax.multi_transform(
    {
      name: optax.adam(
        optax.cosine_decay_schedule(rate, steps), b2=0.99, eps=eps
      )
      for name, rate in zip(names, leaves)
    },
    tree.unflatten(names),
  )

  @jax.jit
  def run(params, *data):
    def step(state, _):
      params, opt_state = state
      value, gradient = jax.value_and_grad(loss)(params, *data)
      updates, opt_state = tx.update(gradient, opt_state)
      return (optax.apply_updates(params, updates), opt_state), value

    (params, _), values = jax.lax.scan(
      step, (params, tx.init(params)), length=steps
    )
    return params, values

  return run(params, *data)
