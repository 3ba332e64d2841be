"""Safetensors files of a component: which are taken, read and written."""

import json
import tracemalloc

import ml_dtypes
import numpy as np
import pytest
import safetensors
import safetensors.numpy

from maskjax.weights import tensor_files

STEM = 'model'


def tensors(count=5, size=300):
  rng = np.random.default_rng(0)
  return {
    f'layers.{i}.weight': rng.standard_normal((size, 10)).astype(np.float32)
    for i in range(count)
  }


def read_all(folder, variant=None):
  paths = tensor_files.locate(folder, variant).paths
  return {
    key: value for path in paths for key, value in tensor_files.read(path)
  }


def names(folder):
  return sorted(path.name for path in folder.iterdir())


def save(folder, name, value):
  array = {'a': np.full(1, value, np.float32)}
  safetensors.numpy.save_file(array, folder / name)


def test_shards_come_back_and_are_as_large_as_asked(tmp_path):
  content = tensors()  # 12 kB each.
  tensor_files.write(tmp_path, STEM, content, texts={}, max_shard_size='30KB')
  files = [f'model-0000{i}-of-00003.safetensors' for i in (1, 2, 3)]
  assert names(tmp_path) == [*files, 'model.safetensors.index.json']
  found = read_all(tmp_path)
  assert found.keys() == content.keys()
  for key in content:
    np.testing.assert_array_equal(found[key], content[key])
  index = json.loads((tmp_path / 'model.safetensors.index.json').read_text())
  assert index['metadata'] == {'total_size': 60000}
  for key, name in index['weight_map'].items():
    with safetensors.safe_open(tmp_path / name, 'np') as file:
      assert key in file.keys()  # noqa: SIM118


def test_a_file_is_as_the_library_reads_it(tmp_path):
  # Views that are not contiguous, and a header of any length.
  content = {'a.b': np.arange(6.0).reshape(2, 3).T, 'c': np.ones((1,))}
  for dtype in ('float32', 'float16', 'bfloat16'):
    tensor_files.write(tmp_path, STEM, content, texts={}, dtype=dtype)
    path = tmp_path / 'model.safetensors'
    found = safetensors.numpy.load_file(path)
    assert found['c'].dtype == np.dtype(dtype)
    np.testing.assert_array_equal(
      found['a.b'].astype(np.float64), content['a.b']
    )
    with safetensors.safe_open(path, 'np') as file:
      assert file.metadata() == {'format': 'pt'}


def test_files_of_another_split_are_removed_and_variants_stay(tmp_path):
  save(tmp_path, 'model.fp16.safetensors', 1)
  for size, count in (('30KB', 3), ('20KB', 5), ('1MB', 1), ('30KB', 3)):
    tensor_files.write(tmp_path, STEM, tensors(), texts={}, max_shard_size=size)
    left = [name for name in names(tmp_path) if 'fp16' not in name]
    assert len(left) == (count + 1 if count > 1 else 1)
    assert len(read_all(tmp_path)) == 5
  assert 'model.fp16.safetensors' in names(tmp_path)


def test_full_precision_comes_first_and_a_variant_is_chosen(tmp_path):
  save(tmp_path, 'model.non_ema.safetensors', 3)
  with pytest.raises(ValueError, match=r'only model\.non_ema\.safetensors'):
    tensor_files.locate(tmp_path)
  save(tmp_path, 'model.fp16.safetensors', 2)
  assert read_all(tmp_path)['a'] == 2
  assert tensor_files.locate(tmp_path).variant == 'fp16'
  save(tmp_path, 'model.safetensors', 1)
  assert read_all(tmp_path)['a'] == 1
  assert tensor_files.locate(tmp_path).variant is None
  assert read_all(tmp_path, 'fp16')['a'] == 2
  assert read_all(tmp_path, 'non_ema')['a'] == 3
  with pytest.raises(ValueError, match=r'no .* model\.bf16\.safetensors'):
    tensor_files.locate(tmp_path, 'bf16')


def test_missing_shards_and_broken_indices_are_named(tmp_path):
  tensor_files.write(tmp_path, STEM, tensors(), texts={}, max_shard_size='30KB')
  (tmp_path / 'model-00002-of-00003.safetensors').unlink()
  with pytest.raises(ValueError, match=r'1 are missing \(model-00002-of'):
    tensor_files.locate(tmp_path)
  index = tmp_path / 'model.safetensors.index.json'
  for broken in ('{"weight_map": ', '[]', '{}', '{"weight_map": [1]}'):
    index.write_text(broken)
    with pytest.raises(ValueError, match='no index of shards') as caught:
      tensor_files.locate(tmp_path)
    assert '\n' not in str(caught.value)


def test_a_truncated_shard_is_named(tmp_path):
  tensor_files.write(tmp_path, STEM, tensors(), texts={}, max_shard_size='30KB')
  path = tmp_path / 'model-00003-of-00003.safetensors'
  path.write_bytes(path.read_bytes()[:-1])
  with pytest.raises(ValueError, match=r'model-00003-.* is not a whole'):
    read_all(tmp_path)


def test_overflow_is_refused_when_writing_and_when_reading(tmp_path):
  content = {'a': np.full(3, 7e4, np.float32)}
  with pytest.raises(ValueError, match=r'a overflows float16: .*7e\+04'):
    tensor_files.write(tmp_path, STEM, content, texts={}, dtype='float16')
  assert names(tmp_path) == []
  with np.errstate(over='ignore'):
    saved = content['a'].astype(np.float16)
  with pytest.raises(ValueError, match='overflowed when it was saved'):
    tensor_files.cast('a', saved, 'float32')
  with pytest.raises(ValueError, match='overflowed when it was saved'):
    tensor_files.cast('a', saved, None)
  brain = content['a'].astype(ml_dtypes.bfloat16)
  np.testing.assert_allclose(
    tensor_files.cast('a', brain, None), 7e4, rtol=1e-2
  )


def test_memory_holds_one_tensor_more_than_is_kept(tmp_path):
  size, count = 100_000, 20
  content = tensors(count, size // 10)
  tensor_files.write(tmp_path, STEM, content, texts={}, dtype='float16')
  del content
  tracemalloc.start()
  kept = [
    tensor_files.cast(key, value, 'float32')
    for key, value in tensor_files.read(tmp_path / 'model.safetensors')
  ]
  peak = tracemalloc.get_traced_memory()[1]
  tracemalloc.stop()
  total = sum(value.nbytes for value in kept)
  assert total == 4 * size * count
  # One more as float32 and as float16, and its test for finiteness.
  assert total < peak < total + 3 * 4 * size
