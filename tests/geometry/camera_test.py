"""Camera conventions: axes, orbit directions, projections, round trips."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.geometry import camera

# Positions of tens of centimetres in float32.
_TOLERANCE = 2e-5


_orbit = jax.jit(camera.orbit)


def _project(view, point):
  image, depth = jax.jit(camera.project)(
    view, jnp.asarray([point], jnp.float32)
  )
  return np.asarray(image[0]), float(depth[0])


def test_the_front_camera_sees_right_up_and_near_where_they_are():
  front = _orbit(0.0, 0.0)
  centre, depth = _project(front, (0, 0, 2))
  np.testing.assert_allclose(centre, [0.5, 0.5], atol=1e-6)
  assert depth == pytest.approx(63.5)
  right, _ = _project(front, (5, 0, 2))
  assert right[0] > 0.5 and right[1] == pytest.approx(0.5)
  up, _ = _project(front, (0, 5, 2))
  assert up[1] < 0.5 and up[0] == pytest.approx(0.5)
  _, nearer = _project(front, (0, 0, 12))
  assert nearer == pytest.approx(53.5)


def test_the_standard_camera_sees_34_centimetres():
  front = _orbit(0.0, 0.0)
  half = 63.5 * np.tan(np.deg2rad(15))
  assert 2 * half == pytest.approx(34.03, abs=0.01)
  for point, expected in (
    ((half, 0, 2), (1.0, 0.5)),
    ((-half, 0, 2), (0.0, 0.5)),
    ((0, half, 2), (0.5, 0.0)),
    ((0, -half, 2), (0.5, 1.0)),
  ):
    image, _ = _project(front, point)
    np.testing.assert_allclose(image, expected, atol=1e-5)


@pytest.mark.parametrize(
  'azimuth, elevation, direction',
  [
    (0.0, 0.0, (0, 0, 1)),
    (90.0, 0.0, (1, 0, 0)),
    (-90.0, 0.0, (-1, 0, 0)),
    (180.0, 0.0, (0, 0, -1)),
    (0.0, 90.0, (0, 1, 0)),
    (0.0, -90.0, (0, -1, 0)),
    (45.0, 30.0, (0.6123724, 0.5, 0.6123724)),
  ],
)
def test_orbit_directions(azimuth, elevation, direction):
  view = _orbit(azimuth, elevation, radius=10.0, target=(1.0, 2.0, 3.0))
  eye = np.asarray(view.cam2world[:3, 3])
  np.testing.assert_allclose((eye - [1, 2, 3]) / 10, direction, atol=_TOLERANCE)
  rotation = np.asarray(view.cam2world[:3, :3])
  np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-6)
  assert np.linalg.det(rotation) == pytest.approx(1.0, abs=1e-6)
  np.testing.assert_allclose(rotation[:, 2], -np.asarray(direction), atol=1e-6)


def test_orbit_is_batched_and_agrees_with_look_at():
  azimuth = jnp.asarray([-120.0, -30.0, 0.0, 75.0])
  elevation = jnp.asarray([-40.0, 10.0, 0.0, 60.0])
  views = _orbit(azimuth, elevation)
  assert views.cam2world.shape == (4, 4, 4)
  assert views.intrinsics.shape == (4, 3, 3)
  looked = jax.jit(camera.look_at)(
    views.cam2world[:, :3, 3], jnp.asarray([0.0, 0.0, 2.0])
  )
  np.testing.assert_allclose(looked, views.cam2world, atol=_TOLERANCE)
  mapped = jax.jit(jax.vmap(camera.orbit))(azimuth, elevation)
  np.testing.assert_allclose(mapped.cam2world, views.cam2world, atol=1e-6)


@pytest.mark.parametrize('up', [(0.0, 1.0, 0.0), (0.0, 0.0, -1.0)])
def test_look_at_stays_a_rotation_when_up_is_the_view_direction(up):
  pose = jax.jit(camera.look_at)(10.0 * jnp.asarray(up), jnp.zeros(3), up)
  rotation = np.asarray(pose[:3, :3])
  np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-6)
  np.testing.assert_allclose(rotation[:, 2], -np.asarray(up), atol=1e-6)


def test_world_to_camera_inverts_the_pose():
  views = _orbit(jnp.asarray([20.0, -70.0]), 25.0)
  points = jax.random.normal(jax.random.key(0), (5, 3)) * 10
  local = camera.world_to_camera(views, points)
  assert local.shape == (2, 5, 3)
  pose = np.asarray(views.cam2world)
  back = local @ pose[:, :3, :3].swapaxes(1, 2) + pose[:, None, :3, 3]
  np.testing.assert_allclose(back, np.stack([points] * 2), atol=_TOLERANCE)
  inverse = camera.invert_pose(views.cam2world)
  np.testing.assert_allclose(
    inverse @ views.cam2world, np.stack([np.eye(4)] * 2), atol=_TOLERANCE
  )
  turned = camera.directions_to_camera(views, points)
  np.testing.assert_allclose(
    turned, local - inverse[:, None, :3, 3], atol=_TOLERANCE
  )


def test_project_uses_every_intrinsic():
  intrinsics = jnp.asarray([[2.0, 0.1, 0.4], [0.0, 3.0, 0.6], [0.0, 0.0, 1.0]])
  image, depth = camera.project_camera_points(
    intrinsics, jnp.asarray([[1.0, 2.0, 4.0]])
  )
  homogeneous = np.asarray(intrinsics) @ [1.0, 2.0, 4.0]
  np.testing.assert_allclose(image[0], homogeneous[:2] / 4, rtol=1e-6)
  assert depth[0] == 4


def test_points_behind_the_camera_stay_finite():
  points = jnp.asarray([[1.0, 1.0, 0.0], [1.0, 1.0, -5.0]])
  intrinsics = camera.intrinsics_from_fov(30.0)

  def total(points):
    return jnp.sum(camera.project_camera_points(intrinsics, points)[0])

  value, gradient = jax.jit(jax.value_and_grad(total))(points)
  assert np.isfinite(value)
  assert np.isfinite(gradient).all()


def test_opengl_axes_round_trip():
  pose = _orbit(35.0, -20.0).cam2world
  opengl = camera.to_opengl(pose)
  # OpenGL's camera looks along its -z and has +y up.
  np.testing.assert_array_equal(opengl[:3, 2], -pose[:3, 2])
  np.testing.assert_array_equal(opengl[:3, 1], -pose[:3, 1])
  np.testing.assert_array_equal(opengl[:3, 3], pose[:3, 3])
  np.testing.assert_array_equal(camera.from_opengl(opengl), pose)


def test_vector25_round_trip_and_layout(unchecked):
  views = _orbit(jnp.asarray([10.0, 20.0]), 5.0)
  vector = camera.to_vector25(views)
  assert vector.shape == (2, 25)
  np.testing.assert_array_equal(vector[:, 3], views.cam2world[:, 0, 3])
  np.testing.assert_array_equal(vector[:, 16], views.intrinsics[:, 0, 0])
  back = camera.from_vector25(vector)
  np.testing.assert_array_equal(back.cam2world, views.cam2world)
  np.testing.assert_array_equal(back.intrinsics, views.intrinsics)
  with pytest.raises(ValueError, match='25 numbers'):
    camera.from_vector25(jnp.zeros((2, 24)))


def test_orthographic_cameras_see_sizes_whatever_the_depth():
  views = camera.Camera(
    cam2world=_orbit(jnp.asarray([0.0, 90.0]), 0.0).cam2world,
    intrinsics=jnp.stack([camera.orthographic_intrinsics(40.0)] * 2),
    projection='orthographic',
  )
  # An orbit looks at (0, 0, 2): 10 cm up is a quarter of the image.
  points = jnp.asarray([[0.0, 0.0, 2.0], [4.0, 10.0, 2.0], [0.0, 10.0, -6.0]])
  image, depth = jax.jit(camera.project)(views, points)
  expected = [[0.5, 0.5], [0.6, 0.25], [0.5, 0.25]]
  np.testing.assert_allclose(image[0], expected, atol=1e-6)
  expected = [[0.5, 0.5], [0.5, 0.25], [0.7, 0.25]]
  np.testing.assert_allclose(image[1], expected, atol=1e-6)
  np.testing.assert_allclose(depth[0], [63.5, 63.5, 71.5], rtol=1e-6)
  with pytest.raises(ValueError, match='orthographic'):
    camera.to_vector25(views)
