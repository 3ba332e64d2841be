"""Networks brought here from files of the reference, and back.

Sources are folders of `checkpoints` and files of `snapshots`; which of the two
a path is, is seen from the path.

Raises one-line ValueErrors throughout.
"""

from collections.abc import Mapping, Sequence
import os
import pathlib
from typing import Any

from maskjax.gan import checkpoints, model as model_lib, snapshots
from maskjax.training import files
from maskjax.weights import json_files


def read_options(
  preset: str | None, path: str | os.PathLike | None
) -> dict[str, Any] | None:
  """Read how a plain state is rendered, which it does not say itself.

  Args:
    preset: a name of `snapshots.PRESETS`; None for none.
    path: JSON file with rendering_kwargs, which goes before a preset.

  Returns:
    Options of `snapshots.read_reference`; None where neither is given.

  Raises:
    ValueError: the file is not JSON.
  """
  if path is None:
    return snapshots.PRESETS[preset] if preset else None
  return json_files.read(path)


def load_generator(
  path: str | os.PathLike, name: str | None = None
) -> model_lib.Model:
  """Read a generator from a folder of ours or a file of the reference.

  Args:
    path: folder or file.
    name: 'G_ema' or 'G'; None for the first of them that there is.

  Raises:
    FileNotFoundError: no such file.
    ValueError: no such network, or damaged files.
  """
  path = pathlib.Path(path)
  if path.is_dir():
    return checkpoints.load(path, name)
  models = snapshots.read_reference(path)
  names = [name] if name else checkpoints.GENERATORS
  for each in names:
    if each in models:
      return models[each]
  raise ValueError(f'{path} has no {names[0]}, only {", ".join(models)}')


def convert(
  source: files.PathLike,
  target: files.PathLike,
  *,
  options: Mapping[str, Any] | None = None,
  networks: Sequence[str] = (),
) -> dict[str, model_lib.Model]:
  """Write the networks of a file as a folder, or those of a folder as a file.

  Args:
    source: a file of the reference, or a folder of ours.
    target: folder; or file, `.npz` or `.safetensors`, where the source is a
      folder.
    options: rendering_kwargs of a plain state, see `read_options`.
    networks: of G_ema, G and D, those to take; all there are if empty.

  Returns:
    The networks, by name.

  Raises:
    FileNotFoundError: no such source.
    ValueError: a network that is not there, or damaged files.
  """
  source = pathlib.Path(source)
  if unknown := [name for name in networks if name not in snapshots.NETWORKS]:
    names = ', '.join(snapshots.NETWORKS)
    raise ValueError(f'{source} has no {unknown[0]}, only {names}')
  if source.is_dir():
    models = checkpoints.load_all(source)
  else:
    models = snapshots.read_reference(source, options=options)
  if missing := [name for name in networks if name not in models]:
    raise ValueError(f'{source} has no {missing[0]}, only {", ".join(models)}')
  models = {name: models[name] for name in networks or models}
  if source.is_dir():
    snapshots.write_reference(target, models)
  else:
    checkpoints.save(target, models)
  return models
