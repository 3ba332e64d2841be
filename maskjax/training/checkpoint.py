"""Checkpoints: whole pytrees on disk, written atomically, restored bit for bit.

A directory holds one folder per step (`step_00000600`), kept by orbax's
`CheckpointManager`; nobody else needs to know. A checkpoint also carries a
manifest with the name, shape, dtype and checksum of every leaf, so that a
broken or foreign one is told apart from a good one in one line.
"""

from collections.abc import Iterator
import contextlib
import pathlib
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
# Name of a leaf -> shape, dtype, checksum.
Manifest = dict[str, list[Any]]

_NAMES = ocp.path.step.standard_name_format(
  step_prefix='step', step_format_fixed_length=8
)


@contextlib.contextmanager
def _manager(
  directory: files.PathLike, **options: Any
) -> Iterator[ocp.CheckpointManager]:
  """Open orbax's manager without its remarks; errors are raised, not logged."""
  verbosity = logging.get_verbosity()
  logging.set_verbosity(logging.FATAL)
  options |= {'step_name_format': _NAMES, 'enable_async_checkpointing': False}
  try:
    with ocp.CheckpointManager(
      pathlib.Path(directory).absolute(),
      options=ocp.CheckpointManagerOptions(**options),
    ) as manager:
      yield manager
  finally:
    logging.set_verbosity(verbosity)


def _is_key(leaf: Any) -> bool:
  return isinstance(leaf, jax.Array) and jnp.issubdtype(
    leaf.dtype, jax.dtypes.prng_key
  )


def _named_leaves(tree: PyTree) -> dict[str, Any]:
  """Return the leaves by path, e.g. 'params/dense/kernel'."""
  leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
  return {
    jax.tree_util.keystr(path, simple=True, separator='/'): leaf
    for path, leaf in leaves
  }


def _describe(leaf: Any) -> list[Any]:
  """Return shape and type; keys carry their algorithm."""
  if _is_key(leaf):
    return [list(leaf.shape), f'key<{jax.random.key_impl(leaf)}>']
  leaf = leaf if hasattr(leaf, 'dtype') else np.asarray(leaf)
  return [list(leaf.shape), str(leaf.dtype)]


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


def all_steps(directory: files.PathLike) -> list[int]:
  """List the steps that can be restored, ascending; [] without a directory."""
  if not pathlib.Path(directory).is_dir():
    return []
  return sorted(found.step for found in _NAMES.find_all(directory))


def latest_step(directory: files.PathLike) -> int | None:
  """Find the newest step that can be restored, or None."""
  return max(all_steps(directory), default=None)


def truncate(directory: files.PathLike, step: int) -> None:
  """Delete the checkpoints after a step, for a run that goes back to it."""
  for later in (s for s in all_steps(directory) if s > step):
    files.remove(pathlib.Path(directory) / _NAMES.build_name(later))


def _sweep(directory: pathlib.Path) -> None:
  """Delete what is left of a checkpoint that could not be written."""
  for path in directory.glob('*.orbax-checkpoint-tmp*'):
    shutil.rmtree(path, ignore_errors=True)


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
    OSError: the disk is full, or cannot be written to; nothing is left behind.
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
  # Orbax refuses empty arrays; the manifest is enough to restore them.
  full = {name: array for name, array in arrays.items() if array.size}
  content = ocp.args.Composite(
    leaves=ocp.args.PyTreeSave(full), manifest=ocp.args.JsonSave(manifest)
  )
  path = pathlib.Path(directory) / _NAMES.build_name(step)
  files.remove(path)
  try:
    with (
      files.explained(path),
      _manager(
        directory,
        max_to_keep=keep,
        keep_period=keep_every or None,
        cleanup_tmp_directories=True,
      ) as manager,
    ):
      manager.save(step, args=content, force=True)
  except BaseException:
    _sweep(path.parent)
    raise


def _read(
  directory: files.PathLike, step: int
) -> tuple[Manifest, dict[str, np.ndarray]]:
  """Read the manifest and the arrays and compare the checksums."""
  with _manager(directory) as manager:
    content = manager.restore(
      step,
      args=ocp.args.Composite(
        leaves=ocp.args.PyTreeRestore(), manifest=ocp.args.JsonRestore()
      ),
    )
  manifest = content.manifest
  arrays = {name: np.asarray(x) for name, x in content.leaves.items()}
  for name, (shape, dtype, checksum) in manifest.items():
    if 0 in shape:
      arrays[name] = np.zeros(shape, dtype)
    if _checksum(arrays[name]) != checksum:
      raise ValueError(f'{name!r} fails its checksum')
  return manifest, arrays


def _difference(manifest: Manifest, expected: dict[str, Any]) -> str | None:
  """Say in a few words how a checkpoint differs from the template."""
  missing = sorted(expected.keys() - manifest.keys())
  surplus = sorted(manifest.keys() - expected.keys())
  if missing:
    return f'it lacks {missing[0]!r} ({len(missing)} such)'
  if surplus:
    return f'it holds an unknown {surplus[0]!r} ({len(surplus)} such)'
  for name, leaf in expected.items():
    (found, kind), (shape, dtype) = manifest[name][:2], _describe(leaf)
    if (found, kind) != (shape, dtype):
      return f'{name!r} is {kind}{found}, expected {dtype}{shape}'
  return None


def restore(
  directory: files.PathLike, template: PyTree, step: int | None = None
) -> PyTree:
  """Read a checkpoint into the structure of a template.

  Args:
    directory: folder of all checkpoints of a run.
    template: pytree of the same structure, shapes and dtypes; its arrays also
      say on which devices the restored ones are to lie.
    step: step of the checkpoint; the latest by default.

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
  path = pathlib.Path(directory).absolute() / _NAMES.build_name(step)
  try:
    manifest, arrays = _read(directory, step)
  # Damage shows as an error of any type from any layer of the storage.
  except Exception as error:
    reason = ' '.join(str(error).split())[:120] or type(error).__name__
    raise ValueError(
      f'cannot read the checkpoint {path}, it is damaged: {reason}; '
      'delete the folder to continue from an earlier one'
    ) from error
  expected = _named_leaves(template)
  if difference := _difference(manifest, expected):
    raise ValueError(
      f'the checkpoint {path} is of another model or optimiser: {difference}'
    )
  leaves = [_like(arrays[name], leaf) for name, leaf in expected.items()]
  return jax.tree.unflatten(jax.tree.structure(template), leaves)
