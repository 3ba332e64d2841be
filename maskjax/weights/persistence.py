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
import dataclasses
import io
import os
import pathlib
import pickle
import struct
from typing import Any
import zipfile

import ml_dtypes
import numpy as np

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
_PLAIN: dict[tuple[str, str], Any] = {
  ('collections', 'OrderedDict'): OrderedDict,
  ('builtins', 'set'): set,
  ('builtins', 'frozenset'): frozenset,
  ('builtins', 'complex'): complex,
  ('builtins', 'bytearray'): bytearray,
}


class _Dict(dict):
  """Stands for dictionaries with attributes."""

  def __setstate__(self, state: Any) -> None:
    if isinstance(state, Mapping):
      self.update(state)


class _Inert:
  """Stands for an object of any other class; keeps its state."""

  name = ''
  state: Any = None

  def __new__(cls, *args, **kwargs):
    del args, kwargs
    return super().__new__(cls)

  def __init__(self, *args, **kwargs):
    del args, kwargs

  def __setstate__(self, state: Any) -> None:
    self.state = state


class _Dtype:
  """Stands for a NumPy type."""

  def __init__(self, code: Any, *rest: Any):
    del rest
    self.code = str(code)

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

  def numpy(self) -> np.ndarray:
    """Return the values.

    Raises:
      ValueError: the storage is not there, or too small.
    """
    dtype = np.dtype(self.storage.dtype)
    if self.storage.data is None:
      raise ValueError('a tensor without numbers')
    flat = np.frombuffer(self.storage.data, dtype, self.storage.count)
    reach = sum((n - 1) * s for n, s in zip(self.shape, self.strides))
    values = (*self.shape, *self.strides, self.offset)
    if len(self.shape) != len(self.strides) or min(values, default=0) < 0:
      raise ValueError('a tensor of impossible shape')
    if 0 not in self.shape and self.offset + reach >= flat.size:
      raise ValueError('a tensor larger than its storage')
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


def _rebuild(storage, offset, shape, strides, *rest):
  """Make a tensor from a storage."""
  del rest
  if not isinstance(storage, _Storage):
    raise ValueError('a tensor of something that is no storage')
  return _Tensor(storage, int(offset), tuple(shape), tuple(strides))


def _scalar(dtype, data=b''):
  """Make a number of NumPy."""
  try:
    return np.frombuffer(data, np.dtype(dtype.code).newbyteorder('<'))[0].item()
  except (AttributeError, IndexError, TypeError, ValueError):
    return None


def _module(meta, *rest):
  """Keep a persistent object; its source text is not kept."""
  del rest
  made = _Inert()
  made.name = str(meta.get('class_name', ''))
  made.state = meta.get('state')
  return made


_FUNCTIONS: dict[tuple[str, str], Any] = {
  ('torch_utils.persistence', '_reconstruct_persistent_obj'): _module,
  ('torch._utils', '_rebuild_tensor_v2'): _rebuild,
  ('torch._utils', '_rebuild_parameter'): lambda data, *rest: data,
  ('dnnlib.util', 'EasyDict'): _Dict,
  ('numpy', 'dtype'): _Dtype,
  ('numpy.core.multiarray', 'scalar'): _scalar,
  ('numpy._core.multiarray', 'scalar'): _scalar,
}


class _Reader(pickle.Unpickler):
  """An unpickler that knows no names but those of this module."""

  def __init__(self, file: Any, storages: Callable[[str], bytes] | None = None):
    super().__init__(file)
    self._read = storages
    self.made: dict[str, _Storage] = {}

  def find_class(self, module: str, name: str) -> Any:
    known = _PLAIN | _FUNCTIONS
    known['torch.storage', '_load_from_bytes'] = _load_bytes
    if (module, name) in known:
      return known[module, name]
    if module.split('.')[0] not in _PACKAGES:
      raise ValueError(
        f'it names {module}.{name}, which no network file needs; nothing in '
        'it was run'
      )
    return type(name, (_Inert,), {'name': name})

  def persistent_load(self, pid: Any) -> _Storage:
    kind, storage, key, _, count = pid[:5]
    name = getattr(storage, 'name', '').removesuffix('Storage')
    if kind != 'storage' or name not in _DTYPES:
      raise ValueError(f'a storage of the unknown kind {name or kind!r}')
    if key not in self.made:
      data = None if self._read is None else self._read(key)
      self.made[key] = _Storage(_DTYPES[name], int(count), data)
    return self.made[key]


def _read_archive(file: Any) -> Any:
  """Read what torch.save wrote as a zip archive."""
  with zipfile.ZipFile(file) as archive:
    names = [n for n in archive.namelist() if n.endswith('/data.pkl')]
    if not names:
      raise ValueError('an archive without data.pkl')
    folder = names[0].removesuffix('data.pkl')
    read = lambda key: archive.read(f'{folder}data/{key}')
    return _Reader(io.BytesIO(archive.read(names[0])), read).load()


def _read_stream(file: Any) -> Any:
  """Read what older versions of torch.save wrote, after the magic number."""
  for _ in range(2):  # The protocol's version, and sizes of types.
    _Reader(file).load()
  reader = _Reader(file)
  content = reader.load()
  for key in _Reader(file).load():
    (count,) = struct.unpack('<q', file.read(8))
    storage = reader.made.get(key)
    if storage is None:
      raise ValueError('numbers of an unknown storage')
    size = count * np.dtype(storage.dtype).itemsize
    storage.data = file.read(size) if size >= 0 else b''
    if count != storage.count or len(storage.data) != size:
      raise ValueError('numbers are missing at its end')
  return content


def _load(file: Any) -> Any:
  """Read a file of any of the formats."""
  start = file.tell()
  if file.read(4) == b'PK\x03\x04':
    file.seek(start)
    return _read_archive(file)
  file.seek(start)
  content = _Reader(file).load()
  return _read_stream(file) if content == _MAGIC else content


def _load_bytes(data: bytes) -> Any:
  """Read a storage that was saved on its own."""
  return _load(io.BytesIO(data))


def _plain(value: Any) -> Any:
  """Turn tensors into arrays and containers into plain ones."""
  if isinstance(value, _Tensor):
    return value.numpy()
  if isinstance(value, Mapping):
    return {key: _plain(item) for key, item in value.items()}
  if isinstance(value, list | tuple):
    return [_plain(item) for item in value]
  return value


_OWN = ('_parameters', '_buffers', '_modules')


def _is_module(value: Any) -> bool:
  state = getattr(value, 'state', None)
  return isinstance(state, Mapping) and all(name in state for name in _OWN)


def _network(value: Any) -> Network:
  """Turn a module and all below it into plain values."""
  state = value.state
  passing = state.get('_non_persistent_buffers_set') or ()
  tensors = {**state['_parameters'], **state['_buffers']}
  return Network(
    name=value.name,
    values={k: _plain(v) for k, v in state.items() if k not in _OWN},
    parameters={
      str(name): tensor.numpy()
      for name, tensor in tensors.items()
      if isinstance(tensor, _Tensor) and name not in passing
    },
    modules={
      str(name): _network(module)
      for name, module in state['_modules'].items()
      if _is_module(module)
    },
  )


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
  try:
    with open(path, 'rb') as file:
      content = _load(file)
    if _is_module(content):
      content = {'G_ema': content}
    if not isinstance(content, Mapping):
      raise ValueError('it holds no networks')
    return {
      str(key): _network(value) if _is_module(value) else _plain(value)
      for key, value in content.items()
    }
  # A broken pickle can raise anything that its opcodes can.
  except Exception as error:
    reason = ' '.join(str(error).split()) or type(error).__name__
    if isinstance(error, EOFError | struct.error | pickle.UnpicklingError):
      reason = f'it is cut off or damaged ({reason}); copy it again'
    raise ValueError(f'cannot read {path}: {reason[:300]}') from error
