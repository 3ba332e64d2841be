"""Devices: the one room that knows how many there are.

A step body takes an optional `axis_name`, reduces its gradients with `pmean`
and its metrics with `pmean` or `psum`, and never calls pmap itself. The same
body runs under jit (axis_name=None) and under `data_parallel`.

The state has no device axis here: it goes in and comes out replicated, with
`in_axes=None`, so checkpoints, logging and `state.step` look the same on one
device and on many, and nothing is gathered across devices by an `x[0]`.

Take gradients of the *local* mean loss and reduce them with `pmean` once.
Under `jax.shard_map` with its default checks the same lines would be wrong:
the gradient with respect to replicated values is summed there already. Adam
hides such factors, so compare gradients under SGD.
"""

from collections.abc import Callable, Iterator, Sequence
import contextlib
import mmap
import os
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import jaxlib
import numpy as np

PyTree = Any

AXIS = 'batch'


def _xla_knows(flag: str) -> bool:
  """Whether the installed XLA has a flag; an unknown one would abort it."""
  pattern = b'\0' + flag.encode() + b'\0'
  folder = pathlib.Path(str(jaxlib.__file__)).parent
  for path in folder.glob('libjax_common.*'):
    with (
      open(path, 'rb') as file,
      mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
      if content.find(pattern) >= 0:
        return True
  return False


def set_xla_flags(*, host_devices: int | None = None) -> None:
  """Add the flags we want to XLA_FLAGS; call before the first computation.

  XLA for CPU hands matrix products and convolutions to a library (YNN) that is
  slower than XLA's own code on our shapes: without it convolutions take 0.75,
  the backward pass of attention 0.4-0.65 of the time. Flags that the user has
  set are left alone.

  Args:
    host_devices: number of devices to pretend the CPU has, for tests.
  """
  wanted = {}
  if _xla_knows('xla_cpu_experimental_ynn_fusion_type'):
    wanted['--xla_cpu_experimental_ynn_fusion_type'] = ''
  if host_devices is not None:
    wanted['--xla_force_host_platform_device_count'] = str(host_devices)
  flags = os.environ.get('XLA_FLAGS', '').split()
  present = {flag.split('=')[0] for flag in flags}
  flags += [f'{k}={v}' for k, v in wanted.items() if k not in present]
  os.environ['XLA_FLAGS'] = ' '.join(flags)


def compute_dtype(name: str) -> np.dtype:
  """Return the type that frozen networks compute in.

  Args:
    name: 'float32', 'bfloat16', or 'auto': bfloat16 but on a CPU, which is
      slower in it.

  Raises:
    ValueError: another name.
  """
  if name == 'auto':
    name = 'float32' if jax.default_backend() == 'cpu' else 'bfloat16'
  if name not in ('float32', 'bfloat16'):
    raise ValueError(f'dtype {name!r} is not one of auto, float32, bfloat16')
  return jnp.dtype(name)


# How XLA, CUDA and its libraries say so.
_MEMORY_WORDS = (
  'RESOURCE_EXHAUSTED',
  'OUT OF MEMORY',
  'OUT_OF_MEMORY',
  'ALLOC_FAILED',
)


@contextlib.contextmanager
def explain_memory(advice: str) -> Iterator[None]:
  """Answer an exhausted device memory with advice instead of XLA's report.

  Args:
    advice: what to do, e.g. 'lower --count'.

  Raises:
    ValueError: the block ran out of device memory; one line.
  """
  try:
    yield
  except jax.errors.JaxRuntimeError as error:
    if not any(word in str(error).upper() for word in _MEMORY_WORDS):
      raise
    device = jax.devices()[0].device_kind
    raise ValueError(f'the memory of {device} is full; {advice}') from error


def pmean(tree: PyTree, axis_name: str | None) -> PyTree:
  """Average over devices; the tree itself when `axis_name` is None."""
  return tree if axis_name is None else jax.lax.pmean(tree, axis_name)


def psum(tree: PyTree, axis_name: str | None) -> PyTree:
  """Sum over devices; the tree itself when `axis_name` is None."""
  return tree if axis_name is None else jax.lax.psum(tree, axis_name)


def gather(tree: PyTree, axis_name: str | None) -> PyTree:
  """Put the devices' shares together along the first axis, on every device."""
  if axis_name is None:
    return tree
  return jax.lax.all_gather(tree, axis_name, tiled=True)


def share(tree: PyTree, axis_name: str | None) -> PyTree:
  """Take this device's share of what `gather` put together."""
  if axis_name is None:
    return tree

  def take(x):
    size = x.shape[0] // jax.lax.axis_size(axis_name)
    start = jax.lax.axis_index(axis_name) * size
    return jax.lax.dynamic_slice_in_dim(x, start, size)

  return jax.tree.map(take, tree)


def example_keys(
  rng: jax.Array, batch_size: int, axis_name: str | None = None
) -> jax.Array:
  """Split a key into one per example of this device's share of the batch.

  Every device gets the same `rng`, and drawing directly from it would give the
  same noise everywhere. Here example `i` of the whole batch has the same key
  for any number of devices, so one device and eight train alike.

  Args:
    rng: the step's typed key, the same on all devices.
    batch_size: number of examples on this device.
    axis_name: the device axis, or None outside of `data_parallel`.

  Returns:
    `[batch_size]` typed keys.
  """
  if axis_name is None:
    return jax.random.split(rng, batch_size)
  keys = jax.random.split(rng, batch_size * jax.lax.axis_size(axis_name))
  return share(keys, axis_name)


def _devices(devices: Sequence[jax.Device] | None) -> list[jax.Device]:
  return list(jax.local_devices() if devices is None else devices)


def usable_devices(batch_size: int) -> list[jax.Device]:
  """Take as many local devices as can share a batch evenly.

  Args:
    batch_size: number of examples per step.

  Returns:
    The devices, to be given to `replicate` and `data_parallel` alike.
  """
  devices = jax.local_devices()
  counts = range(min(len(devices), batch_size), 0, -1)
  return devices[: next(n for n in counts if batch_size % n == 0)]


def shard_batch(
  batch: PyTree, *, devices: Sequence[jax.Device] | None = None
) -> PyTree:
  """Cut the leading axis of every array: [B, ...] -> [devices, B/devices, ...].

  Args:
    batch: arrays with the same leading size B.
    devices: the devices to share among; all local ones by default.

  Returns:
    The same arrays with a device axis in front.

  Raises:
    ValueError: B is not a multiple of the number of devices.
  """
  count = len(_devices(devices))

  def cut(x):
    if x.shape[0] % count:
      raise ValueError(
        f'a batch of {x.shape[0]} cannot be shared among {count} devices; '
        'make it a multiple'
      )
    return x.reshape(count, x.shape[0] // count, *x.shape[1:])

  return jax.tree.map(cut, batch)


def replicate(
  tree: PyTree, *, devices: Sequence[jax.Device] | None = None
) -> PyTree:
  """Copy a tree to every device; shapes stay as they are."""
  mesh = jax.sharding.Mesh(np.asarray(_devices(devices)), (AXIS,))
  spec = jax.sharding.PartitionSpec()
  return jax.device_put(tree, jax.sharding.NamedSharding(mesh, spec))


def unreplicate(tree: PyTree) -> PyTree:
  """Take the first device's copy of a replicated tree, without a transfer."""
  return jax.tree.map(lambda x: x.addressable_data(0), tree)


def data_parallel(
  step_fn: Callable[..., tuple[PyTree, PyTree]],
  *,
  axis_name: str = AXIS,
  devices: Sequence[jax.Device] | None = None,
  donate: bool = False,
  shared: bool = False,
) -> Callable[..., tuple[PyTree, PyTree]]:
  """Run a training step on many devices, each with its share of the batch.

  Args:
    step_fn: `step_fn(state, rng, batch, axis_name=...) -> (state, metrics)`;
      both results must be the same on every device, which `pmean` of gradients
      and metrics over `axis_name` brings about.
    axis_name: name of the device axis.
    devices: the devices to use; all local ones by default.
    donate: whether a step may reuse the memory of the state it is given; that
      state cannot be read afterwards.
    shared: whether `step_fn` takes a fourth argument that all examples share
      and that no step changes, e.g. frozen networks.

  Returns:
    `step(state, rng, batch[, shared]) -> (state, metrics)` with an undivided
    batch, and a replicated state and shared argument (see `replicate`).
  """
  chosen = _devices(devices)
  mapped = jax.pmap(
    lambda *arguments: step_fn(*arguments, axis_name=axis_name),
    axis_name,
    in_axes=(None, None, 0, None) if shared else (None, None, 0),
    out_axes=(None, None),
    devices=chosen,
    donate_argnums=(0,) if donate else (),
  )

  def step(state, rng, batch, *rest):
    return mapped(state, rng, shard_batch(batch, devices=chosen), *rest)

  return step
