r"""Render people with known cameras: images, cameras, depth, labels.

  python -m experiments.make_faces --config=configs/faces.py \
    --workdir=out/faces [--workers=2]

Shards that exist are kept, so the command can be stopped and given again. The
manifest, with hash and licence of every source, is written at the end.
"""

import pathlib

from absl import flags

from maskjax.data import shards
from maskjax.data.people import face_images
from maskjax.training import files, flags as flags_lib

_CONFIG = flags_lib.define_config('configs/faces.py')
_WORKDIR = flags.DEFINE_string('workdir', 'out/faces', 'Folder of the shards.')
_WORKERS = flags.DEFINE_integer('workers', 0, 'Processes; 0: one per core.')


def main(argv: list[str]) -> None:
  """Build the missing shards, then the manifest."""
  del argv
  recipe = _CONFIG.value.to_dict()
  folder = pathlib.Path(_WORKDIR.value)
  options = {k: v for k, v in recipe.items() if k not in ('shards', 'people')}
  shards.build_missing(
    face_images.build_shard,
    folder,
    'faces',
    recipe['shards'],
    workers=_WORKERS.value,
    people_count=recipe['people'],
    **options,
  )
  files.write_json(
    folder / 'manifest.json', face_images.manifest(folder, recipe)
  )


if __name__ == '__main__':
  flags_lib.run(main)
