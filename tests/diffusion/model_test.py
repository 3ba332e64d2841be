"""Whole models: folding of pixels, folders, predictions as PyTorch's."""

import dataclasses
import json
import shutil
import warnings

import flax
import jax
from jax import numpy as jnp
import numpy as np
import pytest

from maskjax.diffusion import clip, component, guidance, tokenizer, vae
from maskjax.diffusion import model as model_lib
from tests.diffusion import tiny_model, torch_peer, vae_test

PARTS = ('unet', 'text_encoder', 'tokenizer', 'scheduler', 'model_index.json')


@pytest.fixture(scope='module')
def root(tmp_path_factory):
  return tmp_path_factory.mktemp('model')


@pytest.fixture(scope='module')
def plain(root):
  return tiny_model.refill(tiny_model.create(root))


@pytest.fixture(scope='module')
def model(plain):
  """A model with a ControlNet, every parameter moved as by training."""
  return tiny_model.refill(tiny_model.add_controlnet(plain))


@pytest.fixture(scope='module')
def folder(root, model):
  """The model, saved; its tokenizer is there already."""
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
  return np.random.default_rng(seed).standard_normal(shape, np.float32)


@pytest.mark.parametrize('block', [1, 2, 4])
def test_unshuffle_is_that_of_pytorch(block):
  torch = torch_peer.load('torch')
  images = pictures(2, 8, 12, 3)
  folded = model_lib.unshuffle(images, block)
  theirs = torch.nn.PixelUnshuffle(block)(torch_peer.to_torch(images))
  np.testing.assert_array_equal(folded, torch_peer.from_torch(theirs))
  theirs = torch.nn.PixelShuffle(block)(theirs)
  np.testing.assert_array_equal(
    model_lib.shuffle(folded, block), torch_peer.from_torch(theirs)
  )


@pytest.mark.parametrize('block', [1, 2, 4])
def test_shuffle_undoes_unshuffle(block):
  images = pictures(2, 8, 12, 3)
  folded = model_lib.unshuffle(images, block)
  assert folded.shape == (2, 8 // block, 12 // block, 3 * block**2)
  np.testing.assert_array_equal(model_lib.shuffle(folded, block), images)


def test_images_are_encoded_and_decoded_with_clipping(plain):
  images = pictures(1, 16, 16, 3)
  z = model_lib.encode_images(plain, images)
  assert z.shape == (1, 8, 8, 12)
  np.testing.assert_array_equal(
    model_lib.decode_images(plain, z), np.clip(images, -1, 1)
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
  before = tiny_model.predict(model, *arguments)
  after = tiny_model.predict(loaded, *arguments)
  # float16 keeps 11 bits of each parameter.
  np.testing.assert_allclose(
    after, before, atol=0 if dtype == 'float32' else 1e-2
  )


def test_computing_in_another_type_is_asked_for_when_loading(folder):
  loaded = model_lib.load(folder, dtype=jnp.bfloat16)
  assert {m.dtype for m in loaded.networks.values()} == {jnp.bfloat16}
  assert {x.dtype for x in jax.tree.leaves(loaded.params)} == {np.float32}


def one_line(folder):
  with pytest.raises(ValueError) as caught:
    model_lib.load(folder)
  message = str(caught.value)
  assert str(folder) in message and '\n' not in message
  return message


@pytest.mark.parametrize('part', PARTS)
def test_missing_parts_give_one_line(copy, part):
  path = copy / part
  path.unlink() if path.is_file() else shutil.rmtree(path)
  assert part in one_line(copy)


def test_no_controlnet_is_no_fault(copy):
  shutil.rmtree(copy / 'controlnet')
  loaded = model_lib.load(copy)
  assert set(loaded.networks) == set(loaded.params) == {'unet', 'text_encoder'}


@pytest.mark.parametrize(
  'content, words',
  [
    ('{"sample_size": ', 'not JSON'),
    ('[16]', 'no JSON object'),
    ('{"pixel_unshuffle": "2"}', "pixel_unshuffle='2'"),
    ('{"sample_size": 0}', 'sample_size=0'),
    ('{"sample_size": 16, "pixel_unshuffle": 4}', 'have 48'),
    ('{"sample_size": 16}', 'pixel_unshuffle=1 have 3'),
  ],
)
def test_a_wrong_index_gives_one_line(copy, content, words):
  (copy / 'model_index.json').write_text(content)
  assert words in one_line(copy)


def test_size_is_that_of_the_grid_where_the_index_is_silent(copy):
  (copy / 'model_index.json').write_text('{"pixel_unshuffle": 2}')
  assert model_lib.load(copy).sample_size == 16


def test_parts_that_do_not_fit_together_give_one_line(copy, model):
  words = copy / 'tokenizer'
  tokenizer.train(tiny_model.CAPTIONS, words, vocab_size=525, max_length=8)
  assert 'has 525 tokens, the text encoder only 520' in one_line(copy)
  tokenizer.train(tiny_model.CAPTIONS, words, vocab_size=520, max_length=9)
  assert 'makes 9 tokens, the text encoder takes 8' in one_line(copy)
  config = dataclasses.replace(
    model.networks['text_encoder'].config, hidden_size=8
  )
  params = jax.tree.map(
    lambda x: np.zeros(x.shape, np.float32), clip.parameter_shapes(config)
  )
  component.save(copy / 'text_encoder', clip.CLIPTextModel(config), params)
  assert 'cross_attention_dim=16' in one_line(copy)


def test_latent_models_are_refused_where_pixels_are_asked_for(plain):
  module = vae.AutoencoderKL(vae.VaeConfig.from_dict(vae_test.SMALL))
  networks = flax.core.freeze({**plain.networks, 'vae': module})
  latent = dataclasses.replace(plain, networks=networks)
  with pytest.raises(ValueError, match='latents of a VAE'):
    model_lib.encode_images(latent, pictures(1, 16, 16, 3))
  with pytest.raises(ValueError, match='latents of a VAE'):
    model_lib.decode_images(latent, pictures(1, 8, 8, 12))


def test_condition_needs_a_controlnet(plain):
  arguments = tiny_model.inputs(plain)
  with pytest.raises(ValueError, match='no controlnet/ folder'):
    tiny_model.predict(plain, *arguments)


def test_condition_counts_by_its_scale(plain, model):
  *arguments, condition = tiny_model.inputs(model)
  without = tiny_model.predict(model, *arguments)
  off = tiny_model.predict(model, *arguments, condition, 0.0)
  half = tiny_model.predict(model, *arguments, condition, 0.5)
  np.testing.assert_allclose(off, without, atol=1e-5)
  assert np.abs(half - without).max() > 1e-2
  # Without a condition the ControlNet is left out.
  base = dataclasses.replace(
    plain, params={name: model.params[name] for name in plain.params}
  )
  np.testing.assert_allclose(
    tiny_model.predict(base, *arguments), without, atol=1e-6
  )


def test_guidance_runs_from_the_negative_to_the_prompt(model):
  x_t, t, tokens, condition = tiny_model.inputs(model)
  empty = model_lib.tokenize(model, ['', ''])
  text, negative = (
    model_lib.encode_tokens(model, ids) for ids in (tokens, empty)
  )
  network = dataclasses.replace(model, tokenizer=None)

  @jax.jit
  def guided(scale):
    return model_lib.predict_guided(
      network, x_t, t, text, negative, guidance_scale=scale,
      condition=condition, conditioning_scale=0.7,
    )  # fmt: skip

  ends = [
    tiny_model.predict(model, x_t, t, ids, condition, 0.7)
    for ids in (empty, tokens)
  ]
  assert np.abs(ends[1] - ends[0]).max() > 1e-3
  for scale, expected in (
    (0.0, ends[0]),
    (1.0, ends[1]),
    (3.0, ends[0] + 3 * (ends[1] - ends[0])),
  ):
    np.testing.assert_allclose(guided(scale), expected, atol=2e-5)


def test_guidance_is_rescaled(monkeypatch, plain):
  # The rule itself is tested in guidance_test: here, that it is used.
  monkeypatch.setattr(
    model_lib, 'predict', lambda model, x_t, t, text, **options: x_t * text
  )
  text, negative = pictures(2, 4, seed=1), pictures(2, 4, seed=2)
  x_t = pictures(2, 4, seed=3)
  for phi in (0.0, 0.7):
    guided = model_lib.predict_guided(
      plain,
      x_t,
      np.zeros(2, np.int32),
      text,
      negative,
      guidance_scale=5.0,
      guidance_rescale=phi,
    )
    expected = x_t * (negative + 5 * (text - negative))
    if phi:
      expected = guidance.rescale(expected, x_t * text, phi)
    np.testing.assert_allclose(guided, expected, rtol=1e-5, atol=1e-6)


def test_pytorch_predicts_the_same_from_the_saved_folder(folder, model):
  torch, diffusers, transformers = (
    torch_peer.load(name) for name in ('torch', 'diffusers', 'transformers')
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

  text = model_lib.encode_tokens(model, tokens)
  with torch.no_grad():
    hidden = encoder.eval()(torch.tensor(tokens))[0]
    sample, steps = torch_peer.to_torch(x_t), torch.tensor(t)
    down, middle = control.eval()(
      sample,
      steps,
      hidden,
      controlnet_cond=torch_peer.to_torch(condition),
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
  plain, steered = (torch_peer.from_torch(x) for x in (plain, steered))
  # The ControlNet does something: its zero convolutions were refilled.
  assert np.linalg.norm(steered - plain) > 0.02 * np.linalg.norm(plain)

  call = jax.jit(model.networks['controlnet'].apply)
  ours = call(
    {'params': model.params['controlnet']}, x_t, t, text, condition, 0.7
  )
  pairs = [
    (text, hidden.numpy()),
    (tiny_model.predict(model, x_t, t, tokens), plain),
    (tiny_model.predict(model, x_t, t, tokens, condition, 0.7), steered),
    *zip(ours[0], (torch_peer.from_torch(x) for x in down), strict=True),
    (ours[1], torch_peer.from_torch(middle)),
  ]
  for ours, peers in pairs:
    assert torch_peer.relative_l2(ours, peers) <= torch_peer.RELATIVE_L2
