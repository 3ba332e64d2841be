import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from maskjax.training import state as state_lib

_PARAMS = {'w': jnp.array([1.0, -2.0]), 'b': jnp.array(0.5)}
_GRADS = {'w': jnp.array([0.5, 1.0]), 'b': jnp.array(-1.0)}


def test_sgd_step_matches_numpy():
  tx = optax.sgd(0.1)
  state = state_lib.create(_PARAMS, tx)
  state = state_lib.apply_gradients(state, _GRADS, tx)
  np.testing.assert_allclose(state.params['w'], [0.95, -2.1], rtol=1e-6)
  np.testing.assert_allclose(state.params['b'], 0.6, rtol=1e-6)
  assert state.step == 1
  assert state.ema_params is None


def test_average_warms_up_then_keeps_its_decay():
  average, params = {'w': jnp.array([0.0])}, {'w': jnp.array([1.0])}
  early = state_lib.update_average(average, params, jnp.array(0), decay=0.99)
  late = state_lib.update_average(average, params, jnp.array(10**6), decay=0.99)
  np.testing.assert_allclose(early['w'], 1 - 1 / 10, rtol=1e-6)
  np.testing.assert_allclose(late['w'], 0.01, rtol=1e-5)


def test_jit_equals_no_jit():
  tx = optax.adam(1e-2)

  def step(state):
    return state_lib.apply_gradients(state, _GRADS, tx, ema_decay=0.9)

  state = state_lib.create(_PARAMS, tx, ema=True)
  plain, jitted = step(step(state)), jax.jit(step)(jax.jit(step)(state))
  jax.tree.map(
    # Fusion changes rounding in the last bits.
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5),
    plain,
    jitted,
  )


def test_donated_state_leaves_the_callers_arrays():
  tx = optax.sgd(0.1)
  params = jax.tree.map(jnp.copy, _PARAMS)
  state = state_lib.create(params, tx, ema=True)
  step = jax.jit(
    lambda s: state_lib.apply_gradients(s, _GRADS, tx, ema_decay=0.9),
    donate_argnums=0,
  )
  step(step(state))
  np.testing.assert_array_equal(params['w'], _PARAMS['w'])


def test_average_without_ema_is_refused():
  state = state_lib.create(_PARAMS, optax.sgd(0.1))
  with pytest.raises(ValueError, match='ema=True'):
    state_lib.apply_gradients(state, _GRADS, optax.sgd(0.1), ema_decay=0.9)


def _loss(params, rng, batch, scale, axis_name):
  del rng, axis_name
  error = scale * (params['w'] * batch).sum() - params['b']
  return error**2, {'error': error}


def test_step_of_a_loss_is_gradient_update_average_and_metrics():
  tx = optax.sgd(0.1)
  step = state_lib.make_step(_loss, tx, ema_decay=0.5)
  state = state_lib.create(_PARAMS, tx, ema=True)
  batch, scale = jnp.array([2.0, 1.0]), jnp.array(3.0)
  for call in (step, jax.jit(step)):
    after, metrics = call(state, jax.random.key(0), batch, scale)
    # error = 3 (2 - 2) - 0.5; its square has slopes 2 error (6, 3, -1).
    np.testing.assert_allclose(metrics['loss'], 0.25, rtol=1e-6)
    np.testing.assert_allclose(metrics['error'], -0.5, rtol=1e-6)
    np.testing.assert_allclose(metrics['gradient_norm'], 46**0.5, rtol=1e-6)
    np.testing.assert_allclose(after.params['w'], [1.6, -1.7], rtol=1e-6)
    np.testing.assert_allclose(after.params['b'], 0.4, rtol=1e-6)
    # The average warms up: it keeps a tenth of its first value.
    np.testing.assert_allclose(after.ema_params['w'], [1.54, -1.73], rtol=1e-6)
    assert after.step == 1


def test_step_watches_the_gradients_that_it_is_told_to():
  tx = optax.sgd(0.1)
  step = state_lib.make_step(
    _loss, tx, watch=lambda grads: state_lib.gradient_norm(grads['b'])
  )
  state = state_lib.create(_PARAMS, tx)
  batch, scale = jnp.array([2.0, 1.0]), jnp.array(3.0)
  after, metrics = step(state, jax.random.key(0), batch, scale)
  np.testing.assert_allclose(metrics['gradient_norm'], 1.0, rtol=1e-6)
  assert after.ema_params is None


def test_variables_are_those_that_the_module_draws():
  module = nn.Dense(3)
  rng, inputs = jax.random.key(0), jnp.zeros((2, 4))
  found = state_lib.init(module, jax.random.clone(rng), inputs)
  assert found['params']['kernel'].shape == (4, 3)
  jax.tree.map(
    # The same draws in two programs: up to 3e-7 apart.
    functools.partial(np.testing.assert_allclose, rtol=2e-6),
    found,
    module.init(rng, inputs),
  )
