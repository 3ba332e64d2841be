"""Train state: parameters, optimiser state and their moving average.

The state is a frozen pytree; every function here is pure and can be jitted,
mapped over devices, donated and written to a checkpoint as it is.
"""

from collections.abc import Callable
import functools
from typing import Any

import flax
import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key
import optax

from maskjax.training import parallel

PyTree = Any
Metrics = dict[str, Any]


@flax.struct.dataclass
class TrainState:
  """What one training step takes and returns.

  Attributes:
    step: number of finished updates.
    params: trained parameters.
    opt_state: state of the optax transformation.
    ema_params: exponential moving average of `params`, or None.
  """

  step: Int[Array, '']
  params: PyTree
  opt_state: optax.OptState
  ema_params: PyTree | None = None


def init(
  module: nn.Module, rng: Key[Array, ''], *inputs: Array, **more: Any
) -> Any:
  """Draw the variables of a network.

  Args:
    module: the network.
    rng: key that all weights are drawn from.
    *inputs: of its call; only shapes and types count.
    **more: further inputs, by name.

  Returns:
    Its variables by collection.
  """
  options = None
  if jax.default_backend() == 'cpu':
    # Hundreds of small draws that run once: optimising them takes XLA for CPU
    # four times as long, for the same numbers.
    options = {'xla_backend_optimization_level': 0}
  return jax.jit(module.init, compiler_options=options)(rng, *inputs, **more)


def copy(tree: PyTree) -> PyTree:
  """Return a tree of copies, for a state that may be donated."""
  return jax.tree.map(jnp.copy, tree)


@functools.partial(jax.jit, static_argnames=('tx', 'ema'))
def _create(
  params: PyTree, *, tx: optax.GradientTransformation, ema: bool
) -> TrainState:
  """Start a state; one program instead of one for each shape of an array."""
  params = copy(params)
  return TrainState(
    step=jnp.zeros((), jnp.int32),
    params=params,
    opt_state=tx.init(params),
    ema_params=copy(params) if ema else None,
  )


def create(
  params: PyTree,
  tx: optax.GradientTransformation,
  *,
  ema: bool = False,
) -> TrainState:
  """Start a state at step 0.

  Args:
    params: initial parameters; they are copied, so that a donated state never
      frees the caller's arrays (or the average's).
    tx: the optimiser.
    ema: whether to keep a moving average of the parameters.

  Returns:
    A state whose average, if any, equals `params`.
  """
  return _create(params, tx=tx, ema=ema)


def update_average(
  average: PyTree,
  params: PyTree,
  step: Int[Array, ''] | None = None,
  *,
  decay: float | Float[Array, ''],
) -> PyTree:
  """Move an exponential average toward new values.

  With a step, the decay warms up as min(decay, (1 + step) / (10 + step)):
  without that the random initial values of weights stay in the average for
  about 1 / (1 - decay) steps.

  Args:
    average: the current average.
    params: the new values, the same tree as `average`.
    step: number of updates before this one; None for no warm-up.
    decay: weight of the old average, in [0, 1].

  Returns:
    The new average, in the dtypes of `average`.
  """
  if step is not None:
    step = jnp.asarray(step, jnp.float32)
    decay = jnp.minimum(decay, (1.0 + step) / (10.0 + step))
  rate = 1.0 - decay
  return jax.tree.map(
    lambda a, p: (a + rate * (p.astype(jnp.float32) - a)).astype(a.dtype),
    average,
    params,
  )


def apply_gradients(
  state: TrainState,
  grads: PyTree,
  tx: optax.GradientTransformation,
  *,
  ema_decay: float | None = None,
) -> TrainState:
  """Take one optimiser step.

  Args:
    state: the state before the step.
    grads: gradients, the same tree as `state.params`.
    tx: the optimiser that `state` was created with.
    ema_decay: decay of the moving average, in [0, 1); None leaves the average
      as it is.

  Returns:
    The state after the step.

  Raises:
    ValueError: `ema_decay` is given for a state without an average.
  """
  updates, opt_state = tx.update(grads, state.opt_state, state.params)
  params = optax.apply_updates(state.params, updates)
  average = state.ema_params
  if ema_decay is not None:
    if average is None:
      raise ValueError(
        'ema_decay is given but the state keeps no average; '
        'create the state with ema=True'
      )
    average = update_average(average, params, state.step, decay=ema_decay)
  return TrainState(
    step=state.step + 1,
    params=params,
    opt_state=opt_state,
    ema_params=average,
  )


def gradient_norm(grads: PyTree) -> Metrics:
  """Return the norm of all gradients, as a metric."""
  return {'gradient_norm': optax.tree.norm(grads)}


def make_step(
  loss_fn: Callable[..., tuple[Float[Array, ''], Metrics]],
  tx: optax.GradientTransformation,
  *,
  ema_decay: float | None = None,
  watch: Callable[[PyTree], Metrics] = gradient_norm,
) -> Callable[..., tuple[TrainState, Metrics]]:
  """Build the training step of a loss.

  Args:
    loss_fn: `loss_fn(params, rng, batch, *shared, axis_name)` returns the mean
      loss of this device's share of the batch, and further metrics. `rng` is
      the step's typed key, the same on all devices (`parallel.example_keys`).
    tx: the optimiser that the state was created with.
    ema_decay: decay of the moving average, in [0, 1); None for none.
    watch: metrics of the gradients, which are averaged over devices by then.

  Returns:
    `step(state, rng, batch, *shared, axis_name=None) -> (state, metrics)`,
    pure and not yet jitted; metrics are 'loss', those of the loss, and those
    of `watch`.
  """
  compute = jax.value_and_grad(loss_fn, has_aux=True)

  def step(state, rng, batch, *shared, axis_name=None):
    (loss, parts), grads = compute(
      state.params, rng, batch, *shared, axis_name=axis_name
    )
    grads = parallel.pmean(grads, axis_name)
    metrics = parallel.pmean({'loss': loss, **parts}, axis_name)
    metrics |= watch(grads)
    return apply_gradients(state, grads, tx, ema_decay=ema_decay), metrics

  return step
