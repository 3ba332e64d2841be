"""Turned square windows of a picture, and the way back into the picture.

Networks look at a fixed number of pixels; a region says which part of the
picture they are to see. Bilinear sampling makes a crop differentiable in the
picture and in the region.

Pixel (row i, column j) of a picture of `h` by `w` lies at image coordinates
(j / w, i / h), as MediaPipe's CPU reference counts them: its points and ours
are to agree. That is half a pixel above and left of `geometry.camera`'s
count, within the networks' own error.

Shapes: `h w` pixels of the picture, `s` of the crop, `n` points.
"""

import flax
import jax.numpy as jnp
from jaxtyping import Array, Float


@flax.struct.dataclass
class Region:
  """A turned rectangle of a picture.

  Attributes:
    center: x right and y down, pixels.
    size: width and height, pixels.
    rotation: radians, clockwise as one looks at the picture.
  """

  center: Float[Array, '... 2']
  size: Float[Array, '... 2']
  rotation: Float[Array, '...']


def whole(height: int, width: int, *, square: bool) -> Region:
  """Return the region of a whole picture.

  Args:
    height: height of the picture, pixels.
    width: width of the picture, pixels.
    square: widen the shorter side, beyond the picture, to the longer one.
  """
  side = float(max(height, width))
  size = (side, side) if square else (width, height)
  return Region(
    center=jnp.array([0.5 * width, 0.5 * height]),
    size=jnp.array(size, float),
    rotation=jnp.zeros(()),
  )


def turn(
  offsets: Float[Array, '... 2'], angle: Float[Array, '']
) -> Float[Array, '... 2']:
  """Rotate offsets (x right, y down) clockwise by an angle in radians."""
  cosine, sine = jnp.cos(angle), jnp.sin(angle)
  x, y = offsets[..., 0], offsets[..., 1]
  return jnp.stack([cosine * x - sine * y, sine * x + cosine * y], -1)


def to_picture(
  region: Region, points: Float[Array, 'n 2']
) -> Float[Array, 'n 2']:
  """Move points of a crop into the picture.

  Args:
    region: the part of the picture that the crop shows (unbatched).
    points: fractions of the crop's width and height, 0 at its top left.

  Returns:
    Points in pixels of the picture.
  """
  offsets = (points - 0.5) * region.size[None]
  return turn(offsets, region.rotation) + region.center[None]


def sample(
  image: Float[Array, 'h w c'],
  points: Float[Array, 'n 2'],
  *,
  outside: float | None = None,
) -> Float[Array, 'n c']:
  """Sample a picture bilinearly.

  The package's other bilinear reads are not this one: `render.textures` reads
  levels of a pyramid out of one list, `render.volume.triplane` and `gan.warp`
  fade to zeros outside and have derivatives of their own, `gan.resize` and
  `evaluation.inception` separate rows from columns, `mask.texture` is NumPy,
  `data.people.skin` mixes rows before columns. Each rounds in its own way,
  which trained weights and recorded results rely on.

  Args:
    image: the picture, of any values.
    points: x and y in pixels; whole numbers hit the pixels themselves.
    outside: the value beyond the picture; None repeats its border.

  Returns:
    The values there.
  """
  height, width, _ = image.shape
  points = jnp.nan_to_num(points)
  base = jnp.floor(points)
  fraction = points - base
  total = jnp.zeros((len(points), image.shape[-1]), image.dtype)
  for down in (0, 1):
    for right in (0, 1):
      x, y = base[:, 0] + right, base[:, 1] + down
      weight = (fraction[:, 0] if right else 1.0 - fraction[:, 0]) * (
        fraction[:, 1] if down else 1.0 - fraction[:, 1]
      )
      column = jnp.clip(x, 0, width - 1).astype(jnp.int32)
      row = jnp.clip(y, 0, height - 1).astype(jnp.int32)
      value = image[row, column]
      if outside is not None:
        inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        value = jnp.where(inside[:, None], value, outside)
      total = total + weight[:, None] * value
  return total


def crop(
  image: Float[Array, 'h w c'],
  region: Region,
  size: int,
  *,
  outside: float | None = None,
) -> Float[Array, 's s c']:
  """Return what a region shows, as a picture of `size` by `size` pixels.

  Args:
    image: the picture, of any values.
    region: the part of the picture that the crop shows (unbatched).
    size: side of the crop in pixels.
    outside: the value beyond the picture; None repeats its border.
  """
  steps = jnp.arange(size) / size
  y, x = jnp.meshgrid(steps, steps, indexing='ij')
  points = to_picture(region, jnp.stack([x.ravel(), y.ravel()], -1))
  return sample(image, points, outside=outside).reshape(size, size, -1)
