"""Laplacians of surfaces, and what they are inverted for.

Two forms, both symmetric positive semi-definite (SciPy sparse, float64):
`uniform`, degree minus adjacency, knows only the connectivity; `cotangent`
knows the shape too and does not care how it is triangulated.

Shapes: V vertices, F faces, P pairs, C channels.
Source: Nicolet, Jacobson, Jakob, "Large Steps in Inverse Rendering of
Geometry", SIGGRAPH Asia 2021, for `smoothing_operator`.
"""

from jaxtyping import Array, Bool, Float, Int
import numpy as np
import scipy.linalg
import scipy.sparse
import scipy.sparse.linalg

from maskjax.geometry import mesh as mesh_lib

KINDS = ('uniform', 'cotangent')
# Cotangents of needle triangles grow without bound, and negative weights
# break the maximum principle: both are clamped.
_MIN_COTANGENT, _MAX_COTANGENT = 0.0, 20.0


def _from_weights(
  count: int,
  first: Int[np.ndarray, 'e'],
  second: Int[np.ndarray, 'e'],
  weights: Float[np.ndarray, 'e'],
) -> scipy.sparse.csr_array:
  """Return sums on the diagonal minus symmetric weights, f64[V, V]."""
  rows = np.concatenate([first, second])
  columns = np.concatenate([second, first])
  adjacency = scipy.sparse.coo_array(
    (np.concatenate([weights, weights]), (rows, columns)), (count, count)
  ).tocsr()
  return (scipy.sparse.diags_array(adjacency.sum(1)) - adjacency).tocsr()


def uniform(
  vertex_count: int, faces: Int[Array | np.ndarray, 'f 3']
) -> scipy.sparse.csr_array:
  """Return the combinatorial Laplacian (degree minus adjacency).

  Args:
    vertex_count: number of vertices of the mesh, V.
    faces: vertex indices of each triangle.

  Returns:
    csr f64[V, V], without a unit.
  """
  first, second = mesh_lib.edges(faces).T
  return _from_weights(vertex_count, first, second, np.ones(len(first)))


def cotangent(
  vertices: Float[Array | np.ndarray, 'v 3'],
  faces: Int[Array | np.ndarray, 'f 3'],
) -> scipy.sparse.csr_array:
  """Return the cotangent Laplacian (no mass matrix).

  Args:
    vertices: positions; only angles count.
    faces: vertex indices of each triangle.

  Returns:
    csr f64[V, V], without a unit: half the sum of the two opposite angles'
    cotangents per edge, each clamped to [0, 20].
  """
  vertices = np.asarray(vertices, np.float64)
  faces = np.asarray(faces)
  first, second, weights = [], [], []
  # L_ij = -(cot alpha_ij + cot beta_ij) / 2: each face adds the cotangent of
  # each of its corners to the edge opposite (Pinkall and Polthier, 1993).
  for corner in range(3):
    a, b, c = (faces[:, (corner + k) % 3] for k in range(3))
    u, v = vertices[b] - vertices[a], vertices[c] - vertices[a]
    doubled = np.linalg.norm(np.cross(u, v), axis=1)
    cotangents = np.sum(u * v, 1) / np.maximum(doubled, 1e-12)
    first.append(b)
    second.append(c)
    weights.append(0.5 * np.clip(cotangents, _MIN_COTANGENT, _MAX_COTANGENT))
  return _from_weights(
    len(vertices),
    np.concatenate(first),
    np.concatenate(second),
    np.concatenate(weights),
  )


def laplacian(
  vertices: Float[Array | np.ndarray, 'v 3'],
  faces: Int[Array | np.ndarray, 'f 3'],
  kind: str = 'uniform',
) -> scipy.sparse.csr_array:
  """Return the Laplacian of the named kind, csr f64[V, V].

  Args:
    vertices: positions, in any unit.
    faces: vertex indices of each triangle.
    kind: 'uniform' or 'cotangent'.

  Raises:
    ValueError: unknown kind.
  """
  if kind == 'uniform':
    return uniform(len(vertices), faces)
  if kind == 'cotangent':
    return cotangent(vertices, faces)
  raise ValueError(f'unknown Laplacian {kind!r}: expected one of {KINDS}')


def smoothing_operator(
  vertices: Float[Array | np.ndarray, 'v 3'],
  faces: Int[Array | np.ndarray, 'f 3'],
  weight: float,
  *,
  pinned: Int[np.ndarray, 'r'] | None = None,
  kind: str = 'uniform',
) -> Float[np.ndarray, 'v v']:
  """Return (I + weight L)^-1, which turns gradients into smooth updates.

  Args:
    vertices: positions, in any unit.
    faces: vertex indices of each triangle.
    weight: how far a push on one vertex spreads: about sqrt(weight) edges.
    pinned: vertices that must not move: their rows and columns are exactly
      0, and the update falls off smoothly toward them.
    kind: 'uniform' or 'cotangent'.

  Returns:
    Dense f32[V, V], symmetric; solved in float64.

  Raises:
    ValueError: negative weight, unknown kind, or pinned out of range.
  """
  if not 0.0 <= weight < np.inf:
    raise ValueError(f'smoothing weight is {weight}: expected a number >= 0')
  count = len(vertices)
  free = np.ones(count, bool)
  if pinned is not None and len(pinned):
    pinned = np.asarray(pinned)
    if pinned.min() < 0 or pinned.max() >= count:
      raise ValueError(
        f'pinned vertices go from {pinned.min()} to {pinned.max()}: the mesh '
        f'has {count} vertices'
      )
    free[pinned] = False
  matrix = weight * laplacian(vertices, faces, kind).toarray()
  matrix[np.diag_indices(count)] += 1.0
  # The free block alone: what is pinned counts as a neighbour that stays 0.
  block = np.asfortranarray(matrix[np.ix_(free, free)])
  factor, _ = scipy.linalg.lapack.dpotrf(block, lower=1, overwrite_a=1)
  inverse, _ = scipy.linalg.lapack.dpotri(factor, lower=1, overwrite_c=1)
  inverse = np.tril(inverse)
  inverse += np.tril(inverse, -1).T
  operator = np.zeros((count, count), np.float32)
  operator[np.ix_(free, free)] = inverse
  return operator


def harmonic_fill(
  values: Float[Array | np.ndarray, 'v c'],
  known: Bool[Array | np.ndarray, 'v'],
  faces: Int[Array | np.ndarray, 'f 3'],
  *,
  vertices: Float[Array | np.ndarray, 'v 3'] | None = None,
) -> Float[np.ndarray, 'v c']:
  """Fill unknown vertex values by diffusion over the surface.

  Args:
    values: per-vertex values; those of unknown vertices are not read.
    known: which values hold.
    faces: vertex indices of each triangle.
    vertices: positions, for cotangent weights; uniform ones when None.

  Returns:
    f32[V, C]: known values unchanged, all others the harmonic (steady heat)
    solution between them, never outside their range. A piece of surface
    without any known value gets the mean of all known ones.

  Raises:
    ValueError: shapes do not agree, no value is known, or a known value is
      not finite.
  """
  values = np.asarray(values, np.float64)
  known = np.asarray(known, bool)
  if values.ndim != 2 or known.shape != values.shape[:1]:
    raise ValueError(
      f'values {values.shape} and known {known.shape}: expected [V, C] and [V]'
    )
  if not known.any():
    raise ValueError('no vertex value is known: nothing to diffuse from')
  if not np.isfinite(values[known]).all():
    raise ValueError('known vertex values must be finite, found nan or inf')
  if vertices is None:
    matrix = uniform(len(values), faces)
  else:
    matrix = cotangent(vertices, faces)
  mean = values[known].mean(0)
  # A trace of pull to the mean keeps the system regular where nothing is
  # known around.
  pull = 1e-9
  unknown = np.flatnonzero(~known)
  result = np.where(known[:, None], values, mean)
  if len(unknown):
    rows = matrix[unknown]
    system = rows[:, unknown] + pull * scipy.sparse.eye_array(len(unknown))
    source = pull * mean - rows[:, np.flatnonzero(known)] @ values[known]
    solve = scipy.sparse.linalg.factorized(system.tocsc())
    result[unknown] = np.stack([solve(column) for column in source.T], -1)
  low, high = values[known].min(0), values[known].max(0)
  return np.clip(result, low, high).astype(np.float32)
