"""Rasterizer in pure JAX: triangles to images, with useful gradients.

Two modes share arguments and results. In the soft one a face covers a pixel
with a probability that falls from 1 to 0 across its outline (width `sigma`),
and the faces at a pixel are blended by a softmax over depth (width `gamma`):
every face within the blur radius of a pixel counts, so gradients reach far,
and behind. In the hard one a pixel shows the nearest face at its centre, and
silhouettes are antialiased: gradients are those of the visible picture.

    images = rasterizer.rasterize(
      vertices_camera, faces, attributes, intrinsics, size=256, mode='hard'
    )

`soft` and `hard` hold the modes. Both work face by face, in small windows of
pixels (`windows`), with static shapes and no limit on what a pixel sees. The
package's docstring lists all files in the order of a pass.

Source of the soft mode: Liu et al., "Soft Rasterizer" (2019), equations 1 to
4; of the hard one: see `visibility` and `silhouettes`.

Shapes: `B` views, `V` vertices, `F` faces, `C` attributes, `H W` pixels.
"""

from collections.abc import Callable, Mapping
import functools
import math
from typing import Any, NamedTuple

import jax
from jax import lax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int
import numpy as np

from maskjax.render.mesh import (
  clipping,
  deferred,
  fragments,
  hard,
  soft,
  windows,
)

# Fragments less probable than this do not count: it sets the blur radius.
_LEAST_PROBABILITY = 1e-4


class Raster(NamedTuple):
  """What `rasterize` returns.

  Attributes:
    attributes: blended over the faces of each pixel, background excluded; 0
      where no face is. The shader's colours, if there is one.
    alpha: coverage in [0, 1].
    depth: blended like the attributes, cm; 0 where no face is.
  """

  attributes: Float[Array, 'b h w c']
  alpha: Float[Array, 'b h w']
  depth: Float[Array, 'b h w']


class _Scene(NamedTuple):
  """What differs between views."""

  vertices: Float[Array, 'b v 3']
  attributes: Float[Array, 'b v c']
  intrinsics: Float[Array, 'b 3 3']
  view: Any


def _blur(sigma: float) -> float:
  """Return the distance at which the probability is too small to count."""
  # Solves sigmoid(-d^2 / sigma) = least probability (equation 1) for d.
  return math.sqrt(sigma * math.log(1 / _LEAST_PROBABILITY - 1))


def _grid(
  *,
  views: int,
  face_count: int,
  size: int,
  blur: float,
  window: int | None,
  axis_name: str | None,
) -> windows.Grid:
  """Pick the sizes of windows and chunks."""
  # Half of the faces look at the camera and cover half of the image.
  side = size * (math.sqrt(2 / max(face_count, 1)) + blur)
  if window is None:
    window = 4 if side < 6 else 8 if side < 32 else 16
  evaluations = 2**20
  if jax.default_backend() == 'cpu':
    # The arrays of a chunk should fit into the cache, and a small scene should
    # not fill but a part of its last chunk.
    evaluations = 2**16 if face_count * side**2 > 2**18 else 2**14
  chunk = max(evaluations // window**2, 1)
  return windows.Grid(
    views=views, size=size, window=window, chunk=chunk, axis_name=axis_name
  )


def _check(
  vertices: Float[Array, '...'],
  faces: Int[Array | np.ndarray, '...'],
  attributes: Float[Array, '...'],
  intrinsics: Float[Array, '...'],
  options: Mapping[str, float],
  grid: windows.Grid,
) -> None:
  """Raise ValueError for shapes and numbers that cannot be drawn."""
  shapes = tuple(x.shape for x in (vertices, faces, attributes, intrinsics))
  views, count, _ = (*vertices.shape, 0, 0, 0)[:3]
  expected = (views, count, 3), (views, 3, 3), (views, count)
  if (
    vertices.ndim != 3
    or (shapes[0], shapes[3], shapes[2][:2]) != expected
    or attributes.ndim != 3
    or faces.ndim != 2
    or faces.shape[1] != 3
  ):
    raise ValueError(
      'rasterize takes vertices [B, V, 3], faces [F, 3], attributes '
      f'[B, V, C] and intrinsics [B, 3, 3]; got {shapes}.'
    )
  if faces.shape[0] == 0:
    raise ValueError('rasterize needs at least one face, got none.')
  for name, value in options.items():
    if not value > 0:
      raise ValueError(f'rasterize needs {name} > 0, got {value}.')
  per_face = math.ceil(grid.size / grid.window) ** 2
  if views * faces.shape[0] * per_face >= 2**31:
    raise ValueError(
      f'{views} views of {faces.shape[0]} faces at {grid.size} pixels may '
      'need more windows than 32 bits can count: draw fewer views at once or '
      f'use window > {grid.window}.'
    )


def _draw_views(
  draw: Callable[..., Float[Array, 'b _ _ _']],
  scene: _Scene,
  faces: Int[Array | np.ndarray, 'f 3'],
  grid: windows.Grid,
) -> Float[Array, 'b _ _ _']:
  """Draw all views at once, or on a CPU, whose cache is small, by turns."""

  def draw_all(scene: _Scene, grid: windows.Grid) -> Float[Array, 'b _ _ _']:
    return draw(
      scene.vertices,
      faces,
      scene.attributes,
      scene.intrinsics,
      grid,
      view=scene.view,
    )

  if grid.views == 1 or jax.default_backend() != 'cpu':
    return draw_all(scene, grid)

  def draw_one(scene: _Scene) -> Float[Array, '_ _ _']:
    one = jax.tree.map(lambda x: x[None], scene)
    return draw_all(one, grid._replace(views=1))[0]

  return lax.map(draw_one, scene)


def _draw_hard(
  vertices: Float[Array, 'b v 3'],
  faces: Int[Array | np.ndarray, 'f 3'],
  attributes: Float[Array, 'b v c'],
  intrinsics: Float[Array, 'b 3 3'],
  grid: windows.Grid,
  *,
  antialias: bool,
  shader: deferred.Shader | None,
  view: Any,
  **seen: Any,
) -> Float[Array, 'b k h w']:
  """Draw views as `soft.draw` does; `seen` are fields of `hard.Triangles`."""
  triangles = hard.Triangles(
    vertices=vertices,
    faces=faces,
    attributes=attributes,
    intrinsics=intrinsics,
    grid=grid,
    **seen,
  )
  return hard.draw(triangles, antialias=antialias, shader=shader, view=view)


def rasterize(
  vertices_camera: Float[Array, 'b v 3'],
  faces: Int[Array | np.ndarray, 'f 3'],
  attributes: Float[Array, 'b v c'],
  intrinsics: Float[Array, 'b 3 3'],
  *,
  size: int,
  mode: str = 'soft',
  sigma: float = 1e-4,
  gamma: float = 1e-4,
  depth_range: tuple[float, float] = (1.0, 100.0),
  coverage: str = 'product',
  faces_per_pixel: int | None = None,
  cull_backfaces: bool = False,
  projection: str = 'perspective',
  clip_near: bool = False,
  antialias: bool = True,
  shader: deferred.Shader | None = None,
  view: Any = None,
  window: int | None = None,
  axis_name: str | None = None,
) -> Raster:
  """Draw triangles, with gradients by vertices and attributes.

  Softly, faces seen exactly edge-on, reaching 10,000 half images away, or
  with a corner at or before the near plane (but see `clip_near`) are not
  drawn. Faces without an area, such as (0, 0, 0), never are.

  Args:
    vertices_camera: OpenCV camera frame (x right, y down, z forward), cm.
    faces: vertex indices, counter-clockwise seen from outside. Hard mode:
      faces that share an edge have to share its vertices; silhouettes of
      concrete faces are prepared while tracing.
    attributes: numbers per vertex to interpolate, perspective-correct.
    intrinsics: normalised intrinsics of each view (per cm if orthographic).
    size: image height and width in pixels.
    mode: 'soft' or 'hard', see above.
    sigma: softness of outlines: the probability of a face at distance d is
      sigmoid(+-d^2 / sigma), the image height being 2 units. At 64 pixels
      1e-4 is soft, with a blur radius of one pixel; 1e-8 is practically hard
      at any size. Soft mode only.
    gamma: softness of occlusion, as a part of the depth range: a face that
      lies gamma * (far - near) cm behind another has 1/e of its weight. Soft
      mode only.
    depth_range: (near, far) in cm; near is the near plane, far only scales
      gamma.
    coverage: 'product': alpha = 1 - product(1 - probability), the paper's
      equation 4, which takes faces as independent and so drops to 0.75 on
      the seam of two faces; 'sum': alpha = min(1, sum(probability)), which
      is seamless. Soft mode only.
    faces_per_pixel: how many of the nearest faces within the blur radius of a
      pixel count, for comparison with PyTorch3D; None: all, which is many
      times faster. Soft mode only.
    cull_backfaces: whether to leave out faces seen from behind.
    projection: 'perspective', or 'orthographic' with intrinsics per cm.
    clip_near: whether the soft mode cuts faces at the near plane, at the cost
      of twice as many; the hard mode always does, at no cost.
    antialias: whether the hard mode blends silhouettes. Without, alpha is 0
      or 1 and has no gradient.
    shader: turns the interpolated attributes into colours, which the hard
      mode then blends at silhouettes; see `deferred.Shader`. It sees the
      views that are drawn together, on a CPU one at a time.
    view: anything the shader needs, a pytree of arrays [B, ...].
    window: side in pixels of the windows that faces are cut into, or None to
      pick one by the expected size of a face. It changes the speed only.
    axis_name: of devices (`jax.shard_map`) that are all given the same scene
      and share the work of drawing it; each returns the whole images, and
      whole gradients. Soft mode only; several views are better shared by
      cutting the batch.

  Returns:
    Raster.

  Raises:
    ValueError: for shapes that do not fit, options out of range, or more
      windows than 32-bit integers can count.
  """
  near, far = depth_range
  for name, value, choices in (
    ('mode', mode, ('soft', 'hard')),
    ('coverage', coverage, ('product', 'sum')),
    ('projection', projection, ('perspective', 'orthographic')),
  ):
    if value not in choices:
      raise ValueError(
        f"{name} must be '{choices[0]}' or '{choices[1]}', got {value!r}."
      )
  clipped = clip_near and mode == 'soft'
  views, face_count = vertices_camera.shape[0], faces.shape[0] * (1 + clipped)
  blur = _blur(sigma) if mode == 'soft' else 0.0
  if mode == 'hard':
    axis_name = None
  grid = _grid(
    views=views,
    face_count=face_count,
    size=size,
    blur=blur,
    window=window,
    axis_name=axis_name,
  )
  options: dict[str, float] = {
    'size': size,
    'sigma': sigma,
    'gamma': gamma,
    'near': near,
  }
  options |= {'far - near': far - near, 'window': grid.window}
  if faces_per_pixel is not None:
    options['faces_per_pixel'] = faces_per_pixel
  _check(vertices_camera, faces, attributes, intrinsics, options, grid)
  if clipped:
    vertices_camera, faces, attributes = clipping.clip(
      vertices_camera, faces, attributes, near=near
    )
  if mode == 'hard':
    draw = functools.partial(
      _draw_hard,
      near=near,
      perspective=projection == 'perspective',
      cull_backfaces=cull_backfaces,
      antialias=antialias,
      shader=shader,
    )
  else:
    blend = fragments.Blend(
      sigma=float(sigma),
      blur=blur,
      depth_rate=1.0 / (gamma * (far - near)),
      product=coverage == 'product',
      perspective=projection == 'perspective',
      keep=faces_per_pixel,
    )
    draw = functools.partial(
      soft.draw,
      blend=blend,
      near=near,
      cull_backfaces=cull_backfaces,
      shader=shader,
    )
  scene = _Scene(
    vertices=vertices_camera,
    attributes=attributes,
    intrinsics=intrinsics,
    view=view,
  )
  images = _draw_views(draw, scene, faces, grid)
  if mode == 'hard':
    alpha, depth, values = lax.split(images, (1, 1, images.shape[1] - 2), 1)
    return Raster(
      attributes=jnp.moveaxis(values, 1, -1),
      alpha=alpha[:, 0],
      depth=depth[:, 0],
    )
  return Raster(
    attributes=images[..., 2:], alpha=images[..., 0], depth=images[..., 1]
  )
