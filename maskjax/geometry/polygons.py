"""Polygons to triangles, convex or not.

A convex polygon becomes a fan; of another one ears are cut, so that the
triangles cover it and nothing else. Float64, NumPy.

Shapes: `v` vertices, `p` polygons, `k` corners of one, `t` triangles.
Source: Meisters, "Polygons have ears", 1975; Newell's method for normals.
"""

from collections.abc import Sequence

from jaxtyping import Bool, Float, Int
import numpy as np


def _flat(corners: Float[np.ndarray, 'k 3']) -> Float[np.ndarray, 'k 2']:
  """Return a polygon's corners in its own plane, anticlockwise."""
  around = np.roll(corners, -1, 0)
  middle = corners.mean(0)
  normal = np.cross(corners - middle, around - middle).sum(0)
  length = np.linalg.norm(normal)
  if not length > 0:
    return corners[:, :2]
  normal = normal / length
  axis = np.eye(3)[np.argmin(np.abs(normal))]
  u = np.cross(axis, normal)
  u /= np.linalg.norm(u)
  return (corners - middle) @ np.stack([u, np.cross(normal, u)], 1)


def _turn(
  a: Float[np.ndarray, '2'],
  b: Float[np.ndarray, '2'],
  c: Float[np.ndarray, '*n 2'],
) -> Float[np.ndarray, '*n']:
  """Return twice the signed area of triangles in the plane."""
  (x, y), others = b - a, c - a
  return np.asarray(x * others[..., 1] - y * others[..., 0])


def _ears(points: Float[np.ndarray, 'k 2']) -> list[tuple[int, int, int]]:
  """Cut ears until a triangle is left; a fan where there is no ear."""
  left, triangles = list(range(len(points))), []
  while len(left) > 3:
    for index, middle in enumerate(left):
      before, after = left[index - 1], left[(index + 1) % len(left)]
      a, b, c = points[before], points[middle], points[after]
      if _turn(a, b, c) <= 0:
        continue
      others = points[[i for i in left if i not in (before, middle, after)]]
      # A corner at the place of one of ours is a touching outline, not inside.
      inside = (
        (_turn(a, b, others) > 0)
        & (_turn(b, c, others) > 0)
        & (_turn(c, a, others) >= 0)
      )
      if not inside.any():
        triangles.append((before, middle, after))
        del left[index]
        break
    else:
      break
  return triangles + [
    (left[0], left[k], left[k + 1]) for k in range(1, len(left) - 1)
  ]


def _is_convex(corners: Float[np.ndarray, 'p k 3']) -> Bool[np.ndarray, 'p']:
  """Tell which polygons of as many corners are convex."""
  before, after = np.roll(corners, 1, 1), np.roll(corners, -1, 1)
  turns = np.cross(corners - before, after - corners)
  normal = turns.sum(1, keepdims=True)
  # Twice around or more is not convex; fans of such stars are as good as any.
  return np.all(np.sum(turns * normal, -1) >= 0, 1)


def triangulate(
  vertices: Float[np.ndarray, 'v 3'],
  polygons: Sequence[Sequence[int] | np.ndarray],
) -> tuple[Int[np.ndarray, 't 3'], Int[np.ndarray, 't']]:
  """Return the triangles of polygons, in their order.

  Args:
    vertices: positions.
    polygons: numbers of vertices around each; those of fewer than three
      corners are left out.

  Returns:
    For each triangle its corners, as places in one list of all corners (the
    polygons one after another), and the number of its polygon.
  """
  counts = np.array([len(polygon) for polygon in polygons], np.int64)
  starts = np.cumsum(counts) - counts
  flat = np.array([i for polygon in polygons for i in polygon], np.int64)
  triangles, owners = [], []
  for size in np.unique(counts[counts >= 3]):
    numbers = np.flatnonzero(counts == size)
    places = starts[numbers, None] + np.arange(size)
    corners = vertices[flat[places]]
    convex = np.ones(len(numbers), bool)
    if size > 3:
      convex = _is_convex(corners)
    fan = np.stack(
      [np.zeros(size - 2, int), np.arange(1, size - 1), np.arange(2, size)], 1
    )
    triangles.append(places[convex][:, fan].reshape(-1, 3))
    owners.append(np.repeat(numbers[convex], size - 2))
    for index in np.flatnonzero(~convex):
      ears = np.array(_ears(_flat(corners[index])))
      triangles.append(places[index][ears])
      owners.append(np.full(len(ears), numbers[index]))
  if not triangles:
    return np.zeros((0, 3), np.int64), np.zeros(0, np.int64)
  owner = np.concatenate(owners)
  order = np.argsort(owner, kind='stable')
  return np.concatenate(triangles)[order], owner[order]
