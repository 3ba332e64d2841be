"""Networks on disk: folders of our own.

A folder holds `config.json`, which says what the networks are, and for each
network a checkpoint of its variables, or, packed to be passed on, one file
`NAME.safetensors` in half precision under the reference's key names. Files of
the reference are read and written by `snapshots`.

Raises one-line ValueErrors throughout.
"""

from collections.abc import Mapping
import dataclasses
import json
import pathlib
import shutil
from typing import Any

import jax
import numpy as np
import safetensors.numpy

from maskjax.gan import (
  discriminator,
  kinds,
  model as model_lib,
  restore,
  snapshots,
)
from maskjax.training import checkpoint, files, settings
from maskjax.weights import json_files

CONFIG = 'config.json'
_FORMAT = 'maskjax.gan'
# Order of preference where a folder holds several generators.
GENERATORS = snapshots.GENERATORS


def _configs() -> dict[str, Any]:
  """Return the configs of networks by their names in a config.json."""
  generators = {kind.name: kind.config for kind in kinds.KINDS}
  return {**generators, 'discriminator': discriminator.DiscriminatorConfig}


def to_json(config: model_lib.Config) -> dict[str, Any]:
  """Return a network's config as JSON values."""
  kind = next(k for k, own in _configs().items() if isinstance(config, own))
  values: Any = dataclasses.asdict(config)  # type: ignore[call-overload]
  return {'kind': kind, **json.loads(json.dumps(values))}


def from_json(values: Mapping[str, Any], *, where: str = CONFIG) -> Any:
  """Return the config that `to_json` wrote.

  Args:
    values: JSON values.
    where: the file, for errors.

  Raises:
    ValueError: an unknown kind or entry, or a value out of range.
  """
  values, configs = dict(values), _configs()
  kind = values.pop('kind', None)
  if not isinstance(kind, str) or kind not in configs:
    raise ValueError(f'{where}: kind {kind!r} is not one of {list(configs)}')
  try:
    return settings.read(configs[kind], values)
  except ValueError as error:
    raise ValueError(f'{where}: {error}') from error


def save(folder: files.PathLike, models: Mapping[str, model_lib.Model]) -> None:
  """Write networks to a folder.

  Args:
    folder: made when missing.
    models: by name, 'G_ema', 'G' or 'D'.
  """
  folder = pathlib.Path(folder)
  for name, model in models.items():
    checkpoint.save(folder / name, 0, dict(model.variables))
  _write_config(folder, models)


def _write_config(
  folder: pathlib.Path, models: Mapping[str, model_lib.Model]
) -> None:
  """Write what the networks of a folder are."""
  networks = {name: to_json(m.module.config) for name, m in models.items()}
  files.write_json(folder / CONFIG, {'format': _FORMAT, 'networks': networks})


def pack(folder: files.PathLike, models: Mapping[str, model_lib.Model]) -> None:
  """Write networks to a folder in half precision, a file each.

  Args:
    folder: made when missing.
    models: see `save`.

  Raises:
    ValueError: numbers too large for half precision.
  """
  folder = pathlib.Path(folder)
  for name, model in models.items():
    state = {}
    for key, value in restore.export(model).items():
      value = np.asarray(jax.device_get(value))
      with np.errstate(over='ignore'):  # Refused below.
        half = np.ascontiguousarray(value, np.float16)
      state[key] = half.reshape(value.shape)
      if not np.isfinite(state[key]).all():
        raise ValueError(f'{name}: {key} is too large for half precision')
    with files.replacing(folder / f'{name}.safetensors') as temporary:
      safetensors.numpy.save_file(state, temporary)
  _write_config(folder, models)


def _unpack(path: pathlib.Path, config: model_lib.Config) -> model_lib.Model:
  """Read a network that `pack` wrote."""
  state = {
    k: v.astype(np.float32) for k, v in snapshots.read_state(path).items()
  }
  with snapshots.located(path, path.stem):
    return restore.restore(config, state)


def _read_config(folder: pathlib.Path) -> dict[str, Any]:
  """Read which networks a folder holds."""
  path = folder / CONFIG
  if not path.is_file():
    raise FileNotFoundError(
      f'no {CONFIG} in {folder}; make it by '
      'python -m experiments.import_checkpoint'
    )
  try:
    content = json_files.read(path)
    if content['format'] != _FORMAT:
      raise ValueError(f'format is {content["format"]!r}, not {_FORMAT!r}')
    networks = content['networks']
    for name, values in networks.items():
      # Files are looked for under these names.
      if name not in snapshots.NETWORKS or not isinstance(values, dict):
        raise ValueError(f'{name[:80]!r} is none of {snapshots.NETWORKS}')
    return networks
  except (AttributeError, KeyError, TypeError, ValueError) as error:
    raise ValueError(f'{path} describes no networks: {error}') from error


def load(folder: files.PathLike, name: str | None = None) -> model_lib.Model:
  """Read a network from a folder.

  Args:
    folder: that `save` or `pack` wrote.
    name: of the network; None for the averaged generator, or the generator.

  Raises:
    FileNotFoundError: no such folder.
    ValueError: no such network, or damaged files.
  """
  folder = pathlib.Path(folder)
  networks = _read_config(folder)
  if name is None:
    name = next((n for n in GENERATORS if n in networks), 'G')
  if name not in networks:
    raise ValueError(f'{folder} has no network {name}, only {list(networks)}')
  where = f'{folder / CONFIG}: {name}'
  config = from_json(networks[name], where=where)
  packed = folder / f'{name}.safetensors'
  if packed.is_file():
    return _unpack(packed, config)
  template = model_lib.variable_shapes(config)
  variables = checkpoint.restore(folder / name, dict(template))
  return model_lib.Model(config.build(), variables)


def copy(folder: files.PathLike, target: files.PathLike) -> None:
  """Copy networks, and what lies beside them, to another folder.

  Args:
    folder: that `save` or `pack` wrote.
    target: must not exist.

  Raises:
    FileNotFoundError: no such folder.
    ValueError: it describes no networks.
  """
  folder, target = pathlib.Path(folder), pathlib.Path(target)
  names = _read_config(folder)
  target.mkdir(parents=True)
  for path in folder.iterdir():
    if path.is_dir() and path.name in names:
      shutil.copytree(path, target / path.name)
    elif path.is_file():
      shutil.copyfile(path, target / path.name)


def load_all(folder: files.PathLike) -> dict[str, model_lib.Model]:
  """Read all networks of a folder."""
  names = _read_config(pathlib.Path(folder))
  return {name: load(folder, name) for name in names}
