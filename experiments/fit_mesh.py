r"""Fit a mesh to pictures: the tutorial of docs/fitting.md.

  python -m experiments.fit_mesh --task=silhouettes --workdir=out/silhouettes
  python -m experiments.fit_mesh --task=photo --workdir=out/photo \
    [--image=me.jpg]

Leaves mesh.glb, fit.png and report.json in the workdir. Without an image, the
photo is a portrait that comes with scikit-image.
"""

import pathlib

from absl import flags

from maskjax.face import photo
from maskjax.fitting import portrait, silhouettes
from maskjax.geometry import mesh_io
from maskjax.training import files, flags as flags_lib, media

_TASK = flags.DEFINE_enum(
  'task', 'silhouettes', ('silhouettes', 'photo'), 'What to fit to.'
)
_IMAGE = flags.DEFINE_string('image', '', 'A photo of a face.')
_SIZE = flags.DEFINE_integer('size', 128, 'Pixels on a side.', 16, 2048)
_STEPS = flags.DEFINE_integer('steps', 200, 'Updates.', 1, 10**6)
_WORKDIR = flags_lib.define_folder('workdir', None, 'Folder of the results.')


def main(argv: list[str]) -> None:
  """Fit, write and report."""
  del argv
  if _IMAGE.value and _TASK.value != 'photo':
    raise ValueError('--image is of --task=photo; give both')
  options = {'size': _SIZE.value, 'steps': _STEPS.value}
  if _TASK.value == 'photo':
    image = photo.read(_IMAGE.value) if _IMAGE.value else photo.astronaut()
    fit = portrait.fit(image, **options)
  else:
    fit = silhouettes.fit(silhouettes.planted_head(), **options)
  folder = pathlib.Path(_WORKDIR.value)
  folder.mkdir(parents=True, exist_ok=True)
  mesh_io.save_mesh(folder / 'mesh.glb', fit.mesh)
  media.save_png(folder / 'fit.png', fit.sheet)
  files.write_json(folder / 'report.json', fit.numbers)
  words = ', '.join(f'{k} {v:.4g}' for k, v in fit.numbers.items())
  print(f'{words}; see {folder / "fit.png"}')


if __name__ == '__main__':
  flags_lib.run(main)
