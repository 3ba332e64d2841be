import dataclasses
import functools

import jax
import numpy as np
import optax
import pytest

from maskjax.gan import (
  adversarial,
  augment,
  optimizers,
  training,
)
from maskjax.training import parallel
from tests.gan import small

# Every lazy part runs at every second step, and nothing is at its neutral
# value.
CONFIG = adversarial.GANConfig(
  r1_every=2,
  density_every=2,
  density_points=20,
  path_every=1,
  blur_sigma=1.0,
  augment=augment.AugmentConfig(),
  augment_probability=0.5,
  augment_every=1,
  average_rampup=None,
  mixing_probability=0.5,
  anchor_weight=2.0,
)


@pytest.fixture(autouse=True)
def quick_compilation():
  # Programs that run once or twice are not worth optimising.
  jax.config.update('jax_disable_most_optimizations', True)
  yield
  jax.config.update('jax_disable_most_optimizations', False)


# Plain descent: Adam would hide a factor on the gradients.
TX = optimizers.Optimizers(optax.sgd(0.1), optax.sgd(0.1))


@functools.cache
def whole_step():
  """Return the first state and a compiled step of all parts."""
  state, step = small.training_of(CONFIG, tx=TX)
  return state, jax.jit(step), step


def test_devices_train_like_one():
  state, compiled, step = whole_step()
  batch = small.batch_of(8)
  one, metrics = compiled(state, jax.random.key(9), batch)
  devices = jax.local_devices()[:2]
  assert len(devices) == 2
  many, same = parallel.data_parallel(step, devices=devices)(
    parallel.replicate(state, devices=devices), jax.random.key(9), batch
  )
  for name, value in metrics.items():
    np.testing.assert_allclose(same[name], value, rtol=2e-4, atol=2e-5)
  start = dict(jax.tree_util.tree_leaves_with_path(state))
  found = dict(jax.tree_util.tree_leaves_with_path(many))
  for path, value in jax.tree_util.tree_leaves_with_path(one):
    # Of the movement, not of the value.
    moved = np.asarray(value) - np.asarray(start[path])
    error = np.asarray(found[path]) - np.asarray(value)
    scale = np.abs(moved).max() + 1e-4 * np.abs(np.asarray(value)).max() + 1e-6
    assert np.abs(error).max() <= 5e-3 * scale, jax.tree_util.keystr(path)


def test_the_lazy_parts_and_the_average():
  generator, judge = small.networks()
  state, compiled, _ = whole_step()
  few, whole = (
    optimizers.due(generator.module, CONFIG, number) for number in (1, 2)
  )
  assert few == (True, False, False)
  assert whole == optimizers.due(generator.module, CONFIG, 0)
  assert whole == adversarial.Parts()  # what `whole_step` does
  between = training.make_gan_step(
    generator.module, judge.module, CONFIG, tx=TX, parts=few
  )
  programs = [compiled, jax.jit(between)]
  seen = []
  leaf = lambda s: np.asarray(s['decoder']['net_0']['kernel'])
  for i in range(3):
    before = state
    state, metrics = programs[i % 2](
      state, jax.random.key(i), small.batch_of(8)
    )
    seen.append((float(metrics['r1']), float(metrics['density'])))
    assert all(np.isfinite(float(value)) for value in metrics.values())
  # Computed at steps 0 and 2, kept between.
  assert seen[0] == seen[1]
  assert seen[0][0] != seen[2][0] and seen[0][1] != seen[2][1]
  assert int(state.step) == 3
  decay = 0.5 ** (8 / 10000)
  np.testing.assert_allclose(
    leaf(state.average),
    decay * leaf(before.average) + (1 - decay) * leaf(state.generator.params),
    rtol=1e-4,
    atol=1e-6,
  )
  w_avg = state.buffers['backbone']['mapping']['w_avg']
  assert np.abs(w_avg).max() > 0


def test_a_generator_waits_while_its_discriminator_learns():
  config = dataclasses.replace(CONFIG, augment=None, generator_pause=1)
  generator, judge = small.networks()
  start = optimizers.first_state(generator, judge, config)
  step = jax.jit(
    training.make_gan_step(
      generator.module,
      judge.module,
      config,
      parts=optimizers.due(generator.module, config, 0),
    )
  )
  state, metrics = step(start, jax.random.key(0), small.batch_of(4))
  same = jax.tree.map(lambda a, b: bool((a == b).all()), state, start)
  assert all(jax.tree.leaves(same.generator))
  assert all(jax.tree.leaves(same.average))
  assert not all(jax.tree.leaves(same.discriminator.params))
  for name in ('generator', 'logit_fake', 'discriminator', 'loss'):
    assert float(metrics[name]) != 0


def test_wrong_batches_are_errors():
  state, step = small.training_of(CONFIG)
  batch = small.batch_of(4)
  with pytest.raises(ValueError, match='16x16, the batch has 8x8'):
    step(state, jax.random.key(0), batch._replace(image=batch.raw))
  with pytest.raises(ValueError, match='give c and fake_c'):
    step(state, jax.random.key(0), batch._replace(c=None))
  with pytest.raises(ValueError, match='give known'):
    step(state, jax.random.key(0), batch._replace(known=None))
