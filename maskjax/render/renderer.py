"""Rendering of a mesh: colour, coverage, normals, height, depth in one pass.

Light is computed at the vertices and interpolated with the other attributes,
which is fast; or, with textures and highlights, at every pixel. The normal map
and the height map are those of patent paragraph [0100]: unit normals in the
viewer's frame, and the distance from a plane at the back of the mask.

Shapes: `B` views, `V` vertices, `F` faces, `H W` pixels.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int
import numpy as np

from maskjax.geometry import camera as camera_lib, mesh as mesh_lib, safe
from maskjax.render import (
  lights as lights_lib,
  shading as shading_lib,
  textures,
)
from maskjax.render.mesh import deferred, rasterizer

# From the camera's frame to the viewer's: x right, y up, z toward the viewer.
_TOWARD_VIEWER = (1.0, -1.0, -1.0)


class Rendering(NamedTuple):
  """Images of one mesh from `B` cameras.

  Attributes:
    rgb: linear RGB composited over the background.
    alpha: coverage in [0, 1].
    normals: unit normals times alpha in the viewer's frame (x right, y up, z
      toward the viewer), in [-1, 1]; 0 outside.
    height: (z - z_back) / (z_front - z_back) of world z, times alpha, in
      [0, 1]; 0 outside.
    depth: distance along the optical axis in cm; 0 outside.
  """

  rgb: Float[Array, 'b h w 3']
  alpha: Float[Array, 'b h w 1']
  normals: Float[Array, 'b h w 3']
  height: Float[Array, 'b h w 1']
  depth: Float[Array, 'b h w 1']


def _batched(lights: lights_lib.Lights, views: int) -> lights_lib.Lights:
  """Give unbatched lights one copy per view."""
  if lights.ambient.ndim == 2:
    return lights
  return jax.tree.map(lambda x: jnp.broadcast_to(x, (views, *x.shape)), lights)


def _check(
  camera: camera_lib.Camera,
  lights: lights_lib.Lights,
  height_range: tuple[float, float],
  samples: int,
) -> None:
  """Raise ValueError for shapes and ranges that cannot be rendered."""
  if camera.cam2world.ndim != 3:
    raise ValueError(
      'render takes a batch of cameras, cam2world of shape [B, 4, 4]; got '
      f'{camera.cam2world.shape}. Add a leading axis for a single view.'
    )
  views = camera.cam2world.shape[0]
  if lights.ambient.shape not in ((3,), (views, 3)):
    raise ValueError(
      f'render takes the lights of one scene or one per view ({views}); got '
      f'ambient of shape {lights.ambient.shape}.'
    )
  if not height_range[0] < height_range[1]:
    raise ValueError(
      'height_range is (z_back, z_front) with z_back < z_front; got '
      f'{height_range}.'
    )
  if samples < 1:
    raise ValueError(f'render needs samples >= 1, got {samples}.')


def _check_shading(
  shading: str,
  texture: textures.Texture | None,
  vertices: Float[Array, 'v 3'],
) -> None:
  """Raise ValueError for shading that does not fit."""
  kinds = ('vertex', *shading_lib.KINDS)
  if shading not in kinds:
    raise ValueError(f'shading {shading!r} is not one of {", ".join(kinds)}')
  if texture is None:
    return
  if shading == 'vertex':
    raise ValueError(
      "a texture varies between vertices: use shading='lambert' (or another "
      "of shading.KINDS) in place of 'vertex'."
    )
  count = vertices.shape[0]
  if texture.seams is not None:
    count = texture.seams.source.shape[0]
  if texture.coordinates.shape[0] != count:
    raise ValueError(
      f'the texture has coordinates for {texture.coordinates.shape[0]} '
      f'vertices, the mesh has {count}.'
    )


def _average(
  images: Float[Array, 'b hs ws c'], samples: int
) -> Float[Array, 'b h w c']:
  """Average squares of `samples` by `samples` pixels."""
  if samples == 1:
    return images
  views, size, _, channels = images.shape
  side = size // samples
  shape = (views, side, samples, side, samples, channels)
  return jnp.mean(images.reshape(shape), axis=(2, 4))


class _View(NamedTuple):
  """What the shader knows of views."""

  lights: lights_lib.Lights
  cam2world: Float[Array, 'b 4 4']
  plain: Float[Array, 'b 4'] | None


def _covered(
  albedo: Float[Array, '*n 3'], plain: Float[Array, '4']
) -> Float[Array, '*n 3']:
  """Return albedo under an even coat, `plain` of `render`."""
  share = plain[3]
  coat = jnp.broadcast_to(plain[:3], albedo.shape)
  return albedo * (1.0 - share) + coat * share


def _at_vertices(
  vertices: Float[Array, 'v 3'],
  normals: Float[Array, 'v 3'],
  colors: Float[Array, 'v 3'],
  height: Float[Array, 'v 1'],
  *,
  camera: camera_lib.Camera,
  lights: lights_lib.Lights,
  plain: Float[Array, 'b 4'] | None,
) -> Float[Array, 'b v 7']:
  """Return attributes: lit colours, normals as the viewer sees them, height."""
  views = camera.cam2world.shape[0]
  light = jax.vmap(lights_lib.irradiance, (0, None, None))(
    lights, vertices, normals
  )
  toward_viewer = jnp.asarray(_TOWARD_VIEWER, vertices.dtype)
  view_normals = (
    camera_lib.directions_to_camera(camera, normals) * toward_viewer[None, None]
  )
  height = jnp.broadcast_to(height, (views, *height.shape))
  albedo = colors[None]
  if plain is not None:
    albedo = jax.vmap(_covered, (None, 0))(colors, plain)
  return jnp.concatenate([light * albedo, view_normals, height], -1)


def _pixel_shader(
  kind: str,
  texture: textures.Texture | None,
  material: shading_lib.Material | None,
  *,
  perspective: bool,
) -> deferred.Shader:
  """Return a shader that makes what `_at_vertices` does, per pixel."""

  def one(pixels: deferred.Pixels, view: _View) -> Float[Array, 'h w 7']:
    attributes, slopes = pixels.attributes, pixels.slopes
    rotation, eye = view.cam2world[:3, :3], view.cam2world[:3, 3]
    normals = safe.safe_normalize(attributes[..., :3])
    positions, coordinates = attributes[..., 4:7], attributes[..., 7:]
    if texture is not None:
      coordinates = texture.lookup(coordinates, slopes[..., 7:, :])
    if view.plain is not None:
      coordinates = _covered(coordinates, view.plain)
    if perspective:
      toward = eye[None, None] - positions
    else:
      toward = jnp.broadcast_to(-rotation[:, 2], positions.shape)
    points = shading_lib.Points(
      albedo=coordinates.reshape(-1, 3),
      normals=normals.reshape(-1, 3),
      positions=positions.reshape(-1, 3),
      toward_eye=safe.safe_normalize(toward).reshape(-1, 3),
    )
    rgb = shading_lib.shade(kind, points, view.lights, material)
    seen = jnp.matmul(points.normals, rotation, precision='highest')
    seen = seen * jnp.asarray(_TOWARD_VIEWER, seen.dtype)[None]
    return jnp.concatenate(
      [
        rgb.reshape(positions.shape),
        seen.reshape(positions.shape),
        attributes[..., 3:4],
      ],
      -1,
    )

  return jax.vmap(one)


def render(
  vertices: Float[Array, 'v 3'],
  faces: Int[Array | np.ndarray, 'f 3'],
  colors: Float[Array, 'v 3'],
  camera: camera_lib.Camera,
  lights: lights_lib.Lights,
  *,
  size: int,
  background: Float[Array, '...'] | Sequence[float] = (
    1.0,
    1.0,
    1.0,
  ),
  height_range: tuple[float, float] = (-8.0, 16.0),
  mode: str = 'soft',
  sigma: float = 1e-4,
  gamma: float = 1e-4,
  depth_range: tuple[float, float] = (1.0, 100.0),
  coverage: str = 'sum',
  cull_backfaces: bool = False,
  samples: int = 1,
  shading: str = 'vertex',
  texture: textures.Texture | None = None,
  material: shading_lib.Material | None = None,
  plain: Float[Array, 'b 4'] | None = None,
) -> Rendering:
  """Render one mesh from a batch of cameras.

  Args:
    vertices: positions in the world, cm.
    faces: vertex indices, counter-clockwise seen from outside.
    colors: albedo of the vertices, linear RGB in [0, 1].
    camera: batch of `B` cameras, perspective or orthographic.
    lights: the lights of one scene, or a batch of `B`.
    size: image height and width in pixels.
    background: linear RGB, [3] or [B, H, W, 3].
    height_range: world z in cm of height 0 and of height 1.
    mode: 'soft' or 'hard', see `rasterizer.rasterize`.
    sigma: softness of silhouettes, see `rasterizer.rasterize`.
    gamma: softness of occlusion, see `rasterizer.rasterize`.
    depth_range: nearest and farthest depth in cm, see `rasterizer.rasterize`.
    coverage: 'sum' or 'product', see `rasterizer.rasterize`; with 'product'
      the background shines through the seams of an open mesh.
    cull_backfaces: whether to leave out faces seen from behind.
    samples: side of the grid of samples per pixel that are averaged. With a
      tiny sigma (1e-8), 2 or more give smooth outlines.
    shading: 'vertex', matte light at the vertices; or a kind of
      `shading.KINDS`, at every pixel.
    texture: in place of `colors`. In the soft mode its coordinates are
      blended over the faces of a pixel: that suits fields of space
      (`hashgrid`) and uv maps in one piece; for those in several charts use
      the hard mode.
    material: for highlights, see `shading.Material`.
    plain: per view, an even albedo (linear RGB) and how much of it lies over
      the colours or the texture, in [0, 1]; None for none.

  Returns:
    Rendering.

  Raises:
    ValueError: for an unbatched camera, lights of another batch size, an
      empty height range, unknown shading, a texture that is to be lit at the
      vertices, or what `rasterizer.rasterize` refuses.
  """
  _check(camera, lights, height_range, samples)
  _check_shading(shading, texture, vertices)
  views = camera.cam2world.shape[0]
  lights = _batched(lights, views)
  normals = mesh_lib.vertex_normals(vertices, faces)
  back, front = height_range
  height = jnp.clip((vertices[:, 2:] - back) / (front - back), 0.0, 1.0)
  if texture is not None and texture.seams is not None:
    # The whole surface has the normals, the cut one is drawn.
    cut, faces = texture.seams
    vertices, normals, height = vertices[cut], normals[cut], height[cut]
  shader = view = None
  if shading == 'vertex':
    attributes = _at_vertices(
      vertices,
      normals,
      colors,
      height,
      camera=camera,
      lights=lights,
      plain=plain,
    )
  else:
    source = colors if texture is None else texture.coordinates
    table = jnp.concatenate([normals, height, vertices, source], -1)
    attributes = jnp.broadcast_to(table, (views, *table.shape))
    perspective = camera.projection == 'perspective'
    shader = _pixel_shader(shading, texture, material, perspective=perspective)
    view = _View(lights=lights, cam2world=camera.cam2world, plain=plain)
  raster = rasterizer.rasterize(
    camera_lib.world_to_camera(camera, vertices),
    faces,
    attributes,
    camera.intrinsics,
    size=size * samples,
    mode=mode,
    sigma=sigma,
    gamma=gamma,
    depth_range=depth_range,
    coverage=coverage,
    cull_backfaces=cull_backfaces,
    projection=camera.projection,
    shader=shader,
    view=view,
  )
  rgb, normal_map, height_map = jnp.split(raster.attributes, [3, 6], -1)
  # Normals blended over faces are shorter than 1: they are made unit again
  # before they are averaged over samples, and weighted by coverage.
  # Averages are taken of what is already weighted by coverage.
  alpha = raster.alpha[..., None]
  images = jnp.concatenate(
    [
      alpha,
      rgb * alpha,
      safe.safe_normalize(normal_map) * alpha,
      height_map * alpha,
      raster.depth[..., None] * alpha,
    ],
    -1,
  )
  images = _average(images, samples)
  alpha, rgb, normal_map, height_map, depth = jnp.split(
    images, [1, 4, 7, 8], -1
  )
  background = jnp.asarray(background, rgb.dtype)
  background = jnp.broadcast_to(background, rgb.shape)
  return Rendering(
    rgb=rgb + background * (1.0 - alpha),
    alpha=alpha,
    normals=normal_map,
    height=height_map,
    depth=safe.safe_divide(depth, alpha),
  )
