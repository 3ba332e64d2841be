"""Names and layouts of StyleGAN2's and EG3D's parameters, both ways.

| reference state                   | here                                  |
| --------------------------------- | ------------------------------------- |
| `backbone.synthesis.b8.conv1.*`   | backbone / synthesis / b8 / conv1     |
| `decoder.net.0.*`                 | decoder / net_0                       |
| convolution `weight` (O,I,H,W)    | params `kernel` (H,W,I,O)             |
| dense `weight` (O,I)              | params `kernel` (I,O)                 |
| `const` (C,H,W)                   | params `const` (H,W,C)                |
| `bias`, `noise_strength`          | params, the same                      |
| `w_avg`, `noise_const`            | buffers, the same                     |
| `dataset_label_std`               | buffers, the same                     |
| `resample_filter`                 | nothing: [1, 3, 3, 1] squared, scaled |

Follows the names of stylegan2-ada-pytorch, which EG3D shares.
"""

from collections.abc import Iterator, Mapping
import re
from typing import Any

import numpy as np

from maskjax.weights import keymap

_BUFFERS = ('w_avg', 'noise_const', 'dataset_label_std')
_FILTER = 'resample_filter'
_BINOMIAL = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 64
# Blocks whose modules' images are enlarged or reduced hold a filter, too.
_BLOCK = re.compile(r'b\d+|block\d+')
_INDEX = re.compile(r'\.(\d+)(?=\.|$)')


def filter_gain(state: Mapping[str, Any], prefix: str = '') -> float:
  """Return the factor on the resampling filters of a network.

  Args:
    state: arrays under the reference's dotted keys.
    prefix: of the network's keys.

  Returns:
    Sum of the filters, 1 as a rule.

  Raises:
    ValueError: a filter that is no multiple of the usual one, or two factors
      in one network.
  """
  gain = None
  for key, value in state.items():
    if not (key.startswith(prefix) and key.rpartition('.')[2] == _FILTER):
      continue
    value = np.asarray(value)
    own = round(float(value.sum()), 6)
    if value.shape != (4, 4) or not np.allclose(
      value, own * _BINOMIAL, atol=1e-6
    ):
      raise ValueError(
        f'{key} is not the filter [1, 3, 3, 1]; models with another '
        'resampling filter are not supported'
      )
    if gain not in (None, own):
      raise ValueError(f'{key} sums to {own:g}, the filters before to {gain:g}')
    gain = own
  return 1.0 if gain is None else gain


def _to_leaf(name: str, value: Any) -> tuple[str, str, Any]:
  """Return collection, name and layout here of one array."""
  if name in _BUFFERS:
    return 'buffers', name, value
  if name == 'const':
    return 'params', name, value.transpose(1, 2, 0)
  if name == 'weight':
    axes = (2, 3, 1, 0) if value.ndim == 4 else (1, 0)
    return 'params', 'kernel', value.transpose(axes)
  return 'params', name, value


def from_state(state: Mapping[str, Any]) -> dict[str, Any]:
  """Turn a reference state into the variables of a module.

  Args:
    state: arrays under the reference's dotted keys.

  Returns:
    Collections 'params' and, where there are any, 'buffers': nested
    dictionaries of arrays; views of those given, not copies. Filters are left
    out, see `filter_gain`.
  """
  variables: dict[str, Any] = {'params': {}}
  for key, value in state.items():
    module, _, name = key.rpartition('.')
    if name == _FILTER:
      continue
    collection, leaf, value = _to_leaf(name, value)
    node = variables.setdefault(collection, {})
    for part in filter(None, _INDEX.sub(r'_\1', module).split('.')):
      node = node.setdefault(part, {})
    node[leaf] = value
  return variables


def state_key(path: tuple[str, ...]) -> str:
  """Return the reference's dotted key of the leaf at a path."""
  modules = [re.sub(r'^net_(\d+)$', r'net.\1', part) for part in path[:-1]]
  name = 'weight' if path[-1] == 'kernel' else path[-1]
  return '.'.join((*modules, name))


def _from_leaf(name: str, value: np.ndarray) -> np.ndarray:
  """Return one array in the reference's layout."""
  if name == 'const':
    return value.transpose(2, 0, 1)
  if name == 'kernel':
    return value.transpose((3, 2, 0, 1) if value.ndim == 4 else (1, 0))
  return value


def _filter_keys(
  params: Mapping[str, Any], path: tuple[str, ...] = ()
) -> Iterator[str]:
  """Yield the keys of the filters that the reference stores."""
  for name, node in params.items():
    if not isinstance(node, Mapping):
      continue
    inside = (*path, name)
    convolves = 'kernel' in node and np.ndim(node['kernel']) == 4
    enlarges = _BLOCK.fullmatch(name) and 'conv1' in node
    if (convolves and name != 'torgb') or enlarges:
      yield '.'.join((*inside, _FILTER))
    yield from _filter_keys(node, inside)


def to_state(
  variables: Mapping[str, Any],
  *,
  filters: tuple[str, ...] = (),
  gains: Mapping[str, float] | None = None,
) -> dict[str, np.ndarray]:
  """Turn the variables of a module into a reference state.

  Args:
    variables: collections 'params' and 'buffers'.
    filters: modules, by dotted name, that hold a resampling filter of their
      own: '' for a dual discriminator, 'superresolution' for EG3D's modules
      other than 8XDC.
    gains: factors on filters other than 1, by the prefix of their keys.

  Returns:
    Arrays under the reference's dotted keys, sorted; where the layout
    differs, views that are not contiguous.
  """
  state = {
    state_key(path): _from_leaf(path[-1], np.asarray(value))
    for collection in ('params', 'buffers')
    for path, value in keymap.walk(variables.get(collection, {}))
  }
  taps = _BINOMIAL.astype(np.float32)
  own = ('.'.join(filter(None, (name, _FILTER))) for name in filters)
  for key in (*_filter_keys(variables['params']), *own):
    own_gains = [
      gain for name, gain in (gains or {}).items() if key.startswith(name)
    ]
    state[key] = taps * np.float32(own_gains[0]) if own_gains else taps
  return dict(sorted(state.items()))


def gradients_to_state(params: Mapping[str, Any]) -> dict[str, np.ndarray]:
  """Name a tree of gradients like the reference's parameters."""
  return {
    state_key(path): _from_leaf(path[-1], np.asarray(value))
    for path, value in keymap.walk(params)
  }


def check_shapes(found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
  """Compare the keys and shapes of two states.

  Args:
    found: arrays under dotted keys.
    expected: arrays, or anything with a shape, under dotted keys.

  Raises:
    ValueError: a missing key, a key too many or a wrong shape, by name.
  """
  if missing := sorted(set(expected) - set(found)):
    raise ValueError(f'{len(missing)} arrays are missing, first {missing[0]}')
  if unknown := sorted(set(found) - set(expected)):
    raise ValueError(f'{len(unknown)} arrays are unknown, first {unknown[0]}')
  for key, value in expected.items():
    if tuple(found[key].shape) != tuple(value.shape):
      raise ValueError(
        f'{key} has the shape {tuple(found[key].shape)}, expected '
        f'{tuple(value.shape)}'
      )
