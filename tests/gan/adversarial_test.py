"""Settings of an adversarial training, and the average it leaves."""

import jax
import numpy as np
import pytest

from maskjax.gan import adversarial, model as model_lib, optimizers
from tests.gan import small


def test_periods_are_at_least_a_step():
  with pytest.raises(ValueError, match='r1_every=0'):
    adversarial.GANConfig(r1_every=0)
  with pytest.raises(ValueError, match='path_shrink=0'):
    adversarial.GANConfig(path_shrink=0)


def test_the_averaged_generator_leaves_shifts_out():
  own = model_lib.initialize(jax.random.key(0), small.STYLEGAN2)
  other = model_lib.initialize(jax.random.key(1), small.SINGLE)
  state = optimizers.first_state(own, other, adversarial.GANConfig())
  shifted = {**state.average, 'shifts': {'b4': 1.0}}
  found = adversarial.average_model(own.module, state.replace(average=shifted))
  assert found.module == own.module
  assert found.variables.keys() == {'params', 'buffers'}
  jax.tree.map(np.testing.assert_array_equal, found.variables, own.variables)
