"""Which parts of a step are due, and Adam beside lazy losses."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax

from maskjax.gan import adversarial, model as model_lib, optimizers
from tests.gan import small

CONFIG = adversarial.GANConfig(r1_every=1, density_every=1, path_every=1)


def test_parts_that_are_due():
  config = dataclasses.replace(CONFIG, r1_gamma=0.0)
  generator = model_lib.initialize(jax.random.key(0), small.EG3D).module
  assert optimizers.due(generator, config, 0) == (True, True, False)
  config = dataclasses.replace(
    CONFIG, density_weight=0.0, r1_every=16, generator_pause=33
  )
  assert optimizers.due(generator, config, 32) == (False, False, True)
  assert optimizers.due(generator, config, 33) == (True, False, False)


def test_lazy_losses_lower_rates_and_decays():
  config = adversarial.GANConfig(
    generator_rate=0.01, betas=(0.5, 0.9), density_every=4, r1_gamma=0.0
  )
  params = {'w': jnp.array([1.0, -2.0])}
  slopes = [{'w': jnp.array([0.3, -0.1])}, {'w': jnp.array([0.1, 0.2])}]

  def train(tx):
    own, state = params, tx.init(params)
    for slope in slopes:
      updates, state = tx.update(slope, state, own)
      own = optax.apply_updates(own, updates)
    return own['w']

  tx = optimizers.create(small.EG3D.build(), config)
  ratio = 4 / 5
  slowed = optax.adam(0.01 * ratio, b1=0.5**ratio, b2=0.9**ratio)
  np.testing.assert_allclose(train(tx.generator), train(slowed), rtol=1e-6)
  plain = optax.adam(0.002, b1=0.5, b2=0.9)
  np.testing.assert_allclose(train(tx.discriminator), train(plain), rtol=1e-6)


def test_the_first_state_owns_its_arrays():
  own = model_lib.initialize(jax.random.key(0), small.STYLEGAN2)
  other = model_lib.initialize(jax.random.key(1), small.SINGLE)
  state = optimizers.first_state(own, other, CONFIG)
  donate = jax.jit(lambda tree: tree, donate_argnums=0)
  donate(state.generator.params)
  # Neither the average nor the model that was given went with them.
  kept = jax.tree.leaves((state.average, own.variables['params']))
  assert all(np.isfinite(leaf).all() for leaf in kept)
  assert int(state.step) == 0 and float(state.path_mean) == 0
