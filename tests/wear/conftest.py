"""Fixtures of worn masks: a track with a known truth, a mask, a clip."""

import fractions

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.spatial

from maskjax.face import pose as pose_lib
from maskjax.geometry import canonical, mesh as mesh_lib
from maskjax.wear import smoothing, tracking, video
from tests.training.conftest import full_disk  # noqa: F401


def seen_points(pose, intrinsics, shape):
  """Return the points of a head as the landmark network tells them.

  Args:
    pose: from the head's frame into the camera's, f[4, 4].
    intrinsics: normalised, f[3, 3].
    shape: f[468, 3], cm.
  """
  placed = shape @ pose[:3, :3].T + pose[:3, 3]
  flat = placed[:, :2] / placed[:, 2:] * intrinsics[[0, 1], [0, 1]]
  # The network tells depths in the scale of the face in the picture.
  middle = np.asarray(pose_lib.procrustes_weights()) @ placed[:, 2]
  depth = (placed[:, 2:] - middle) / middle * intrinsics[0, 0]
  return np.concatenate([flat + intrinsics[:2, 2], depth], 1)


def pose_of(degrees, place):
  """Return the pose of a head turned by yaw, pitch, roll, at a place, cm."""
  turn = scipy.spatial.transform.Rotation.from_euler(
    'YXZ', np.array(degrees, float) * [1, -1, -1], degrees=True
  )
  pose = np.eye(4)
  pose[:3, :3] = np.diag([1.0, -1.0, -1.0]) @ turn.as_matrix()
  pose[:3, 3] = place
  return pose


def track_of(poses, intrinsics, *, shape=None, size=(360, 640), moves=None):
  """Return a track of one face, whose poses, f[n, 4, 4], are known."""
  shape = canonical.load().vertices if shape is None else shape
  records = np.zeros(len(poses), tracking.RECORD)
  for index, pose in enumerate(poses):
    own = shape if moves is None else shape + moves[index]
    records['frame'][index], records['score'][index] = index, 1.0
    records['points'][index] = seen_points(pose, intrinsics, own)
  times = np.arange(len(poses)) / 30
  cuts = np.zeros(len(poses), bool)
  return tracking.Track(times, cuts, records, *size)


@pytest.fixture
def small_mask():
  """Return a coarse coloured sheet over the canonical face."""
  face = canonical.load()
  vertices = face.vertices + np.array([0.0, 0.0, 0.5])
  colors = np.full((468, 3), 0.5)
  return mesh_lib.from_numpy(vertices, face.faces, colors=colors)


@pytest.fixture
def clip():
  """Return what is known of a clip that no file holds."""
  return video.Clip(
    path='none.mp4',
    height=360,
    width=640,
    time_base=fractions.Fraction(1, 30),
    rate=fractions.Fraction(30),
    frames=0,
    turned=0,
    matrix=6,
    full_range=False,
    aspect=fractions.Fraction(1),
    audio=(),
  )


def apart_degrees(a, b):
  """Return the angle between two rotations."""
  turn = np.asarray(a, float).T @ np.asarray(b, float)
  return float(np.degrees(np.linalg.norm(smoothing.log_rotation(turn))))


def even_light(level=0.9):
  """Return the harmonics of an even white light."""
  harmonics = np.zeros((9, 3), np.float32)
  harmonics[0] = level * 2 * np.sqrt(np.pi)
  return jnp.asarray(harmonics)
