"""What a training is made of: the task that `trainer.fit` carries out.

A room that trains something builds a `Task`: the first state, the step, the
batches, and what to leave behind. All else is the same for every training,
and is written once, in `trainer`.
"""

from collections.abc import Callable, Sequence
import dataclasses
from typing import Any

import jax

from maskjax.training import loop, parallel


def _nothing(number: int, state: loop.State) -> None:
  """Leave nothing behind but checkpoints."""
  del number, state


def _as_it_is(number: int, values: dict[str, Any]) -> dict[str, Any]:
  """Log metrics as they are."""
  del number
  return values


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
  """What is trained, by which step, on what, and what is left behind.

  Attributes:
    state: the first state, a pytree with a scalar integer `step`; a resumed
      run restores its checkpoint into the same structure.
    step: `step(state, rng, batch) -> (state, metrics)` on all of `devices`.
    batches: from the number of finished steps to the next batch, a pure
      function, so that a resumed run sees what an unbroken one sees.
    devices: devices to copy the state to; None leaves it where it lies.
    save: `save(step, state)` writes what the run is for, e.g. a model folder;
      called before each checkpoint, so that a run which is resumed has one.
    hooks: periodic calls; each comes once more after the last step.
    record: `record(step, metrics)` returns what is logged of them, or raises
      to end a run that has failed.
    stop: `stop(step, metrics)` ends the run when it returns True; None: never.
    seconds: wall-clock budget of one call, seconds; None for no limit.
    examples: pictures of a batch, for the metric 'images_per_second'; 0 leaves
      that metric out.
    shown: metrics beside the progress bar, in this order.
    name: word before the progress bar.
    keep: how many of the newest checkpoints to keep; None keeps all.
    curves: names of further files of JSON lines in the work folder, to which
      hooks append; a resumed run cuts them back to its step.
  """

  state: loop.State
  step: loop.StepFn
  batches: Callable[[int], loop.Batch]
  devices: Sequence[jax.Device] | None = None
  save: Callable[[int, loop.State], None] = _nothing
  hooks: Sequence[loop.Hook] = ()
  record: Callable[[int, dict[str, Any]], dict[str, Any]] = _as_it_is
  stop: Callable[[int, dict[str, Any]], bool] | None = None
  seconds: float | None = None
  examples: int = 0
  shown: tuple[str, ...] = ('loss',)
  name: str = 'training'
  keep: int | None = 1
  curves: tuple[str, ...] = ()


def with_shared(
  step_fn: Callable[..., Any],
  shared: Any,
  *,
  devices: Sequence[jax.Device],
  donate: bool = True,
) -> loop.StepFn:
  """Run a step on several devices, beside what no step changes.

  Args:
    step_fn: `step(state, rng, batch, shared, axis_name=None)`.
    shared: pytree that all examples share, e.g. frozen networks.
    devices: devices that share each batch evenly.
    donate: whether a step may reuse the memory of the state it is given.

  Returns:
    `step(state, rng, batch)` for a `Task`, with an undivided batch.
  """
  mapped = parallel.data_parallel(
    step_fn, devices=devices, donate=donate, shared=True
  )
  copies = parallel.replicate(shared, devices=devices)

  def step(state, rng, batch):
    return mapped(state, rng, batch, copies)

  return step
