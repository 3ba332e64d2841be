"""Reading and writing the config.json of a Stable Diffusion component.

Each network of this package has a frozen, hashable dataclass whose fields
and default values are those of the PyTorch class of the same folder. Other
keys that the PyTorch class knows are accepted at the one value that this
package computes, and refused by name at any other.
"""

from collections.abc import Mapping
import dataclasses
import types
import typing
from typing import Any, TypeVar

from maskjax.training import settings

# What an average of weights leaves in the config that it is saved with.
_AVERAGE_RECORDS = (
  'decay',
  'inv_gamma',
  'min_decay',
  'min_value',
  'optimization_step',
  'power',
  'update_after_step',
  'use_ema_warmup',
)


ConfigT = TypeVar('ConfigT')


def _freeze(value: Any) -> Any:
  """Turn lists, at any depth, into tuples so that the config hashes."""
  if isinstance(value, list | tuple):
    return tuple(_freeze(item) for item in value)
  return value


def _thaw(value: Any) -> Any:
  """Turn tuples, at any depth, into lists as JSON has them."""
  if isinstance(value, tuple):
    return [_thaw(item) for item in value]
  return value


def _fits(value: Any, kind: Any) -> bool:
  """Tell if a value is of a field's type; a float may be a whole number."""
  arguments = typing.get_args(kind)
  if isinstance(kind, types.UnionType):
    return any(_fits(value, each) for each in arguments)
  if typing.get_origin(kind) is tuple:
    return isinstance(value, tuple) and all(
      _fits(item, arguments[0]) for item in value
    )
  if isinstance(value, bool):
    return kind is bool
  return isinstance(value, (int, float) if kind is float else kind)


def _is_one(value: Any, only: Any) -> bool:
  """Tell if a value means the only one: itself, for each block, or nothing."""
  if isinstance(value, tuple) and value:
    return all(_is_one(item, only) for item in value)
  return value == only or (not value and not only)


def parse(
  cls: type[ConfigT],
  values: Mapping[str, Any],
  *,
  fixed: Mapping[str, Any],
  ignored: tuple[str, ...] = (),
) -> ConfigT:
  """Build a config dataclass from the keys of a config.json.

  Args:
    cls: frozen dataclass; its fields are the keys that are read, its default
      values stand in for keys that the file leaves out.
    values: content of config.json.
    fixed: known keys of which only one value, the one given, is supported.
    ignored: known keys that do not change what the network computes.

  Returns:
    An instance of `cls`, lists turned into tuples.

  Raises:
    ValueError: a key has a value that is not supported or beyond the limits
      of its field, or is not known.
  """
  fields = typing.get_type_hints(cls)
  declared = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
  kept = {}
  for key, value in values.items():
    value = _freeze(value)
    if key in fields:
      if value is None and getattr(cls, key) is False:
        continue  # A switch that is not mentioned is off.
      if not _fits(value, fields[key]):
        raise ValueError(
          f'{cls.__name__}: {key}={settings.shown(value)} is not supported'
        )
      settings.check_field(declared[key], value, f'{cls.__name__}: {key}')
      kept[key] = value
    elif key.startswith('_') or key in (*ignored, *_AVERAGE_RECORDS):
      continue
    elif key in fixed:
      if not _is_one(value, _freeze(fixed[key])):
        raise ValueError(
          f'{cls.__name__}: {key}={settings.shown(value)} is not '
          f'supported, only {fixed[key]!r} is'
        )
    elif value is not None and value is not False:
      raise ValueError(
        f'{cls.__name__}: {key}={settings.shown(value)} is not a key this '
        'version knows; remove it, or use a model without it'
      )
  return cls(**kept)


def dump(config: Any, class_name: str) -> dict[str, Any]:
  """Return the content of config.json for a config dataclass.

  Args:
    config: a config dataclass of this package.
    class_name: PyTorch class that opens the folder, e.g.
      'UNet2DConditionModel'.

  Returns:
    The fields with lists in place of tuples, as JSON has them.
  """
  fields = {
    field.name: _thaw(getattr(config, field.name))
    for field in dataclasses.fields(config)
  }
  return {'_class_name': class_name, **fields}


def per_block(value: Any, blocks: int, name: str) -> tuple[Any, ...]:
  """Repeat a single value for each block, or check a value per block.

  Args:
    value: of a field: one value, or a tuple with one for each block.
    blocks: how many blocks there are.
    name: of the field, for the error.

  Returns:
    One value for each block.

  Raises:
    ValueError: a tuple whose length is not the number of blocks.
  """
  if not isinstance(value, tuple):
    return (value,) * blocks
  if len(value) != blocks:
    raise ValueError(
      f'{name}={value} has {len(value)} entries for {blocks} blocks; give one '
      'number, or one for each block'
    )
  return value


def check_choice(name: str, value: Any, choices: tuple[Any, ...]) -> None:
  """Check that a value is supported.

  Args:
    name: key of the config, for the error.
    value: what it says.
    choices: what is supported.

  Raises:
    ValueError: another value.
  """
  if value not in choices:
    raise ValueError(
      f'{name}={settings.shown(value)} is not supported, only {choices} are'
    )


def check_groups(groups: int, channels: tuple[int, ...]) -> None:
  """Check that every block's channels split into groups.

  Args:
    groups: of every group normalisation.
    channels: of each block.

  Raises:
    ValueError: a number of channels that is no multiple of the groups.
  """
  for count in channels:
    if count % groups:
      raise ValueError(
        f'norm_num_groups={groups} does not divide {count} channels; choose '
        f'block_out_channels that are multiples of {groups}'
      )
