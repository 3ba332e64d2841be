"""What a folder holds, and what is said of what cannot be compared."""

import json
import math

import pytest

from maskjax.parity import folders, networks
from tests.diffusion import torch_nets as tiny


def test_a_folder_is_a_whole_model_or_one_part(tmp_path):
  for name in ('unet', 'scheduler', 'controlnet_1', 'controlnet'):
    (tmp_path / name).mkdir()
  assert folders.find_parts(tmp_path) == {
    'unet': [tmp_path / 'unet'],
    'scheduler': [tmp_path / 'scheduler'],
    'controlnet': [tmp_path / 'controlnet', tmp_path / 'controlnet_1'],
  }
  config = tmp_path / 'scheduler' / 'scheduler_config.json'
  config.write_text('{}')
  assert folders.find_parts(config.parent) == {'scheduler': [config.parent]}
  config = tmp_path / 'unet' / 'config.json'
  config.write_text(json.dumps({'_class_name': 'AutoencoderKL'}))
  assert folders.find_parts(config.parent) == {'vae': [config.parent]}


def test_what_cannot_be_compared_is_a_row_that_fails(tmp_path):
  tiny.load('torch')
  unet = tmp_path / 'unet'
  unet.mkdir()
  config = {'_class_name': 'UNet2DConditionModel', 'class_embed_type': 'odd'}
  (unet / 'config.json').write_text(json.dumps(config))
  (row,) = folders.check(tmp_path)
  assert not row.passed and math.isnan(row.error)
  assert "class_embed_type='odd'" in row.note and '\n' not in str(row)


def test_parts_that_are_not_there_are_named(tmp_path):
  tiny.load('torch')
  folder = tmp_path / 'model'
  for name in ('tokenizer', 'unet'):
    (folder / name).mkdir(parents=True)
  with pytest.raises(ValueError, match='has no image_encoder, only tokenizer'):
    list(folders.check(folder, parts=['unet', 'image_encoder']))
  with pytest.raises(ValueError, match='nothing to compare'):
    folders.find_parts(folder / 'unet')


def test_every_row_is_told_and_all_have_to_pass(capsys):
  good = networks.Row('vae', 'decode', 1e-7, 1e-6)
  bad = networks.Row('unet', 't = 1', 1e-5, 1e-6, 'too far')
  assert folders.told([good, good])
  assert capsys.readouterr().out.endswith('2 of 2 pass\n')
  assert not folders.told([good, bad])
  lines = capsys.readouterr().out.splitlines()
  assert lines == [str(good), str(bad), '1 of 2 pass']
