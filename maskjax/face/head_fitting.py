"""Making a template follow the head in a photo.

The person's 468 points say how far each canonical point has moved; a smooth
field carries that to every vertex of a template, whatever its triangles: the
posterior mean of a Gaussian process whose prior is a slight stretching of the
whole head plus smooth local changes (Rasmussen and Williams, "Gaussian
Processes for Machine Learning", 2006, equations 2.25 and 2.26). What lies far
from the face follows the stretching alone.

Patent: claim 9 and paragraph 102 (the mask takes the shape of the user's
head).

Shapes: `v` vertices, `n` points.
"""

import jax
from jax import lax
import jax.numpy as jnp
from jaxtyping import Array, Float

from maskjax.geometry import canonical

# Standard deviations: of a local move, of the stretching, of a landmark.
_LOCAL_CM = 0.6
_STRETCH = 0.1
_NOISE_CM = 0.1
_HIGHEST = lax.Precision.HIGHEST


def _kernel(
  first: Float[Array, 'v 3'], second: Float[Array, 'n 3'], length: float
) -> Float[Array, 'v n']:
  """Return the covariance of the moves of two sets of places, cm^2."""
  apart = first[:, None] - second[None]
  squared = jnp.sum(apart * apart, -1)
  local = _LOCAL_CM**2 * jnp.exp(-0.5 * squared / length**2)
  linear = jnp.matmul(first, second.T, precision=_HIGHEST)
  return local + _STRETCH**2 * linear


def displacements(
  points: Float[Array, '468 3'],
  places: Float[Array, 'v 3'],
  *,
  length: float = 3.0,
  noise: float = _NOISE_CM,
) -> Float[Array, 'v 3']:
  """Carry the moves of the canonical points to other places.

  Args:
    points: the person's 468 points in the head's frame, cm, from
      `pose.HeadPose`.
    places: anywhere in the same frame on the canonical head, cm.
    length: how far local moves reach, cm.
    noise: standard deviation of a point, cm; the field is allowed to miss
      the points by about that much to stay smooth.

  Returns:
    How far each place moves, cm; differentiable in points and places.
  """
  anchors = jnp.asarray(canonical.load().vertices)
  covariance = _kernel(anchors, anchors, length)
  covariance = covariance + noise**2 * jnp.eye(len(anchors))
  factor = jax.scipy.linalg.cho_factor(covariance, lower=True)
  weights = jax.scipy.linalg.cho_solve(factor, points - anchors)
  spread = _kernel(places, anchors, length)
  return jnp.matmul(spread, weights, precision=_HIGHEST)


def fit_head(
  points: Float[Array, '468 3'],
  vertices: Float[Array, 'v 3'],
  *,
  length: float = 3.0,
  noise: float = _NOISE_CM,
) -> Float[Array, 'v 3']:
  """Deform a template to a person's head.

  Args:
    points: the person's 468 points in the head's frame, cm, from
      `pose.HeadPose`.
    vertices: a template that lies on the canonical head or around it, cm: a
      mask, a whole head, the canonical face itself.
    length: how far local changes reach, cm.
    noise: how far the template may miss the points, cm.

  Returns:
    The vertices, moved; the gap between a mask and the face is kept.
  """
  moved = displacements(points, vertices, length=length, noise=noise)
  return vertices + moved
