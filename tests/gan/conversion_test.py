"""Networks from files of the reference to folders, and back."""

import json

import numpy as np
import pytest

from maskjax.gan import checkpoints, conversion, snapshots


@pytest.fixture(scope='module')
def folder(reference_state, reference_meta, tmp_path_factory):
  """Return a folder with a plain state, its options, and what it becomes."""
  folder = tmp_path_factory.mktemp('networks')
  np.savez(folder / 'state.npz', **reference_state)
  options = folder / 'options.json'
  options.write_text(json.dumps(reference_meta['rendering_kwargs']))
  models = conversion.convert(
    folder / 'state.npz',
    folder / 'imported',
    options=conversion.read_options(None, options),
  )
  assert set(models) == set(checkpoints.load_all(folder / 'imported'))
  return folder


def test_there_and_back(folder, reference_state):
  conversion.convert(folder / 'imported', folder / 'back.npz')
  back = snapshots.read_state(folder / 'back.npz')
  assert back.keys() == reference_state.keys()
  for key, value in reference_state.items():
    np.testing.assert_array_equal(back[key], value)


def test_some_networks_are_taken(folder, tmp_path):
  models = conversion.convert(
    folder / 'imported', tmp_path / 'one.npz', networks=['G_ema']
  )
  assert list(models) == ['G_ema']
  with pytest.raises(ValueError, match='has no Q, only G_ema'):
    conversion.convert(
      folder / 'imported', tmp_path / 'none.npz', networks=['Q']
    )
  assert not (tmp_path / 'none.npz').exists()


def test_a_generator_is_read_from_either(folder, monkeypatch, reference_meta):
  own = conversion.load_generator(folder / 'imported')
  assert own.module == checkpoints.load(folder / 'imported', 'G_ema').module
  # A plain state does not say how it is rendered; a snapshot does.
  read = snapshots.read_reference
  options = reference_meta['rendering_kwargs']
  monkeypatch.setattr(
    snapshots, 'read_reference', lambda path: read(path, options=options)
  )
  found = conversion.load_generator(folder / 'state.npz')
  assert found.module == own.module
  with pytest.raises(ValueError, match='has no Q, only G_ema'):
    conversion.load_generator(folder / 'state.npz', 'Q')


def test_options_are_a_preset_or_a_file(tmp_path):
  assert conversion.read_options(None, None) is None
  assert conversion.read_options('ffhq', None) == snapshots.PRESETS['ffhq']
  path = tmp_path / 'options.json'
  path.write_text('{"box_warp": 2}')
  assert conversion.read_options('ffhq', path) == {'box_warp': 2}
  path.write_text('{')
  with pytest.raises(ValueError, match='not valid JSON') as caught:
    conversion.read_options(None, path)
  assert '\n' not in str(caught.value)
