"""Training of the source domain, from pictures of people to a model folder.

`decoder` fits EG3D to people whose cameras and depth are known
(`gan.autodecoder`); `adversarial` goes on, or begins, with the adversarial
training of `gan.training`; so does `stylegan2`, in two dimensions, which
`student` can prepare by drawing after an EG3D (`gan.student`). On the way all
leave sheets, a video from person to person, and how good the pictures are.
"""

import dataclasses
import pathlib
from typing import Any

from maskjax.gan import checkpoints, model as model_lib, scenes
from maskjax.people_gan import (
  batches as people_batches,
  codes as people_codes,
  metrics as people_metrics,
  pictures as people_pictures,
  presenters as people_presenters,
  settings as settings_lib,
  stage as stage_lib,
  stages as people_stages,
)
from maskjax.training import (
  files,
  loop,
  metrics as metrics_lib,
  task as task_lib,
  trainer,
  workdir as workdir_lib,
)

_MEASURES = 'measures.jsonl'
# What a resumed run may be told anew.
_MAY_CHANGE = (
  'steps',
  'decay_steps',
  'checkpoint_every',
  'pictures_every',
  'walk_every',
  'walk_frames',
  'measure_every',
  'measured',
  'data',
)


def _video(frames: int, model: model_lib.Model, folder: pathlib.Path) -> None:
  """Write a walk from person to person, so many frames between two."""
  presenter = people_presenters.of(model)
  pictures, total = presenter.walk(model, stage_lib.SEEDS, frames)
  scenes.save_video(folder / 'walk.mp4', pictures, total, 'walk')


def _measure(
  count: int,
  model: model_lib.Model,
  codes: people_codes.Stored | None,
  data: people_batches.SourceData,
) -> dict[str, float]:
  """Measure the averaged generator on so many pictures."""
  request = people_metrics.Request(
    pictures=count,
    scenes=max(count // 10, 1),
    identities=max(count // 20, 2),
  )
  mean = None if codes is None else codes.mean
  return people_metrics.measure(model, data, mean, request)


def _hooks(
  stage: stage_lib.Stage,
  settings: settings_lib.Settings,
  folder: pathlib.Path,
  data: people_batches.SourceData,
) -> list[loop.Hook]:
  """Return what is drawn and measured on the way."""

  def draw(number: int, state: Any) -> None:
    path = folder / 'samples' / f'step_{number:07d}.png'
    people_pictures.save_sheet(path, stage.pictures(state), times=2)

  def video(number: int, state: Any) -> None:
    del number
    _video(settings.walk_frames, stage.models(state)['G_ema'], folder)

  def measure(number: int, state: Any) -> None:
    codes, model = stage.codes(state), stage.models(state)['G_ema']
    values = _measure(settings.measured, model, codes, data)
    metrics_lib.append(folder / _MEASURES, number, values)

  periods = [
    (settings.pictures_every, draw),
    (settings.walk_every if settings.walk_frames else 0, video),
    (settings.measure_every, measure),
  ]
  return [loop.Hook(every, call) for every, call in periods if every]


def _task(
  stage: stage_lib.Stage, hooks: list[loop.Hook], folder: pathlib.Path
) -> task_lib.Task:
  """Return the training of a stage."""

  def save(number: int, state: Any) -> None:
    del number
    with files.replacing_folder(folder / 'model') as model:
      checkpoints.save(model, stage.models(state))
      if (codes := stage.codes(state)) is not None:
        people_codes.write(model, codes)

  return task_lib.Task(
    state=stage.state,
    step=stage.step,
    batches=stage.batches,
    devices=stage.devices,
    save=save,
    hooks=hooks,
    examples=stage.images,
    shown=('loss', 'images_per_second'),
    curves=(_MEASURES,),
  )


def _kept(
  settings: settings_lib.Settings, folder: pathlib.Path
) -> settings_lib.Settings:
  """Return settings whose models of others are copies in the work folder.

  What a stage begins from, or learns from, may be gone or another one when it
  is resumed.
  """
  begin = workdir_lib.begin(folder)
  given = {'init': settings.init, 'teacher': settings.teacher}
  if not settings.resume:
    with files.replacing_folder(begin) as new:
      for name, path in given.items():
        if path:
          checkpoints.copy(path, new / name)
  kept = {n: str(begin / n) if path else '' for n, path in given.items()}
  return dataclasses.replace(
    settings, init=kept['init'], teacher=kept['teacher']
  )


def train(settings: settings_lib.Settings, directory: files.PathLike) -> None:
  """Run a stage; `directory/model` holds the averaged generator so far.

  Beside it are metrics.jsonl (losses), measures.jsonl (of
  `people_gan.metrics.measure`), samples/ and walk.mp4.

  Args:
    settings: settings of the stage, see configs/source.py.
    directory: work folder.

  Raises:
    FileNotFoundError: there is no data, or no run to resume.
    ValueError: the stage is unknown, or the data, the model folder or the work
      folder does not fit the settings.
  """
  create = people_stages.STAGES.get(settings.stage)
  if create is None:
    names = ', '.join(people_stages.STAGES)
    raise ValueError(f'stage {settings.stage!r} is not one of {names}')
  # What cannot be loaded must not leave a folder behind.
  data = people_batches.load(
    pathlib.Path(settings.data), shards=settings.shards
  )
  opened = workdir_lib.opened(
    directory, settings, resume=settings.resume, may_change=_MAY_CHANGE
  )
  with opened as folder:
    kept = _kept(settings, folder)
    stage = create(kept, data, kept.init)
    hooks = _hooks(stage, kept, folder, data)
    trainer.fit(_task(stage, hooks, folder), kept, folder)
