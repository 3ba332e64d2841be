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
