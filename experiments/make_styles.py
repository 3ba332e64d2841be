r"""Draw an artistic set: caricature, pixar, cartoon, comic or emoji.

  python -m experiments.make_styles --config=configs/styles.py:comic \
    --workdir=out/comic [--workers=2]

Shards that exist are kept. The emoji are fetched into the folder that the
config names; DiceBear's cartoons need pip install 'maskjax[styles]'.
"""

import pathlib

from absl import flags

from maskjax.data import shards
from maskjax.data.styles import art, style_images
from maskjax.training import files, flags as flags_lib

_CONFIG = flags_lib.define_config('configs/styles.py')
_WORKDIR = flags.DEFINE_string('workdir', 'out/style', 'Folder of the shards.')
_WORKERS = flags.DEFINE_integer('workers', 0, 'Processes; 0: one per core.')


def main(argv: list[str]) -> None:
  """Build the missing shards, then the manifest."""
  del argv
  recipe = _CONFIG.value.to_dict()
  folder = pathlib.Path(_WORKDIR.value)
  options = {k: v for k, v in recipe.items() if k != 'shards'}
  if options['emoji']:
    options['emoji'] = str(art.fetch_fluent(options['emoji']))
  shards.build_missing(
    style_images.build_shard,
    folder,
    recipe['style'],
    recipe['shards'],
    workers=_WORKERS.value,
    **options,
  )
  files.write_json(
    folder / 'manifest.json', style_images.manifest(folder, recipe)
  )


if __name__ == '__main__':
  flags_lib.run(main)
