"""Folders of whole models: what is missing, wrong, or does not fit."""

import dataclasses
import shutil

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
  assert found == (block, 3 * block**2)
