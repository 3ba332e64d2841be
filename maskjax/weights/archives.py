"""Zip archives and .npz files, opened after a look at what they claim to hold.

A zip file of a kilobyte can claim a terabyte of zeros, and the header of an
array any shape; both are compared with the file before anything is made.
"""

from collections.abc import Iterator
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


@contextlib.contextmanager
def opened(file: Any) -> Iterator[zipfile.ZipFile]:
  """Open an archive whose content is in proportion to its size.

  Args:
    file: binary file that can seek.

  Yields:
    The archive.

  Raises:
    ValueError: it would unpack to far more than weights do.
    zipfile.BadZipFile: it is damaged.
  """
  size = file.seek(0, os.SEEK_END)
  size = file.tell() if size is None else size
  file.seek(0)
  with zipfile.ZipFile(file) as archive:
    total = sum(entry.file_size for entry in archive.infolist())
    if total > _RATIO * size + _SLACK:
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
  pointers.refuse(path)
  arrays = {}
  try:
    with open(path, 'rb') as file, opened(file) as archive:
      for entry in archive.infolist():
        with archive.open(entry) as content:
          name = entry.filename.removesuffix('.npy')
          arrays[name] = _array(content, entry.file_size)
  # Damage shows as an error of any type.
  except Exception as error:
    reason = ' '.join(str(error).split())[:200] or type(error).__name__
    if not isinstance(error, ValueError):
      reason += '; it is damaged, copy it again'
    raise ValueError(f'cannot read {path}: {reason}') from error
  return arrays
