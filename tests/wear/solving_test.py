"""Poses and expressions come back from the points that they make."""

import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.face import pose as pose_lib
from maskjax.geometry import camera as camera_lib, canonical
from maskjax.wear import smoothing, solving
from tests.wear import conftest as truth

_FOVY = 45.0
_INTRINSICS = np.asarray(pose_lib.photo_intrinsics(360, 640, _FOVY))
_COUNT = 24


def _motion(poses, **options):
  track = truth.track_of(np.stack(poses), _INTRINSICS, **options)
  return track, solving.solve(track, 0, fovy=_FOVY, width=0.0)


def test_poses_are_those_of_the_truth():
  poses = [
    truth.pose_of((3 * k - 36, 0.5 * k, k - 12), (k - 12, 0.5 * k, 60 + k))
    for k in range(_COUNT)
  ]
  _, motion = _motion(poses)
  np.testing.assert_allclose(motion.shape, canonical.load().vertices, atol=0.05)
  for index, wanted in enumerate(poses):
    found = solving.world2cam(motion, index)
    assert truth.apart_degrees(found[:3, :3], wanted[:3, :3]) < 0.3
    np.testing.assert_allclose(found[:3, 3], wanted[:3, 3], atol=0.4)
  assert np.all(motion.numbers == 0) and np.all(motion.opacity == 1)
  assert solving.known(motion).all()


def test_a_mask_does_not_lean_at_the_edge_of_a_frame():
  """The same head in the middle and in the four corners."""
  corners = [(0, 0), (-26, -13), (26, -13), (-26, 13), (26, 13)]
  poses = [
    truth.pose_of((8, 5, 0), (*corners[k % 5], 60.0)) for k in range(_COUNT)
  ]
  _, motion = _motion(poses)
  errors = [
    truth.apart_degrees(solving.world2cam(motion, k)[:3, :3], poses[k][:3, :3])
    for k in range(5)
  ]
  assert max(errors) < 0.3


def test_the_camera_sees_the_points_where_they_are():
  poses = [truth.pose_of((k, 0, 0), (5.0, 3.0, 55.0)) for k in range(_COUNT)]
  track, motion = _motion(poses)
  seen, _ = camera_lib.project(
    solving.camera(motion, 7), jnp.asarray(motion.shape)
  )
  np.testing.assert_allclose(
    np.asarray(seen), track.records['points'][7][:, :2], atol=1e-3
  )


def _jaw_moves(count):
  """Open the mouth over time, by 1.5 cm at the end."""
  low = canonical.load().vertices[:, 1] < -5
  moves = np.zeros((count, 468, 3))
  moves[:, low, 1] = -1.5 * np.linspace(-0.2, 1, count).clip(0)[:, None]
  return moves, low


def test_an_open_mouth_is_found_and_is_no_nod():
  moves, low = _jaw_moves(_COUNT)
  poses = [truth.pose_of((0, 0, 0), (0, 0, 60)) for _ in range(_COUNT)]
  # Half of the time it is closed: the shape is that of a face at rest.
  moves[: _COUNT // 2 + 2] = 0
  track, motion = _motion(poses, moves=moves)
  found = solving.expression(track, motion, _COUNT - 1)
  assert found[low, 1].mean() < -0.8
  assert np.abs(found[~low]).max() < 0.5
  assert np.abs(solving.expression(track, motion, 3)).max() < 0.2
  last = solving.world2cam(motion, _COUNT - 1)
  assert truth.apart_degrees(last[:3, :3], poses[-1][:3, :3]) < 2.5


def test_expressions_are_locked_on_faces_that_turn_away():
  moves, _ = _jaw_moves(_COUNT)
  poses = [truth.pose_of((60, 0, 0), (0, 0, 60)) for _ in range(_COUNT)]
  track, motion = _motion(poses, moves=moves)
  np.testing.assert_allclose(
    solving.expression(track, motion, _COUNT - 1), 0, atol=1e-9
  )


def test_points_that_are_no_numbers_are_a_face_that_is_lost():
  poses = [truth.pose_of((k, 0, 0), (0, 0, 60)) for k in range(_COUNT)]
  track = truth.track_of(np.stack(poses), _INTRINSICS)
  track.records['points'][10:13] = np.nan
  motion = solving.solve(track, 0, fovy=_FOVY, width=0.1)
  assert not solving.known(motion)[10:13].any()
  assert np.all(motion.numbers == 0)  # bridged
  assert np.all(np.isfinite(smoothing.to_matrices(motion.poses)))


@pytest.mark.parametrize('fovy', [35.0, 60.0])
def test_the_angle_of_view_is_drawn_toward_the_truth(fovy):
  intrinsics = np.asarray(pose_lib.photo_intrinsics(360, 640, fovy))
  poses = [
    truth.pose_of((2 * k - 24, 0, 0), (k - 12, 0, 40)) for k in range(_COUNT)
  ]
  track = truth.track_of(np.stack(poses), intrinsics)
  found = solving.angle_of_view(track)
  guess = solving.FOVY_DEGREES
  assert abs(found - fovy) < abs(guess - fovy)
  empty = track._replace(records=track.records[:0])
  assert solving.angle_of_view(empty) == guess
