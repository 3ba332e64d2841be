import json
import pathlib
import re

import jax
import numpy as np
import pytest

from maskjax.gan import checkpoints, restore
from tests.gan.parity import recipe, rows

FOLDER = pathlib.Path(__file__).parent / 'goldens'


@pytest.fixture(scope='module')
def meta():
  return rows.load(FOLDER / 'T_forward.npz').meta


@pytest.fixture(scope='module')
def state(meta):
  generator = recipe.make_state(meta['seed'], meta['G_keys'])
  judge = recipe.make_state(meta['seed'] + 50, meta['D_keys'])
  judge = {f'D.{key}': value for key, value in judge.items()}
  return {f'G_ema.{key}': x for key, x in generator.items()} | judge


@pytest.fixture(scope='module')
def folder(state, meta, tmp_path_factory):
  own = tmp_path_factory.mktemp('networks')
  np.savez(own / 'state.npz', **state)
  models = checkpoints.read_reference(
    own / 'state.npz', options=meta['rendering_kwargs']
  )
  checkpoints.save(own / 'imported', models)
  return own


def test_there_and_back(folder, state):
  for name in ('back.npz', 'back.safetensors'):
    models = checkpoints.load_all(folder / 'imported')
    checkpoints.write_reference(folder / name, models)
  with np.load(folder / 'back.npz') as content:
    back = {key: content[key] for key in content.files}
  assert back.keys() == state.keys()
  for key, value in state.items():
    np.testing.assert_array_equal(back[key], value)
  again = checkpoints._read_state(folder / 'back.safetensors')
  assert all((again[key] == state[key]).all() for key in state)


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


def test_scaled_filters_are_kept(state, meta, tmp_path):
  half = {
    key.removeprefix('G_ema.'): value * np.float32(0.5)
    for key, value in state.items()
    if key.startswith('G_ema.')
  }
  np.savez(tmp_path / 'half.npz', **half)
  models = checkpoints.read_reference(
    tmp_path / 'half.npz', options=meta['rendering_kwargs']
  )
  assert models['G_ema'].module.config.backbone.filter_gain == 0.5
  back = restore.export(models['G_ema'])
  assert all((back[key] == half[key]).all() for key in half)


def refuse(tmp_path, state, meta, message, **changes):
  own = {**state, **changes}
  own = {key: value for key, value in own.items() if value is not None}
  np.savez(tmp_path / 'state.npz', **own)
  with pytest.raises(ValueError, match=message) as error:
    checkpoints.read_reference(
      tmp_path / 'state.npz', options=meta['rendering_kwargs']
    )
  assert '\n' not in str(error.value)


def test_bad_states_are_one_line(tmp_path, state, meta):
  key = 'G_ema.decoder.net.0.bias'
  refuse(
    tmp_path, state, meta, r'G_ema: .*decoder\.net\.0\.bias', **{key: None}
  )
  wrong = np.zeros(3, np.float32)
  refuse(tmp_path, state, meta, r'shape \(3,\), expected', **{key: wrong})
  wrong = np.full_like(state[key], np.nan)
  refuse(
    tmp_path, state, meta, 'bias holds numbers that are not', **{key: wrong}
  )
  key = 'G_ema.backbone.synthesis.b4.resample_filter'
  wrong = np.eye(4, dtype=np.float32)
  refuse(tmp_path, state, meta, 'is not the filter', **{key: wrong})


def test_bad_options_are_one_line(tmp_path, folder, meta):
  options = {**meta['rendering_kwargs'], 'superresolution_module': '16X'}
  with pytest.raises(ValueError, match="super-resolution '16X' is not one of"):
    checkpoints.read_reference(folder / 'state.npz', options=options)
  with pytest.raises(ValueError, match='does not say how it is rendered'):
    checkpoints.read_reference(folder / 'state.npz')


def test_bad_files_are_one_line(tmp_path, folder):
  content = (folder / 'state.npz').read_bytes()
  (tmp_path / 'cut.npz').write_bytes(content[: len(content) // 2])
  with pytest.raises(ValueError, match=r'cut\.npz.*copy it again'):
    checkpoints.read_reference(tmp_path / 'cut.npz')
  np.savez(tmp_path / 'objects.npz', a=np.array([{}], object))
  with pytest.raises(ValueError, match='pickled objects, which are not read'):
    checkpoints.read_reference(tmp_path / 'objects.npz')
  np.savez(tmp_path / 'empty.npz')
  with pytest.raises(ValueError, match='holds none of the networks'):
    checkpoints.read_reference(tmp_path / 'empty.npz')
  with pytest.raises(FileNotFoundError, match='no file'):
    checkpoints.read_reference(tmp_path / 'none.pkl')
  with pytest.raises(FileNotFoundError, match=r'no config\.json in'):
    checkpoints.load(tmp_path)
  with pytest.raises(ValueError, match=re.escape('has no network G, only')):
    checkpoints.load(folder / 'imported', 'G')
  (tmp_path / 'config.json').write_text(json.dumps({'format': 'x'}))
  with pytest.raises(ValueError, match='describes no networks'):
    checkpoints.load(tmp_path)


def test_loaded_variables_are_the_states(folder, state):
  model = checkpoints.load(folder / 'imported', 'D')
  leaves = jax.tree.leaves(model.variables)
  names = [k for k in state if k.startswith('D.') and 'filter' not in k]
  assert len(leaves) == len(names)
