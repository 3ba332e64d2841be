"""Lights and the diffuse light they shed on a surface.

Ambient light, directional and point lights, and an environment given by
second-order real spherical harmonics. All are linear RGB and scaled such that
`colour = albedo * irradiance`: the factor pi of a Lambertian surface is
divided out, and ambient light of 1 shows the albedo itself.

Source of the harmonic part: Ramamoorthi and Hanrahan, "An Efficient
Representation for Irradiance Environment Maps" (2001), equations 5 to 10.

Shapes: `L` directional lights, `P` point lights, `V` surface points.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

import flax
from jax import lax
import jax.numpy as jnp
from jaxtyping import Array, Float
import numpy as np

from maskjax.geometry import safe

# Lists of numbers (or of rows of them), or arrays.
Numbers: TypeAlias = Array | np.ndarray | Sequence[Any]

# Factors of the real spherical harmonics Y_lm, in the order (l, m) = (0, 0),
# (1, -1), (1, 0), (1, 1), (2, -2), (2, -1), (2, 0), (2, 1), (2, 2).
_Y0 = 0.5 * np.sqrt(1 / np.pi)
_Y1 = np.sqrt(3 / (4 * np.pi))
_Y2 = 0.5 * np.sqrt(15 / np.pi)
_Y20 = 0.25 * np.sqrt(5 / np.pi)

# Convolution with the clamped cosine, per band l, divided by pi.
_LAMBERT = np.array([1.0] + 3 * [2 / 3] + 5 * [1 / 4])


@flax.struct.dataclass
class Lights:
  """The lights of one scene; a leading batch axis on every field makes many.

  Attributes:
    ambient: linear RGB, the same from everywhere.
    directions: unit vectors toward the light, world.
    direction_colors: linear RGB on a surface that faces the light.
    points: positions of the point lights, world, cm.
    point_colors: linear RGB on a facing surface at 1 cm; falls off with the
      square of the distance.
    harmonics: coefficients of the incoming radiance in the real spherical
      harmonics up to band 2, world frame, per colour.
  """

  ambient: Float[Array, '*b 3']
  directions: Float[Array, '*b l 3']
  direction_colors: Float[Array, '*b l 3']
  points: Float[Array, '*b p 3']
  point_colors: Float[Array, '*b p 3']
  harmonics: Float[Array, '*b 9 3']


def harmonics_basis(directions: Float[Array, '... 3']) -> Float[Array, '... 9']:
  """Evaluate the nine real spherical harmonics up to band 2.

  Args:
    directions: unit vectors, in any frame.

  Returns:
    Y_lm in the order (0, 0), (1, -1), (1, 0), (1, 1), (2, -2) ... (2, 2);
    orthonormal over the sphere.
  """
  x, y, z = (directions[..., i] for i in range(3))
  return jnp.stack(
    [
      jnp.full_like(x, _Y0),
      _Y1 * y,
      _Y1 * z,
      _Y1 * x,
      _Y2 * x * y,
      _Y2 * y * z,
      _Y20 * (3 * z * z - 1),
      _Y2 * x * z,
      _Y2 / 2 * (x * x - y * y),
    ],
    -1,
  )


def _from_harmonics(
  coefficients: Float[Array, '9 3'], normals: Float[Array, 'v 3']
) -> Float[Array, 'v 3']:
  """Convolve the environment with the clamped cosine lobe at each normal."""
  lambert = jnp.asarray(_LAMBERT, coefficients.dtype)[:, None]
  return jnp.matmul(
    harmonics_basis(normals),
    lambert * coefficients,
    precision=lax.Precision.HIGHEST,
  )


def _from_directions(
  directions: Float[Array, 'l 3'],
  colors: Float[Array, 'l 3'],
  normals: Float[Array, 'v 3'],
) -> Float[Array, 'v 3']:
  """Sum the directional lights."""
  cosines = jnp.einsum('vi,li->vl', normals, directions)
  return jnp.einsum('vl,lc->vc', jnp.maximum(cosines, 0.0), colors)


def _from_points(
  points: Float[Array, 'p 3'],
  colors: Float[Array, 'p 3'],
  positions: Float[Array, 'v 3'],
  normals: Float[Array, 'v 3'],
) -> Float[Array, 'v 3']:
  """Sum the point lights."""
  offsets = points[None, :, :] - positions[:, None, :]
  squared = jnp.sum(offsets * offsets, -1)
  toward = safe.safe_normalize(offsets)
  cosines = jnp.einsum('vi,vpi->vp', normals, toward)
  falloff = safe.safe_divide(jnp.maximum(cosines, 0.0), squared)
  return jnp.einsum('vp,pc->vc', falloff, colors)


def irradiance(
  lights: Lights,
  positions: Float[Array, 'v 3'],
  normals: Float[Array, 'v 3'],
) -> Float[Array, 'v 3']:
  """Compute the diffuse light on surface points, without shadows.

  Args:
    lights: the lights of one scene (unbatched).
    positions: where the points lie, world, cm.
    normals: unit vectors at the points, world.

  Returns:
    Linear RGB, at least 0: irradiance divided by pi.
  """
  total = (
    lights.ambient[None, :]
    + _from_harmonics(lights.harmonics, normals)
    + _from_directions(lights.directions, lights.direction_colors, normals)
    + _from_points(lights.points, lights.point_colors, positions, normals)
  )
  # A truncated series may dip below 0.
  return jnp.maximum(total, 0.0)


def create(
  *,
  ambient: Numbers = (0.0, 0.0, 0.0),
  directions: Numbers = (),
  direction_colors: Numbers = (),
  points: Numbers = (),
  point_colors: Numbers = (),
  harmonics: Numbers | None = None,
) -> Lights:
  """Build the lights of one scene from plain numbers.

  Args:
    ambient: linear RGB of the even light.
    directions: vectors toward the directional lights, world, any length but
      0.
    direction_colors: linear RGB of each direction.
    points: positions of the point lights, world, cm.
    point_colors: linear RGB of each point light at 1 cm.
    harmonics: [9, 3] coefficients, or None for no environment.

  Returns:
    Lights, float32 (or the default float).

  Raises:
    ValueError: if the numbers of lights and colours differ.
  """
  directions, direction_colors, points, point_colors = (
    jnp.asarray(x, float).reshape(-1, 3)
    for x in (directions, direction_colors, points, point_colors)
  )
  for name, a, b in (
    ('directions', directions, direction_colors),
    ('points', points, point_colors),
  ):
    if a.shape != b.shape:
      raise ValueError(
        f'Each light needs one colour: got {a.shape[0]} {name} and '
        f'{b.shape[0]} colours.'
      )
  if harmonics is None:
    harmonics = jnp.zeros((9, 3), float)
  return Lights(
    ambient=jnp.asarray(ambient, float),
    directions=safe.safe_normalize(directions),
    direction_colors=direction_colors,
    points=points,
    point_colors=point_colors,
    harmonics=jnp.asarray(harmonics, float).reshape(9, 3),
  )


def uniform(color: Numbers = (1.0, 1.0, 1.0)) -> Lights:
  """Build ambient light only: every surface shows its albedo times `color`.

  Args:
    color: linear RGB of the light.

  Returns:
    Lights with no directional or point light.
  """
  return create(ambient=color)


def directional(
  direction: Numbers,
  color: Numbers = (1.0, 1.0, 1.0),
  ambient: Numbers = (0.0, 0.0, 0.0),
) -> Lights:
  """Build one directional light over ambient light.

  Args:
    direction: toward the light, world, any length but 0.
    color: linear RGB on a surface that faces the light.
    ambient: linear RGB of the even light.

  Returns:
    Lights with one directional light.
  """
  return create(
    ambient=ambient, directions=[direction], direction_colors=[color]
  )
