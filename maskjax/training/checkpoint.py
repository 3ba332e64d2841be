"""Checkpoints: whole pytrees on disk, written atomically, restored bit for bit.

A directory holds one folder per step (`step_00000600`). The storage is
orbax's; nobody else needs to know. A checkpoint also carries a manifest with
the name, shape, dtype and checksum of every leaf, so that a broken or foreign
one is told apart from a good one in one line.
"""

from collections.abc import Iterator
import contextlib
import json
import pathlib
import re
import shutil
from typing import Any
import zlib

from absl import logging
import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp

from maskjax.training import files

PyTree = Any

_FOLDER = re.compile(r'step_(\d{8,})')
_TEMPORARY = 'orbax-checkpoint-tmp'


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
  """Silence orbax's remarks; its errors are raised, not logged."""
  verbosity = logging.get_verbosity()
  logging.set_verbosity(logging.FATAL)
  try:
    yield
  finally:
    logging.set_verbosity(verbosity)


def _checkpointer() -> ocp.Checkpointer:
  return ocp.Checkpointer(ocp.PyTreeCheckpointHandler())


def _is_key(leaf: Any) -> bool:
  return isinstance(leaf, jax.Array) and jnp.issubdtype(
    leaf.dtype, jax.dtypes.prng_key
  )


def _named_leaves(tree: PyTree) -> dict[str, Any]:
  """Leaves by path, e.g. 'params/dense/kernel'."""
  leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
  return {
    jax.tree_util.keystr(path, simple=True, separator='/'): leaf
    for path, leaf in leaves
  }


def _describe(leaf: Any) -> tuple[list[int], str]:
  """Shape and type as the manifest has them; keys carry their algorithm."""
  if _is_key(leaf):
    return list(leaf.shape), f'key<{jax.random.key_impl(leaf)}>'
  leaf = leaf if hasattr(leaf, 'dtype') else np.asarray(leaf)
  return list(leaf.shape), str(leaf.dtype)


def _to_numpy(leaf: Any) -> np.ndarray:
  if _is_key(leaf):
    leaf = jax.random.key_data(leaf)
  return np.ascontiguousarray(jax.device_get(leaf)).reshape(np.shape(leaf))


def _checksum(array: np.ndarray) -> int:
  return zlib.crc32(array.reshape(-1).view(np.uint8).data)


def _like(array: np.ndarray, leaf: Any) -> Any:
  """Give a restored array the kind and the place of the template's leaf."""
  if _is_key(leaf):
    data = jnp.asarray(array)
    key = jax.random.wrap_key_data(data, impl=jax.random.key_impl(leaf))
    return jax.device_put(key, leaf.sharding)
  if isinstance(leaf, jax.Array):
    return jax.device_put(array, leaf.sharding)
  if isinstance(leaf, np.ndarray | np.generic):
    return array
  if isinstance(leaf, bool | int | float):
    return type(leaf)(array.item())
  return jnp.asarray(array)


def _path(directory: files.PathLike, step: int) -> pathlib.Path:
  return pathlib.Path(directory).absolute() / f'step_{step:08d}'


def all_steps(directory: files.PathLike) -> list[int]:
  """List the steps that can be restored, ascending; [] without a directory."""
  directory = pathlib.Path(directory)
  if not directory.is_dir():
    return []
  matches = (_FOLDER.fullmatch(path.name) for path in directory.iterdir())
  return sorted(int(match[1]) for match in matches if match)


def latest_step(directory: files.PathLike) -> int | None:
  """Find the newest step that can be restored, or None."""
  return max(all_steps(directory), default=None)


def truncate(directory: files.PathLike, step: int) -> None:
  """Delete the checkpoints after a step, for a run that goes back to it."""
  for other in all_steps(directory):
    if other > step:
      shutil.rmtree(_path(directory, other))


def _prune(
  directory: files.PathLike, keep: int | None, keep_every: int | None
) -> None:
  for leftover in pathlib.Path(directory).glob(f'*{_TEMPORARY}*'):
    shutil.rmtree(leftover, ignore_errors=True)
  steps = all_steps(directory) if keep is not None else []
  for step in steps[: max(0, len(steps) - (keep or 0))]:
    if not keep_every or step % keep_every:
      shutil.rmtree(_path(directory, step))


def save(
  directory: files.PathLike,
  step: int,
  state: PyTree,
  *,
  keep: int | None = None,
  keep_every: int | None = None,
) -> None:
  """Write a checkpoint; it is complete when this returns.

  Args:
    directory: folder of all checkpoints of a run; made when missing.
    step: number of finished updates; an old checkpoint of it is replaced.
    state: any pytree of arrays, typed keys and numbers.
    keep: how many of the newest checkpoints to keep, at least 1; None: all.
    keep_every: steps divisible by this are kept besides.

  Raises:
    ValueError: `keep` is less than 1.
  """
  if keep is not None and keep < 1:
    raise ValueError(f'keep must be at least 1 or None, got {keep}')
  leaves = _named_leaves(state)
  arrays = {name: _to_numpy(leaf) for name, leaf in leaves.items()}
  manifest = {
    name: [*_describe(leaf), _checksum(arrays[name])]
    for name, leaf in leaves.items()
  }
  text = json.dumps({'step': step, 'leaves': manifest})
  content = {
    'manifest': np.frombuffer(text.encode('utf-8'), np.uint8),
    # Orbax refuses empty arrays; the manifest is enough to restore them.
    'leaves': {name: array for name, array in arrays.items() if array.size},
  }
  with _quiet(), _checkpointer() as checkpointer:
    checkpointer.save(_path(directory, step), content, force=True)
  _prune(directory, keep, keep_every)


def _difference(
  manifest: dict[str, Any], expected: dict[str, Any]
) -> str | None:
  """Say in a few words how a checkpoint differs from the template."""
  missing = sorted(expected.keys() - manifest.keys())
  surplus = sorted(manifest.keys() - expected.keys())
  if missing:
    return f'it lacks {missing[0]!r} ({len(missing)} such)'
  if surplus:
    return f'it holds an unknown {surplus[0]!r} ({len(surplus)} such)'
  for name, leaf in expected.items():
    shape, dtype = _describe(leaf)
    if manifest[name][:2] != [shape, dtype]:
      return (
        f'{name!r} is {manifest[name][1]}{manifest[name][0]}, '
        f'expected {dtype}{shape}'
      )
  return None


def _read(path: pathlib.Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
  """Read the manifest and the arrays and compare the checksums."""
  try:
    with _quiet(), _checkpointer() as checkpointer:
      content = checkpointer.restore(path)
    text = bytes(np.asarray(content['manifest'])).decode('utf-8')
    manifest = json.loads(text)['leaves']
    arrays = {k: np.asarray(v) for k, v in content['leaves'].items()}
    for name, (shape, dtype, _) in manifest.items():
      if 0 in shape:
        arrays[name] = np.zeros(shape, dtype)
    broken = [k for k in manifest if _checksum(arrays[k]) != manifest[k][2]]
  # Damage shows as an error of any type from any layer of the storage.
  except Exception as error:
    reason = ' '.join(str(error).split())[:120] or type(error).__name__
    raise ValueError(
      f'cannot read the checkpoint {path}: {reason}; '
      'delete the folder to continue from an earlier one'
    ) from error
  if broken:
    raise ValueError(
      f'the checkpoint {path} is damaged: {broken[0]!r} fails its checksum; '
      'delete the folder to continue from an earlier one'
    )
  return manifest, arrays


def restore(
  directory: files.PathLike, template: PyTree, step: int | None = None
) -> PyTree:
  """Read a checkpoint into the structure of a template.

  Args:
    directory: folder of all checkpoints of a run.
    template: pytree of the same structure, shapes and dtypes; its arrays also
      say on which devices the restored ones are to lie.
    step: which checkpoint; the latest by default.

  Returns:
    The state, bit for bit as it was saved.

  Raises:
    FileNotFoundError: there is no checkpoint, or none of this step.
    ValueError: the checkpoint is damaged or of another structure.
  """
  steps = all_steps(directory)
  if not steps:
    raise FileNotFoundError(f'no checkpoint in {directory}')
  step = steps[-1] if step is None else step
  if step not in steps:
    raise FileNotFoundError(
      f'no checkpoint of step {step} in {directory}; there are '
      + ', '.join(map(str, steps))
    )
  path = _path(directory, step)
  manifest, arrays = _read(path)
  expected = _named_leaves(template)
  difference = _difference(manifest, expected)
  if difference:
    raise ValueError(
      f'the checkpoint {path} is of another model or optimiser: {difference}'
    )
  leaves = [_like(arrays[name], leaf) for name, leaf in expected.items()]
  return jax.tree.unflatten(jax.tree.structure(template), leaves)
