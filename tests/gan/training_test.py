import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from maskjax.gan import (
  augment,
  autodecoder,
  discriminator,
  model as model_lib,
  players,
  poses,
  resize,
  stylegan2,
  training,
)
from maskjax.training import parallel
from tests.gan import small

DUAL = discriminator.DiscriminatorConfig(6, 25, (8, 8, 8), mapping_layers=1)
# Every lazy part runs at every step, and nothing is at its neutral value.
CONFIG = players.GANConfig(
  r1_every=1,
  density_every=1,
  density_points=20,
  path_every=1,
  blur_sigma=1.0,
  augment=augment.AugmentConfig(),
  augment_probability=0.5,
  augment_every=1,
  mixing_probability=0.5,
  anchor_weight=2.0,
)


@pytest.fixture(autouse=True)
def quick_compilation():
  # Programs that run once or twice are not worth optimising.
  jax.config.update('jax_disable_most_optimizations', True)
  yield
  jax.config.update('jax_disable_most_optimizations', False)


def cameras(seed, count):
  pose = poses.sample(jax.random.key(seed), count).reshape(count, 16)
  intrinsics = poses.intrinsics(jnp.full((count,), 18.837))
  return jnp.concatenate([pose, intrinsics.reshape(count, 9)], -1)


def batch_of(count):
  image = jax.random.uniform(jax.random.key(3), (count, 16, 16, 3), minval=-1)
  alpha = jnp.linspace(0.9, 1.0, 256).reshape(16, 16)
  alpha = jnp.repeat(alpha[None, None], count, 0)
  views = autodecoder.Views(
    jnp.arange(count),
    image[:, None, ::-1],
    alpha,
    jnp.full_like(alpha, 2.6),
    cameras(6, count)[:, None],
  )
  return players.GANBatch(
    image,
    cameras(4, count),
    cameras(5, count),
    resize.resize(image, 8),
    players.Known(views, jax.random.normal(jax.random.key(7), (count, 8))),
  )


def game(config, tx=None):
  generator = model_lib.initialize(jax.random.key(0), small.EG3D)
  judge = model_lib.initialize(jax.random.key(1), DUAL)
  state = players.create(generator, judge, config, tx=tx)
  step = training.make_gan_step(generator.module, judge.module, config, tx=tx)
  return state, step


def test_devices_train_like_one():
  # Plain descent: Adam would hide a factor on the gradients.
  tx = players.Optimizers(optax.sgd(0.1), optax.sgd(0.1))
  state, step = game(CONFIG, tx)
  batch = batch_of(8)
  one, metrics = jax.jit(step)(state, jax.random.key(9), batch)
  devices = jax.local_devices()
  assert len(devices) == 8
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
  config = dataclasses.replace(
    CONFIG, r1_every=2, density_every=2, augment=None, average_rampup=None
  )
  generator = model_lib.initialize(jax.random.key(0), small.EG3D)
  judge = model_lib.initialize(jax.random.key(1), DUAL)
  state = players.create(generator, judge, config)

  def program(number):
    parts = players.due(generator.module, config, number)
    assert parts == (True, number % 2 == 0, number % 2 == 0)
    return training.make_gan_step(
      generator.module, judge.module, config, parts=parts
    )

  programs = [jax.jit(program(number)) for number in (0, 1)]
  seen = []
  leaf = lambda s: np.asarray(s['decoder']['net_0']['kernel'])
  for i in range(3):
    before = state
    state, metrics = programs[i % 2](state, jax.random.key(i), batch_of(4))
    seen.append((float(metrics['r1']), float(metrics['density'])))
    assert all(np.isfinite(float(value)) for value in metrics.values())
  # Computed at steps 0 and 2, kept between.
  assert seen[0] == seen[1]
  assert seen[0][0] != seen[2][0] and seen[0][1] != seen[2][1]
  assert int(state.step) == 3
  decay = 0.5 ** (4 / 10000)
  np.testing.assert_allclose(
    leaf(state.average),
    decay * leaf(before.average) + (1 - decay) * leaf(state.generator.params),
    rtol=1e-4,
    atol=1e-6,
  )
  w_avg = state.buffers['backbone']['mapping']['w_avg']
  assert np.abs(w_avg).max() > 0


def test_parts_that_are_due():
  config = dataclasses.replace(CONFIG, r1_gamma=0.0)
  generator = model_lib.initialize(jax.random.key(0), small.EG3D).module
  assert players.due(generator, config, 0) == (True, True, False)
  config = dataclasses.replace(
    CONFIG, density_weight=0.0, r1_every=16, generator_pause=33
  )
  assert players.due(generator, config, 32) == (False, False, True)
  assert players.due(generator, config, 33) == (True, False, False)


def test_a_generator_waits_while_its_discriminator_learns():
  config = dataclasses.replace(CONFIG, augment=None, generator_pause=1)
  generator = model_lib.initialize(jax.random.key(0), small.EG3D)
  judge = model_lib.initialize(jax.random.key(1), DUAL)
  start = players.create(generator, judge, config)
  step = jax.jit(
    training.make_gan_step(
      generator.module,
      judge.module,
      config,
      parts=players.due(generator.module, config, 0),
    )
  )
  state, metrics = step(start, jax.random.key(0), batch_of(4))
  same = jax.tree.map(lambda a, b: bool((a == b).all()), state, start)
  assert all(jax.tree.leaves(same.generator))
  assert all(jax.tree.leaves(same.average))
  assert not all(jax.tree.leaves(same.discriminator.params))
  for name in ('generator', 'logit_fake', 'discriminator', 'loss'):
    assert float(metrics[name]) != 0


def test_an_anchor_pulls_known_scenes_to_their_pictures():
  config = players.GANConfig(
    r1_gamma=0.0, density_weight=0.0, blur_sigma=0.0, anchor_weight=1000.0
  )
  state, step = game(config)
  step, batch, seen = jax.jit(step), batch_of(2), []
  for i in range(12):
    state, metrics = step(state, jax.random.key(i), batch)
    seen.append(float(metrics['anchor']))
  assert seen[-1] < 0.9 * seen[0]


def flat_game(config):
  plain = stylegan2.StyleGAN2Config(
    z_dim=8, w_dim=8, channels=(8, 8, 8), mapping_layers=2
  )
  single = discriminator.DiscriminatorConfig(3, 0, (8, 8, 8))
  generator = model_lib.initialize(jax.random.key(0), plain)
  judge = model_lib.initialize(jax.random.key(1), single)
  state = players.create(generator, judge, config)
  step = jax.jit(training.make_gan_step(generator.module, judge.module, config))
  return state, step


def test_an_anchor_holds_pictures_in_two_dimensions():
  config = players.GANConfig(
    r1_gamma=0.0, path_weight=0.0, blur_sigma=0.0, anchor_weight=1000.0
  )
  state, step = flat_game(config)
  known = batch_of(2).known
  batch, seen = players.GANBatch(batch_of(2).image, known=known), []
  for i in range(12):
    state, metrics = step(state, jax.random.key(i), batch)
    seen.append(float(metrics['anchor']))
  assert seen[-1] < 0.9 * seen[0]


def test_stylegan2_with_path_lengths():
  config = dataclasses.replace(
    CONFIG,
    augment=None,
    blur_sigma=0.0,
    mixing_probability=0.9,
    anchor_weight=0.0,
  )
  state, step = flat_game(config)
  batch = players.GANBatch(batch_of(4).image)
  state, metrics = step(state, jax.random.key(2), batch)
  assert float(state.path_mean) > 0
  assert float(metrics['path']) > 0


def test_wrong_batches_are_errors():
  state, step = game(CONFIG)
  batch = batch_of(4)
  with pytest.raises(ValueError, match='16x16, the batch has 8x8'):
    step(state, jax.random.key(0), batch._replace(image=batch.raw))
  with pytest.raises(ValueError, match='give c and fake_c'):
    step(state, jax.random.key(0), batch._replace(c=None))
  with pytest.raises(ValueError, match='give known'):
    step(state, jax.random.key(0), batch._replace(known=None))
  with pytest.raises(ValueError, match='r1_every=0'):
    players.GANConfig(r1_every=0)
