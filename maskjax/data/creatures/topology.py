"""Faces of meshes: cut from quads, split at edges, relaxed, tidied.

Shapes: `v w` vertices, `f g` faces, `e` edges, `q` quads. Centimetres.
"""

from jaxtyping import Bool, Float, Int
import numpy as np


def triangulate(
  vertices: Float[np.ndarray, 'v 3'], quads: Int[np.ndarray, 'q 4']
) -> Int[np.ndarray, 'f 3']:
  """Split quads along their shorter diagonal, mirror images alike."""
  a, b, c, d = (vertices[quads[:, i]] for i in range(4))
  first = np.linalg.norm(a - c, axis=1)
  second = np.linalg.norm(b - d, axis=1)
  turn = (first > second)[:, None]
  turned = np.roll(quads, -1, axis=1)
  quads = np.where(turn, turned, quads)
  return np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])


def edge_list(faces: Int[np.ndarray, 'f 3']) -> Int[np.ndarray, 'e 2']:
  """Return the undirected edges of faces, lower index first."""
  pairs = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), 1)
  return np.unique(pairs, axis=0)


def relax(
  vertices: Float[np.ndarray, 'v 3'],
  faces: Int[np.ndarray, 'f 3'],
  amount: float,
) -> Float[np.ndarray, 'v 3']:
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


def split_edges(
  faces: Int[np.ndarray, 'f 3'],
  marked: Bool[np.ndarray, 'e'],
  edges: Int[np.ndarray, 'e 2'],
  count: int,
) -> Int[np.ndarray, 'g 3']:
  """Split marked edges at new vertices; faces stay joined.

  Args:
    faces: of the mesh.
    marked: which edges to split.
    edges: sorted pairs as of `edge_list`.
    count: number of vertices; new vertices follow, in the order of edges.

  Returns:
    The faces, one to four for each.
  """
  codes = edges[:, 0].astype(np.int64) * count + edges[:, 1]
  fresh = np.full(len(edges), -1, np.int64)
  fresh[marked] = count + np.arange(int(marked.sum()))
  ends = np.sort(np.stack([faces, np.roll(faces, -1, 1)], -1), -1)
  row = np.searchsorted(
    codes, ends[..., 0].astype(np.int64) * count + ends[..., 1]
  )
  middle = fresh[row]  # [F, 3]: the new vertex of edge (i, i + 1), or -1
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


def drop_loose(
  vertices: Float[np.ndarray, 'v 3'],
  faces: Int[np.ndarray, 'f 3'],
  colors: Float[np.ndarray, 'v 3'],
) -> tuple[
  Float[np.ndarray, 'w 3'], Int[np.ndarray, 'g 3'], Float[np.ndarray, 'w 3']
]:
  """Remove degenerate faces and vertices that no face uses."""
  a, b, c = (vertices[faces[:, i]] for i in range(3))
  area = 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1)
  faces = faces[area > 1e-5]
  used, inverse = np.unique(faces, return_inverse=True)
  faces = inverse.reshape(faces.shape).astype(np.int32)
  return vertices[used], faces, colors[used]
