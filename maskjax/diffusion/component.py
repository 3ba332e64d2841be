"""Loading and saving one network of a model folder, whatever network it is."""

from collections.abc import Callable, Mapping
import functools
import os
from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp

from maskjax.diffusion import clip, controlnet, unet, vae
from maskjax.training import settings
from maskjax.weights import diffusers_folder


class _Kind(NamedTuple):
  """What a class name in config.json stands for.

  Attributes:
    config: class of the network's config.
    module: class of the network, made of a config and a type to compute in.
    shapes: returns the parameters' shapes of a config.
  """

  config: Any
  module: Callable[..., nn.Module]
  shapes: Callable[..., dict[str, Any]]


_KINDS = {
  'AutoencoderKL': _Kind(
    vae.VaeConfig, vae.AutoencoderKL, vae.parameter_shapes
  ),
  'UNet2DConditionModel': _Kind(
    unet.UNetConfig, unet.UNet2DConditionModel, unet.parameter_shapes
  ),
  'ControlNetModel': _Kind(
    controlnet.ControlNetConfig,
    controlnet.ControlNetModel,
    controlnet.parameter_shapes,
  ),
  'CLIPTextModel': _Kind(
    clip.ClipTextConfig, clip.CLIPTextModel, clip.parameter_shapes
  ),
}


class Component(NamedTuple):
  """A network and its parameters."""

  module: nn.Module
  params: dict[str, Any]


def _kind(values: Mapping[str, Any]) -> _Kind:
  """Return the kind of network that a config.json describes."""
  name = values.get('_class_name')
  if name is None:
    names = values.get('architectures')
    name = names[0] if isinstance(names, list) and names else None
  if name is None and values.get('model_type') == 'clip_text_model':
    name = 'CLIPTextModel'
  # Networks trained in Flax and saved for PyTorch keep their first name.
  kind = _KINDS.get(str(name).removeprefix('Flax'))
  if kind is None:
    raise ValueError(
      f'config.json names the class {settings.shown(name)}; only '
      f'{sorted(_KINDS)} can be loaded'
    )
  return kind


@functools.lru_cache(maxsize=8)
def _shapes(config: Any) -> dict[str, Any]:
  """Return the parameters' shapes of a config; each is traced once."""
  kind = next(k for k in _KINDS.values() if isinstance(config, k.config))
  return kind.shapes(config)


def _to_device(tree: dict[str, Any]) -> dict[str, Any]:
  """Put a tree's arrays on the device, letting go of one after the other."""
  for name, value in tree.items():
    tree[name] = (
      _to_device(value) if isinstance(value, dict) else jnp.asarray(value)
    )
  return tree


def read_config(folder: str | os.PathLike) -> Any:
  """Read a network's config.json.

  Args:
    folder: of the network, e.g. model/unet.

  Returns:
    A UNetConfig, ControlNetConfig, VaeConfig or ClipTextConfig.

  Raises:
    ValueError: the folder or the file is missing or broken, the network is
      none of this package's, or a field has a value that is not supported.
  """
  values = diffusers_folder.read_config(folder)
  try:
    return _kind(values).config.from_dict(values)
  except ValueError as error:
    raise ValueError(f'{folder}: {error}') from error


def load(
  folder: str | os.PathLike,
  *,
  dtype: Any = jnp.float32,
  param_dtype: str | None = 'float32',
  variant: str | None = None,
) -> Component:
  """Load a network from its folder, one tensor after the other.

  Args:
    folder: with config.json and safetensors files, e.g. model/unet.
    dtype: type the network computes in.
    param_dtype: type its parameters are kept in: 'float32', 'float16' or
      'bfloat16'; None for the one they have in the file.
    variant: of the weights, e.g. 'fp16'; None takes those in full precision,
      or where there are none those in half precision.

  Returns:
    The network, and its parameters on the device.

  Raises:
    ValueError: the folder is missing or broken, or the network is not one of
      this package's.
  """
  config = read_config(folder)
  kind = next(k for k in _KINDS.values() if isinstance(config, k.config))
  _, params = diffusers_folder.read_component(
    folder,
    shapes=lambda _: _shapes(config),
    dtype=param_dtype,
    variant=variant,
  )
  return Component(kind.module(config, dtype), _to_device(params))


def save(
  folder: str | os.PathLike,
  module: nn.Module,
  params: Mapping[str, Any],
  *,
  dtype: str = 'float32',
  max_shard_size: int | str = '10GB',
) -> None:
  """Save a network to a folder that PyTorch's `from_pretrained` opens.

  Args:
    folder: made where it is missing.
    module: one of this package's networks.
    params: the network's parameters, a tree of arrays.
    dtype: 'float32', 'float16' or 'bfloat16'.
    max_shard_size: bytes, or e.g. '5GB'; larger weights are split.

  Raises:
    ValueError: another dtype, or a parameter that is not finite in it.
  """
  diffusers_folder.write_component(
    folder,
    module.config.to_dict(),
    params,
    dtype=dtype,
    max_shard_size=max_shard_size,
  )
