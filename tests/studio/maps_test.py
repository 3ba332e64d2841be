"""Colour, normals and coverage as one picture; cameras as numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.studio import maps


def test_channels_are_where_they_are_said_to_be():
  keys = jax.random.split(jax.random.key(0), 3)
  image, normals = (
    jax.random.uniform(key, (2, 4, 4, 3), minval=-1) for key in keys[:2]
  )
  alpha = jax.random.uniform(keys[2], (2, 4, 4, 1))
  picture = maps.stack(image, normals, alpha)
  assert picture.shape == (2, 4, 4, maps.CHANNELS)
  np.testing.assert_array_equal(picture[..., maps.COLOR], image)
  np.testing.assert_array_equal(picture[..., maps.NORMALS], normals)
  np.testing.assert_array_equal(picture[..., maps.COVERAGE], 2 * alpha - 1)


def test_weights_are_those_of_colour_and_of_shape():
  np.testing.assert_array_equal(
    maps.channel_weights(1.0, 0.25), [1, 1, 1, 0.25, 0.25, 0.25, 0.25]
  )
  known = jnp.array([0.0, 1.0])
  weights = maps.channel_weights(1.0, known)
  np.testing.assert_array_equal(weights[:, maps.COVERAGE][:, 0], known)


def test_cameras_are_told_apart_and_unknown_ones_are_zero():
  angles = jnp.array([-90.0, 0.0, 30.0])
  ones = jnp.ones(3)
  labels = maps.camera_labels(angles, 0 * angles, ones)
  assert labels.shape == (3, maps.CAMERA)
  # Sine and cosine of the azimuth and of the elevation, distance, known.
  np.testing.assert_allclose(labels[1], [0, 1, 0, 1, 0, 1], atol=1e-6)
  np.testing.assert_allclose(labels[0, :2], [-1, 0], atol=1e-6)
  assert labels[2, 0] == pytest.approx(0.5, abs=1e-6)
  farther = maps.camera_labels(angles, 0 * angles, 1.1 * ones)
  assert (farther[:, 4] > 0.4).all()
  known = jnp.array([True, False, True])
  hidden = maps.camera_labels(angles, 0 * angles, ones, known)
  assert not np.any(hidden[1])
  np.testing.assert_array_equal(hidden[::2], labels[::2])
