"""Model folders whose descriptions somebody wrote to do harm."""

import json
import shutil

import pytest

from maskjax.diffusion import model as model_lib
from maskjax.gan import checkpoints, conversion
from tests.diffusion import tiny_model
from tests.hostile import guard


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
  """Return a folder with a model of latents."""
  folder = tmp_path_factory.mktemp('whole')
  tiny_model.create_latent(folder, controlnets=1)
  return folder


def text(name, content):
  """Return a change: a file of other words, or bytes."""

  def change(folder):
    data = content if isinstance(content, bytes) else content.encode()
    (folder / name).write_bytes(data)

  return change


def fields(name, **values):
  """Return a change: some fields of a file have other values."""

  def change(folder):
    path = folder / name
    path.write_text(json.dumps(json.loads(path.read_text()) | values))

  return change


UNET, VAE = 'unet/config.json', 'vae/config.json'
TEXT, NET = 'text_encoder/config.json', 'controlnet/config.json'
INDEX, NOISE = 'model_index.json', 'scheduler/scheduler_config.json'
WORDS, VOCAB = 'tokenizer/tokenizer_config.json', 'tokenizer/vocab.json'
MERGES, SPECIAL = 'tokenizer/merges.txt', 'tokenizer/special_tokens_map.json'
HUGE = 10**12
CASES = {
  **{
    f'{name} of {what}': (text(name, content), words)
    for name in (UNET, VAE, TEXT, NET, INDEX, NOISE)
    for what, content, words in (
      ('nothing', '', 'not valid JSON'),
      ('a list', '[]', 'no JSON object'),
      ('noise', bytes(range(128, 256)), 'not valid JSON'),
      ('lists 100,000 deep', '{"a":' + '[' * 100_000, 'nested too deeply'),
      (
        'lists 1,000 deep',
        '{"a":' + '[' * 900 + ']' * 900 + '}',
        'nested too deeply',
      ),
      ('a number of 10,000 digits', '{"a":' + '1' * 10_000 + '}', 'not valid'),
    )
  },
  'a UNet of 10^12 channels in': (
    fields(UNET, in_channels=HUGE),
    'in_channels',
  ),
  'a UNet of 10^12 channels out': (
    fields(UNET, out_channels=HUGE),
    'out_channel',
  ),
  'a UNet of 10^12 pixels': (fields(UNET, sample_size=HUGE), 'sample_size'),
  'a UNet of a size of words': (fields(UNET, sample_size='a'), 'sample_size'),
  'a UNet of blocks of nobody': (
    fields(UNET, down_block_types=['os.system', 'eval']),
    'os.system',
  ),
  'a UNet of numbers': (
    fields(UNET, down_block_types=[1, 2]),
    'block',
  ),
  'a UNet of an activation of nobody': (fields(UNET, act_fn='exec'), 'act_fn'),
  'a UNet of 10^12 heads': (fields(UNET, attention_head_dim=HUGE), 'head'),
  'a UNet of no groups': (
    fields(UNET, norm_num_groups=None),
    'norm_num_groups',
  ),
  'a UNet of nobody': (
    fields(UNET, _class_name='os.system'),
    'class',
  ),
  'a UNet that is another part': (
    fields(UNET, _class_name='AutoencoderKL'),
    'unet',
  ),
  'a VAE of 10^12 latents': (
    fields(VAE, latent_channels=HUGE),
    'latent_channel',
  ),
  'a VAE of a factor of nothing': (
    fields(VAE, scaling_factor=0),
    'scaling_fac',
  ),
  'a VAE of a factor that is none': (
    fields(VAE, scaling_factor=float('nan')),
    'scaling_factor',
  ),
  'a VAE of no blocks': (
    fields(VAE, block_out_channels=[]),
    'block_out_channel',
  ),
  'a VAE of 10^9 layers': (
    fields(VAE, layers_per_block=10**9),
    'layers_per_blo',
  ),
  'an encoder of 10^12 words': (fields(TEXT, vocab_size=HUGE), 'vocab_size'),
  'an encoder of 10^12 places': (
    fields(TEXT, max_position_embeddings=HUGE),
    'max_position',
  ),
  'an encoder of -1 heads': (
    fields(TEXT, num_attention_heads=-1),
    'num_attent',
  ),
  'an encoder of 10^12 inside': (
    fields(TEXT, intermediate_size=HUGE),
    'intermed',
  ),
  'an encoder of an activation of nobody': (
    fields(TEXT, hidden_act='exec'),
    'hidden_act',
  ),
  'a ControlNet of 10^12 channels': (
    fields(NET, conditioning_channels=HUGE),
    'conditioning_channels',
  ),
  'a ControlNet of no embedding': (
    fields(NET, conditioning_embedding_out_channels=[]),
    'conditioning_embedding_out_channels',
  ),
  'noise of words': (fields(NOISE, beta_start='a'), 'beta_start'),
  'noise of nothing': (fields(NOISE, beta_end=None), 'beta_end'),
  'noise of a list': (fields(NOISE, beta_start=[0.1]), 'beta_start'),
  'noise that is no number': (fields(NOISE, beta_end=float('nan')), 'beta_end'),
  'noise of -1 steps': (fields(NOISE, num_train_timesteps=-1), 'num_train'),
  'noise of nobody': (
    fields(NOISE, _class_name='os.system'),
    'class',
  ),
  'noise of a class of a list': (fields(NOISE, _class_name=['a']), 'class'),
  'noise of betas that are none': (
    fields(NOISE, trained_betas=[float('inf')] * 1000),
    'betas',
  ),
  'noise of a class of a dictionary': (
    fields(NOISE, _class_name={'a': 1}),
    'cla',
  ),
  'noise spaced by nobody': (
    fields(NOISE, timestep_spacing=7),
    'timestep_spac',
  ),
  'an index of 10^12 pixels': (fields(INDEX, sample_size=HUGE), 'sample_size'),
  'an index of half a pixel': (
    fields(INDEX, pixel_unshuffle=0.5),
    'pixel_unsh',
  ),
  'words of nobody': (fields(VOCAB, a='x'), 'ids of a vocabulary'),
  'words numbered 10^12': (fields(VOCAB, zzz=HUGE), 'ids of a vocabulary'),
  'words before the first': (fields(VOCAB, zzz=-1), 'ids of a vocabulary'),
  'texts of -1 tokens': (fields(WORDS, model_max_length=-1), 'length'),
  'texts of words': (fields(WORDS, model_max_length='a'), 'length'),
  'texts of half a token': (fields(WORDS, model_max_length=0.5), 'length'),
  'merges of one': (text(MERGES, 'a\n'), 'expected two symbols'),
  'merges of nobody': (text(MERGES, 'xyzzy plugh\n'), 'not of tokens of'),
  'merges of noise': (text(MERGES, bytes(range(256))), 'tokenizer'),
  'special words of numbers': (fields(WORDS, bos_token=7), 'no token'),
  'special words of nobody': (
    fields(WORDS, bos_token='xyzzy'),
    'not in the vocabulary',
  ),
  'special words in a list': (text(SPECIAL, '[]'), 'no JSON object'),
}


@guard.table(CASES)
def test_hostile_model_folders(make, expected, whole, tmp_path, unchecked):
  folder = shutil.copytree(whole, tmp_path / 'folder')
  make(folder)
  guard.check(model_lib.load, folder, expected)


GAN = {
  'nothing': ('', 'cannot'),
  'a list': ('[]', 'cannot'),
  'lists 100,000 deep': ('{"a":' + '[' * 100_000, 'cannot'),
  'networks of nothing': (
    '{"format": "maskjax.gan", "networks": null}',
    'config',
  ),
  'networks of numbers': (
    '{"format": "maskjax.gan", "networks": {"G": 1}}',
    'config',
  ),
  'a network of nobody': (
    '{"format": "maskjax.gan", "networks": {"G": {"kind": "os.system"}}}',
    'os.system',
  ),
  'a network elsewhere': (
    '{"format": "maskjax.gan", "networks": {"../../etc": {"kind": "eg3d"}}}',
    'config',
  ),
}


@pytest.mark.parametrize('name', GAN)
def test_hostile_gan_folders(name, tmp_path):
  content, _ = GAN[name]
  folder = tmp_path / 'folder'
  folder.mkdir()
  (folder / 'config.json').write_text(content)
  guard.check(checkpoints.load_all, folder, 'folder')


@pytest.mark.parametrize('content', ['', '[]', '{"a":' + '[' * 50_000, '\xff'])
def test_hostile_options(content, tmp_path):
  path = tmp_path / 'options.json'
  path.write_text(content, 'latin-1')
  guard.check(
    lambda path: conversion.read_options(None, path), path, 'options.json'
  )
