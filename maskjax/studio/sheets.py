"""Contact sheets: many pictures side by side, bare or with words.

All pictures are sRGB bytes.

Shapes: `h w` pixels of a picture, `s` pixels a side of a square one, `y x` of
a sheet.
"""

from collections.abc import Iterable, Sequence
import math
from typing import NamedTuple

from jaxtyping import UInt8
import numpy as np
from PIL import Image, ImageDraw

from maskjax.studio import lettering

INK = (40, 42, 46)
PAPER = (250, 250, 251)

# A title, and pictures with the words below them.
Row = tuple[str, Sequence[tuple[str, UInt8[np.ndarray, '_ _ 3']]]]


def in_rows(
  pictures: Sequence[UInt8[np.ndarray, '_ _ 3']], columns: int | None = None
) -> list[list[UInt8[np.ndarray, '_ _ 3']]]:
  """Deal pictures out to rows.

  Args:
    pictures: pictures in reading order.
    columns: pictures in a row; None makes the sheet about square.

  Raises:
    ValueError: there is no picture.
  """
  if not len(pictures):
    raise ValueError('a sheet needs at least one picture, got none.')
  columns = columns or math.ceil(math.sqrt(len(pictures)))
  starts = range(0, len(pictures), columns)
  return [list(pictures[start : start + columns]) for start in starts]


def grid(
  rows: Iterable[Iterable[UInt8[np.ndarray, '_ _ 3']]], *, gap: int = 0
) -> UInt8[np.ndarray, 'y x 3']:
  """Put pictures of any sizes side by side, row below row, without words.

  Args:
    rows: pictures from left to right, rows from top to bottom.
    gap: white pixels between two neighbours.

  Returns:
    The sheet; what no picture covers is white.
  """
  lines = [list(row) for row in rows]
  heights = [max(picture.shape[0] for picture in line) for line in lines]
  widths = [
    sum(picture.shape[1] for picture in line) + gap * (len(line) - 1)
    for line in lines
  ]
  height = sum(heights) + gap * (len(lines) - 1)
  sheet = np.full((height, max(widths), 3), 255, np.uint8)
  top = 0
  for line, tallest in zip(lines, heights):
    left = 0
    for picture in line:
      high, wide = picture.shape[:2]
      sheet[top : top + high, left : left + wide] = picture
      left += wide + gap
    top += tallest + gap
  return sheet


class Layout(NamedTuple):
  """Where pictures and words stand on a titled sheet, in pixels.

  Attributes:
    gap: between pictures, and around all of them.
    heading: height of a title's line; 0 for a sheet without titles.
    caption: height of the line below a picture.
    letters: size of a caption's letters.
    drop: way from a picture's lower edge to its caption.
    centred: whether captions stand around the middle of their picture, `drop`
      being that of their own middle, rather than from its left edge on.
  """

  gap: int
  heading: int
  caption: int
  letters: float
  drop: int = 2
  centred: bool = False


def layout(size: int) -> Layout:
  """Return the layout of titled sheets whose pictures have this size."""
  caption = max(size // 9, 12)
  return Layout(
    gap=max(size // 20, 4),
    heading=max(size // 6, 16),
    caption=caption,
    letters=caption * 0.68,
  )


def _resized(
  picture: UInt8[np.ndarray, '_ _ 3'], size: int
) -> UInt8[np.ndarray, 's s 3']:
  image = Image.fromarray(np.asarray(picture))
  return np.asarray(image.resize((size, size), Image.Resampling.LANCZOS))


def _write_caption(
  pen: ImageDraw.ImageDraw,
  words: str,
  corner: tuple[int, int],
  size: int,
  look: Layout,
) -> None:
  """Write the words below the picture whose lower left corner is given."""
  left, bottom = corner
  x, anchor = (left + size / 2, 'mm') if look.centred else (left, 'la')
  words = lettering.cut(words, look.letters, size + look.gap / 2)
  place = x, bottom + look.drop
  lettering.write(pen, place, words, INK, look.letters, anchor=anchor)


def titled(
  title: str,
  rows: Sequence[Row],
  *,
  size: int,
  look: Layout | None = None,
) -> UInt8[np.ndarray, 'y x 3']:
  """Lay pictures out in titled rows, with captions below them.

  Args:
    title: words above all pictures, in any language; they take as many lines
      as they need.
    rows: for each row its title, and its captioned pictures, which are resized
      to squares.
    size: pixels a side of a picture on the sheet.
    look: where things stand; None suits the size.

  Returns:
    The sheet.
  """
  look = look or layout(size)
  columns = max(len(pictures) for _, pictures in rows)
  row_height = look.heading + size + look.caption + look.gap
  width = look.gap + columns * (size + look.gap)
  letters, broad = look.heading * 0.62, width - 2 * look.gap
  lines = lettering.lines(title, letters, broad) if look.heading else []
  top = look.gap + max(len(lines), 1) * look.heading
  height = top + len(rows) * row_height
  canvas = Image.new('RGB', (width, height), PAPER)
  pen = ImageDraw.Draw(canvas)
  for number, line in enumerate(lines):
    start = look.gap, look.gap + number * look.heading
    lettering.write(pen, start, line, INK, letters)
  for name, pictures in rows:
    if look.heading:
      place = look.gap, top + look.heading * 0.3
      name = lettering.cut(name, look.heading * 0.45, broad)
      lettering.write(pen, place, name, INK, look.heading * 0.45)
    for column, (words, picture) in enumerate(pictures):
      corner = look.gap + column * (size + look.gap), top + look.heading
      canvas.paste(Image.fromarray(_resized(picture, size)), corner)
      below = corner[0], corner[1] + size
      _write_caption(pen, words, below, size, look)
    top += row_height
  return np.asarray(canvas)
