"""The soft mode of the rasterizer: probabilities instead of edges.

The work goes face by face, in small windows of pixels: one sweep finds the
nearest depth per pixel (scatter-min), a second adds up the contributions
(scatter-add), and the derivative is one more sweep that computes them anew.

Source: Liu et al., "Soft Rasterizer: A Differentiable Renderer for
Image-based 3D Reasoning" (2019), and its code.

Shapes: `B` views, `V` vertices, `F` faces, `C` attributes, `H W` pixels, `N`
= B * F, `R` = 3 * (3 + C) numbers per face, `P` = B * H * W, `P1` = P + 1,
`K` = 3 + C sums of a pixel (or the channels of the result).
"""

import functools
from typing import Any, NamedTuple

import jax
from jax import lax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int
import numpy as np

from maskjax.geometry import camera as camera_lib
from maskjax.render.mesh import (
  deferred,
  fragment_gradients,
  fragments,
  hard,
  windows,
)

# A face whose doubled area is below this part of its longest edge squared is
# seen edge-on. It is not drawn: its neighbours cover what it covers.
_MIN_ASPECT = 1e-4
# Faces that reach beyond this many half image heights are not drawn.
_MAX_SCREEN = 1e4
# Bisections of the depth: to 1e-7 of the depth of the scene.
_DEPTH_STEPS = 24


class _Limits(NamedTuple):
  """Which fragments of each pixel [P + 1] count.

  Attributes:
    near: those up to this depth,
    far: and those up to this one
    face: whose face has at most this number.
  """

  near: Float[Array, 'p1']
  far: Float[Array, 'p1']
  face: Int[Array, 'p1']


def _within(
  chunk: fragments.Chunk,
  pixel: Int[Array, 't g'],
  place: windows.Place,
  limits: _Limits | None,
  blend: fragments.Blend,
) -> fragments.Chunk:
  """Restrict a chunk to the fragments that count."""
  if limits is None:
    return chunk
  depth = fragments.nearest_depth(chunk, blend)
  near, far, face = (
    values.at[pixel].get(mode='promise_in_bounds') for values in limits
  )
  kept = (depth <= near) | ((depth <= far) & (place.face[None] <= face))
  return chunk._replace(counted=chunk.counted & kept)


def _limits(
  plan: windows.Plan,
  corners: Float[Array, 'n r'],
  visible: Bool[Array, 'n'],
  nearest: Float[Array, 'p1'],
  grid: windows.Grid,
  blend: fragments.Blend,
) -> _Limits:
  """Find the `keep` nearest fragments, of equally near ones the first.

  By bisection, first of the depth, then of the face's number: nothing is
  sorted or stored per fragment.
  """

  def count(limits: _Limits) -> Int[Array, 'p1']:
    def step(
      counts: Int[Array, 'p1'],
      chunk: fragments.Chunk,
      pixel: Int[Array, 't g'],
      place: windows.Place,
    ) -> Int[Array, 'p1']:
      counted = _within(chunk, pixel, place, limits, blend).counted
      depth = fragments.nearest_depth(chunk, blend)
      ones = (counted & (depth < jnp.inf)).astype(jnp.int32)
      return counts.at[pixel].add(ones, mode='promise_in_bounds')

    zeros = jnp.zeros((grid.pixels + 1,), jnp.int32)
    return windows.sweep(plan, corners, grid, zeros, step)

  def halve_depths(_: Int[Array, ''], limits: _Limits) -> _Limits:
    middle = (limits.near + limits.far) / 2
    fits = count(limits._replace(near=middle, far=middle)) <= blend.keep
    near = jnp.where(fits, middle, limits.near)
    return limits._replace(near=near, far=jnp.where(fits, limits.far, middle))

  def halve_faces(
    _: Int[Array, ''], state: tuple[Int[Array, 'p1'], Int[Array, 'p1']]
  ) -> tuple[Int[Array, 'p1'], Int[Array, 'p1']]:
    low, high = state
    middle = (low + high + 1) // 2
    fits = count(limits._replace(face=middle)) <= blend.keep
    return jnp.where(fits, middle, low), jnp.where(fits, high, middle - 1)

  start = jnp.where(nearest < jnp.inf, nearest, 0.0)
  farthest = jnp.max(jnp.where(visible[:, None], corners[:, 6:9], 0.0))
  far = 0 * start + farthest * (1 + 1e-6)
  none = (0 * start).astype(jnp.int32) - 1
  limits = _Limits(start * (1 - 1e-6), far, none)
  limits = lax.fori_loop(0, _DEPTH_STEPS, halve_depths, limits)
  last = none + corners.shape[0]
  steps = corners.shape[0].bit_length() + 1
  low, _ = lax.fori_loop(0, steps, halve_faces, (none, last))
  return limits._replace(face=low)


def _sums(
  corners: Float[Array, 'n r'],
  visible: Bool[Array, 'n'],
  grid: windows.Grid,
  blend: fragments.Blend,
) -> tuple[
  Float[Array, 'p1 k'], Float[Array, 'p1'], _Limits | None, windows.Plan
]:
  """Return sums per pixel, nearest depths, limits and plan of the windows.

  Index `grid.pixels` of sums and depths collects what is not counted: that is
  cheaper than to leave it out.
  """
  plan = windows.plan(corners, visible, grid, blend.blur)

  def to_nearest(
    nearest: Float[Array, 'p1'],
    chunk: fragments.Chunk,
    pixel: Int[Array, 't g'],
    _: windows.Place,
  ) -> Float[Array, 'p1']:
    z = fragments.nearest_depth(chunk, blend)
    return nearest.at[pixel].min(z, mode='promise_in_bounds')

  nearest = jnp.full((grid.pixels + 1,), jnp.inf, corners.dtype)
  nearest = windows.sweep(plan, corners, grid, nearest, to_nearest, lax.pmin)

  limits = None
  if blend.keep is not None:
    limits = _limits(plan, corners, visible, nearest, grid, blend)

  def to_sums(
    sums: Float[Array, 'p1 k'],
    chunk: fragments.Chunk,
    pixel: Int[Array, 't g'],
    place: windows.Place,
  ) -> Float[Array, 'p1 k']:
    chunk = _within(chunk, pixel, place, limits, blend)
    z = nearest.at[pixel].get(mode='promise_in_bounds')
    rows = fragments.contributions(chunk, z, blend)
    return sums.at[pixel].add(rows, mode='promise_in_bounds')

  sums = jnp.zeros((grid.pixels + 1, corners.shape[1] // 3), corners.dtype)
  sums = windows.sweep(plan, corners, grid, sums, to_sums)
  return sums, nearest, limits, plan


_Residuals = tuple[
  Float[Array, 'n r'], Float[Array, 'p1'], _Limits | None, windows.Plan
]


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _accumulate(
  corners: Float[Array, 'n r'],
  visible: Bool[Array, 'n'],
  grid: windows.Grid,
  blend: fragments.Blend,
) -> Float[Array, 'p k']:
  """Add up the contributions of all fragments to each pixel.

  Args:
    corners: screen x of the three corners, y, z (cm), attributes.
    visible: whether to draw each face.
    grid: sizes of images, windows and chunks (static).
    blend: constants of the blending (static).

  Returns:
    Of each pixel coverage (equation 4), sum of weights (equation 3), weighted
    sums of depth and attributes (equation 2).
  """
  return _sums(corners, visible, grid, blend)[0][:-1]


def _accumulate_forward(
  corners: Float[Array, 'n r'],
  visible: Bool[Array, 'n'],
  grid: windows.Grid,
  blend: fragments.Blend,
) -> tuple[Float[Array, 'p k'], _Residuals]:
  """Run the forward pass, and keep what the backward pass needs."""
  sums, nearest, limits, plan = _sums(corners, visible, grid, blend)
  return sums[:-1], (corners, nearest, limits, plan)


def _accumulate_backward(
  grid: windows.Grid,
  blend: fragments.Blend,
  residuals: _Residuals,
  upstream: Float[Array, 'p k'],
) -> tuple[Float[Array, 'n r'], None]:
  """Run the backward pass: one sweep that computes all fragments anew."""
  corners, nearest, limits, plan = residuals
  table = jnp.pad(upstream, ((0, 1), (0, 0)))
  table = jnp.concatenate([table, nearest[:, None]], -1)

  def flatten(
    x: Float[Array, '3 g'],
    y: Float[Array, '3 g'],
    z: Float[Array, '3 g'],
    channels: Float[Array, '3 c g'],
  ) -> Float[Array, 'r g']:
    # Depth is both a coordinate and the first channel.
    depth, *rest = jnp.moveaxis(channels, 1, 0)
    return jnp.concatenate([x, y, z + depth, *rest])

  def step(
    gradient: Float[Array, 'n r'],
    chunk: fragments.Chunk,
    pixel: Int[Array, 't g'],
    place: windows.Place,
  ) -> Float[Array, 'n r']:
    chunk = _within(chunk, pixel, place, limits, blend)
    rows = table.at[pixel].get(mode='promise_in_bounds')
    rows = fragments.staged(chunk.run, lambda r: jnp.moveaxis(r, -1, 0), rows)
    by_corner = fragment_gradients.gradients(chunk, rows[-1], rows[:-1], blend)
    by_corner = fragments.staged(chunk.run, flatten, *by_corner)
    index = jnp.where(place.live, place.face, corners.shape[0])
    return gradient.at[index].add(by_corner.T, mode='drop')

  zeros = jnp.zeros(corners.shape, corners.dtype)
  return windows.sweep(plan, corners, grid, zeros, step), None


_accumulate.defvjp(_accumulate_forward, _accumulate_backward)


def _screen(
  vertices: Float[Array, 'b v 3'],
  intrinsics: Float[Array, 'b 3 3'],
  near: float,
  projection: str,
) -> tuple[Float[Array, 'b v 3'], Bool[Array, 'b v']]:
  """Project vertices; those not beyond `near` go to the optical axis."""
  usable = vertices[..., 2:] > near
  axis = jnp.asarray([0.0, 0.0, 1.0], vertices.dtype)[None, None]
  image, depth = camera_lib.project_camera_points(
    intrinsics, jnp.where(usable, vertices, axis), projection=projection
  )
  screen = jnp.concatenate([2 * image - 1, depth[..., None]], -1)
  return screen, usable[..., 0]


def _visible(
  corners: Float[Array, 'n r'], *, cull_backfaces: bool
) -> Bool[Array, 'n']:
  """Tell which faces have a direction and a sane size."""
  x, y = corners[:, 0:3], corners[:, 3:6]
  ex, ey = x - jnp.roll(x, 1, -1), y - jnp.roll(y, 1, -1)
  area = ex[:, 1] * ey[:, 2] - ey[:, 1] * ex[:, 2]
  longest = jnp.max(ex * ex + ey * ey, -1)
  within = jnp.max(jnp.maximum(jnp.abs(x), jnp.abs(y)), -1) < _MAX_SCREEN
  # y points down, so outward faces turn the other way round on the screen.
  size = -area if cull_backfaces else jnp.abs(area)
  # Squares and reciprocals of smaller faces would leave the range of floats.
  wide = longest > 1e-10
  return within & wide & (size > _MIN_ASPECT * longest)


def _finish(
  sums: Float[Array, 'p k'], blend: fragments.Blend
) -> Float[Array, 'p k-1']:
  """Normalise the sums into alpha, depth and attributes."""
  # Equations 2 and 3: sum of w C over sum of w; the background, which the paper
  # has in both sums, is left to the caller. Equation 4: alpha.
  coverage, weight, channels = sums[:, :1], sums[:, 1:2], sums[:, 2:]
  covered = weight > 0
  blended = channels / jnp.where(covered, weight, 1.0)
  alpha = -jnp.expm1(-coverage) if blend.product else jnp.minimum(coverage, 1.0)
  return jnp.concatenate([alpha, jnp.where(covered, blended, 0.0)], -1)


def draw(
  vertices: Float[Array, 'b v 3'],
  faces: Int[Array | np.ndarray, 'f 3'],
  attributes: Float[Array, 'b v c'],
  intrinsics: Float[Array, 'b 3 3'],
  grid: windows.Grid,
  blend: fragments.Blend,
  *,
  near: float,
  cull_backfaces: bool,
  shader: deferred.Shader | None = None,
  view: Any = None,
) -> Float[Array, 'b h w k']:
  """Draw softly; the arguments are explained in `rasterizer.rasterize`.

  Args:
    vertices: positions in the camera's frame, cm.
    faces: vertex indices of each triangle.
    attributes: numbers per vertex to interpolate.
    intrinsics: normalised intrinsics of each view.
    grid: sizes of images, windows and chunks (static).
    blend: constants of the blending (static).
    near: depth of the near plane, cm; what lies before it is not drawn.
    cull_backfaces: whether to leave out faces seen from behind.
    shader: makes colours of the attributes, see `deferred.Shader`, or None.
    view: what the shader is given along, arrays with the views in front.

  Returns:
    Alpha, depth and attributes, or the shader's colours.
  """
  views, face_count = vertices.shape[0], faces.shape[0]
  projection = 'perspective' if blend.perspective else 'orthographic'
  screen, usable = _screen(vertices, intrinsics, near, projection)
  table = jnp.concatenate([screen, attributes], -1)
  corners = jnp.swapaxes(table[:, faces], -1, -2)
  corners = corners.reshape(views * face_count, 3 * table.shape[-1])
  visible = _visible(lax.stop_gradient(corners), cull_backfaces=cull_backfaces)
  visible &= jnp.all(usable[:, faces], -1).reshape(-1)
  sums = _accumulate(corners, visible, grid, blend)
  images = _finish(sums, blend)
  if shader is not None:
    # Of the face at the pixel's centre: a blend of faces has no one slope.
    triangles = hard.Triangles(
      vertices=vertices,
      faces=faces,
      attributes=attributes,
      intrinsics=intrinsics,
      grid=grid,
      near=near,
      perspective=blend.perspective,
      cull_backfaces=cull_backfaces,
    )
    changes = hard.slopes(triangles)
    covered = sums[:, 1] > 0
    shaded = deferred.shade(shader, view, images[:, 2:], changes, covered, grid)
    images = jnp.concatenate([images[:, :2], shaded], -1)
  return images.reshape(grid.views, grid.size, grid.size, -1)
