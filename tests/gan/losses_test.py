import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from maskjax.gan import (
  fakes,
  fir,
  losses,
)


@pytest.mark.parametrize('sigma', [0.0, 0.4, 1.7, 3.0])
def test_blur_is_the_reference_filter(sigma):
  x = jax.random.normal(jax.random.key(0), (1, 9, 12, 2))
  y = jax.jit(losses.blur)(x, sigma)
  if int(3 * sigma) == 0:
    np.testing.assert_array_equal(y, x)
    return
  taps = fir.gaussian_filter(sigma)
  expected = ndimage.convolve1d(np.asarray(x), taps, axis=1, mode='constant')
  expected = ndimage.convolve1d(expected, taps, axis=2, mode='constant')
  np.testing.assert_allclose(y, expected, atol=1e-5)


def test_r1_of_a_known_function():
  image = jax.random.normal(jax.random.key(0), (3, 4, 4, 2))
  raw = jax.random.normal(jax.random.key(1), (3, 2, 2, 2))

  def logits_of(images):
    a = jnp.square(images.image).sum((1, 2, 3)) / 2
    return (a + 3 * images.raw.sum((1, 2, 3)))[:, None]

  squares, logits = losses.r1_penalty(logits_of, fakes.Images(image, raw))
  expected = np.square(image).sum((1, 2, 3)) + 9 * 8
  np.testing.assert_allclose(squares, expected, rtol=1e-5)
  assert logits.shape == (3, 1)


def test_path_penalty_follows_the_mean():
  lengths = jnp.array([1.0, 3.0])
  value, mean = losses.path_penalty(lengths, jnp.float32(1.0), decay=0.5)
  assert float(mean) == 1.5
  assert float(value) == pytest.approx((0.25 + 2.25) / 2)
