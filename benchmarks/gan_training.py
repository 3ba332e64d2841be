"""Images per second of the training steps of the source domain.

The stages of configs/source.py on pictures of noise, with the whole step:
losses, gradients, optimiser, averages, lazy parts as often as they are due.
The reference in PyTorch is EG3D's official code at a small config (64 pixels,
rendered at 32 with 24 + 24 samples, where the source domain takes 12 + 12; 1.6
million parameters a network, batches of 8), measured once on two cores of an
AMD EPYC; it has no auto-decoder.
"""

import time
from typing import Any

import jax
import numpy as np

from configs import source
from maskjax.people_gan import (
  batches as people_batches,
  pictures as people_pictures,
  settings as people_settings,
  stages as people_stages,
)
from maskjax.training import parallel, settings

_REFERENCE = {'adversarial': 3.4}
_SCENES, _VIEWS = 32, 4


def noise_people(side: int) -> people_batches.SourceData:
  """Return discs of noise, seen from several cameras."""
  rng = np.random.default_rng(0)
  shape = (_SCENES, _VIEWS, side, side)
  place = (np.arange(side) + 0.5) / side - 0.5
  disc = np.hypot(*np.meshgrid(place, place)) < 0.35
  yaws = rng.uniform(-30, 30, _SCENES * _VIEWS)
  camera = np.asarray(people_pictures.turned(list(yaws)))
  return people_batches.SourceData(
    image=rng.integers(0, 256, (*shape, 3), np.uint8),
    alpha=np.broadcast_to(disc * 255, shape).astype(np.uint8),
    depth=np.broadcast_to(disc * 2.6, shape).astype(np.float16),
    camera=camera.reshape(_SCENES, _VIEWS, 25),
    identity=np.arange(_SCENES, dtype=np.int32),
  )


def measure(name: str, rounds: int) -> dict[str, Any]:
  """Time a stage.

  Args:
    name: of the stage.
    rounds: steps to time, at least the 16 in which all lazy parts are due.

  Returns:
    A row of the table.
  """
  config = source.get_config(name)
  # As the reference's step, all of it.
  config.adversarial.update(anchor_weight=0.0, generator_pause=0)
  side = 2 << len(config.channels)
  told = settings.read(people_settings.Settings, config)
  stage = people_stages.STAGES[name](told, noise_people(side), '')
  state = parallel.replicate(stage.state, devices=stage.devices)
  walls = []
  # The first five compile each program that there is.
  for i in [*range(5), *range(16, 16 + max(rounds, 16))]:
    batch = stage.batches(i)
    begun = time.perf_counter()
    state, metrics = stage.step(state, jax.random.key(i), batch)
    jax.block_until_ready((state, metrics))
    walls.append(time.perf_counter() - begun)
  # The mean, since lazy parts belong to some steps only.
  row: dict[str, Any] = {
    'stage': name,
    'batch': stage.images,
    'first': walls[0],
    'step': float(np.mean(walls[5:])),
    'images_per_second': stage.images / float(np.mean(walls[5:])),
  }
  if name in _REFERENCE:
    row['reference'] = _REFERENCE[name]
    row['ratio'] = row['images_per_second'] / row['reference']
  return row


def run(rounds: int) -> list[dict[str, Any]]:
  """Time all stages and print the table."""
  columns = ('batch', 'first', 'step', 'images_per_second')
  heads = ('batch', 'first s', 'step s', 'images/s', 'PyTorch', 'ratio')
  print(f'{"stage":14}' + ''.join(f'{head:>10}' for head in heads))
  rows = []
  for name in people_stages.STAGES:
    row = measure(name, rounds)
    line = ''.join(f'{row[key]:10.4g}' for key in columns)
    if 'reference' in row:
      line += f'{row["reference"]:10.4g}{row["ratio"]:10.2f}'
    print(f'{name:14}{line}', flush=True)
    rows.append(row)
  return rows
