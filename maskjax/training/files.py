"""Atomic files: a reader sees the old file or the new one, never half of one.

Everything is written beside its final place under a temporary name and then
renamed, so that an interrupted run leaves no broken file behind.
"""

from collections.abc import Iterator
import contextlib
import json
import os
import pathlib
from typing import Any

PathLike = str | os.PathLike[str]


@contextlib.contextmanager
def replacing(path: PathLike) -> Iterator[pathlib.Path]:
  """Yield a temporary path that becomes `path` when the block succeeds.

  The temporary name keeps the suffix, since many writers choose the format by
  it. A block that raises leaves an existing `path` untouched.

  Args:
    path: final path; missing parent folders are made.

  Yields:
    The path to write to, in the same folder.
  """
  path = pathlib.Path(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  temporary = path.with_name(f'.{path.stem}-{os.getpid()}{path.suffix}')
  try:
    yield temporary
    os.replace(temporary, path)
  finally:
    temporary.unlink(missing_ok=True)


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
