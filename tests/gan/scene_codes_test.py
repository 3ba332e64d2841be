"""Distributions of latents: their divergence, and draws of them."""

import jax
import jax.numpy as jnp
import numpy as np

from maskjax.gan import scene_codes


def codes(seed=1):
  mean = jax.random.normal(jax.random.key(seed), (4, 8))
  return scene_codes.Codes(mean, jnp.full(8, -2.0))


def test_divergence_equals_that_of_distributions():
  own, scene = codes(), jnp.array([2, 0])
  mean = np.asarray(own.mean)[np.asarray(scene)]
  deviation = np.exp(np.asarray(own.log_deviation))
  draws = mean + deviation * np.random.default_rng(0).normal(
    size=(20_000, 2, 8)
  )
  log_q = -0.5 * ((draws - mean) / deviation) ** 2 - np.log(deviation)
  estimate = (log_q + 0.5 * draws**2).mean()
  np.testing.assert_allclose(
    scene_codes.divergence(own, scene), estimate, rtol=0.02
  )


def test_codes_are_drawn_around_the_scene():
  own, scene = codes(), jnp.repeat(jnp.array([1, 3]), 500)
  z = scene_codes.sample(own, scene, jax.random.split(jax.random.key(0), 1000))
  np.testing.assert_allclose(z[:500].mean(0), own.mean[1], atol=0.03)
  np.testing.assert_allclose(z[500:].std(0), np.exp(-2.0), rtol=0.15)
