"""Tests of maskjax.geometry.energies."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.geometry import energies, mesh as mesh_lib

# A unit square bent along its diagonal 1-2.
VERTICES = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0.5]], np.float32)
FACES = np.array([[0, 1, 2], [3, 2, 1]], np.int32)
EDGES = mesh_lib.edges(FACES)
PAIRS = energies.face_pairs(FACES)
SYMMETRY = np.array([1, 0, 3, 2])


@jax.jit
def every_energy(vertices):
  rest = jnp.asarray(VERTICES)
  lengths = energies.edge_lengths(rest, EDGES)
  return {
    'laplacian': energies.laplacian_energy(vertices, EDGES),
    'normal': energies.normal_consistency(vertices, FACES, PAIRS),
    'length': energies.edge_length_energy(vertices, EDGES, lengths),
    'symmetry': energies.symmetry_energy(vertices, SYMMETRY),
    'foldover': energies.foldover_energy(vertices, FACES, rest, margin=0.9),
  }


def reference(vertices):
  """Return the same energies in plain NumPy loops, float64."""
  vertices = np.asarray(vertices, np.float64)
  rest = VERTICES.astype(np.float64)

  def cross(points, face):
    a, b, c = points[face]
    return np.cross(b - a, c - a)

  neighbours = [[b for a, b in EDGES if a == v] for v in range(4)]
  for a, b in EDGES:
    neighbours[b].append(a)
  laplacian = [
    np.sum((vertices[n].mean(0) - vertices[v]) ** 2)
    for v, n in enumerate(neighbours)
  ]
  units = [cross(vertices, f) for f in FACES]
  units = [u / np.linalg.norm(u) for u in units]
  length = [
    (
      np.linalg.norm(vertices[a] - vertices[b])
      / np.linalg.norm(rest[a] - rest[b])
      - 1
    )
    ** 2
    for a, b in EDGES
  ]
  mirrored = vertices[SYMMETRY] * [-1, 1, 1]
  ratios = [
    cross(vertices, f) @ cross(rest, f) / np.sum(cross(rest, f) ** 2)
    for f in FACES
  ]
  return {
    'laplacian': np.mean(laplacian),
    'normal': 1 - units[0] @ units[1],
    'length': np.mean(length),
    'symmetry': np.mean(np.sum((vertices - mirrored) ** 2, -1)),
    'foldover': np.mean([max(0.9 - r, 0) ** 2 / 0.81 for r in ratios]),
  }


def moved(seed=0, scale=0.4):
  noise = np.random.default_rng(seed).normal(size=VERTICES.shape)
  return jnp.asarray(VERTICES + scale * noise, jnp.float32)


@pytest.mark.parametrize('seed', [0, 1, 2])
def test_energies_agree_with_numpy(seed):
  vertices = moved(seed)
  values, expected = every_energy(vertices), reference(vertices)
  for name, value in expected.items():
    # float32 sums of a few terms of order 1.
    np.testing.assert_allclose(values[name], value, rtol=2e-5, err_msg=name)


def test_gradients_agree_with_finite_differences():
  vertices = moved()
  direction = np.random.default_rng(9).normal(size=VERTICES.shape)
  tangent = jnp.asarray(direction, jnp.float32)
  _, slopes = jax.jvp(every_energy, (vertices,), (tangent,))
  step = 1e-6
  ahead = reference(np.float64(vertices) + step * direction)
  behind = reference(np.float64(vertices) - step * direction)
  for name, slope in slopes.items():
    expected = (ahead[name] - behind[name]) / (2 * step)
    np.testing.assert_allclose(slope, expected, rtol=1e-3, err_msg=name)


def test_vmap_agrees_with_single_calls():
  batch = jnp.stack([moved(0), moved(1)])
  together = jax.vmap(every_energy)(batch)
  singles = [every_energy(vertices) for vertices in batch]
  for k in range(2):
    for name, value in singles[k].items():
      np.testing.assert_allclose(together[name][k], value, rtol=1e-5)


@pytest.mark.parametrize('vertices', [np.zeros((4, 3)), VERTICES * [1, 0, 0]])
def test_degenerate_meshes_have_finite_gradients(vertices):
  vertices = jnp.asarray(vertices, jnp.float32)
  gradients = jax.jit(jax.jacrev(every_energy))(vertices)
  for name, gradient in gradients.items():
    assert jnp.isfinite(gradient).all(), name


def test_the_start_shape_costs_nothing():
  values = every_energy(jnp.asarray(VERTICES))
  # Fused square roots may be one rounding off.
  assert values['length'] < 1e-12 and values['foldover'] == 0.0


def test_foldover_reopens_a_collapsed_triangle():
  collapsed = jnp.asarray(VERTICES * [1, 0, 0], jnp.float32)

  def energy(vertices):
    return energies.foldover_energy(vertices, FACES, jnp.asarray(VERTICES))

  lower = energy(collapsed - 1e-4 * jax.grad(energy)(collapsed))
  assert 0.0 < lower < energy(collapsed)
  # A flipped triangle costs more than a collapsed one, a sound one nothing.
  assert energy(jnp.asarray(VERTICES * [1, -1, 1])) > energy(collapsed)


def test_face_pairs_of_a_tetrahedron():
  faces = np.array([[0, 1, 2], [0, 3, 1], [1, 3, 2], [2, 3, 0]])
  pairs = {tuple(sorted(pair)) for pair in energies.face_pairs(faces).tolist()}
  assert pairs == {(a, b) for a in range(4) for b in range(a + 1, 4)}
