import functools
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from maskjax.training import parallel, state

_TX = optax.sgd(0.1)


def _loss(params, batch, keys):
  noise = jax.vmap(lambda key: jax.random.normal(key, (3,)))(keys)
  prediction = jnp.tanh((batch['x'] + noise) @ params['w'])
  return jnp.mean((prediction - batch['y']) ** 2)


def _step(train, rng, batch, *, axis_name=None):
  keys = parallel.example_keys(rng, len(batch['x']), axis_name)
  loss, grads = jax.value_and_grad(_loss)(train.params, batch, keys)
  loss, grads = parallel.pmean((loss, grads), axis_name)
  count = parallel.psum(len(batch['x']), axis_name)
  return state.apply_gradients(train, grads, _TX), {
    'loss': loss,
    'count': jnp.asarray(count),
  }


def _start():
  return state.create({'w': jnp.array([0.3, -0.2, 0.1])}, _TX)


def _batch(step):
  rng = np.random.default_rng(step)
  x = rng.normal(size=(16, 3)).astype(np.float32)
  return {'x': x, 'y': np.sin(x[:, 0])}


def _train(step_fn, train, steps=3):
  rng = jax.random.key(0)
  for i in range(steps):
    train, metrics = step_fn(train, jax.random.fold_in(rng, i), _batch(i))
  return train, metrics


@pytest.mark.parametrize('count', [1, 2, 8])
def test_many_devices_equal_one(count):
  devices = jax.devices()[:count]
  single, metrics = _train(jax.jit(_step), _start())
  step = parallel.data_parallel(_step, devices=devices)
  train = parallel.replicate(_start(), devices=devices)
  many, many_metrics = _train(step, train)
  # SGD: a gradient that is off by a factor shows in the parameters. Sums in
  # another order differ in the last bits of float32.
  moved = np.abs(np.asarray(single.params['w'] - _start().params['w']))
  assert moved.min() > 1e-3
  np.testing.assert_allclose(
    many.params['w'], single.params['w'], rtol=1e-5, atol=1e-6
  )
  np.testing.assert_allclose(many_metrics['loss'], metrics['loss'], rtol=1e-5)
  assert many_metrics['count'] == metrics['count'] == 16
  assert many.step.shape == () and many.step == 3


def test_gradients_equal_without_an_optimiser():
  def grads(params, rng, batch, *, axis_name=None):
    keys = parallel.example_keys(rng, len(batch['x']), axis_name)
    value = jax.grad(_loss)(params, batch, keys)
    return params, parallel.pmean(value, axis_name)

  params = _start().params
  many = parallel.data_parallel(grads)(params, jax.random.key(3), _batch(0))[1]
  single = grads(params, jax.random.key(3), _batch(0))[1]
  # Means of 16 terms of up to 8, whose spacing is 4.8e-7, in another order.
  np.testing.assert_allclose(many['w'], single['w'], rtol=1e-5, atol=1e-6)


def test_without_pmean_devices_would_not_agree():
  """The comparison above can fail: it does when the reduction is left out."""

  def step(train, rng, batch, *, axis_name=None):
    del axis_name
    return _step(train, rng, batch)

  single, _ = _train(jax.jit(_step), _start())
  many, _ = _train(parallel.data_parallel(step), _start())
  assert not np.allclose(many.params['w'], single.params['w'], atol=1e-4)


def test_donation_reuses_the_state():
  step = parallel.data_parallel(_step, donate=True)
  train = parallel.replicate(_start())
  after, _ = step(train, jax.random.key(0), _batch(0))
  assert train.params['w'].is_deleted()
  expected, _ = parallel.data_parallel(_step)(
    _start(), jax.random.key(0), _batch(0)
  )
  np.testing.assert_array_equal(after.params['w'], expected.params['w'])


def test_shared_argument_and_gathered_shares():
  def step(state, rng, batch, shared, *, axis_name=None):
    del rng
    drawn = parallel.gather({'x': batch * shared}, axis_name)
    return state, drawn

  batch = np.arange(16, dtype=np.float32)
  shared = parallel.replicate(jnp.array(2.0))
  arguments = (jnp.zeros(()), jax.random.key(0), batch, shared)
  _, many = parallel.data_parallel(step, shared=True)(*arguments)
  np.testing.assert_array_equal(many['x'], 2 * batch)
  np.testing.assert_array_equal(step(*arguments)[1]['x'], 2 * batch)


@pytest.mark.parametrize(
  ('size', 'count'), [(16, 8), (4, 4), (6, 6), (7, 7), (9, 3), (11, 1)]
)
def test_usable_devices_divide_the_batch(size, count):
  assert len(parallel.usable_devices(size)) == count


def test_replicate_and_back():
  tree = {'w': jnp.arange(6.0).reshape(2, 3)}
  many = parallel.replicate(tree)
  assert many['w'].shape == (2, 3)
  assert len(many['w'].sharding.device_set) == 8
  one = parallel.unreplicate(many)
  assert one['w'].sharding.device_set == {jax.devices()[0]}
  np.testing.assert_array_equal(one['w'], tree['w'])


def test_reductions_do_nothing_without_an_axis():
  tree = {'w': jnp.ones(2)}
  assert parallel.pmean(tree, None) is tree
  assert parallel.psum(tree, None) is tree


def test_uneven_batch_is_refused():
  with pytest.raises(ValueError, match=r'batch of 12 cannot .* 8 devices'):
    parallel.shard_batch({'x': np.zeros((12, 2))})


def test_xla_flags_are_added_once_and_accepted():
  code = (
    'import os; from maskjax.training import parallel; '
    'parallel.set_xla_flags(host_devices=3); '
    'first = os.environ["XLA_FLAGS"]; '
    'parallel.set_xla_flags(host_devices=5); '
    'assert os.environ["XLA_FLAGS"] == first, first; '
    'import jax; print(jax.device_count())'
  )
  environment = os.environ | {'XLA_FLAGS': ''}
  run = functools.partial(subprocess.run, capture_output=True, text=True)
  result = run([sys.executable, '-c', code], env=environment, check=False)
  assert result.stdout.strip() == '3', result.stderr
  assert not parallel._xla_knows('xla_there_is_no_such_flag')


def test_type_to_compute_in_follows_the_device(monkeypatch):
  assert parallel.compute_dtype('auto') == np.float32
  monkeypatch.setattr(jax, 'default_backend', lambda: 'gpu')
  assert parallel.compute_dtype('auto').name == 'bfloat16'
  assert parallel.compute_dtype('float32').name == 'float32'
  with pytest.raises(ValueError, match="'float64' is not one of auto"):
    parallel.compute_dtype('float64')


@pytest.mark.parametrize(
  'report',
  [
    'RESOURCE_EXHAUSTED: Out of memory\n...',
    'INTERNAL: CUDA_ERROR_OUT_OF_MEMORY: out of memory',
    'INTERNAL: the library was not initialized: CUBLAS_STATUS_ALLOC_FAILED',
  ],
)
def test_a_full_memory_is_answered_with_advice(report):
  full = jax.errors.JaxRuntimeError(report)
  with (
    pytest.raises(ValueError, match=r'is full; lower --count$'),
    parallel.explain_memory('lower --count'),
  ):
    raise full
  other = jax.errors.JaxRuntimeError('INTERNAL')
  with (
    pytest.raises(jax.errors.JaxRuntimeError, match='INTERNAL'),
    parallel.explain_memory('lower --count'),
  ):
    raise other
