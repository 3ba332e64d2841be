"""Affine resampling: matrices, and images that are moved."""

import jax
import jax.numpy as jnp
import numpy as np

from maskjax.gan import warp


def test_sampling_matrix_of_nothing():
  size, padding = (8, 6), ((2, 2), (3, 3))
  matrix = warp.sampling_matrix(jnp.eye(3)[None], size, padding)[0]
  # The result with room for the filter, as a part of the padded image.
  np.testing.assert_allclose(matrix[0, 0], (6 + 6) / (6 + 6), atol=1e-6)
  np.testing.assert_allclose(matrix[1, 1], (8 + 6) / (8 + 4), atol=1e-6)


def test_matrices_act_on_points():
  point = np.array([2.0, 3.0, 1.0])
  np.testing.assert_allclose(warp.translation(1.0, -1.0) @ point, [3, 2, 1])
  np.testing.assert_allclose(warp.scaling(2.0, 0.5) @ point, [4, 1.5, 1])
  quarter = warp.rotation(jnp.pi / 2) @ jnp.asarray(point)
  np.testing.assert_allclose(quarter, [-3, 2, 1], atol=1e-6)
  batch = warp.translation(jnp.arange(2.0), 0.0)
  assert batch.shape == (2, 3, 3)
  product = warp.multiply(warp.scaling(2.0, 2.0), batch)
  np.testing.assert_allclose(product[1] @ point, [6, 6, 1])


def test_nothing_is_moved_but_by_the_filter():
  # Constant images and ramps away from borders pass the filter as they are.
  flat = jnp.full((1, 16, 16, 1), 0.3)
  still = jnp.eye(3)[None]
  np.testing.assert_allclose(warp.warp(flat, still), flat, atol=1e-5)
  ramp = jnp.broadcast_to(jnp.arange(16.0)[None, :, None, None], (1, 16, 16, 1))
  moved = warp.warp(ramp, warp.translation(0.0, 2.0)[None])[0, :, 8, 0]
  # The result's pixel reads two rows below it.
  np.testing.assert_allclose(moved[3:11], np.arange(5, 13), atol=1e-2)


def test_borders_are_mirrored():
  image = jax.random.uniform(jax.random.key(0), (1, 12, 12, 2))
  away = warp.warp(image, warp.translation(12.0, 0.0)[None])
  assert np.isfinite(away).all()
  # Twelve pixels on is the mirror image, one pixel short.
  back = warp.warp(away[:, :, ::-1], jnp.eye(3)[None])
  assert np.abs(back[:, 3:-3, 3:-3] - image[:, 3:-3, 2:-4]).mean() < 0.25
