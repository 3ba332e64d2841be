"""Chamfer distance between surfaces, from points sampled evenly on them.

Shapes: V vertices, F faces, N points.
"""

from jaxtyping import Bool, Float
import numpy as np
import scipy.spatial

from maskjax.geometry import mesh as mesh_lib

SURFACES = ('all', 'front', 'visible')
# The front view's grid, and how deep behind its nearest point one still sees
# the surface (slanted surfaces fill a cell in depth), cm.
_CELL = 0.5
_DEPTH = 1.0


def sample_surface(
  mesh: mesh_lib.Mesh, count: int, rng: np.random.Generator
) -> tuple[Float[np.ndarray, 'n 3'], Float[np.ndarray, 'n 3']]:
  """Sample points on a surface, evenly by area.

  Args:
    mesh: the surface to sample, cm.
    count: number of points to draw.
    rng: source of the randomness.

  Returns:
    (points, unit normals of their faces), f64[N, 3] each.

  Raises:
    ValueError: the surface has no area, or is not finite.
  """
  vertices = np.asarray(mesh.vertices, np.float64)
  a, b, c = (vertices[np.asarray(mesh.faces)[:, k]] for k in range(3))
  vectors = np.cross(b - a, c - a)
  areas = np.linalg.norm(vectors, axis=1)
  if not (np.isfinite(areas).all() and areas.sum() > 0.0):
    raise ValueError('cannot sample a surface without (finite) area')
  # Stratified along the cumulative area: less noise than free draws.
  stops = (np.arange(count) + rng.uniform(size=count)) / count
  cumulative = np.cumsum(areas) / areas.sum()
  chosen = np.minimum(np.searchsorted(cumulative, stops), len(areas) - 1)
  root = np.sqrt(rng.uniform(size=(count, 1)))
  along = rng.uniform(size=(count, 1))
  points = (
    (1.0 - root) * a[chosen]
    + root * (1.0 - along) * b[chosen]
    + root * along * c[chosen]
  )
  return points, vectors[chosen] / np.maximum(areas[chosen, None], 1e-30)


def _visible(points: Float[np.ndarray, 'n 3']) -> Bool[np.ndarray, 'n']:
  """Tell which points the front view (orthographic, along -z) sees."""
  cells = np.floor(points[:, :2] / _CELL).astype(np.int64)
  _, index = np.unique(cells, axis=0, return_inverse=True)
  index = index.reshape(-1)
  nearest = np.full(index.max() + 1, -np.inf)
  np.maximum.at(nearest, index, points[:, 2])
  return points[:, 2] > nearest[index] - _DEPTH


def _select(
  points: Float[np.ndarray, 'n 3'],
  normals: Float[np.ndarray, 'n 3'],
  surface: str,
) -> Float[np.ndarray, 'm 3']:
  """Return the points of the asked-for part of a surface."""
  if surface == 'all':
    return points
  kept = points[normals[:, 2] > 0.0]
  if surface == 'visible' and len(kept):
    kept = kept[_visible(kept)]
  if not len(kept):
    raise ValueError(f'no part of the surface is {surface}: is it turned away?')
  return kept


def point_distance(
  first: Float[np.ndarray, 'n 3'], second: Float[np.ndarray, 'm 3']
) -> float:
  """Return the symmetric Chamfer distance of two point sets.

  Args:
    first: f[N, 3].
    second: f[M, 3].

  Returns:
    The mean of both directions' mean distance to the nearest point (not
    squared), in the unit of the points.
  """
  there, _ = scipy.spatial.cKDTree(second).query(first)
  back, _ = scipy.spatial.cKDTree(first).query(second)
  return float(0.5 * (there.mean() + back.mean()))


def distance(
  first: mesh_lib.Mesh,
  second: mesh_lib.Mesh,
  *,
  count: int = 20_000,
  surface: str = 'all',
  rng: np.random.Generator | None = None,
) -> float:
  """Return the symmetric Chamfer distance of two surfaces.

  Args:
    first: a mesh, cm.
    second: another, cm.
    count: points per surface. Samples of one and the same surface are about
      0.5 / sqrt(points per cm^2) apart (0.1 cm for a mask and 20,000): that
      is the least this can report.
    surface: 'all'; 'front', what faces +z; or 'visible', what a front view
      sees of it (0.5 cm cells), to compare an open mask with a closed head.
    rng: source of the randomness; a fixed one when None.

  Returns:
    cm, >= 0.

  Raises:
    ValueError: unknown `surface`, or nothing of a surface is left.
  """
  if surface not in SURFACES:
    raise ValueError(f'unknown surface {surface!r}: expected one of {SURFACES}')
  rng = np.random.default_rng(0) if rng is None else rng
  points = (
    _select(*sample_surface(mesh, count, rng), surface)
    for mesh in (first, second)
  )
  return point_distance(*points)
