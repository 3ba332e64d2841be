"""The hard mode of the rasterizer: a z-buffer with antialiased silhouettes.

What a pixel's centre sees is found first (`visibility`), then shaded
(`interpolation`), then blended across silhouettes (`silhouettes`). Gradients
flow through the last two.

Shapes: `B` views, `V` vertices, `F` faces, `C` attributes, `H W` pixels.
"""

from typing import Any

import jax
from jax import Array, lax
import jax.numpy as jnp
from jaxtyping import Float, Int

from maskjax.render import (
  deferred,
  interpolation,
  silhouettes,
  visibility,
  windows,
)


def _homogeneous(vertices, intrinsics, size, perspective):
  """Returns X, Y, W (see `visibility`) and depth of vertices, [B, V, 4]."""
  x, y, z = jnp.moveaxis(vertices, -1, 0)
  w = z if perspective else jnp.ones_like(z)

  def number(row, column):
    return intrinsics[:, row, column, None]

  across = number(0, 0) * x + number(0, 1) * y + (number(0, 2) - 0.5) * w
  down = number(1, 1) * y + (number(1, 2) - 0.5) * w
  return jnp.stack([across * size, down * size, w, z], -1)


def _twins(faces):
  """Finds neighbouring faces; once, while tracing, if the faces are known."""
  if isinstance(faces, jax.core.Tracer):
    return silhouettes.twins(faces)
  with jax.ensure_compile_time_eval():
    return silhouettes.twins(jnp.asarray(faces))


def _drawn(corners, cull_backfaces):
  """Tells which faces have an area, and face the camera if they have to."""
  facing = visibility.facing(corners)
  seen = facing < 0 if cull_backfaces else jnp.abs(facing) > 0
  return seen & jnp.all(jnp.isfinite(corners[:, :12]), -1)


def _find(
  vertices, faces, attributes, intrinsics, grid, near, perspective, cull
):
  """Returns corners, which faces are drawn, seen faces and their depths."""
  place = _homogeneous(vertices, intrinsics, grid.size, perspective)
  table = jnp.concatenate([place, attributes], -1)
  corners = jnp.swapaxes(table[:, faces], -1, -2)
  corners = corners.reshape(-1, 3 * table.shape[-1])
  constant = lax.stop_gradient(corners)
  drawn = _drawn(constant, cull)
  return corners, drawn, *visibility.nearest_faces(constant, drawn, grid, near)


def slopes(
  vertices: Float[Array, 'b v 3'],
  faces: Int[Array, 'f 3'],
  attributes: Float[Array, 'b v c'],
  intrinsics: Float[Array, 'b 3 3'],
  grid: windows.Grid,
  *,
  near: float,
  perspective: bool,
  cull_backfaces: bool,
) -> Float[Array, 'p c 2']:
  """Computes how fast attributes change over the image; see `interpolation`.

  Args:
    vertices: camera's frame, cm.
    faces: vertex indices.
    attributes: numbers per vertex.
    intrinsics: normalised intrinsics.
    grid: sizes.
    near: depth of the near plane, cm.
    perspective: whether distant things look smaller.
    cull_backfaces: whether to leave out faces seen from behind.

  Returns:
    Changes per pixel to the right and down; 0 where nothing is seen.
  """
  corners, _, seen, _ = _find(
    *(vertices, faces, attributes, intrinsics),
    *(grid, near, perspective, cull_backfaces),
  )
  return interpolation.slopes(corners, seen, grid)


def draw(
  vertices: Float[Array, 'b v 3'],
  faces: Int[Array, 'f 3'],
  attributes: Float[Array, 'b v c'],
  intrinsics: Float[Array, 'b 3 3'],
  grid: windows.Grid,
  *,
  near: float,
  perspective: bool,
  cull_backfaces: bool,
  antialias: bool,
  shader: deferred.Shader | None = None,
  view: Any = None,
) -> Float[Array, 'b h w 2+c']:
  """Draws what is visible; see `rasterizer.rasterize` for the arguments.

  Args:
    vertices: camera's frame, cm.
    faces: vertex indices.
    attributes: numbers per vertex.
    intrinsics: normalised intrinsics.
    grid: sizes.
    near: depth of the near plane, cm.
    perspective: whether distant things look smaller.
    cull_backfaces: whether to leave out faces seen from behind.
    antialias: whether to blend silhouettes.
    shader: makes colours of the attributes, or None.
    view: what the shader is given along.

  Returns:
    Alpha, depth and attributes, or the shader's colours.
  """
  corners, drawn, seen, depths = _find(
    *(vertices, faces, attributes, intrinsics),
    *(grid, near, perspective, cull_backfaces),
  )
  covered = seen < corners.shape[0]
  alpha = covered[:, None].astype(corners.dtype)
  channels = interpolation.interpolate(corners, seen, grid)
  if shader is not None:
    changes = interpolation.slopes(corners, seen, grid)
    shaded = deferred.shade(
      shader, view, channels[:, 1:], changes, covered, grid
    )
    channels = jnp.concatenate([channels[:, :1], shaded], -1)
  images = jnp.concatenate([alpha, channels], -1)
  if antialias:
    images = silhouettes.antialias(
      images, corners, seen, depths, drawn, _twins(faces), grid, near
    )
    alpha, channels = images[:, :1], images[:, 1:]
    covered = alpha > 1e-6
    channels = jnp.where(covered, channels / jnp.where(covered, alpha, 1.0), 0)
    alpha = jnp.where(alpha > 1, 1.0, alpha)
    images = jnp.concatenate([alpha, channels], -1)
  return images.reshape(grid.views, grid.size, grid.size, -1)
