"""Equalised layers against plain NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.gan import layers

X = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32) * 2


def sigmoid(x):
  return 1 / (1 + np.exp(-x))


# Function and gain that keep the variance, as StyleGAN2 has them.
ACTIVATIONS = {
  'linear': (lambda x: x, 1.0),
  'relu': (lambda x: np.maximum(x, 0), np.sqrt(2)),
  'lrelu': (lambda x: np.where(x > 0, x, 0.2 * x), np.sqrt(2)),
  'tanh': (np.tanh, 1.0),
  'sigmoid': (sigmoid, 1.0),
  'elu': (lambda x: np.where(x > 0, x, np.expm1(x)), 1.0),
  'softplus': (lambda x: np.log1p(np.exp(x)), 1.0),
  'swish': (lambda x: x * sigmoid(x), np.sqrt(2)),
}


@pytest.mark.parametrize('name', ACTIVATIONS)
def test_activations_equal_numpy(name):
  function, gain = ACTIVATIONS[name]
  bias = np.array([0.5, -1.0, 0.0, 2.0], np.float32)
  found = layers.bias_act(jnp.asarray(X), jnp.asarray(bias), activation=name)
  np.testing.assert_allclose(
    found, function(X + bias) * gain, rtol=1e-5, atol=1e-6
  )
  assert layers.activation_gain(name) == pytest.approx(gain)


def test_gain_comes_before_the_clamp():
  found = layers.bias_act(jnp.array([[-3.0, 0.5, 3.0]]), gain=2.0, clamp=4.0)
  np.testing.assert_allclose(found, [[-4.0, 1.0, 4.0]])
  slope = layers.bias_act(
    jnp.array([[-1.0]]), activation='lrelu', slope=0.5, gain=1.0
  )
  np.testing.assert_allclose(slope, [[-0.5]])
  with pytest.raises(ValueError, match="activation='cosine' is not one of"):
    layers.bias_act(X, activation='cosine')


def test_rows_have_a_mean_square_of_one():
  rows = layers.normalize_second_moment(jnp.asarray(X))
  np.testing.assert_allclose(np.square(rows).mean(-1), 1, rtol=1e-5)
  still = layers.normalize_second_moment(jnp.zeros((1, 4)))
  np.testing.assert_array_equal(still, 0)


def test_a_dense_layer_acts_the_same_at_any_learning_rate():
  for rate in (1.0, 0.01):
    layer = layers.Dense(5, lr_multiplier=rate, bias_init=0.5)
    params = layer.init(jax.random.key(0), X)['params']
    kernel, bias = (np.asarray(params[name]) for name in ('kernel', 'bias'))
    np.testing.assert_allclose(bias, 0.5 / rate, rtol=1e-6)
    expected = X @ (kernel * rate / np.sqrt(4)) + 0.5
    found = layer.apply({'params': params}, X)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    # Stored weights are so much larger: what acts has unit variance.
    assert 0.6 < (kernel * rate).std() < 1.4


def test_a_convolution_scales_by_its_inputs_and_its_gain():
  images = np.random.default_rng(1).normal(size=(1, 5, 5, 3))
  images = images.astype(np.float32)
  layer = layers.Conv(2, 1, clamp=1.0)
  params = layer.init(jax.random.key(0), images)['params']
  kernel = np.asarray(params['kernel'])[0, 0]
  expected = np.clip(0.5 * (images @ kernel) / np.sqrt(3), -0.5, 0.5)
  found = layer.apply({'params': params}, images, gain=0.5)
  np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
  for options, side in (({'up': 2}, 10), ({'down': 2}, 3)):
    size = 5 if 'up' in options else 6
    image = jnp.zeros((1, size, size, 3))
    made, _ = layers.Conv(2, **options).init_with_output(
      jax.random.key(0), image
    )
    assert made.shape == (1, side, side, 2)
