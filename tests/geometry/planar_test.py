"""Tests of maskjax.geometry.planar."""

import numpy as np
import pytest

from maskjax.geometry import planar


def flat(points):
  return np.concatenate([points, np.zeros((len(points), 1))], axis=1)


def constant(length):
  return lambda points: np.full(len(points), length)


def circle(radius, count):
  turn = np.linspace(0.0, 2.0 * np.pi, count, endpoint=False)
  return radius * np.stack([np.cos(turn), np.sin(turn)], -1)


def signed_areas(points, faces):
  a, b, c = (points[faces[:, k]] for k in range(3))
  u, v = b - a, c - a
  return 0.5 * (u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0])


def test_inside_polygon_with_a_notch():
  polygon = np.array([[0, 0], [4, 0], [4, 4], [2, 1], [0, 4]], float)
  points = np.array([[2, 0.5], [2, 3], [0.5, 2], [5, 1], [-1, 0]])
  np.testing.assert_array_equal(
    planar.inside_polygon(points, polygon), [True, False, True, False, False]
  )


def test_resample_spaces_evenly_and_keeps_ends():
  curve = np.stack([np.linspace(0, 1, 50) ** 3, np.zeros(50)], -1)
  points = planar.resample(curve, flat, constant(0.1))
  np.testing.assert_allclose(points[:, 0], np.linspace(0, 1, 11), atol=2e-3)
  loop = planar.resample(circle(1.0, 400), flat, constant(0.5), closed=True)
  assert len(loop) == 13


def test_ring_is_filled_evenly():
  outline, hole = circle(2.0, 80), circle(0.8, 32)
  points, faces = planar.triangulate(outline, [hole], flat, constant(0.16))
  np.testing.assert_array_equal(points[:80], outline)
  np.testing.assert_array_equal(points[80:112], hole)
  areas = signed_areas(points, faces)
  assert areas.min() > 0.0

  def polygon_area(count, radius):
    return 0.5 * count * radius**2 * np.sin(2.0 * np.pi / count)

  expected = polygon_area(80, 2.0) - polygon_area(32, 0.8)
  np.testing.assert_allclose(areas.sum(), expected, rtol=1e-9)
  assert areas.max() / areas.min() < 5.0
  # Euler: V - E + F = 0 for a ring.
  sides = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
  assert len(points) - len(np.unique(sides, axis=0)) + len(faces) == 0


def test_lengths_are_those_of_the_surface():
  # A plane stretched twofold along x: even in space, not in the plane.
  def stretched(points):
    return flat(points * [2.0, 1.0])

  size = constant(0.25)
  outline = planar.resample(circle(1.5, 600), stretched, size, closed=True)
  points, faces = planar.triangulate(outline, [], stretched, size)
  corners = stretched(points)[faces]
  lengths = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=-1)
  assert lengths.min() > 0.1 and lengths.max() < 0.5
  angles = np.array(
    [(np.roll(corners, 1, 1) - corners), (np.roll(corners, -1, 1) - corners)]
  )
  cosines = np.sum(angles[0] * angles[1], -1) / np.prod(
    np.linalg.norm(angles, axis=-1), axis=0
  )
  assert cosines.max() < np.cos(np.radians(22.0))


def test_a_lost_boundary_edge_is_reported():
  planar._check_border(np.array([[0, 1, 2], [0, 2, 3]]), [4])
  with pytest.raises(ValueError, match='boundary edge 2-3 was lost'):
    planar._check_border(np.array([[0, 1, 2], [0, 4, 3]]), [4])
