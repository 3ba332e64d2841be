"""Models on the latents of a VAE: whole pipelines against PyTorch's."""

import dataclasses
import functools
import json
import shutil
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.diffusion import (
  component,
  controlnet,
  model as model_lib,
  painting,
  unet,
  vae,
)
from tests.diffusion import tiny_model, torch_nets

KINDS = {
  'text': {},
  'controlnets': {'controlnets': 2},
  'inpainting': {'inpainting': True},
}
PROMPTS = ['a tiger mask', 'face of a frog']
SCALES = (0.7, 0.4)


@pytest.fixture(scope='module')
def folders(tmp_path_factory):
  """Return a function that makes and saves each kind once."""

  @functools.cache
  def make(kind):
    folder = tmp_path_factory.mktemp(kind)
    return folder, tiny_model.create_latent(folder, **KINDS[kind])

  return make


def pictures(*shape, seed=0):
  return np.random.default_rng(seed).uniform(size=shape).astype(np.float32)


def pipeline(folder, kind):
  """Open a saved folder with PyTorch diffusers."""
  diffusers = torch_nets.load('diffusers')
  torch_nets.load('torch')
  name = {
    'text': 'StableDiffusionPipeline',
    'controlnets': 'StableDiffusionControlNetPipeline',
    'inpainting': 'StableDiffusionInpaintPipeline',
  }[kind]
  given = {}
  if kind == 'controlnets':
    nets = [
      diffusers.ControlNetModel.from_pretrained(folder / part)
      for part in ('controlnet', 'controlnet_1')
    ]
    given['controlnet'] = diffusers.MultiControlNetModel(nets)
  found = getattr(diffusers, name).from_pretrained(folder, **given)
  found.set_progress_bar_config(disable=True)
  return found


@pytest.mark.parametrize('kind', KINDS)
def test_pictures_equal_those_of_pytorch(folders, kind):
  torch = torch_nets.load('torch')
  folder, model = folders(kind)
  shape = (2, *model_lib.grid_shape(model))
  # What `sampling.sample` draws first.
  start = jax.random.normal(jax.random.split(jax.random.key(0))[0], shape)
  size = tiny_model.SIZE
  ours, theirs = {}, {}
  if kind == 'controlnets':
    shown = [pictures(2, size, size, 3, seed=i) for i in range(2)]
    ours = {
      'condition': tuple(jnp.asarray(x) for x in shown),
      'conditioning_scale': SCALES,
    }
    theirs = {
      'image': [torch_nets.to_torch(x) for x in shown],
      'controlnet_conditioning_scale': list(SCALES),
    }
  elif kind == 'inpainting':
    image, mask = pictures(2, size, size, 3), pictures(2, size, size, 1, seed=1)
    ours['inpainting'] = painting.Inpainting(
      jnp.asarray(2 * image - 1), jnp.asarray(mask)
    )
    theirs = {
      'image': torch_nets.to_torch(2 * image - 1),
      'mask_image': torch_nets.to_torch(mask),
      'strength': 1.0,
    }
  with warnings.catch_warnings(), torch.no_grad():
    warnings.simplefilter('ignore')
    expected = pipeline(folder, kind)(
      PROMPTS,
      negative_prompt=['', ''],
      latents=torch_nets.to_torch(start),
      num_inference_steps=2,
      guidance_scale=5.0,
      height=size,
      width=size,
      output_type='np',
      **theirs,
    ).images
  tokens = model_lib.tokenize(model, [*PROMPTS, ''])
  text = jax.jit(model_lib.encode_tokens)(model, tokens)
  sample = jax.jit(
    functools.partial(
      painting.sample_images, steps=2, sampler='ddim', guidance_scale=5.0
    )
  )
  negative = text[jnp.array([2, 2])]
  found = sample(model, jax.random.key(0), text[:2], negative, **ours)
  # Pictures in [0, 1]; guidance multiplies rounding by about 5.
  np.testing.assert_allclose(found, expected, atol=2e-4)
  assert np.std(expected) > 0.02


def test_latents_are_scaled_and_pass_gradients(folders):
  folder, model = folders('text')
  images = jnp.asarray(2 * pictures(2, 16, 16, 3) - 1)
  module, params = model.networks['vae'], model.params['vae']
  saving = model_lib.load(folder, remat=True)

  def expected(images):
    mean = module.apply(
      {'params': params}, images, method=vae.AutoencoderKL.encode
    ).mean
    return mean * 0.18215

  def pull(function):
    z, back = jax.vjp(function, images)
    return z, back(jnp.cos(jnp.arange(z.size)).reshape(z.shape))[0]

  theirs = jax.jit(lambda: pull(expected))()
  assert np.abs(theirs[1]).max() > 1e-4
  for ours in (model, saving):
    encode = functools.partial(model_lib.encode_images, ours)
    found = jax.jit(functools.partial(pull, encode))()
    assert found[0].shape == (2, *model_lib.grid_shape(ours)) == (2, 8, 8, 4)
    for mine, other in zip(found, theirs):
      np.testing.assert_allclose(mine, other, rtol=1e-3, atol=1e-6)


def test_a_key_draws_from_the_distribution(folders):
  _, model = folders('text')
  wide = jax.tree.map(np.array, model.params['vae'])
  wide['quant_conv']['bias'][4:] = 0.0  # Standard deviations of 1.
  model = dataclasses.replace(model, params={**model.params, 'vae': wide})
  images = jnp.zeros((1, 16, 16, 3))
  encode = jax.jit(model_lib.encode_images)
  spread = encode(model, images, jax.random.key(0)) - encode(model, images)
  assert 0.8 < float(jnp.std(spread)) / 0.18215 < 1.2


def test_loaded_folders_have_what_was_saved(folders):
  folder, model = folders('controlnets')
  loaded = model_lib.load(folder, remat=True)
  assert set(loaded.networks) == set(model.networks)
  assert loaded.sample_size == tiny_model.SIZE
  assert loaded.networks['vae'].remat and loaded.networks['controlnet_1'].remat
  jax.tree.map(np.testing.assert_array_equal, loaded.params, model.params)
  half = model_lib.load(folder, dtype=jnp.bfloat16, param_dtype='bfloat16')
  assert {x.dtype for x in jax.tree.leaves(half.params)} == {
    jnp.dtype('bfloat16')
  }


def test_a_variant_is_taken_of_the_networks_that_have_it(folders, tmp_path):
  copy = shutil.copytree(folders('text')[0], tmp_path / 'copy')
  with pytest.raises(ValueError, match='none of its networks has the variant'):
    model_lib.load(copy, variant='fp16')
  whole = model_lib.load(copy)
  other = jax.tree.map(lambda x: x + 1, whole.params['unet'])
  component.save(tmp_path / 'other', whole.networks['unet'], other)
  name = 'diffusion_pytorch_model{}.safetensors'
  shutil.copy(
    tmp_path / 'other' / name.format(''), copy / 'unet' / name.format('.fp16')
  )
  loaded = model_lib.load(copy, variant='fp16')
  kernels = [
    model.params['unet']['conv_in']['kernel'] for model in (loaded, whole)
  ]
  np.testing.assert_allclose(kernels[0], kernels[1] + 1)
  np.testing.assert_array_equal(
    loaded.params['vae']['quant_conv']['kernel'],
    whole.params['vae']['quant_conv']['kernel'],
  )


def test_a_length_that_the_tokenizer_does_not_know(folders, tmp_path):
  copy = shutil.copytree(folders('text')[0], tmp_path / 'copy')
  path = copy / 'tokenizer' / 'tokenizer_config.json'
  values = json.loads(path.read_text())
  path.write_text(json.dumps({**values, 'model_max_length': 10**30}))
  loaded = model_lib.load(copy)
  text = loaded.networks['text_encoder'].config
  assert loaded.tokenizer.max_length == text.max_position_embeddings


def test_a_unet_of_classes_gives_one_line(folders, tmp_path):
  copy = shutil.copytree(folders('text')[0], tmp_path / 'copy')
  config = dataclasses.replace(tiny_model.LATENT_UNET, num_class_embeds=3)
  params = jax.tree.map(
    lambda x: np.zeros(x.shape, np.float32), unet.parameter_shapes(config)
  )
  component.save(copy / 'unet', unet.UNet2DConditionModel(config), params)
  with pytest.raises(ValueError, match='num_class_embeds=3') as caught:
    model_lib.load(copy)
  assert '\n' not in str(caught.value)


def test_controlnets_given_apart_come_in_place_of_the_own(folders, tmp_path):
  folder, model = folders('controlnets')
  first, second = folder / 'controlnet', folder / 'controlnet_1'
  loaded = model_lib.load(folder, controlnets=[second])
  assert 'controlnet_1' not in loaded.networks
  jax.tree.map(
    np.testing.assert_array_equal,
    loaded.params['controlnet'],
    model.params['controlnet_1'],
  )
  plain, _ = folders('text')
  loaded = model_lib.load(plain, controlnets=[first, second])
  assert len(model_lib.controlnet_configs(loaded)) == 2
  with pytest.raises(ValueError, match='no such folder'):
    model_lib.load(plain, controlnets=[tmp_path / 'none'])


@pytest.mark.parametrize(
  'fields, words',
  [
    ({'in_channels': 12}, 'for a UNet of in_channels=12'),
    ({'conditioning_embedding_out_channels': (8,)}, '1 times the size'),
  ],
)
def test_a_controlnet_of_another_model_gives_one_line(
  folders, tmp_path, fields, words
):
  folder, model = folders('controlnets')
  config = dataclasses.replace(model.networks['controlnet'].config, **fields)
  params = jax.tree.map(
    lambda x: np.zeros(x.shape, np.float32), controlnet.parameter_shapes(config)
  )
  module = controlnet.ControlNetModel(config)
  component.save(tmp_path / 'other', module, params)
  with pytest.raises(ValueError, match=words) as caught:
    model_lib.load(folder, controlnets=[tmp_path / 'other'])
  assert '\n' not in str(caught.value)


def test_another_network_than_the_name_says_gives_one_line(folders):
  folder, _ = folders('text')
  with pytest.raises(ValueError, match='holds a UNet, where a ControlNet is'):
    model_lib.load(folder, controlnets=[folder / 'unet'])


def test_a_unet_of_odd_channels_gives_one_line(folders, tmp_path):
  folder, _ = folders('text')
  inpainting, _ = folders('inpainting')
  copy = shutil.copytree(folder, tmp_path / 'copy')
  shutil.rmtree(copy / 'vae')
  with pytest.raises(ValueError, match='have 3'):
    model_lib.load(copy)
  copy = shutil.copytree(inpainting, tmp_path / 'inpainting')
  config = tiny_model.VAE
  shutil.rmtree(copy / 'vae')
  wide = dataclasses.replace(config, latent_channels=3)
  module = type(folders('text')[1].networks['vae'])(wide)
  params = jax.eval_shape(
    module.init, jax.random.key(0), jnp.zeros((1, 8, 8, 3))
  )['params']
  params = jax.tree.map(lambda x: np.zeros(x.shape, np.float32), params)
  component.save(copy / 'vae', module, params)
  with pytest.raises(ValueError, match='in_channels=9 for latents of 3'):
    model_lib.load(copy)


@pytest.mark.parametrize(
  'kind, given, words',
  [
    ('controlnets', {'condition': 1}, '1 conditions for 2 ControlNets'),
    (
      'controlnets',
      {'condition': 2, 'conditioning_scale': (1.0,)},
      '1 scales for 2 ControlNets',
    ),
    ('inpainting', {}, 'made for inpainting'),
    ('text', {'beside': jnp.zeros((1, 8, 8, 5))}, 'takes no mask'),
  ],
)
def test_what_the_networks_do_not_take_gives_one_line(
  folders, kind, given, words
):
  _, model = folders(kind)
  if count := given.get('condition'):
    shown = (jnp.zeros((1, 16, 16, 3)),) * count
    given = {**given, 'condition': shown}
  with pytest.raises(ValueError, match=words):
    jax.eval_shape(
      functools.partial(model_lib.predict, model, **given),
      np.zeros((1, 8, 8, 4), np.float32),
      np.zeros((1,), np.int32),
      np.zeros((1, 8, 16), np.float32),
    )
