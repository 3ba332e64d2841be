"""Reports say what is known of a planted motion."""

import json

import numpy as np
from PIL import Image

from maskjax.face import pose as pose_lib
from maskjax.wear import composite, report, smoothing, solving
from tests.wear import conftest as truth

_INTRINSICS = np.asarray(pose_lib.photo_intrinsics(360, 640, 45.0))


def _trembling(degrees, count=40):
  rng = np.random.default_rng(0)
  turns = rng.normal(0, degrees, (count, 3))
  return np.stack([truth.pose_of(turn, (0, 0, 60.0)) for turn in turns])


def _motion(poses, *, width=0.3):
  track = truth.track_of(poses, _INTRINSICS)
  return track, solving.solve(track, 0, fovy=45.0, width=width)


def test_jitter_is_the_way_of_the_points_from_frame_to_frame():
  _, motion = _motion(_trembling(0.5), width=0.0)
  places = report._images(motion, motion.raw, (360, 640))
  eyes = np.linalg.norm(places[:, 0] - places[:, 1], axis=-1).mean()
  steps = np.diff(places, axis=0) / eyes * 100
  wanted = np.sqrt(np.mean(np.sum(steps**2, -1)))
  found = report.jitter(motion, motion.raw, (360, 640))
  np.testing.assert_allclose(found, wanted, rtol=0.3)


def test_steadied_poses_have_less_of_it():
  _, motion = _motion(_trembling(0.5))
  raw = report.jitter(motion, motion.raw, (360, 640))
  assert report.jitter(motion, motion.poses, (360, 640)) < 0.15 * raw


def test_a_smooth_turn_is_no_jitter():
  poses = np.stack(
    [truth.pose_of((20 * np.sin(k / 8), 0, 0), (0, 0, 60.0)) for k in range(40)]
  )
  _, motion = _motion(poses, width=0.0)
  assert report.jitter(motion, motion.raw, (360, 640)) < 0.15


def test_a_report_is_json_and_a_picture(tmp_path, clip):
  track, motion = _motion(_trembling(0.3))
  light = np.tile(np.asarray(truth.even_light()), (40, 1, 1))
  light[:, 3] = 0.5
  summary = report.summary(
    clip,
    track,
    [motion],
    [light],
    seconds={'looking': 1.0, 'wearing': 3.0},
    coverage=report.Coverage(40, 40, 4.0),
    fovy=45.0,
    look=composite.Look(0.7, 0.01),
  )
  assert json.loads(json.dumps(summary)) == summary
  assert summary['frames'] == 40 and summary['frames_without_face'] == 0
  assert summary['frames_per_second'] == 10.0 and summary['covered'] == 0.1
  assert summary['faces'][0]['light_spread_degrees'] == 0.0
  assert summary['faces'][0]['jitter_px'] < summary['faces'][0]['jitter_raw_px']
  report.draw(tmp_path / 'report.png', track, [motion], [light])
  picture = np.asarray(Image.open(tmp_path / 'report.png'))
  assert picture.std() > 10
  report.draw(tmp_path / 'dark.png', track, [motion], [None])


def test_coverage_is_counted():
  alone = np.zeros((10, 10, 4), np.uint8)
  coverage = report.Coverage().add(alone)
  alone[:5, :, 3] = 255
  coverage = coverage.add(alone)
  assert coverage == report.Coverage(2, 1, 0.5)


def test_angles_are_those_of_the_pose():
  matrices = np.stack(
    [
      truth.pose_of((30, 0, 0), (0, 0, 60)),
      truth.pose_of((0, 20, 0), (0, 0, 60)),
    ]
  )
  angles = report._angles(smoothing.from_matrices(matrices))
  np.testing.assert_allclose(angles, [[30, 0, 0], [0, 20, 0]], atol=1e-6)
