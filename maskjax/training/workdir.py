"""Work folders: one run, one folder, one `config.json` that says what it is."""

from collections.abc import Mapping, Sequence
import dataclasses
import json
import pathlib
from typing import Any

from maskjax.training import files

CONFIG = 'config.json'


def _plain(config: Any) -> dict[str, Any]:
  """Turn a ConfigDict, dataclass or mapping into what JSON gives back."""
  if hasattr(config, 'to_dict'):
    config = config.to_dict()
  elif dataclasses.is_dataclass(config) and not isinstance(config, type):
    config = dataclasses.asdict(config)
  # By name: a file stays the same when fields are declared in another order.
  return json.loads(json.dumps(config, allow_nan=False, sort_keys=True))


def _flat(config: Mapping[str, Any], prefix: str = '') -> dict[str, Any]:
  """Name every value by its path, e.g. 'optimizer.rate'."""
  flat: dict[str, Any] = {}
  for key, value in config.items():
    if isinstance(value, Mapping) and value:
      flat |= _flat(value, f'{prefix}{key}.')
    else:
      flat[f'{prefix}{key}'] = value
  return flat


def _covers(fields: Sequence[str], name: str) -> bool:
  return any(name == f or name.startswith(f'{f}.') for f in fields)


def differences(old: Any, new: Any) -> dict[str, tuple[Any, Any]]:
  """Compare two configs field by field.

  Args:
    old: config before, a ConfigDict, dataclass or mapping.
    new: config after, the same.

  Returns:
    Old and new value by dotted field name; None stands for a missing field.
  """
  before, after = _flat(_plain(old)), _flat(_plain(new))
  names = [*before, *(name for name in after if name not in before)]
  pairs = {name: (before.get(name), after.get(name)) for name in names}
  return {
    name: pair
    for name, pair in pairs.items()
    if pair[0] != pair[1] or (name in before) != (name in after)
  }


def read_config(workdir: files.PathLike) -> dict[str, Any]:
  """Read the config of a work folder.

  Args:
    workdir: folder of the run.

  Returns:
    The config as plain JSON values.

  Raises:
    FileNotFoundError: the folder holds no config.
    ValueError: the file is not JSON.
  """
  path = pathlib.Path(workdir) / CONFIG
  if not path.is_file():
    raise FileNotFoundError(f'no {CONFIG} in {workdir}: it holds no run')
  try:
    return json.loads(path.read_text(encoding='utf-8'))
  except json.JSONDecodeError as error:
    raise ValueError(f'{path} is not JSON: {error}') from None


def _holds_run(folder: pathlib.Path) -> bool:
  """Whether there is more of a run than its config."""
  # One that failed at once leaves nothing that the mended command could harm.
  if not (folder / CONFIG).is_file():
    return False
  return any(path.name != CONFIG for path in folder.iterdir())


def prepare(
  workdir: files.PathLike,
  config: Any,
  *,
  resume: bool = False,
  may_change: Sequence[str] = ('steps',),
  ignored: Sequence[str] = ('resume',),
) -> pathlib.Path:
  """Make a work folder, or check that one belongs to this config.

  Args:
    workdir: folder of the run; made when missing.
    config: ConfigDict, dataclass or mapping of JSON values.
    resume: whether the run in the folder is to be continued.
    may_change: dotted names of fields (or groups of them) that a resumed run
      may have different; the config file then gets the new values.
    ignored: fields that do not count and are not written.

  Returns:
    The folder.

  Raises:
    FileNotFoundError: there is no run to resume.
    ValueError: the folder belongs to another config, is a file, or cannot be
      written to.
  """
  folder = pathlib.Path(workdir)
  if folder.exists() and not folder.is_dir():
    raise ValueError(f'workdir {workdir} is a file; give a folder')
  new = {k: v for k, v in _plain(config).items() if k not in ignored}
  if resume or _holds_run(folder):
    changed = differences(read_config(folder), new)
    allowed = may_change if resume else ()
    refused = {k: v for k, v in changed.items() if not _covers(allowed, k)}
    if refused:
      words = [f'{k} {old!r} -> {now!r}' for k, (old, now) in refused.items()]
      more = f' and {len(words) - 5} more' if len(words) > 5 else ''
      advice = 'use another workdir'
      if not resume and all(_covers(may_change, k) for k in refused):
        advice += ', or resume=true to continue that run'
      raise ValueError(
        f'workdir {workdir} belongs to another config '
        f'({", ".join(words[:5])}{more}); {advice}'
      )
  try:
    files.write_json(folder / CONFIG, new)
  except OSError as error:
    raise ValueError(
      f'workdir {workdir} cannot be written to ({error.strerror}); give '
      'another folder'
    ) from error
  return folder
