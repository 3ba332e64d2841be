"""Image textures: bilinear and mip-mapped lookups, differentiable.

A texture is looked up per pixel (see `deferred`), at coordinates that the
rasterizer interpolates. Texels hold linear RGB; sRGB ends at `geometry.color`.
All levels of a pyramid lie in one list of texels, so that a lookup gathers
eight rows whatever its level is.

Source of the level: Williams, "Pyramidal Parametrics" (1983): the binary
logarithm of the longer side of a pixel's footprint, in texels.

Shapes: `V` vertices, `C` channels, `D` coordinates, `H W` texels, `N` texels
of all levels.
"""

from collections.abc import Callable
from typing import NamedTuple

from jax import lax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int
import numpy as np

# Footprints below this part of a texel have no level.
_LEAST_FOOTPRINT = 1e-12


class Seams(NamedTuple):
  """How a surface is cut into charts (`V` vertices of the whole, `A` cut).

  Attributes:
    source: the vertex of the whole that each vertex comes from.
    faces: the faces, in their order, by vertices of the cut surface.
  """

  source: Int[Array, 'a']
  faces: Int[Array, 'f 3']


class Texture(NamedTuple):
  """Anything that gives colours to points of a surface.

  Attributes:
    coordinates: what is interpolated over the faces, per vertex (of the cut
      surface, if there are seams).
    lookup: maps coordinates [..., D] and their slopes [..., D, 2] (change per
      pixel to the right, and down) to linear RGB [..., 3].
  """

  coordinates: Float[Array, 'v d']
  lookup: Callable[..., Array]
  seams: Seams | None = None


class Pyramid(NamedTuple):
  """An image at all resolutions down to one texel.

  Attributes:
    texels: of all levels, the finest first, each row by row.
    sizes: height and width of each level (static).
  """

  texels: Float[Array, 'n c']
  sizes: tuple[tuple[int, int], ...]


def pyramid(image: Float[Array, 'h w c']) -> Pyramid:
  """Average an image down, level by level.

  Args:
    image: texels, row 0 at the top; both sides are powers of two.

  Returns:
    Pyramid; linear in the image.

  Raises:
    ValueError: for other sides.
  """
  height, width, _ = image.shape
  if any(side < 1 or side & (side - 1) for side in (height, width)):
    raise ValueError(
      'A mip-mapped texture needs sides that are powers of two, got '
      f'{height} x {width}: resize it first.'
    )
  levels = [image]
  while max(levels[-1].shape[:2]) > 1:
    last = levels[-1]
    rows, columns, channels = last.shape
    down, across = min(rows, 2), min(columns, 2)
    blocks = (rows // down, down, columns // across, across, channels)
    levels.append(jnp.mean(last.reshape(blocks), axis=(1, 3)))
  return Pyramid(
    jnp.concatenate([level.reshape(-1, level.shape[-1]) for level in levels]),
    tuple((level.shape[0], level.shape[1]) for level in levels),
  )


def _bilinear(
  texels: Float[Array, 'n c'],
  start: Int[Array, '*p'],
  height: Int[Array, '*p'],
  width: Int[Array, '*p'],
  uvs: Float[Array, '*p 2'],
) -> Float[Array, '*p c']:
  """Read one level per point, clamped at the borders."""
  x = uvs[..., 0] * width.astype(uvs.dtype) - 0.5
  y = (1.0 - uvs[..., 1]) * height.astype(uvs.dtype) - 0.5
  x = jnp.clip(x, 0.0, (width - 1).astype(uvs.dtype))
  y = jnp.clip(y, 0.0, (height - 1).astype(uvs.dtype))
  column, row = (jnp.floor(lax.stop_gradient(v)) for v in (x, y))
  across, down = (x - column)[..., None], (y - row)[..., None]
  column, row = column.astype(jnp.int32), row.astype(jnp.int32)
  right = jnp.minimum(column + 1, width - 1)
  below = jnp.minimum(row + 1, height - 1)

  def read(
    row: Int[Array, '*p'], column: Int[Array, '*p']
  ) -> Float[Array, '*p c']:
    return texels.at[start + row * width + column].get(mode='promise_in_bounds')

  top = read(row, column) * (1 - across) + read(row, right) * across
  bottom = read(below, column) * (1 - across) + read(below, right) * across
  return top * (1 - down) + bottom * down


def level(
  slopes: Float[Array, '*p 2 2'], size: tuple[int, int]
) -> Float[Array, '*p']:
  """Pick the level of detail of pixels.

  Args:
    slopes: change of (u, v) per pixel to the right, and down.
    size: height and width of the finest level.

  Returns:
    0 for the finest level, where a texel is larger than a pixel, and up.
  """
  # Williams: d = log2 of the longer of the two sides that a pixel's footprint
  # has in texels; half the logarithm of its square.
  texels = jnp.asarray([size[1], size[0]], slopes.dtype)
  texels = texels.reshape((1,) * (slopes.ndim - 2) + (2, 1))
  squared = jnp.max(jnp.sum((slopes * texels) ** 2, -2), -1)
  return jnp.maximum(0.5 * jnp.log2(jnp.maximum(squared, _LEAST_FOOTPRINT)), 0)


def sample(
  image: Float[Array, 'h w c'] | Pyramid,
  uvs: Float[Array, '*p 2'],
  slopes: Float[Array, '*p 2 2'] | None = None,
) -> Float[Array, '*p c']:
  """Look a texture up, with gradients by texels and coordinates.

  Args:
    image: texels, or a pyramid of them.
    uvs: in [0, 1], (0, 0) at the bottom left corner, where the image ends;
      beyond, its border goes on.
    slopes: change of `uvs` per pixel to the right, and down, for mip-mapping
      (bilinear between the texels of the two next levels, linear between
      them); None for bilinear lookups in the finest level.

  Returns:
    Values; the level counts as constant.

  Raises:
    ValueError: a mip-mapped image whose sides are no powers of two.
  """
  points = uvs.shape[:-1]
  if slopes is None:
    if isinstance(image, Pyramid):
      texels, (height, width) = image.texels, image.sizes[0]
    else:
      texels = image.reshape(-1, image.shape[-1])
      height, width = image.shape[:2]
    start, height, width = (
      jnp.full(points, value, jnp.int32) for value in (0, height, width)
    )
    return _bilinear(texels, start, height, width, uvs)
  texels, sizes = image if isinstance(image, Pyramid) else pyramid(image)
  last = len(sizes) - 1
  detail = jnp.minimum(level(lax.stop_gradient(slopes), sizes[0]), last)
  fine = jnp.minimum(jnp.floor(detail), max(last - 1, 0)).astype(jnp.int32)
  part = (detail - fine.astype(detail.dtype))[..., None]
  heights, widths = (jnp.asarray(v, jnp.int32) for v in zip(*sizes))
  starts = np.cumsum([0] + [rows * columns for rows, columns in sizes[:-1]])
  starts = jnp.asarray(starts, jnp.int32)
  values = [
    _bilinear(texels, starts[step], heights[step], widths[step], uvs)
    for step in (fine, jnp.minimum(fine + 1, last))
  ]
  return values[0] * (1 - part) + values[1] * part


def from_image(
  image: Float[Array, 'h w 3'],
  uvs: Float[Array, 'v 2'],
  *,
  mipmap: bool = True,
  seams: Seams | None = None,
) -> Texture:
  """Make a texture of an image and a uv map.

  Args:
    image: linear RGB in [0, 1].
    uvs: texture coordinates per vertex, (0, 0) bottom left.
    mipmap: whether to average where texels are smaller than pixels.
    seams: of a uv map in several charts; it is to be drawn in the hard mode.

  Returns:
    Texture.

  Raises:
    ValueError: a mip-mapped image whose sides are no powers of two.
  """
  levels = pyramid(image) if mipmap else image

  def lookup(
    coordinates: Float[Array, '*p 2'], slopes: Float[Array, '*p 2 2']
  ) -> Float[Array, '*p 3']:
    return sample(levels, coordinates, slopes if mipmap else None)

  return Texture(coordinates=uvs, lookup=lookup, seams=seams)
