"""Colours of the start shape, by projecting the first image onto it.

Every vertex that the front camera sees well takes the colour of its pixel,
divided by the light that fell on it there; the rest (the sides, what lies
behind the nose) is filled by diffusion over the surface (patent [0099] to
[0101], Fig. 7).

Shapes: `V` vertices, `s` pixels a side.
"""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int
import numpy as np

from maskjax.geometry import (
  camera as camera_lib,
  laplacian,
  mesh as mesh_lib,
  template as template_lib,
)
from maskjax.mask import first_image, views
from maskjax.render import lights as lights_lib, renderer

# A vertex is painted directly if its normal is within 72 degrees of the
# camera, it lies within this many cm of the visible surface, and the pixels
# around it are covered by the mask.
_LEAST_COSINE = 0.3
_DEPTH_SLACK_CM = 0.6
_LEAST_COVERAGE = 0.98
# Where the picture itself says what it covers: more than half, well inside.
_LEAST_PAINTED = 0.8


def bilinear(
  image: Float[np.ndarray, 's s c'], points: Float[np.ndarray, 'v 2']
) -> Float[np.ndarray, 'v c']:
  """Sample an image between its pixels.

  Args:
    image: row 0 at the top.
    points: (x, y) in [0, 1]; beyond, the border goes on.
  """
  size = image.shape[0]
  place = np.clip(points * size - 0.5, 0.0, size - 1.001)
  base = np.floor(place).astype(np.int64)
  x, y = (place - base).T[..., None]
  column, row = base.T
  top = image[row, column] * (1 - x) + image[row, column + 1] * x
  bottom = image[row + 1, column] * (1 - x) + image[row + 1, column + 1] * x
  return top * (1 - y) + bottom * y


@functools.partial(jax.jit, static_argnames=('size',))
def _depth(
  vertices: Float[Array, 'v 3'],
  faces: Int[Array, 'f 3'],
  cameras: camera_lib.Camera,
  lights: lights_lib.Lights,
  *,
  size: int,
) -> Float[Array, 's s 1']:
  """Return how far off the visible surface is, cm."""
  return renderer.render(
    vertices,
    faces,
    jnp.ones_like(vertices),
    cameras,
    lights,
    size=size,
    sigma=1e-6,
  ).depth[0]


def _cosine(
  mesh: mesh_lib.Mesh,
  normals: Float[Array, 'v 3'],
  camera: camera_lib.Camera,
) -> Float[np.ndarray, 'v']:
  """Return the cosine between each normal and the way to the camera."""
  toward = camera.cam2world[None, :3, 3] - mesh.vertices
  return np.sum(np.asarray(normals * toward), -1) / np.linalg.norm(
    np.asarray(toward), axis=-1
  )


def project(
  template: template_lib.Template, first: first_image.FirstImage
) -> tuple[Float[Array, 'v 3'], Bool[np.ndarray, 'v']]:
  """Return linear RGB vertex colours, and which vertices were painted.

  Args:
    template: the start shape, cm, +z out of the face.
    first: its first image, seen from the front.

  Raises:
    ValueError: the front camera sees no vertex; one line.
  """
  mesh, size = template.mesh, first.image.shape[0]
  cameras, lights = views.fixed((0.0,))
  camera = camera_lib.Camera(cameras.cam2world[0], cameras.intrinsics[0])
  normals = mesh_lib.vertex_normals(mesh.vertices, mesh.faces)
  points, distance = camera_lib.project(camera, mesh.vertices)
  points = np.asarray(points)
  depth = np.asarray(
    _depth(mesh.vertices, mesh.faces, cameras, lights, size=4 * size)
  )
  seen = bilinear(depth, points)[:, 0]
  coverage = bilinear(np.asarray(first.mask), points)[:, 0]
  covered = coverage > _LEAST_COVERAGE
  if first.coverage is not None:
    painted = bilinear(np.asarray(first.coverage), points)[:, 0]
    covered &= painted > _LEAST_PAINTED
  known = (
    (_cosine(mesh, normals, camera) > _LEAST_COSINE)
    & (np.asarray(distance).reshape(-1) < seen + _DEPTH_SLACK_CM)
    & covered
  )
  if not known.any():
    raise ValueError(
      f'template {template.name!r} cannot be painted: the front camera at '
      '+z sees none of its vertices; turn it so that it looks along +z'
    )
  light = jax.tree.map(lambda x: x[0], lights)
  irradiance = lights_lib.irradiance(light, mesh.vertices, normals)
  painted = bilinear(np.asarray(first_image.linear(first)), points)
  albedo = np.clip(painted / np.maximum(np.asarray(irradiance), 0.1), 0.0, 1.0)
  filled = laplacian.harmonic_fill(albedo, known, np.asarray(mesh.faces))
  return jnp.asarray(filled), known
