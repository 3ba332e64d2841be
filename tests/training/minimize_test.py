"""Small fits reach their optimum, at the rates of their parameters."""

import jax.numpy as jnp
import numpy as np

from maskjax.training import minimize


def test_the_optimiser_reaches_a_planted_optimum():
  wanted = jnp.array([0.3, -0.7])

  def loss(params):
    place, scale = params
    return jnp.sum((place - wanted) ** 2) + (scale - 2.0) ** 2

  start = (jnp.zeros(2), jnp.ones(()))
  found, losses = minimize.adam(loss, start, rates=(0.05, 0.1), steps=150)
  np.testing.assert_allclose(found[0], wanted, atol=1e-3)
  np.testing.assert_allclose(found[1], 2.0, atol=1e-3)
  assert losses.shape == (150,)
  assert losses[-1] < 1e-5 < losses[0]


def test_rates_belong_to_their_parameters():
  start = (jnp.zeros(()), jnp.zeros(()))

  def loss(params):
    return -params[0] - params[1]

  found, _ = minimize.adam(loss, start, rates=(0.1, 0.01), steps=1)
  # Adam's first step is as long as the rate.
  np.testing.assert_allclose(found, (0.1, 0.01), rtol=1e-4)


def test_data_are_arguments_of_the_loss():
  def loss(params, wanted, weight):
    return weight * jnp.sum((params['place'] - wanted) ** 2)

  start = {'place': jnp.zeros(3)}
  wanted = jnp.array([0.1, 0.2, -0.1])
  found, losses = minimize.adam(
    loss, start, wanted, 2.0, rates=0.05, steps=150, eps=1e-12
  )
  np.testing.assert_allclose(found['place'], wanted, atol=1e-3)
  np.testing.assert_allclose(losses[0], 2.0 * 0.06, rtol=1e-5)
