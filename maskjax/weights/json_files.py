"""JSON objects in files of others: one line about whatever is wrong there."""

import json
import os
import pathlib
from typing import Any

from maskjax.weights import pointers

# The largest tokenizers have some ten million.
_MOST_BYTES = 64 * 2**20
_MOST_LEVELS = 30


def _check_depth(content: dict[str, Any], name: str) -> None:
  """Raise ValueError where values lie in more values than in any model."""
  level: list[Any] = [content]
  for _ in range(_MOST_LEVELS):
    level = [
      item
      for value in level
      for item in (value.values() if isinstance(value, dict) else value)
      if isinstance(item, dict | list)
    ]
  if level:
    raise ValueError(f'{name}: not valid JSON (nested too deeply)')


def parse(text: str | bytes, name: str) -> dict[str, Any]:
  """Read a JSON object.

  Args:
    text: what should be one.
    name: what to call it in errors.

  Returns:
    The object.

  Raises:
    ValueError: it is none; one line.
  """
  try:
    content = json.loads(text)
  except RecursionError:
    raise ValueError(f'{name}: not valid JSON (nested too deeply)') from None
  except ValueError as error:  # UnicodeDecodeError, too
    raise ValueError(f'{name}: not valid JSON ({error})') from error
  if not isinstance(content, dict):
    raise ValueError(f'{name}: holds no JSON object')
  _check_depth(content, name)
  return content


def read(path: str | os.PathLike) -> dict[str, Any]:
  """Read a file that holds a JSON object.

  Args:
    path: of the file, UTF-8.

  Returns:
    The object.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: it holds no object, or is far larger than what describes a
      model; one line.
  """
  path = pathlib.Path(path)
  if not path.is_file():
    raise FileNotFoundError(f'{path}: no such file')
  pointers.refuse(path)
  size = path.stat().st_size
  if size > _MOST_BYTES:
    raise ValueError(
      f'{path}: {size:,} bytes, where a description of a model has at most '
      f'{_MOST_BYTES:,}'
    )
  return parse(path.read_bytes(), str(path))
