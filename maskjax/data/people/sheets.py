"""Contact sheets: many small pictures of faces side by side, for the eye."""

import math

from jaxtyping import UInt8
import numpy as np

from maskjax.data.people import face_images, people


def tile(
  pictures: list[UInt8[np.ndarray, 'h w 3']], columns: int | None = None
) -> UInt8[np.ndarray, 'H W 3']:
  """Put pictures of one size into a grid.

  Args:
    pictures: one or more.
    columns: of the grid; None makes it about square.

  Returns:
    The sheet; empty places are white.

  Raises:
    ValueError: without a picture.
  """
  if not pictures:
    raise ValueError('tile needs at least one picture, got none.')
  columns = columns or math.ceil(math.sqrt(len(pictures)))
  white = np.full_like(pictures[0], 255)
  padded = pictures + [white] * (-len(pictures) % columns)
  rows = [
    np.concatenate(padded[start : start + columns], 1)
    for start in range(0, len(padded), columns)
  ]
  return np.concatenate(rows)


def people_sheet(
  seed: int, count: int, *, views: int = 1, size: int = 128
) -> UInt8[np.ndarray, 'H W 3']:
  """Draw people at random.

  Args:
    seed: of the people.
    count: how many.
    views: cameras of each; more than one give a row to each person.
    size: pixels a side of each picture.

  Returns:
    The sheet, sRGB.
  """
  pictures: list[np.ndarray] = []
  for identity in range(count):
    rng = np.random.default_rng([seed, identity])
    params = people.sample_person(rng, identity=identity)
    taken = face_images.photograph(
      rng, params, views=views, size=size, samples=max(2, 192 // size)
    )
    pictures += list(taken['rgb'])
  return tile(pictures, views if views > 1 else None)
