"""Latents to w: truncation, mixing, and copies."""

import jax
import jax.numpy as jnp
import numpy as np

from maskjax.gan import layers, mapping


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


def test_truncation_pulls_the_first_copies_toward_the_mean():
  ws = jnp.arange(12.0).reshape(1, 3, 4)
  mean = jnp.full(4, 2.0)
  np.testing.assert_array_equal(mapping.truncate(ws, mean, 1.0), ws)
  np.testing.assert_array_equal(mapping.truncate(ws, mean, 0.0)[0], [mean] * 3)
  half = mapping.truncate(ws, mean, 0.5, 2)
  np.testing.assert_allclose(half[:, :2], (ws[:, :2] + 2) / 2)
  np.testing.assert_array_equal(half[:, 2:], ws[:, 2:])


def network(**sizes):
  return mapping.Mapping(
    **{'z_dim': 3, 'c_dim': 2, 'w_dim': 4, 'num_ws': 5, 'num_layers': 2} | sizes
  )


def test_one_w_is_copied_and_a_discriminator_has_one_alone():
  z, c = jnp.ones((2, 3)), jnp.ones((2, 2))
  module = network()
  variables = module.init(jax.random.key(0), z, c)
  ws = module.apply(variables, z, c)
  assert ws.shape == (2, 5, 4)
  np.testing.assert_array_equal(ws, ws[:, :1].repeat(5, 1))
  np.testing.assert_array_equal(variables['buffers']['w_avg'], 0)
  alone = network(z_dim=0, num_ws=None)
  variables = alone.init(jax.random.key(0), None, c)
  assert 'buffers' not in variables
  assert alone.apply(variables, None, c).shape == (2, 4)


def test_the_network_is_dense_layers_on_normalised_inputs():
  rng = np.random.default_rng(0)
  z, c = (jnp.asarray(rng.normal(size=(2, n)), jnp.float32) for n in (3, 2))
  module = network(embed_features=3, layer_features=6)
  variables = module.init(jax.random.key(0), z, c)
  params = variables['params']

  def dense(x, layer, rate, activate):
    kernel, bias = (
      np.asarray(params[layer][name], np.float64) for name in ('kernel', 'bias')
    )
    x = x @ kernel * rate / np.sqrt(len(kernel)) + rate * bias
    return np.sqrt(2) * np.where(x > 0, x, 0.2 * x) if activate else x

  norm = lambda x: x / np.sqrt(np.square(x).mean(-1, keepdims=True) + 1e-8)
  x = np.concatenate(
    [norm(np.asarray(z)), norm(dense(np.asarray(c), 'embed', 1.0, False))], -1
  )
  for layer in ('fc0', 'fc1'):
    x = dense(x, layer, mapping.LR_MULTIPLIER, True)
  found = module.apply(variables, z, c)
  np.testing.assert_allclose(found[:, 0], x, rtol=1e-4, atol=1e-5)
  assert params['fc0']['kernel'].shape == (6, 6)
  np.testing.assert_allclose(
    layers.normalize_second_moment(z), norm(np.asarray(z)), rtol=1e-5
  )
