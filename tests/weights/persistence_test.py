"""Pickled networks are read without running anything in them."""

import collections
import io
import os
import pickle
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

from maskjax.weights import persistence
from tests.weights.pointers_test import POINTER


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
    _Call('__builtin__', 'eval', '__import__("os").mkdir("planted")'),
    _Call('builtins', 'getattr', 'x', 'y'),
    _Call('_codecs', 'lookup', 'x'),
    _Call('copy_reg', 'add_extension', 'os', 'mkdir', 1),
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


@pytest.mark.parametrize('protocol', [2, 3, 4, 5])
def test_every_protocol_reads_alike(tmp_path, protocol):
  """Protocol 2, which torch.save takes, has other names for much of it."""
  weight = tensor(pid('0', 6), WEIGHT)
  more = {
    '_non_persistent_buffers_set': {'cache'},
    'hooks': collections.OrderedDict(),
    'blob': b'\x00\xff',
    'array': bytearray(b'\x01\x02'),
    'number': 1 + 2j,
    'kinds': frozenset({1}),
    'gain': _Call(
      'numpy.core.multiarray',
      'scalar',
      _Call('numpy', 'dtype', 'f8', False, True),
      struct.pack('<d', 0.25),
    ),
    'plain': _Call('copy_reg', '_reconstructor', _Name('torch', 'Size'), None),
  }
  whole = module('Generator', {'weight': weight}, **more)
  path = tmp_path / 'network.pt'
  with zipfile.ZipFile(path, 'w') as archive:
    archive.writestr('archive/data.pkl', dumps(whole, protocol))
    archive.writestr('archive/data/0', WEIGHT.tobytes())
  network = persistence.read(path)['G_ema']
  assert network.name == 'Generator'
  np.testing.assert_array_equal(network.state()['weight'], WEIGHT)
  values = network.values
  assert values['_non_persistent_buffers_set'] == {'cache'}
  assert values['blob'] == b'\x00\xff'
  assert values['array'] == b'\x01\x02'
  assert values['number'] == 1 + 2j
  assert values['kinds'] == {1}
  assert values['gain'] == 0.25


def test_a_parameter_with_attributes(tmp_path):
  weight = tensor(pid('0', 6), WEIGHT)
  content = {
    'a': _Call(
      'torch._utils', '_rebuild_parameter_with_state', weight, True, None, {}
    ),
    'b': _Call(
      'torch._tensor',
      '_rebuild_from_type_v2',
      _Name('torch._utils', '_rebuild_tensor_v2'),
      _Name('torch', 'Tensor'),
      weight.args,
      {'tag': 1},
    ),
  }
  data = stream(content, {'0': WEIGHT.reshape(-1)})
  found = persistence.read(write(tmp_path, data))
  np.testing.assert_array_equal(found['a'], WEIGHT)
  np.testing.assert_array_equal(found['b'], WEIGHT)


def _shared(depth):
  """Return a list that shows another twice, which shows another twice, ..."""
  value = []
  for _ in range(depth):
    value = [value, value]
  return value


def _broadcast(shape, strides=None):
  strides = (0,) * len(shape) if strides is None else strides
  value = _Call(
    'torch._utils', '_rebuild_tensor_v2', pid('0', 6), 0, shape, strides, False
  )
  return stream({'a': value}, {'0': WEIGHT.reshape(-1)})


DEEP_KEY = b'\x80\x02}' + b')' + b'\x85' * 100_000 + b'Ns.'
HOSTILE = {
  'lists that multiply': lambda: snapshot(extra=_shared(60)),
  'text of lists that multiply': lambda: dumps(
    _Call('numpy', 'dtype', _shared(60))
  ),
  'a storage named by lists': lambda: dumps(
    _Pid((_shared(60), _Name('torch', 'FloatStorage'), '0', 'cpu', 1))
  ),
  'strides of 0': lambda: _broadcast((2**15, 2**15)),
  'a shape of 10^60': lambda: _broadcast((10**60,)),
  'a shape of text': lambda: _broadcast(('a',)),
  'a negative stride': lambda: _broadcast((2,), (-1,)),
  'an array of 6 GB': lambda: dumps(_Call('builtins', 'bytearray', 6 * 2**30)),
  'a deep key': lambda: DEEP_KEY,
  'a deep key inside': lambda: snapshot(
    extra=_Call('torch.storage', '_load_from_bytes', DEEP_KEY)
  ),
  'a deep persistent id': lambda: (
    b'\x80\x02' + b')' + b'\x85' * 100_000 + b'Q.'
  ),
  'modules in a circle': lambda: (
    b'\x80\x02ctorch\nX\n)Rq\x00}(U\x0b_parameters}U\x08_buffers}'
    b'U\x08_modules}U\x01ah\x00sub.'
  ),
  'a storage of negative size': lambda: dumps(
    {'a': tensor(pid('0', -1), WEIGHT)}
  ),
  'a storage of 10^18': lambda: stream(
    {'a': tensor(pid('0', 10**18), WEIGHT)}, {}
  ),
  'entries of bytes': lambda: dumps(
    _Call('collections', 'OrderedDict', b'x' * 100)
  ),
  'nothing': lambda: b'',
}


@pytest.mark.parametrize('name', HOSTILE)
def test_hostile_files_are_one_line(tmp_path, name):
  path = write(tmp_path, HOSTILE[name]())
  with pytest.raises(ValueError, match='cannot read') as error:
    persistence.read(path)
  assert '\n' not in str(error.value)
  assert len(str(error.value)) < 500


def test_a_persistent_id_of_something_else_is_told(tmp_path):
  path = write(tmp_path, HOSTILE['a deep persistent id']())
  with pytest.raises(
    ValueError, match='a reference to something that is no st'
  ):
    persistence.read(path)


@pytest.mark.parametrize(
  'name', ['strides of 0', 'an array of 6 GB', 'a storage of 10^18']
)
def test_hostile_files_take_no_memory(tmp_path, name):
  path = write(tmp_path, HOSTILE[name]())
  tracemalloc.start()
  try:
    with pytest.raises(ValueError, match='cannot read'):
      persistence.read(path)
    assert tracemalloc.get_traced_memory()[1] < 1e7
  finally:
    tracemalloc.stop()


def test_bombs_are_not_unpacked(tmp_path):
  path = tmp_path / 'network.pt'
  with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
    archive.writestr('archive/data.pkl', dumps({}))
    archive.writestr('archive/data/0', bytes(80 * 2**20))
  with pytest.raises(ValueError, match='would unpack to'):
    persistence.read(path)


def test_pointers_are_named(tmp_path):
  with pytest.raises(ValueError, match='Git LFS'):
    persistence.read(write(tmp_path, POINTER.encode()))
