"""Whole models: pictures, words, guidance, predictions as PyTorch's."""

import dataclasses
import shutil
from unittest import mock
import warnings

from absl import logging
import flax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.diffusion import (
  guidance,
  model as model_lib,
)
from tests.diffusion import tiny_model, torch_nets


@pytest.fixture(scope='module')
def root(tmp_path_factory):
  return tmp_path_factory.mktemp('model')


@pytest.fixture(scope='module')
def model(root):
  """Return a model with a ControlNet; no parameter is left at zero."""
  return tiny_model.create(root)


def without(model, name):
  """Take a network away."""
  networks = {k: v for k, v in model.networks.items() if k != name}
  return dataclasses.replace(model, networks=flax.core.freeze(networks))


@pytest.fixture(scope='module')
def folder(root, model):
  """Return the model, saved; its tokenizer is there already."""
  save(root, model)
  return root


@pytest.fixture
def copy(folder, tmp_path):
  return shutil.copytree(folder, tmp_path / 'copy')


def save(folder, model, dtype='float32'):
  model_lib.save(
    folder, model, scheduler_config=tiny_model.SCHEDULER, dtype=dtype
  )


def pictures(*shape, seed=0):
  rng = np.random.default_rng(seed)
  return jnp.asarray(rng.standard_normal(shape, np.float32))


def test_images_are_encoded_and_decoded_with_clipping(model):
  images = pictures(1, 16, 16, 3)
  z = model_lib.encode_images(model, images)
  assert z.shape == (1, 8, 8, 12)
  np.testing.assert_array_equal(
    model_lib.decode_images(model, z), np.clip(images, -1, 1)
  )


@pytest.mark.parametrize('dtype', ['float32', 'float16'])
def test_a_saved_model_predicts_the_same(root, model, tmp_path, dtype):
  shutil.copytree(root / 'tokenizer', tmp_path / 'tokenizer')
  save(tmp_path, model, dtype)
  loaded = model_lib.load(tmp_path)
  assert loaded.networks == model.networks
  assert (loaded.sample_size, loaded.pixel_unshuffle) == (16, 2)
  assert loaded.schedule.prediction_type == 'v_prediction'
  np.testing.assert_array_equal(loaded.schedule.alpha, model.schedule.alpha)
  rounded = jax.tree.map(
    lambda x: x.astype(dtype).astype(np.float32), model.params
  )
  jax.tree.map(np.testing.assert_array_equal, loaded.params, rounded)
  arguments = tiny_model.inputs(model)
  np.testing.assert_array_equal(
    model_lib.tokenize(loaded, tiny_model.CAPTIONS[:2]), arguments[2]
  )
  before = tiny_model.evaluate(model, *arguments)
  after = tiny_model.evaluate(loaded, *arguments)
  if dtype == 'float32':
    jax.tree.map(np.testing.assert_array_equal, after, before)
  # float16 keeps 11 bits of each parameter.
  for name in ('plain', 'steered'):
    assert torch_nets.relative_l2(after[name], before[name]) < 2e-3


def test_computing_in_another_type_is_asked_for_when_loading(folder):
  loaded = model_lib.load(folder, dtype=jnp.bfloat16)
  assert all(m.dtype == jnp.bfloat16 for m in loaded.networks.values())
  assert {x.dtype for x in jax.tree.leaves(loaded.params)} == {
    jnp.dtype('float32')
  }


def test_condition_needs_a_controlnet(model):
  x_t, t, _, condition = map(jnp.asarray, tiny_model.inputs(model))
  with pytest.raises(ValueError, match='no controlnet/ folder'):
    model_lib.predict(
      without(model, 'controlnet'),
      x_t,
      t,
      pictures(2, 8, 16),
      condition=condition,
    )


def test_words_without_room_are_told(model):
  long = 'a tiger mask, an old wolf mask'
  with mock.patch.object(logging, 'warning') as warn:
    ids = model_lib.tokenize(model, [long, long, 'a frog'])
  assert ids.shape == (3, 8)
  (call,) = warn.call_args_list
  assert call.args[0] % call.args[1:] == (
    '2 of 3 texts are longer than the 6 tokens that the model reads; left '
    "out: 'mask, an old wolf mask'"
  )


def test_condition_counts_by_its_scale(model):
  arguments = tiny_model.inputs(model)
  full = tiny_model.evaluate(model, *arguments)
  off = tiny_model.evaluate(model, *arguments, 0.0)
  half = tiny_model.evaluate(model, *arguments, 0.5)
  np.testing.assert_allclose(off['steered'], off['plain'], atol=1e-5)
  for ours, whole in zip(half['residuals'], full['residuals']):
    np.testing.assert_allclose(ours, 0.5 * whole, rtol=1e-5, atol=1e-6)
  assert np.abs(half['steered'] - off['steered']).max() > 1e-2


def stub(
  model,
  x_t,
  t,
  text,
  *,
  condition,
  conditioning_scale,
  beside=None,
  labels=None,
  views=1,
):
  """Stand in for `predict`; every argument counts."""
  del model, beside
  assert labels is None and views == 1
  at = t[:, None].astype(jnp.float32)
  return x_t * text + at * condition * conditioning_scale


# Differences of numbers of up to 32, which have a spacing of 1.9e-6.
GUIDED = {'rtol': 1e-5, 'atol': 1e-5}


@pytest.mark.parametrize('scale', [0.0, 1.0, 3.0])
@pytest.mark.parametrize('phi', [0.0, 0.7])
def test_guidance_runs_from_the_negative_to_the_prompt(
  monkeypatch, model, scale, phi, unchecked
):
  del unchecked  # the stand-in takes plain rows
  monkeypatch.setattr(model_lib, 'predict', stub)
  x_t, text, negative, condition = (pictures(2, 4, seed=i) for i in range(4))
  t = jnp.array([2, 5])
  options = {'condition': condition, 'conditioning_scale': 0.3}
  guided = model_lib.predict_guided(
    model,
    x_t,
    t,
    text,
    negative,
    guidance_scale=scale,
    guidance_rescale=phi,
    **options,
  )
  start, end = (
    stub(model, x_t, t, words, **options) for words in (negative, text)
  )
  expected = start + scale * (end - start)
  if phi:
    expected = guidance.rescale(expected, end, phi)
  np.testing.assert_allclose(guided, expected, **GUIDED)
  # Away from what it is not, by half.
  away = pictures(2, 4, seed=5)
  guided = model_lib.predict_guided(
    model,
    x_t,
    t,
    text,
    negative,
    guidance_scale=scale,
    guidance_rescale=phi,
    away=away,
    away_weight=0.5,
    **options,
  )
  other = stub(model, x_t, t, away, **options)
  expected = guidance.perp_neg(start, end, other[None], [0.5], scale)
  if phi:
    expected = guidance.rescale(expected, end, phi)
  np.testing.assert_allclose(guided, expected, **GUIDED)


def test_pytorch_predicts_the_same_from_the_saved_folder(folder, model):
  torch, diffusers, transformers = (
    torch_nets.load(name) for name in ('torch', 'diffusers', 'transformers')
  )

  def open_part(library, name, part):
    with warnings.catch_warnings():
      warnings.simplefilter('ignore')
      return getattr(library, name).from_pretrained(folder / part)

  encoder = open_part(transformers, 'CLIPTextModel', 'text_encoder')
  unet = open_part(diffusers, 'UNet2DConditionModel', 'unet')
  control = open_part(diffusers, 'ControlNetModel', 'controlnet')
  words = open_part(transformers, 'CLIPTokenizer', 'tokenizer')
  noise = open_part(diffusers, 'DDIMScheduler', 'scheduler')

  x_t, t, tokens, condition = tiny_model.inputs(model)
  theirs = words(
    tiny_model.CAPTIONS[:2], padding='max_length', truncation=True,
    return_tensors='np',
  )['input_ids']  # fmt: skip
  np.testing.assert_array_equal(tokens, theirs)
  np.testing.assert_allclose(
    model.schedule.alpha**2, noise.alphas_cumprod.numpy(), atol=1e-6
  )

  with torch.no_grad():
    hidden = encoder.eval()(torch.tensor(tokens))[0]
    sample, steps = torch_nets.to_torch(x_t), torch.tensor(t)
    down, middle = control.eval()(
      sample,
      steps,
      hidden,
      controlnet_cond=torch_nets.to_torch(condition),
      conditioning_scale=0.7,
      return_dict=False,
    )
    plain = unet.eval()(sample, steps, hidden).sample
    steered = unet(
      sample,
      steps,
      hidden,
      down_block_additional_residuals=down,
      mid_block_additional_residual=middle,
    ).sample
  plain, steered = (torch_nets.from_torch(x) for x in (plain, steered))
  # The ControlNet does something: its zero convolutions were refilled.
  assert np.linalg.norm(steered - plain) > 0.02 * np.linalg.norm(plain)

  ours = tiny_model.evaluate(model, x_t, t, tokens, condition, 0.7)
  pairs = [
    (ours['text'], hidden.numpy()),
    (ours['plain'], plain),
    (ours['steered'], steered),
    *zip(
      ours['residuals'],
      [torch_nets.from_torch(x) for x in (*down, middle)],
      strict=True,
    ),
  ]
  for mine, theirs in pairs:
    assert torch_nets.relative_l2(mine, theirs) <= torch_nets.RELATIVE_L2
