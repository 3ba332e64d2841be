"""Locks of hair: ribbons along paths, bulged across and tapered to the tip.

`hair` traces the paths; here they become triangles with what the shading
needs.

Shapes: `n` locks, `k` points of a path, `v` vertices, `f` faces, `g` faces that
cast shadows.
"""

from collections.abc import Sequence
from typing import NamedTuple

from jaxtyping import Bool, Float, Int
import numpy as np


class Paths(NamedTuple):
  """Points of locks from root to tip (cm), and what is outward there."""

  points: Float[np.ndarray, 'n k 3']
  outward: Float[np.ndarray, 'n k 3']


class Locks(NamedTuple):
  """Ribbons.

  Attributes:
    vertices: cm.
    faces: seen from both sides.
    coarse: faces of every other step only: enough for shadows.
    normals: outward, rounded across a ribbon.
    tangents: unit, from root to tip.
    coordinates: 0 at the root to 1 at the tip; -1 to 1 across; a number in
      [0, 1] that is another one for each lock.
  """

  vertices: Float[np.ndarray, 'v 3']
  faces: Int[np.ndarray, 'f 3']
  coarse: Int[np.ndarray, 'g 3']
  normals: Float[np.ndarray, 'v 3']
  tangents: Float[np.ndarray, 'v 3']
  coordinates: Float[np.ndarray, 'v 3']


def unit(
  vectors: Float[np.ndarray, '*shape 3'],
) -> Float[np.ndarray, '*shape 3']:
  """Return vectors of length 1; 0 stays 0."""
  length = np.linalg.norm(vectors, axis=-1, keepdims=True)
  return vectors / np.maximum(length, 1e-9)


def _strip(index: Int[np.ndarray, 'n k 2']) -> Int[np.ndarray, 'f 3']:
  """Return the faces of ribbons by the numbers of their vertices."""
  a, b = index[:, :-1, 0], index[:, :-1, 1]
  c, d = index[:, 1:, 0], index[:, 1:, 1]
  return np.stack([a, b, c, b, d, c], -1).reshape(-1, 3)


def ribbons(
  rng: np.random.Generator, paths: Paths, widths: Float[np.ndarray, 'n']
) -> Locks:
  """Turn paths into ribbons of two vertices across, shaded as if round.

  Args:
    rng: draws tilt and number of each lock.
    paths: of the locks.
    widths: half of each lock's, cm.
  """
  points, outward = paths
  count, length, _ = points.shape
  tangents = unit(np.gradient(points, axis=1))
  across = unit(np.cross(tangents, outward))
  normals = unit(np.cross(across, tangents))
  flip = np.sign(np.sum(normals * outward, -1, keepdims=True) + 1e-9)
  normals = normals * flip
  along = np.linspace(0, 1, length)
  taper = np.interp(along, [0, 0.15, 0.75, 1.0], [0.8, 1.0, 0.9, 0.12])
  width = widths[:, None, None] * taper[None, :, None]
  offsets = np.array([-1.0, 1.0])
  # Tilted ribbons overlap like tiles rather than merge into one surface.
  tilt = rng.uniform(-0.35, 0.35, (count, 1, 1))
  lean = unit(across + tilt * normals)
  rows = [points + width * offset * lean for offset in offsets]
  shades = [unit(normals + 0.6 * offset * across) for offset in offsets]
  vertices = np.stack(rows, 2)
  coordinates = np.zeros((count, length, 2, 3))
  coordinates[..., 0] = along[None, :, None]
  coordinates[..., 1] = offsets
  coordinates[..., 2] = rng.random((count, 1, 1))
  index = np.arange(count * length * 2).reshape(count, length, 2)
  # Every other step, for shadows.
  stride = (
    index[:, ::2]
    if length % 2
    else np.concatenate([index[:, :-1:2], index[:, -1:]], 1)
  )
  spread = np.broadcast_to(tangents[:, :, None], vertices.shape)
  return Locks(
    vertices=vertices.reshape(-1, 3),
    faces=_strip(index),
    coarse=_strip(stride),
    normals=np.stack(shades, 2).reshape(-1, 3),
    tangents=spread.reshape(-1, 3),
    coordinates=coordinates.reshape(-1, 3),
  )


def concatenate(parts: Sequence[Locks]) -> Locks:
  """Join ribbons."""
  starts = np.cumsum([0] + [len(part.vertices) for part in parts])
  columns = {}
  for name in Locks._fields:
    values = [getattr(part, name) for part in parts]
    if name in ('faces', 'coarse'):
      values = [value + start for value, start in zip(values, starts)]
    columns[name] = np.concatenate(values)
  return Locks(**columns)


def keep(locks: Locks, kept: Bool[np.ndarray, 'v']) -> Locks | None:
  """Keep the locks all of whose vertices are kept.

  Args:
    locks: many.
    kept: for each of their vertices.

  Returns:
    The locks that are left, or None.
  """
  _, lock = np.unique(locks.coordinates[:, 2], return_inverse=True)
  whole = np.bincount(lock, ~kept) == 0
  rows = whole[lock]
  if not rows.any():
    return None
  renumber = np.cumsum(rows) - 1
  columns = {}
  for name in Locks._fields:
    values = getattr(locks, name)
    if name in ('faces', 'coarse'):
      columns[name] = renumber[values[rows[values[:, 0]]]]
    else:
      columns[name] = values[rows]
  return Locks(**columns)
