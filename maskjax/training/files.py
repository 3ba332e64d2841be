"""Atomic files and folders: a reader sees the old one or the new, never half.

Everything is written beside its final place under a temporary name and then
renamed, so that an interrupted run leaves no broken file behind. What a killed
process has left is named after it, and is taken away by the next one.
"""

from collections.abc import Iterator
import contextlib
import errno
import hashlib
import json
import os
import pathlib
import re
import shutil
from typing import Any

PathLike = str | os.PathLike[str]

# What is not in its place: new (half written), old (about to be replaced) or
# gone (about to be deleted); of which process; and its final name.
_ASIDE = re.compile(r'\.(new|old|gone)-(\d+)-(.+)')
# What a disk answers, and libraries repeat in words of their own.
_REFUSALS = (
  errno.ENOSPC,
  errno.EDQUOT,
  errno.EFBIG,
  errno.EROFS,
  errno.EACCES,
  errno.EPERM,
  errno.EIO,
)
_REFUSED = re.compile(
  '|'.join(re.escape(os.strerror(number)) for number in _REFUSALS)
  + rf'|os error (?:{"|".join(map(str, _REFUSALS))})\b',
  re.IGNORECASE,
)


@contextlib.contextmanager
def explained(path: PathLike) -> Iterator[None]:
  """Tell in one line that a disk refuses, whichever library finds out.

  Args:
    path: what is written, for the line.

  Raises:
    OSError: the disk is full, read-only, not ours, or broken.
  """
  try:
    yield
  except Exception as error:
    known = isinstance(error, OSError) and error.errno in _REFUSALS
    found = _REFUSED.search(str(error))
    if not known and not found:
      raise
    words = error.strerror if isinstance(error, OSError) else None
    if not words and found:
      words = found[0]
    raise OSError(f'cannot write {os.fspath(path)}: {words}') from error


def _aside(path: pathlib.Path, word: str) -> pathlib.Path:
  return path.with_name(f'.{word}-{os.getpid()}-{path.name}')


def _is_running(process: int) -> bool:
  try:
    os.kill(process, 0)
  except ProcessLookupError:
    return False
  except OSError:  # It is somebody else's.
    return True
  return True


def _delete(path: pathlib.Path) -> None:
  if path.is_dir() and not path.is_symlink():
    shutil.rmtree(path, ignore_errors=True)
  else:
    path.unlink(missing_ok=True)


def _settle(path: pathlib.Path, match: re.Match[str]) -> None:
  """Put back, or take away, what a killed process has left aside."""
  place = path.with_name(match[3])
  if match[1] == 'old' and not place.exists():
    os.replace(path, place)
  else:
    _delete(path)


def sweep(folder: PathLike, name: str | None = None) -> None:
  """Take away what killed processes have left half written in a folder.

  Args:
    folder: looked through with all folders in it, or, with a name, alone.
    name: final name of what to look for; None for all.
  """
  for place, folders, names in os.walk(folder):
    for found in [*folders, *names]:
      match = _ASIDE.fullmatch(found)
      if match is None or name not in (None, match[3]):
        continue
      if int(match[2]) == os.getpid() or not _is_running(int(match[2])):
        if found in folders:
          folders.remove(found)
        with contextlib.suppress(OSError):
          _settle(pathlib.Path(place) / found, match)
    if name is not None:
      return


def remove(path: PathLike) -> None:
  """Delete a file or a folder, which is gone at once or not at all."""
  path = pathlib.Path(path)
  if path.exists():
    gone = _aside(path, 'gone')
    _delete(gone)
    os.replace(path, gone)
    _delete(gone)


@contextlib.contextmanager
def _beside(path: pathlib.Path) -> Iterator[pathlib.Path]:
  """Yield where to write what will stand at a path; the place is made ready."""
  with explained(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path.parent, path.name)
    yield _aside(path, 'new')


@contextlib.contextmanager
def replacing(path: PathLike) -> Iterator[pathlib.Path]:
  """Yield a temporary path that becomes `path` when the block succeeds.

  The temporary name keeps the suffix, since many writers choose the format by
  it. A block that raises leaves an existing `path` untouched.

  Args:
    path: final path; missing parent folders are made.

  Yields:
    The path to write to, in the same folder.

  Raises:
    OSError: the place cannot be written to; one line.
  """
  path = pathlib.Path(path)
  with _beside(path) as temporary:
    try:
      yield temporary
      os.replace(temporary, path)
    finally:
      temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def replacing_folder(path: PathLike) -> Iterator[pathlib.Path]:
  """Yield an empty folder that becomes `path` when the block succeeds.

  A block that raises leaves an existing folder untouched; one that is killed
  between the two renames leaves it aside, and `sweep` puts it back.

  Args:
    path: final folder; missing parent folders are made.

  Yields:
    The folder to write to, beside the final one.

  Raises:
    OSError: the place cannot be written to; one line.
  """
  path = pathlib.Path(path)
  old = _aside(path, 'old')
  with _beside(path) as new:
    try:
      new.mkdir()
      yield new
      if path.exists():
        os.replace(path, old)
      os.replace(new, path)
    finally:
      if old.exists() and not path.exists():
        os.replace(old, path)
      _delete(new)
      _delete(old)


def sha256(path: PathLike) -> str:
  """Return the SHA-256 of a file, in hexadecimal digits."""
  with open(path, 'rb') as file:
    return hashlib.file_digest(file, 'sha256').hexdigest()


def write_bytes(path: PathLike, content: bytes) -> None:
  """Write a binary file atomically."""
  with replacing(path) as temporary, open(temporary, 'wb') as file:
    file.write(content)
    file.flush()
    os.fsync(file.fileno())


def write_text(path: PathLike, content: str) -> None:
  """Write a UTF-8 text file atomically."""
  write_bytes(path, content.encode('utf-8'))


def write_json(path: PathLike, content: Any) -> None:
  """Write JSON atomically, indented, keys in the order given.

  Args:
    path: final path; missing parent folders are made.
    content: what `json` can write; NaN and infinity are refused.

  Raises:
    ValueError: a number is not finite.
  """
  write_text(path, json.dumps(content, indent=2, allow_nan=False) + '\n')
