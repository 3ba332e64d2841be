"""Even triangulations of a plane region that carries a curved surface.

Points of a parameter plane are pushed apart by springs whose lengths are
measured on the surface, so that the triangles come out even in space and not
in the plane. Boundary points are fixed; the connectivity is Delaunay's. For
surfaces that stretch the plane by up to about 2 : 1 in some direction.

Shapes: N points, L points of a loop, F faces.
Source: P.-O. Persson and G. Strang, "A Simple Mesh Generator in MATLAB",
SIAM Review 46(2), 2004 (repulsive springs; here the boundary is sampled
beforehand and lengths are measured on the embedded surface).
"""

from collections.abc import Callable, Sequence

from jaxtyping import Bool, Float, Int
import numpy as np
import scipy.spatial

# Springs rest a little longer than the wished length, so that all of them
# push (section 3 of the paper uses the same 1.2).
_OVERLENGTH = 1.2
_STEP = 0.2

# From plane points [N, 2] to surface points [N, 3].
Embedding = Callable[[Float[np.ndarray, 'n 2']], Float[np.ndarray, 'n 3']]
# From plane points [N, 2] to the wished edge lengths [N] there.
Sizing = Callable[[Float[np.ndarray, 'n 2']], Float[np.ndarray, 'n']]
_Holes = Sequence[Float[np.ndarray, '_ 2']]


def inside_polygon(
  points: Float[np.ndarray, 'n 2'], polygon: Float[np.ndarray, 'l 2']
) -> Bool[np.ndarray, 'n']:
  """Return which points lie inside a closed polygon (even-odd rule).

  Args:
    points: in the plane.
    polygon: its corners in order, the first not repeated.
  """
  x, y = points[:, 0, None], points[:, 1, None]
  x0, y0 = polygon.T
  x1, y1 = np.roll(polygon, -1, axis=0).T
  straddles = (y0 > y) != (y1 > y)
  rise = np.where(y1 == y0, 1.0, y1 - y0)
  crossing = x0 + (y - y0) * (x1 - x0) / rise
  return np.sum(straddles & (x < crossing), axis=1) % 2 == 1


def resample(
  curve: Float[np.ndarray, 'l 2'],
  embed: Embedding,
  size: Sizing,
  *,
  closed: bool = False,
) -> Float[np.ndarray, 'n 2']:
  """Space points along a curve by the wished edge length on the surface.

  Args:
    curve: dense polyline in the plane.
    embed: plane points [N, 2] -> surface points [N, 3].
    size: plane points [N, 2] -> wished edge length [N] there.
    closed: whether the last point joins the first.

  Returns:
    f[N, 2]: an open curve keeps both of its ends.
  """
  if closed:
    curve = np.concatenate([curve, curve[:1]])
  middle = 0.5 * (curve[1:] + curve[:-1])
  lengths = np.linalg.norm(np.diff(embed(curve), axis=0), axis=1)
  travelled = np.concatenate([[0.0], np.cumsum(lengths / size(middle))])
  count = max(round(travelled[-1]), 2)
  stops = np.linspace(0.0, travelled[-1], count + 1)
  points = np.stack([np.interp(stops, travelled, c) for c in curve.T], -1)
  return points[:-1] if closed else points


def _inside(
  points: Float[np.ndarray, 'n 2'],
  outline: Float[np.ndarray, 'l 2'],
  holes: _Holes,
) -> Bool[np.ndarray, 'n']:
  """Return which points lie in the region."""
  keep = inside_polygon(points, outline)
  for hole in holes:
    keep &= ~inside_polygon(points, hole)
  return keep


def _triangles(
  points: Float[np.ndarray, 'n 2'],
  outline: Float[np.ndarray, 'l 2'],
  holes: _Holes,
) -> Int[np.ndarray, 'f 3']:
  """Return Delaunay triangles with centres in the region, anticlockwise."""
  faces = scipy.spatial.Delaunay(points).simplices
  centres = points[faces].mean(1)
  faces = faces[_inside(centres, outline, holes)]
  a, b, c = (points[faces[:, k]] for k in range(3))
  area = (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]
  return np.where(area[:, None] < 0, faces[:, [0, 2, 1]], faces)


def _spring_moves(
  points: Float[np.ndarray, 'n 2'],
  faces: Int[np.ndarray, 'f 3'],
  embed: Embedding,
  size: Sizing,
) -> Float[np.ndarray, 'n 2']:
  """Return one step of the repulsive springs: the move of every point."""
  bars = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
  bars = np.unique(bars, axis=0)
  first, second = points[bars[:, 0]], points[bars[:, 1]]
  solid = embed(points)
  lengths = np.linalg.norm(solid[bars[:, 0]] - solid[bars[:, 1]], axis=1)
  wished = size(0.5 * (first + second))
  # Of all bars together, springs are 1.2 times as long as there is room for.
  scale = np.sqrt(np.sum(lengths**2) / np.sum(wished**2))
  push = np.maximum(_OVERLENGTH * scale * wished - lengths, 0.0)
  moves = (push / lengths)[:, None] * (first - second)
  total = np.zeros_like(points)
  for axis in range(2):
    total[:, axis] = np.bincount(
      bars[:, 0], moves[:, axis], len(points)
    ) - np.bincount(bars[:, 1], moves[:, axis], len(points))
  return _STEP * total


def _area_stretch(
  points: Float[np.ndarray, 'n 2'], embed: Embedding, delta: float = 1e-4
) -> Float[np.ndarray, 'n']:
  """Return surface area per plane area at every point."""
  du, dv = (
    (embed(points + step) - embed(points - step)) / (2.0 * delta)
    for step in delta * np.eye(2)[:, None]
  )
  return np.linalg.norm(np.cross(du, dv), axis=1)


def _scatter(
  outline: Float[np.ndarray, 'l 2'],
  holes: _Holes,
  embed: Embedding,
  size: Sizing,
) -> Float[np.ndarray, 'n 2']:
  """Return first inner points, as dense as their wished spacing asks."""
  low, high = outline.min(0), outline.max(0)

  def wished(points: Float[np.ndarray, 'n 2']) -> Float[np.ndarray, 'n']:
    # The spacing, measured in the plane.
    return size(points) / np.sqrt(_area_stretch(points, embed))

  def lattice(spacing: float) -> Float[np.ndarray, 'n 2']:
    rows = np.arange(low[1], high[1], spacing * np.sqrt(0.75))
    columns = np.arange(low[0], high[0], spacing)
    grid_x, grid_y = np.meshgrid(columns, rows)
    grid_x[1::2] += 0.5 * spacing
    points = np.stack([grid_x.ravel(), grid_y.ravel()], -1)
    return points[_inside(points, outline, holes)]

  spacing = wished(lattice((high[1] - low[1]) / 40)).min()
  points = lattice(spacing)
  chance = np.random.default_rng(0).uniform(size=len(points))
  points = points[chance < (spacing / wished(points)) ** 2]
  border = scipy.spatial.cKDTree(np.concatenate([outline, *holes]))
  return points[border.query(points)[0] > 0.6 * wished(points)]


def _drop_squeezed(
  points: Float[np.ndarray, 'n 2'],
  faces: Int[np.ndarray, 'f 3'],
  embed: Embedding,
  size: Sizing,
  fixed: int,
) -> Float[np.ndarray, 'm 2']:
  """Drop inner points that have come too near the border or each other."""
  solid = embed(points)
  corners = solid[faces]
  sides = np.linalg.norm(corners - np.roll(corners, -1, axis=1), axis=-1)
  wished = size(points[faces].mean(1))
  a, b, c = np.moveaxis(corners, 1, 0)
  area = 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1)
  quality = 4.0 * np.sqrt(3.0) * area / np.sum(sides**2, axis=1)
  squeezed = (np.sum(faces < fixed, axis=1) == 2) & (quality < 0.4)
  squeezed |= sides.min(axis=1) < 0.4 * wished
  drop = faces[squeezed].max(axis=1)
  return np.delete(points, drop[drop >= fixed], axis=0)


def _edge_pairs(faces: Int[np.ndarray, 'f 3']) -> Int[np.ndarray, 'e 2 2']:
  """Return inner edges as two (face, its corner opposite the edge) each."""
  count = len(faces)
  edges = np.sort(faces[:, [1, 2, 2, 0, 0, 1]].reshape(-1, 2), axis=1)
  order = np.lexsort((edges[:, 1], edges[:, 0]))
  same = np.all(edges[order[1:]] == edges[order[:-1]], axis=1)
  sides = np.stack([order[:-1][same], order[1:][same]], -1)
  assert sides.max() < 3 * count
  return np.stack([sides // 3, sides % 3], -1)


def _flip(
  points: Float[np.ndarray, 'n 2'],
  faces: Int[np.ndarray, 'f 3'],
  solid: Float[np.ndarray, 'n 3'],
) -> Int[np.ndarray, 'f 3']:
  """Flip edges until they are Delaunay on the surface, not in the plane."""

  Corner = Int[np.ndarray, 'e']

  def angles(a: Corner, b: Corner, c: Corner) -> Float[np.ndarray, 'e']:  # at a
    u, v = solid[b] - solid[a], solid[c] - solid[a]
    cross = np.linalg.norm(np.cross(u, v), axis=-1)
    return np.arctan2(cross, np.sum(u * v, -1))

  def turns_left(a: Corner, b: Corner, c: Corner) -> Bool[np.ndarray, 'e']:
    u, v = points[b] - points[a], points[c] - points[a]
    return u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0] > 1e-9

  for _ in range(20):
    (f, k), (g, m) = np.moveaxis(_edge_pairs(faces), 0, -1)
    # Faces (a, b, c) and (d, c, b) share b-c; they become (a, b, d), (d, c, a).
    a, b, c = (faces[f, (k + j) % 3] for j in range(3))
    d = faces[g, m]
    excess = angles(a, b, c) + angles(d, b, c) - np.pi
    want = (excess > 1e-6) & turns_left(a, b, d) & turns_left(d, c, a)
    taken, flips = set(), []
    for e in np.flatnonzero(want)[np.argsort(-excess[want], kind='stable')]:
      if f[e] not in taken and g[e] not in taken:
        taken |= {f[e], g[e]}
        flips.append(e)
    if not flips:
      break
    faces = faces.copy()
    faces[f[flips]] = np.stack([a, b, d], -1)[flips]
    faces[g[flips]] = np.stack([d, c, a], -1)[flips]
  return faces


def triangulate(
  outline: Float[np.ndarray, 'l 2'],
  holes: _Holes,
  embed: Embedding,
  size: Sizing,
  *,
  iterations: int = 60,
) -> tuple[Float[np.ndarray, 'n 2'], Int[np.ndarray, 'f 3']]:
  """Fill a region with even triangles.

  Args:
    outline: the vertices of the outer boundary; every one is kept.
    holes: the vertices of each hole's boundary; every one is kept.
    embed: plane points [N, 2] -> surface points [N, 3].
    size: plane points [N, 2] -> wished edge length [N] there.
    iterations: how many spring steps to take.

  Returns:
    (points, faces): the outline's points first, then the holes' in order,
    then the inner points; faces are anticlockwise in the plane.

  Raises:
    ValueError: a boundary edge is not an edge of the triangulation (the
      edges are too long for the boundary's bends).
  """
  borders = [outline, *holes]
  fixed = np.concatenate(borders)
  points = np.concatenate([fixed, _scatter(outline, holes, embed, size)])
  for iteration in range(iterations):
    # Moves shrink as the springs settle: retriangulate less often then.
    if iteration < 20 or iteration % 3 == 0:
      faces = _triangles(points, outline, holes)
    if iteration in (10, 20, 30, 42):
      points = _drop_squeezed(points, faces, embed, size, len(fixed))
      faces = _triangles(points, outline, holes)
    moved = points + _spring_moves(points, faces, embed, size)
    allowed = _inside(moved, outline, holes)
    allowed[: len(fixed)] = False
    points = np.where(allowed[:, None], moved, points)
  faces = _flip(points, _triangles(points, outline, holes), embed(points))
  _check_border(faces, [len(border) for border in borders])
  return points, faces


def _check_border(
  faces: Int[np.ndarray, 'f 3'], lengths: Sequence[int]
) -> None:
  """Raise unless the boundary loops' edges are all edges of the faces."""
  present = set(
    map(tuple, np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)))
  )
  start = 0
  for length in lengths:
    for k in range(length):
      a, b = start + k, start + (k + 1) % length
      if (min(a, b), max(a, b)) not in present:
        raise ValueError(
          f'boundary edge {a}-{b} was lost: choose a smaller edge length'
        )
    start += length
