"""Baking: any texture into one image over a uv map.

The faces are drawn in the plane of their uvs; every texel whose centre a face
covers is looked up, and the gutters between the charts take the colour of the
nearest such texel, so that filtering does not bleed.

Shapes: `V` vertices, `F` faces, `D` coordinates, `s` texels on a side.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int
import numpy as np
import scipy.ndimage

from maskjax.render.mesh import rasterizer

# Texels that are looked up at once.
_CHUNK = 2**16


def texels(
  uvs: Float[Array | np.ndarray, 'v 2'],
  faces: Int[Array | np.ndarray, 'f 3'],
  coordinates: Float[Array | np.ndarray, 'v d'],
  size: int,
) -> tuple[Float[np.ndarray, 's s d'], Bool[np.ndarray, 's s']]:
  """Find which point of a surface each texel shows.

  Args:
    uvs: texture coordinates, (0, 0) bottom left.
    faces: vertex indices; of overlapping ones the first is seen.
    coordinates: numbers per vertex.
    size: texels on a side.

  Returns:
    Interpolated coordinates, and which texels show anything.
  """
  uvs = jnp.asarray(uvs, jnp.float32)
  plane = jnp.stack([uvs[:, 0], 1.0 - uvs[:, 1], jnp.ones(len(uvs))], -1)
  images = jax.jit(
    lambda plane, values: rasterizer.rasterize(
      plane[None],
      jnp.asarray(faces),
      values[None],
      jnp.eye(3)[None],
      size=size,
      mode='hard',
      antialias=False,
      projection='orthographic',
      depth_range=(0.5, 2.0),
    )
  )(plane, jnp.asarray(coordinates, jnp.float32))
  return np.asarray(images.attributes[0]), np.asarray(images.alpha[0]) > 0.5


def _chunked(
  lookup: Callable[[Float[Array, 'n d']], Float[Array, 'n c']],
  points: Float[np.ndarray, 'n d'],
) -> Float[np.ndarray, 'n c']:
  """Look up points in pieces of one size."""
  chunk = min(_CHUNK, len(points))
  padding = -len(points) % chunk
  padded = np.pad(points, ((0, padding), (0, 0)), mode='edge')
  pieces = padded.reshape(-1, chunk, points.shape[1])
  run = jax.jit(lookup)
  values = np.concatenate([np.asarray(run(piece)) for piece in pieces])
  return values[: len(points)]


def bake(
  uvs: Float[Array | np.ndarray, 'v 2'],
  faces: Int[Array | np.ndarray, 'f 3'],
  coordinates: Float[Array | np.ndarray, 'v d'],
  lookup: Callable[[Float[Array, 'n d']], Float[Array, 'n c']],
  *,
  size: int = 1024,
) -> Float[np.ndarray, 's s c']:
  """Bake what a function says of a surface into an image.

  Args:
    uvs: texture coordinates, (0, 0) bottom left; charts do not overlap.
    faces: vertex indices of each triangle.
    coordinates: numbers per vertex, interpolated and given to `lookup`.
    lookup: maps coordinates [N, D] to values [N, C].
    size: texels on a side.

  Returns:
    The image, row 0 at the top.

  Raises:
    ValueError: no texel lies in any face.
  """
  points, shown = texels(uvs, faces, coordinates, size)
  if not shown.any():
    raise ValueError(
      f'no texel of {size} x {size} lies in a face: are the uvs in [0, 1]?'
    )
  values = _chunked(lookup, points[shown])
  image = np.zeros((size, size, values.shape[-1]), np.float32)
  image[shown] = values
  nearest = scipy.ndimage.distance_transform_edt(
    ~shown, return_distances=False, return_indices=True
  )
  return image[tuple(nearest)]
