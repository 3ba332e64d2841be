"""The hard mode of the rasterizer: a z-buffer with antialiased silhouettes.

What a pixel's centre sees is found first (`visibility`), then shaded
(`interpolation`), then blended across silhouettes (`silhouettes`). Gradients
flow through the last two.

Shapes: `B` views, `V` vertices, `F` faces, `C` attributes, `H W` pixels, `P`
pixels of all views, `N` faces of all views, `K` = 2 + `C` channels, or 2 and
those of the shader.
"""

import functools
from typing import Any, NamedTuple

import jax
from jax import lax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int
import numpy as np

from maskjax.render.mesh import (
  deferred,
  interpolation,
  outline,
  silhouettes,
  tiles,
  visibility,
  windows,
)


def _homogeneous(
  vertices: Float[Array, 'b v 3'],
  intrinsics: Float[Array, 'b 3 3'],
  size: int,
  *,
  perspective: bool,
) -> Float[Array, 'b v 4']:
  """Return X, Y, W (see `visibility`) and depth of vertices.

  Those of a vertex that is not finite are nan: its faces are not drawn. No
  gradient is multiplied by it, and none passes it.
  """
  known = jnp.isfinite(vertices).all(-1, keepdims=True)
  x, y, z = jnp.moveaxis(jnp.where(known, vertices, 0.0), -1, 0)
  w = z if perspective else jnp.ones_like(z)

  def number(row: int, column: int) -> Float[Array, 'b 1']:
    return intrinsics[:, row, column, None]

  # X / W is the place on the screen in pixels from the centre: the division is
  # put off, so that corners behind the camera stay finite.
  across = number(0, 0) * x + number(0, 1) * y + (number(0, 2) - 0.5) * w
  down = number(1, 1) * y + (number(1, 2) - 0.5) * w
  place = jnp.stack([across * size, down * size, w, z], -1)
  return jnp.where(known, place, jnp.nan)


def _twins(faces: Int[Array | np.ndarray, 'f 3']) -> outline.Twins:
  """Find neighbouring faces; once, while tracing, if the faces are known."""
  if isinstance(faces, jax.core.Tracer):
    return outline.twins(faces)
  # Constants of the program: sorting edges would take as long as drawing.
  with jax.ensure_compile_time_eval():
    return outline.twins(jnp.asarray(faces))


class Triangles(NamedTuple):
  """What is drawn, and how it is seen.

  Attributes:
    vertices: positions in the camera's frame, cm.
    faces: vertex indices of each triangle.
    attributes: numbers per vertex to interpolate.
    intrinsics: normalised intrinsics of each view.
    grid: sizes of images, windows and chunks (static).
    near: depth of the near plane, cm; what lies before it is not drawn.
    perspective: whether distant things look smaller; if not, the camera is
      orthographic.
    cull_backfaces: whether to leave out faces seen from behind.
  """

  vertices: Float[Array, 'b v 3']
  faces: Int[Array | np.ndarray, 'f 3']
  attributes: Float[Array, 'b v c']
  intrinsics: Float[Array, 'b 3 3']
  grid: windows.Grid
  near: float
  perspective: bool
  cull_backfaces: bool


class _Found(NamedTuple):
  """What the z-buffer found.

  Attributes:
    rows: numbers of the corners of faces, see `interpolation`.
    corners: homogeneous corners, see `visibility`; constants.
    drawn: which faces are drawn.
    faces: number of the face that each pixel sees, N for none.
    depths: their depths, cm, infinite where there is none.
    seen: the tiles with a face in them.
  """

  rows: Float[Array, 'n r']
  corners: Float[Array, '4 3 n']
  drawn: Bool[Array, 'n']
  faces: Int[Array, 'p']
  depths: Float[Array, 'p']
  seen: tiles.Tiles


def _drawn(
  corners: Float[Array, '4 3 n'], *, cull_backfaces: bool
) -> Bool[Array, 'n']:
  """Tell which faces have an area, and face the camera if they have to."""
  facing = visibility.facing(corners)
  seen = facing < 0 if cull_backfaces else jnp.abs(facing) > 0
  return seen & functools.reduce(
    jnp.logical_and, jnp.isfinite(corners).reshape(12, -1)
  )


def _find(scene: Triangles) -> _Found:
  """Find what pixels see."""
  grid = scene.grid
  place = _homogeneous(
    scene.vertices,
    scene.intrinsics,
    grid.size,
    perspective=scene.perspective,
  )
  table = jnp.concatenate([place, scene.attributes], -1)
  rows = table[:, scene.faces].reshape(-1, 3 * table.shape[-1])
  # Which face is seen is a choice, not a function of the shape with a slope:
  # gradients flow through the rows alone.
  corners = lax.stop_gradient(rows).reshape(-1, 3, table.shape[-1])
  corners = corners[..., :4].transpose(2, 1, 0)
  drawn = _drawn(corners, cull_backfaces=scene.cull_backfaces)
  nearest, depths = visibility.nearest_faces(corners, drawn, grid, scene.near)
  seen = tiles.visible(nearest, rows.shape[0], grid)
  return _Found(
    rows=rows,
    corners=corners,
    drawn=drawn,
    faces=nearest,
    depths=depths,
    seen=seen,
  )


def slopes(scene: Triangles) -> Float[Array, 'p c 2']:
  """Compute how fast attributes change over the image; see `interpolation`.

  Args:
    scene: what is drawn.

  Returns:
    Changes per pixel to the right and down; 0 where nothing is seen.
  """
  found = _find(scene)
  return interpolation.slopes(found.rows, found.seen, scene.grid)


def draw(
  scene: Triangles,
  *,
  antialias: bool,
  shader: deferred.Shader | None = None,
  view: Any = None,
) -> Float[Array, 'b k h w']:
  """Draw what is visible; see `rasterizer.rasterize` for the arguments.

  Args:
    scene: what is drawn.
    antialias: whether to blend silhouettes.
    shader: makes colours of the attributes, see `deferred.Shader`, or None.
    view: what the shader is given along, arrays with the views in front.

  Returns:
    Alpha, depth (cm) and attributes, or the shader's colours.
  """
  found, grid = _find(scene), scene.grid
  steady = visibility.steady(found.corners)
  images = interpolation.interpolate(found.rows, steady, found.seen, grid)
  if shader is not None:
    covered = found.faces < found.rows.shape[0]
    changes = interpolation.slopes(found.rows, found.seen, grid)
    shaded = deferred.shade(shader, view, images[2:].T, changes, covered, grid)
    images = jnp.concatenate([images[:2], shaded.T])
  if antialias:
    images = silhouettes.antialias(
      images,
      found.rows,
      found.corners,
      found.faces,
      found.depths,
      drawn=found.drawn & steady,
      twin=_twins(scene.faces),
      grid=grid,
      near=scene.near,
    )
  images = images.reshape(-1, grid.views, grid.size, grid.size)
  return jnp.swapaxes(images, 0, 1)
