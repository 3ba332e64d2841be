"""Pixels folded into channels, which makes pixel-space networks cheap.

Shapes: B pictures, Y X pixels, C channels, H W the folded grid and D its
channels.
"""

from jaxtyping import Array, Float


def fold(
  images: Float[Array, 'b y x c'], block: int
) -> Float[Array, 'b h w d']:
  """Fold each block x block square of pixels into channels.

  Args:
    images: pictures, of any range.
    block: side of a square in pixels, a divisor of Y and X.

  Returns:
    The grid of squares. The order of its channels is that of PyTorch's
    `PixelUnshuffle`: channel, row, column.
  """
  count, height, width, channels = images.shape
  grid = images.reshape(
    count, height // block, block, width // block, block, channels
  )
  return grid.transpose(0, 1, 3, 5, 2, 4).reshape(
    count, height // block, width // block, channels * block**2
  )


def unfold(
  folded: Float[Array, 'b h w d'], block: int
) -> Float[Array, 'b y x c']:
  """Undo `fold`.

  Args:
    folded: the grid of squares.
    block: side of a square in pixels; its square divides D.

  Returns:
    The pictures.
  """
  count, height, width, channels = folded.shape
  grid = folded.reshape(
    count, height, width, channels // block**2, block, block
  )
  return grid.transpose(0, 1, 4, 2, 5, 3).reshape(
    count, height * block, width * block, channels // block**2
  )
