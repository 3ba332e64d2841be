"""Contact sheets of artistic sets."""

from collections.abc import Sequence
import itertools

from jaxtyping import UInt8
import numpy as np

from maskjax.data.styles import drawn_people, style_images, styles
from maskjax.studio import sheets


def drawn_names() -> tuple[str, ...]:
  """Return the names of the styles that draw the people of this package."""
  return tuple(
    name
    for name, style in styles.STYLES.items()
    if style.source == drawn_people.SOURCE
  )


def style_sheet(
  seed: int,
  count: int,
  names: Sequence[str],
  *,
  size: int = 128,
  folder: str = '',
  columns: int = 8,
) -> UInt8[np.ndarray, 'H W 3']:
  """Draw artistic sets, one after the other: the same people in each style.

  Args:
    seed: of the people.
    count: pictures in all, shared among the styles.
    names: of `styles.STYLES`; none for those of `drawn_names`.
    size: pixels a side of each picture.
    folder: where styles that others drew are fetched to.
    columns: of the sheet.

  Returns:
    The sheet, sRGB.

  Raises:
    ValueError: an unknown style, or one that cannot be fetched.
  """
  names = tuple(names) or drawn_names()
  share = max(count // len(names), 1)
  shown: list[np.ndarray] = []
  for name in names:
    style = styles.get(name)
    fetched = str(style.fetch(folder)) if style.fetch else ''
    drawn = style_images.source(style, folder=fetched)(seed=seed, size=size)
    shown += [p.image for p in itertools.islice(drawn, share)]
  rows = sheets.in_rows(shown, min(columns, len(shown)))
  return sheets.grid(rows)
