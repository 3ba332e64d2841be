"""The frame of FFHQ: where cameras stand, what they see, and its units."""

import jax.numpy as jnp
import numpy as np

from maskjax.geometry import camera as camera_lib, ffhq

YAWS, PITCHES = [-30.0, 0.0, 20.0], [0.0, 10.0, -5.0]


def test_cameras_stand_on_the_sphere_at_their_angles():
  position = np.asarray(ffhq.vectors(YAWS, PITCHES))[:, [3, 7, 11]]
  np.testing.assert_allclose(
    np.linalg.norm(position, axis=1), ffhq.RADIUS, rtol=1e-5
  )
  yaws = np.degrees(np.arctan2(position[:, 0], position[:, 2]))
  pitches = np.degrees(np.arcsin(position[:, 1] / ffhq.RADIUS))
  np.testing.assert_allclose(yaws, YAWS, atol=1e-3)
  np.testing.assert_allclose(pitches, PITCHES, atol=1e-3)


def test_the_pivot_is_in_the_middle_of_every_picture():
  world = camera_lib.from_vector25(ffhq.vectors(YAWS, PITCHES))
  place, depth = camera_lib.project(world, jnp.array([ffhq.PIVOT]))
  np.testing.assert_allclose(place, 0.5, atol=1e-5)
  assert (depth > 2).all()
  mesh = ffhq.orbit(YAWS, PITCHES)
  place, _ = camera_lib.project(mesh, jnp.array([ffhq.PIVOT_CM]))
  np.testing.assert_allclose(place, 0.5, atol=1e-5)


def test_the_world_is_the_mesh_frame_moved_and_scaled():
  point = jnp.array([[1.0, 2.0, 3.0]])
  units = (point - jnp.array([ffhq.ORIGIN_CM])) / ffhq.CM_PER_UNIT
  mesh = ffhq.orbit(YAWS, PITCHES)
  seen, _ = camera_lib.project(mesh, point)
  same, _ = camera_lib.project(ffhq.to_units(mesh), units)
  np.testing.assert_allclose(seen, same, atol=1e-5)
  back = ffhq.to_centimetres(ffhq.to_units(mesh))
  np.testing.assert_allclose(back.cam2world, mesh.cam2world, atol=1e-4)


def test_intrinsics_have_the_focal_length_of_the_angle_of_view():
  rows = np.asarray(ffhq.intrinsics()).reshape(3, 3)
  np.testing.assert_allclose(
    rows, ffhq.orbit([0.0], [0.0]).intrinsics[0], rtol=1e-5
  )
