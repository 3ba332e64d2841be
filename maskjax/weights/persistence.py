"""Reads pickled networks without running anything that is in them.

A training snapshot of StyleGAN2-ADA or EG3D is one pickle. Opened the usual
way it imports what it names and executes the source text that it carries;
here every name stands for a function or a class of this module that only
keeps what it is given, source text is dropped unread, and a name that no
network file needs is refused. NumPy is enough; tensors come as

* bytes of an older torch.save stream, an argument of `_load_from_bytes`;
* persistent ids into the archive (a zip file) or the stream of torch.save.

Nothing is imported, so a network is a class name, its tensors under dotted
keys, and the plain values of its modules.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
import contextlib
import dataclasses
import functools
import io
import math
import mmap
import os
import pathlib
import pickle
import re
import struct
from typing import Any

import ml_dtypes
import numpy as np

from maskjax.weights import archives, pickles, pointers

_ZIP = b'PK\x03\x04'
_MAGIC = 0x1950A86A20F9469CFC6C
_DTYPES: dict[str, Any] = {
  'Double': np.float64,
  'Float': np.float32,
  'Half': np.float16,
  'BFloat16': ml_dtypes.bfloat16,
  'Long': np.int64,
  'Int': np.int32,
  'Short': np.int16,
  'Char': np.int8,
  'Byte': np.uint8,
  'Bool': np.bool_,
}
# Packages whose names stand in network files; none of them is imported.
_PACKAGES = ('torch', 'torch_utils', 'training', 'dnnlib', 'numpy', 'metrics')
# Modules as Python 2, and torch.save to this day, spells them.
_SPELLINGS = {'__builtin__': 'builtins', 'copy_reg': 'copyreg'}
_DTYPE = re.compile(r'[<>=|]?[a-zA-Z?]\d{0,2}')


class _Dict(dict):
  """Stands for dictionaries with attributes."""

  def __init__(self, *args: Any):
    del args  # its entries come later
    super().__init__()

  def __setstate__(self, state: Any) -> None:
    if isinstance(state, Mapping):
      self.update(state)


class _Inert:
  """Stands for an object of any other class; keeps its state."""

  def __init__(self, name: str, state: Any = None):
    self.name, self.state = name, state

  def __setstate__(self, state: Any) -> None:
    self.state = state


@dataclasses.dataclass(frozen=True)
class _Class:
  """Stands for any other class or function; called, it makes an object."""

  name: str

  def __call__(self, *args: Any) -> _Inert:
    del args
    return _Inert(self.name)


class _Dtype:
  """Stands for a NumPy type."""

  def __init__(self, code: Any = '', *rest: Any):
    del rest
    self.code = code if isinstance(code, str) else ''

  def __setstate__(self, state: Any) -> None:
    del state


@dataclasses.dataclass
class _Storage:
  """Numbers of one or more tensors; they may follow later in the file."""

  dtype: Any
  count: int
  data: bytes | None = None


@dataclasses.dataclass(frozen=True)
class _Tensor:
  """A view on a storage."""

  storage: _Storage
  offset: int
  shape: tuple[int, ...]
  strides: tuple[int, ...]

  def numpy(self, budget: pickles.Budget) -> np.ndarray:
    """Return the values.

    Args:
      budget: pays for them.

    Raises:
      ValueError: the storage is not there, or too small.
    """
    dtype = np.dtype(self.storage.dtype)
    if self.storage.data is None:
      raise ValueError('a tensor without numbers')
    flat = np.frombuffer(self.storage.data, dtype, self.storage.count)
    values = (*self.shape, *self.strides, self.offset)
    if len(self.shape) != len(self.strides) or not all(
      type(value) is int and value >= 0 for value in values
    ):
      raise ValueError('a tensor of impossible shape')
    reach = sum((n - 1) * s for n, s in zip(self.shape, self.strides))
    if 0 in self.shape:
      return np.zeros(self.shape, dtype)
    if self.offset + reach >= flat.size:
      raise ValueError('a tensor larger than its storage')
    # Strides of 0 make many numbers of one.
    budget.copy(math.prod(self.shape) * dtype.itemsize)
    steps = tuple(s * dtype.itemsize for s in self.strides)
    view = np.lib.stride_tricks.as_strided(
      flat[self.offset :], self.shape, steps, writeable=False
    )
    return view.copy()


@dataclasses.dataclass
class Network:
  """A module as a snapshot has it.

  Attributes:
    name: of its class.
    values: what the module holds beside its tensors and submodules.
    parameters: tensors, by name.
    modules: submodules, by name.
  """

  name: str
  values: dict[str, Any]
  parameters: dict[str, np.ndarray]
  modules: dict[str, 'Network']

  def state(self) -> dict[str, np.ndarray]:
    """Return all tensors under dotted keys, as a state_dict has them."""
    return dict(self._walk(''))

  def _walk(self, prefix: str) -> Iterator[tuple[str, np.ndarray]]:
    for name, value in self.parameters.items():
      yield prefix + name, value
    for name, module in self.modules.items():
      yield from module._walk(f'{prefix}{name}.')

  def find(self, path: str) -> 'Network | None':
    """Return a submodule by dotted name, None if there is none."""
    node: Network | None = self
    for part in path.split('.'):
      node = node.modules.get(part) if node else None
    return node


def _rebuild(storage, offset=0, shape=(), strides=(), *rest):
  """Make a tensor from a storage."""
  del rest
  if not isinstance(storage, _Storage):
    raise ValueError('a tensor of something that is no storage')
  return _Tensor(storage, offset, tuple(shape), tuple(strides))


def _rebuild_from_type(function, kind=None, arguments=(), *rest):
  """Make a tensor that has attributes, which are not kept."""
  del kind, rest
  return function(*arguments) if function is _rebuild else None


def _scalar(dtype, data=b''):
  """Make a number of NumPy."""
  code = getattr(dtype, 'code', '')
  try:
    if not _DTYPE.fullmatch(code):
      return None
    return np.frombuffer(data, np.dtype(code).newbyteorder('<'))[0].item()
  except (IndexError, TypeError, ValueError):
    return None


def _module(meta=None, *rest):
  """Keep a persistent object; its source text is not kept."""
  del rest
  if not isinstance(meta, Mapping):
    raise ValueError('a module that is not described')
  name = meta.get('class_name')
  return _Inert(name if isinstance(name, str) else '', meta.get('state'))


def _encode(text='', encoding='latin1'):
  """Make bytes of text, which is how protocol 2 writes them."""
  if encoding not in ('latin1', 'latin-1') or not isinstance(text, str):
    raise ValueError('bytes that are written as no text')
  return text.encode('latin-1')


def _bytearray(data=b'', encoding='latin1'):
  """Make an array of bytes; a number would make one of any size."""
  if isinstance(data, str):
    return bytearray(_encode(data, encoding))
  if not isinstance(data, bytes | bytearray):
    raise ValueError('an array of bytes of something else')
  return bytearray(data)


def _reconstructed(kind=None, *rest):
  """Make an object without its arguments."""
  del rest
  return kind() if isinstance(kind, _Class) else None


def _complex(real=0.0, imaginary=0.0):
  """Make a complex number."""
  return complex(float(real), float(imaginary))


_FUNCTIONS: dict[tuple[str, str], Callable[..., Any]] = {
  ('torch_utils.persistence', '_reconstruct_persistent_obj'): _module,
  ('torch._utils', '_rebuild_tensor_v2'): _rebuild,
  ('torch._utils', '_rebuild_parameter'): lambda data, *rest: data,
  ('torch._utils', '_rebuild_parameter_with_state'): lambda data, *rest: data,
  ('torch._tensor', '_rebuild_from_type_v2'): _rebuild_from_type,
  ('dnnlib.util', 'EasyDict'): _Dict,
  ('numpy', 'dtype'): _Dtype,
  ('numpy.core.multiarray', 'scalar'): _scalar,
  ('numpy._core.multiarray', 'scalar'): _scalar,
  ('_codecs', 'encode'): _encode,
  ('builtins', 'bytearray'): _bytearray,
  ('builtins', 'complex'): _complex,
  ('builtins', 'object'): _Class('object'),
  ('copyreg', '_reconstructor'): _reconstructed,
}


class _Reader:
  """What the names and the persistent ids of a stream stand for."""

  def __init__(
    self,
    budget: pickles.Budget,
    storages: Callable[[str], bytes] | None = None,
  ):
    self._budget, self._read = budget, storages
    self.made: dict[str, _Storage] = {}

  def _set(self, kind: Any, items: Any = ()) -> Any:
    """Make a set of items that can be hashed at once."""
    if not isinstance(items, list | tuple | set | frozenset):
      raise ValueError('a set of something that is no list')
    pickles.check_keys(items, self._budget)
    return kind(items)

  def _ordered(self, items: Any = ()) -> Any:
    """Make a dictionary of pairs."""
    if isinstance(items, Mapping):
      return OrderedDict(items)
    if not all(isinstance(p, list | tuple) and len(p) == 2 for p in items):
      raise ValueError('a dictionary of something that is no pairs')
    pickles.check_keys([key for key, _ in items], self._budget)
    return OrderedDict(items)

  def find(self, module: str, name: str) -> Any:
    """Return what a name stands for.

    Raises:
      ValueError: no network file needs it.
    """
    place = _SPELLINGS.get(module, module), name
    if place == ('torch.storage', '_load_from_bytes'):
      return lambda data: _load(io.BytesIO(data), self._budget)
    if place in (('builtins', 'set'), ('builtins', 'frozenset')):
      kind = set if name == 'set' else frozenset
      return functools.partial(self._set, kind)
    if place == ('collections', 'OrderedDict'):
      return self._ordered
    if place in _FUNCTIONS:
      return _FUNCTIONS[place]
    if module.split('.')[0] not in _PACKAGES:
      raise ValueError(
        f'it names {module[:80]}.{name[:80]}, which no network file needs; '
        'nothing in it was run'
      )
    return _Class(name)

  def persistent(self, pid: Any) -> _Storage:
    """Return the storage that a persistent id is of."""
    if not isinstance(pid, tuple) or len(pid) < 5 or pid[0] != 'storage':
      raise ValueError('a reference to something that is no storage of numbers')
    _, storage, key, _, count = pid[:5]
    name = getattr(storage, 'name', '').removesuffix('Storage')
    if name not in _DTYPES:
      raise ValueError(f'a storage of the unknown kind {name[:80]!r}')
    if not isinstance(key, str) or type(count) is not int or count < 0:
      raise ValueError('a storage without key or size')
    if key not in self.made:
      data = None if self._read is None else self._read(key)
      self.made[key] = _Storage(_DTYPES[name], count, data)
    return self.made[key]

  def load(self, file: Any) -> Any:
    """Read one pickle."""
    return pickles.load(file, self.find, self.persistent, self._budget)


def _read_archive(file: Any, budget: pickles.Budget) -> Any:
  """Read what torch.save wrote as a zip archive."""
  with archives.opened(file) as archive:
    names = [n for n in archive.namelist() if n.endswith('/data.pkl')]
    if not names:
      raise ValueError('an archive without data.pkl')
    folder = names[0].removesuffix('data.pkl')

    def read(name):
      budget.copy(archive.getinfo(name).file_size)
      return archive.read(name)

    reader = _Reader(budget, lambda key: read(f'{folder}data/{key}'))
    return reader.load(io.BytesIO(read(names[0])))


def _read_stream(file: Any, budget: pickles.Budget) -> Any:
  """Read what older versions of torch.save wrote, after the magic number."""
  for _ in range(2):  # The protocol's version, and sizes of types.
    _Reader(budget).load(file)
  reader = _Reader(budget)
  content = reader.load(file)
  keys = _Reader(budget).load(file)
  for key in keys if isinstance(keys, list) else ():
    (count,) = struct.unpack('<q', file.read(8))
    storage = reader.made.get(key) if isinstance(key, str) else None
    if storage is None:
      raise ValueError('numbers of an unknown storage')
    size = count * np.dtype(storage.dtype).itemsize
    storage.data = file.read(size) if size >= 0 else b''
    budget.copy(len(storage.data))
    if count != storage.count or len(storage.data) != size:
      raise ValueError('numbers are missing at its end')
  return content


def _load(file: Any, budget: pickles.Budget) -> Any:
  """Read a file of any of the formats."""
  start = file.tell()
  is_archive = file.read(len(_ZIP)) == _ZIP
  file.seek(start)
  if is_archive:
    return _read_archive(file, budget)
  content = _Reader(budget).load(file)
  is_stream = isinstance(content, int) and content == _MAGIC
  return _read_stream(file, budget) if is_stream else content


def _plain(value: Any, budget: pickles.Budget) -> Any:
  """Turn tensors into arrays and containers into plain ones."""
  budget.step()
  if isinstance(value, _Tensor):
    return value.numpy(budget)
  if isinstance(value, Mapping):
    return {key: _plain(item, budget) for key, item in value.items()}
  if isinstance(value, list | tuple):
    return [_plain(item, budget) for item in value]
  return value


_OWN = ('_parameters', '_buffers', '_modules')


def _is_module(value: Any) -> bool:
  state = getattr(value, 'state', None)
  return isinstance(state, Mapping) and all(
    isinstance(state.get(name), Mapping) for name in _OWN
  )


def _network(value: Any, budget: pickles.Budget) -> Network:
  """Turn a module and all below it into plain values."""
  state = value.state
  passing = state.get('_non_persistent_buffers_set')
  passing = passing if isinstance(passing, set) else ()
  tensors = {**state['_parameters'], **state['_buffers']}
  budget.step(len(state) + len(tensors) + len(state['_modules']))
  return Network(
    name=value.name,
    values={k: _plain(v, budget) for k, v in state.items() if k not in _OWN},
    parameters={
      str(name): tensor.numpy(budget)
      for name, tensor in tensors.items()
      if isinstance(tensor, _Tensor) and name not in passing
    },
    modules={
      str(name): _network(module, budget)
      for name, module in state['_modules'].items()
      if _is_module(module)
    },
  )


@contextlib.contextmanager
def _opened(path: pathlib.Path) -> Iterator[Any]:
  """Open a file that reads at most what it holds, however much is asked."""
  with open(path, 'rb') as file:
    start = file.read(len(_ZIP))
    file.seek(0)
    if start == _ZIP:
      yield file  # an archive looks before it reads
    elif not start:
      raise EOFError('it is empty')
    else:
      with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        yield mapped


def _content(path: pathlib.Path) -> dict[str, Any]:
  """Read a file; raises anything."""
  budget = pickles.Budget(path.stat().st_size)
  with _opened(path) as file:
    content = _load(file, budget)
  if _is_module(content):
    content = {'G_ema': content}
  if not isinstance(content, Mapping):
    raise ValueError('it holds no networks')
  return {
    str(key): _network(value, budget)
    if _is_module(value)
    else _plain(value, budget)
    for key, value in content.items()
  }


def read(path: str | os.PathLike[str]) -> dict[str, Any]:
  """Read a file of pickled networks.

  Args:
    path: of a training snapshot, or of what torch.save wrote.

  Returns:
    What the file holds by name: a `Network` for every module, nested
    dictionaries and lists with arrays for tensors. A file that is one module
    is returned under 'G_ema'.

  Raises:
    ValueError: the file is broken, or names what no network file needs; one
      line.
    FileNotFoundError: there is no such file.
  """
  path = pathlib.Path(path)
  if not path.is_file():
    raise FileNotFoundError(f'no file {path}')
  pointers.refuse(path)
  try:
    return _content(path)
  # A broken pickle can raise anything that its opcodes can.
  except Exception as error:
    reason = ' '.join(str(error).split()) or type(error).__name__
    if isinstance(error, RecursionError):
      reason = 'it is nested too deeply'
    if isinstance(error, EOFError | struct.error | pickle.UnpicklingError):
      reason = f'it is cut off or damaged ({reason}); copy it again'
    raise ValueError(f'cannot read {path}: {reason[:300]}') from error
