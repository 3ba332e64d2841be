"""Folders of networks: written, packed, and read again."""

import json
import re

import jax
import numpy as np
import pytest

from maskjax.gan import checkpoints, snapshots


@pytest.fixture(scope='module')
def folder(reference_state, reference_meta, tmp_path_factory):
  own = tmp_path_factory.mktemp('networks')
  np.savez(own / 'state.npz', **reference_state)
  models = snapshots.read_reference(
    own / 'state.npz', options=reference_meta['rendering_kwargs']
  )
  checkpoints.save(own / 'imported', models)
  return own


def test_the_config_is_kept(folder):
  model = checkpoints.load(folder / 'imported')
  read = model.module.config.build()
  assert read == model.module
  config = checkpoints.to_json(model.module.config)
  assert checkpoints.from_json(config) == model.module.config
  assert model.module.config.superresolution.kind == '2X'


def test_packed_networks_are_the_same_in_half_precision(folder, tmp_path):
  models = checkpoints.load_all(folder / 'imported')
  checkpoints.pack(tmp_path, models)
  packed = checkpoints.load_all(tmp_path)
  assert packed.keys() == models.keys()
  for name, model in models.items():
    assert packed[name].module == model.module
    jax.tree.map(
      lambda a, b: np.testing.assert_array_equal(np.float32(np.float16(a)), b),
      dict(model.variables),
      dict(packed[name].variables),
    )
  content = (tmp_path / 'G_ema.safetensors').read_bytes()
  (tmp_path / 'G_ema.safetensors').write_bytes(content[:-100])
  with pytest.raises(ValueError, match='damaged'):
    checkpoints.load(tmp_path)


def test_numbers_too_large_to_pack_are_refused(folder, tmp_path):
  model = checkpoints.load(folder / 'imported')
  large = jax.tree.map(lambda x: x * 0 + 1e6, dict(model.variables))
  with pytest.raises(ValueError, match='too large for half precision'):
    checkpoints.pack(tmp_path, {'G_ema': model._replace(variables=large)})


def test_loaded_variables_are_the_states(folder, reference_state):
  model = checkpoints.load(folder / 'imported', 'D')
  leaves = jax.tree.leaves(model.variables)
  names = [
    k for k in reference_state if k.startswith('D.') and 'filter' not in k
  ]
  assert len(leaves) == len(names)


def test_bad_folders_are_one_line(tmp_path, folder):
  with pytest.raises(FileNotFoundError, match=r'no config\.json in'):
    checkpoints.load(tmp_path)
  with pytest.raises(ValueError, match=re.escape('has no network G, only')):
    checkpoints.load(folder / 'imported', 'G')
  (tmp_path / 'config.json').write_text(json.dumps({'format': 'x'}))
  with pytest.raises(ValueError, match='describes no networks'):
    checkpoints.load(tmp_path)


@pytest.mark.parametrize(
  'networks, words',
  [
    ({'../../G': {'kind': 'stylegan2'}}, 'is none of'),
    ({'/etc/passwd': {'kind': 'stylegan2'}}, 'is none of'),
    ({'G_ema': None}, 'is none of'),
    (['G_ema'], 'describes no networks'),
    (None, 'describes no networks'),
    ({'G_ema': {'kind': ['stylegan2']}}, 'is not one of'),
    ({'G_ema': {'kind': 'stylegan2', 'z_dim': 10**9}}, 'z_dim is 1000000000'),
    ({'G_ema': {'kind': 'stylegan2', 'z_dim': -1}}, 'z_dim is -1'),
    ({'G_ema': {'kind': 'stylegan2', 'z_dim': '512'}}, "z_dim is '512'"),
    ({'G_ema': {'kind': 'stylegan2', 'channels': [8] * 40}}, 'at most 10'),
    ({'G_ema': {'kind': 'stylegan2', 'mapping_layers': 10**9}}, 'expected 0'),
    ({'G_ema': {'kind': 'eg3d', 'volume': {'coarse': 0}}}, 'volume.coarse is'),
    ({'G_ema': {'kind': 'eg3d', 'volume': 3}}, 'expected a group of fields'),
    ({'G_ema': {'kind': 'stylegan2', 'depth': 3}}, "unknown field 'depth'"),
  ],
)
def test_hostile_descriptions_are_one_line(tmp_path, networks, words):
  (tmp_path / 'config.json').write_text(
    json.dumps({'format': 'maskjax.gan', 'networks': networks})
  )
  for read in (checkpoints.load, checkpoints.load_all):
    with pytest.raises(ValueError, match=re.escape(words)) as error:
      read(tmp_path)
    assert str(tmp_path) in str(error.value)
    assert '\n' not in str(error.value)
