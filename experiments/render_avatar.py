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

from absl import flags

from maskjax.avatar import render as avatar_render
from maskjax.gan import conversion
from maskjax.geometry import ffhq
from maskjax.training import flags as flags_lib
from maskjax.weights import bundled

_CHECKPOINT = flags.DEFINE_string(
  'checkpoint', None, 'Folder or snapshot; the bundled one without.'
)
flags_lib.define(
  'seeds', '0-3', 'Seeds: 0-3 or 1,5,7.', flags_lib.whole_numbers
)
_OUT = flags_lib.define_folder('out', 'avatars', 'Folder of the files.')
flags.DEFINE_list(
  'what', ['image', 'depth', 'mesh'], f'Of {", ".join(avatar_render.WHAT)}.'
)
_NETWORK = flags.DEFINE_string('network', None, 'G_ema or G.')
flags.DEFINE_float('psi', 0.7, 'Truncation, 1 for none.')
flags.DEFINE_integer('cutoff', 14, 'Copies of w to truncate.')
flags.DEFINE_float('radius', ffhq.RADIUS, 'Distance of the cameras.')
flags_lib.define('pivot', ffhq.PIVOT, 'Where they look.', flags_lib.numbers)
flags.DEFINE_integer('rendering', None, 'Side of the rendering.')
_FORMAT = flags.DEFINE_enum('format', 'glb', ['glb', 'obj', 'ply'], 'Of mesh.')
flags.DEFINE_integer('mesh_resolution', 256, 'Side of the grid.')
flags.DEFINE_float(
  'level', None, 'Density of the surface; 10 or, without one, the middle.'
)
flags.DEFINE_integer('frames', 48, 'Of a round, or between seeds.')


def main(argv: list[str]) -> None:
  """Render and write."""
  del argv
  request = flags_lib.read(avatar_render.Request, mesh_format=_FORMAT.value)
  path = _CHECKPOINT.value or bundled.bundled_path('source')
  model = conversion.load_generator(path, _NETWORK.value)
  avatar_render.render(model, request, _OUT.value)


if __name__ == '__main__':
  flags_lib.run(main)
