"""Reads and writes one component folder of a diffusers model.

A component is a folder with config.json and one safetensors file, as PyTorch
diffusers (diffusion_pytorch_model.safetensors) and transformers
(model.safetensors) write and open it.
"""

from collections.abc import Callable, Mapping
import json
import os
import pathlib
from typing import Any

import ml_dtypes  # noqa: F401  (makes NumPy know bfloat16)
import numpy as np
import safetensors
import safetensors.numpy

from maskjax.weights import keymap

_DIFFUSERS_FILE = 'diffusion_pytorch_model.safetensors'
_TRANSFORMERS_FILE = 'model.safetensors'
_DTYPES = ('float16', 'float32')


def read_config(folder: str | os.PathLike) -> dict[str, Any]:
  """Read the config.json of a component folder.

  Raises:
    ValueError: no such folder or file, or not a JSON object.
  """
  folder = pathlib.Path(folder)
  path = folder / 'config.json'
  if not folder.is_dir():
    raise ValueError(f'{folder}: no such folder; expected a model component')
  if not path.is_file():
    raise ValueError(f'{folder}: no config.json; not a model component')
  try:
    config = json.loads(path.read_text(encoding='utf-8'))
  except ValueError as error:
    raise ValueError(f'{path}: not valid JSON ({error})') from error
  if not isinstance(config, dict):
    raise ValueError(f'{path}: holds no JSON object')
  return config


def _find_weights(folder: pathlib.Path) -> pathlib.Path:
  """Return the safetensors file of a folder, full precision first."""
  for name in (_DIFFUSERS_FILE, _TRANSFORMERS_FILE):
    for path in (
      folder / name,
      (folder / name).with_suffix('.fp16.safetensors'),
    ):
      if path.is_file():
        return path
  hint = ''
  if list(folder.glob('*.bin')):
    hint = '; save the .bin file anew with safe_serialization=True'
  raise ValueError(
    f'{folder}: no {_DIFFUSERS_FILE} or {_TRANSFORMERS_FILE}{hint}'
  )


def _summary(names: list[str]) -> str:
  """List the first names and how many more there are."""
  more = f' and {len(names) - 3} more' if len(names) > 3 else ''
  return ', '.join(names[:3]) + more


def check_params(
  params: Mapping[str, Any], shapes: Mapping[str, Any], source: str
) -> None:
  """Check that parameters are those a network has, no more and no less.

  Args:
    params: tree of arrays.
    shapes: tree of anything with a shape, e.g. from `jax.eval_shape`.
    source: where the parameters are from, to begin the message with.

  Raises:
    ValueError: names what is missing, unused, or of another shape.
  """
  found = {keymap.torch_key(path): v for path, v in keymap.walk(params)}
  wanted = {keymap.torch_key(path): v for path, v in keymap.walk(shapes)}
  problems = []
  if missing := [name for name in wanted if name not in found]:
    problems.append(f'{len(missing)} missing ({_summary(missing)})')
  if unused := [name for name in found if name not in wanted]:
    problems.append(f'{len(unused)} unused ({_summary(unused)})')
  wrong = [
    f'{name} is {found[name].shape}, not {wanted[name].shape}'
    for name in wanted
    if name in found and found[name].shape != wanted[name].shape
  ]
  if wrong:
    problems.append(f'{len(wrong)} of another shape ({_summary(wrong)})')
  if problems:
    raise ValueError(
      f'{source}: parameters do not fit config.json: {"; ".join(problems)}'
    )


def read_component(
  folder: str | os.PathLike,
  *,
  shapes: Callable[[dict[str, Any]], Mapping[str, Any]] | None = None,
  dtype: str | None = 'float32',
) -> tuple[dict[str, Any], dict[str, Any]]:
  """Read a component folder.

  Args:
    folder: with config.json and a safetensors file.
    shapes: makes the expected parameters' shapes from the config; without
      it the parameters are not checked.
    dtype: type of the returned floats; None keeps the file's.

  Returns:
    The content of config.json, and the parameters as NumPy arrays under this
    package's names.

  Raises:
    ValueError: the folder is missing or broken, or the parameters do not fit
      the config.
  """
  folder = pathlib.Path(folder)
  config = read_config(folder)
  path = _find_weights(folder)
  try:
    tensors = safetensors.numpy.load_file(path)
  except (safetensors.SafetensorError, OSError) as error:
    raise ValueError(
      f'{path}: not a whole safetensors file ({error}); copy it again'
    ) from error
  if dtype is not None:
    tensors = {
      key: value if value.dtype.kind in 'iub' else value.astype(dtype)
      for key, value in tensors.items()
    }
  params = keymap.from_torch(tensors)
  if shapes is not None:
    check_params(params, shapes(config), str(path))
  return config, params


def _convert(
  tensors: Mapping[str, np.ndarray], dtype: str
) -> dict[str, np.ndarray]:
  """Cast tensors; refuses what the type cannot hold."""
  converted = {}
  for key, value in tensors.items():
    with np.errstate(over='ignore'):
      converted[key] = value.astype(dtype)
    if not np.isfinite(converted[key]).all():
      raise ValueError(
        f'{key} is not finite as {dtype}; '
        + ('write float32' if np.isfinite(value).all() else 'nothing written')
      )
  return converted


def _replace_files(folder: pathlib.Path, files: Mapping[str, bytes]) -> None:
  """Write files under temporary names, then renames them all."""
  folder.mkdir(parents=True, exist_ok=True)
  temporary = {name: folder / f'.{name}.{os.getpid()}.tmp' for name in files}
  try:
    for name, content in files.items():
      with temporary[name].open('wb') as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    for name, path in temporary.items():
      path.replace(folder / name)
  finally:
    for path in temporary.values():
      path.unlink(missing_ok=True)


def write_component(
  folder: str | os.PathLike,
  config: Mapping[str, Any],
  params: Mapping[str, Any],
  *,
  dtype: str = 'float32',
) -> None:
  """Write a component folder that PyTorch opens with `from_pretrained`.

  A reader sees either the old files or whole new ones.

  Args:
    folder: made where it is missing.
    config: content of config.json; `_class_name` in it makes a diffusers
      component, its absence one of transformers.
    params: tree of arrays under this package's names.
    dtype: 'float16' or 'float32'.

  Raises:
    ValueError: another dtype, or a parameter that is not finite in it.
  """
  if dtype not in _DTYPES:
    raise ValueError(f'dtype={dtype!r} is not supported, only {_DTYPES} are')
  tensors = _convert(keymap.to_torch(params), dtype)
  name = _DIFFUSERS_FILE if '_class_name' in config else _TRANSFORMERS_FILE
  text = json.dumps(dict(config), indent=2, sort_keys=True) + '\n'
  _replace_files(
    pathlib.Path(folder),
    {
      name: safetensors.numpy.save(tensors, metadata={'format': 'pt'}),
      'config.json': text.encode('utf-8'),
    },
  )
