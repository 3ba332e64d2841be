"""Shards: built once, by several processes, and joined again."""

import functools

from jaxtyping import UInt8
import numpy as np
import pytest

from maskjax.data import shards
from maskjax.training import files

FIELDS = {'rgb': UInt8[np.ndarray, 'n s s 3']}


def _write(path, index, *, size):
  """Stands for the rendering of a shard; spawned processes import it."""
  np.savez(path, rgb=np.full((2, size, size, 3), index, np.uint8))


def test_missing_shards_are_built_and_the_others_kept(tmp_path, capsys):
  kept = shards.path(tmp_path, 'a', 1)
  np.savez(kept, rgb=np.full((2, 4, 4, 3), 99, np.uint8))
  task = functools.partial(_write, size=4)
  shards.build_missing(task, tmp_path, 'a', 3, workers=1)
  joined = shards.load(sorted(tmp_path.glob('*.npz')), FIELDS)['rgb']
  np.testing.assert_array_equal(joined[:, 0, 0, 0], [0, 0, 99, 99, 2, 2])
  assert '3/3' in capsys.readouterr().err
  names = shards.digests(tmp_path)
  assert list(names) == ['a-00000.npz', 'a-00001.npz', 'a-00002.npz']
  assert len(set(names.values())) == 3


def test_errors_of_a_shard_reach_the_caller(tmp_path):
  with pytest.raises(TypeError, match='size'):
    shards.build_missing(_write, tmp_path, 'a', 1, workers=1)


def test_shards_of_different_sizes_are_refused(tmp_path):
  for index, size in enumerate((4, 8)):
    _write(shards.path(tmp_path, 'a', index), index, size=size)
  with pytest.raises(ValueError, match=r'\[4, 8\] pixels'):
    shards.load(sorted(tmp_path.glob('*.npz')), FIELDS)
  with pytest.raises(FileNotFoundError, match='make_faces'):
    shards.load([], FIELDS)


@pytest.mark.parametrize(
  ('arrays', 'message'),
  [
    ({}, 'it holds no rgb'),
    ({'rgb': np.zeros((2, 4, 4, 3))}, 'rgb is float64, not UInt8'),
    ({'rgb': np.zeros((2, 4, 3), np.uint8)}, 'rgb has the shape'),
    ({'rgb': np.zeros((2, 4, 5, 3), np.uint8)}, 'rgb has the shape'),
    ({'rgb': np.array([print], object)}, 'pickled objects, which are not read'),
  ],
)
def test_what_is_no_shard_is_told_in_one_line(tmp_path, arrays, message):
  path = tmp_path / 'a.npz'
  np.savez(path, **arrays)
  with pytest.raises(ValueError, match=message) as error:
    shards.load([path], FIELDS)
  assert f'{path} is no whole shard' in str(error.value)
  assert 'build it again' in str(error.value)
  assert '\n' not in str(error.value)


def _recipe(**changes):
  return {'seed': 0, 'size': 4, 'folder': 'a', 'shards': 2} | changes


def test_shards_of_another_recipe_are_refused(tmp_path):
  shards.claim(tmp_path, _recipe())
  shards.claim(tmp_path, _recipe(seed=1))  # There is nothing yet.
  _write(shards.path(tmp_path, 'a', 0), 0, size=4)
  with pytest.raises(ValueError, match=r'another config \(seed 1 -> 0\)'):
    shards.claim(tmp_path, _recipe())
  # A set may grow, and be fetched from elsewhere.
  again = _recipe(seed=1, shards=5, folder='b')
  shards.claim(tmp_path, again, may_change=('folder',))
  with pytest.raises(ValueError, match=r"folder 'b' -> 'a'"):
    shards.claim(tmp_path, _recipe(seed=1))
  _write(shards.path(tmp_path, 'a', 1), 1, size=4)
  with pytest.raises(ValueError, match='holds 2 shards already, and shards is'):
    shards.claim(tmp_path, again | {'shards': 1}, may_change=('folder',))


def test_shards_without_a_recipe_are_refused_but_with_a_manifest(tmp_path):
  _write(shards.path(tmp_path, 'a', 0), 0, size=4)
  with pytest.raises(ValueError, match='nothing says what they are made by'):
    shards.claim(tmp_path, _recipe())
  files.write_json(tmp_path / 'manifest.json', {'recipe': _recipe()})
  with pytest.raises(ValueError, match=r'size 4 -> 8'):
    shards.claim(tmp_path, _recipe(size=8))
  shards.claim(tmp_path, _recipe())
