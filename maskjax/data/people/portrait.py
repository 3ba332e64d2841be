"""Portraits: a head, cameras and light made into pictures.

The rasterizer draws, per pixel, what is known of the surface (place, normal,
material, light that arrives); the picture is shaded from that (deferred
shading), at several samples per pixel that are averaged. What arrives at a
vertex is known from shadow maps toward a few directions of the environment
and, several close together, toward each directional light: hollows are dark
and shadows soft.

Shapes: `B` views, `V` vertices, `F` faces, `H W` pixels, `L` lights.
"""

import functools
from typing import Any, NamedTuple

import jax
from jax import lax
import jax.numpy as jnp
from jaxtyping import Array, Float
import numpy as np

from maskjax.data.people import heads, portrait_shading
from maskjax.geometry import camera as camera_lib
from maskjax.render import lights as lights_lib
from maskjax.render.mesh import rasterizer

# Shadow maps: what they span (cm), their pixels, and the middle of the head.
_SPAN, _MAP_SIZE, _MIDDLE = 44.0, 112, (0.0, -1.0, -4.0)
_BIAS = 0.45
_ENVIRONMENT = 12
# Directions per directional light, and how far apart: a window, not a point.
_PER_LIGHT, _SOFTNESS = 3, 0.13


class Portraits(NamedTuple):
  """Pictures of one head from `B` cameras.

  Attributes:
    rgb: linear RGB over the backdrop, in [0, 1].
    alpha: coverage in [0, 1].
    depth: along the optical axis, cm; 0 outside.
    normals: unit normals times alpha in the viewer's frame (x right, y up, z
      toward the viewer); 0 outside.
    landmarks: where the 468 points are in the image, in [0, 1], x right and
      y down.
    landmark_depths: their distances along the optical axis, cm.
  """

  rgb: Float[Array, 'b h w 3']
  alpha: Float[Array, 'b h w']
  depth: Float[Array, 'b h w']
  normals: Float[Array, 'b h w 3']
  landmarks: Float[Array, 'b 468 2']
  landmark_depths: Float[Array, 'b 468']


@functools.cache
def _sphere(count):
  """Evenly spread unit vectors."""
  index = np.arange(count) + 0.5
  height = 1 - 2 * index / count
  turn = np.pi * (1 + 5**0.5) * index
  radius = np.sqrt(1 - height**2)
  return np.stack([radius * np.cos(turn), height, radius * np.sin(turn)], -1)


def _around(directions):
  """Directions close to each light, [L, K, 3]."""
  turn = np.arange(_PER_LIGHT) * 2 * np.pi / _PER_LIGHT + 0.4
  up = jnp.where(
    jnp.abs(directions[:, 1:2]) < 0.9,
    jnp.asarray([[0.0, 1.0, 0.0]]),
    jnp.asarray([[1.0, 0.0, 0.0]]),
  )
  first = jnp.cross(directions, up)
  first /= jnp.linalg.norm(first, axis=-1, keepdims=True)
  second = jnp.cross(first, directions)
  offsets = (
    np.cos(turn)[None, :, None] * first[:, None]
    + np.sin(turn)[None, :, None] * second[:, None]
  )
  near = directions[:, None] + _SOFTNESS * offsets
  return near / jnp.linalg.norm(near, axis=-1, keepdims=True)


def _visible(vertices, faces, directions):
  """How much of each direction every vertex sees, [D, V] in [0, 1]."""
  middle = jnp.asarray(_MIDDLE)
  pose = camera_lib.look_at(middle + 60.0 * directions, middle[None])
  view = camera_lib.Camera(
    pose,
    jnp.broadcast_to(
      camera_lib.orthographic_intrinsics(_SPAN), (len(directions), 3, 3)
    ),
    'orthographic',
  )
  places = camera_lib.world_to_camera(view, vertices)
  empty = jnp.zeros((*places.shape[:2], 0), places.dtype)
  raster = rasterizer.rasterize(
    places,
    faces,
    empty,
    view.intrinsics,
    size=_MAP_SIZE,
    mode='hard',
    antialias=False,
    projection='orthographic',
  )
  depth = jnp.where(raster.alpha > 0, raster.depth, 1e3)
  where = (places[..., :2] / _SPAN + 0.5) * _MAP_SIZE - 0.5
  low = jnp.floor(where)
  part = where - low
  low = low.astype(jnp.int32)
  total = 0.0
  view_index = jnp.arange(len(directions))[:, None]
  for dx in (0, 1):
    for dy in (0, 1):
      column = jnp.clip(low[..., 0] + dx, 0, _MAP_SIZE - 1)
      row = jnp.clip(low[..., 1] + dy, 0, _MAP_SIZE - 1)
      lit = places[..., 2] < depth[view_index, row, column] + _BIAS
      wx = part[..., 0] if dx else 1 - part[..., 0]
      wy = part[..., 1] if dy else 1 - part[..., 1]
      total = total + wx * wy * lit
  return total


class Arriving(NamedTuple):
  """The light at the vertices of a head.

  Attributes:
    soft: f[V, 3] light of the environment, shadows included.
    seen: f[V, L] how much of each directional light arrives.
  """

  soft: Float[Array, 'v 3']
  seen: Float[Array, 'v l']


@jax.jit
@jax.numpy_rank_promotion('allow')
def _illuminate(vertices, normals, faces, lights):
  count = lights.directions.shape[0]
  even = jnp.asarray(_sphere(_ENVIRONMENT), jnp.float32)
  near = _around(lights.directions).reshape(-1, 3)
  seen = _visible(vertices, faces, jnp.concatenate([even, near]))
  environment, direct = seen[:_ENVIRONMENT], seen[_ENVIRONMENT:]
  radiance = lights.ambient[None] + jnp.matmul(
    lights_lib.harmonics_basis(even),
    lights.harmonics,
    precision=lax.Precision.HIGHEST,
  )
  radiance = jnp.maximum(radiance, 1e-3)
  cosine = jnp.maximum(normals @ even.T + 0.15, 0.0)
  share = (cosine * environment.T) @ radiance / (cosine @ radiance + 1e-6)
  without = lights.replace(
    directions=lights.directions[:0],
    direction_colors=lights.direction_colors[:0],
  )
  soft = lights_lib.irradiance(without, vertices, normals) * share
  return Arriving(soft, jnp.mean(direct.reshape(count, _PER_LIGHT, -1), 1).T)


def illuminate(head: heads.Head, lights: lights_lib.Lights) -> Arriving:
  """Find the light that arrives at a head; it serves all cameras.

  Args:
    head: of `heads.build_head`.
    lights: the lights of one scene.

  Returns:
    Arriving.
  """
  return _illuminate(head.vertices, head.normals, head.shadow_faces, lights)


def _average(images, samples):
  views, size, _, channels = images.shape
  side = size // samples
  shape = (views, side, samples, side, samples, channels)
  return jnp.mean(images.reshape(shape), axis=(2, 4))


@functools.partial(jax.jit, static_argnames=('size', 'samples', 'style'))
@jax.numpy_rank_promotion('allow')
def _render(
  surface,
  texture,
  look,
  arriving,
  camera,
  lights,
  backdrop,
  size,
  samples,
  style,
):
  vertices, faces, normals, tangents, places, materials, cavity = surface
  columns = jnp.concatenate(
    [
      normals, tangents, places, materials[:, None], cavity[:, None],
      arriving.soft, arriving.seen,
    ],
    -1,
  )  # fmt: skip
  views = camera.cam2world.shape[0]
  raster = rasterizer.rasterize(
    camera_lib.world_to_camera(camera, vertices),
    faces,
    jnp.broadcast_to(columns, (views, *columns.shape)),
    camera.intrinsics,
    size=size * samples,
    mode='hard',
    antialias=False,
  )
  rays = portrait_shading.rays(camera, size * samples)
  point = portrait_shading.unpack(raster.attributes, -rays)
  rgb = portrait_shading.shade(point, texture, look, lights, style)
  behind = portrait_shading.paint_backdrop(backdrop, rays)
  alpha = raster.alpha[..., None]
  viewer = camera_lib.directions_to_camera(
    camera, point.normals.reshape(views, -1, 3)
  ) * jnp.asarray([1.0, -1.0, -1.0])
  images = jnp.concatenate(
    [
      rgb * alpha + behind * (1 - alpha),
      alpha,
      raster.depth[..., None] * alpha,
      viewer.reshape(point.normals.shape) * alpha,
    ],
    -1,
  )
  images = _average(images, samples)
  alpha, depth, normal = images[..., 3], images[..., 4], images[..., 5:]
  length = jnp.linalg.norm(normal, axis=-1, keepdims=True)
  return (
    jnp.clip(images[..., :3], 0.0, 1.0),
    alpha,
    depth / jnp.where(alpha > 0, alpha, 1.0),
    normal / jnp.maximum(length, 1e-6) * alpha[..., None],
  )


def render_person(
  head: heads.Head,
  camera: camera_lib.Camera,
  lights: lights_lib.Lights,
  *,
  size: int,
  samples: int = 3,
  backdrop: portrait_shading.Backdrop | None = None,
  arriving: Arriving | None = None,
  style: str = 'photo',
) -> Portraits:
  """Take pictures of a head.

  Args:
    head: of `heads.build_head`.
    camera: batch of `B` perspective cameras in the mesh frame.
    lights: the lights of one scene; point lights cast no shadows.
    size: image height and width in pixels.
    samples: side of the grid of samples per pixel that are averaged.
    backdrop: what is behind; None: grey.
    arriving: of `illuminate`, to compute it only once; None computes it.
    style: 'photo', or a word of `portrait_shading.STYLES`.

  Returns:
    Portraits.

  Raises:
    ValueError: an unbatched camera, fewer than 1 sample, or an unknown style.
  """
  if camera.cam2world.ndim != 3:
    raise ValueError(
      'render_person takes a batch of cameras, cam2world of shape [B, 4, 4]; '
      f'got {camera.cam2world.shape}.'
    )
  if samples < 1:
    raise ValueError(f'render_person needs samples >= 1, got {samples}.')
  if style not in portrait_shading.STYLES:
    words = ', '.join(portrait_shading.STYLES)
    raise ValueError(f'unknown style {style!r}: use one of {words}')
  if arriving is None:
    arriving = illuminate(head, lights)
  if backdrop is None:
    backdrop = portrait_shading.plain_backdrop((0.2, 0.2, 0.2))
  surface: Any = (
    head.vertices, head.faces, head.normals, head.tangents, head.places,
    head.materials, head.cavity,
  )  # fmt: skip
  rgb, alpha, depth, normals = _render(
    surface, head.texture, head.look, arriving, camera, lights, backdrop,
    size, samples, style,
  )  # fmt: skip
  places, depths = camera_lib.project(camera, jnp.asarray(head.landmarks))
  return Portraits(rgb, alpha, depth, normals, places, depths)
