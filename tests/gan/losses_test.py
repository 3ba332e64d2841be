import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from maskjax.gan import fir, losses, schedules


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

  squares, logits = losses.r1_penalty(logits_of, losses.Images(image, raw))
  expected = np.square(image).sum((1, 2, 3)) + 9 * 8
  np.testing.assert_allclose(squares, expected, rtol=1e-5)
  assert logits.shape == (3, 1)


def test_path_penalty_follows_the_mean():
  lengths = jnp.array([1.0, 3.0])
  value, mean = losses.path_penalty(lengths, jnp.float32(1.0), decay=0.5)
  assert float(mean) == 1.5
  assert float(value) == pytest.approx((0.25 + 2.25) / 2)


def test_schedules():
  assert float(schedules.blur_sigma(0, start=10, kimg=200)) == 10
  assert float(schedules.blur_sigma(1e6, start=10, kimg=200)) == 0
  assert float(schedules.swap_probability(5e5, end=0.5, kimg=1000)) == 0.75
  side = lambda seen, **rest: schedules.raw_resolution(  # noqa: E731
    seen, start=16, end=24, kimg=1000, **rest
  )
  assert [side(seen) for seen in (0, 5e5, 2e6)] == [16, 20, 24]
  assert [side(s, sides=(16, 24)) for s in (0, 9e5, 1e6)] == [16, 16, 24]
  decay = schedules.ema_decay(1e9, 32, kimg=10)
  assert float(decay) == pytest.approx(0.5 ** (32 / 10000))
  assert float(schedules.ema_decay(0, 32, kimg=10)) == 0
