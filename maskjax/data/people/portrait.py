"""Portraits: a head, cameras and light made into pictures.

The rasterizer draws, per pixel, what is known of the surface (normal,
material, coordinates on it, light that arrives); the picture is shaded from
that (deferred shading), at several samples per pixel that are averaged. What
arrives at a vertex is known from shadow maps toward a few directions of the
environment and, several close together, toward each directional light: hollows
are dark and shadows soft.

Shapes: `b` views, `v` vertices, `f` faces, `h w` pixels, `l` directional
lights, `d` directions.
"""

import dataclasses
import functools
from typing import NamedTuple

import jax
from jax import lax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int
import numpy as np

from maskjax.data.people import heads, portrait_shading, scenes
from maskjax.geometry import camera as camera_lib
from maskjax.render import lights as lights_lib
from maskjax.render.mesh import rasterizer

# Shadow maps: what they span (cm), their pixels, and the middle of the head.
_SPAN, _MAP_SIZE, _MIDDLE = 44.0, 112, (0.0, -1.0, -4.0)
# A vertex this much (cm) behind the map's depth is lit still: a texel is 0.4
# cm wide, and sloping surfaces would shadow themselves without.
_BIAS = 0.45
# Directions that stand for the environment.
_ENVIRONMENT = 12
# Directions per directional light, and how far apart: a window, not a point.
_PER_LIGHT, _SOFTNESS = 3, 0.13


class Portraits(NamedTuple):
  """Pictures of one head from `b` cameras.

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
def _sphere(count: int) -> Float[np.ndarray, 'd 3']:
  """Return evenly spread unit vectors (Fibonacci's lattice)."""
  index = np.arange(count) + 0.5
  height = 1 - 2 * index / count
  turn = np.pi * (1 + 5**0.5) * index
  radius = np.sqrt(1 - height**2)
  return np.stack([radius * np.cos(turn), height, radius * np.sin(turn)], -1)


def _around(directions: Float[Array, 'l 3']) -> Float[Array, 'l k 3']:
  """Return directions close to each light: its source has a width."""
  # Turned a little, so that no offset lies along an axis of the shadow map.
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


def _visible(
  vertices: Float[Array, 'v 3'],
  faces: Int[Array, 'f 3'],
  directions: Float[Array, 'd 3'],
) -> Float[Array, 'd v']:
  """Return how much of each direction every vertex sees, in [0, 1].

  One shadow map per direction, read by percentage-closer filtering: whether a
  vertex is lit is blended, not the depths, which would put edges in mid-air.
  """
  middle = jnp.asarray(_MIDDLE)
  pose = camera_lib.look_at(middle + 60.0 * directions, middle[None])
  view = camera_lib.Camera(
    pose,
    jnp.broadcast_to(
      camera_lib.orthographic_intrinsics(_SPAN), (len(directions), 3, 3)
    ),
    'orthographic',
  )
  positions = camera_lib.world_to_camera(view, vertices)
  empty = jnp.zeros((*positions.shape[:2], 0), positions.dtype)
  raster = rasterizer.rasterize(
    positions,
    faces,
    empty,
    view.intrinsics,
    size=_MAP_SIZE,
    mode='hard',
    antialias=False,
    projection='orthographic',
  )
  depth = jnp.where(raster.alpha > 0, raster.depth, 1e3)
  # Pixel centres are at integers here.
  where = (positions[..., :2] / _SPAN + 0.5) * _MAP_SIZE - 0.5
  low = jnp.floor(where)
  part = where - low
  low = low.astype(jnp.int32)
  total = jnp.zeros(positions.shape[:2])
  view_index = jnp.arange(len(directions))[:, None]
  for dx in (0, 1):
    for dy in (0, 1):
      column = jnp.clip(low[..., 0] + dx, 0, _MAP_SIZE - 1)
      row = jnp.clip(low[..., 1] + dy, 0, _MAP_SIZE - 1)
      lit = positions[..., 2] < depth[view_index, row, column] + _BIAS
      wx = part[..., 0] if dx else 1 - part[..., 0]
      wy = part[..., 1] if dy else 1 - part[..., 1]
      total = total + wx * wy * lit
  return total


class Arriving(NamedTuple):
  """The light at the vertices of a head.

  Attributes:
    soft: light of the environment, shadows included; linear RGB.
    seen: how much of each directional light arrives, in [0, 1].
  """

  soft: Float[Array, 'v 3']
  seen: Float[Array, 'v l']


@jax.jit
@jax.numpy_rank_promotion('allow')
def _illuminate(
  vertices: Float[Array, 'v 3'],
  normals: Float[Array, 'v 3'],
  faces: Int[Array, 'f 3'],
  lights: lights_lib.Lights,
) -> Arriving:
  """Find the light at vertices; `faces` cast the shadows."""
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
  # The harmonics give irradiance without shadows, exactly; the few directions
  # only say which share of it is not hidden. The cosine is widened, or edges
  # turned away from all twelve would be black.
  cosine = jnp.maximum(normals @ even.T + 0.15, 0.0)
  share = (cosine * environment.T) @ radiance / (cosine @ radiance + 1e-6)
  without = dataclasses.replace(
    lights,
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
    What arrives at each vertex.
  """
  return _illuminate(
    jnp.asarray(head.vertices),
    jnp.asarray(head.normals),
    jnp.asarray(head.shadow_faces),
    lights,
  )


class _Surface(NamedTuple):
  """What is drawn of a head; see `heads.Head`."""

  vertices: Float[Array, 'v 3']
  faces: Int[Array, 'f 3']
  normals: Float[Array, 'v 3']
  tangents: Float[Array, 'v 3']
  coordinates: Float[Array, 'v 3']
  materials: Float[Array, 'v']
  cavity: Float[Array, 'v']


def _surface(head: heads.Head) -> _Surface:
  """Take what is drawn out of a head."""
  fields = {n: jnp.asarray(getattr(head, n)) for n in _Surface._fields}
  return _Surface(**fields)


def _average(
  images: Float[Array, 'b n n c'], samples: int
) -> Float[Array, 'b h w c']:
  """Average the samples of each pixel."""
  views, size, _, channels = images.shape
  side = size // samples
  shape = (views, side, samples, side, samples, channels)
  return jnp.mean(images.reshape(shape), axis=(2, 4))


class _Scene(NamedTuple):
  """What a head is seen in."""

  arriving: Arriving
  lights: lights_lib.Lights
  backdrop: scenes.Backdrop


class _Images(NamedTuple):
  """The images of `Portraits`."""

  rgb: Float[Array, 'b h w 3']
  alpha: Float[Array, 'b h w']
  depth: Float[Array, 'b h w']
  normals: Float[Array, 'b h w 3']


@functools.partial(jax.jit, static_argnames=('size', 'samples', 'style'))
@jax.numpy_rank_promotion('allow')
def _render(
  surface: _Surface,
  texture: Float[Array, 's s 5'],
  look: heads.Look,
  scene: _Scene,
  camera: camera_lib.Camera,
  *,
  size: int,
  samples: int,
  style: str,
) -> _Images:
  """Rasterize once, then shade what is seen (deferred shading)."""
  # In the order that `portrait_shading.unpack` takes them apart.
  columns = jnp.concatenate(
    [
      surface.normals, surface.tangents, surface.coordinates,
      surface.materials[:, None], surface.cavity[:, None],
      scene.arriving.soft, scene.arriving.seen,
    ],
    -1,
  )  # fmt: skip
  views = camera.cam2world.shape[0]
  raster = rasterizer.rasterize(
    camera_lib.world_to_camera(camera, surface.vertices),
    surface.faces,
    jnp.broadcast_to(columns, (views, *columns.shape)),
    camera.intrinsics,
    size=size * samples,
    mode='hard',
    antialias=False,
  )
  rays = portrait_shading.rays(camera, size * samples)
  point = portrait_shading.unpack(raster.attributes, -rays)
  rgb = portrait_shading.shade(point, texture, look, scene.lights, style)
  behind = scenes.paint_backdrop(scene.backdrop, rays)
  alpha = raster.alpha[..., None]
  # From the camera's axes (y down, z forward) to those of normal maps.
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
  # Averages of what is premultiplied by coverage: at borders, samples beside
  # the head have no say in depth and direction.
  alpha, depth, normal = images[..., 3], images[..., 4], images[..., 5:]
  length = jnp.linalg.norm(normal, axis=-1, keepdims=True)
  return _Images(
    rgb=jnp.clip(images[..., :3], 0.0, 1.0),
    alpha=alpha,
    depth=depth / jnp.where(alpha > 0, alpha, 1.0),
    normals=normal / jnp.maximum(length, 1e-6) * alpha[..., None],
  )


def render_person(
  head: heads.Head,
  camera: camera_lib.Camera,
  lights: lights_lib.Lights,
  *,
  size: int,
  samples: int = 3,
  backdrop: scenes.Backdrop | None = None,
  arriving: Arriving | None = None,
  style: str = 'photo',
) -> Portraits:
  """Take pictures of a head.

  Args:
    head: of `heads.build_head`.
    camera: batch of `b` perspective cameras in the mesh frame.
    lights: the lights of one scene; point lights cast no shadows.
    size: image height and width in pixels.
    samples: side of the grid of samples per pixel that are averaged.
    backdrop: what is behind; None: grey.
    arriving: of `illuminate`, to compute it only once; None computes it.
    style: 'photo', or a word of `portrait_shading.STYLES`.

  Returns:
    One picture for each camera.

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
    backdrop = scenes.plain_backdrop((0.2, 0.2, 0.2))
  images = _render(
    _surface(head), head.texture, head.look,
    _Scene(arriving, lights, backdrop), camera,
    size=size, samples=samples, style=style,
  )  # fmt: skip
  points, depths = camera_lib.project(camera, jnp.asarray(head.landmarks))
  return Portraits(**images._asdict(), landmarks=points, landmark_depths=depths)
