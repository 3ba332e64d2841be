"""Names and layouts of PyTorch parameters and of this package's, both ways.

| PyTorch                         | here                                   |
| ------------------------------- | -------------------------------------- |
| `down_blocks.0.resnets.1.conv1` | down_blocks_0 / resnets_1 / conv1      |
| convolution `weight` (O,I,H,W)  | `kernel` (H,W,I,O)                     |
| linear `weight` (O,I)           | `kernel` (I,O)                         |
| `*embedding.weight` (N,C)       | `embedding` (N,C)                      |
| normalisation `weight` (C)      | `scale` (C)                            |
| `bias`                          | `bias`                                 |

Read as well: the `text_model.` prefix of CLIP checkpoints before transformers
5.6, their `position_ids` buffer, and the attention names of autoencoders from
before mid-2023.
"""

from collections.abc import Iterable, Iterator, Mapping
import re
from typing import Any

import numpy as np

_PREFIX = 'text_model.'
_BUFFER = re.compile(r'(^|\.)position_ids$')
# The autoencoder's attention, as it was named before mid-2023.
_OLD_ATTENTION = re.compile(
  r'(attentions\.\d+)\.(query|key|value|proj_attn)\.(weight|bias)$'
)
_NEW_ATTENTION = {
  'query': 'to_q',
  'key': 'to_k',
  'value': 'to_v',
  'proj_attn': 'to_out.0',
}
_INDEX = re.compile(r'_(\d+)$')
# Names that end in a number of their own, not in the index of a list.
_OWN_NUMBER = re.compile(r'linear_\d+')
_LEAVES = {'kernel': 'weight', 'scale': 'weight', 'embedding': 'weight'}


def _current_key(key: str) -> str | None:
  """Rename a key of an older checkpoint; None for a buffer to leave out."""
  if _BUFFER.search(key):
    return None
  key = key.removeprefix(_PREFIX)
  return _OLD_ATTENTION.sub(
    lambda match: f'{match[1]}.{_NEW_ATTENTION[match[2]]}.{match[3]}', key
  )


def _is_embedding(module: str) -> bool:
  """Tell token, position and class tables by their name."""
  return module.endswith('_embedding')


def _to_leaf(module: str, name: str, value: Any) -> tuple[str, Any]:
  """Return the name and layout here of one PyTorch parameter."""
  if name != 'weight':
    return name, value
  if value.ndim == 4:
    return 'kernel', value.transpose(2, 3, 1, 0)
  if value.ndim == 2:
    if _is_embedding(module):
      return 'embedding', value
    return 'kernel', value.T
  return 'scale', value


def _from_leaf(name: str, value: Any) -> Any:
  """Return one parameter in PyTorch's layout."""
  if name != 'kernel':
    return value
  return value.transpose(3, 2, 0, 1) if value.ndim == 4 else value.T


def from_torch(
  tensors: Mapping[str, Any] | Iterable[tuple[str, Any]],
) -> dict[str, Any]:
  """Turn a PyTorch state dict into a tree of parameters.

  Args:
    tensors: NumPy arrays under PyTorch's dotted keys, or pairs of both.

  Returns:
    Nested dictionaries of arrays, in the layouts of this package; views of
    those given, not copies.

  Raises:
    ValueError: two keys are names of one parameter.
  """
  tree: dict[str, Any] = {}
  pairs = tensors.items() if isinstance(tensors, Mapping) else tensors
  for original, value in pairs:
    key = _current_key(original)
    if key is None:
      continue
    module, _, name = key.rpartition('.')
    path = re.sub(r'\.(\d+)(?=\.|$)', r'_\1', module).split('.')
    leaf, value = _to_leaf(module, name, value)
    node = tree
    for part in path:
      node = node.setdefault(part, {})
    if leaf in node:
      raise ValueError(f'{original} is there under two names; keep one')
    node[leaf] = value
  return tree


def walk(
  tree: Mapping[str, Any], path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
  """Yield the path and the value of every leaf, in the tree's order.

  Args:
    tree: nested mappings.
    path: of the tree itself; leaves' paths begin with it.
  """
  for name, value in tree.items():
    if isinstance(value, Mapping):
      yield from walk(value, (*path, name))
    else:
      yield (*path, name), value


def torch_key(path: tuple[str, ...]) -> str:
  """Return PyTorch's dotted name of the parameter at a path."""
  modules = [
    part if _OWN_NUMBER.fullmatch(part) else _INDEX.sub(r'.\1', part)
    for part in path[:-1]
  ]
  return '.'.join((*modules, _LEAVES.get(path[-1], path[-1])))


def to_torch(params: Mapping[str, Any]) -> dict[str, np.ndarray]:
  """Turn a tree of parameters into a PyTorch state dict of NumPy arrays.

  Args:
    params: nested dictionaries of arrays.

  Returns:
    Arrays under PyTorch's dotted keys; where the layout differs, views that
    are not contiguous.
  """
  return {
    torch_key(path): _from_leaf(path[-1], np.asarray(value))
    for path, value in walk(params)
  }
