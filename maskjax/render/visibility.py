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

Shapes: `N` faces of all views, `R` = 3 * (4 + C) numbers per face: X, Y, W,
depth and `C` attributes of the three corners; `P` pixels of all views, `T`
pixels of a window, `G` windows of a chunk.
"""

import jax
from jax import Array, lax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int
import numpy as np

from maskjax.render import fragments, windows

# Rounding may move the bounding box of a face by this part of a pixel.
_MARGIN = 1e-2
# A face narrower than this part of its longest edge is seen edge-on. It is
# drawn, but passes no gradient to places, and has no silhouette.
_MIN_ASPECT = 1e-4


def columns(
  corners: Float[Array, 'n r'], count: int = 4
) -> list[Float[Array, 'n 3']]:
  """Returns the first numbers of each corner: X, Y, W, depth, attributes.

  Args:
    corners: see above.
    count: how many of them.

  Returns:
    One array per number.
  """
  return [corners[:, 3 * i : 3 * i + 3] for i in range(count)]


def facing(corners: Float[Array, 'n r']) -> Float[Array, 'n']:
  """Tells which side of each face is seen.

  Args:
    corners: see above.

  Returns:
    -1: the side from which the corners run counter-clockwise; 1: the other
    one; 0 (or nan): neither.
  """
  first, a, b = (
    [values[:, i] for values in columns(corners, 3)] for i in range(3)
  )
  a = [p - q for p, q in zip(a, first)]
  b = [p - q for p, q in zip(b, first)]
  normal = [
    a[(i + 1) % 3] * b[(i + 2) % 3] - a[(i + 2) % 3] * b[(i + 1) % 3]
    for i in range(3)
  ]
  return jnp.sign(sum(p * n for p, n in zip(first, normal)))


def steady(corners: Float[Array, 'n r']) -> Bool[Array, 'n']:
  """Tells which faces are not seen edge-on.

  Args:
    corners: see above.

  Returns:
    False for those narrower than a small part of their longest edge; true for
    all that reach behind the camera.
  """
  x, y, w = columns(corners, 3)
  usable = jnp.all(w > 0, -1)
  w = jnp.where(usable[:, None], w, 1.0)
  dx, dy = (v - jnp.roll(v, 1, -1) for v in (x / w, y / w))
  area = jnp.abs(dx[:, 1] * dy[:, 2] - dy[:, 1] * dx[:, 2])
  longest = jnp.max(dx * dx + dy * dy, -1)
  return ~usable | (area > _MIN_ASPECT * longest)


def cut(start, end, near):
  """Moves the start of edges to the near plane where it lies before it.

  Args:
    start: any coordinates of one end, depth last: arrays of one shape.
    end: those of the other end.
    near: depth of the near plane.

  Returns:
    The coordinates of the first point of the edge not before the plane,
    without depth; meaningless if both ends are before it.
  """
  z, beyond = start[-1], end[-1]
  crosses = (z < near) & (beyond > near)
  along = jnp.where(crosses, (near - z) / jnp.where(crosses, beyond - z, 1), 0)
  return [p + along * (q - p) for p, q in zip(start[:-1], end[:-1])]


def _boxes(corners, grid, near):
  """Returns the pixels around the part of each face beyond the near plane."""
  ends = columns(corners)
  spans = []
  # An edge from both of its ends: its corners, and where it meets the plane.
  for turn in (-1, 1):
    others = [jnp.roll(values, turn, -1) for values in ends]
    x, y, w = cut(ends, others, near)
    usable = jnp.maximum(ends[3], others[3]) > near
    w = jnp.where(usable, w, 1.0)
    spans.append((usable, x / w, y / w))
  usable, x, y = (jnp.concatenate(v, -1) for v in zip(*spans))
  half = (grid.size - 1) / 2
  boxes = []
  for values in (x, y):
    low = jnp.min(jnp.where(usable, values, jnp.inf), -1)
    first = jnp.clip(jnp.ceil(low + (half - _MARGIN)), 0, grid.size)
    boxes.append(first.astype(jnp.int32))
  for values in (x, y):
    high = jnp.max(jnp.where(usable, values, -jnp.inf), -1)
    last = jnp.clip(jnp.floor(high + (half + _MARGIN)), -1, grid.size - 1)
    boxes.append(last.astype(jnp.int32))
  return jnp.stack(boxes, -1)


def _edges(corners):
  """Returns X, Y, W of starts and ends of the edges, and depths: [N, 21].

  Edges are directed by their coordinates, not by their face; the sign goes
  to the end, which leaves all roundings as they are.
  """
  *place, z = columns(corners)
  starts = [jnp.roll(values, -1, -1) for values in place]
  ends = [jnp.roll(values, -2, -1) for values in place]
  forward = starts[2] <= ends[2]
  for a, b in reversed(list(zip(starts[:2], ends[:2]))):
    forward = (a < b) | ((a == b) & forward)
  pairs = list(zip(starts, ends))
  return jnp.concatenate(
    [jnp.where(forward, a, b) for a, b in pairs]
    + [jnp.where(forward, b, -a) for a, b in pairs]
    + [z],
    -1,
  )


def _depths(table, place, grid, run, near):
  """Computes the depths [T, G] of fragments, infinite outside of faces."""
  rows = fragments.staged(run, lambda face: table[face].T, place.face)
  row, column = np.divmod(np.arange(grid.window**2), grid.window)
  half = (grid.size - 1) / 2

  def depths(rows, left, top):
    # Halves of integers: exact.
    px = (left - half)[None] + jnp.asarray(column, rows.dtype)[:, None]
    py = (top - half)[None] + jnp.asarray(row, rows.dtype)[:, None]
    x, y, w, x_end, y_end, w_end, z = rows.reshape(7, 3, 1, -1)
    areas = [
      (x[i] - px * w[i]) * (y_end[i] - py * w_end[i])
      - (y[i] - py * w[i]) * (x_end[i] - px * w_end[i])
      for i in range(3)
    ]
    total = areas[0] + areas[1] + areas[2]
    low = jnp.minimum(jnp.minimum(areas[0], areas[1]), areas[2])
    high = jnp.maximum(jnp.maximum(areas[0], areas[1]), areas[2])
    inside = ((low >= 0) | (high <= 0)) & (total != 0)
    depth = areas[0] * z[0] + areas[1] * z[1] + areas[2] * z[2]
    depth = depth / jnp.where(inside, total, 1.0)
    return jnp.where(inside & (depth > near), depth, jnp.inf)

  left, top = (x.astype(table.dtype) for x in (place.left, place.top))
  return fragments.staged(run, depths, rows, left, top)


def _search_once(plan, table, grid, near):
  """Finds faces and depths [P] as the least of both in one 64-bit number."""
  none = np.uint64(plan.ends.shape[0])
  least = (
    np.uint64(np.float32(np.inf).view(np.uint32)) << np.uint64(32)
  ) | none

  with jax.enable_x64(True):
    shift = np.uint64(32)

    def step(keys, place, run):
      _, pixel = windows.pixels(place, grid)
      depth = _depths(table, place, grid, run, near)
      # The bits of positive floats are in the order of the floats.
      bits = lax.bitcast_convert_type(depth, jnp.uint32).astype(jnp.uint64)
      key = (bits << shift) | place.face[None].astype(jnp.uint64)
      key = jnp.where(depth < jnp.inf, key, least)
      return keys.at[pixel].min(key, mode='promise_in_bounds')

    keys = jnp.full((grid.pixels + 1,), least, jnp.uint64)
    keys = windows.walk(plan, grid, keys, step)[:-1]
    depths = lax.bitcast_convert_type(
      (keys >> shift).astype(jnp.uint32), jnp.float32
    )
    return keys.astype(jnp.uint32).astype(jnp.int32), depths


def _search_twice(plan, table, grid, near):
  """Finds the least depths [P] first, then the first faces that have them."""

  def to_depths(nearest, place, run):
    _, pixel = windows.pixels(place, grid)
    depth = _depths(table, place, grid, run, near)
    return nearest.at[pixel].min(depth, mode='promise_in_bounds')

  depths = jnp.full((grid.pixels + 1,), jnp.inf, table.dtype)
  depths = windows.walk(plan, grid, depths, to_depths)
  none = plan.ends.shape[0]

  def to_faces(faces, place, run):
    _, pixel = windows.pixels(place, grid)
    depth = _depths(table, place, grid, run, near)
    nearest = depths.at[pixel].get(mode='promise_in_bounds')
    seen = (depth <= nearest) & (depth < jnp.inf)
    face = jnp.where(seen, place.face[None], none)
    return faces.at[pixel].min(face, mode='promise_in_bounds')

  faces = jnp.full((grid.pixels + 1,), none, jnp.int32)
  faces = windows.walk(plan, grid, faces, to_faces)
  return faces[:-1], depths[:-1]


def nearest_faces(
  corners: Float[Array, 'n r'],
  drawn: Bool[Array, 'n'],
  grid: windows.Grid,
  near: float,
) -> tuple[Int[Array, 'p'], Float[Array, 'p']]:
  """Finds the face that the centre of each pixel sees.

  Args:
    corners: see above.
    drawn: whether to draw a face.
    grid: sizes.
    near: depth of the near plane, cm.

  Returns:
    The number of the nearest face, of equally near ones the first, and N
    where there is none; and its depth, infinite where there is none.
  """
  plan = windows.count_windows(_boxes(corners, grid, near), drawn, grid)
  # 64 bits hold depth and face, unless the depth alone takes them.
  one_sweep = corners.dtype == jnp.float32 and jax.default_backend() != 'tpu'
  search = _search_once if one_sweep else _search_twice
  return search(plan, _edges(corners), grid, near)
