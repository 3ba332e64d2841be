r"""Render the pictures that the bundled prior learns from.

  python -m experiments.build_prior_data --config=configs/prior.py \
    --workdir=out/heads [--part=0/2] [--emoji=DIR]

Shards that exist are kept, so the command can be stopped and given again;
several processes share the work by `--part=i/n`. With `--emoji`, the emoji
pictures are fetched into that folder and added.
"""

import pathlib

from absl import flags
import numpy as np
import tqdm

from maskjax.data import art, creatures, head_images
from maskjax.training import files
from maskjax.training import flags as flags_lib

_CONFIG = flags_lib.define_config('configs/prior.py')
_WORKDIR = flags.DEFINE_string('workdir', 'out/heads', 'Folder of the shards.')
_PART = flags.DEFINE_string('part', '0/1', 'Build every n-th shard: i/n.')
_EMOJI = flags.DEFINE_string('emoji', '', 'Folder for the emoji packages.')


def main(argv: list[str]) -> None:
  """Build the missing shards."""
  del argv
  config = _CONFIG.value
  part, parts = map(int, _PART.value.split('/'))
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
