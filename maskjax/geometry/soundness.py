"""Is a mesh sound: nothing flipped, degenerate, torn, or off its rim?

NumPy, float64, for reports and evaluation (not for gradients).

Shapes: V vertices, F faces, P pairs, R rim vertices.
"""

from typing import NamedTuple

from jaxtyping import Bool, Float, Int
import numpy as np

from maskjax.geometry import energies, mesh as mesh_lib

# A face is degenerate if its area is below this part of an equilateral
# triangle's with the same longest edge; an edge is folded if its two faces
# come closer than this to lying on each other.
DEGENERATE_QUALITY = 1e-3
FOLDED_COSINE = -0.985  # 10 degrees from a full fold


class Soundness(NamedTuple):
  """Counts of what can be wrong with a mesh; all 0 but `triangles` is good.

  Attributes:
    triangles: number of faces.
    flipped: faces that look against the surface around them (the normals of
      the faces that share a vertex with them).
    turned: faces that look against their own rest normal (right angles and
      more; ears and trunks may have some); 0 without a rest shape.
    folded_edges: edges whose two faces lie on each other.
    degenerate: faces without area, or with a corner twice.
    non_manifold: edges with more than two faces, or two that disagree on
      the outside.
    rim_displacement: the furthest that a rim vertex moved, cm; 0 without a
      rest shape or a rim.
    non_finite: vertices with a nan or inf.
  """

  triangles: int
  flipped: int
  turned: int
  folded_edges: int
  degenerate: int
  non_manifold: int
  rim_displacement: float
  non_finite: int

  @property
  def sound(self) -> bool:
    """Whether nothing is wrong (turned faces and folds are allowed)."""
    return not (
      self.flipped
      or self.degenerate
      or self.non_manifold
      or self.rim_displacement
      or self.non_finite
    )


def _area_vectors(
  vertices: Float[np.ndarray, 'v 3'], faces: Int[np.ndarray, 'f 3']
) -> Float[np.ndarray, 'f 3']:
  """Return outward vectors as long as twice the area of their faces."""
  a, b, c = (vertices[faces[:, k]] for k in range(3))
  return np.cross(b - a, c - a)


def _flipped(
  vectors: Float[np.ndarray, 'f 3'], faces: Int[np.ndarray, 'f 3'], count: int
) -> Bool[np.ndarray, 'f']:
  """Tell which faces look against the faces around them."""
  total = np.zeros((count, 3))
  for corner in range(3):
    np.add.at(total, faces[:, corner], vectors)
  around = total[faces].sum(1) - 3.0 * vectors
  return np.sum(around * vectors, -1) < 0.0


def _degenerate(
  vertices: Float[np.ndarray, 'v 3'],
  vectors: Float[np.ndarray, 'f 3'],
  faces: Int[np.ndarray, 'f 3'],
) -> Bool[np.ndarray, 'f']:
  """Tell which faces have (nearly) no area."""
  sides = vertices[faces] - vertices[np.roll(faces, 1, axis=1)]
  longest = np.sum(sides**2, -1).max(1)
  equilateral = np.sqrt(0.75) * longest  # twice its area
  return np.linalg.norm(vectors, axis=1) <= DEGENERATE_QUALITY * equilateral


def _non_manifold(faces: Int[np.ndarray, 'f 3']) -> int:
  """Return the number of edges that do not have one face on either side."""
  sides = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
  forward = sides[:, 0] < sides[:, 1]
  _, index = np.unique(np.sort(sides, axis=1), axis=0, return_inverse=True)
  index = index.reshape(-1)
  ahead = np.bincount(index, forward)
  back = np.bincount(index, ~forward)
  return int(np.sum((ahead > 1) | (back > 1)))


def report(
  mesh: mesh_lib.Mesh,
  rest: mesh_lib.Mesh | None = None,
  rim: Int[np.ndarray, 'r'] | None = None,
) -> Soundness:
  """Examine a mesh.

  Args:
    mesh: the mesh to examine, cm.
    rest: the start shape it came from (same faces), cm.
    rim: the vertices that must not have moved.

  Returns:
    The counts.

  Raises:
    ValueError: the rest shape has another number of vertices.
  """
  vertices = np.asarray(mesh.vertices, np.float64)
  faces = np.asarray(mesh.faces)
  bad = ~np.all(np.isfinite(vertices), axis=1)
  vertices = np.where(bad[:, None], 0.0, vertices)
  vectors = _area_vectors(vertices, faces)
  units = vectors / np.maximum(np.linalg.norm(vectors, axis=1), 1e-30)[:, None]
  first, second = energies.face_pairs(faces).T
  cosines = np.sum(units[first] * units[second], -1)
  turned, moved = 0, 0.0
  if rest is not None:
    before = np.asarray(rest.vertices, np.float64)
    if before.shape != vertices.shape:
      raise ValueError(
        f'the rest shape has {len(before)} vertices, the mesh '
        f'{len(vertices)}: expected the same mesh'
      )
    against = np.sum(vectors * _area_vectors(before, faces), -1) < 0.0
    turned = int(against.sum())
    if rim is not None and len(rim):
      shift = vertices[rim] - before[rim]
      moved = float(np.linalg.norm(shift, axis=1).max())
  return Soundness(
    triangles=len(faces),
    flipped=int(_flipped(vectors, faces, len(vertices)).sum()),
    turned=turned,
    folded_edges=int(np.sum(cosines < FOLDED_COSINE)),
    degenerate=int(_degenerate(vertices, vectors, faces).sum()),
    non_manifold=_non_manifold(faces),
    rim_displacement=moved,
    non_finite=int(bad.sum()),
  )


def bad_faces(
  vertices: Float[np.ndarray, 'v 3'], faces: Int[np.ndarray, 'f 3']
) -> Bool[np.ndarray, 'f']:
  """Return which faces are flipped or degenerate, as `report` counts them.

  Args:
    vertices: positions, cm.
    faces: vertex indices of each triangle.
  """
  vectors = _area_vectors(vertices, faces)
  return _flipped(vectors, faces, len(vertices)) | _degenerate(
    vertices, vectors, faces
  )
