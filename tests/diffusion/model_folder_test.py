"""Folders of whole models: what is missing, wrong, or does not fit."""

import dataclasses
import json
import shutil
import time

import jax
import numpy as np
import pytest

from maskjax.diffusion import (
  clip,
  component,
  model as model_lib,
  model_folder,
  tokenizer,
)
from tests.diffusion import tiny_model
from tests.weights.pointers_test import POINTER

PARTS = ('unet', 'text_encoder', 'tokenizer', 'scheduler', 'model_index.json')


@pytest.fixture(scope='module')
def root(tmp_path_factory):
  return tmp_path_factory.mktemp('model')


@pytest.fixture(scope='module')
def model(root):
  """Return a model with a ControlNet, saved in `root`."""
  made = tiny_model.create(root)
  model_lib.save(
    root, made, scheduler_config=tiny_model.SCHEDULER, dtype='float32'
  )
  return made


@pytest.fixture
def copy(root, model, tmp_path):
  return shutil.copytree(root, tmp_path / 'copy')


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
    ('{"sample_size": ', 'not valid JSON'),
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
  tokenizer.train(tiny_model.CAPTIONS * 2, words, vocab_size=525, max_length=8)
  assert 'has 525 tokens, the text encoder only 520' in one_line(copy)
  tokenizer.train(tiny_model.CAPTIONS * 2, words, vocab_size=520, max_length=9)
  assert 'makes 9 tokens, the text encoder takes 8' in one_line(copy)
  config = dataclasses.replace(
    model.networks['text_encoder'].config, hidden_size=8
  )
  params = jax.tree.map(
    lambda x: np.zeros(x.shape, np.float32), clip.parameter_shapes(config)
  )
  component.save(copy / 'text_encoder', clip.CLIPTextModel(config), params)
  assert 'cross_attention_dim=16' in one_line(copy)


def test_controlnets_are_counted_not_spelled():
  names = ['unet', *(f'controlnet_{i}' for i in (10, 2, 1)), 'controlnet']
  assert model_folder.controlnet_names(names) == [
    'controlnet', 'controlnet_1', 'controlnet_2', 'controlnet_10'
  ]  # fmt: skip


@pytest.mark.parametrize('block', [1, 2, 4])
def test_pixels_of_a_sample_without_an_autoencoder(model, block):
  found = model_folder.downscaling(model.networks, block)
  # Channels are those that the UNet paints; `read` says if they do not fit.
  assert found == (block, model.networks['unet'].config.out_channels)


HOSTILE = [
  ('unet', {'layers_per_block': 10**9}, 'layers_per_block is 1000000000'),
  (
    'unet',
    {'transformer_layers_per_block': [64] * 2, 'layers_per_block': 32},
    'layers; at most',
  ),
  ('unet', {'attention_head_dim': 0}, 'attention_head_dim is 0'),
  ('unet', {'in_channels': -4}, 'in_channels is -4'),
  ('unet', {'norm_num_groups': 0}, 'norm_num_groups is 0'),
  ('unet', {'block_out_channels': []}, 'block_out_channels'),
  ('unet', {'block_out_channels': [8] * 1000}, 'at most 16'),
  ('unet', {'block_out_channels': [8, 10**12]}, 'expected 1 to 16384'),
  ('unet', {'down_block_types': []}, 'empty'),
  ('unet', {'norm_eps': float('nan')}, 'norm_eps is nan'),
  ('unet', {'cross_attention_dim': None}, 'cross_attention_dim=None'),
  ('unet', {'cross_attention_dim': {'a': [1]}}, 'cross_attention_dim='),
  ('unet', {'time_cond_proj_dim': 8}, 'distilled from guidance'),
  ('text_encoder', {'num_hidden_layers': 10**9}, 'num_hidden_layers is'),
  ('text_encoder', {'num_attention_heads': 0}, 'num_attention_heads is 0'),
  ('text_encoder', {'hidden_size': 2**62}, 'hidden_size is'),
  ('unet', {'_class_name': ['UNet2DConditionModel']}, 'names the class'),
  ('unet', {'_class_name': None, 'architectures': {'a': 1}}, 'the class None'),
  ('unet', {'_class_name': None, 'architectures': 7}, 'the class None'),
  ('scheduler', {'num_train_timesteps': 10**9}, 'num_train_timesteps'),
  ('scheduler', {'num_train_timesteps': '9'}, "num_train_timesteps '9'"),
  ('scheduler', {'trained_betas': [[1], {}]}, 'trained_betas'),
  ('scheduler', {'prediction_type': ['epsilon']}, 'prediction_type'),
  ('scheduler', {'steps_offset': 10**30}, 'steps_offset'),
]


@pytest.mark.parametrize('part, changes, words', HOSTILE)
def test_absurd_numbers_are_refused_at_once(copy, part, changes, words):
  name = 'scheduler_config.json' if part == 'scheduler' else 'config.json'
  path = copy / part / name
  path.write_text(json.dumps(json.loads(path.read_text()) | changes))
  began = time.process_time()
  assert words in one_line(copy)
  assert time.process_time() - began < 10  # a cold start among it


@pytest.mark.parametrize('part', ['unet', 'text_encoder'])
@pytest.mark.parametrize('content', ['null', '[' * 5000, '{"a":' * 5000, ''])
def test_descriptions_that_are_none(copy, part, content):
  (copy / part / 'config.json').write_text(content)
  one_line(copy)


def test_pointers_of_git_lfs_are_named(copy):
  path = next((copy / 'unet').glob('*.safetensors'))
  path.write_text(POINTER)
  assert 'Git LFS' in one_line(copy)


def test_shards_lie_beside_their_index(copy):
  path = next((copy / 'unet').glob('*.safetensors'))
  path.unlink()
  index = path.with_name(f'{path.name}.index.json')
  index.write_text(json.dumps({'weight_map': {'a': '../../etc/passwd'}}))
  assert 'no name of a file beside it' in one_line(copy)
