"""Between two generators, one of which was trained on from the other.

Weights of such a pair can be interpolated, and what one learns in the other's
place fades in and out: what the game with a discriminator sharpens, and what
it spoils, lie in different directions of the weights and do not fade alike.
Follows Wang et al., "ESRGAN", 2018, section 3.4 (network interpolation).
"""

import os
import pathlib

import jax

from maskjax.gan import checkpoints, restore
from maskjax.training import files

# Beside the networks of a blend: its share.
RECORD = 'blend.json'


def blend(
  first: restore.Model, second: restore.Model, share: float
) -> restore.Model:
  """Return the network at (1 - share) of the first plus share of the second.

  Args:
    first: network.
    second: network of the same config.
    share: 0 gives the first, 1 the second.

  Raises:
    ValueError: networks of different configs.
  """
  if first.module != second.module:
    raise ValueError(
      'the generators differ in kind or size; expected two of which one was '
      'trained on from the other'
    )
  mix = lambda a, b: (1 - share) * a + share * b  # noqa: E731
  return restore.Model(
    second.module, jax.tree.map(mix, first.variables, second.variables)
  )


def blend_folders(
  first: os.PathLike[str] | str,
  second: os.PathLike[str] | str,
  share: float,
  target: os.PathLike[str] | str,
) -> None:
  """Write a model folder with a blended generator.

  It also holds the second folder's discriminator, if there is one.

  Args:
    first: model folder.
    second: model folder.
    share: of the second, [0, 1].
    target: model folder to write.

  Raises:
    ValueError, FileNotFoundError: see `blend`, no such folders, or a share
      out of range.
  """
  if not 0 <= share <= 1:
    raise ValueError(f'share={share} is not between 0 and 1')
  models = checkpoints.load_all(second)
  own = blend(checkpoints.load(first), checkpoints.load(second), share)
  kept = {k: m for k, m in models.items() if k not in checkpoints.GENERATORS}
  checkpoints.save(target, {checkpoints.GENERATORS[0]: own, **kept})
  files.write_json(pathlib.Path(target) / RECORD, {'share': share})
