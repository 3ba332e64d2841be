"""Training of the source domain, from pictures of people to a model folder.

`decoder` fits EG3D to people whose cameras and depth are known
(`gan.autodecoder`); `adversarial` goes on, or begins, with the game of
`gan.training`; so does `stylegan2`, in two dimensions, which `student` can
prepare by drawing after an EG3D (`gan.student`). All share the loop:
deterministic batches, checkpoints, metrics, progress, and on the way sheets,
a video from person to person, and how good the pictures are.
"""

import functools
import pathlib
from typing import Any

import jax
import ml_collections

from maskjax.gan import checkpoints, model as model_lib, scenes
from maskjax.people_gan import (
  batches as people_batches,
  codes as people_codes,
  metrics as people_metrics,
  pictures as people_pictures,
  presenters as people_presenters,
  stages as people_stages,
)
from maskjax.training import (
  checkpoint,
  loop,
  metrics as metrics_lib,
  parallel,
  progress,
  workdir as workdir_lib,
)

_SEEDS = tuple(range(8))


def _video(config: Any, model: model_lib.Model, folder: pathlib.Path) -> None:
  """Write a walk from person to person."""
  presenter = people_presenters.of(model)
  frames, total = presenter.walk(model, _SEEDS, config.walk_frames)
  scenes.save_video(folder / 'walk.mp4', frames, total, 'walk')


def _measure(
  config: Any, model: model_lib.Model, codes: Any, data: Any
) -> dict[str, float]:
  """Measure the averaged generator on a few pictures."""
  request = people_metrics.Request(
    pictures=config.measured,
    scenes=max(config.measured // 10, 1),
    identities=max(config.measured // 20, 2),
  )
  mean = None if codes is None else codes.mean
  return people_metrics.measure(model, data, mean, request)


def train(config: ml_collections.ConfigDict, directory: str) -> None:
  """Run a stage; `directory/model` holds the averaged generator so far.

  Beside it are metrics.jsonl (losses), measures.jsonl (of
  `source_metrics.measure`), samples/ and walk.mp4.

  Args:
    config: see configs/source.py.
    directory: work folder.

  Raises:
    ValueError, FileNotFoundError: bad config, data or model folder.
  """
  if config.stage not in people_stages.STAGES:
    raise ValueError(
      f'stage {config.stage!r} is not one of {", ".join(people_stages.STAGES)}'
    )
  folder = workdir_lib.prepare(
    directory,
    config,
    resume=config.resume,
    may_change=(
      'steps',
      'decay_steps',
      'checkpoint_every',
      'pictures_every',
      'walk_every',
      'walk_frames',
      'measure_every',
      'measured',
      'data',
    ),
  )
  data = people_batches.load(config.data, shards=config.shards)
  # What a stage begins from may be gone when it is resumed.
  begin = str(folder / 'model') if config.resume else config.init
  stage = people_stages.STAGES[config.stage](config, data, begin)
  state = stage.state
  if config.resume:
    state = checkpoint.restore(folder / 'checkpoints', state)

  def draw(number, state):
    path = folder / 'samples' / f'step_{number:07d}.png'
    people_pictures.save_sheet(path, stage.pictures(state), times=2)

  def save(number, state):
    checkpoints.save(folder / 'model', stage.models(state))
    if (codes := stage.codes(state)) is not None:
      people_codes.write(folder / 'model', codes)
    checkpoint.save(folder / 'checkpoints', number, state, keep=1)

  def video(number, state):
    del number
    _video(config, stage.models(state)['G_ema'], folder)

  metrics_path = folder / 'metrics.jsonl'
  measures_path = folder / 'measures.jsonl'
  for path in (metrics_path, measures_path):
    metrics_lib.truncate(path, int(state.step))

  def measure(number, state):
    codes = stage.codes(state)
    values = _measure(config, stage.models(state)['G_ema'], codes, data)
    metrics_lib.append(measures_path, number, values)

  periods = [
    (config.pictures_every, draw),
    (config.walk_every if config.walk_frames else 0, video),
    (config.measure_every, measure),
  ]

  def rate(number, values):
    values['images_per_second'] = stage.images / max(
      values['seconds_per_step'], 1e-9
    )

  log = functools.partial(metrics_lib.append, metrics_path)
  keys = ('loss', 'images_per_second')
  with progress.bar(config.steps, start=int(state.step), keys=keys) as report:
    outcome = loop.run(
      stage.step,
      parallel.replicate(state, devices=stage.devices),
      jax.random.key(config.seed),
      stage.batches,
      steps=config.steps,
      log=[rate, log, report],
      log_every=config.log_every,
      checkpoint=save,
      checkpoint_every=config.checkpoint_every,
      hooks=[loop.Hook(every, call) for every, call in periods if every],
    )
  if outcome.reason == 'steps':
    for every, call in periods:
      if every and outcome.step % every:
        call(outcome.step, outcome.state)
