"""The hard mode of the rasterizer: a z-buffer with antialiased silhouettes.

What a pixel's centre sees is found first (`visibility`), then shaded
(`interpolation`), then blended across silhouettes (`silhouettes`). Gradients
flow through the last two.

Shapes: `B` views, `V` vertices, `F` faces, `C` attributes, `H W` pixels.
"""

import functools
from typing import Any, NamedTuple

import jax
from jax import lax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from maskjax.render.mesh import (
  deferred,
  interpolation,
  outline,
  silhouettes,
  tiles,
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
    return outline.twins(faces)
  with jax.ensure_compile_time_eval():
    return outline.twins(jnp.asarray(faces))


class _Found(NamedTuple):
  """What the z-buffer found.

  Attributes:
    rows: numbers of the corners of faces, see `interpolation` [N, R].
    corners: of `visibility`, constant [4, 3, N].
    drawn: which faces are [N].
    faces: that pixels see, N for none [P].
    depths: of them, infinite where there is none [P].
    seen: the tiles with any.
  """

  rows: Float[Array, 'n r']
  corners: Float[Array, '4 3 n']
  drawn: Bool[Array, 'n']
  faces: Int[Array, 'p']
  depths: Float[Array, 'p']
  seen: tiles.Tiles


def _drawn(corners, cull_backfaces):
  """Tells which faces have an area, and face the camera if they have to."""
  facing = visibility.facing(corners)
  seen = facing < 0 if cull_backfaces else jnp.abs(facing) > 0
  return seen & functools.reduce(
    jnp.logical_and, jnp.isfinite(corners).reshape(12, -1)
  )


def _find(
  vertices, faces, attributes, intrinsics, grid, near, perspective, cull
):
  """Finds what pixels see."""
  place = _homogeneous(vertices, intrinsics, grid.size, perspective)
  table = jnp.concatenate([place, attributes], -1)
  rows = table[:, faces].reshape(-1, 3 * table.shape[-1])
  corners = lax.stop_gradient(rows).reshape(-1, 3, table.shape[-1])
  corners = corners[..., :4].transpose(2, 1, 0)
  drawn = _drawn(corners, cull)
  nearest, depths = visibility.nearest_faces(corners, drawn, grid, near)
  seen = tiles.visible(nearest, rows.shape[0], grid)
  return _Found(rows, corners, drawn, nearest, depths, seen)


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
  found = _find(
    *(vertices, faces, attributes, intrinsics),
    *(grid, near, perspective, cull_backfaces),
  )
  return interpolation.slopes(found.rows, found.seen, grid)


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
) -> Float[Array, 'b 2+c h w']:
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
  found = _find(
    *(vertices, faces, attributes, intrinsics),
    *(grid, near, perspective, cull_backfaces),
  )
  steady = visibility.steady(found.corners)
  images = interpolation.interpolate(found.rows, steady, found.seen, grid)
  if shader is not None:
    covered = found.faces < found.rows.shape[0]
    changes = interpolation.slopes(found.rows, found.seen, grid)
    shaded = deferred.shade(shader, view, images[2:].T, changes, covered, grid)
    images = jnp.concatenate([images[:2], shaded.T])
  if antialias:
    images = silhouettes.antialias(
      *(images, found.rows, found.corners, found.faces, found.depths),
      *(found.drawn & steady, _twins(faces), grid, near),
    )
  images = images.reshape(-1, grid.views, grid.size, grid.size)
  return jnp.swapaxes(images, 0, 1)
