r"""Render the pictures that the bundled prior learns from.

  python -m experiments.build_prior_data --config=configs/prior.py \
    --workdir=out/heads [--part=0/2] [--emoji=DIR]

Shards that exist are kept, so the command can be stopped and given again;
several processes share the work by `--part=i/n`. With `--emoji`, the emoji
pictures are fetched into that folder and added.
"""

import pathlib
import re

from absl import flags

from maskjax.data.creatures import creatures, head_images
from maskjax.data.styles import art
from maskjax.prior import settings as prior_settings
from maskjax.training import flags as flags_lib, settings

_CONFIG = flags_lib.define_config('configs/prior.py')
_WORKDIR = flags_lib.define_folder(
  'workdir', 'out/heads', 'Folder of the shards.'
)
_PART = flags.DEFINE_string('part', '0/1', 'Build every n-th shard: i/n.')
_EMOJI = flags.DEFINE_string('emoji', '', 'Folder for the emoji packages.')


def _part() -> tuple[int, int]:
  """Read which of how many parts is built here."""
  match = re.fullmatch(r'(\d+)/(\d+)', _PART.value)
  if match is None or int(match[1]) >= int(match[2]):
    raise ValueError(f'part {_PART.value!r} is not like 0/2 or 1/2')
  return int(match[1]), int(match[2])


def main(argv: list[str]) -> None:
  """Build the missing shards."""
  del argv
  config = settings.read(prior_settings.Settings, _CONFIG.value)
  part, heads = _part(), config.heads
  workdir = pathlib.Path(_WORKDIR.value)
  if _EMOJI.value:
    art.build(
      workdir / 'art.npz', _EMOJI.value, size=heads.size, kinds=creatures.KINDS
    )
  head_images.build(
    workdir, range(part[0], heads.shards, part[1]), seed=config.seed,
    views=heads.views, size=heads.size,
  )  # fmt: skip


if __name__ == '__main__':
  flags_lib.run(main)
