r"""Render people with known cameras: images, cameras, depth, labels.

  python -m experiments.make_faces --config=configs/faces.py \
    --workdir=out/faces [--workers=2]

Shards that exist are kept, so the command can be stopped and given again. The
manifest, with hash and licence of every source, is written at the end.
"""

import pathlib

from absl import flags

from maskjax.data.people import face_images
from maskjax.training import flags as flags_lib, settings

_CONFIG = flags_lib.define_config('configs/faces.py')
_WORKDIR = flags_lib.define_folder(
  'workdir', 'out/faces', 'Folder of the shards.'
)
_WORKERS = flags.DEFINE_integer(
  'workers', 0, 'Processes; 0: one per core.', 0, 1024
)


def main(argv: list[str]) -> None:
  """Build the missing shards, then the manifest."""
  del argv
  face_images.build(
    pathlib.Path(_WORKDIR.value),
    settings.read(face_images.Recipe, _CONFIG.value),
    workers=_WORKERS.value,
  )


if __name__ == '__main__':
  flags_lib.run(main)
