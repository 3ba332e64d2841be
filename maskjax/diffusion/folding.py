"""Pixels folded into channels, which makes pixel-space networks cheap.

Shapes: `b` pictures, `s` pixels a side, `h w d` the folded grid.
"""

from jaxtyping import Array, Float


def fold(
  images: Float[Array, 'b s s c'], block: int
) -> Float[Array, 'b h w d']:
  """Fold each block x block square of pixels into channels.

  The order is PyTorch's `PixelUnshuffle`: channel, row, column.
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
) -> Float[Array, 'b s s c']:
  """Undo `fold`."""
  count, height, width, channels = folded.shape
  grid = folded.reshape(
    count, height, width, channels // block**2, block, block
  )
  return grid.transpose(0, 1, 4, 2, 5, 3).reshape(
    count, height * block, width * block, channels // block**2
  )
