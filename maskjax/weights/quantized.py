"""Reading weights of which some are kept as bytes.

A safetensors file whose metadata entry `quantization` gives [scale, minimum]
of each array of bytes: its numbers are minimum + scale * byte.
"""

import os
from typing import Any

from flax import traverse_util
import numpy as np
from safetensors import safe_open

from maskjax.weights import json_files, pointers


def read(path: str | os.PathLike) -> dict[str, Any]:
  """Read a tree of parameters.

  Args:
    path: the safetensors file; '/' in names separates levels of the tree.

  Returns:
    A tree of float32 arrays.

  Raises:
    OSError: there is no such file.
    ValueError: bytes without a scale.
  """
  arrays = {}
  pointers.refuse(path)
  with safe_open(path, 'np') as file:
    text = (file.metadata() or {}).get('quantization', '{}')
    scales = json_files.parse(text, f'{path}: quantization')
    for name in file.keys():  # noqa: SIM118, it is no dict
      array = file.get_tensor(name)
      if array.dtype == np.uint8:
        if name not in scales:
          raise ValueError(f'{path}: no scale for the bytes of {name}')
        scale, minimum = scales[name]
        array = minimum + scale * array.astype(np.float64)
      arrays[name] = array.astype(np.float32)
  return traverse_util.unflatten_dict(arrays, sep='/')
