"""The networks reproduce the numbers of the reference, see goldens/README.

With --goldens=FOLDER, a folder of your own is checked too, file by file.
"""

import json
import pathlib

import numpy as np
import pytest

from tests.gan.parity import check, rows as golden_rows

FOLDER = pathlib.Path(__file__).parent / 'goldens'
# Arrays in each file that are results.
COUNTS = {
  'S_forward': 14,
  'S_loss': 5,
  'T_forward': 25,
  'T_grads': 20,
  'U_forward': 11,
  'sg2_small': 16,
  'units_ada': 10,
  'units_camera': 9,
  'units_disc': 44,
  'units_ops': 151,
  'units_render': 65,
}


def pytest_generate_tests(metafunc):
  if 'golden_path' in metafunc.fixturenames:
    folder = metafunc.config.getoption('--goldens')
    paths = check.paths_in(folder) if folder else []
    metafunc.parametrize('golden_path', paths, ids=lambda path: path.stem)


def passing(path):
  """Return the rows of a file; fail with the table of those that are off."""
  rows = list(check.check_path(path))
  failed = [str(row) for row in rows if not row.passed]
  assert not failed, '\n'.join(failed)
  return rows


@pytest.mark.parametrize('name', COUNTS)
def test_equals_reference(name):
  rows = passing(FOLDER / f'{name}.npz')
  assert len(rows) >= COUNTS[name]


def test_equals_the_reference_of_your_own(golden_path):
  rows = passing(golden_path)
  print(f'{golden_path.name}: {len(rows)} of {len(rows)} arrays')


def test_every_file_is_compared():
  stems = {path.stem for path in FOLDER.glob('*.npz')}
  assert stems == set(COUNTS)


def test_notices_a_wrong_number(tmp_path):
  with np.load(FOLDER / 'units_camera.npz') as content:
    arrays = {name: content[name] for name in content.files}
  arrays['fov_to_intrinsics/y'] = arrays['fov_to_intrinsics/y'] * 1.001
  arrays['unheard/of'] = np.zeros(3)
  np.savez(tmp_path / 'units_camera.npz', **arrays)
  rows = list(check.check_path(tmp_path / 'units_camera.npz'))
  failed = {row.array for row in rows if not row.passed}
  assert failed == {'fov_to_intrinsics/y', 'unheard/of'}


def test_a_folder_of_another_make(tmp_path):
  # Another name and order, one sample, fewer arrays, no measured noise.
  golden = golden_rows.load(FOLDER / 'T_forward.npz')
  meta = json.loads(json.dumps(golden.meta))
  for key in ('G_keys', 'D_keys', 'rendering_kwargs'):
    meta[key] = dict(reversed(meta[key].items()))
  kept = [name for name in golden.arrays if name.startswith('record/')]
  rays = len(golden['record/rng1_rand']) // 2
  arrays = {
    name: golden[name][rays if name.endswith('rng1_rand') else 1 :]
    for name in reversed(['z', 'c', *kept])
  }
  np.savez(tmp_path / 'Z_forward.npz', meta=json.dumps(meta), **arrays)
  # Of its weights nothing can be known.
  np.savez(tmp_path / 'Y_forward.npz', z=np.zeros((1, 4)))
  rows = [
    row for path in check.paths_in(tmp_path) for row in check.check_path(path)
  ]
  assert [row.file for row in rows if not row.passed] == ['Y_forward.npz']
  assert "meta has no 'seed'" in str(rows[0])
  names = {row.array for row in rows[1:]}
  assert names == {name for name in kept if 'rng' not in name}


def test_empty_folder_is_an_error(tmp_path):
  with pytest.raises(ValueError, match='holds no goldens'):
    check.paths_in(tmp_path)


def test_tolerance():
  assert golden_rows.tolerance_of(None, 2.0) == pytest.approx(2e-4)
  assert golden_rows.tolerance_of(1e-6, 2.0) == pytest.approx(1e-5)
  assert golden_rows.tolerance_of(1.0, 2.0) == pytest.approx(2e-4)
