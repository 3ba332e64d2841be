"""Training of a model: its start, its loss, its step on one and many devices.

The loss and the step are tested with two small layers in place of the
networks; prior_training_test trains real ones.
"""

import dataclasses
import functools
import types
from typing import NamedTuple

import flax
from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from maskjax.diffusion import (
  clip,
  model as model_lib,
  pretraining,
  schedulers,
  unet,
)
from maskjax.training import parallel, state as state_lib
from tests.diffusion import tiny_model, torch_nets

SIZE, TOKENS, FEATURES, VOCABULARY = 8, 4, 6, 10
BATCH = 16


class Text(nn.Module):
  """Features of tokens."""

  @nn.compact
  def __call__(self, tokens):
    return nn.Embed(VOCABULARY, FEATURES)(tokens)


class Denoiser(nn.Module):
  """One mixing of the sample with the time and the text."""

  config = types.SimpleNamespace(
    in_channels=3, out_channels=3, class_embed_type=None
  )

  @nn.compact
  def __call__(self, x_t, t, text, down=None, middle=None):
    del down
    time = jnp.stack([jnp.cos(t / 20.0), jnp.sin(t / 20.0)], -1)
    about = jnp.concatenate([time, text.mean(1)], -1)
    about = jnp.broadcast_to(
      about[:, None, None], (*x_t.shape[:3], about.shape[-1])
    )
    parts = [x_t, about, jax.nn.tanh(nn.Dense(16)(about))]
    hidden = nn.Dense(32)(jnp.concatenate(parts, -1))
    out = nn.Dense(x_t.shape[-1])(jax.nn.tanh(hidden))
    return out if middle is None else out + middle


class Control(nn.Module):
  """What a condition adds to the output."""

  @nn.compact
  def __call__(self, x_t, t, text, condition, scale):
    del t, text
    return (), scale * nn.Dense(x_t.shape[-1])(condition)


class Batch(NamedTuple):
  tokens: np.ndarray
  picture: np.ndarray
  condition: np.ndarray


def prepare(key, row):
  """Add a little noise to the picture."""
  noise = 0.01 * jax.random.normal(key, row.picture.shape)
  return pretraining.Example(row.picture + noise, row.condition)


@functools.cache
def model(prediction_type='v_prediction'):
  """Return a model of stand-ins that works on SIZE x SIZE pixels, unfolded."""
  networks = {
    'text_encoder': Text(), 'unet': Denoiser(), 'controlnet': Control()
  }  # fmt: skip
  keys = jax.random.split(jax.random.key(0), 3)
  x_t = jnp.zeros((1, SIZE, SIZE, 3))
  t, text = jnp.zeros((1,), jnp.int32), jnp.zeros((1, TOKENS, FEATURES))
  inputs = {
    'text_encoder': (jnp.zeros((1, TOKENS), jnp.int32),),
    'unet': (x_t, t, text),
    'controlnet': (x_t, t, text, jnp.zeros((1, SIZE, SIZE, 5)), 1.0),
  }
  return model_lib.DiffusionModel(
    params={
      name: networks[name].init(key, *inputs[name])['params']
      for key, name in zip(keys, networks)
    },
    schedule=schedulers.from_config(
      {**tiny_model.SCHEDULER, 'prediction_type': prediction_type}
    ),
    networks=flax.core.freeze(networks),
    tokenizer=tiny_model.wordless(TOKENS),
    sample_size=SIZE,
    pixel_unshuffle=1,
  )


def batch(factor=1):
  """Smooth pictures, each with the token that names its colour."""
  rng = np.random.default_rng(0)
  colors = rng.integers(VOCABULARY, size=BATCH)
  palette = rng.uniform(-1, 1, (VOCABULARY, 3)).astype(np.float32)
  size = SIZE * factor
  shape = (BATCH, size, size, 3)
  return Batch(
    tokens=np.repeat(colors[:, None], TOKENS, 1).astype(np.int32),
    picture=np.broadcast_to(palette[colors][:, None, None], shape).copy(),
    condition=rng.random((BATCH, size, size, 5), np.float32),
  )


def example(data):
  return pretraining.Example(
    jnp.asarray(data.picture), jnp.asarray(data.condition)
  )


def split(params, trained):
  """Return the trained and the frozen part."""
  return (
    {name: params[name] for name in trained},
    {name: params[name] for name in params if name not in trained},
  )


@pytest.fixture(scope='module')
def made(tmp_path_factory):
  """Return a new model of real networks, and the words it was made with."""
  folder = tmp_path_factory.mktemp('words')
  words = tiny_model.create(folder).tokenizer
  config = dataclasses.replace(
    tiny_model.UNET,
    block_out_channels=(16,),
    down_block_types=('CrossAttnDownBlock2D',),
    up_block_types=('CrossAttnUpBlock2D',),
  )
  text_config = clip.ClipTextConfig(
    vocab_size=words.vocab_size,
    hidden_size=16,
    intermediate_size=32,
    num_hidden_layers=1,
    num_attention_heads=2,
    max_position_embeddings=words.max_length,
  )
  return pretraining.create(
    jax.random.key(0),
    unet_config=config,
    text_config=text_config,
    scheduler_config=tiny_model.SCHEDULER,
    tokenizer=words,
    sample_size=16,
    pixel_unshuffle=2,
  )


def test_a_new_model_has_what_its_configs_say(made):
  assert set(made.networks) == {'unet', 'text_encoder'}
  for name, shapes in (
    ('unet', unet.parameter_shapes),
    ('text_encoder', clip.parameter_shapes),
  ):
    expected = shapes(made.networks[name].config)
    assert torch_nets.shapes(made.params[name]) == torch_nets.shapes(expected)
  kernel = np.asarray(made.params['unet']['conv_in']['kernel'])
  assert 0.5 < kernel.std() * kernel[..., 0].size ** 0.5 < 2


def test_a_new_controlnet_is_a_copy_of_the_encoder_and_does_nothing(made):
  steered = pretraining.add_controlnet(
    jax.random.key(1),
    made,
    conditioning_channels=5,
    embedding_channels=(8, 16),
  )
  assert set(made.networks) == {'unet', 'text_encoder'}  # left as it was
  control, base = steered.params['controlnet'], made.params['unet']
  for name in ('conv_in', 'down_blocks_0', 'mid_block', 'time_embedding'):
    jax.tree.map(np.testing.assert_array_equal, control[name], base[name])
  for name, part in control.items():
    if name.startswith(('controlnet_down', 'controlnet_mid')):
      assert not any(leaf.any() for leaf in jax.tree.leaves(part))
  assert np.any(control['controlnet_cond_embedding']['conv_in']['kernel'])
  # A ControlNet that is there already is kept.
  again = pretraining.add_controlnet(
    jax.random.key(2),
    steered,
    conditioning_channels=3,
    embedding_channels=(8,),
  )
  assert again is steered


@pytest.mark.parametrize('kind', ['v_prediction', 'epsilon'])
@pytest.mark.parametrize('bound', [5.0, 1.0])
def test_loss_is_the_weighted_error_of_what_is_drawn(kind, bound):
  whole, data = model(kind), jax.tree.map(jnp.asarray, batch())

  def keys():
    return jax.random.split(jax.random.key(7), BATCH)

  loss = pretraining.denoising_loss(
    whole,
    keys(),
    example(data),
    jnp.asarray(data.tokens),
    snr_bound=bound,
  )
  assert loss.shape == ()
  losses, seen = [], []
  for row, key in enumerate(keys()):
    key_t, key_noise = jax.random.split(key)
    t = int(jax.random.randint(key_t, (), 0, 100))
    eps = np.asarray(jax.random.normal(key_noise, (SIZE, SIZE, 3)))
    alpha, sigma = (
      float(table[t]) for table in (whole.schedule.alpha, whole.schedule.sigma)
    )
    x_t = alpha * data.picture[row] + sigma * eps
    text = whole.networks['text_encoder'].apply(
      {'params': whole.params['text_encoder']}, data.tokens[row][None]
    )
    output = whole.networks['unet'].apply(
      {'params': whole.params['unet']}, x_t[None], np.array([t]), text
    )[0]
    snr = (alpha / sigma) ** 2
    extra = 1 if kind == 'v_prediction' else 0
    weight = min(1, (bound + extra) / (snr + extra))
    target = eps
    if kind == 'v_prediction':
      target = alpha * eps - sigma * data.picture[row]
    losses.append(weight * np.mean((np.asarray(output) - target) ** 2))
    seen.append(weight)
  assert min(seen) < 0.5 and max(seen) == 1
  np.testing.assert_allclose(loss, np.mean(losses), rtol=1e-5)


def test_loss_with_a_condition_uses_the_controlnet():
  whole, data = model(), jax.tree.map(jnp.asarray, batch())

  def loss(condition):
    keys = jax.random.split(jax.random.key(7), BATCH)
    shown = data.condition if condition is None else condition
    return pretraining.denoising_loss(
      whole,
      keys,
      pretraining.Example(data.picture, shown),
      data.tokens,
      condition=condition is not None,
    )

  with_zeros = loss(jnp.zeros_like(data.condition))  # its biases are zero
  # A network in float32, fused in another way; as the losses above.
  np.testing.assert_allclose(loss(None), with_zeros, rtol=1e-5)
  assert abs(loss(data.condition) - with_zeros) > 1e-3


@pytest.fixture(scope='module')
def overfit():
  """Return what 60 steps on one batch of pictures leave behind."""
  whole, tx = model(), optax.sgd(0.3)
  trained = ('unet', 'text_encoder')
  params, frozen = split(whole.params, trained)
  step = jax.jit(
    pretraining.make_step(
      whole, tx, prepare, trained=trained, ema_decay=0.9
    )
  )  # fmt: skip
  state = state_lib.create(params, tx, ema=True)
  losses = []
  for number in range(60):
    key = jax.random.fold_in(jax.random.key(3), number)
    state, metrics = step(state, key, batch(), frozen)
    losses.append(float(metrics['loss']))
  return params, state, metrics, losses


def test_loss_falls_on_a_few_pictures(overfit):
  *_, losses = overfit
  assert np.all(np.isfinite(losses))
  assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:10])


def test_step_moves_the_trained_networks_and_their_average(overfit):
  start, state, metrics, _ = overfit
  assert set(state.params) == {'unet', 'text_encoder'}
  assert int(state.step) == 60 and metrics['gradient_norm'] > 0
  moved = jax.tree.map(lambda a, b: np.abs(a - b).max(), state.params, start)
  assert min(jax.tree.leaves(moved)) > 0
  behind = jax.tree.map(
    lambda a, b: np.abs(a - b).max(), state.params, state.ema_params
  )
  assert 0 < max(jax.tree.leaves(behind)) < max(jax.tree.leaves(moved))


def test_eight_devices_equal_one():
  whole, tx = model(), optax.sgd(0.1)
  trained = ('unet', 'controlnet')
  step = pretraining.make_step(
    whole, tx, prepare, trained=trained, ema_decay=0.9
  )
  params, frozen = split(whole.params, trained)

  def run(call, state, frozen):
    for number in range(2):
      key = jax.random.fold_in(jax.random.key(4), number)
      state, metrics = call(state, key, batch(), frozen)
    return state, metrics

  one, metrics = run(
    jax.jit(step), state_lib.create(params, tx, ema=True), frozen
  )
  eight, many = run(
    parallel.data_parallel(step, shared=True),
    parallel.replicate(state_lib.create(params, tx, ema=True)),
    parallel.replicate(frozen),
  )
  assert set(one.params) == set(trained)
  moved = jax.tree.map(lambda a, b: np.abs(a - b).max(), one.params, params)
  assert max(jax.tree.leaves(moved)) > 1e-3
  # SGD: a gradient that is off by a factor shows in the parameters. Sums in
  # another order differ in the last bits of float32.
  for ours, theirs in ((one, eight), (metrics, many)):
    jax.tree.map(
      lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
      ours,
      theirs,
    )


def test_pictures_are_averaged_down():
  whole, tx = model(), optax.sgd(0.1)
  trained = ('unet', 'text_encoder', 'controlnet')

  def plain(key, row):
    del key
    return pretraining.Example(row.picture, row.condition)

  def run(data, downscale):
    step = pretraining.make_step(
      whole, tx, plain, trained=trained, ema_decay=0.9, downscale=downscale
    )
    state = state_lib.create(whole.params, tx, ema=True)
    return jax.jit(step)(state, jax.random.key(5), data, {})[1]

  large = batch(factor=2)
  small = large._replace(
    **{
      name: getattr(large, name)
      .reshape(BATCH, SIZE, 2, SIZE, 2, -1)
      .mean((2, 4))
      for name in ('picture', 'condition')
    }
  )
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5),
    run(large, 2),
    run(small, 1),
  )
