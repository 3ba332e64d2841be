"""The safetensors files of a component folder, tensor by tensor.

The names are those PyTorch diffusers and transformers write, `model` standing
for `diffusion_pytorch_model` too:

| file                                  | holds                               |
| ------------------------------------- | ----------------------------------- |
| model.safetensors                     | the weights in full precision       |
| model.fp16.safetensors                | a variant of them                   |
| model.safetensors.index.json          | which of several files holds what   |
| model.safetensors.index.fp16.json     | the same of a variant               |
| model-00001-of-00002.safetensors      | one of these files (a shard)        |

Never is more than one tensor in memory here, whatever the size of the files.
"""

from collections.abc import Iterator, Mapping
import contextlib
import json
import os
import pathlib
import re
import struct
from typing import NamedTuple

import ml_dtypes  # noqa: F401  (makes NumPy know bfloat16)
import numpy as np
import safetensors

from maskjax.training import files
from maskjax.weights import json_files, pointers

STEMS = ('diffusion_pytorch_model', 'model')
# Taken, in this order, where there are no weights in full precision.
_NARROW = ('fp16', 'bf16')
_DTYPES = {'float32': 'F32', 'float16': 'F16', 'bfloat16': 'BF16'}


def _missing(folder: pathlib.Path, variant: str | None) -> ValueError:
  """Say what was looked for and what is there instead."""
  suffix = f'.{variant}.safetensors' if variant else '.safetensors'
  names = ' or '.join(stem + suffix for stem in STEMS)
  hint = ''
  if found := sorted(path.name for path in folder.glob('*.safetensors')):
    hint = f', only {", ".join(found[:3])}; choose another variant'
  elif any(folder.glob('*.bin')):
    hint = '; save the .bin file anew with safe_serialization=True'
  return ValueError(f'{folder}: no {names}{hint}')


def _indexed(index: pathlib.Path) -> list[pathlib.Path]:
  """Return the files that an index names."""
  try:
    names = set(json_files.read(index)['weight_map'].values())
    if outside := [n for n in names if pathlib.Path(n).name != n]:
      raise ValueError(f'{outside[0][:80]!r} is no name of a file beside it')
    paths = sorted(index.with_name(name) for name in names)
  except (AttributeError, KeyError, TypeError, ValueError) as error:
    raise ValueError(
      f'{index}: no index of shards ({error!r}); copy it again'
    ) from error
  if missing := [path.name for path in paths if not path.is_file()]:
    raise ValueError(
      f'{index} names {len(paths)} files, of which {len(missing)} are '
      f'missing ({", ".join(missing[:3])}); copy them too'
    )
  return paths


class Weights(NamedTuple):
  """Which variant was found (None: full precision), and its files."""

  variant: str | None
  paths: list[pathlib.Path]


def locate(folder: str | os.PathLike, variant: str | None = None) -> Weights:
  """Find the files that hold a component's weights.

  Args:
    folder: of the component.
    variant: e.g. 'fp16' or 'non_ema'; None takes the weights in full
      precision, and where there are none those in half precision.

  Raises:
    ValueError: there are no such weights, or a shard is missing.
  """
  folder = pathlib.Path(folder)
  for name in (variant,) if variant else (None, *_NARROW):
    dot = f'.{name}' if name else ''
    for stem in STEMS:
      index = folder / f'{stem}.safetensors.index{dot}.json'
      if index.is_file():
        return Weights(name, _indexed(index))
      single = folder / f'{stem}{dot}.safetensors'
      if single.is_file():
        return Weights(name, [single])
  raise _missing(folder, variant)


def has(folder: str | os.PathLike, variant: str) -> bool:
  """Tell if a folder has weights of a variant.

  Args:
    folder: of the component.
    variant: e.g. 'fp16' or 'non_ema'.
  """
  names = (
    name
    for stem in STEMS
    for name in (
      f'{stem}.{variant}.safetensors',
      f'{stem}.safetensors.index.{variant}.json',
    )
  )
  return any((pathlib.Path(folder) / name).is_file() for name in names)


def read(path: pathlib.Path) -> Iterator[tuple[str, np.ndarray]]:
  """Yield every tensor of a safetensors file under its name.

  Args:
    path: of the file.

  Raises:
    ValueError: it is not a whole safetensors file.
  """
  pointers.refuse(path)
  try:
    with safetensors.safe_open(path, 'np') as file:
      for key in file.keys():  # noqa: SIM118  (it is no dictionary)
        yield key, file.get_tensor(key)
  # Of types that NumPy has no numbers for.
  except (AttributeError, KeyError, TypeError) as error:
    raise ValueError(
      f'{path.name} holds numbers of a type that is not read ({error}); save '
      'it again in float32, float16 or bfloat16'
    ) from error
  except (safetensors.SafetensorError, OSError) as error:
    raise ValueError(
      f'{path.name} is not a whole safetensors file ({error}); copy it again'
    ) from error


def cast(key: str, value: np.ndarray, dtype: str | None) -> np.ndarray:
  """Return a tensor as another type of float; integers stay.

  Args:
    key: the tensor's name, for the error.
    value: the tensor's numbers.
    dtype: 'float32', 'float16' or 'bfloat16'; None for the one it has.

  Raises:
    ValueError: a number is not finite, before or in the new type.
  """
  if value.dtype.kind in 'iub':
    return value
  with np.errstate(over='ignore'):
    converted = value.astype(dtype or value.dtype, copy=False)
  if np.isfinite(converted).all():
    return converted
  if np.isfinite(value).all():
    raise ValueError(
      f'{key} overflows {dtype}: it holds {np.abs(value).max():.3g}; use '
      'float32 or bfloat16'
    )
  hint = ''
  if value.dtype == np.float16:
    hint = ': it overflowed when it was saved; use the weights in float32'
  raise ValueError(f'{key} is not finite as {value.dtype}{hint}')


def _write_file(
  path: pathlib.Path, tensors: Mapping[str, np.ndarray], dtype: str
) -> None:
  """Write one safetensors file, converting one tensor at a time."""
  header: dict = {'__metadata__': {'format': 'pt'}}
  end = 0
  for key, value in tensors.items():
    start, end = end, end + value.size * np.dtype(dtype).itemsize
    header[key] = {
      'dtype': _DTYPES[dtype],
      'shape': list(value.shape),
      'data_offsets': [start, end],
    }
  text = json.dumps(header).encode('utf-8')
  text += b' ' * (-len(text) % 8)
  with path.open('wb') as stream:
    stream.write(struct.pack('<Q', len(text)) + text)
    for key, value in tensors.items():
      stream.write(cast(key, value, dtype).tobytes())
    stream.flush()
    os.fsync(stream.fileno())


def _obsolete(folder: pathlib.Path, stem: str, names: set[str]) -> list:
  """List weights in full precision that other files have taken the place of."""
  pattern = re.compile(
    rf'{stem}(-\d{{5}}-of-\d{{5}})?\.safetensors(\.index\.json)?'
  )
  return [
    path
    for path in folder.iterdir()
    if pattern.fullmatch(path.name) and path.name not in names
  ]


def write(
  folder: str | os.PathLike,
  stem: str,
  tensors: Mapping[str, np.ndarray],
  *,
  texts: Mapping[str, str],
  dtype: str = 'float32',
  max_shard_size: int | str = '10GB',
) -> None:
  """Write a component's weights, and its other files with them.

  Everything is written under temporary names, and renamed when all of it is
  whole. Files of earlier weights that were sharded otherwise are removed.

  Args:
    folder: made where it is missing.
    stem: one of `STEMS`.
    tensors: PyTorch's names and layouts, in the order to write them.
    texts: content of further files by their names.
    dtype: 'float32', 'float16' or 'bfloat16'.
    max_shard_size: bytes, or e.g. '5GB'; larger weights are split.

  Raises:
    ValueError: another dtype, or a number that is not finite in it.
  """
  if dtype not in _DTYPES:
    raise ValueError(
      f'dtype={dtype!r} is not supported, only {", ".join(_DTYPES)} are'
    )
  import huggingface_hub  # not needed for reading

  folder = pathlib.Path(folder)
  folder.mkdir(parents=True, exist_ok=True)
  split = huggingface_hub.split_state_dict_into_shards_factory(
    dict(tensors),
    get_storage_size=lambda value: value.size * np.dtype(dtype).itemsize,
    filename_pattern=f'{stem}{{suffix}}.safetensors',
    max_shard_size=max_shard_size,
  )
  texts = dict(texts)
  if split.is_sharded:
    index = {
      'metadata': split.metadata,
      'weight_map': split.tensor_to_filename,
    }
    texts[f'{stem}.safetensors.index.json'] = (
      json.dumps(index, indent=2, sort_keys=True) + '\n'
    )
  names = [*split.filename_to_tensors, *texts]
  with contextlib.ExitStack() as renamed:
    places = {
      name: renamed.enter_context(files.replacing(folder / name))
      for name in names
    }
    for name, keys in split.filename_to_tensors.items():
      _write_file(places[name], {key: tensors[key] for key in keys}, dtype)
    for name, text in texts.items():
      places[name].write_text(text, encoding='utf-8')
  for path in _obsolete(folder, stem, set(names)):
    path.unlink()
