"""The training loop: one jitted step after another, and what happens between.

The loop never waits for the device except where it must. The metrics of a log
point are read one log interval late, when they are long finished, so that the
host is always ahead. Only the standard library and jax are needed here; what
to do with metrics, progress and checkpoints is passed in.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
import contextlib
import math
import signal
import sys
import threading
import time
from typing import Any, Literal, NamedTuple

import jax
import numpy as np

State = Any  # A pytree with a scalar integer `step`.
Batch = Any
Metrics = Mapping[str, Any]
StepFn = Callable[[State, jax.Array, Batch], tuple[State, Metrics]]
Reason = Literal['steps', 'seconds', 'stop', 'batches', 'interrupted']

# The host may be this many steps ahead of the device: enough to keep it busy.
# Without a bound every queued step holds a state of its own in memory.
_AHEAD = 4


class Hook(NamedTuple):
  """A call every so many steps, e.g. to save a preview.

  Attributes:
    every: period in steps; step numbers that it divides are served.
    call: `call(step, state)` with the number of finished updates.
  """

  every: int
  call: Callable[[int, State], None]


class _Item(NamedTuple):
  step: int
  begun: float  # Host time in seconds, after the step was handed over.
  values: Metrics


class Outcome(NamedTuple):
  """How a run ended.

  Attributes:
    state: the last state.
    step: its number of finished updates.
    reason: which condition ended the run; 'interrupted' means that a signal
      did, and that the state has been passed to `checkpoint`.
  """

  state: State
  step: int
  reason: Reason


@contextlib.contextmanager
def _signals() -> Iterator[Callable[[], bool]]:
  """Turn the first SIGINT or SIGTERM into a question; the second one acts.

  Python delivers signals to the main thread only: elsewhere nothing is
  installed and the question is always answered with no.
  """
  if threading.current_thread() is not threading.main_thread():
    yield lambda: False
    return
  caught: list[int] = []

  def handle(number: int, frame: Any) -> None:
    del frame
    caught.append(number)
    restore()
    name = signal.Signals(number).name
    print(
      f'\n{name}: leaving after this step; once more leaves at once',
      file=sys.stderr,
    )

  old = {n: signal.signal(n, handle) for n in (signal.SIGINT, signal.SIGTERM)}

  def restore() -> None:
    for number, handler in old.items():
      signal.signal(number, handler)

  try:
    yield lambda: bool(caught)
  finally:
    restore()


def _batch_source(batches: Any) -> Callable[[int], Batch]:
  """Make `step -> batch` of a function, an iterable or None."""
  if batches is None:
    return lambda step: None
  if callable(batches):
    return batches
  iterator = iter(batches)
  return lambda step: next(iterator)


def _check_finite(step: int, values: Metrics) -> None:
  for key, value in values.items():
    value = np.asarray(value)
    if value.dtype.kind not in 'biuUSO' and not np.all(
      np.isfinite(value.astype(np.float32))
    ):
      bad = value if value.ndim == 0 else 'not finite'
      raise FloatingPointError(
        f'metric {key!r} is {bad} at step {step}; continue from an earlier '
        'checkpoint with a lower learning rate, or set JAX_DEBUG_NANS=1 to '
        'find the operation'
      )


def _to_host(values: Metrics) -> dict[str, Any]:
  """Fetch metrics; scalars become Python numbers."""
  fetched = jax.device_get(dict(values))
  return {
    key: value.item()
    if np.ndim(value) == 0 and hasattr(value, 'item')
    else value
    for key, value in fetched.items()
  }


def _check_options(
  steps: int | None, seconds: float | None, stop: Any, periods: Sequence[int]
) -> None:
  if steps is None and seconds is None and stop is None:
    raise ValueError('the run has no end: give steps, seconds or stop')
  if steps is not None and steps < 1:
    raise ValueError(f'steps must be at least 1, got {steps}')
  if seconds is not None and not (seconds > 0 and math.isfinite(seconds)):
    raise ValueError(f'seconds must be above 0, got {seconds}')
  if any(period < 1 for period in periods):
    raise ValueError(
      'log_every, checkpoint_every and the periods of hooks must be at least 1'
    )


def run(
  step_fn: StepFn,
  state: State,
  rng: jax.Array,
  batches: Callable[[int], Batch] | Iterable[Batch] | None = None,
  *,
  steps: int | None = None,
  seconds: float | None = None,
  stop: Callable[[int, dict[str, Any]], bool] | None = None,
  log: Sequence[Callable[[int, dict[str, Any]], None]] = (),
  log_every: int = 1,
  checkpoint: Callable[[int, State], None] | None = None,
  checkpoint_every: int | None = None,
  hooks: Sequence[Hook] = (),
) -> Outcome:
  """Train until the first of the given ends.

  Step `i` (from 0) gets `fold_in(rng, i)` and, if `batches` is a function,
  `batches(i)`: nothing depends on where a run was broken off and resumed.

  Args:
    step_fn: jitted `step_fn(state, rng, batch) -> (state, metrics)`; metrics
      are numbers by name, in the same shapes at every step.
    state: the first state, or a restored one; needs a scalar `step`.
    rng: typed key of the whole run.
    batches: `batches(step)`, or an iterable whose end ends the run, or None
      for steps that draw their own data.
    steps: number of updates at which to stop, counted from the very first
      one, not from where a resumed run begins.
    seconds: wall-clock budget of this call.
    stop: asked at every log point with the metrics read there (one log
      interval old); True ends the run.
    log: each is called as `f(step, metrics)` at every log point.
    log_every: steps between two log points.
    checkpoint: `checkpoint(step, state)` writes the state; called every
      `checkpoint_every` steps, at the end, and when a signal ends the run.
    checkpoint_every: steps between two checkpoints; None: at the end only.
    hooks: further calls, each with a period of its own.

  Returns:
    The last state, its step and the reason for the end.

  Raises:
    ValueError: no end is given, or a budget or period is not positive.
    FloatingPointError: a metric is not finite; names the step and the key.
      All steps are checked, logged or not, and no state is passed to
      `checkpoint` before the metrics up to it have been checked.
  """
  periods = [log_every, *(hook.every for hook in hooks)]
  _check_options(steps, seconds, stop, [*periods, checkpoint_every or 1])
  next_batch = _batch_source(batches)
  started = time.monotonic()
  marked = started
  step = saved = logged = int(state.step)
  queue: list[_Item] = []  # Steps begun whose metrics have not been read.
  pause = False  # The answer of `stop`.

  def drain(last: int) -> None:
    """Read, check and log the metrics up to a step; waits for that step."""
    nonlocal queue, pause, marked, logged
    ready = [item for item in queue if item.step <= last]
    queue = queue[len(ready) :]
    for number, begun, values in ready:
      values = _to_host(values)
      _check_finite(number, values)
      if number % log_every and number != final:
        continue
      values['seconds_per_step'] = (begun - marked) / (number - logged)
      marked, logged = begun, number
      for call in log:
        call(number, values)
      pause = pause or bool(stop is not None and stop(number, values))

  def save() -> None:
    nonlocal saved
    drain(step)
    if checkpoint is not None and saved != step:
      checkpoint(step, state)
      saved = step

  final: int | None = steps
  reason: Reason = 'steps'
  with _signals() as interrupted:
    while steps is None or step < steps:
      try:
        batch = next_batch(step)
      except StopIteration:
        reason = 'batches'
        break
      state, values = step_fn(state, jax.random.fold_in(rng, step), batch)
      step += 1
      queue.append(_Item(step, time.monotonic(), values))
      if len(queue) > _AHEAD:
        jax.block_until_ready(queue[-1 - _AHEAD].values)
      if step % log_every == 0:
        drain(step - log_every)
      if checkpoint_every and step % checkpoint_every == 0:
        save()
      for hook in hooks:
        if step % hook.every == 0:
          hook.call(step, state)
      if interrupted():
        reason = 'interrupted'
        break
      if pause:
        reason = 'stop'
        break
      if seconds is not None and time.monotonic() - started >= seconds:
        reason = 'seconds'
        break
    # An interrupted run will be resumed: it logs what an unbroken one would.
    final = None if reason == 'interrupted' else step
    save()
  return Outcome(state, step, reason)
