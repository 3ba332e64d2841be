import math

import jax
import jax.numpy as jnp
import numpy as np

from maskjax.gan import poses


def test_front_camera():
  half = jnp.array([math.pi / 2])
  pose = poses.look_at(half, half, radius=2.0)[0]
  np.testing.assert_allclose(pose[:3, 3], [0, 0, 2], atol=1e-6)
  np.testing.assert_allclose(
    pose[:3, :3], np.diag([1.0, -1.0, -1.0]), atol=1e-6
  )


def test_angles_near_a_pole():
  # As EG3D rounds them: arccos(1 - 2 v / pi) in float32, with v clipped.
  h = jnp.array([1.2, 1.5, 2.0])
  v = jnp.array([3.2, 3.14, 1e-7])
  place = jax.jit(poses.look_at)(h, v)[:, :3, 3] / 2.7
  clipped = np.clip(v, np.float32(1e-5), np.float32(math.pi - 1e-5))
  polar = np.arccos(
    (1 - 2 * (clipped / np.float32(math.pi))).astype(np.float64)
  )
  # 4 spacings of float32 at 1.
  np.testing.assert_allclose(place[:, 1], np.cos(polar), atol=5e-7)
  side = np.hypot(place[:, 0], place[:, 2])
  np.testing.assert_allclose(side, np.sin(polar), rtol=1e-5)


def test_sampled_cameras_are_rigid_and_see_the_pivot():
  pivot = (0.1, 0.0, 0.2)
  pose = poses.sample(jax.random.key(0), 5, pivot=pivot, uniform=True)
  rotation = np.asarray(pose[:, :3, :3])
  eye = np.eye(3)[None].repeat(5, 0)
  np.testing.assert_allclose(
    rotation @ rotation.transpose(0, 2, 1), eye, atol=1e-6
  )
  toward = np.array(pivot) - np.asarray(pose[:, :3, 3])
  toward /= np.linalg.norm(toward, axis=-1, keepdims=True)
  np.testing.assert_allclose(rotation[:, :, 2], toward, atol=1e-6)
