r"""Render the scenes of an EG3D generator: pictures, depth, meshes, videos.

  python -m experiments.render_avatar --seeds=0-3 --out=OUT \
    [--checkpoint=DIR] [--what=image,depth,mesh,turntable,walk] \
    [--format=obj] [--level=10]

DIR is a folder of `experiments.import_checkpoint` (or the snapshot itself), or
the model folder of a training; without it the small generator that comes with
the package is taken. Leaves, for each seed, a picture, the depth (.png to look
at, .npy in units of the scene), a mesh with colours, and a video around the
head; walk.mp4 goes from seed to seed. Meshes are GLB (metres), OBJ or PLY.
"""

import pathlib

from absl import flags

from maskjax.avatar import render as avatar_render
from maskjax.gan import (
  checkpoints,
  snapshots,
)
from maskjax.geometry import ffhq
from maskjax.training import flags as flags_lib, parallel
from maskjax.weights import bundled

_CHECKPOINT = flags.DEFINE_string(
  'checkpoint', None, 'Folder or snapshot; the bundled one without.'
)
_SEEDS = flags.DEFINE_string('seeds', '0-3', 'Seeds: 0-3 or 1,5,7.')
_OUT = flags.DEFINE_string('out', 'avatars', 'Folder of the files.')
_WHAT = flags.DEFINE_list(
  'what', ['image', 'depth', 'mesh'], f'Of {", ".join(avatar_render.WHAT)}.'
)
_NETWORK = flags.DEFINE_string('network', None, 'G_ema or G.')
_PSI = flags.DEFINE_float('psi', 0.7, 'Truncation, 1 for none.')
_CUTOFF = flags.DEFINE_integer('cutoff', 14, 'Copies of w to truncate.')
_RADIUS = flags.DEFINE_float('radius', ffhq.RADIUS, 'Distance of the cameras.')
_PIVOT = flags.DEFINE_list(
  'pivot', [f'{x:g}' for x in ffhq.PIVOT], 'Where they look.'
)
_RENDERING = flags.DEFINE_integer('rendering', None, 'Side of the rendering.')
_FORMAT = flags.DEFINE_enum('format', 'glb', ['glb', 'obj', 'ply'], 'Of mesh.')
_GRID = flags.DEFINE_integer('mesh_resolution', 256, 'Side of the grid.')
_LEVEL = flags.DEFINE_float(
  'level', None, 'Density of the surface; 10 or, without one, the middle.'
)
_FRAMES = flags.DEFINE_integer('frames', 48, 'Of a round, or between seeds.')


def _seeds(text: str) -> tuple[int, ...]:
  """Read seeds."""
  seeds: list[int] = []
  try:
    for part in text.split(','):
      first, _, last = part.partition('-')
      seeds += range(int(first), int(last or first) + 1)
  except ValueError:
    raise ValueError(f'seeds {text!r} are not like 0-3 or 1,5,7') from None
  return tuple(seeds)


def _model():
  """Read the generator."""
  path = pathlib.Path(_CHECKPOINT.value or bundled.bundled_path('source'))
  if path.is_dir():
    return checkpoints.load(path, _NETWORK.value)
  models = snapshots.read_reference(path)
  names = [_NETWORK.value] if _NETWORK.value else checkpoints.GENERATORS
  for name in names:
    if name in models:
      return models[name]
  raise ValueError(f'{path} has no {names[0]}, only {", ".join(models)}')


def main(argv: list[str]) -> None:
  """Render and write."""
  del argv
  try:
    x, y, z = (float(value) for value in _PIVOT.value)
  except ValueError:
    raise ValueError(f'pivot {_PIVOT.value} is not three numbers') from None
  request = avatar_render.Request(
    seeds=_seeds(_SEEDS.value),
    what=tuple(_WHAT.value),
    psi=_PSI.value,
    cutoff=_CUTOFF.value,
    radius=_RADIUS.value,
    pivot=(x, y, z),
    rendering=_RENDERING.value,
    mesh_format=_FORMAT.value,
    mesh_resolution=_GRID.value,
    level=_LEVEL.value,
    frames=_FRAMES.value,
  )
  with parallel.explain_memory('lower --rendering or --mesh_resolution'):
    avatar_render.render(_model(), request, _OUT.value)


if __name__ == '__main__':
  flags_lib.run(main)
