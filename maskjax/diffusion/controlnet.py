"""ControlNet: steers a UNet by an image, e.g. of normals, depth or a sketch.

A copy of the UNet's down and middle blocks sees the sample plus an embedded
condition; what it finds is added to the UNet's skips through convolutions
that start from zero. Parameters map one to one onto PyTorch diffusers'
ControlNetModel.

Shapes: B batch, H W pixels of the sample, P Q pixels of the condition, C
channels, T D text tokens and their size. Follows Zhang et al., "Adding
Conditional Control to Text-to-Image Diffusion Models", ICCV 2023.
"""

from collections.abc import Mapping
import dataclasses
import itertools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Num

from maskjax.diffusion import (
  config as config_lib,
  embedding as embedding_lib,
  layers,
  unet,
  unet_blocks,
)
from maskjax.training import settings as settings_lib

_FIXED = {**unet_blocks.FIXED, 'global_pool_conditions': False}

_number = settings_lib.number


@dataclasses.dataclass(frozen=True, kw_only=True)
class ControlNetConfig(unet_blocks.BlocksConfig):
  """Keys of controlnet/config.json; defaults are those of PyTorch diffusers.

  A ControlNet's timestep embedding is 4 times as wide as its first block, and
  it takes no embedded guidance scale.

  Attributes:
    conditioning_channels: channels of the condition image.
    conditioning_embedding_out_channels: widths of the condition's embedding;
      n entries halve the condition's size n - 1 times, which has to bring it
      to the size of the sample.
    controlnet_conditioning_channel_order: 'rgb', or 'bgr' to reverse the
      condition's channels.
  """

  conditioning_channels: int = _number(1, 4096, default=3)
  conditioning_embedding_out_channels: tuple[int, ...] = _number(
    1, 2**14, most=16, default=(16, 32, 96, 256)
  )
  controlnet_conditioning_channel_order: str = 'rgb'

  def __post_init__(self):
    unet_blocks.check(self)
    config_lib.check_choice(
      'controlnet_conditioning_channel_order',
      self.controlnet_conditioning_channel_order,
      ('rgb', 'bgr'),
    )
    if not self.conditioning_embedding_out_channels:
      raise ValueError(
        'conditioning_embedding_out_channels is empty; give one width for a '
        'condition of the size of the sample, one more for each halving'
      )

  @classmethod
  def from_dict(cls, values: Mapping[str, Any]) -> 'ControlNetConfig':
    """Read the content of controlnet/config.json.

    Raises:
      ValueError: a key has a value that this network does not support.
    """
    return config_lib.parse(
      cls, values, fixed=_FIXED, ignored=unet_blocks.IGNORED
    )

  @classmethod
  def from_unet(
    cls, config: unet.UNetConfig, **values: Any
  ) -> 'ControlNetConfig':
    """Return the config of a ControlNet for a UNet.

    Args:
      config: of the UNet to steer.
      **values: fields of this class, e.g. conditioning_channels.
    """
    shared = {
      field.name: getattr(config, field.name)
      for field in dataclasses.fields(unet_blocks.BlocksConfig)
    }
    return cls(**(shared | values))

  def to_dict(self) -> dict[str, Any]:
    """Return the content of controlnet/config.json."""
    return config_lib.dump(self, 'ControlNetModel')


class ConditionEmbedding(nn.Module):
  """Convolutions that bring the condition to the size of the sample."""

  config: ControlNetConfig
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self, condition: Float[Array, 'b p q k']
  ) -> Float[Array, 'b h w c']:
    """Return what is added to the output of conv_in."""
    widths = self.config.conditioning_embedding_out_channels
    conv = lambda features, name, **options: layers.Conv(
      features, dtype=self.dtype, name=name, **options
    )
    x = nn.silu(conv(widths[0], 'conv_in')(condition))
    for i, (narrow, wide) in enumerate(itertools.pairwise(widths)):
      x = nn.silu(conv(narrow, f'blocks_{2 * i}')(x))
      x = nn.silu(conv(wide, f'blocks_{2 * i + 1}', stride=2)(x))
    features = self.config.block_out_channels[0]
    return conv(features, 'conv_out', zero=True)(x)


class ControlNetModel(nn.Module):
  """Computes what a condition image adds to a UNet's skips.

  Attributes are those of `unet.UNet2DConditionModel`.
  """

  config: ControlNetConfig
  dtype: Any = jnp.float32
  remat: bool = False

  def _embed_condition(
    self, condition: Float[Array, 'b p q k'], shape: tuple[int, ...]
  ) -> Float[Array, 'b h w c']:
    """Embed the condition and check its size."""
    config = self.config
    if condition.shape[-1] != config.conditioning_channels:
      raise ValueError(
        f'a condition of {condition.shape[-1]} channels, but the ControlNet '
        f'takes conditioning_channels={config.conditioning_channels}'
      )
    if config.controlnet_conditioning_channel_order == 'bgr':
      condition = condition[..., ::-1]
    out = ConditionEmbedding(
      config, self.dtype, name='controlnet_cond_embedding'
    )(condition)
    if out.shape[1:3] != shape[1:3]:
      factor = 2 ** (len(config.conditioning_embedding_out_channels) - 1)
      raise ValueError(
        f'a condition of {condition.shape[1:3]} pixels for a sample of '
        f'{shape[1:3]}; this ControlNet needs {factor} times its size'
      )
    return out

  @nn.compact
  def __call__(
    self,
    sample: Float[Array, 'b h w c'],
    timesteps: Num[Array, '*b'] | float,
    text: Float[Array, 'b t d'],
    condition: Float[Array, 'b p q k'],
    conditioning_scale: float | Float[Array, ''] = 1.0,
    *,
    class_labels: Num[Array, 'b ...'] | None = None,
  ) -> tuple[unet_blocks.Skips, Float[Array, 'b i j f']]:
    """Compute the residuals of a condition.

    Args:
      sample: noisy sample, as the UNet receives it.
      timesteps: one, or one for each sample.
      text: text tokens, of size `cross_attention_dim`.
      condition: image in the range the ControlNet was trained on ([0, 1] for
        published ones).
      conditioning_scale: factor on all residuals; 0 switches them off.
      class_labels: where the network takes them, see
        `embedding.class_labels`.

    Returns:
      `down_residuals`, `mid_residual`: as the UNet takes them.

    Raises:
      ValueError: the condition's size or channels do not fit.
    """
    config = self.config
    text = text.astype(self.dtype)
    embedding = embedding_lib.embed(
      config, timesteps, sample.shape[0], self.dtype, labels=class_labels
    )
    x = layers.Conv(
      config.block_out_channels[0], dtype=self.dtype, name='conv_in'
    )(sample)
    x = x + self._embed_condition(condition, x.shape)
    x, skips = unet_blocks.encode(
      config, x, embedding, text, self.dtype, remat=self.remat
    )

    def residual(value, name):
      conv = layers.Conv(
        value.shape[-1], 1, zero=True, dtype=self.dtype, name=name
      )
      return conv(value) * jnp.asarray(conditioning_scale, self.dtype)

    down_residuals = tuple(
      residual(skip, f'controlnet_down_blocks_{i}')
      for i, skip in enumerate(skips)
    )
    return down_residuals, residual(x, 'controlnet_mid_block')


def copy_unet(
  params: Mapping[str, Any], unet_params: Mapping[str, Any]
) -> dict[str, Any]:
  """Return a ControlNet's parameters with the UNet's where both have them.

  Args:
    params: of a new ControlNet whose config is `from_unet` of the UNet's.
    unet_params: of the UNet.
  """
  shared = [name for name in params if name in unet_params]
  return {**params, **{name: unet_params[name] for name in shared}}


def parameter_shapes(config: ControlNetConfig) -> dict[str, Any]:
  """Return the parameters' tree with shapes in place of arrays."""
  size = 2 ** (len(config.block_out_channels) - 1)
  side = size * 2 ** (len(config.conditioning_embedding_out_channels) - 1)
  return jax.eval_shape(
    ControlNetModel(config).init,
    jax.random.key(0),
    jnp.zeros((1, size, size, config.in_channels)),
    jnp.zeros((1,), jnp.int32),
    jnp.zeros((1, 1, config.cross_attention_dim)),
    jnp.zeros((1, side, side, config.conditioning_channels)),
    class_labels=embedding_lib.class_labels(config, 1),
  )['params']
