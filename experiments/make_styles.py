r"""Draw an artistic set: caricature, pixar, cartoon, comic or emoji.

  python -m experiments.make_styles --config=configs/styles.py:comic \
    --workdir=out/comic [--workers=2]

Shards that exist are kept. The emoji are fetched into the folder that the
config names; DiceBear's cartoons need pip install 'maskjax[styles]'.
"""

import pathlib

from absl import flags

from maskjax.data.styles import style_images
from maskjax.training import flags as flags_lib, settings

_CONFIG = flags_lib.define_config('configs/styles.py')
_WORKDIR = flags_lib.define_folder(
  'workdir', 'out/style', 'Folder of the shards.'
)
_WORKERS = flags.DEFINE_integer(
  'workers', 0, 'Processes; 0: one per core.', 0, 1024
)


def main(argv: list[str]) -> None:
  """Build the missing shards, then the manifest."""
  del argv
  style_images.build(
    pathlib.Path(_WORKDIR.value),
    settings.read(style_images.Recipe, _CONFIG.value),
    workers=_WORKERS.value,
  )


if __name__ == '__main__':
  flags_lib.run(main)
