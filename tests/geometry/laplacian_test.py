"""Tests of maskjax.geometry.laplacian."""

import numpy as np
import pytest

from maskjax.geometry import laplacian


def grid(side=6, spacing=1.0):
  """Return a flat square grid of side x side vertices, split into triangles."""
  x, y = np.meshgrid(np.arange(side), np.arange(side))
  vertices = np.stack([x, y, 0 * x], -1).reshape(-1, 3) * spacing
  a = (np.arange(side - 1)[:, None] * side + np.arange(side - 1)).ravel()
  b, c, d = a + 1, a + side + 1, a + side
  faces = np.concatenate([np.stack([a, b, c], -1), np.stack([a, c, d], -1)])
  return vertices.astype(np.float64), faces.astype(np.int32)


def reference_cotangent(vertices, faces):
  matrix = np.zeros((len(vertices),) * 2)
  for face in faces:
    for k in range(3):
      a, b, c = np.roll(face, k)
      u, v = vertices[b] - vertices[a], vertices[c] - vertices[a]
      weight = 0.5 * np.dot(u, v) / np.linalg.norm(np.cross(u, v))
      matrix[[b, c], [b, c]] += weight
      matrix[[b, c], [c, b]] -= weight
  return matrix


def test_uniform_is_degree_minus_adjacency():
  faces = np.array([[0, 1, 2], [2, 1, 3]])
  expected = [[2, -1, -1, 0], [-1, 3, -1, -1], [-1, -1, 3, -1], [0, -1, -1, 2]]
  np.testing.assert_array_equal(laplacian.uniform(4, faces).toarray(), expected)


def test_cotangent_agrees_with_a_loop_over_corners():
  vertices, faces = grid()
  vertices[:, 2] = 0.1 * np.sin(vertices[:, 0])
  np.testing.assert_allclose(
    laplacian.cotangent(vertices, faces).toarray(),
    reference_cotangent(vertices, faces),
    atol=1e-12,
  )


def test_cotangent_of_a_linear_function_on_a_plane_is_0_inside():
  vertices, faces = grid()
  values = laplacian.cotangent(vertices, faces) @ (vertices @ [2.0, -3.0, 0.0])
  inner = np.all((vertices[:, :2] > 0) & (vertices[:, :2] < 5), axis=1)
  np.testing.assert_allclose(values[inner], 0.0, atol=1e-12)


def test_cotangent_of_a_degenerate_face_is_finite():
  matrix = laplacian.cotangent(np.zeros((3, 3)), np.array([[0, 1, 2]]))
  assert np.isfinite(matrix.toarray()).all()


@pytest.mark.parametrize('kind', laplacian.KINDS)
def test_smoothing_operator_inverts(kind):
  vertices, faces = grid()
  operator = laplacian.smoothing_operator(vertices, faces, 7.0, kind=kind)
  matrix = np.eye(36) + 7.0 * laplacian.laplacian(vertices, faces, kind)
  assert operator.dtype == np.float32
  np.testing.assert_allclose(operator @ matrix, np.eye(36), atol=1e-5)
  np.testing.assert_allclose(operator.sum(1), 1.0, rtol=1e-5)


def test_pinned_vertices_get_exactly_no_update():
  vertices, faces = grid()
  rim = np.flatnonzero(np.any((vertices[:, :2] % 5) == 0, axis=1))
  operator = laplacian.smoothing_operator(vertices, faces, 5.0, pinned=rim)
  update = operator @ np.random.default_rng(0).normal(size=(36, 3))
  np.testing.assert_array_equal(update[rim], 0.0)
  np.testing.assert_array_equal(operator, operator.T)
  # A push in the middle decays toward the rim.
  push = operator[:, 14].reshape(6, 6)
  assert np.all(np.diff(push[2, 2:]) < 0.0)


def test_smoothing_operator_refuses_bad_input():
  vertices, faces = grid()
  with pytest.raises(ValueError, match='weight is -1'):
    laplacian.smoothing_operator(vertices, faces, -1)
  with pytest.raises(ValueError, match='has 36 vertices'):
    laplacian.smoothing_operator(vertices, faces, 1.0, pinned=np.array([36]))
  with pytest.raises(ValueError, match='expected one of'):
    laplacian.smoothing_operator(vertices, faces, 1.0, kind='graph')


def test_harmonic_fill_restores_a_linear_ramp():
  vertices, faces = grid()
  ramp = np.stack([vertices[:, 0] / 5.0, vertices[:, 1] / 5.0], -1)
  known = np.any((vertices[:, :2] % 5) == 0, axis=1)
  broken = np.where(known[:, None], ramp, np.nan)
  filled = laplacian.harmonic_fill(broken, known, faces, vertices=vertices)
  # The pull to the mean that keeps the system regular is 1e-9.
  np.testing.assert_allclose(filled, ramp, atol=1e-6)


def test_harmonic_fill_keeps_the_range_and_fills_lone_pieces():
  _, faces = grid()
  faces = np.concatenate([faces, faces + 36])
  values = np.zeros((72, 1))
  values[[0, 35], 0] = [0.2, 0.8]
  known = values[:, 0] > 0.0
  filled = laplacian.harmonic_fill(values, known, faces)
  assert filled.min() >= np.float32(0.2) and filled.max() <= np.float32(0.8)
  np.testing.assert_array_equal(filled[[0, 35], 0], np.float32([0.2, 0.8]))
  np.testing.assert_allclose(filled[36:], 0.5, atol=1e-6)


def test_harmonic_fill_refuses_bad_input(unchecked):
  _, faces = grid()
  with pytest.raises(ValueError, match='no vertex value is known'):
    laplacian.harmonic_fill(np.ones((36, 3)), np.zeros(36, bool), faces)
  with pytest.raises(ValueError, match='expected'):
    laplacian.harmonic_fill(np.ones((36, 3)), np.ones(35, bool), faces)
  with pytest.raises(ValueError, match='finite'):
    laplacian.harmonic_fill(np.full((36, 3), np.nan), np.ones(36, bool), faces)
