"""Reading and writing one component folder of a diffusers model.

A component is a folder with config.json and weights in safetensors files, as
PyTorch diffusers and transformers write and open it (see `tensor_files`).
"""

from collections.abc import Callable, Mapping
import json
import os
import pathlib
from typing import Any

from maskjax.weights import json_files, keymap, tensor_files


def read_config(folder: str | os.PathLike) -> dict[str, Any]:
  """Read the config.json of a component folder.

  Args:
    folder: of the component.

  Returns:
    The file's content.

  Raises:
    ValueError: no such folder or file, or not a JSON object.
  """
  folder = pathlib.Path(folder)
  path = folder / 'config.json'
  if not folder.is_dir():
    raise ValueError(f'{folder}: no such folder; expected a model component')
  if not path.is_file():
    raise ValueError(f'{folder}: no config.json; not a model component')
  return json_files.read(path)


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
  variant: str | None = None,
) -> tuple[dict[str, Any], dict[str, Any]]:
  """Read a component folder, one tensor after the other.

  Args:
    folder: with config.json and safetensors files.
    shapes: makes the expected parameters' shapes from the config; without
      it the parameters are not checked.
    dtype: 'float32', 'float16' or 'bfloat16', the type of the returned
      floats; None keeps the file's.
    variant: of the weights, e.g. 'fp16'; None takes those in full precision,
      and where there are none those in half precision.

  Returns:
    The content of config.json, and the parameters as NumPy arrays under this
    package's names.

  Raises:
    ValueError: the folder is missing or broken, the parameters do not fit
      the config, or a number is not finite in the type.
  """
  config = read_config(folder)
  weights = tensor_files.locate(folder, variant)

  tensors = (
    (key, tensor_files.cast(key, value, dtype))
    for path in weights.paths
    for key, value in tensor_files.read(path)
  )
  try:
    params = keymap.from_torch(tensors)
  except ValueError as error:
    raise ValueError(f'{folder}: {error}') from error
  if shapes is not None:
    check_params(params, shapes(config), str(folder))
  return config, params


def write_component(
  folder: str | os.PathLike,
  config: Mapping[str, Any],
  params: Mapping[str, Any],
  *,
  dtype: str = 'float32',
  max_shard_size: int | str = '10GB',
) -> None:
  """Write a component folder that PyTorch opens with `from_pretrained`.

  Args:
    folder: made where it is missing.
    config: content of config.json; `_class_name` in it makes a diffusers
      component, its absence one of transformers.
    params: tree of arrays under this package's names.
    dtype: 'float32', 'float16' or 'bfloat16'.
    max_shard_size: bytes, or e.g. '5GB'; larger weights are split into files
      of at most this size, with an index.

  Raises:
    ValueError: another dtype, or a parameter that is not finite in it; the
      folder is left as it was.
  """
  text = json.dumps(dict(config), indent=2, sort_keys=True) + '\n'
  tensor_files.write(
    folder,
    tensor_files.STEMS['_class_name' not in config],
    keymap.to_torch(params),
    texts={'config.json': text},
    dtype=dtype,
    max_shard_size=max_shard_size,
  )
