"""Contact sheets of artistic sets."""

import itertools

from jaxtyping import UInt8
import numpy as np

from maskjax.data.styles import style_images
from maskjax.studio import sheets


def style_sheet(
  seed: int,
  count: int,
  names: tuple[str, ...],
  *,
  size: int = 128,
  emoji: str = '',
  columns: int = 8,
) -> UInt8[np.ndarray, 'H W 3']:
  """Draw artistic sets, one after the other: the same people in each style.

  Args:
    seed: of the people.
    count: pictures in all, shared among the styles.
    names: styles of `style_images.NAMES`, or 'dicebear'.
    size: pixels a side of each picture.
    emoji: folder of `art.fetch_fluent`, for the style 'emoji'.
    columns: of the sheet.

  Returns:
    The sheet, sRGB.

  Raises:
    ValueError: an unknown style.
  """
  share = max(count // len(names), 1)
  pictures: list[np.ndarray] = []
  for name in names:
    drawn = style_images.source(name, emoji=emoji)(seed=seed, size=size)
    pictures += [p.image for p in itertools.islice(drawn, share)]
  rows = sheets.in_rows(pictures, min(columns, len(pictures)))
  return sheets.grid(rows)
