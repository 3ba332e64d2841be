"""Words to a mask: the whole job, from a prompt to files (patent Fig. 6).

The parts, in order: start shape, adjusted texts, first image, painted start
(`prepare`), the loop (`optimize`), and the files that a user gets (`export`).
Every part is a pure function of the settings and their seed, so a run can be
broken off, resumed, continued ("more training") and taken back.
"""

from collections.abc import Callable, Iterator
import contextlib
import dataclasses
import functools
import pathlib
import time
from typing import Any, NamedTuple

import jax
import numpy as np

import maskjax
from maskjax.diffusion import model as model_lib
from maskjax.geometry import template as template_lib
from maskjax.mask import (
  export,
  guide as guide_lib,
  settings as settings_lib,
  start as start_lib,
  step as step_lib,
  surface as surface_lib,
)
from maskjax.training import (
  checkpoint,
  files,
  loop,
  parallel,
  progress,
  settings as read_lib,
  task as task_lib,
  trainer,
  workdir,
)

StepFn = Callable[..., tuple[step_lib.MaskState, dict[str, Any]]]


class Job(NamedTuple):
  """Everything that is ready before the loop begins."""

  surface: surface_lib.Surface
  guide: guide_lib.Guide
  texts: list[str]  # rows of the guide's table, as words
  start: start_lib.Start


def prepare(
  settings: settings_lib.MaskSettings,
  *,
  model: model_lib.DiffusionModel | None = None,
  shape_model: model_lib.DiffusionModel | None = None,
  template: template_lib.Template | None = None,
  paint: bool = True,
) -> Job:
  """Build the start shape, the texts and the painted start.

  Args:
    settings: all settings of the mask.
    model: a loaded diffusion model; None loads the settings'.
    shape_model: a loaded judge of the shape; None loads the settings', if
      they have one.
    template: a loaded start shape; None loads the settings'.
    paint: whether to sample the first image; a resumed run needs none.
  """
  model = guide_lib.load_model(settings) if model is None else model
  if template is None:
    template = surface_lib.load_template(settings)
  surface = surface_lib.create(template, settings)
  if shape_model is None:
    shape_model = guide_lib.load_shape_model(settings)
  guide, texts = guide_lib.create(model, settings, shape_model=shape_model)
  if not paint:
    return Job(surface, guide, texts, start_lib.grey(surface))
  start = start_lib.paint(surface, guide, settings)
  return Job(surface, guide._replace(first=start.first), texts, start)


def build_step(
  surface: surface_lib.Surface, settings: settings_lib.MaskSettings
) -> StepFn:
  """Return the step of the loop over all devices; it serves every prompt."""
  tx = step_lib.optimizer(surface, settings)
  return parallel.data_parallel(
    step_lib.make_step(surface, tx, settings),
    devices=parallel.usable_devices(settings.views.count),
    shared=True,
  )


def _first_state(
  job: Job, settings: settings_lib.MaskSettings
) -> step_lib.MaskState:
  """Return the state before the first step."""
  tx = step_lib.optimizer(job.surface, settings)
  return step_lib.create_state(job.start.params, tx)


def _check_steps(
  settings: settings_lib.MaskSettings, folder: pathlib.Path
) -> None:
  """Refuse to resume a run that is beyond its last step."""
  step = checkpoint.latest_step(folder / trainer.CHECKPOINTS) or 0
  if step > settings.steps:
    raise ValueError(
      f'{folder} is at step {step} already, and steps is {settings.steps}; '
      f'give more, or go back by --config.back={settings.steps}'
    )


def _record(job: Job, step: int, values: dict[str, Any]) -> dict[str, Any]:
  """Return metrics with texts in place of their rows in the table.

  Raises:
    ValueError: the mask is no longer whole, see `trainable.Geometry.watch`.
  """
  job.surface.geometry.watch(step, values)
  rows = np.atleast_1d(values['text'])
  return values | {'text': [job.texts[row] for row in rows]}


def build_task(
  job: Job,
  settings: settings_lib.MaskSettings,
  *,
  step: StepFn | None = None,
  name: str = 'mask',
) -> task_lib.Task:
  """Say what is trained: the mask of a job, by its guide.

  Args:
    job: what `prepare` has made ready.
    settings: all settings of the mask.
    step: step from `build_step`, where jobs share one; None builds it.
    name: word before the progress bar.
  """
  devices = parallel.usable_devices(settings.views.count)
  mapped = step or build_step(job.surface, settings)
  guide = parallel.replicate(job.guide, devices=devices)
  numbers = np.arange(settings.views.count, dtype=np.int32)

  def is_low(step: int, values: dict[str, Any]) -> bool:
    del step
    return values['smoothed_loss'] < settings.loss_threshold

  return task_lib.Task(
    state=_first_state(job, settings),
    step=lambda state, rng, batch: mapped(state, rng, batch, guide),
    batches=lambda step: numbers,
    devices=devices,
    record=functools.partial(_record, job),
    stop=is_low if settings.loss_threshold else None,
    seconds=settings.seconds or None,
    name=name,
    keep=None,  # "back" goes to any of them
  )


def optimize(
  job: Job,
  settings: settings_lib.MaskSettings,
  folder: pathlib.Path | None = None,
  *,
  step: StepFn | None = None,
  name: str = 'mask',
  show_progress: bool = True,
) -> loop.Outcome:
  """Run the loop.

  Args:
    job: what `prepare` has made ready.
    settings: all settings of the mask.
    folder: where checkpoints and metrics go; None keeps neither.
    step: step from `build_step`, where jobs share one; None builds it.
    name: word before the progress bar.
    show_progress: whether to draw it.

  Returns:
    The last state and why the loop ended.
  """
  if folder is not None and settings.resume:
    _check_steps(settings, folder)
  task = build_task(job, settings, step=step, name=name)
  return trainer.fit(task, settings, folder, show_progress=show_progress)


def _loop_or_back(
  job: Job, settings: settings_lib.MaskSettings, folder: pathlib.Path
) -> tuple[step_lib.MaskState, str]:
  """Return the state to export, and what ended the loop."""
  if settings.back:
    empty = _first_state(job, settings)
    states = folder / trainer.CHECKPOINTS
    return checkpoint.restore(states, empty, settings.back), 'back'
  outcome = optimize(job, settings, folder)
  if outcome.reason == 'interrupted':
    raise KeyboardInterrupt
  return outcome.state, outcome.reason


def identity(settings: settings_lib.MaskSettings) -> dict[str, Any]:
  """Return what a run is: its settings, and what a file among them holds.

  Args:
    settings: all settings of the mask.
  """
  config = dataclasses.asdict(settings)
  if surface_lib.is_file(settings):
    config['template_sha256'] = files.sha256(settings.template)
  return config


@contextlib.contextmanager
def _opened(
  settings: settings_lib.MaskSettings, directory: str
) -> Iterator[tuple[Job, pathlib.Path]]:
  """Prepare a new run in a work folder, or the one that is there."""
  surface_lib.variants(settings)
  # What cannot be loaded must not leave a folder behind.
  model = guide_lib.load_model(settings)
  shape_model = guide_lib.load_shape_model(settings)
  template = surface_lib.load_template(settings)
  resume = settings.resume or bool(settings.back)
  opened = workdir.opened(
    directory,
    identity(settings),
    resume=resume,
    may_change=read_lib.changeable(settings),
    ignored=read_lib.commands(settings),
  )
  with opened as folder:
    what = 'preparing' if resume else 'painting the first image'
    progress.say(f'mask: {what}')
    job = prepare(
      settings,
      model=model,
      shape_model=shape_model,
      template=template,
      paint=not resume,
    )
    if resume:
      start = start_lib.load(folder, job.start)
      guide = job.guide._replace(first=start.first)
      job = job._replace(guide=guide, start=start)
    else:
      start_lib.save(folder, job.start)
    yield job, folder


def _finish(
  job: Job, settings: settings_lib.MaskSettings, folder: pathlib.Path
) -> dict[str, Any]:
  """Run the loop, write the files, and return the report of both."""
  began = time.monotonic()
  state, reason = _loop_or_back(job, settings, folder)
  looped = time.monotonic()
  progress.say('mask: writing the files')
  steps = int(state.step)
  written = export.save(
    folder, job.surface, job.start, state.params, settings, steps=steps
  )
  return {
    'prompt': settings.prompt,
    'seed': settings.seed,
    'steps': steps,
    'ended_by': reason,
    'smoothed_loss': float(state.smoothed_loss),
    **written,
    'seconds': {
      'loop': round(looped - began, 2),
      'export': round(time.monotonic() - looped, 2),
    },
    'versions': {'maskjax': maskjax.__version__, 'jax': jax.__version__},
    'device': str(jax.devices()[0].device_kind),
  }


@parallel.explain_memory(
  'lower --config.views.count, or set --config.diffusion.remat=true and '
  '--config.diffusion.dtype=bfloat16'
)
def run(settings: settings_lib.MaskSettings, directory: str) -> dict[str, Any]:
  """Make a mask in a work folder, or continue or take back one that is there.

  Args:
    settings: all settings of the mask.
    directory: work folder of the run; made when missing.

  Returns:
    What is written to report.json.

  Raises:
    ValueError, FileNotFoundError, FloatingPointError: bad input or a run
      that failed; one line.
  """
  began = time.monotonic()
  with _opened(settings, directory) as (job, folder):
    prepared = round(time.monotonic() - began, 2)
    report = _finish(job, settings, folder)
    report['seconds'] = {'prepare': prepared, **report['seconds']}
    files.write_json(folder / 'report.json', report)
  return report
