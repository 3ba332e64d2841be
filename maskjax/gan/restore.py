"""Models from flat reference states, and back.

The config comes from `state_configs`, or is one of your own; every key and
shape of the state is checked against it.

Raises one-line ValueErrors that name the key that is wrong.
"""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from maskjax.gan import model as model_lib
from maskjax.weights import eg3d_keys

# In snapshots written by training, without effect on images.
_OPTIONAL = ('dataset_label_std',)


def _check_gains(config: model_lib.Config, state: Mapping[str, Any]) -> None:
  """Refuse filters that the config does not have."""
  for prefix, gain in config.filter_gains.items():
    if eg3d_keys.filter_gain(state, prefix) != gain:
      raise ValueError(
        f'the filters of {prefix}* sum to '
        f'{eg3d_keys.filter_gain(state, prefix):g}, expected {gain:g}'
      )


def _filters(
  config: model_lib.Config, state: Mapping[str, Any]
) -> tuple[str, ...]:
  """Return which modules of a state hold a filter of their own."""
  key = lambda name: f'{name}.resample_filter'.lstrip('.')
  return tuple(name for name in config.filter_owners if key(name) in state)


def state_shapes(
  config: model_lib.Config, *, filters: tuple[str, ...] = ()
) -> dict[str, np.ndarray]:
  """Return a reference state of a network, of the right shapes only.

  Args:
    config: of the network.
    filters: see `eg3d_keys.to_state`.

  Returns:
    Arrays of zeros that take no memory, under the reference's keys.
  """
  empty = jax.tree.map(
    lambda leaf: np.broadcast_to(np.float32(0), leaf.shape),
    model_lib.variable_shapes(config),
  )
  return eg3d_keys.to_state(empty, filters=filters)


def restore(
  config: model_lib.Config, state: Mapping[str, Any]
) -> model_lib.Model:
  """Fill a network with a reference state, every key and shape checked.

  Args:
    config: of the network: of `state_configs` for the same state, or one of
      your own.
    state: arrays under the reference's keys.

  Raises:
    ValueError: keys or shapes that do not fit the config.
  """
  expected = state_shapes(config, filters=_filters(config, state))
  found = {key: x for key, x in state.items() if key not in _OPTIONAL}
  eg3d_keys.check_shapes(found, expected)
  if any(key.endswith('resample_filter') for key in state):
    _check_gains(config, state)
  variables = eg3d_keys.from_state(state)
  return model_lib.Model(config.build(), jax.device_put(variables))


def export(model: model_lib.Model) -> dict[str, np.ndarray]:
  """Turn a model back into a state in the reference's key names.

  Args:
    model: any network of this package.
  """
  config = model.module.config
  return eg3d_keys.to_state(
    model.variables,
    filters=config.exported_filters,
    gains=config.filter_gains,
  )
