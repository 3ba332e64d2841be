"""Ribbons of hair: their width, faces, and what is told of their points."""

import numpy as np

from maskjax.data.people import locks as locks_lib


def _straight(count=3, length=5):
  """Locks that hang down, 1 cm apart, with +z outward."""
  points = np.zeros((count, length, 3))
  points[..., 0] = np.arange(count)[:, None]
  points[..., 1] = -np.arange(length)
  outward = np.zeros_like(points)
  outward[..., 2] = 1
  return locks_lib.Paths(points, outward)


def _grow(count=3, length=5, width=0.2):
  return locks_lib.ribbons(
    np.random.default_rng(0), _straight(count, length), np.full(count, width)
  )


def test_ribbons_are_two_vertices_wide_along_their_paths():
  locks = _grow()
  rows = locks.vertices.reshape(3, 5, 2, 3)
  np.testing.assert_allclose(rows.mean(2), _straight().points, atol=1e-12)
  half = np.linalg.norm(rows[:, :, 1] - rows[:, :, 0], axis=-1) / 2
  # Tapered to the tip.
  np.testing.assert_allclose(half[:, -1], 0.12 * 0.2)
  assert np.all(half[:, -1] < half[:, 0]) and half.max() <= 0.2
  np.testing.assert_allclose(np.linalg.norm(locks.normals, axis=-1), 1)
  assert np.all(locks.normals[:, 2] > 0)
  np.testing.assert_allclose(locks.tangents, [[0, -1, 0]] * 30, atol=1e-12)


def test_coordinates_run_from_root_to_tip_and_across():
  along, across, number = _grow().coordinates.reshape(3, 5, 2, 3).T
  np.testing.assert_allclose(along[0, :, 0], [0, 0.25, 0.5, 0.75, 1])
  assert set(across.ravel()) == {-1.0, 1.0}
  assert len(np.unique(number)) == 3


def test_faces_join_neighbours_and_coarse_ones_skip_a_step():
  locks = _grow()
  assert len(locks.faces) == 3 * 4 * 2 and len(locks.coarse) == 3 * 2 * 2
  lock = locks.faces // 10
  assert np.all(lock == lock[:, :1])
  a, b, c = (locks.vertices[locks.faces[:, k]] for k in range(3))
  assert np.all(np.linalg.norm(np.cross(b - a, c - a), axis=-1) > 0)
  # Coarse ribbons still reach from root to tip.
  even = _grow(length=6)
  for ribbon in (locks, even):
    used = ribbon.coordinates[np.unique(ribbon.coarse), 0]
    assert used.min() == 0 and used.max() == 1


def test_joined_locks_keep_their_faces_and_are_kept_whole():
  first, second = _grow(), _grow(count=2)
  joined = locks_lib.concatenate([first, second])
  assert len(joined.vertices) == 50
  np.testing.assert_array_equal(joined.faces[24:], second.faces + 30)
  right = joined.vertices[:, 0] > 0.5
  kept = locks_lib.keep(first, right[:30])
  # The lock at x = 0 is gone, with all of its faces.
  assert len(kept.vertices) == 20 and len(kept.faces) == 16
  np.testing.assert_allclose(
    kept.vertices[kept.faces], first.vertices[first.faces[8:]]
  )
  assert locks_lib.keep(first, np.zeros(30, bool)) is None


def test_unit_vectors_are_safe_at_zero():
  vectors = np.array([[3.0, 0, 4], [0, 0, 0]])
  np.testing.assert_allclose(locks_lib.unit(vectors), [[0.6, 0, 0.8], [0] * 3])
