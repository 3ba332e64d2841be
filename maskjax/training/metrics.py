"""Metrics as JSON lines: one object per logged step, appended to a file.

Every line is `{"step": 12, "loss": 0.5, ...}`. A resumed run first drops the
lines after its restored step, so the file reads like that of an unbroken run.
"""

from collections.abc import Mapping
import json
import math
import os
import pathlib
from typing import Any

import numpy as np

from maskjax.training import files


def _plain(value: Any) -> Any:
  """Turn a scalar, an array or text into what JSON can hold."""
  if isinstance(value, str | bool | int | None):
    return value
  if isinstance(value, Mapping):
    return {str(key): _plain(item) for key, item in value.items()}
  if isinstance(value, list | tuple):
    return [_plain(item) for item in value]
  value = np.asarray(value).tolist()
  if isinstance(value, list):
    return [_plain(item) for item in value]
  # JSON has no word for NaN and infinity; readers take null for "no number".
  if isinstance(value, float) and not math.isfinite(value):
    return None
  return value


def append(path: files.PathLike, step: int, values: Mapping[str, Any]) -> None:
  """Append one line; it is on its way to the disk when this returns.

  Args:
    path: the JSON lines file; made, with its folders, when missing.
    step: number of finished updates.
    values: scalars, arrays, lists or text by name.
  """
  path = pathlib.Path(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  record = {'step': int(step)} | {k: _plain(v) for k, v in values.items()}
  # One write of one whole line: a killed run leaves at most one torn line.
  with files.explained(path), open(path, 'a', encoding='utf-8') as file:
    file.write(json.dumps(record) + '\n')


def read(path: files.PathLike) -> list[dict[str, Any]]:
  """Read all lines, oldest first; a torn last line is left out.

  Args:
    path: the JSON lines file.

  Returns:
    One dict per line, each with an int 'step'.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: a line other than the last is not JSON.
  """
  lines = pathlib.Path(path).read_text(encoding='utf-8').splitlines()
  records = []
  for number, line in enumerate(lines, start=1):
    try:
      records.append(json.loads(line))
    except json.JSONDecodeError as error:
      if number == len(lines):
        break
      raise ValueError(
        f'{os.fspath(path)}:{number} is not a line of JSON: {error.msg}; '
        'remove the line to read the rest'
      ) from None
  return records


def truncate(path: files.PathLike, step: int) -> None:
  """Drop all lines after a step; step 0 empties the file.

  Args:
    path: the JSON lines file; nothing happens when it is missing.
    step: the last step to keep.
  """
  if not os.path.exists(path):
    return
  kept = [record for record in read(path) if record['step'] <= step]
  lines = [json.dumps(record) + '\n' for record in kept]
  files.write_text(path, ''.join(lines))
