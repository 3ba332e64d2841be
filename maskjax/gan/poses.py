"""Cameras on a sphere around a head, in EG3D's own angles.

EG3D's "vertical angle" v is not an angle: the polar angle is arccos(1 - 2 v /
pi), which makes uniform v uniform on the sphere, and equals v at 0, pi / 2 and
pi only. Statistics of its data sets are in these numbers, so they stay.

Shapes: B cameras. Frame: OpenCV axes in a world with +y up; h = v = pi / 2
looks at the front. Follows the code of Chan et al., "Efficient Geometry-aware
3D GANs", CVPR 2022.
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from maskjax.geometry import ffhq, safe

# Keeps the vertical angle from the poles, where there is no "up".
_MARGIN = 1e-5
_UP = (0.0, 1.0, 0.0)


def aim(
  origin: Float[Array, 'b 3'], forward: Float[Array, 'b 3']
) -> Float[Array, 'b 4 4']:
  """Return cameras at positions, looking along directions.

  Args:
    origin: positions.
    forward: directions of any length, not vertical.

  Returns:
    cam2world, upright.
  """
  forward = safe.safe_normalize(forward)
  up = jnp.broadcast_to(jnp.array(_UP, forward.dtype), forward.shape)
  right = safe.safe_normalize(jnp.cross(forward, up))
  down = safe.safe_normalize(jnp.cross(forward, right))
  top = jnp.stack([right, down, forward, origin], -1)
  last = jnp.array([0.0, 0.0, 0.0, 1.0], top.dtype)
  last = jnp.broadcast_to(last, (*top.shape[:-2], 1, 4))
  return jnp.concatenate([top, last], -2)


def look_at(
  horizontal: Float[Array, 'b'],
  vertical: Float[Array, 'b'],
  *,
  pivot: tuple[float, float, float] = (0.0, 0.0, 0.0),
  radius: float = ffhq.RADIUS,
) -> Float[Array, 'b 4 4']:
  """Return cameras on a sphere around the origin that look at a pivot.

  Args:
    horizontal: angle in radians, pi / 2 in front, smaller toward +x.
    vertical: v of the module's docstring, in (0, pi), 0 at the top.
    pivot: point in the middle of the image.
    radius: of the sphere.

  Returns:
    cam2world.
  """
  angle = jnp.clip(vertical, _MARGIN, math.pi - _MARGIN)
  # Rounded as in the reference, which sees near a pole: a division, where XLA
  # would multiply by the reciprocal of a constant.
  divisor = jnp.where(jnp.isnan(angle), angle, math.pi)
  cosine = 1 - 2 * (angle / divisor)
  sine = jnp.sqrt((1 - cosine) * (1 + cosine))
  turned = math.pi - horizontal
  origin = radius * jnp.stack(
    [
      sine * jnp.cos(turned),
      cosine,
      sine * jnp.sin(turned),
    ],
    -1,
  )
  return aim(origin, jnp.array(pivot, origin.dtype)[None] - origin)


def spread(
  draws: Float[Array, '2 b'],
  *,
  horizontal_mean: float = math.pi / 2,
  vertical_mean: float = math.pi / 2,
  horizontal_spread: float = 0.3,
  vertical_spread: float = 0.155,
) -> tuple[Float[Array, 'b'], Float[Array, 'b']]:
  """Turn random numbers into angles for `look_at`.

  Args:
    draws: numbers around 0, for the horizontal and the vertical angle:
      standard normal ones, or uniform ones in [-1, 1].
    horizontal_mean: middle of the horizontal angle.
    vertical_mean: middle of the vertical angle.
    horizontal_spread: factor on the first draws.
    vertical_spread: factor on the second.

  Returns:
    Horizontal and vertical angles.
  """
  return (
    draws[0] * horizontal_spread + horizontal_mean,
    draws[1] * vertical_spread + vertical_mean,
  )


def sample(
  rng: Array,
  batch: int,
  *,
  pivot: tuple[float, float, float] = (0.0, 0.0, 0.0),
  radius: float = ffhq.RADIUS,
  uniform: bool = False,
  **angles: float,
) -> Float[Array, 'b 4 4']:
  """Draw cameras.

  Args:
    rng: key.
    batch: number of cameras.
    pivot: see `look_at`.
    radius: see `look_at`.
    uniform: uniform angles rather than normal ones.
    **angles: see `spread`.

  Returns:
    cam2world.
  """
  if uniform:
    draws = jax.random.uniform(rng, (2, batch), minval=-1)
  else:
    draws = jax.random.normal(rng, (2, batch))
  return look_at(*spread(draws, **angles), pivot=pivot, radius=radius)


def intrinsics(fov: Float[Array, 'b']) -> Float[Array, 'b 3 3']:
  """Return normalised intrinsics as EG3D computes them.

  Args:
    fov: angle of view in degrees, across 1 / 1.414 of the image.

  Returns:
    Focal length 1 / (1.414 tan(fov / 2)), with 3.14159 for pi. 18.837 degrees
    give 4.2634, not the 4.2647 of FFHQ's cameras.
  """
  focal = 1 / (jnp.tan(fov * (3.14159 / 360)) * 1.414)
  zero, one = jnp.zeros_like(focal), jnp.ones_like(focal)
  rows = [[focal, zero, one / 2], [zero, focal, one / 2], [zero, zero, one]]
  return jnp.stack([jnp.stack(row, -1) for row in rows], -2)
