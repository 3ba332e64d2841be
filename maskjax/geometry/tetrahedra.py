"""Marching tetrahedra on a grid: a signed distance becomes a mesh.

Every cube of a regular grid is cut into six tetrahedra along its diagonal
(Kuhn's way, so that neighbours agree). Where the sign changes along an edge
lies a vertex, by linear interpolation, and every tetrahedron with both signs
holds one or two triangles. All shapes are static: vertices and triangles fill
lists of a capacity that is chosen before, and `Marched` tells whether they
were long enough. Gradients reach the distances through the vertices.

Sources: Doi and Koide, "An Efficient Method of Triangulating Equi-Valued
Surfaces by Using Tetrahedral Cells" (1991); Shen et al., "Deep Marching
Tetrahedra" (2021), section 3.2, for its derivative.

Shapes: `X Y Z` grid points, `N` = X * Y * Z, `V F` capacities, `C` channels.
"""

from collections.abc import Sequence
import functools
import itertools
from typing import NamedTuple

import jax
from jax import lax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int
import numpy as np

# Edges lead from a grid point in one of these directions.
_DIRECTIONS = (
  (1, 0, 0),
  (0, 1, 0),
  (0, 0, 1),
  (1, 1, 0),
  (0, 1, 1),
  (1, 0, 1),
  (1, 1, 1),
)


class Grid(NamedTuple):
  """A regular grid (static).

  Attributes:
    shape: grid points along x, y and z, at least 2.
    origin: position of the first, cm.
    cell: distance of neighbours, cm.
  """

  shape: tuple[int, int, int]
  origin: tuple[float, float, float]
  cell: float

  @property
  def points(self) -> int:
    """Number of grid points."""
    return int(np.prod(self.shape))


class Capacity(NamedTuple):
  """Lengths of the lists (static).

  Attributes:
    tetrahedra: how many tetrahedra have both signs.
    vertices: how many vertices the mesh has.
    faces: how many faces the mesh has.
  """

  tetrahedra: int
  vertices: int
  faces: int


class Marched(NamedTuple):
  """A padded mesh.

  Attributes:
    vertices: cm; those that are not used repeat the grid's origin.
    values: what was interpolated along.
    faces: vertex indices, counter-clockwise seen from where the distance is
      positive; those that are not used are (0, 0, 0), which nobody draws.
    needed: how many tetrahedra, vertices and faces there are.
    overflow: whether one of the lists was too short; the mesh has holes then.
  """

  vertices: Float[Array, 'v 3']
  values: Float[Array, 'v c'] | None
  faces: Int[Array, 'f 3']
  needed: Int[Array, '3']
  overflow: Bool[Array, '']


class _Table(NamedTuple):
  """How tetrahedra are cut: six kinds, sixteen patterns of signs.

  Attributes:
    corners: of the four corners of a kind, steps along x, y, z [6, 4, 3].
    counts: number of triangles of a pattern [16].
    starts: of the triangles' three vertices, the step from the cube's first
      corner to where the edge begins [6, 16, 2, 3, 3],
    kinds: and the number of its direction [6, 16, 2, 3].
  """

  corners: np.ndarray
  counts: np.ndarray
  starts: np.ndarray
  kinds: np.ndarray


def _triangles(inside: tuple[bool, ...]) -> list[list[tuple[int, int]]]:
  """Return the triangles of a pattern, their vertices given by edges."""
  within = [i for i in range(4) if inside[i]]
  without = [i for i in range(4) if not inside[i]]
  if len(within) in (1, 3):
    (single,) = within if len(within) == 1 else without
    others = without if len(within) == 1 else within
    return [[(min(single, o), max(single, o)) for o in others]]
  if len(within) != 2:
    return []
  (a, b), (c, d) = within, without
  ring = [(a, c), (a, d), (b, d), (b, c)]
  ring = [(min(e), max(e)) for e in ring]
  return [[ring[0], ring[1], ring[2]], [ring[0], ring[2], ring[3]]]


def _outward(
  corners: Int[np.ndarray, '4 3'],
  inside: tuple[bool, ...],
  triangle: list[tuple[int, int]],
) -> list[tuple[int, int]]:
  """Turn a triangle such that it is seen from the outside."""
  points = [(corners[i] + corners[j]) / 2 for i, j in triangle]
  normal = np.cross(points[1] - points[0], points[2] - points[0])
  flags = np.array(inside)
  outward = corners[~flags].mean(0) - corners[flags].mean(0)
  return triangle if normal @ outward > 0 else triangle[::-1]


@functools.lru_cache(maxsize=1)
def _table() -> _Table:
  """Build the table."""
  corners = np.zeros((6, 4, 3), np.int64)
  starts = np.zeros((6, 16, 2, 3, 3), np.int64)
  kinds = np.zeros((6, 16, 2, 3), np.int64)
  counts = np.zeros(16, np.int64)
  for number, order in enumerate(itertools.permutations(range(3))):
    for step, axis in enumerate(order):
      corners[number, step + 1 :, axis] += 1
    for code in range(16):
      inside = tuple(bool(code >> i & 1) for i in range(4))
      found = _triangles(inside)
      counts[code] = len(found)
      for t, triangle in enumerate(found):
        turned = _outward(corners[number], inside, triangle)
        for k, (i, j) in enumerate(turned):
          starts[number, code, t, k] = corners[number, i]
          way = tuple((corners[number, j] - corners[number, i]).tolist())
          kinds[number, code, t, k] = _DIRECTIONS.index(way)
  return _Table(corners, counts, starts, kinds)


def _strides(grid: Grid) -> Int[np.ndarray, '3']:
  """Return how far neighbours in x, y and z are apart in a flat list."""
  return np.array([grid.shape[1] * grid.shape[2], grid.shape[2], 1])


def _shifted(
  values: Int[Array, 'x y z'], step: Sequence[int]
) -> Int[Array, 'x-1 y-1 z-1']:
  """Return the values of the cubes' corners at `step`, [X-1, Y-1, Z-1]."""
  return values[tuple(slice(s, n - 1 + s) for s, n in zip(step, values.shape))]


def _patterns(inside: Bool[Array, 'x y z']) -> Int[Array, '6 x-1 y-1 z-1']:
  """Return the pattern of signs of all tetrahedra, one bit a corner."""
  signs = inside.astype(jnp.int32)
  return jnp.stack(
    [
      sum(_shifted(signs, step) << i for i, step in enumerate(corners.tolist()))
      for corners in _table().corners
    ]
  )


def _crossings(inside: Bool[Array, 'x y z']) -> Bool[Array, '7 x y z']:
  """Tell which edges change sign; edges are not wrapped."""
  found = []
  for way in _DIRECTIONS:
    kept = tuple(slice(0, n - d) for n, d in zip(inside.shape, way))
    ends = tuple(slice(d, None) for d in way)
    crossed = inside[kept] != inside[ends]
    found.append(jnp.pad(crossed, [(0, d) for d in way]))
  return jnp.stack(found)


def positions(grid: Grid) -> Float[np.ndarray, 'n 3']:
  """Return where the grid points lie, cm, x slowest."""
  axes = [o + grid.cell * np.arange(n) for o, n in zip(grid.origin, grid.shape)]
  return np.stack(np.meshgrid(*axes, indexing='ij'), -1).reshape(-1, 3)


def needed(distances: Float[Array, 'x y z']) -> Int[Array, '3']:
  """Count the tetrahedra with both signs, vertices and faces of a surface.

  Args:
    distances: at the grid points, negative inside, in any unit.

  Returns:
    The three numbers, in this order.
  """
  inside = distances < 0
  patterns = _patterns(inside)
  both = jnp.sum((patterns > 0) & (patterns < 15))
  faces = jnp.sum(jnp.asarray(_table().counts)[patterns])
  crossed = jnp.sum(_crossings(inside))
  return jnp.stack([both, crossed, faces]).astype(jnp.int32)


def choose_capacity(
  distances: Float[Array, 'x y z'], headroom: float = 2.0
) -> Capacity:
  """Choose the lengths of the lists by a surface that is to be changed.

  Args:
    distances: at the grid points, of the start shape, negative inside
      (concrete, not traced).
    headroom: how many times as large the surface may become.

  Returns:
    Capacity.

  Raises:
    ValueError: headroom below 1, or no surface within the grid.
  """
  if headroom < 1:
    raise ValueError(f'headroom is {headroom}; a list has to hold the start')
  counts = np.asarray(jax.jit(needed)(jnp.asarray(distances)))
  if not counts.all():
    raise ValueError('the distance does not change its sign within the grid')
  return Capacity(*(int(np.ceil(n * headroom)) for n in counts))


def _vertices(
  distances: Float[Array, 'x y z'],
  values: Float[Array, 'n c'] | None,
  grid: Grid,
  crossed: Bool[Array, 'e'],
  capacity: Capacity,
  margin: float,
) -> tuple[Float[Array, 'v 3'], Float[Array, 'v c'] | None]:
  """Interpolate along the first edges that change sign."""
  (edge,) = jnp.nonzero(crossed, size=capacity.vertices, fill_value=-1)
  used = edge >= 0
  edge = jnp.maximum(edge, 0).astype(jnp.int32)
  kind = lax.div(edge, np.int32(grid.points))
  start = edge - kind * grid.points
  steps = np.array(_DIRECTIONS) @ _strides(grid)
  end = start + jnp.asarray(steps, jnp.int32)[kind]
  end = jnp.where(used, end, start)
  flat = distances.reshape(-1)
  first, second = flat[start], flat[end]
  # Where the distance, taken as linear along the edge, is 0.
  # One is negative and one is not, so their difference is not 0.
  along = jnp.where(used, first / jnp.where(used, first - second, 1.0), 0.0)
  along = jnp.clip(along, margin, 1.0 - margin) if margin else along
  places = jnp.asarray(positions(grid), distances.dtype)

  def mix(table: Float[Array, 'n k']) -> Float[Array, 'v k']:
    a, b = table[start], table[end]
    return a + along[:, None] * (b - a)

  points = jnp.where(used[:, None], mix(places), places[:1])
  return points, None if values is None else mix(values)


def _faces(
  patterns: Int[Array, '6 a b c'],
  number: Int[Array, 'e'],
  grid: Grid,
  capacity: Capacity,
) -> Int[Array, 'f 3']:
  """List the triangles of the first tetrahedra with both signs."""
  table = _table()
  flat = patterns.reshape(-1)
  (tetrahedron,) = jnp.nonzero(
    (flat > 0) & (flat < 15), size=capacity.tetrahedra, fill_value=-1
  )
  used = tetrahedron >= 0
  tetrahedron = jnp.maximum(tetrahedron, 0).astype(jnp.int32)
  code = jnp.where(used, flat[tetrahedron], 0)
  cubes = patterns.shape[1:]
  kind = lax.div(tetrahedron, np.int32(np.prod(cubes)))
  cube = tetrahedron - kind * np.int32(np.prod(cubes))
  x = lax.div(cube, np.int32(cubes[1] * cubes[2]))
  y = lax.rem(lax.div(cube, np.int32(cubes[2])), np.int32(cubes[1]))
  z = lax.rem(cube, np.int32(cubes[2]))
  strides = _strides(grid)
  corner = x * np.int32(strides[0]) + y * np.int32(strides[1]) + z
  # Number of an edge: that of its direction, then of the point it begins at.
  edges = table.kinds * grid.points + table.starts @ strides
  edges = jnp.asarray(edges, jnp.int32)[kind, code]
  triangles = number[edges + corner[:, None, None]].reshape(-1, 3)
  count = jnp.asarray(table.counts, jnp.int32)[code]
  there = jnp.arange(2)[None] < count[:, None]
  (row,) = jnp.nonzero(there.reshape(-1), size=capacity.faces, fill_value=-1)
  faces = triangles[jnp.maximum(row, 0)]
  whole = (row >= 0) & jnp.all(faces < capacity.vertices, -1)
  return jnp.where(whole[:, None], faces, 0)


def march(
  distances: Float[Array, 'x y z'],
  grid: Grid,
  capacity: Capacity,
  values: Float[Array, 'n c'] | None = None,
  *,
  margin: float = 0.0,
) -> Marched:
  """Extract the surface where the distance is 0.

  Args:
    distances: at the grid points, negative inside, in any unit; 0 counts as
      outside.
    grid: where the grid points lie.
    capacity: lengths of the lists, static.
    values: numbers per grid point to interpolate to the vertices.
    margin: part of an edge that vertices keep away from its ends; it moves
      some of them a little, and prevents needles.

  Returns:
    Marched. Surfaces that reach the border of the grid are open there.

  Raises:
    ValueError: distances of another shape than the grid.
  """
  if distances.shape != grid.shape:
    raise ValueError(
      f'distances have shape {distances.shape}, the grid {grid.shape}'
    )
  inside = distances < 0
  crossed = _crossings(inside).reshape(-1)
  number = jnp.cumsum(crossed, dtype=jnp.int32) - 1
  patterns = _patterns(inside)
  vertices, mixed = _vertices(
    distances, values, grid, crossed, capacity, margin
  )
  counts = needed(distances)
  return Marched(
    vertices=vertices,
    values=mixed,
    faces=_faces(patterns, number, grid, capacity),
    needed=counts,
    overflow=jnp.any(counts > jnp.asarray(capacity, jnp.int32)),
  )
