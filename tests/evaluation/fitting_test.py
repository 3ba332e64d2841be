"""The optimiser of the tutorial's fits."""

from jax import numpy as jnp
import numpy as np

from maskjax.evaluation import fitting


def test_the_optimiser_reaches_a_planted_optimum():
  wanted = jnp.array([0.3, -0.7])

  def loss(params):
    place, scale = params
    return jnp.sum((place - wanted) ** 2) + (scale - 2.0) ** 2

  start = (jnp.zeros(2), jnp.ones(()))
  found, losses = fitting.minimize(loss, start, rates=(0.05, 0.1), steps=150)
  np.testing.assert_allclose(found[0], wanted, atol=1e-3)
  np.testing.assert_allclose(found[1], 2.0, atol=1e-3)
  assert losses.shape == (150,)
  assert losses[-1] < 1e-5 < losses[0]


def test_rates_belong_to_their_parameters():
  start = (jnp.zeros(()), jnp.zeros(()))

  def loss(params):
    return -params[0] - params[1]

  found, _ = fitting.minimize(loss, start, rates=(0.1, 0.01), steps=1)
  # Adam's first step is as long as the rate.
  np.testing.assert_allclose(found, (0.1, 0.01), rtol=1e-4)
