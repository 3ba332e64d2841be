"""Polygons to triangles, convex or not.

A convex polygon becomes a fan; of another one ears are cut, so that the
triangles cover it and nothing else. Float64, NumPy.

Shapes: `v` vertices, `p` polygons, `k` corners of one, `t` triangles.
Source: Meisters, "Polygons have ears", 1975; Newell's method for normals.
"""

from collections.abc import Sequence
import itertools

from jaxtyping import Bool, Float, Int
import numpy as np

# What a try to cut an ear costs beside its corners; what all tries of a file
# may cost, and more for each corner of it: seconds. Outlines of 2,000 corners
# can take a million tries.
_TRY, _MOST, _OF_A_CORNER = 1000, 15 * 10**7, 1000


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


def _ears(
  points: Float[np.ndarray, 'k 2'], most: int
) -> tuple[list[tuple[int, int, int]], int]:
  """Cut ears until a triangle is left; a fan where there is no ear.

  Args:
    points: the corners, anticlockwise.
    most: what this may cost.

  Returns:
    The triangles, and what is left of `most`.
  """
  left, ring, triangles = np.arange(len(points)), points, []
  while len(left) > 3:
    before, after = np.roll(ring, 1, 0), np.roll(ring, -1, 0)
    (u, v), (s, t) = (ring - before).T, (after - before).T
    x, y = ring.T
    for index in np.flatnonzero(u * t - v * s > 0).tolist():
      most -= _TRY + len(left)
      if most < 0:
        raise ValueError('faces of too many corners; split them in triangles')
      a, b, c = before[index], ring[index], after[index]
      (ux, uy), (vx, vy), (wx, wy) = b - a, c - b, a - c
      # A corner at the place of one of ours, or one of ours itself, is a
      # touching outline, not inside.
      inside = ux * (y - a[1]) - uy * (x - a[0]) > 0
      inside &= vx * (y - b[1]) - vy * (x - b[0]) > 0
      inside &= wx * (y - c[1]) - wy * (x - c[0]) >= 0
      if not inside.any():
        corners = (index - 1, index, (index + 1) % len(left))
        triangles.append(tuple(left[k].item() for k in corners))
        left, ring = np.delete(left, index), np.delete(ring, index, 0)
        break
    else:
      break
  first, *others = left.tolist()
  rest = [(first, *pair) for pair in itertools.pairwise(others)]
  return triangles + rest, most


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

  Raises:
    ValueError: outlines that would take minutes.
  """
  counts = np.array([len(polygon) for polygon in polygons], np.int64)
  starts = np.cumsum(counts) - counts
  flat = np.array([i for polygon in polygons for i in polygon], np.int64)
  triangles, owners = [], []
  left = _MOST + _OF_A_CORNER * len(flat)
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
      ears, left = _ears(_flat(corners[index]), left)
      triangles.append(places[index][np.array(ears)])
      owners.append(np.full(len(ears), numbers[index]))
  if not triangles:
    return np.zeros((0, 3), np.int64), np.zeros(0, np.int64)
  owner = np.concatenate(owners)
  order = np.argsort(owner, kind='stable')
  return np.concatenate(triangles)[order], owner[order]
