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
import numpy as np
import tqdm

from maskjax.data.creatures import creatures, head_images
from maskjax.data.styles import art
from maskjax.training import files, flags as flags_lib

_CONFIG = flags_lib.define_config('configs/prior.py')
_WORKDIR = flags.DEFINE_string('workdir', 'out/heads', 'Folder of the shards.')
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
  config = _CONFIG.value
  part, parts = _part()
  for name in ('shards', 'views', 'size'):
    if config.heads[name] < 1:
      raise ValueError(f'heads.{name} is {config.heads[name]}; give at least 1')
  workdir = pathlib.Path(_WORKDIR.value)
  if _EMOJI.value:
    font = art.fetch(_EMOJI.value)
    emoji = art.load(
      _EMOJI.value, font, config.heads.size, kinds=creatures.KINDS
    )
    with files.replacing(workdir / 'art.npz') as temporary:
      np.savez(
        temporary, images=emoji.images, captions=np.array(emoji.captions)
      )
  for index in tqdm.tqdm(
    range(part, config.heads.shards, parts), desc='shards'
  ):
    head_images.build_shard(
      workdir / f'heads-{index:05d}.npz',
      index,
      seed=config.seed,
      views=config.heads.views,
      size=config.heads.size,
    )


if __name__ == '__main__':
  flags_lib.run(main)
