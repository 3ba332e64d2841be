"""Zip archives and .npz files, opened after a look at what they claim to hold.

A zip file of a kilobyte can claim a terabyte of zeros, and the header of an
array any shape; both are compared with the file before anything is made.
"""

from collections.abc import Collection, Iterator, Mapping
import contextlib
import os
import pathlib
from typing import Any
import zipfile

import numpy as np

from maskjax.weights import pointers

# Bytes unpacked of each byte of a file, and of a small file. Weights hardly
# shrink; an archive of rendered pictures by four or five.
_RATIO = 16
_SLACK = 64 * 2**20
# Tensors of the largest networks are a few thousand.
_MOST_ENTRIES = 20_000
# Pictures of few colours shrink more.
PICTURES = 128


@contextlib.contextmanager
def opened(file: Any, *, ratio: int = _RATIO) -> Iterator[zipfile.ZipFile]:
  """Open an archive whose content is in proportion to its size.

  Args:
    file: binary file that can seek.
    ratio: bytes unpacked of each byte of it, beside what any file may take.

  Yields:
    The archive.

  Raises:
    ValueError: it would unpack to far more than weights do, or holds more
      files than networks have tensors.
    zipfile.BadZipFile: it is damaged.
  """
  size = file.seek(0, os.SEEK_END)
  size = file.tell() if size is None else size
  file.seek(0)
  with zipfile.ZipFile(file) as archive:
    if len(archive.infolist()) > _MOST_ENTRIES:
      raise ValueError(f'an archive of {len(archive.infolist()):,} files')
    total = sum(entry.file_size for entry in archive.infolist())
    if total > ratio * size + _SLACK:
      raise ValueError(
        f'an archive of {size:,} bytes that would unpack to {total:,}; it was '
        'not opened'
      )
    yield archive


def _array(file: Any, size: int) -> np.ndarray:
  """Read one array of an archive; `size` is that of its entry."""
  version = np.lib.format.read_magic(file)
  reads = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
  }
  if version not in reads:
    raise ValueError(f'an array of the unknown version {version}')
  shape, columns, dtype = reads[version](file)
  if dtype.hasobject:
    raise ValueError('it holds pickled objects, which are not read')
  content = file.read()
  if len(content) != int(np.prod(shape, dtype=object)) * dtype.itemsize:
    raise ValueError(
      f'an array of shape {str(shape)[:80]} in an entry of {size:,} bytes; it '
      'is damaged, copy it again'
    )
  flat = np.frombuffer(bytearray(content), dtype)
  return flat.reshape(shape, order='F' if columns else 'C')


def _arrays(
  path: pathlib.Path, names: Collection[str] | None, ratio: int
) -> dict[str, np.ndarray]:
  """Read arrays of an .npz file by name, all without names; raises anything."""
  pointers.refuse(path)
  arrays = {}
  with open(path, 'rb') as file, opened(file, ratio=ratio) as archive:
    for entry in archive.infolist():
      name = entry.filename.removesuffix('.npy')
      if names is None or name in names:
        with archive.open(entry) as content:
          arrays[name] = _array(content, entry.file_size)
  return arrays


def _reason(error: Exception) -> str:
  """Return in one line what is wrong with a file."""
  reason = ' '.join(str(error).split())[:200] or type(error).__name__
  if not isinstance(error, ValueError):
    reason += '; it is damaged, copy it again'
  return reason


def _check(
  name: str, array: np.ndarray, wanted: Any, sizes: dict[str, int]
) -> None:
  """Raise ValueError unless an array has the type and shape of its field."""
  kinds = wanted.dtypes
  if isinstance(kinds, tuple) and array.dtype.name not in kinds:
    raise ValueError(f'{name} is {array.dtype.name}, not {wanted.__name__}')
  axes = wanted.dim_str.split()
  fits = len(axes) == array.ndim and all(
    (int(axis) if axis.isdigit() else sizes.setdefault(axis, size)) == size
    for axis, size in zip(axes, array.shape)
  )
  if not fits:
    known = [f'{k} = {v}' for k, v in sizes.items() if k in axes]
    raise ValueError(
      f'{name} has the shape {str(array.shape)[:80]}, not '
      f'({", ".join(axes)}){"" if not known else " of " + ", ".join(known)}'
    )


def read_arrays(
  path: str | os.PathLike[str],
  fields: Mapping[str, Any],
  *,
  optional: Collection[str] = (),
  ratio: int = _RATIO,
) -> dict[str, np.ndarray]:
  """Read those arrays of an .npz file that are known.

  Args:
    path: of the file.
    fields: jaxtyping's annotation of each array by name, such as those of a
      NamedTuple; an axis has one size in all of them. Others are passed over.
    optional: those of them that may be missing.
    ratio: see `opened`.

  Returns:
    The arrays by name.

  Raises:
    ValueError: what is wrong with the file, in a line without its name.
  """
  try:
    arrays = _arrays(pathlib.Path(path), fields, ratio)
    wanted_names = [name for name in fields if name not in optional]
    if missing := [name for name in wanted_names if name not in arrays]:
      raise ValueError(f'it holds no {", ".join(missing)}')
    sizes: dict[str, int] = {}
    for name in arrays:
      _check(name, arrays[name], fields[name], sizes)
  # Damage shows as an error of any type.
  except Exception as error:
    raise ValueError(_reason(error)) from error
  return {name: arrays[name] for name in fields if name in arrays}


def read_npz(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
  """Read all arrays of an .npz file.

  Args:
    path: of the file.

  Returns:
    Arrays by name.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: it is damaged, holds anything but arrays, or claims more than
      it can hold; one line.
  """
  path = pathlib.Path(path)
  if not path.is_file():
    raise FileNotFoundError(f'no file {path}')
  try:
    return _arrays(path, None, _RATIO)
  # Damage shows as an error of any type.
  except Exception as error:
    raise ValueError(f'cannot read {path}: {_reason(error)}') from error
