"""A step that all devices share equals the plain one."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from maskjax.training import parallel, state as state_lib, task as task_lib

_TX = optax.sgd(0.1)


def _loss(params, rng, batch, scale, axis_name):
  keys = parallel.example_keys(rng, len(batch), axis_name)
  noise = jax.vmap(lambda key: jax.random.normal(key, (3,)))(keys)
  errors = params['w'][None] * scale[None] - batch - noise
  return jnp.mean(errors**2), {'noise': noise.mean()}


def test_a_shared_step_equals_the_plain_one():
  step = state_lib.make_step(_loss, _TX)
  scale = jnp.array([1.0, -2.0, 0.5])
  devices = jax.devices()[:4]
  shared = task_lib.with_shared(step, scale, devices=devices)
  batch = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)

  def start():
    return state_lib.create({'w': jnp.ones(3)}, _TX)

  rng = jax.random.key(3)
  one, metrics = jax.jit(step)(start(), rng, batch, scale)
  many, theirs = shared(
    parallel.replicate(start(), devices=devices), jax.random.key(3), batch
  )
  # Sums in another order differ in the last bits of float32.
  np.testing.assert_allclose(one.params['w'], many.params['w'], rtol=1e-5)
  assert set(metrics) == {'loss', 'noise', 'gradient_norm'} == set(theirs)
  for name, value in metrics.items():
    np.testing.assert_allclose(value, theirs[name], rtol=1e-5, atol=1e-6)


def test_a_task_leaves_nothing_behind_unless_told():
  task = task_lib.Task(
    state=None,
    step=lambda state, rng, batch: (state, {}),
    batches=lambda step: None,
  )
  assert task.save(1, None) is None
  values = {'loss': 1.0}
  assert task.record(1, values) is values
  assert task.hooks == () and task.curves == () and task.keep == 1
