"""Planted poses and angles of view are found again."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.spatial

from maskjax.face import landmarks, networks, pose
from maskjax.geometry import camera as camera_lib, canonical

FACE = jnp.asarray(canonical.load().vertices)
HEIGHT, WIDTH = 480, 640
head_pose = jax.jit(pose.head_pose, static_argnums=(1, 2))
fit_camera = jax.jit(pose.fit_camera, static_argnums=(1, 2))


def _planted(azimuth, elevation, *, roll=0.0, fovy=40.0, radius=60.0):
  """Return a camera on an orbit about the head, turned about its own axis."""
  camera = camera_lib.orbit(azimuth, elevation, radius=radius, fovy=fovy)
  spin = scipy.spatial.transform.Rotation.from_euler('z', roll, degrees=True)
  spun = camera.cam2world[:3, :3] @ jnp.asarray(spin.as_matrix(), jnp.float32)
  return camera_lib.Camera(
    camera.cam2world.at[:3, :3].set(spun),
    pose.photo_intrinsics(HEIGHT, WIDTH, fovy),
  )


def _seen(camera, shape=FACE):
  """Return the landmarks that a perfect tracker would report."""
  image, depth = camera_lib.project(camera, shape)
  middle = pose.procrustes_weights() @ depth
  relative = (depth - middle) * camera.intrinsics[0, 0] / middle
  return jnp.concatenate([image, relative[:, None]], -1)


def _turn_between(first, second):
  """Return the degrees between two rotations."""
  cosine = (np.trace(first.T @ second) - 1) / 2
  return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


CAMERAS = [
  (0.0, 0.0, 0.0),
  (35.0, 10.0, 0.0),
  (-40.0, -15.0, 25.0),
  (60.0, 20.0, -60.0),
]


@pytest.mark.parametrize('place', CAMERAS)
def test_a_planted_pose_is_found_exactly(place):
  azimuth, elevation, roll = place
  camera = _planted(azimuth, elevation, roll=roll)
  found = head_pose(_seen(camera), HEIGHT, WIDTH, fovy=40.0)
  np.testing.assert_allclose(
    found.camera.cam2world, camera.cam2world, atol=2e-2
  )
  np.testing.assert_allclose(found.points, FACE, atol=5e-3)
  assert float(found.error) < 5e-3


def test_noise_of_half_a_pixel_turns_the_pose_by_less_than_a_degree():
  rng = np.random.default_rng(0)
  camera = _planted(20.0, 5.0)
  turns = []
  for _ in range(20):
    noise = rng.normal(0, 0.5, (468, 3)) / [WIDTH, HEIGHT, WIDTH]
    found = head_pose(
      _seen(camera) + jnp.asarray(noise, jnp.float32), HEIGHT, WIDTH, fovy=40.0
    )
    turns.append(
      _turn_between(
        np.asarray(found.camera.cam2world[:3, :3]),
        np.asarray(camera.cam2world[:3, :3]),
      )
    )
  assert np.max(turns) < 1.0


def test_what_the_pose_says_lands_on_the_points():
  """A person with a face of their own: rendering it hits the photo."""
  rng = np.random.default_rng(1)
  shape = FACE * jnp.array([[1.06, 0.97, 1.04]]) + jnp.asarray(
    rng.normal(0, 0.05, FACE.shape), jnp.float32
  )
  points = _seen(_planted(15.0, -8.0, roll=5.0), shape)
  found = head_pose(points, HEIGHT, WIDTH, fovy=40.0)
  image, _ = camera_lib.project(found.camera, found.points)
  np.testing.assert_allclose(image, points[:, :2], atol=1e-5)


@pytest.mark.parametrize('fovy', [20.0, 35.0, 60.0])
def test_the_angle_of_view_is_found_from_2d_points(fovy):
  radius = 20.0 / np.tan(np.radians(fovy / 2))
  camera = _planted(25.0, 8.0, fovy=fovy, radius=radius)
  found = fit_camera(_seen(camera), HEIGHT, WIDTH, spread=5.0)
  ratio = found.camera.intrinsics[1, 1] / camera.intrinsics[1, 1]
  np.testing.assert_allclose(ratio, 1.0, atol=0.02)
  turn = _turn_between(
    np.asarray(found.camera.cam2world[:3, :3]),
    np.asarray(camera.cam2world[:3, :3]),
  )
  assert turn < 0.5 and float(found.error) < 1e-4


def test_fitting_the_camera_lowers_the_reprojection_error():
  camera = _planted(-20.0, 0.0, fovy=25.0, radius=85.0)
  points = _seen(camera)
  rough = head_pose(points, HEIGHT, WIDTH)  # thinks 63 degrees
  found = fit_camera(points, HEIGHT, WIDTH, spread=5.0)

  def miss(camera):
    image, _ = camera_lib.project(camera, FACE)
    return float(jnp.abs(image - points[:, :2]).max())

  assert miss(found.camera) < 0.1 * miss(rough.camera)


@pytest.mark.parametrize('vector', [(0, 0, 0), (1e-4, 0, 0), (0.3, -2, 1)])
def test_rotations_and_their_gradients_are_scipys(vector):
  vector = np.array(vector, np.float32)
  rotation = scipy.spatial.transform.Rotation.from_rotvec
  expected = rotation(vector).as_matrix()
  np.testing.assert_allclose(
    pose.rotation_matrix(jnp.asarray(vector)), expected, atol=1e-6
  )
  slopes = jax.jacfwd(pose.rotation_matrix)(jnp.asarray(vector))
  for axis in range(3):
    step = 1e-5 * np.eye(3)[axis]
    ahead, behind = (rotation(vector + k * step).as_matrix() for k in (1, -1))
    np.testing.assert_allclose(
      slopes[..., axis], (ahead - behind) / 2e-5, atol=1e-3
    )


def test_procrustes_is_scipys_and_never_a_mirror():
  rng = np.random.default_rng(2)
  source, target = rng.normal(size=(2, 30, 3))
  target[:, 2] *= -3  # the best orthogonal map is a reflection
  weights = rng.uniform(0.1, 1.0, 30)
  fit = pose.weighted_procrustes(*map(jnp.asarray, (source, target, weights)))
  mean = weights / weights.sum()
  expected, _ = scipy.spatial.transform.Rotation.align_vectors(
    target - mean @ target, source - mean @ source, weights
  )
  np.testing.assert_allclose(fit.rotation, expected.as_matrix(), atol=1e-4)
  np.testing.assert_allclose(np.linalg.det(fit.rotation), 1.0, atol=1e-5)


def test_angles_have_the_signs_that_they_promise():
  # A camera at the viewer's left sees a face that looks to the right.
  yaw, pitch, roll = pose.angles(_planted(-30.0, 0.0))
  np.testing.assert_allclose([yaw, pitch, roll], [30.0, 0.0, 0.0], atol=1e-3)
  # From below it seems to look up.
  yaw, pitch, roll = pose.angles(_planted(0.0, -20.0))
  np.testing.assert_allclose([yaw, pitch, roll], [0.0, 20.0, 0.0], atol=1e-3)
  camera = _planted(0.0, 0.0, roll=10.0)
  image, _ = camera_lib.project(camera, FACE)
  across = (image[263] - image[33]) * jnp.array([WIDTH, HEIGHT])
  seen = np.degrees(np.arctan2(across[1], across[0]))  # clockwise is positive
  np.testing.assert_allclose(pose.angles(camera)[2], seen, atol=1.0)


def test_gradient_of_the_pose():
  camera = _planted(30.0, 5.0)
  points = _seen(camera)
  push = jnp.zeros_like(points).at[:, 0].set(1e-2)

  @jax.jit
  def place(t):
    moved = pose.head_pose(points + t * push, HEIGHT, WIDTH, fovy=40.0)
    return moved.camera.cam2world[0, 3]

  numeric = (place(0.05) - place(-0.05)) / 0.1
  np.testing.assert_allclose(jax.grad(place)(0.0), numeric, rtol=2e-2)


def test_the_astronaut_looks_at_the_camera(pictures):
  nets = networks.load()
  image = pictures['astronaut']
  found = jax.jit(landmarks.find)(nets, image)
  result = head_pose(found.points[0], 512, 512, fovy=30.0)
  yaw, pitch, roll = pose.angles(result.camera)
  assert abs(yaw) < 25 and abs(pitch) < 20 and abs(roll) < 15
  assert float(result.error) < 0.8  # cm: her face is not the mean face
  image, _ = camera_lib.project(result.camera, FACE)
  miss = jnp.linalg.norm((image - found.points[0, :, :2]) * 512, axis=-1)
  assert float(miss.mean()) < 4.0  # of a face of 103 pixels
