"""Soft rasterizer in pure JAX: triangles to images, with useful gradients.

A face covers a pixel with a probability that falls from 1 to 0 across its
outline (width `sigma`), and the faces at a pixel are blended by a softmax over
depth (width `gamma`). Every face within the blur radius of a pixel counts;
there is no limit of K faces.

The work goes face by face, in small windows of pixels: one sweep finds the
nearest depth per pixel (scatter-min), a second adds up the contributions
(scatter-add), and the derivative is one more sweep that computes them anew.

Source: Liu et al., "Soft Rasterizer: A Differentiable Renderer for
Image-based 3D Reasoning" (2019), and its code.

Shapes: `B` views, `V` vertices, `F` faces, `C` attributes, `H W` pixels, `N`
= B * F, `R` = 3 * (3 + C) numbers per face.
"""

import functools
import math
from typing import NamedTuple

import jax
from jax import Array, lax
import jax.numpy as jnp
from jaxtyping import Float, Int

from maskjax.geometry import camera as camera_lib
from maskjax.render import fragment_gradients, fragments, windows

# Fragments less probable than this do not count: it sets the blur radius.
_LEAST_PROBABILITY = 1e-4
# A face whose doubled area is below this part of its longest edge squared is
# seen edge-on. It is not drawn: its neighbours cover what it covers.
_MIN_ASPECT = 1e-4
# Faces that reach beyond this many half image heights are not drawn.
_MAX_SCREEN = 1e4


class Raster(NamedTuple):
  """What `rasterize` returns.

  Attributes:
    attributes: blended over the faces of each pixel, background excluded; 0
      where no face is.
    alpha: coverage in [0, 1].
    depth: blended like the attributes, cm; 0 where no face is.
  """

  attributes: Float[Array, 'b h w c']
  alpha: Float[Array, 'b h w']
  depth: Float[Array, 'b h w']


def _sums(corners, visible, grid, blend):
  """Returns sums per pixel, nearest depths and the plan of the windows.

  Index `grid.pixels` of sums and depths collects what is not counted: that is
  cheaper than to leave it out.
  """
  plan = windows.plan(corners, visible, grid, blend.blur)

  def to_nearest(nearest, chunk, pixel, _):
    z = fragments.nearest_depth(chunk, blend)
    return nearest.at[pixel].min(z, mode='promise_in_bounds')

  nearest = jnp.full((grid.pixels + 1,), jnp.inf, corners.dtype)
  nearest = windows.sweep(plan, corners, grid, nearest, to_nearest)

  def to_sums(sums, chunk, pixel, _):
    z = nearest.at[pixel].get(mode='promise_in_bounds')
    rows = fragments.contributions(chunk, z, blend)
    return sums.at[pixel].add(rows, mode='promise_in_bounds')

  sums = jnp.zeros((grid.pixels + 1, corners.shape[1] // 3), corners.dtype)
  return windows.sweep(plan, corners, grid, sums, to_sums), nearest, plan


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _accumulate(corners, visible, grid, blend):
  """Adds up the contributions of all fragments to each pixel.

  Args:
    corners: [N, R] screen x of the corners, y, z, attributes.
    visible: [N], whether to draw a face.
    grid: sizes.
    blend: constants.

  Returns:
    [B * H * W, 3 + C]: coverage, sum of weights, weighted sums of depth and
    attributes.
  """
  return _sums(corners, visible, grid, blend)[0][:-1]


def _accumulate_forward(corners, visible, grid, blend):
  """Forward pass that keeps what the backward pass needs."""
  sums, nearest, plan = _sums(corners, visible, grid, blend)
  return sums[:-1], (corners, nearest, plan)


def _accumulate_backward(grid, blend, residuals, upstream):
  """Backward pass: one sweep that computes all fragments anew."""
  corners, nearest, plan = residuals
  table = jnp.pad(upstream, ((0, 1), (0, 0)))
  table = jnp.concatenate([table, nearest[:, None]], -1)

  def flatten(x, y, z, channels):
    # Depth is both a coordinate and the first channel.
    depth, *rest = jnp.moveaxis(channels, 1, 0)
    return jnp.concatenate([x, y, z + depth, *rest])

  def step(gradient, chunk, pixel, place):
    rows = table.at[pixel].get(mode='promise_in_bounds')
    rows = fragments.staged(chunk.run, lambda r: jnp.moveaxis(r, -1, 0), rows)
    by_corner = fragment_gradients.gradients(chunk, rows[-1], rows[:-1], blend)
    by_corner = fragments.staged(chunk.run, flatten, *by_corner)
    index = jnp.where(place.live, place.face, corners.shape[0])
    return gradient.at[index].add(by_corner.T, mode='drop')

  zeros = jnp.zeros(corners.shape, corners.dtype)
  return windows.sweep(plan, corners, grid, zeros, step), None


_accumulate.defvjp(_accumulate_forward, _accumulate_backward)


def _screen(vertices, intrinsics, near):
  """Projects vertices; those not beyond `near` go to the optical axis."""
  usable = vertices[..., 2:] > near
  axis = jnp.asarray([0.0, 0.0, 1.0], vertices.dtype)[None, None]
  image, depth = camera_lib.project_camera_points(
    intrinsics, jnp.where(usable, vertices, axis)
  )
  screen = jnp.concatenate([2 * image - 1, depth[..., None]], -1)
  return screen, usable[..., 0]


def _visible(corners, cull_backfaces):
  """Tells which faces [N, R] have a direction and a sane size."""
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


def _finish(sums, grid, blend):
  """Normalises the sums into images."""
  coverage, weight, channels = sums[:, :1], sums[:, 1:2], sums[:, 2:]
  covered = weight > 0
  blended = channels / jnp.where(covered, weight, 1.0)
  alpha = -jnp.expm1(-coverage) if blend.product else jnp.minimum(coverage, 1.0)
  images = jnp.concatenate([alpha, jnp.where(covered, blended, 0.0)], -1)
  return images.reshape(grid.views, grid.size, grid.size, -1)


def _blur(sigma):
  """Returns the distance at which the probability is too small to count."""
  return math.sqrt(sigma * math.log(1 / _LEAST_PROBABILITY - 1))


def _grid(views, face_count, size, sigma, window):
  """Picks the sizes of windows and chunks."""
  if window is None:
    # Half of the faces look at the camera and cover half of the image.
    side = size * (math.sqrt(2 / max(face_count, 1)) + _blur(sigma))
    window = 4 if side < 6 else 8 if side < 32 else 16
  # The arrays of a chunk should fit into the cache of a CPU.
  evaluations = 2**14 if jax.default_backend() == 'cpu' else 2**20
  return windows.Grid(views, size, window, max(evaluations // window**2, 1))


def _check(vertices, faces, attributes, intrinsics, options, grid):
  """Raises ValueError for shapes and numbers that cannot be drawn."""
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


def rasterize(
  vertices_camera: Float[Array, 'b v 3'],
  faces: Int[Array, 'f 3'],
  attributes: Float[Array, 'b v c'],
  intrinsics: Float[Array, 'b 3 3'],
  *,
  size: int,
  sigma: float = 1e-4,
  gamma: float = 1e-4,
  depth_range: tuple[float, float] = (1.0, 100.0),
  coverage: str = 'product',
  cull_backfaces: bool = False,
  window: int | None = None,
) -> Raster:
  """Draws triangles softly, with gradients by vertices and attributes.

  Faces with a corner at or before the near plane, seen exactly edge-on, or
  reaching 10,000 half images away are not drawn; neither are faces (0, 0, 0).

  Args:
    vertices_camera: OpenCV camera frame (x right, y down, z forward), cm.
    faces: vertex indices, counter-clockwise seen from outside.
    attributes: numbers per vertex to interpolate, perspective-correct.
    intrinsics: normalised intrinsics.
    size: image height and width in pixels.
    sigma: softness of outlines: the probability of a face at distance d is
      sigmoid(+-d^2 / sigma), the image height being 2 units. At 64 pixels
      1e-4 is soft, with a blur radius of one pixel; 1e-8 is practically hard
      at any size.
    gamma: softness of occlusion, as a part of the depth range: a face that
      lies gamma * (far - near) cm behind another has 1/e of its weight.
    depth_range: (near, far) in cm; near is the near plane, far only scales
      gamma.
    coverage: 'product': alpha = 1 - product(1 - probability), the paper's
      equation 4, which takes faces as independent and so drops to 0.75 on
      the seam of two faces; 'sum': alpha = min(1, sum(probability)), which
      is seamless.
    cull_backfaces: whether to leave out faces seen from behind.
    window: side in pixels of the windows that faces are cut into, or None to
      pick one by the expected size of a face. It changes the speed only.

  Returns:
    Raster.

  Raises:
    ValueError: for shapes that do not fit, options out of range, or more
      windows than 32-bit integers can count.
  """
  near, far = depth_range
  if coverage not in ('product', 'sum'):
    raise ValueError(f"coverage must be 'product' or 'sum', got {coverage!r}.")
  views, face_count = vertices_camera.shape[0], faces.shape[0]
  grid = _grid(views, face_count, size, sigma, window)
  options = {'size': size, 'sigma': sigma, 'gamma': gamma, 'near': near}
  options |= {'far - near': far - near, 'window': grid.window}
  _check(vertices_camera, faces, attributes, intrinsics, options, grid)
  blend = fragments.Blend(
    sigma=float(sigma),
    blur=_blur(sigma),
    depth_rate=1.0 / (gamma * (far - near)),
    product=coverage == 'product',
  )
  screen, usable = _screen(vertices_camera, intrinsics, near)
  table = jnp.concatenate([screen, attributes], -1)
  corners = jnp.swapaxes(table[:, faces], -1, -2)
  corners = corners.reshape(views * face_count, 3 * table.shape[-1])
  visible = _visible(lax.stop_gradient(corners), cull_backfaces)
  visible &= jnp.all(usable[:, faces], -1).reshape(-1)
  images = _finish(_accumulate(corners, visible, grid, blend), grid, blend)
  return Raster(images[..., 2:], images[..., 0], images[..., 1])
