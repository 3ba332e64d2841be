"""The trainer: carries out a `Task` in a work folder, the same for all.

A run restores its checkpoint if it is resumed, cuts its curves back to that
step, shows its progress, trains, and saves. Whatever broke it off, a resumed
run ends bit for bit like an unbroken one.
"""

import contextlib
import dataclasses
import pathlib
from typing import Any

import jax

from maskjax.training import (
  checkpoint,
  loop,
  metrics as metrics_lib,
  parallel,
  progress,
  settings as settings_lib,
  task as task_lib,
  workdir,
)

CHECKPOINTS = workdir.CHECKPOINTS
METRICS = 'metrics.jsonl'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
  """What every training is told; rooms add fields of their own.

  Attributes:
    seed: seed of the run's key and, in the rooms, of batches and first weights.
    resume: whether to go on from the newest checkpoint of the folder.
    steps: number of updates at which to end, counted from the very first one.
    log_every: steps between two lines of metrics.
    checkpoint_every: steps between two checkpoints.
  """

  seed: int = settings_lib.seed()
  resume: bool
  steps: int = settings_lib.number(1, 10**9)
  log_every: int = settings_lib.number(1, 10**9)
  checkpoint_every: int = settings_lib.number(1, 10**9)


def _begin(
  task: task_lib.Task, settings: Settings, folder: pathlib.Path | None
) -> loop.State:
  """Return the first state, or the newest checkpoint on its devices."""
  state = task.state
  if folder is not None:
    if settings.resume:
      state = checkpoint.restore(folder / CHECKPOINTS, state)
    else:  # A later resume may find none of another run.
      checkpoint.truncate(folder / CHECKPOINTS, -1)
    for name in (METRICS, *task.curves):
      metrics_lib.truncate(folder / name, int(state.step))
  if task.devices is None:
    return state
  return parallel.replicate(state, devices=task.devices)


def fit(
  task: task_lib.Task,
  settings: Settings,
  folder: pathlib.Path | None,
  *,
  show_progress: bool = True,
) -> loop.Outcome:
  """Carry out a task.

  The folder then holds `checkpoints/`, `metrics.jsonl` and what the task
  itself saves.

  Args:
    task: what to train.
    settings: settings of the run.
    folder: work folder, see `workdir.opened`; None keeps neither checkpoints
      nor metrics.
    show_progress: whether to show a progress bar.

  Returns:
    The last state, its step and the reason for the end.

  Raises:
    FileNotFoundError: there is no checkpoint to resume from.
    ValueError: the checkpoint is damaged or of another model.
    FloatingPointError: a metric is not finite; names the step and the key.
  """
  state = _begin(task, settings, folder)
  bar = progress.bar(
    settings.steps, start=int(state.step), keys=task.shown, name=task.name
  )

  def save(number: int, state: loop.State) -> None:
    task.save(number, state)
    if folder is not None:
      checkpoint.save(folder / CHECKPOINTS, number, state, keep=task.keep)

  with bar if show_progress else contextlib.nullcontext() as report:

    def log(number: int, values: dict[str, Any]) -> None:
      if task.examples:
        pace = max(values['seconds_per_step'], 1e-9)
        values['images_per_second'] = task.examples / pace
      record = task.record(number, values)
      if folder is not None:
        metrics_lib.append(folder / METRICS, number, record)
      if report is not None:
        report(number, values)

    outcome = loop.run(
      task.step,
      state,
      jax.random.key(settings.seed),
      task.batches,
      steps=settings.steps,
      seconds=task.seconds,
      stop=task.stop,
      log=[log],
      log_every=settings.log_every,
      checkpoint=save,
      checkpoint_every=settings.checkpoint_every,
      hooks=task.hooks,
    )
  if outcome.reason == 'steps':
    for hook in task.hooks:
      if outcome.step % hook.every:
        hook.call(outcome.step, outcome.state)
  return outcome
