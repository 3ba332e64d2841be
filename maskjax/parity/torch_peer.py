"""The same networks in PyTorch, and how far ours are from them.

Needs the packages of the extra `parity`, which are imported when used.
"""

import pathlib
from typing import Any
import warnings

import numpy as np

from maskjax.diffusion import component
from maskjax.weights import tensor_files


def libraries() -> tuple[Any, Any, Any]:
  """Import PyTorch, diffusers and transformers, and quiet them.

  Raises:
    ValueError: one of them is not installed.
  """
  try:
    with warnings.catch_warnings():
      warnings.simplefilter('ignore')
      import diffusers
      import torch
      import transformers
  except ImportError as error:
    raise ValueError(
      f'this compares with PyTorch, but {error.name} is not installed; '
      'pip install "maskjax[parity]"'
    ) from error
  for library in (diffusers, transformers):
    library.utils.logging.set_verbosity_error()
    library.utils.logging.disable_progress_bar()
  return torch, diffusers, transformers


def relative_l2(ours: Any, theirs: Any) -> float:
  """Return |ours - theirs| / |theirs|, or |ours| where theirs are all zero.

  Args:
    ours: an array.
    theirs: an array or a tensor of the same shape.

  Raises:
    ValueError: the shapes differ.
  """
  ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
  if ours.shape != theirs.shape:
    raise ValueError(f'shape {ours.shape}, but {theirs.shape} in PyTorch')
  difference, size = np.linalg.norm(ours - theirs), np.linalg.norm(theirs)
  return float(difference / size if size else difference)


def to_torch(x: np.ndarray) -> Any:
  """Return a channels-last array as a channels-first tensor."""
  return libraries()[0].from_numpy(np.moveaxis(x, -1, 1).copy())


def from_torch(x: Any) -> np.ndarray:
  """Return a channels-first tensor as a channels-last array."""
  return np.moveaxis(x.detach().numpy(), 1, -1)


def open_network(folder: pathlib.Path, variant: str | None) -> Any:
  """Open a network's folder in PyTorch, in float32.

  Args:
    folder: with config.json and safetensors files.
    variant: of the weights, e.g. 'fp16'; None for full precision.

  Returns:
    The module, in evaluation mode.

  Raises:
    ValueError: PyTorch does not open it, or finds parameters missing.
  """
  _, diffusers, transformers = libraries()
  values = component.read_config(folder).to_dict()
  name = values.get('_class_name', 'CLIPTextModel')
  library = diffusers if '_class_name' in values else transformers
  try:
    with warnings.catch_warnings():
      warnings.simplefilter('ignore')
      network, report = getattr(library, name).from_pretrained(
        folder,
        variant=tensor_files.locate(folder, variant).variant,
        local_files_only=True,
        output_loading_info=True,
      )
  except Exception as error:  # Whatever the libraries raise.
    raise ValueError(f'{folder}: PyTorch cannot open it: {error}') from error
  if missing := sorted(report['missing_keys']):
    raise ValueError(f'{folder}: PyTorch finds no {missing[0]}')
  return network.float().eval()


def refill(network: Any, seed: int) -> dict[str, np.ndarray]:
  """Make weights that are all zero random, or nothing behind them is compared.

  Args:
    network: PyTorch's; changed in place.
    seed: of the numbers.

  Returns:
    The new weights under PyTorch's keys; untrained ControlNets have some.
  """
  torch = libraries()[0]
  rng = np.random.default_rng(seed)
  filled = {}
  for name, parameter in network.named_parameters():
    if parameter.ndim > 1 and not parameter.any():
      value = rng.standard_normal(tuple(parameter.shape), np.float32)
      filled[name] = value / np.float32(np.prod(value.shape[1:])) ** 0.5
      with torch.no_grad():
        parameter.copy_(torch.from_numpy(filled[name]))
  return filled
