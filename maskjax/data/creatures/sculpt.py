"""Sculpt: a list of strokes becomes a coloured mesh.

A head is a list of `Stroke`s, worked off in order like clay: add a solid
(smooth union), carve one away, or paint where a solid is. Heads are mirrored
at x = 0. The field is sampled on the right half of a grid, mirrored, and
meshed by naive surface nets, whose faces are rounder than marching cubes';
then vertices slide onto the surface, and edges that cross a border of colour
are split there, so that eyes and stripes are sharp on a coarse mesh.

N points, V vertices, F faces, X Y Z grid nodes. Centimetres, linear RGB.
Source: S. Gibson, "Constrained elastic surface nets", 1998.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from jaxtyping import Float, Int
import numpy as np

from maskjax.data.creatures import solids

FAR = 3.0  # cm: the field where nothing is near
_BACK = -6.0  # cm: the mask ends here, open
_CORNERS = np.array(
  [[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)], np.int32
)
_CELL_EDGES = [
  (a, b)
  for a in range(8)
  for b in range(a + 1, 8)
  if np.abs(_CORNERS[a] - _CORNERS[b]).sum() == 1
]

Color = np.ndarray | Callable[[np.ndarray, np.ndarray], np.ndarray]


class Stroke(NamedTuple):
  """One act of the sculptor.

  Attributes:
    act: 'add', 'carve' or 'paint'.
    solid: where.
    color: f[3] linear RGB, or a function (points f[N, 3], colours so far
      f[N, 3]) -> f[N, 3]; None keeps the colour that is there. Functions see
      true points, x < 0 included.
    blend: width of the smooth union in cm.
    soft: width of the border of colour in cm.
  """

  act: str
  solid: solids.Solid
  color: Color | None
  blend: float
  soft: float


class Grid(NamedTuple):
  """A sampled field: values f[X, Y, Z] at origin + index * spacing (cm)."""

  values: np.ndarray
  origin: np.ndarray
  spacing: float


def add(solid, color=None, *, blend=0.8, soft=0.25) -> Stroke:
  """Return a stroke that joins a solid to what is there."""
  return Stroke('add', solid, color, blend, soft)


def carve(solid, color=None, *, blend=0.3, soft=0.2) -> Stroke:
  """Return a stroke that takes a solid away and colours the hollow."""
  return Stroke('carve', solid, color, blend, soft)


def paint(solid, color, *, soft=0.25) -> Stroke:
  """Return a stroke that only colours what lies inside a solid."""
  return Stroke('paint', solid, color, 0.0, soft)


def _smooth_min(a, b, width):
  if width <= 0:
    return np.minimum(a, b)
  overlap = np.maximum(width - np.abs(a - b), 0)
  return np.minimum(a, b) - overlap * overlap * (0.25 / width)


def _combine(stroke: Stroke, field, distance):
  if stroke.act == 'add':
    return _smooth_min(field, distance, stroke.blend)
  return -_smooth_min(-field, distance, stroke.blend)


def _step(values):
  values = np.clip(values, 0, 1)
  return values * values * (3 - 2 * values)


def _margin(stroke: Stroke) -> float:
  return stroke.blend + 2 * stroke.soft + 1.0


def sample(
  strokes: Sequence[Stroke], spacing: float, back: float = _BACK
) -> Grid:
  """Sample the field of a head on a grid that is symmetric about x = 0.

  Args:
    strokes: the head.
    spacing: distance of grid nodes in cm.
    back: z in cm where the grid, and the mask, ends.

  Returns:
    The grid.
  """
  bodies = [stroke.solid for stroke in strokes if stroke.act == 'add']
  low = np.min([body.low for body in bodies], 0) - 0.3 - spacing
  high = np.max([body.high for body in bodies], 0) + 0.3 + spacing
  low[0], low[2] = 0.0, max(low[2], back)
  start = np.floor(low / spacing) * spacing
  start[2] = low[2]
  counts = np.ceil((high - start) / spacing).astype(int) + 1
  axes = [start[i] + spacing * np.arange(counts[i]) for i in range(3)]
  axes = [axis.astype(np.float32) for axis in axes]
  field = np.full(counts, FAR, np.float32)
  for stroke in strokes:
    if stroke.act == 'paint':
      continue
    margin = stroke.blend + 1.0
    spans = [
      slice(
        *np.searchsorted(
          axes[i],
          [stroke.solid.low[i] - margin, stroke.solid.high[i] + margin],
        )
      )
      for i in range(3)
    ]
    x, y, z = (axes[i][spans[i]] for i in range(3))
    distance = stroke.solid.distance(
      x[:, None, None], y[None, :, None], z[None, None, :]
    )
    part = field[tuple(spans)]
    field[tuple(spans)] = np.clip(_combine(stroke, part, distance), -FAR, FAR)
  values = np.concatenate([field[:0:-1], field])
  origin = np.array([-axes[0][-1], start[1], start[2]], np.float32)
  return Grid(values, origin, spacing)


def surface_net(
  grid: Grid,
) -> tuple[Float[np.ndarray, 'v 3'], Int[np.ndarray, 'f 3']]:
  """Mesh the zero set of a grid: one vertex per crossed cell.

  Returns:
    Vertices f[V, 3] in cm and faces i[F, 3], counter-clockwise seen from
    outside. The mesh is open where the solid leaves the grid.
  """
  values = grid.values
  shape = np.array(values.shape)
  inside = values < 0
  cells = tuple(shape - 1)
  total = np.zeros(cells, np.int8)
  for corner in _CORNERS:
    total += inside[tuple(slice(c, c + n) for c, n in zip(corner, cells))]
  active = np.argwhere((total > 0) & (total < 8))
  corners = active[:, None] + _CORNERS[None]
  samples = values[corners[..., 0], corners[..., 1], corners[..., 2]]
  sums = np.zeros((len(active), 3), np.float32)
  hits = np.zeros((len(active), 1), np.float32)
  for a, b in _CELL_EDGES:
    crossed = (samples[:, a] < 0) != (samples[:, b] < 0)
    gap = np.where(crossed, samples[:, a] - samples[:, b], 1.0)
    t = np.clip(samples[:, a] / gap, 0, 1)[:, None]
    point = _CORNERS[a] + t * (_CORNERS[b] - _CORNERS[a])
    sums += np.where(crossed[:, None], point, 0)
    hits += crossed[:, None]
  vertices = grid.origin + grid.spacing * (active + sums / hits)
  index = np.full(cells, -1, np.int32)
  index[tuple(active.T)] = np.arange(len(active))
  faces = np.concatenate([_quads(inside, index, axis) for axis in range(3)])
  return vertices.astype(np.float32), _triangulate(vertices, faces)


def _quads(inside, index, axis: int) -> np.ndarray:
  """Quads i[Q, 4] around the grid edges along one axis that are crossed."""
  here = np.moveaxis(inside, axis, 0)
  ids = np.moveaxis(index, axis, 0)
  edges = np.argwhere(here[:-1, 1:-1, 1:-1] != here[1:, 1:-1, 1:-1])
  i, j, k = edges[:, 0], edges[:, 1] + 1, edges[:, 2] + 1
  quads = np.stack(
    [ids[i, j - 1, k - 1], ids[i, j, k - 1], ids[i, j, k], ids[i, j - 1, k]], 1
  )
  # moveaxis by one step keeps handedness for axes 0 and 2 only.
  outward = here[i, j, k] ^ (axis == 1)
  return np.where(outward[:, None], quads, quads[:, ::-1])


def _triangulate(vertices, quads) -> np.ndarray:
  """Split quads along their shorter diagonal, mirror images alike."""
  a, b, c, d = (vertices[quads[:, i]] for i in range(4))
  first = np.linalg.norm(a - c, axis=1)
  second = np.linalg.norm(b - d, axis=1)
  turn = (first > second)[:, None]
  turned = np.roll(quads, -1, axis=1)
  quads = np.where(turn, turned, quads)
  return np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])


def look_up(grid: Grid, points: Float[np.ndarray, 'n 3']) -> np.ndarray:
  """Return the trilinear field f[N] of a grid at points f[N, 3] (cm)."""
  where = (points - grid.origin) / grid.spacing
  top = np.array(grid.values.shape) - 2
  base = np.clip(np.floor(where).astype(int), 0, top)
  t = np.clip(where - base, 0, 1)
  result = 0.0
  for corner in _CORNERS:
    weight = np.prod(np.where(corner, t, 1 - t), axis=1)
    i, j, k = (base + corner).T
    result = result + weight * grid.values[i, j, k]
  beyond = np.maximum(np.maximum(-where, where - top - 1), 0)
  result = result + grid.spacing * np.linalg.norm(beyond, axis=1)
  return result.astype(np.float32)


def gradient(grid: Grid, points: Float[np.ndarray, 'n 3']) -> np.ndarray:
  """Return unit gradients f[N, 3] of a grid's field at points (cm)."""
  half = 0.6 * grid.spacing
  columns = [
    look_up(grid, points + half * axis) - look_up(grid, points - half * axis)
    for axis in np.eye(3, dtype=np.float32)
  ]
  slope = np.stack(columns, 1)
  return slope / np.maximum(np.linalg.norm(slope, axis=1, keepdims=True), 1e-6)


def pull(grid: Grid, points, limit: float = 0.5) -> np.ndarray:
  """Move points f[N, 3] along the gradient onto the zero set."""
  reach = limit * grid.spacing
  push = np.clip(look_up(grid, points), -reach, reach)[:, None]
  return (points - push * gradient(grid, points)).astype(np.float32)


def edge_list(faces: Int[np.ndarray, 'f 3']) -> Int[np.ndarray, 'e 2']:
  """Return the undirected edges i[E, 2] of faces, lower index first."""
  pairs = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), 1)
  return np.unique(pairs, axis=0)


def relax(vertices, faces, amount: float) -> np.ndarray:
  """Return vertices moved toward the mean of their neighbours; rims stay."""
  sides = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), 1)
  edges, uses = np.unique(sides, axis=0, return_counts=True)
  sums = np.zeros_like(vertices)
  counts = np.zeros((len(vertices), 1), np.float32)
  for a, b in ((0, 1), (1, 0)):
    np.add.at(sums, edges[:, a], vertices[edges[:, b]])
    np.add.at(counts, edges[:, a], 1)
  move = sums / np.maximum(counts, 1) - vertices
  move[edges[uses == 1].ravel()] = 0
  return (vertices + amount * move).astype(np.float32)


def _resolve(color, points, so_far):
  if callable(color):
    return color(points, so_far)
  return np.asarray(color, np.float32)[None]


def field_and_color(
  strokes: Sequence[Stroke], points: Float[np.ndarray, 'n 3']
) -> tuple[Float[np.ndarray, 'n'], Float[np.ndarray, 'n 3']]:
  """Evaluate a head exactly at points (cm): field f[N], linear RGB f[N, 3]."""
  points = np.asarray(points, np.float32)
  field = np.full(len(points), FAR, np.float32)
  colors = np.full(points.shape, 0.5, np.float32)
  folded = points.copy()
  folded[:, 0] = np.abs(folded[:, 0])
  for stroke in strokes:
    margin = _margin(stroke)
    near = np.all(
      (folded > stroke.solid.low - margin)
      & (folded < stroke.solid.high + margin),
      axis=1,
    )
    chosen = np.flatnonzero(near)
    if not len(chosen):
      continue
    distance = stroke.solid.distance(*folded[chosen].T)
    before = field[chosen]
    if stroke.act == 'add':
      weight = _step(0.5 + 0.5 * (before - distance) / stroke.soft)
      field[chosen] = _combine(stroke, before, distance)
    elif stroke.act == 'carve':
      weight = _step(0.5 + 0.5 * (-distance - before) / stroke.soft)
      field[chosen] = _combine(stroke, before, distance)
    else:
      weight = _step(0.5 - distance / stroke.soft)
    if stroke.color is not None:
      target = _resolve(stroke.color, points[chosen], colors[chosen])
      colors[chosen] += weight[:, None] * (target - colors[chosen])
  return field, colors


def front(strokes: Sequence[Stroke], x: float, y: float) -> float:
  """Return the largest z (cm) of a head's surface on the line (x, y)."""
  z = np.arange(16.0, -7.0, -0.1, dtype=np.float32)
  points = np.stack([np.full_like(z, x), np.full_like(z, y), z], 1)
  solids_only = [
    stroke._replace(color=None) for stroke in strokes if stroke.act != 'paint'
  ]
  field, _ = field_and_color(solids_only, points)
  hits = np.flatnonzero(field < 0)
  return float(z[hits[0]]) if len(hits) else float(z[-1])


def split_edges(faces, marked: np.ndarray, edges, count: int):
  """Split marked edges at new vertices; faces stay joined.

  Args:
    faces: i[F, 3].
    marked: b[E], which edges to split.
    edges: i[E, 2], sorted pairs as of `edge_list`.
    count: number of vertices; new vertices follow, in the order of edges.

  Returns:
    i[F', 3] faces.
  """
  codes = edges[:, 0].astype(np.int64) * count + edges[:, 1]
  fresh = np.full(len(edges), -1, np.int64)
  fresh[marked] = count + np.arange(int(marked.sum()))
  ends = np.sort(np.stack([faces, np.roll(faces, -1, 1)], -1), -1)
  place = np.searchsorted(
    codes, ends[..., 0].astype(np.int64) * count + ends[..., 1]
  )
  middle = fresh[place]  # [F, 3]: the new vertex of edge (i, i + 1), or -1
  number = (middle >= 0).sum(1)
  # Turn each face so that its split edges come first (of two: 0 and 1).
  key = np.where(
    number == 1,
    np.argmax(middle >= 0, 1),
    np.where(number == 2, (np.argmin(middle, 1) + 1) % 3, 0),
  )
  order = (key[:, None] + np.arange(3)) % 3
  corner = np.take_along_axis(faces.astype(np.int64), order, 1)
  middle = np.take_along_axis(middle, order, 1)
  a, b, c = corner.T
  m, n, o = middle.T
  tables = {
    0: [(a, b, c)],
    1: [(a, m, c), (m, b, c)],
    2: [(m, b, n), (a, m, n), (a, n, c)],
    3: [(a, m, o), (m, b, n), (o, n, c), (m, n, o)],
  }
  parts = [
    np.stack(triangle, 1)[number == amount]
    for amount, triangles in tables.items()
    for triangle in triangles
  ]
  return np.concatenate(parts).astype(np.int32)


def occlusion(grid: Grid, points, normals) -> Float[np.ndarray, 'n']:
  """Return how open the sky is over points: 1 open, toward 0 in creases."""
  shade = np.zeros(len(points), np.float32)
  for reach, weight in ((0.7, 0.5), (1.4, 0.3), (2.4, 0.2)):
    distance = look_up(grid, points + reach * normals)
    shade += weight * np.clip(1 - distance / reach, 0, 1)
  return 1 - shade


def _drop_loose(vertices, faces, colors):
  """Remove degenerate faces and vertices that no face uses."""
  a, b, c = (vertices[faces[:, i]] for i in range(3))
  area = 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1)
  faces = faces[area > 1e-5]
  used, inverse = np.unique(faces, return_inverse=True)
  faces = inverse.reshape(faces.shape).astype(np.int32)
  return vertices[used], faces, colors[used]


def _fit_spacing(strokes, count: int) -> float:
  """Grid spacing (cm) that meshes a head in about `count` faces."""
  trial = 0.9
  _, faces = surface_net(sample(strokes, trial))
  spacing = trial * np.sqrt(len(faces) / count)
  return float(np.clip(spacing, 0.4, 0.65))


def mesh_arrays(
  strokes: Sequence[Stroke],
  *,
  spacing: float | None = None,
  splits: int = 2,
  contrast: float = 0.18,
  most: int = 16000,
  finish: Callable | None = None,
):
  """Mesh and colour a head.

  Args:
    strokes: the head.
    spacing: grid spacing in cm; None chooses one for about 8,500 faces before
      splits.
    splits: rounds of splitting edges at borders of colour.
    contrast: perceptual (square-root) colour difference that splits an edge.
    most: faces after which no more edges are split.
    finish: maps (points f[N, 3], normals f[N, 3], colors f[N, 3]) to colours;
      normals are of unit length.

  Returns:
    vertices f[V, 3] cm, faces i[F, 3], colors f[V, 3] linear RGB in [0, 1].
  """
  if spacing is None:
    spacing = _fit_spacing(strokes, 8500)
  grid = sample(strokes, spacing)
  vertices, faces = surface_net(grid)
  vertices = pull(grid, relax(vertices, faces, 0.5))

  def shade(points):
    colors = field_and_color(strokes, points)[1]
    normals = gradient(grid, points)
    if finish is not None:
      colors = finish(points, normals, colors)
    return colors

  colors = shade(vertices)
  for _ in range(splits):
    edges = edge_list(faces)
    tone = np.sqrt(np.clip(colors, 0, 1))
    change = np.abs(tone[edges[:, 0]] - tone[edges[:, 1]]).max(1)
    ends = vertices[edges]
    length = np.linalg.norm(ends[:, 0] - ends[:, 1], axis=1)
    score = np.where(length > 0.3 * spacing, change, 0)
    room = max((most - len(faces)) // 2, 0)
    bar = contrast
    if (score > bar).sum() > room:
      bar = max(bar, np.sort(score)[-room - 1] if room else np.inf)
    marked = score > bar
    if not marked.any():
      break
    middles = pull(grid, ends[marked].mean(1), limit=0.3)
    faces = split_edges(faces, marked, edges, len(vertices))
    vertices = np.concatenate([vertices, middles])
    colors = np.concatenate([colors, shade(middles)])
  normals = gradient(grid, vertices)
  open_sky = occlusion(grid, vertices, normals)[:, None]
  colors = np.clip(colors * (0.45 + 0.55 * open_sky), 0, 1)
  return _drop_loose(vertices, faces, colors.astype(np.float32))
