"""The z-buffer of the hard mode: which face a pixel's centre sees.

Corners are given in homogeneous pixels (X, Y, W): the point (X / W, Y / W) of
the screen, in pixels from the centre of the image. With X, Y and W relative
to a pixel's centre, the cross product of two corners is the signed area that
their edge spans with that pixel; all three of one sign means inside, and in
proportion they are the perspective-correct barycentric coordinates. Nothing
is divided by W, so a face may well cross the camera's plane: what counts is
the depth of its point at the pixel (Olano & Greer, "Triangle Scan Conversion
using 2D Homogeneous Coordinates", 1997).

Two faces that share an edge compute the same number for it, bit by bit, but
for its sign: so there are no cracks.

Shapes: `N` faces of all views; `corners` hold X, Y, W and depth of their
three corners, [4, 3, N]; `P` pixels of all views, `G` windows of a chunk, `w`
pixels on a side of a window, `s` pixels of all views with margins, `l` = w * G
lines of windows, `e` edges.
"""

from collections.abc import Sequence
import functools
from typing import Any

import jax
from jax import lax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Shaped
import numpy as np

from maskjax.render.mesh import fragments, windows

# Rounding may move the bounding box of a face by this part of a pixel.
_MARGIN = 1e-2
# A face narrower than this part of its longest edge is seen edge-on. It is
# drawn, but passes no gradient to places, and has no silhouette.
_MIN_ASPECT = 1e-4


def facing(corners: Float[Array, '4 3 n']) -> Float[Array, 'n']:
  """Tell which side of each face is seen.

  Args:
    corners: of all faces, as the module's docstring says.

  Returns:
    -1: the side from which the corners run counter-clockwise; 1: the other
    one; 0: neither, also where a corner is not finite.
  """
  # The sign of det(c_0, c_1, c_2) = c_0 . ((c_1 - c_0) x (c_2 - c_0)): it tells
  # the side even where a corner is behind the camera.
  first, a, b = (corners[:3, i] for i in range(3))
  a, b = a - first, b - first
  normal = [
    a[(i + 1) % 3] * b[(i + 2) % 3] - a[(i + 2) % 3] * b[(i + 1) % 3]
    for i in range(3)
  ]
  side = jnp.sign(sum(p * n for p, n in zip(first, normal)))
  return jnp.where(jnp.isnan(side), 0.0, side)


def steady(corners: Float[Array, '4 3 n']) -> Bool[Array, 'n']:
  """Tell which faces are not seen edge-on.

  Args:
    corners: of all faces, as the module's docstring says.

  Returns:
    False for those narrower than a small part of their longest edge; true for
    all that reach behind the camera.
  """
  x, y, w, _ = corners
  usable = (w[0] > 0) & (w[1] > 0) & (w[2] > 0)
  w = jnp.where(usable[None], w, 1.0)
  dx, dy = (v - jnp.roll(v, 1, 0) for v in (x / w, y / w))
  area = jnp.abs(dx[1] * dy[2] - dy[1] * dx[2])
  longest = functools.reduce(jnp.maximum, dx * dx + dy * dy)
  return ~usable | (area > _MIN_ASPECT * longest)


def cut(
  start: Sequence[Float[Array, '*e']] | Float[Array, 'k *e'],
  end: Sequence[Float[Array, '*e']] | Float[Array, 'k *e'],
  near: float,
) -> list[Float[Array, '*e']]:
  """Move the start of edges to the near plane where it lies before it.

  Args:
    start: any coordinates of one end, depth last: arrays of one shape.
    end: those of the other end.
    near: depth of the near plane, cm; what lies before it is not drawn.

  Returns:
    The coordinates of the first point of the edge not before the plane,
    without depth; meaningless if both ends are before it.
  """
  z, beyond = start[-1], end[-1]
  crosses = (z < near) & (beyond > near)
  along = jnp.where(crosses, (near - z) / jnp.where(crosses, beyond - z, 1), 0)
  return [p + along * (q - p) for p, q in zip(start[:-1], end[:-1])]


def _boxes(
  corners: Float[Array, '4 3 n'], grid: windows.Grid, near: float
) -> Int[Array, 'n 4']:
  """Return the pixels around the part of each face beyond the near plane."""
  spans = []
  # An edge from both of its ends: its corners, and where it meets the plane.
  for turn in (-1, 1):
    others = jnp.roll(corners, turn, 1)
    x, y, w = cut(corners, others, near)
    usable = jnp.maximum(corners[3], others[3]) > near
    w = jnp.where(usable, w, 1.0)
    spans.append((usable, x / w, y / w))
  half = (grid.size - 1) / 2
  boxes = []
  for axis in (1, 2):
    lows = [jnp.where(span[0], span[axis], jnp.inf) for span in spans]
    low = functools.reduce(jnp.minimum, jnp.minimum(lows[0], lows[1]))
    first = jnp.clip(jnp.ceil(low + (half - _MARGIN)), 0, grid.size)
    boxes.append(first.astype(jnp.int32))
  for axis in (1, 2):
    highs = [jnp.where(span[0], span[axis], -jnp.inf) for span in spans]
    high = functools.reduce(jnp.maximum, jnp.maximum(highs[0], highs[1]))
    last = jnp.clip(jnp.floor(high + (half + _MARGIN)), -1, grid.size - 1)
    boxes.append(last.astype(jnp.int32))
  return jnp.stack(boxes, -1)


def _edges(corners: Float[Array, '4 3 n']) -> Float[Array, 'n 21']:
  """Return X, Y, W of starts and ends of the edges, and the corners' depths.

  Edges are directed by their coordinates, not by their face; the sign goes
  to the end, which leaves all roundings as they are. So the faces on both
  sides of an edge compute the same area for it: no pixel is seen by neither.
  """
  starts, ends = (jnp.roll(corners[:3], -turn, 1) for turn in (1, 2))
  forward = starts[2] <= ends[2]
  for a, b in ((starts[1], ends[1]), (starts[0], ends[0])):
    forward = (a < b) | ((a == b) & forward)
  forward = forward[None]
  numbers = [
    jnp.where(forward, starts, ends),
    jnp.where(forward, ends, -starts),
    corners[3:],
  ]
  return jnp.concatenate(numbers).reshape(21, -1).T


def _depths(
  table: Float[Array, 'n 21'],
  place: windows.Place,
  grid: windows.Grid,
  run: Bool[Array, ''],
  near: float,
) -> Float[Array, 'w w g']:
  """Compute the depths of fragments, infinite outside of faces."""
  line = np.arange(grid.window)[None, :, None]

  def relative(
    face: Int[Array, 'g'], left: Float[Array, 'g'], top: Float[Array, 'g']
  ) -> tuple[Float[Array, '3 _ g'], ...]:
    rows = table[face].T.reshape(7, 3, 1, -1)
    # Halves of integers: exact.
    half = (grid.size - 1) / 2
    px = (left - half)[None, None] + jnp.asarray(line, rows.dtype)
    py = (top - half)[None, None] + jnp.asarray(line, rows.dtype)
    x, y, w, x_end, y_end, w_end, z = rows
    # (X, Y) relative to the pixel at p: (X - p_x W, Y - p_y W).
    return (
      x - px * w,
      y - py * w,
      x_end - px * w_end,
      y_end - py * w_end,
      z,
    )

  def depths(
    x: Float[Array, '3 w g'],
    y: Float[Array, '3 w g'],
    x_end: Float[Array, '3 w g'],
    y_end: Float[Array, '3 w g'],
    z: Float[Array, '3 1 g'],
    live: Bool[Array, 'g'],
  ) -> Float[Array, 'w w g']:
    # The edge functions e_i of Olano and Greer, all of one sign inside; depth
    # is sum_i e_i z_i / sum_i e_i, as any attribute is.
    areas = x[:, None] * y_end[:, :, None] - y[:, :, None] * x_end[:, None]
    total = areas[0] + areas[1] + areas[2]
    low = jnp.minimum(jnp.minimum(areas[0], areas[1]), areas[2])
    high = jnp.maximum(jnp.maximum(areas[0], areas[1]), areas[2])
    inside = ((low >= 0) | (high <= 0)) & (total != 0) & live[None, None]
    z = z[:, None]
    depth = areas[0] * z[0] + areas[1] * z[1] + areas[2] * z[2]
    depth = depth / jnp.where(inside, total, 1.0)
    return jnp.where(inside & (depth > near), depth, jnp.inf)

  left, top = (x.astype(table.dtype) for x in (place.left, place.top))
  ends = fragments.staged(run, relative, place.face, left, top)
  return fragments.staged(run, depths, *ends, place.live)


def _canvas(
  grid: windows.Grid, value: float | np.generic, dtype: Any
) -> Shaped[Array, 's']:
  """Return images of a value, with a margin of one window on two sides."""
  return jnp.full((grid.views * (grid.size + grid.window) ** 2,), value, dtype)


def _crop(canvas: Shaped[Array, 's'], grid: windows.Grid) -> Shaped[Array, 'p']:
  """Remove the margin of images."""
  side = grid.size + grid.window
  images = canvas.reshape(grid.views, side, side)
  return images[:, : grid.size, : grid.size].reshape(-1)


def _lines(
  place: windows.Place, grid: windows.Grid, count: int
) -> Int[Array, 'l 1']:
  """Return where in a canvas the lines of windows begin."""
  side = grid.size + grid.window
  view = lax.div(place.face, np.int32(count // grid.views))
  first = (view * side + place.top) * side + place.left
  down = side * np.arange(grid.window, dtype=np.int32)
  return jnp.where(place.live, first[None] + down[:, None], 0).reshape(-1, 1)


def _lower(
  canvas: Shaped[Array, 's'],
  lines: Int[Array, 'l 1'],
  values: Shaped[Array, 'w w g'],
) -> Shaped[Array, 's']:
  """Lower pixels to values of windows, a line at a time."""
  values = jnp.swapaxes(values, 1, 2).reshape(-1, values.shape[1])
  dimensions = lax.ScatterDimensionNumbers((1,), (), (0,))
  return lax.scatter_min(
    canvas, lines, values, dimensions, mode='promise_in_bounds'
  )


def _search_once(
  plan: windows.Plan,
  table: Float[Array, 'n 21'],
  grid: windows.Grid,
  near: float,
) -> tuple[Int[Array, 'p'], Float[Array, 'p']]:
  """Find faces and depths as the least of both in one 64-bit number.

  The depth is in the upper half, the face in the lower one: the least number
  is the nearest depth and, of equally near faces, the first.
  """
  count = plan.ends.shape[0]
  least = (
    np.uint64(np.float32(np.inf).view(np.uint32)) << np.uint64(32)
  ) | np.uint64(count)

  with jax.enable_x64(True):
    shift = np.uint64(32)

    def step(
      keys: Shaped[Array, 's'], place: windows.Place, run: Bool[Array, '']
    ) -> Shaped[Array, 's']:
      depth = _depths(table, place, grid, run, near)
      # The bits of positive floats are in the order of the floats.
      bits = lax.bitcast_convert_type(depth, jnp.uint32).astype(jnp.uint64)
      key = (bits << shift) | place.face[None, None].astype(jnp.uint64)
      key = jnp.where(depth < jnp.inf, key, least)
      return _lower(keys, _lines(place, grid, count), key)

    keys = _canvas(grid, least, jnp.uint64)
    keys = _crop(windows.walk(plan, grid, keys, step), grid)
    depths = lax.bitcast_convert_type(
      (keys >> shift).astype(jnp.uint32), jnp.float32
    )
    return keys.astype(jnp.uint32).astype(jnp.int32), depths


def _search_twice(
  plan: windows.Plan,
  table: Float[Array, 'n 21'],
  grid: windows.Grid,
  near: float,
) -> tuple[Int[Array, 'p'], Float[Array, 'p']]:
  """Find the least depths first, then the first faces that have them."""
  count = plan.ends.shape[0]

  def to_depths(
    nearest: Float[Array, 's'], place: windows.Place, run: Bool[Array, '']
  ) -> Float[Array, 's']:
    depth = _depths(table, place, grid, run, near)
    return _lower(nearest, _lines(place, grid, count), depth)

  depths = _canvas(grid, jnp.inf, table.dtype)
  depths = windows.walk(plan, grid, depths, to_depths)

  def to_faces(
    faces: Int[Array, 's'], place: windows.Place, run: Bool[Array, '']
  ) -> Int[Array, 's']:
    depth = _depths(table, place, grid, run, near)
    lines = _lines(place, grid, count)
    nearest = depths[lines + np.arange(grid.window, dtype=np.int32)[None]]
    nearest = nearest.reshape(grid.window, -1, grid.window).swapaxes(1, 2)
    seen = (depth <= nearest) & (depth < jnp.inf)
    face = jnp.where(seen, place.face[None, None], count)
    return _lower(faces, lines, face)

  faces = _canvas(grid, count, jnp.int32)
  faces = windows.walk(plan, grid, faces, to_faces)
  return _crop(faces, grid), _crop(depths, grid)


def nearest_faces(
  corners: Float[Array, '4 3 n'],
  drawn: Bool[Array, 'n'],
  grid: windows.Grid,
  near: float,
) -> tuple[Int[Array, 'p'], Float[Array, 'p']]:
  """Find the face that the centre of each pixel sees.

  Args:
    corners: of all faces, as the module's docstring says.
    drawn: whether to draw each face.
    grid: sizes of images, windows and chunks (static).
    near: depth of the near plane, cm; what lies before it is not drawn.

  Returns:
    The number of the nearest face, of equally near ones the first, and N
    where there is none; and its depth, infinite where there is none.
  """
  plan = windows.count_windows(_boxes(corners, grid, near), drawn, grid)
  # 64 bits hold depth and face, unless the depth alone takes them.
  one_sweep = corners.dtype == jnp.float32 and jax.default_backend() != 'tpu'
  search = _search_once if one_sweep else _search_twice
  return search(plan, _edges(corners), grid, near)
