"""Training of the source domain, from pictures of people to a model folder.

`decoder` fits EG3D to people whose cameras and depth are known
(`gan.autodecoder`); `adversarial` goes on, or begins, with the game of
`gan.training`; so does `stylegan2`, in two dimensions. All share the loop:
deterministic batches, checkpoints, metrics, progress, pictures on the way.
"""

import functools
import pathlib
from typing import Any

import jax
import ml_collections
import numpy as np

from maskjax.avatar import source_pictures, source_stages
from maskjax.data import source_batches
from maskjax.evaluation import avatars
from maskjax.gan import checkpoints, eg3d, restore
from maskjax.training import (
  checkpoint,
  files,
  loop,
  parallel,
  progress,
)
from maskjax.training import (
  metrics as metrics_lib,
)
from maskjax.training import workdir as workdir_lib

_SEEDS = tuple(range(8))


def _save_codes(folder: pathlib.Path, state: Any, data: Any) -> None:
  """Write the latents of known scenes beside the networks."""
  codes = jax.device_get(state.ema_params['codes'])
  with files.replacing(folder / 'codes.npz') as temporary:
    np.savez(
      temporary,
      mean=codes.mean,
      deviation=np.exp(codes.log_deviation),
      identity=data.identity,
    )


def _film(config: Any, model: restore.Model, folder: pathlib.Path) -> None:
  """Write a walk from person to person."""
  if not config.walk_frames:
    return
  request = avatars.Request(
    seeds=_SEEDS,
    what=('walk',),
    psi=0.8,
    cutoff=None,
    frames=config.walk_frames,
  )
  avatars.render(model, request, folder)


def train(config: ml_collections.ConfigDict, directory: str) -> None:
  """Run a stage; `directory/model` holds the averaged generator so far.

  Args:
    config: see configs/source.py.
    directory: work folder.

  Raises:
    ValueError, FileNotFoundError: bad config, data or model folder.
  """
  if config.stage not in source_stages.STAGES:
    raise ValueError(
      f'stage {config.stage!r} is not one of {", ".join(source_stages.STAGES)}'
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
      'walk_frames',
      'data',
    ),
  )
  data = source_batches.load(config.data, shards=config.shards)
  # What a stage begins from may be gone when it is resumed.
  begin = str(folder / 'model') if config.resume else config.init
  stage = source_stages.STAGES[config.stage](config, data, begin)
  state = stage.state
  if config.resume:
    state = checkpoint.restore(folder / 'checkpoints', state)

  def draw(number, state):
    path = folder / 'samples' / f'step_{number:07d}.png'
    source_pictures.save_sheet(path, stage.pictures(state), times=2)

  def save(number, state):
    checkpoints.save(folder / 'model', stage.models(state))
    if config.stage == 'decoder':
      _save_codes(folder / 'model', state, data)
    checkpoint.save(folder / 'checkpoints', number, state, keep=1)

  metrics_path = folder / 'metrics.jsonl'
  metrics_lib.truncate(metrics_path, int(state.step))

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
      hooks=[loop.Hook(config.pictures_every, draw)],
    )
  if outcome.reason == 'steps':
    draw(outcome.step, outcome.state)
    generator = stage.models(outcome.state)['G_ema']
    if isinstance(generator.module, eg3d.EG3D):
      _film(config, generator, folder)
