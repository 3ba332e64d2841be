"""Sculpt: a list of strokes becomes a coloured mesh.

A head is a list of `Stroke`s, worked off in order like clay: add a solid
(smooth union), carve one away, or paint where a solid is. Heads are mirrored
at x = 0. The field is sampled on the right half of a grid, mirrored, and
meshed by naive surface nets, whose faces are rounder than marching cubes';
then vertices slide onto the surface, and edges that cross a border of colour
are split there, so that eyes and stripes are sharp on a coarse mesh.

Shapes: `n` points, `v` vertices, `f` faces, `q` quads, `i j k` grid nodes.
Centimetres, linear RGB.
Source: S. Gibson, "Constrained elastic surface nets", 1998.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from jaxtyping import Bool, Float, Int
import numpy as np

from maskjax.data.creatures import solids, topology

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

# (points, normals, colours so far) -> colours.
Finish = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
Pattern = Callable[[np.ndarray, np.ndarray], np.ndarray]
Color = Float[np.ndarray, '3'] | Pattern


class Stroke(NamedTuple):
  """One act of the sculptor.

  Attributes:
    act: 'add', 'carve' or 'paint'.
    solid: where.
    color: linear RGB, or a function (points f[n, 3], colours so far
      f[n, 3]) -> f[n, 3]; None keeps the colour that is there. Functions see
      true points, x < 0 included.
    blend: width of the smooth union in cm.
    soft: width of the border of colour in cm.
  """

  act: str
  solid: solids.Solid
  color: Color | None
  blend: solids.Number
  soft: solids.Number


class Grid(NamedTuple):
  """A sampled field: values at origin + index * spacing (cm)."""

  values: Float[np.ndarray, 'i j k']
  origin: Float[np.ndarray, '3']
  spacing: float


def add(
  solid: solids.Solid,
  color: Color | None = None,
  *,
  blend: solids.Number = 0.8,
  soft: solids.Number = 0.25,
) -> Stroke:
  """Return a stroke that joins a solid to what is there."""
  return Stroke(act='add', solid=solid, color=color, blend=blend, soft=soft)


def carve(
  solid: solids.Solid,
  color: Color | None = None,
  *,
  blend: solids.Number = 0.3,
  soft: solids.Number = 0.2,
) -> Stroke:
  """Return a stroke that takes a solid away and colours the hollow."""
  return Stroke(act='carve', solid=solid, color=color, blend=blend, soft=soft)


def paint(
  solid: solids.Solid, color: Color, *, soft: solids.Number = 0.25
) -> Stroke:
  """Return a stroke that only colours what lies inside a solid."""
  return Stroke(act='paint', solid=solid, color=color, blend=0.0, soft=soft)


def _smooth_min(
  a: np.ndarray, b: np.ndarray, width: solids.Number
) -> np.ndarray:
  """Return the minimum, rounded where both differ by less than `width`."""
  if width <= 0:
    return np.minimum(a, b)
  overlap = np.maximum(width - np.abs(a - b), 0)
  return np.minimum(a, b) - overlap * overlap * (0.25 / width)


def _combine(
  stroke: Stroke, field: np.ndarray, distance: np.ndarray
) -> np.ndarray:
  """Return the field after a stroke that adds or carves."""
  if stroke.act == 'add':
    return _smooth_min(field, distance, stroke.blend)
  return -_smooth_min(-field, distance, stroke.blend)


def _step(values: np.ndarray) -> np.ndarray:
  """Return a smooth step from 0 at 0 to 1 at 1."""
  values = np.clip(values, 0, 1)
  return values * values * (3 - 2 * values)


def _margin(stroke: Stroke) -> solids.Number:
  """Return how far (cm) beyond its box a stroke has a say."""
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
    Vertices in cm and faces, counter-clockwise seen from outside. The mesh is
    open where the solid leaves the grid.
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
  return vertices.astype(np.float32), topology.triangulate(vertices, faces)


def _quads(
  inside: Bool[np.ndarray, 'i j k'], index: Int[np.ndarray, 'x y z'], axis: int
) -> Int[np.ndarray, 'q 4']:
  """Return quads around the grid edges along one axis that are crossed."""
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


def look_up(
  grid: Grid, points: Float[np.ndarray, 'n 3']
) -> Float[np.ndarray, 'n']:
  """Return the trilinear field of a grid at points (cm)."""
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


def gradient(
  grid: Grid, points: Float[np.ndarray, 'n 3']
) -> Float[np.ndarray, 'n 3']:
  """Return unit gradients of a grid's field at points (cm)."""
  half = 0.6 * grid.spacing
  columns = [
    look_up(grid, points + half * axis) - look_up(grid, points - half * axis)
    for axis in np.eye(3, dtype=np.float32)
  ]
  slope = np.stack(columns, 1)
  return slope / np.maximum(np.linalg.norm(slope, axis=1, keepdims=True), 1e-6)


def pull(
  grid: Grid, points: Float[np.ndarray, 'n 3'], limit: float = 0.5
) -> Float[np.ndarray, 'n 3']:
  """Move points along the gradient onto the zero set.

  Args:
    grid: the field.
    points: near its zero set, cm.
    limit: how far they move at most, in spacings.
  """
  reach = limit * grid.spacing
  push = np.clip(look_up(grid, points), -reach, reach)[:, None]
  return (points - push * gradient(grid, points)).astype(np.float32)


def _resolve(
  color: Color, points: Float[np.ndarray, 'n 3'], so_far: np.ndarray
) -> np.ndarray:
  """Return the colours of a stroke at points, or its one colour."""
  if callable(color):
    return color(points, so_far)
  return np.asarray(color, np.float32)[None]


def field_and_color(
  strokes: Sequence[Stroke], points: Float[np.ndarray, 'n 3']
) -> tuple[Float[np.ndarray, 'n'], Float[np.ndarray, 'n 3']]:
  """Evaluate a head exactly at points (cm): its field, and linear RGB."""
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


def front(
  strokes: Sequence[Stroke], x: solids.Number, y: solids.Number
) -> float:
  """Return the largest z (cm) of a head's surface on the line (x, y)."""
  z = np.arange(16.0, -7.0, -0.1, dtype=np.float32)
  points = np.stack([np.full_like(z, x), np.full_like(z, y), z], 1)
  solids_only = [
    stroke._replace(color=None) for stroke in strokes if stroke.act != 'paint'
  ]
  field, _ = field_and_color(solids_only, points)
  hits = np.flatnonzero(field < 0)
  return float(z[hits[0]]) if len(hits) else float(z[-1])


def occlusion(
  grid: Grid,
  points: Float[np.ndarray, 'n 3'],
  normals: Float[np.ndarray, 'n 3'],
) -> Float[np.ndarray, 'n']:
  """Return how open the sky is over points: 1 open, toward 0 in creases.

  The field at some height over an open point is that height; what it lacks is
  hidden.
  """
  shade = np.zeros(len(points), np.float32)
  for reach, weight in ((0.7, 0.5), (1.4, 0.3), (2.4, 0.2)):
    distance = look_up(grid, points + reach * normals)
    shade += weight * np.clip(1 - distance / reach, 0, 1)
  return 1 - shade


def _fit_spacing(strokes: Sequence[Stroke], count: int) -> float:
  """Return the grid spacing (cm) that meshes a head in about `count` faces."""
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
  finish: Finish | None = None,
) -> tuple[
  Float[np.ndarray, 'v 3'], Int[np.ndarray, 'f 3'], Float[np.ndarray, 'v 3']
]:
  """Mesh and colour a head.

  Args:
    strokes: the head.
    spacing: grid spacing in cm; None chooses one for about 8,500 faces before
      splits.
    splits: rounds of splitting edges at borders of colour.
    contrast: perceptual (square-root) colour difference that splits an edge.
    most: faces after which no more edges are split.
    finish: maps points f[n, 3], unit normals f[n, 3] and colours f[n, 3] to
      colours; None keeps them.

  Returns:
    Vertices (cm), faces, and linear RGB in [0, 1] of the vertices.
  """
  if spacing is None:
    spacing = _fit_spacing(strokes, 8500)
  grid = sample(strokes, spacing)
  vertices, faces = surface_net(grid)
  vertices = pull(grid, topology.relax(vertices, faces, 0.5))

  def shade(points: Float[np.ndarray, 'n 3']) -> Float[np.ndarray, 'n 3']:
    colors = field_and_color(strokes, points)[1]
    normals = gradient(grid, points)
    if finish is not None:
      colors = finish(points, normals, colors)
    return colors

  colors = shade(vertices)
  for _ in range(splits):
    edges = topology.edge_list(faces)
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
    faces = topology.split_edges(faces, marked, edges, len(vertices))
    vertices = np.concatenate([vertices, middles])
    colors = np.concatenate([colors, shade(middles)])
  normals = gradient(grid, vertices)
  open_sky = occlusion(grid, vertices, normals)[:, None]
  colors = np.clip(colors * (0.45 + 0.55 * open_sky), 0, 1)
  return topology.drop_loose(vertices, faces, colors.astype(np.float32))
