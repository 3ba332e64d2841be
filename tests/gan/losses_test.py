import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from maskjax.gan import (
  draws,
  fir,
  losses,
  mapping,
  model as model_lib,
  schedules,
  stylegan2,
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
  side = lambda seen, **rest: schedules.raw_resolution(
    seen, start=16, end=24, kimg=1000, **rest
  )
  assert [side(seen) for seen in (0, 5e5, 2e6)] == [16, 20, 24]
  assert [side(s, sides=(16, 24)) for s in (0, 9e5, 1e6)] == [16, 16, 24]
  decay = schedules.ema_decay(1e9, 32, kimg=10)
  assert float(decay) == pytest.approx(0.5 ** (32 / 10000))
  assert float(schedules.ema_decay(0, 32, kimg=10)) == 0


def test_mixed_latents():
  ws = jnp.zeros((3, 4, 2))
  others = jnp.ones((3, 4, 2))
  mixed = mapping.mix(ws, others, jnp.array([0, 1, 4]))
  np.testing.assert_array_equal(
    mixed[..., 0], [[1, 1, 1, 1], [0, 1, 1, 1], [0, 0, 0, 0]]
  )
  np.testing.assert_array_equal(
    mapping.mix(ws, others, 2)[0, :, 0], [0, 0, 1, 1]
  )


def test_mixing_takes_the_last_styles_from_a_second_latent():
  config = stylegan2.StyleGAN2Config(
    z_dim=4, w_dim=6, channels=(5, 4), mapping_layers=1
  )
  model = model_lib.initialize(jax.random.key(0), config)
  drawn = draws.draw(
    model.module, jax.random.split(jax.random.key(1), 64), mixes=True
  )
  assert set(np.asarray(drawn.mixing.cut).tolist()) == {1, 2, 3}
  z = jax.random.normal(jax.random.key(2), (64, 4))
  map_ = functools.partial(
    losses.map_mixed, model.module, model.variables, z, None
  )
  plain, mixed = map_(None, 0.5), map_(drawn.mixing, 0.5)
  second = model_lib.run(
    model.variables, model.module.map, drawn.mixing.z, None
  )
  happens = np.asarray(drawn.mixing.happens) < 0.5
  assert 10 < happens.sum() < 54
  for i in range(64):
    cut = int(drawn.mixing.cut[i]) if happens[i] else 4
    np.testing.assert_array_equal(mixed[i, :cut], plain[i, :cut])
    np.testing.assert_array_equal(mixed[i, cut:], second[i, cut:])
