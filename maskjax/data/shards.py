"""Shards: numbered files of a data set, built by several processes.

What exists is kept, so a build can be stopped and gone on with; each shard is
a pure function of its number.
"""

from collections.abc import Callable, Mapping, Sequence
import functools
import os
import pathlib
import signal
from typing import Any

import jax
import numpy as np

from maskjax.training import files, progress, workdir
from maskjax.weights import archives, json_files

Build = Callable[[pathlib.Path, int], None]
MANIFEST = 'manifest.json'


def path(folder: pathlib.Path, prefix: str, index: int) -> pathlib.Path:
  """Return where shard `index` lies."""
  return folder / f'{prefix}-{index:05d}.npz'


def _build(build: Build, folder: pathlib.Path, prefix: str, index: int) -> None:
  """Build one shard; a module's function, so that processes can be sent it."""
  build(path(folder, prefix, index), index)


def _leave_interrupts_to_the_parent() -> None:
  signal.signal(signal.SIGINT, signal.SIG_IGN)


def claim(
  folder: pathlib.Path,
  recipe: Any,
  *,
  may_change: Sequence[str] = (),
) -> None:
  """Note in a folder what its shards are made by, and keep to it.

  A set may grow: a shard is a function of its number, however many there are.

  Args:
    folder: of the shards; made when missing.
    recipe: dataclass or mapping of JSON values; 'shards', if it is there, is
      how many there shall be.
    may_change: fields that do not say what is in a shard.

  Raises:
    ValueError: shards of another recipe lie there, or of none that is known,
      or more than there shall be.
  """
  found = sorted(folder.glob('*-[0-9][0-9][0-9][0-9][0-9].npz'))
  config, manifest = folder / workdir.CONFIG, folder / MANIFEST
  if found and not config.is_file():
    if not manifest.is_file():
      raise ValueError(
        f'{folder} holds shards, and nothing says what they are made by; give '
        'another folder, or delete them'
      )
    known = json_files.read(manifest).get('recipe')
    if not isinstance(known, dict):
      raise ValueError(f'{manifest} holds no recipe; give another folder')
    files.write_json(config, known)
  workdir.prepare(
    folder, recipe, resume=bool(found), may_change=('shards', *may_change)
  )
  count = workdir.read_config(folder).get('shards', len(found))
  if len(found) > count:
    raise ValueError(
      f'{folder} holds {len(found)} shards already, and shards is {count}; '
      'give more, or another folder'
    )
  files.sweep(folder)


def build_missing(
  build: Build,
  folder: pathlib.Path,
  prefix: str,
  count: int,
  *,
  workers: int = 0,
) -> None:
  """Build the shards that do not exist yet, with a progress bar.

  Args:
    build: called as `build(path, index)`; a module's function, or a
      `functools.partial` of one: it is sent to other processes.
    folder: of the shards.
    prefix: of their names.
    count: how many there shall be.
    workers: processes; 0: one per core, or one alone where JAX has an
      accelerator, which processes cannot share.
  """
  import multiprocessing  # those who only read shards need none

  missing = [
    index for index in range(count) if not path(folder, prefix, index).exists()
  ]
  if workers == 0:
    alone = jax.default_backend() != 'cpu'
    workers = 1 if alone else os.cpu_count() or 1
  workers = min(workers, max(len(missing), 1))
  task = functools.partial(_build, build, folder, prefix)
  done = count - len(missing)
  with progress.bar(count, start=done, name='shards') as report:
    if workers == 1:
      for index in missing:
        task(index)
        done += 1
        report(done, {})
      return
    # Not forked: XLA's threads would not survive it.
    context = multiprocessing.get_context('spawn')
    with context.Pool(workers, _leave_interrupts_to_the_parent) as pool:
      for _ in pool.imap_unordered(task, missing):
        done += 1
        report(done, {})


def load(
  paths: Sequence[pathlib.Path], fields: Mapping[str, Any]
) -> dict[str, np.ndarray]:
  """Read arrays of shards and join them.

  Args:
    paths: of the shards, in any order.
    fields: the annotation of each array by name, see `archives.read_arrays`;
      one of them is 'rgb'.

  Returns:
    {name: the arrays of all shards, one after the other by their names}.

  Raises:
    FileNotFoundError: when there is no shard.
    ValueError: when one of them is broken, or their pictures differ in size.
  """
  if not paths:
    raise FileNotFoundError(
      'no shards found (*.npz); build them with python -m '
      'experiments.make_faces or experiments.make_styles'
    )
  parts = []
  for shard in sorted(paths):
    try:
      parts.append(archives.read_arrays(shard, fields, ratio=archives.PICTURES))
    except ValueError as error:
      raise ValueError(
        f'{shard} is no whole shard ({error}); delete it and build it again'
      ) from error
  sizes = sorted({part['rgb'].shape[1] for part in parts})
  if len(sizes) > 1:
    raise ValueError(
      f'shards hold pictures of {sizes} pixels: expected one size; keep every '
      'data set in a folder of its own'
    )
  return {name: np.concatenate([p[name] for p in parts]) for name in fields}


def digests(folder: pathlib.Path) -> dict[str, str]:
  """Return {name: SHA-256} of every shard of a folder."""
  return {p.name: files.sha256(p) for p in sorted(folder.glob('*.npz'))}
