"""Pickled networks are read without running anything in them."""

import collections
import io
import os
import pickle
import struct

import numpy as np
import pytest

from maskjax.weights import persistence


class _Name:
  """A global that need not exist where the file is written."""

  def __init__(self, module, name):
    self.module, self.name = module, name

  def __call__(self, *args):
    raise AssertionError


class _Call:
  """A global called with arguments, when the file is read."""

  def __init__(self, module, name, *args):
    self.function, self.args = _Name(module, name), args


class _Pid:
  """A reference to a storage elsewhere in the file."""

  def __init__(self, value):
    self.value = value


class _Writer(pickle._Pickler):
  """Writes names that cannot be imported here."""

  def reducer_override(self, value):
    if isinstance(value, _Call):
      return value.function, value.args
    return 'name' if isinstance(value, _Name) else NotImplemented

  def save_global(self, value, name=None):
    if not isinstance(value, _Name):
      return super().save_global(value, name)
    self.write(
      pickle.GLOBAL + f'{value.module}\n{value.name}\n'.encode('ascii')
    )
    self.memoize(value)

  def persistent_id(self, value):
    return value.value if isinstance(value, _Pid) else None


def dumps(value, protocol=2):
  file = io.BytesIO()
  _Writer(file, protocol).dump(value)
  return file.getvalue()


def pid(key, count):
  kind = _Name('torch', 'FloatStorage')
  return _Pid(('storage', kind, key, 'cpu', count, None))


def stream(value, storages):
  """Bytes of an older torch.save."""
  parts = [0x1950A86A20F9469CFC6C, 1001, {'little_endian': True}, value]
  data = b''.join(dumps(part) for part in (*parts, list(storages)))
  for numbers in storages.values():
    data += struct.pack('<q', numbers.size) + numbers.tobytes()
  return data


def tensor(storage, array):
  strides = tuple(step // array.itemsize for step in array.strides)
  return _Call(
    'torch._utils',
    '_rebuild_tensor_v2',
    storage,
    0,
    array.shape,
    strides,
    False,
    collections.OrderedDict(),
  )


def module(name, parameters, modules=(), **values):
  state = {
    '_parameters': collections.OrderedDict(parameters),
    '_buffers': collections.OrderedDict(),
    '_modules': collections.OrderedDict(modules),
    **values,
  }
  meta = {
    'type': 'class',
    'version': 6,
    'module_src': 'raise AssertionError("the source was run")',
    'class_name': name,
    'state': state,
  }
  return _Call('torch_utils.persistence', '_reconstruct_persistent_obj', meta)


WEIGHT = np.arange(6, dtype=np.float32).reshape(2, 3)


def snapshot(**more):
  own = stream(pid('7', 6), {'7': WEIGHT.reshape(-1)})
  loaded = _Call('torch.storage', '_load_from_bytes', own)
  weight = _Call(
    'torch._utils', '_rebuild_parameter', tensor(loaded, WEIGHT), False, None
  )
  inner = module('FullyConnectedLayer', {'weight': weight, 'bias': None})
  gain = _Call(
    'numpy.core.multiarray',
    'scalar',
    _Call('numpy', 'dtype', 'f8', False, True),
    struct.pack('<d', 0.25),
  )
  whole = module('Generator', {}, {'fc': inner}, z_dim=4, gain=gain)
  return dumps({'G': whole, 'augment_pipe': None, **more}, 4)


def write(tmp_path, data):
  path = tmp_path / 'network.pkl'
  path.write_bytes(data)
  return path


def test_snapshot_with_storages_inside(tmp_path):
  content = persistence.read(write(tmp_path, snapshot()))
  network = content['G']
  assert content['augment_pipe'] is None
  assert network.name == 'Generator'
  assert network.values['z_dim'] == 4
  assert network.values['gain'] == 0.25
  assert network.find('fc').name == 'FullyConnectedLayer'
  state = network.state()
  assert list(state) == ['fc.weight']
  np.testing.assert_array_equal(state['fc.weight'], WEIGHT)


def test_stream_with_storages_at_its_end(tmp_path):
  value = {'turned': tensor(pid('0', 6), WEIGHT.T), 'name': 'x'}
  data = stream(value, {'0': WEIGHT.reshape(-1)})
  content = persistence.read(write(tmp_path, data))
  np.testing.assert_array_equal(content['turned'], WEIGHT.T)
  assert content['name'] == 'x'


def test_archive_of_torch(tmp_path):
  torch = pytest.importorskip('torch')
  path = tmp_path / 'network.pt'
  torch.save({'a': torch.arange(4).float().half(), 'b': [1, 'two']}, path)
  content = persistence.read(path)
  np.testing.assert_array_equal(content['a'], np.arange(4, dtype=np.float16))
  assert content['b'] == [1, 'two']


@pytest.mark.parametrize(
  'planted',
  [
    _Call('os', 'mkdir', 'planted'),
    _Call('builtins', 'eval', '__import__("os").mkdir("planted")'),
    _Call('builtins', 'getattr', 'x', 'y'),
    _Call('subprocess', 'Popen', ['mkdir', 'planted']),
  ],
)
def test_hostile_files_run_nothing(tmp_path, monkeypatch, planted):
  monkeypatch.chdir(tmp_path)
  path = write(tmp_path, snapshot(extra=planted))
  name = f'{planted.function.module}.{planted.function.name}'
  with pytest.raises(ValueError, match=f'names {name}, .*nothing in it was'):
    persistence.read(path)
  assert not os.path.exists('planted')


def test_hostile_storages_run_nothing(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  inner = dumps(_Call('os', 'mkdir', 'planted'))
  loaded = _Call('torch.storage', '_load_from_bytes', inner)
  with pytest.raises(ValueError, match=r'names .*mkdir'):
    persistence.read(write(tmp_path, snapshot(extra=loaded)))
  assert not os.path.exists('planted')


@pytest.mark.parametrize('part', [0.0, 0.1, 0.5, 0.9])
def test_cut_files_are_one_line(tmp_path, part):
  data = snapshot()
  with pytest.raises(ValueError, match=r'cannot read .*network\.pkl') as error:
    persistence.read(write(tmp_path, data[: int(part * len(data))]))
  assert '\n' not in str(error.value)


def test_tensors_stay_within_their_storage(tmp_path):
  data = stream(
    {'a': tensor(pid('0', 2), WEIGHT)}, {'0': WEIGHT.reshape(-1)[:2]}
  )
  with pytest.raises(ValueError, match='larger than its storage'):
    persistence.read(write(tmp_path, data))


def test_missing_and_other_files(tmp_path):
  with pytest.raises(FileNotFoundError, match='no file'):
    persistence.read(tmp_path / 'network.pkl')
  with pytest.raises(ValueError, match='it holds no networks'):
    persistence.read(write(tmp_path, dumps([1, 2])))
