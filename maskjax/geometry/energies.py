"""Energies that keep a mask's surface in good shape while it is optimised.

Pure functions of vertex positions (or offsets) with static index arrays made
once by NumPy; unbatched, to be `vmap`ped; value and gradient are finite on
degenerate triangles. Every energy is a mean, so weights do not depend on how
fine the mesh is.

Shapes: V vertices, F faces, E edges, P pairs of faces.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int
import numpy as np

from maskjax.geometry import mesh as mesh_lib, safe


def face_pairs(
  faces: Int[Array | np.ndarray, 'f 3'],
) -> Int[np.ndarray, 'p 2']:
  """List the pairs of faces that share an edge (concrete, not traced).

  Args:
    faces: vertex indices of each triangle.

  Returns:
    Numbers of faces; where more than two faces meet, each is paired with the
    next.
  """
  faces = np.asarray(faces)
  sides = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
  order = np.lexsort((sides[:, 1], sides[:, 0]))
  same = np.all(sides[order[1:]] == sides[order[:-1]], axis=1)
  pairs = np.stack([order[:-1][same], order[1:][same]], -1) // 3
  return pairs.astype(np.int32)


def laplacian_energy(
  values: Float[Array, 'v c'], edges: Int[np.ndarray, 'e 2']
) -> Float[Array, '']:
  """Return the mean squared distance of vertices from their neighbours' mean.

  Args:
    values: positions (smooths the shape) or offsets from the start shape
      (smooths the change and keeps the start shape's features), cm.
    edges: pairs of vertex indices, from `mesh.edges`.

  Returns:
    cm^2.
  """
  first, second = edges[:, 0], edges[:, 1]
  count = values.shape[0]
  # |sum of (neighbour - vertex) / degree|^2: the umbrella operator.
  degree = np.bincount(np.asarray(edges).ravel(), minlength=count)
  inverse = jnp.asarray(1.0 / np.maximum(degree, 1), values.dtype)
  difference = values[second] - values[first]
  total = jnp.zeros_like(values).at[first].add(difference)
  total = total.at[second].add(-difference) * inverse[:, None]
  return jnp.mean(jnp.sum(total**2, axis=-1))


def normal_consistency(
  vertices: Float[Array, 'v 3'],
  faces: Int[Array | np.ndarray, 'f 3'],
  pairs: Int[np.ndarray, 'p 2'],
) -> Float[Array, '']:
  """Return the mean of 1 - cos(angle between normals of neighbouring faces).

  Args:
    vertices: positions, in any unit.
    faces: vertex indices of each triangle.
    pairs: neighbouring faces, from `face_pairs`.

  Returns:
    In [0, 2]; 0 for a plane.
  """
  normals = mesh_lib.face_normals(vertices, faces)
  cosines = jnp.sum(normals[pairs[:, 0]] * normals[pairs[:, 1]], axis=-1)
  return jnp.mean(1.0 - cosines)


def edge_lengths(
  vertices: Float[Array, 'v 3'], edges: Int[np.ndarray, 'e 2']
) -> Float[Array, 'e']:
  """Return the length of every edge, in the unit of the vertices."""
  return safe.safe_norm(vertices[edges[:, 1]] - vertices[edges[:, 0]])


def edge_length_energy(
  vertices: Float[Array, 'v 3'],
  edges: Int[np.ndarray, 'e 2'],
  rest_lengths: Float[Array, 'e'],
) -> Float[Array, '']:
  """Return the mean squared relative stretch of the edges.

  Args:
    vertices: positions, in any unit.
    edges: pairs of vertex indices, from `mesh.edges`.
    rest_lengths: `edge_lengths` of the start shape, or their mean, > 0, in
      the unit of the vertices.

  Returns:
    Mean of (length / rest - 1)^2.
  """
  stretch = edge_lengths(vertices, edges) / rest_lengths - 1.0
  return jnp.mean(stretch**2)


def symmetry_energy(
  values: Float[Array, 'v 3'], symmetry: Int[np.ndarray, 'v']
) -> Float[Array, '']:
  """Return the mean squared distance of vertices from their twins' mirrors.

  Args:
    values: positions or offsets, cm.
    symmetry: the twin of every vertex (`Template.symmetry`).

  Returns:
    cm^2; 0 if left and right agree.
  """
  mirrored = values[symmetry] * jnp.array([[-1.0, 1.0, 1.0]], values.dtype)
  return jnp.mean(jnp.sum((values - mirrored) ** 2, axis=-1))


def foldover_energy(
  vertices: Float[Array, 'v 3'],
  faces: Int[Array | np.ndarray, 'f 3'],
  rest_vertices: Float[Array, 'v 3'],
  *,
  margin: float = 0.1,
) -> Float[Array, '']:
  """Return a barrier against triangles that collapse or turn over.

  The signed area of every face, projected onto its rest plane, as a part of
  its rest area, should stay above `margin`. It is quadratic in the vertices,
  so that even a fully collapsed triangle has a gradient that reopens it.

  Args:
    vertices: positions, in any unit.
    faces: vertex indices of each triangle.
    rest_vertices: positions of the start shape, in the same unit.
    margin: where the barrier begins; 1 is the rest shape itself, 0 a
      triangle at right angles to it or without area.

  Returns:
    Mean of (max(0, margin - ratio) / margin)^2.
  """

  def area_vectors(points: Float[Array, 'v 3']) -> Float[Array, 'f 3']:
    a, b, c = (points[faces[:, k]] for k in range(3))
    return jnp.cross(b - a, c - a)

  rest = area_vectors(rest_vertices)
  # Area vectors are twice as long as areas: the factors cancel in the ratio.
  squares = jnp.sum(rest**2, axis=-1)
  projected = jnp.sum(area_vectors(vertices) * rest, axis=-1)
  ratio = safe.safe_divide(projected, squares)
  # A face that has no area at rest has no side to turn against.
  ratio = jnp.where(squares > jnp.finfo(squares.dtype).tiny, ratio, 1.0)
  shortfall = jnp.maximum(margin - ratio, 0.0) / margin
  return jnp.mean(shortfall**2)
