"""Archives are looked at before they are unpacked."""

import io
import zipfile

from jaxtyping import Float, Int, Shaped
import numpy as np
import pytest

from maskjax.weights import archives
from tests.weights.pointers_test import POINTER


def test_arrays_come_back(tmp_path):
  path = tmp_path / 'a.npz'
  arrays = {
    'a': np.arange(6, dtype=np.float16).reshape(2, 3),
    'columns': np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    'words': np.array(['one', 'three']),
    'none': np.zeros((0, 3)),
    'one': np.array(7),
  }
  for save in (np.savez, np.savez_compressed):
    save(path, **arrays)
    found = archives.read_npz(path)
    assert found.keys() == arrays.keys()
    for name, value in arrays.items():
      np.testing.assert_array_equal(found[name], value)
      assert found[name].dtype == value.dtype
      assert found[name].flags.writeable


def _npz(path, header, content=b''):
  """Write an .npz with an array whose header says what is given."""
  entry = io.BytesIO()
  np.lib.format.write_array_header_1_0(entry, header)
  with zipfile.ZipFile(path, 'w') as archive:
    archive.writestr('a.npy', entry.getvalue() + content)


HEADER = {'descr': '<f4', 'fortran_order': False, 'shape': (2,)}


def test_sizes_are_compared_with_the_file(tmp_path):
  path = tmp_path / 'a.npz'
  _npz(path, HEADER | {'shape': (10**12,)}, bytes(8))
  with pytest.raises(ValueError, match=r'a\.npz: an array of shape \(10000'):
    archives.read_npz(path)
  _npz(path, HEADER | {'shape': (2**40, 2**40, 0)}, bytes(8))
  with pytest.raises(ValueError, match='an array of shape'):
    archives.read_npz(path)
  _npz(path, HEADER | {'descr': '|O'}, bytes(8))
  with pytest.raises(ValueError, match='pickled objects, which are not read'):
    archives.read_npz(path)


def test_bombs_are_not_unpacked(tmp_path):
  path = tmp_path / 'a.npz'
  with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
    archive.writestr('a.npy', bytes(80 * 2**20))
  with pytest.raises(ValueError, match=r'would unpack to 83,886,080; it was'):
    archives.read_npz(path)


def test_other_files_are_one_line(tmp_path):
  path = tmp_path / 'a.npz'
  with pytest.raises(FileNotFoundError, match='no file'):
    archives.read_npz(path)
  path.write_text(POINTER)
  with pytest.raises(ValueError, match='Git LFS'):
    archives.read_npz(path)
  path.write_bytes(b'PK\x03\x04')
  with pytest.raises(ValueError, match='damaged, copy it again') as error:
    archives.read_npz(path)
  assert '\n' not in str(error.value)


FIELDS = {
  'mean': Float[np.ndarray, 'n z'],
  'words': Shaped[np.ndarray, 'n'],
  'place': Int[np.ndarray, '3'],
}
ARRAYS = {
  'mean': np.ones((2, 4), np.float32),
  'words': np.array(['a', 'b']),
  'place': np.arange(3),
}


def test_known_arrays_come_back_and_others_are_passed_over(tmp_path):
  path = tmp_path / 'a.npz'
  np.savez(path, **ARRAYS, more=np.array([print], object))
  found = archives.read_arrays(path, FIELDS)
  assert list(found) == list(FIELDS)
  for name, value in ARRAYS.items():
    np.testing.assert_array_equal(found[name], value)


@pytest.mark.parametrize(
  ('changes', 'message'),
  [
    ({'mean': np.ones((2, 4), int)}, 'mean is int64, not Float'),
    ({'mean': np.ones(2)}, r'mean has the shape \(2,\), not \(n, z\)$'),
    (
      {'words': np.array(['a'])},
      r'words has the shape \(1,\), not \(n\) of n = 2$',
    ),
    ({'place': np.arange(4)}, r'place has the shape \(4,\), not \(3\)$'),
    ({'words': np.array([print], object)}, 'pickled objects'),
  ],
)
def test_arrays_of_other_kinds_are_refused(tmp_path, changes, message):
  path = tmp_path / 'a.npz'
  np.savez(path, **ARRAYS | changes)
  with pytest.raises(ValueError, match=message):
    archives.read_arrays(path, FIELDS)


def test_missing_arrays_and_files_are_told(tmp_path):
  path = tmp_path / 'a.npz'
  np.savez(path, mean=ARRAYS['mean'])
  with pytest.raises(ValueError, match=r'^it holds no words, place$'):
    archives.read_arrays(path, FIELDS)
  with pytest.raises(ValueError, match='No such file'):
    archives.read_arrays(tmp_path / 'b.npz', FIELDS)
  path.write_bytes(b'torn')
  with pytest.raises(ValueError, match='not a zip file; it is damaged'):
    archives.read_arrays(path, FIELDS)


def test_pictures_may_shrink_more_than_weights(tmp_path):
  path = tmp_path / 'a.npz'
  rows = np.zeros((96, 2**20), np.uint8)
  rows[:, ::50] = 1 + np.arange(96)[:, None]
  np.savez_compressed(path, rows=rows)
  assert 16 * path.stat().st_size < rows.nbytes - 2**26
  fields = {'rows': Shaped[np.ndarray, 'n z']}
  with pytest.raises(ValueError, match='would unpack to'):
    archives.read_arrays(path, fields)
  found = archives.read_arrays(path, fields, ratio=archives.PICTURES)
  np.testing.assert_array_equal(found['rows'], rows)
