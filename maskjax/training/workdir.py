"""Work folders: one run, one folder, one `config.json` that says what it is.

A run holds the lock of its folder until it ends. Whatever killed an earlier
one, a resumed run needs `config.json` and `checkpoints/`, and no more.
"""

from collections.abc import Iterator, Mapping, Sequence
import contextlib
import dataclasses
import json
import os
import pathlib
from typing import Any

from maskjax.training import checkpoint, files

try:
  import fcntl
except ImportError:  # Windows has no such locks.
  fcntl = None  # type: ignore[assignment]

CONFIG = 'config.json'
CHECKPOINTS = 'checkpoints'


def begin(folder: pathlib.Path) -> pathlib.Path:
  """Return where a run keeps what it began from, beside its checkpoints."""
  return folder / CHECKPOINTS / 'begin'


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


def _folder(workdir: files.PathLike) -> pathlib.Path:
  """Return the folder of a run, which need not exist.

  Raises:
    ValueError: the name is empty, or that of a file.
  """
  if not os.fspath(workdir).strip():
    raise ValueError('workdir is empty; give a folder')
  folder = pathlib.Path(workdir)
  if folder.exists() and not folder.is_dir():
    raise ValueError(f'workdir {workdir} is a file; give a folder')
  return folder


@contextlib.contextmanager
def _writing(workdir: files.PathLike) -> Iterator[None]:
  """Say that a work folder cannot be written to."""
  try:
    yield
  except OSError as error:
    cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
    raise ValueError(
      f'workdir {workdir} cannot be written to ({cause.strerror}); give '
      'another folder'
    ) from error


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
  folder = _folder(workdir)
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
  with _writing(workdir):
    files.write_json(folder / CONFIG, new)
  return folder


@contextlib.contextmanager
def locked(workdir: files.PathLike) -> Iterator[pathlib.Path]:
  """Keep a folder, made when missing, for one process.

  The lock ends with the block, or with the process, however that ends. Where
  the file system has no locks, nothing is kept.

  Args:
    workdir: the folder.

  Yields:
    The folder.

  Raises:
    ValueError: another process has it, it is a file, or it cannot be made.
  """
  folder = _folder(workdir)
  with _writing(workdir):
    folder.mkdir(parents=True, exist_ok=True)
  if fcntl is None:
    yield folder
    return
  handle = os.open(folder, os.O_RDONLY)
  try:
    try:
      fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
      raise ValueError(
        f'workdir {workdir} is in use by another run; wait for its end, or '
        'give another folder'
      ) from None
    except OSError:  # A file system without locks.
      pass
    yield folder
  finally:
    os.close(handle)


@contextlib.contextmanager
def opened(
  workdir: files.PathLike,
  config: Any,
  *,
  resume: bool = False,
  may_change: Sequence[str] = ('steps',),
  ignored: Sequence[str] = ('resume',),
) -> Iterator[pathlib.Path]:
  """Open a work folder for a run, which begins anew or goes on.

  A run that begins deletes the checkpoints of the one before; files that a
  killed run left half written are taken away.

  Args:
    workdir: see `prepare`, as are the others.
    config: what the run is.
    resume: whether the run in the folder is to be continued.
    may_change: fields that a resumed run may have different.
    ignored: fields that do not count and are not written.

  Yields:
    The folder, which is locked until the block ends.

  Raises:
    FileNotFoundError: there is no run to resume, or it has no checkpoint.
    ValueError: what `prepare` refuses, or another run has the folder.
  """
  if resume:  # Nothing is made where there is nothing.
    read_config(_folder(workdir))
  with locked(workdir) as folder:
    options = {'may_change': may_change, 'ignored': ignored}
    prepare(folder, config, resume=resume, **options)
    files.sweep(folder)
    checkpoints = folder / CHECKPOINTS
    if not resume:
      files.remove(checkpoints)
    elif checkpoint.latest_step(checkpoints) is None:
      raise FileNotFoundError(
        f'{folder} holds no checkpoint to resume from; leave out resume=true'
      )
    yield folder
