"""The networks reproduce the numbers of the reference, see goldens/README."""

import pathlib

import numpy as np
import pytest

from maskjax.evaluation import gan_parity, golden_rows

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


@pytest.mark.parametrize('name', COUNTS)
def test_equals_reference(name):
  rows = list(gan_parity.check(FOLDER, files=(name,)))
  failed = [str(row) for row in rows if not row.passed]
  assert not failed, '\n'.join(failed)
  assert len(rows) >= COUNTS[name]


def test_every_file_is_compared():
  stems = {path.stem for path in FOLDER.glob('*.npz')}
  assert stems == set(COUNTS)


def test_notices_a_wrong_number(tmp_path):
  with np.load(FOLDER / 'units_camera.npz') as content:
    arrays = {name: content[name] for name in content.files}
  arrays['fov_to_intrinsics/y'] = arrays['fov_to_intrinsics/y'] * 1.001
  arrays['unheard/of'] = np.zeros(3)
  np.savez(tmp_path / 'units_camera.npz', **arrays)
  rows = list(gan_parity.check(tmp_path))
  failed = {row.array for row in rows if not row.passed}
  assert failed == {'fov_to_intrinsics/y', 'unheard/of'}


def test_empty_folder_is_an_error(tmp_path):
  with pytest.raises(ValueError, match='holds no goldens'):
    list(gan_parity.check(tmp_path))


def test_tolerance():
  assert golden_rows.tolerance_of(None, 2.0) == pytest.approx(2e-4)
  assert golden_rows.tolerance_of(1e-6, 2.0) == pytest.approx(1e-5)
  assert golden_rows.tolerance_of(1.0, 2.0) == pytest.approx(2e-4)
