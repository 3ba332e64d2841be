"""Snapshots, archives and tensors that somebody made to do harm."""

import io
import json
import pickle
import struct
import zipfile

import numpy as np
import pytest

from maskjax.gan import snapshots
from maskjax.weights import archives, persistence, pickles, tensor_files
from tests.hostile import guard
from tests.weights import persistence_test as own


def raw(data, name='a.pkl'):
  """Return a maker of a file of some bytes."""

  def make(folder):
    path = folder / name
    path.write_bytes(data)
    return path

  return make


def names(module, name, *arguments):
  """Return a maker of a snapshot that names something to be called."""
  return raw(own.snapshot(extra=own._Call(module, name, *arguments)))


RUN = 'nothing in it was run'
LONG = 2**62
# Names of what would run, read, write or fetch.
NAMED = {
  f'{module}.{name}': (names(module, name, *arguments), RUN)
  for module, name, *arguments in (
    ('os', 'system', 'touch planted'),
    ('posix', 'system', 'touch planted'),
    ('nt', 'system', 'touch planted'),
    ('builtins', 'exec', 'open("planted", "w")'),
    ('builtins', 'eval', 'open("planted", "w")'),
    ('__builtin__', 'execfile', 'planted'),
    ('builtins', 'compile', '1', 'a', 'eval'),
    ('builtins', '__import__', 'os'),
    ('builtins', 'open', 'planted', 'w'),
    ('builtins', 'getattr', 'a', '__class__'),
    ('builtins', 'globals'),
    ('builtins', 'type', 'A', (), {}),
    ('builtins', 'super'),
    ('subprocess', 'check_output', ['touch', 'planted']),
    ('shutil', 'rmtree', '.'),
    ('importlib', 'import_module', 'os'),
    ('runpy', 'run_path', 'planted'),
    ('pickle', 'loads', b'.'),
    ('_pickle', 'loads', b'.'),
    ('operator', 'attrgetter', 'system'),
    ('functools', 'partial', print),
    ('types', 'FunctionType'),
    ('ctypes', 'CDLL', 'libc.so.6'),
    ('socket', 'create_connection', ('127.0.0.1', 9)),
    ('urllib.request', 'urlopen', 'http://127.0.0.1:9'),
    ('codecs', 'open', 'planted', 'w'),
    ('_codecs', 'decode', b'x', 'zlib'),
    ('copyreg', '__newobj__'),
    ('maskjax.training.files', 'write_text', 'planted', ''),
    ('tests.weights.persistence_test', 'write'),
    ('o\0s', 'system'),
  )
}
# They stand for nothing here, whatever they do elsewhere.
INERT = {
  f'{module}.{name}': (names(module, name, *arguments), None)
  for module, name, *arguments in (
    ('torch', 'load', 'planted'),
    ('torch.hub', 'load', 'a', 'b'),
    ('numpy', 'load', 'planted'),
    ('numpy', 'memmap', 'planted', 'u1', 'w+', 0, (2**40,)),
    ('numpy', 'zeros', 10**12),
    ('training.networks', 'Generator'),
    ('dnnlib.util', 'open_url', 'http://127.0.0.1:9'),
  )
}
STREAMS = {
  'noise': (
    raw(np.random.default_rng(0).integers(0, 256, 10_000, np.uint8).tobytes()),
    'cannot read',
  ),
  'an instance by name': (raw(b'(ios\nsystem\n.'), RUN),
  'an instance of a marked name': (raw(b'(cos\nsystem\n)o.'), RUN),
  'a name from the stack': (raw(b'\x80\x04\x8c\x02os\x8c\x06system\x93.'), RUN),
  'a new object': (raw(b'\x80\x04cos\nsystem\n)}\x92.'), RUN),
  'a name without a line': (raw(b'cos'), 'damaged'),
  'a name of 10 MB': (raw(b'c' + b'o' * 10**7 + b'\nx\n.'), RUN),
  'protocol 99': (raw(b'\x80\x63N.'), 'no networks'),
  'a frame of 2^62 bytes': (
    raw(b'\x80\x04\x95' + struct.pack('<Q', LONG) + b'N.'),
    'no networks',
  ),
  'bytes of 2^62': (raw(b'\x8e' + struct.pack('<Q', LONG)), 'damaged'),
  'an array of bytes of 2^62': (
    raw(b'\x96' + struct.pack('<Q', LONG)),
    'damaged',
  ),
  'text of 2^62': (raw(b'\x8d' + struct.pack('<Q', LONG)), 'damaged'),
  'text of less than nothing': (raw(b'T' + struct.pack('<i', -5)), 'damaged'),
  'a number of 2^31 bytes': (
    raw(b'\x8b' + struct.pack('<i', 2**31 - 1)),
    'damaged',
  ),
  'a number of a million digits': (
    raw(b'I' + b'9' * 10**6 + b'\n.'),
    'damaged',
  ),
  'a number of no digits': (raw(b'Ix\n.'), 'damaged'),
  'a number of 3 MB': (
    raw(
      b'\x80\x02\x8b'
      + struct.pack('<i', 3 * 10**6)
      + b'\x7f' * 3 * 10**6
      + b'.'
    ),
    'no networks',
  ),
  'lists 100,000 deep': (raw(b']' * 10**5 + b'a' * 99_999 + b'.'), 'cannot'),
  'networks of lists 20,000 deep': (
    raw(b'}U\x01a' + b']' * 20_000 + b'a' * 19_999 + b's.'),
    'nested too deeply',
  ),
  '100,000 marks': (raw(b'(' * 10**5 + b'.'), 'cannot read'),
  '200,000 opcodes': (raw(b'N0' * 10**5 + b'N.'), 'more steps'),
  'a list in itself': (raw(b'}U\x01a]q\x00h\x00as.'), 'nested too deeply'),
  'lists that double': (
    raw(own.dumps({'a': own._shared(40)})),
    'more steps',
  ),
  'a tuple that doubles': (
    raw(b'}U\x01a)' + b'2\x86' * 60 + b's.'),
    'more steps',
  ),
  'a state of itself': (
    raw(b'}U\x01actorch\nX\n)Rq\x00h\x00bs.'),
    None,
  ),
  'a type of type': (
    raw(
      own.snapshot(
        extra=own._Call(
          'numpy.core.multiarray',
          'scalar',
          own._Call('numpy', 'dtype', 'O8', False, True),
          b'x' * 8,
        )
      )
    ),
    None,
  ),
  'a number of a strange type': (
    raw(
      own.snapshot(
        extra=own._Call(
          'numpy.core.multiarray',
          'scalar',
          own._Call('numpy', 'dtype', 'V99', False, True),
          b'x',
        )
      )
    ),
    None,
  ),
  'nothing': (raw(b''), 'empty'),
}


def tensor(offset, shape, strides):
  """Return a maker of a snapshot with one tensor of six numbers."""
  value = own._Call(
    'torch._utils',
    '_rebuild_tensor_v2',
    own.pid('0', 6),
    offset,
    shape,
    strides,
    False,
  )
  return raw(own.stream({'a': value}, {'0': own.WEIGHT.reshape(-1)}))


TENSORS = {
  'an offset before its storage': (tensor(-1, (2,), (1,)), 'impossible shape'),
  'an offset behind its storage': (tensor(6, (1,), (1,)), 'larger than its'),
  'an offset of 2^70': (tensor(2**70, (1,), (1,)), 'larger than its storage'),
  'a stride of 2^70': (tensor(0, (1,), (2**70,)), 'cannot read'),
  'strides for two': (tensor(0, (2,), (1, 1)), 'impossible shape'),
  'a shape of half': (tensor(0, (0.5,), (1,)), 'cannot read'),
  'a shape of true': (tensor(0, (True,), (1,)), 'impossible shape'),
  '100 axes': (tensor(0, (1,) * 100, (1,) * 100), 'cannot read'),
  'a shape of none': (tensor(0, None, (1,)), 'cannot read'),
  'nothing of 2^62': (tensor(0, (2**62, 0), (1, 1)), 'cannot read'),
  'nothing of 2^70': (tensor(0, (2**70, 0), (1, 1)), 'cannot read'),
}


def archive(*entries, method=zipfile.ZIP_DEFLATED, mangle=None):
  """Return a maker of what torch.save writes, with entries of one's own."""

  def make(folder):
    file = io.BytesIO()
    with zipfile.ZipFile(file, 'w', method) as opened:
      for name, content in entries:
        opened.writestr(name, content)
    data = file.getvalue()
    path = folder / 'a.pt'
    path.write_bytes(data if mangle is None else mangle(data))
    return path

  return make


STORED = own.dumps({'a': own.tensor(own.pid('0', 6), own.WEIGHT)})
EMPTY = own.dumps({})


def _claiming(data):
  """Say in an archive's directory that its last entry is 3 GB."""
  at = data.rindex(b'PK\x01\x02')
  size = struct.pack('<I', 3 * 2**30)
  return data[: at + 24] + size + data[at + 28 :]


ARCHIVES = {
  'nothing in it': (archive(), 'cannot read'),
  'no data': (archive(('a/b.txt', b'')), 'without data.pkl'),
  'a storage that is not there': (archive(('a/data.pkl', STORED)), 'cannot'),
  'a storage that is short': (
    archive(('a/data.pkl', STORED), ('a/data/0', bytes(8))),
    'cannot read',
  ),
  'zeros of 80 MB': (
    archive(('a/data.pkl', EMPTY), ('a/data/0', bytes(80 * 2**20))),
    'would unpack to',
  ),
  'zeros of 80 MB, by another method': (
    archive(
      ('a/data.pkl', EMPTY),
      ('a/data/0', bytes(80 * 2**20)),
      method=zipfile.ZIP_BZIP2,
    ),
    'would unpack to',
  ),
  'a pickle of 80 MB': (archive(('a/data.pkl', bytes(80 * 2**20))), 'unpack'),
  'a directory that lies': (
    archive(
      ('a/data.pkl', STORED), ('a/data/0', bytes(2**20)), mangle=_claiming
    ),
    'would unpack to',
  ),
  'names that lead out': (
    archive(('../../data.pkl', STORED), ('../../data/0', own.WEIGHT.tobytes())),
    None,
  ),
  'an archive of an archive': (
    archive(('a/data.pkl', b'PK\x03\x04' + bytes(100))),
    'cannot read',
  ),
  'cut off': (
    archive(('a/data.pkl', EMPTY), mangle=lambda d: d[:-30]),
    'cannot',
  ),
  'damaged': (
    archive(
      ('a/data.pkl', STORED),
      ('a/data/0', own.WEIGHT.tobytes()),
      mangle=lambda d: d[:60] + bytes(20) + d[80:],
    ),
    'cannot read',
  ),
  '30,000 entries': (
    archive(*((f'a/{i}', b'') for i in range(30_000))),
    'an archive of 30,000 files',
  ),
}


@guard.table({**NAMED, **INERT, **STREAMS, **TENSORS, **ARCHIVES})
def test_hostile_snapshots(make, expected, tmp_path, monkeypatch):
  # A tenth, for types are checked here, which takes its time.
  monkeypatch.setattr(pickles, '_MOST_OPCODES', pickles._MOST_OPCODES // 10)
  monkeypatch.chdir(tmp_path)
  guard.check(persistence.read, make(tmp_path), expected)
  assert not (tmp_path / 'planted').exists()


def npz(header=None, content=bytes(8), *, version=(1, 0), text=None, count=1):
  """Return a maker of an .npz whose array says what is given of itself."""

  def make(folder):
    words = repr(header) if text is None else text
    words = words.encode('latin1') + b'\n'
    size = struct.pack('<H' if version == (1, 0) else '<I', len(words))
    path = folder / 'a.npz'
    with zipfile.ZipFile(path, 'w') as opened:
      for number in range(count):
        entry = b'\x93NUMPY' + bytes(version) + size + words + content
        opened.writestr(f'a{number or ""}.npy', entry)
    return path

  return make


HEAD = {'descr': '<f4', 'fortran_order': False, 'shape': (2,)}
NPZ = {
  'objects': (npz(HEAD | {'descr': '|O'}), 'pickled objects'),
  'objects in fields': (
    npz(HEAD | {'descr': [('a', '|O')]}),
    'pickled objects',
  ),
  'a pickle': (
    lambda folder: raw(pickle.dumps([1]), 'a.npz')(folder),
    'damaged, copy it again',
  ),
  '10^12 numbers': (npz(HEAD | {'shape': (10**12,)}), 'an array of shape'),
  'fewer than none': (npz(HEAD | {'shape': (-1,)}), 'cannot read'),
  'twice fewer than none': (npz(HEAD | {'shape': (-2, -1)}), 'cannot read'),
  'half a number': (npz(HEAD | {'shape': (0.5,)}), 'cannot read'),
  'a shape of text': (npz(HEAD | {'shape': ('a',)}), 'cannot read'),
  'nothing of 2^62': (npz(HEAD | {'shape': (2**62, 0)}, b''), 'too big'),
  'nothing of 2^70': (npz(HEAD | {'shape': (2**70, 0)}, b''), 'cannot read'),
  '100 axes': (npz(HEAD | {'shape': (1,) * 100}, bytes(4)), 'cannot read'),
  'numbers of a gigabyte': (npz(HEAD | {'descr': '|V1000000000'}), 'array of'),
  'a type of nobody': (npz(HEAD | {'descr': 'nothing'}), 'cannot read'),
  'a type of types': (npz(HEAD | {'descr': [('a', [('b', 'O')])]}), 'pickled'),
  'a call for a header': (
    npz(text='__import__("os").mkdir("planted")'),
    'cannot',
  ),
  'a deep header': (npz(text='(' * 5000), 'cannot read'),
  'a header of 60,000 letters': (
    npz(text=repr(HEAD) + ' ' * 60_000),
    'cannot read',
  ),
  'no header': (npz(text=''), 'cannot read'),
  'an unknown version': (npz(HEAD, version=(9, 0)), 'cannot read'),
  'a header that is longer': (npz(HEAD, version=(2, 0), text='{'), 'cannot'),
  '30,000 arrays': (npz(HEAD, count=30_000), 'an archive of 30,000 files'),
}


@guard.table(NPZ)
def test_hostile_npz_files(make, expected, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  guard.check(archives.read_npz, make(tmp_path), expected)
  assert not (tmp_path / 'planted').exists()


def tensors(header, content=bytes(8), *, size=None):
  """Return a maker of a safetensors file."""
  text = header if isinstance(header, bytes) else json.dumps(header).encode()

  def make(folder):
    path = folder / 'a.safetensors'
    length = len(text) if size is None else size
    path.write_bytes(struct.pack('<Q', length) + text + content)
    return path

  return make


def one(**changes):
  """Return a header of one tensor of two numbers, described otherwise."""
  entry = {'dtype': 'F32', 'shape': [2], 'data_offsets': [0, 8]} | changes
  return {'a': entry}


SAFETENSORS = {
  'nothing': (raw(b'', 'a.safetensors'), 'again'),
  'a few bytes': (raw(b'1234', 'a.safetensors'), 'again'),
  'a header of 2^63': (tensors(one(), size=2**63), 'again'),
  'a header of 200 MB': (tensors(one(), size=200 * 2**20), 'again'),
  'a header of noise': (tensors(bytes(range(256))), 'again'),
  'a header of a list': (tensors([1]), 'again'),
  'a deep header': (tensors(b'{"a":' * 50_000), 'again'),
  'a deep value': (tensors(b'{"a":' + b'[' * 50_000), 'again'),
  'offsets behind the end': (tensors(one(data_offsets=[0, 80])), 'again'),
  'offsets turned round': (tensors(one(data_offsets=[8, 0])), 'again'),
  'offsets before the start': (tensors(one(data_offsets=[-8, 0])), 'again'),
  'offsets of 2^64': (tensors(one(data_offsets=[0, 2**64])), 'again'),
  'offsets of text': (tensors(one(data_offsets=['0', '8'])), 'again'),
  'a hole': (tensors(one(data_offsets=[4, 12]), bytes(12)), 'again'),
  'tensors that overlap': (
    tensors({'a': one()['a'], 'b': one()['a']}),
    'again',
  ),
  'a shape of 2^80': (tensors(one(shape=[2**40, 2**40])), 'again'),
  'a shape that overflows to 2': (
    tensors(one(shape=[2**63, 2**63, 2])),
    'again',
  ),
  'a shape of less than none': (tensors(one(shape=[-2])), 'again'),
  'a type of nobody': (tensors(one(dtype='F31')), 'again'),
  'a type that NumPy lacks': (tensors(one(dtype='F4', shape=[16])), 'again'),
  'no shape': (
    tensors({'a': {'dtype': 'F32', 'data_offsets': [0, 8]}}),
    'again',
  ),
  'more than is said': (tensors(one(), bytes(800)), 'again'),
  'less than is said': (tensors(one(), bytes(4)), 'again'),
  'metadata of numbers': (tensors(one() | {'__metadata__': {'a': 1}}), 'again'),
}


@guard.table(SAFETENSORS)
@pytest.mark.parametrize(
  'read', [snapshots.read_state, lambda path: dict(tensor_files.read(path))]
)
def test_hostile_safetensors(read, make, expected, tmp_path):
  guard.check(read, make(tmp_path), expected)
