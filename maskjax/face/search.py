"""A small face, looked for in parts of a picture.

The detector sees a picture at 128 pixels, in which a face has to fill about a
tenth of it. Where it finds none, the halves and then the quarters of the
picture are shown to it, each overlapping the next by half.

Shapes: `h w` pixels, `n` parts.
"""

import functools
import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int
import numpy as np

from maskjax.face import landmarks, networks

# Parts of the longer side; and the side, pixels, below which a face in a part
# is no more than a dozen pixels.
_DIVISORS = (2, 4)
_MIN_SIDE = 96


def parts(height: int, width: int, side: int) -> Int[np.ndarray, 'n 2']:
  """Return top and left of squares that cover a picture, half by half.

  Args:
    height: of the picture, pixels.
    width: of the picture, pixels.
    side: of a square, no more than either.
  """

  def places(size: int) -> np.ndarray:
    count = math.ceil(2 * (size - side) / side) + 1
    return np.linspace(0, size - side, count).round().astype(np.int32)

  rows, columns = np.meshgrid(places(height), places(width), indexing='ij')
  return np.stack([rows.ravel(), columns.ravel()], -1)


@functools.partial(jax.jit, static_argnames='side')
def _look(
  nets: networks.Networks,
  image: Float[Array, 'h w 3'],
  corners: Int[Array, 'n 2'],
  side: int,
) -> landmarks.Landmarks:
  """Find a face in each part; its points are in pixels of the picture."""

  def one(corner: Int[Array, '2']) -> landmarks.Landmarks:
    part = jax.lax.dynamic_slice(
      image, (corner[0], corner[1], 0), (side, side, 3)
    )
    face = landmarks.find(nets, part, refinements=1)
    face = jax.tree.map(lambda x: x[0], face)
    left_top = jnp.stack([corner[1], corner[0], 0]).astype(image.dtype)
    return face._replace(points=face.points * side + left_top[None])

  return jax.lax.map(one, corners)


def largest(
  nets: networks.Networks, image: Float[Array, 'h w 3']
) -> tuple[landmarks.Landmarks, int] | None:
  """Return the largest face of a picture whose faces are all small.

  Args:
    nets: the networks' parameters, from `networks.load`.
    image: sRGB in [0, 1].

  Returns:
    Its landmarks in image coordinates, and how many more parts show a face
    elsewhere; None where there is no face.
  """
  height, width, _ = image.shape
  scale = np.array([width, height, width], np.float32)
  for divisor in _DIVISORS:
    side = min(math.ceil(max(height, width) / divisor), height, width)
    if side < _MIN_SIDE or side == max(height, width):
      continue
    corners = jnp.asarray(parts(height, width, side))
    seen = jax.tree.map(np.asarray, _look(nets, image, corners, side))
    if not seen.found.any():
      continue
    points = seen.points[seen.found]
    sizes = np.ptp(points[..., :2], axis=1).max(-1)
    best = int(sizes.argmax())
    middles = points[..., :2].mean(1)
    apart = np.linalg.norm(middles - middles[best], axis=-1) > sizes[best] / 2
    face = landmarks.Landmarks(
      found=jnp.asarray(True),
      score=jnp.asarray(seen.score[seen.found][best]),
      points=jnp.asarray(points[best] / scale),
    )
    return face, int(apart.sum())
  return None
