"""Clay shows shape, and pictures become sRGB bytes."""

import jax.numpy as jnp
import numpy as np
import trimesh

from maskjax.fitting import pictures
from maskjax.geometry import camera as camera_lib


def test_linear_light_becomes_srgb_bytes():
  linear = jnp.array([-1.0, 0.0, 0.25, 1.0, 2.0]).reshape(1, 5, 1, 1)
  shown = pictures.to_bytes(linear)
  np.testing.assert_array_equal(shown.reshape(-1), [0, 0, 137, 255, 255])


def test_clay_is_lit_from_the_upper_left_of_each_camera():
  ball = trimesh.creation.icosphere(subdivisions=3, radius=9.0)
  camera = camera_lib.orbit(
    jnp.array([0.0, 120.0]),
    jnp.array([0.0, 20.0]),
    radius=74.6,
    fovy=30.0,
    target=jnp.zeros(3),
  )
  vertices = jnp.asarray(ball.vertices, jnp.float32)
  faces = jnp.asarray(ball.faces, jnp.int32)
  taken = pictures.clay(vertices, faces, camera, 32).astype(int)
  for picture in taken:
    upper, lower = picture[11:15, 11:15].mean(), picture[17:21, 17:21].mean()
    assert upper > lower + 10
  # The light goes with the camera: a ball looks alike from everywhere.
  assert np.abs(taken[0] - taken[1]).mean() < 1.5
