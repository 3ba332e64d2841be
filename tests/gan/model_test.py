"""A network and its variables: what a config builds, and how it is run."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.gan import discriminator, model as model_lib, stylegan2
from tests.gan import small

FLAT = stylegan2.StyleGAN2Config(
  z_dim=4, w_dim=6, channels=(5, 4), mapping_layers=1
)
PAIRS = discriminator.DiscriminatorConfig(
  image_channels=6, c_dim=25, channels=(4, 4), mapping_layers=1
)


@pytest.mark.parametrize('config', [small.EG3D, FLAT, PAIRS])
def test_a_config_builds_the_network_that_has_it(config):
  module = config.build()
  assert module.config == config
  shapes = model_lib.variable_shapes(config)
  made = model_lib.initialize(jax.random.key(0), config)
  assert made.module == module
  same = jax.tree.map(lambda a, b: a.shape == b.shape, shapes, made.variables)
  assert all(jax.tree.leaves(same))
  count = sum(np.prod(x.shape) for x in jax.tree.leaves(shapes['params']))
  assert model_lib.parameter_count(made) == count


def test_a_method_is_run_on_the_variables_that_are_given():
  model = model_lib.initialize(jax.random.key(0), FLAT)
  z = jnp.ones((2, 4))
  ws = model_lib.run(model.variables, model.module.map, z)
  expected = model.module.apply(model.variables, z, method='map')
  np.testing.assert_array_equal(ws, expected)
  other = jax.tree.map(lambda x: 2 * x, model.variables)
  moved = model_lib.run(other, model.module.map, z)
  assert np.abs(moved - ws).max() > 0.1


def test_options_reach_the_method():
  model = model_lib.initialize(jax.random.key(0), FLAT)
  ws = model_lib.run(
    model.variables, model.module.map, jnp.ones((1, 4)), truncation_psi=0.0
  )
  # The mean latent of a network that has not learnt is zero.
  np.testing.assert_array_equal(ws, 0)
