"""Solids against closed forms: balls, capsules, boxes, curves."""

import numpy as np
import pytest

from maskjax.data.creatures import solids


def _points(count=400):
  rng = np.random.default_rng(0)
  return rng.uniform(-6, 6, (count, 3)).astype(np.float32)


def test_balls_and_capsules_are_exact():
  points = _points()
  ball = solids.ellipsoid((1, 2, 3), 2.0)
  expected = np.linalg.norm(points - [1, 2, 3], axis=1) - 2
  np.testing.assert_allclose(ball.distance(*points.T), expected, atol=1e-5)
  capsule = solids.cone((0, 0, 0), (0, 4, 0), 1.0, 1.0)
  nearest = np.stack([0 * points[:, 1], np.clip(points[:, 1], 0, 4),
                      0 * points[:, 1]], 1)  # fmt: skip
  expected = np.linalg.norm(points - nearest, axis=1) - 1
  np.testing.assert_allclose(capsule.distance(*points.T), expected, atol=1e-5)


def test_boxes_have_their_size_whatever_the_rounding():
  for rounding in (0.1, 0.8):
    box = solids.block((0, 0, 0), (1, 2, 3), rounding=rounding)
    faces = np.float32([[1, 0, 0], [0, -2, 0], [0, 0, 3]])
    np.testing.assert_allclose(box.distance(*faces.T), 0, atol=1e-6)
    # A corner is farther in by what the rounding takes off it.
    corner = np.float32([[1], [2], [3]])
    expected = (np.sqrt(3) - 1) * rounding
    np.testing.assert_allclose(box.distance(*corner), expected, atol=1e-5)


def test_rotations_turn_the_way_they_say():
  x, y, z = np.eye(3)
  turn, nod, roll = (
    solids.rotation(90),
    solids.rotation(0, 90),
    solids.rotation(0, 0, 90),
  )
  np.testing.assert_allclose(turn @ z, x, atol=1e-6)
  np.testing.assert_allclose(nod @ z, -y, atol=1e-6)
  np.testing.assert_allclose(roll @ x, y, atol=1e-6)
  both = solids.rotation(20, 30, 40)
  np.testing.assert_allclose(both @ both.T, np.eye(3), atol=1e-6)
  one = (solids.rotation(20), solids.rotation(0, 30), solids.rotation(0, 0, 40))
  np.testing.assert_allclose(both, one[0] @ one[1] @ one[2], atol=1e-6)


def test_a_turned_ellipsoid_is_an_ellipsoid_seen_from_its_axes():
  matrix = solids.rotation(25, 10, 40)
  turned = solids.ellipsoid((1, 0, 2), (3, 2, 1), matrix)
  straight = solids.ellipsoid((0, 0, 0), (3, 2, 1))
  points = _points()
  local = (points - [1, 0, 2]) @ matrix
  np.testing.assert_allclose(
    turned.distance(*points.T), straight.distance(*local.T), atol=1e-4
  )


def test_curves_begin_and_end_at_their_outer_points():
  control = np.float32([[0, 0, 0], [1, 3, 0], [4, 0, 2]])
  path = solids.bezier(control, 9)
  np.testing.assert_allclose(path[[0, -1]], control[[0, -1]], atol=1e-6)
  t = 0.5
  middle = (1 - t) ** 2 * control[0] + 2 * t * (1 - t) * control[1]
  np.testing.assert_allclose(path[4], middle + t * t * control[2], atol=1e-6)


def test_unions_and_common_parts_are_minimum_and_maximum():
  a, b = solids.ellipsoid((0, 0, 0), 2.0), solids.ellipsoid((2, 0, 0), 1.5)
  points = _points()
  first, second = a.distance(*points.T), b.distance(*points.T)
  union, common = solids.union(a, b), solids.common(a, b)
  np.testing.assert_array_equal(
    union.distance(*points.T), np.minimum(first, second)
  )
  np.testing.assert_array_equal(
    common.distance(*points.T), np.maximum(first, second)
  )
  np.testing.assert_allclose(union.high, [3.5, 2, 2])


def test_half_spaces_are_planes():
  plane = solids.half_space((0, 1, 0), (0, 3, 4))
  points = _points()
  expected = (points - [0, 1, 0]) @ [0, 0.6, 0.8]
  np.testing.assert_allclose(plane.distance(*points.T), expected, atol=1e-5)


@pytest.mark.parametrize('amount', [0.5, lambda x, y, z: 0.5 + 0 * x])
def test_swollen_solids_are_farther_out(amount):
  ball = solids.ellipsoid((0, 0, 0), 2.0)
  swollen = solids.swollen(ball, amount, 0.5)
  points = _points()
  np.testing.assert_allclose(
    swollen.distance(*points.T), ball.distance(*points.T) - 0.5, atol=1e-6
  )
  np.testing.assert_allclose(swollen.high, 2.5)


def test_brush_strokes_reach_through_all_depths_before_their_back():
  stroke = solids.extruded(((0, 0), (4, 0)), (1.0, 1.0), back=-1.0)
  z = np.float32([-2.0, -0.5, 3.0, 9.0])
  found = stroke.distance(np.full(4, 2, np.float32), np.zeros(4, np.float32), z)
  assert list(found < 0) == [False, True, True, True]
  np.testing.assert_allclose(found[2], found[3])
