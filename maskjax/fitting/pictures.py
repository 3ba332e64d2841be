"""What a fit leaves: a mesh, numbers, and a sheet of pictures of the way.

Shapes: `B` views, `V` vertices, `F` faces, `h w` and `s` pixels.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, UInt8
import numpy as np

from maskjax.geometry import camera as camera_lib, color, mesh as mesh_lib
from maskjax.render import lights as lights_lib, renderer

BACKGROUND = (0.86, 0.87, 0.89)
_CLAY = (0.62, 0.6, 0.57)


class Fit(NamedTuple):
  """A fitted mesh.

  Attributes:
    mesh: cm, with colours where they were fitted.
    sheet: sRGB pictures of target, start and result.
    numbers: what was reached, by name.
  """

  mesh: mesh_lib.Mesh
  sheet: UInt8[np.ndarray, 'h w 3']
  numbers: dict[str, float]


def to_bytes(linear: Float[Array, '*b h w c']) -> UInt8[np.ndarray, '*b h w c']:
  """Turn pictures of linear RGB into sRGB bytes."""
  shown = color.linear_to_srgb(jnp.clip(linear, 0.0, 1.0))
  return color.to_bytes(np.asarray(shown))


@functools.partial(jax.jit, static_argnames='size')
def _clay(
  vertices: Float[Array, 'v 3'],
  faces: Int[Array, 'f 3'],
  camera: camera_lib.Camera,
  *,
  size: int,
) -> Float[Array, 'b s s 3']:
  """Render `clay`, in linear RGB."""
  toward_light = jnp.asarray([-0.35, -0.6, -0.75])  # as the camera sees it
  lights = jax.vmap(
    lambda pose: lights_lib.directional(
      pose[:3, :3] @ toward_light, color=(0.75,) * 3, ambient=(0.3, 0.31, 0.33)
    )
  )(camera.cam2world)
  return renderer.render(
    vertices,
    faces,
    jnp.broadcast_to(jnp.asarray(_CLAY), vertices.shape),
    camera,
    lights,
    size=size,
    mode='hard',
    background=BACKGROUND,
  ).rgb


def clay(
  vertices: Float[Array, 'v 3'],
  faces: Int[Array, 'f 3'],
  camera: camera_lib.Camera,
  size: int,
) -> UInt8[np.ndarray, 'b s s 3']:
  """Take pictures of a mesh without colours, lit from the upper left.

  Args:
    vertices: positions of the vertices, cm.
    faces: three vertex indices of each triangle.
    camera: cameras, one for each picture; the light goes with them.
    size: pixels on a side.
  """
  return to_bytes(_clay(vertices, faces, camera, size=size))
