"""Files of the reference: read, checked in one line, and written back."""

import numpy as np
import pytest

from maskjax.gan import checkpoints, restore, snapshots


@pytest.fixture(scope='module')
def written(reference_state, reference_meta, tmp_path_factory):
  folder = tmp_path_factory.mktemp('networks')
  np.savez(folder / 'state.npz', **reference_state)
  models = snapshots.read_reference(
    folder / 'state.npz', options=reference_meta['rendering_kwargs']
  )
  checkpoints.save(folder / 'imported', models)
  return folder


def test_there_and_back(written, reference_state):
  for name in ('back.npz', 'back.safetensors'):
    models = checkpoints.load_all(written / 'imported')
    snapshots.write_reference(written / name, models)
  with np.load(written / 'back.npz') as content:
    back = {key: content[key] for key in content.files}
  assert back.keys() == reference_state.keys()
  for key, value in reference_state.items():
    np.testing.assert_array_equal(back[key], value)
  again = snapshots.read_state(written / 'back.safetensors')
  assert all(
    (again[key] == reference_state[key]).all() for key in reference_state
  )


def test_scaled_filters_are_kept(reference_state, reference_meta, tmp_path):
  half = {
    key.removeprefix('G_ema.'): value * np.float32(0.5)
    for key, value in reference_state.items()
    if key.startswith('G_ema.')
  }
  np.savez(tmp_path / 'half.npz', **half)
  models = snapshots.read_reference(
    tmp_path / 'half.npz', options=reference_meta['rendering_kwargs']
  )
  assert models['G_ema'].module.config.backbone.filter_gain == 0.5
  back = restore.export(models['G_ema'])
  assert all((back[key] == half[key]).all() for key in half)


def refuse(tmp_path, reference_state, reference_meta, message, **changes):
  own = {**reference_state, **changes}
  own = {key: value for key, value in own.items() if value is not None}
  np.savez(tmp_path / 'state.npz', **own)
  with pytest.raises(ValueError, match=message) as error:
    snapshots.read_reference(
      tmp_path / 'state.npz', options=reference_meta['rendering_kwargs']
    )
  assert '\n' not in str(error.value)


def test_bad_states_are_one_line(tmp_path, reference_state, reference_meta):
  key = 'G_ema.decoder.net.0.bias'
  refuse(
    tmp_path,
    reference_state,
    reference_meta,
    r'G_ema: .*decoder\.net\.0\.bias',
    **{key: None},
  )
  wrong = np.zeros(3, np.float32)
  refuse(
    tmp_path,
    reference_state,
    reference_meta,
    r'shape \(3,\), expected',
    **{key: wrong},
  )
  wrong = np.full_like(reference_state[key], np.nan)
  refuse(
    tmp_path,
    reference_state,
    reference_meta,
    'bias holds numbers that are not',
    **{key: wrong},
  )
  key = 'G_ema.backbone.synthesis.b4.resample_filter'
  wrong = np.eye(4, dtype=np.float32)
  refuse(
    tmp_path,
    reference_state,
    reference_meta,
    'is not the filter',
    **{key: wrong},
  )


def test_bad_options_are_one_line(tmp_path, written, reference_meta):
  options = {
    **reference_meta['rendering_kwargs'],
    'superresolution_module': '16X',
  }
  with pytest.raises(ValueError, match="super-resolution '16X' is not one of"):
    snapshots.read_reference(written / 'state.npz', options=options)
  with pytest.raises(ValueError, match='does not say how it is rendered'):
    snapshots.read_reference(written / 'state.npz')


def test_bad_files_are_one_line(tmp_path, written):
  content = (written / 'state.npz').read_bytes()
  (tmp_path / 'cut.npz').write_bytes(content[: len(content) // 2])
  with pytest.raises(ValueError, match=r'cut\.npz.*copy it again'):
    snapshots.read_reference(tmp_path / 'cut.npz')
  np.savez(tmp_path / 'objects.npz', a=np.array([{}], object))
  with pytest.raises(ValueError, match='pickled objects, which are not read'):
    snapshots.read_reference(tmp_path / 'objects.npz')
  np.savez(tmp_path / 'empty.npz')
  with pytest.raises(ValueError, match='holds none of the networks'):
    snapshots.read_reference(tmp_path / 'empty.npz')
  with pytest.raises(FileNotFoundError, match='no file'):
    snapshots.read_reference(tmp_path / 'none.pkl')
