"""Bilinear resizing of square and oblong images, filtered or not.

Pixel centres lie at half-integers. Shapes: B batch, H W pixels, C channels.
"""

import jax
from jaxtyping import Array, Float

from maskjax.gan import fir


def resize(
  x: Float[Array, 'b h w c'],
  size: int | tuple[int, int],
  *,
  antialias: bool = True,
) -> Float[Array, 'b i j c']:
  """Resize bilinearly.

  Args:
    x: images of any values.
    size: height and width, one number for both.
    antialias: average over all pixels that fall on a pixel of a smaller
      image, rather than to interpolate between two.

  Returns:
    Resized images; the same ones if they have the size.
  """
  size = (size, size) if isinstance(size, int) else size
  if x.shape[1:3] == tuple(size):
    return x
  shape = (x.shape[0], *size, x.shape[3])
  return jax.image.resize(x, shape, 'linear', antialias=antialias)


def resize_filtered(
  x: Float[Array, 'b h w c'], size: int, *, method: str | float = 'antialiased'
) -> Float[Array, 'b i j c']:
  """Resize in one of EG3D's ways.

  Args:
    x: images of any values.
    size: side of the result in pixels.
    method: 'antialiased', 'none' (plain interpolation), 'classic' (twice as
      large, interpolated, then smoothed and halved), or a number in (0, 1):
      the part of 'antialiased' in a mix with 'none'.

  Returns:
    Resized images.

  Raises:
    ValueError: another method.
  """
  if method == 'antialiased':
    return resize(x, size)
  if method == 'none':
    return resize(x, size, antialias=False)
  if method == 'classic':
    taps = fir.setup_filter(fir.BINOMIAL)
    x = fir.upsample(x, taps)
    x = resize(x, 2 * size + 2, antialias=False)
    return fir.downsample(x, taps, flip=True, padding=-1)
  if isinstance(method, float) and 0 < method < 1:
    plain = resize(x, size, antialias=False)
    return plain + method * (resize(x, size) - plain)
  raise ValueError(
    f"resizing by {method!r} is not 'antialiased', 'none', 'classic' or a "
    'number in (0, 1)'
  )
