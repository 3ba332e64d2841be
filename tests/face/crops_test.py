"""Regions, sampling and the way back, against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from maskjax.face import crops


def _ramp(height, width):
  """Return a picture whose two channels are x and y."""
  y, x = np.mgrid[:height, :width]
  return jnp.asarray(np.stack([x, y], -1), jnp.float32)


def test_a_whole_picture_at_its_own_size_is_itself():
  image = _ramp(12, 12)
  region = crops.whole(12, 12, square=True)
  np.testing.assert_allclose(crops.crop(image, region, 12), image, atol=1e-5)


@pytest.mark.parametrize('angle', [0.0, 0.4, -2.0])
def test_a_crop_shows_the_points_that_to_picture_says(angle):
  region = crops.Region(
    center=jnp.array([31.0, 28.0]),
    size=jnp.array([20.0, 16.0]),
    rotation=jnp.float32(angle),
  )
  seen = crops.crop(_ramp(60, 64), region, 8)
  places = jnp.stack(jnp.meshgrid(jnp.arange(8), jnp.arange(8)), -1) / 8
  expected = crops.to_picture(region, places.reshape(-1, 2)).reshape(8, 8, 2)
  np.testing.assert_allclose(seen, expected, atol=1e-4)


def test_positive_rotation_is_clockwise_on_the_screen():
  offset = crops.turn(jnp.array([1.0, 0.0]), jnp.float32(jnp.pi / 2))
  np.testing.assert_allclose(offset, [0.0, 1.0], atol=1e-6)  # right to down


@pytest.mark.parametrize(
  ('outside', 'mode'), [(None, 'nearest'), (0.25, 'constant')]
)
def test_sampling_is_scipys(outside, mode):
  rng = np.random.default_rng(0)
  image = rng.random((9, 7, 3)).astype(np.float32)
  points = rng.uniform(-3, 12, (50, 2)).astype(np.float32)
  if outside is not None:  # SciPy leaves out the last half pixel
    inside = np.all((points > 0) & (points < [6, 8]), -1)
    far = np.any((points < -1) | (points > [7, 9]), -1)
    points = points[inside | far]
  expected = np.stack(
    [
      scipy.ndimage.map_coordinates(
        image[..., c], points[:, ::-1].T, order=1, mode=mode, cval=outside or 0
      )
      for c in range(3)
    ],
    -1,
  )
  got = crops.sample(jnp.asarray(image), jnp.asarray(points), outside=outside)
  np.testing.assert_allclose(got, expected, atol=1e-5)


def test_gradient_with_respect_to_the_region():
  image = _ramp(40, 40) ** 2

  @jax.jit
  def loss(x):
    region = crops.Region(
      jnp.stack([x, jnp.float32(20.2)]),
      jnp.array([9.0, 9.0]),
      jnp.float32(0.1),
    )
    return jnp.mean(crops.crop(image, region, 6))

  step = 0.05
  numeric = (loss(19.0 + step) - loss(19.0 - step)) / (2 * step)
  np.testing.assert_allclose(jax.grad(loss)(19.0), numeric, rtol=2e-2)
