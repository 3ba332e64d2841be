"""Loads and saves one network of a model folder, whatever network it is."""

from collections.abc import Mapping
import os
from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp

from maskjax.diffusion import clip, controlnet, unet, vae
from maskjax.weights import diffusers_folder


class _Kind(NamedTuple):
  """What a class name in config.json stands for."""

  config: Any
  module: Any
  shapes: Any


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
    name = (values.get('architectures') or [None])[0]
  if name is None and values.get('model_type') == 'clip_text_model':
    name = 'CLIPTextModel'
  if name not in _KINDS:
    raise ValueError(
      f'config.json names the class {name!r}; only {sorted(_KINDS)} can be '
      'loaded'
    )
  return _KINDS[name]


def load(folder: str | os.PathLike, *, dtype: Any = jnp.float32) -> Component:
  """Load a network from its folder.

  Args:
    folder: with config.json and a safetensors file, e.g. model/unet.
    dtype: type the network computes in; its parameters are float32.

  Raises:
    ValueError: the folder is missing or broken, or the network is not one of
      this package's.
  """
  values = diffusers_folder.read_config(folder)
  try:
    kind = _kind(values)
    config = kind.config.from_dict(values)
  except ValueError as error:
    raise ValueError(f'{folder}: {error}') from error
  _, params = diffusers_folder.read_component(
    folder, shapes=lambda _: kind.shapes(config)
  )
  return Component(kind.module(config, dtype), params)


def save(
  folder: str | os.PathLike,
  module: nn.Module,
  params: Mapping[str, Any],
  *,
  dtype: str = 'float32',
) -> None:
  """Save a network to a folder that PyTorch's `from_pretrained` opens.

  Args:
    folder: made where it is missing.
    module: one of this package's networks.
    params: its parameters.
    dtype: 'float16' or 'float32'.

  Raises:
    ValueError: another dtype, or a parameter that is not finite in it.
  """
  diffusers_folder.write_component(
    folder, module.config.to_dict(), params, dtype=dtype
  )
