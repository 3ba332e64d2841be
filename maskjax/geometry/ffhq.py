"""The frame of FFHQ's faces, as EG3D crops and poses them.

The world is the mesh frame, moved so that the middle of a head is the origin,
in units of `CM_PER_UNIT` centimetres. Cameras stand on a sphere of `RADIUS`
units around it, look at a point in front of it, near the tip of the nose, and
have a focal length of `FOCAL` image widths. So a face stays in the middle of
its picture when it turns, and pictures show it from the chin to the crown.

Shapes: N cameras. Follows Chan et al., "Efficient Geometry-aware 3D GANs",
CVPR 2022, supplement (cameras of FFHQ).
"""

from collections.abc import Sequence
import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
import numpy as np

from maskjax.geometry import camera as camera_lib

# Distance of the cameras from the middle of the head, units.
RADIUS = 2.7
# Normalised focal length, image widths.
FOCAL = 4.2647
# What cameras look at, units.
PIVOT = (0.0, 0.0, 0.2)
# Heads are seen from about a metre away.
CM_PER_UNIT = 100 / RADIUS
# Full vertical angle of view of a camera, degrees.
FOVY = float(np.degrees(2 * np.arctan(0.5 / FOCAL)))
# Origin of the world, and what cameras look at, in the mesh frame.
ORIGIN_CM = (0.0, -0.7, -4.0)
PIVOT_CM = (
  ORIGIN_CM[0],
  ORIGIN_CM[1],
  ORIGIN_CM[2] + PIVOT[2] * CM_PER_UNIT,
)


def intrinsics() -> Float[Array, '9']:
  """Return the intrinsics of all cameras, row by row."""
  return jnp.array([FOCAL, 0, 0.5, 0, FOCAL, 0.5, 0, 0, 1])


def orbit(
  azimuth: Float[np.ndarray, 'n'] | Sequence[float],
  elevation: Float[np.ndarray, 'n'] | Sequence[float],
) -> camera_lib.Camera:
  """Return cameras on the sphere, in the mesh frame.

  Args:
    azimuth: of their positions, degrees, 0 in front, positive to the viewer's
      right.
    elevation: of their positions, degrees, positive above.

  Returns:
    Cameras that look at `PIVOT_CM`, in centimetres.
  """
  around = camera_lib.orbit(
    jnp.asarray(azimuth, jnp.float32),
    jnp.asarray(elevation, jnp.float32),
    radius=RADIUS * CM_PER_UNIT,
    fovy=FOVY,
    target=ORIGIN_CM,
  )
  pose = camera_lib.look_at(
    around.cam2world[:, :3, 3], jnp.asarray(PIVOT_CM)[None]
  )
  return dataclasses.replace(around, cam2world=pose)


@jax.numpy_rank_promotion('allow')
def to_units(camera: camera_lib.Camera) -> camera_lib.Camera:
  """Move cameras from the mesh frame (cm) into the world of FFHQ."""
  shift = jnp.zeros((4, 4)).at[:3, 3].set(jnp.asarray(ORIGIN_CM))
  scale = jnp.ones((4, 4)).at[:3, 3].set(1 / CM_PER_UNIT)
  return dataclasses.replace(
    camera, cam2world=(camera.cam2world - shift) * scale
  )


@jax.numpy_rank_promotion('allow')
def to_centimetres(camera: camera_lib.Camera) -> camera_lib.Camera:
  """Move cameras from the world of FFHQ into the mesh frame (cm)."""
  shift = jnp.zeros((4, 4)).at[:3, 3].set(jnp.asarray(ORIGIN_CM))
  scale = jnp.ones((4, 4)).at[:3, 3].set(CM_PER_UNIT)
  return dataclasses.replace(camera, cam2world=camera.cam2world * scale + shift)


def vectors(
  azimuth: Float[np.ndarray, 'n'] | Sequence[float],
  elevation: Float[np.ndarray, 'n'] | Sequence[float],
) -> Float[Array, 'n 25']:
  """Return the cameras of `orbit` as EG3D's 25 numbers, in units."""
  return camera_lib.to_vector25(to_units(orbit(azimuth, elevation)))
