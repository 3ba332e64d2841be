"""The text-conditioned UNet of Stable Diffusion, and its configuration.

The same module serves every size: Stable Diffusion 1 and 2, inpainting (9
input channels), and small pixel-space models. Parameters map one to one onto
PyTorch diffusers' UNet2DConditionModel.

Shapes: B batch, H W pixels of the sample, C channels, T D text tokens and
their size. Follows Rombach et al., "High-Resolution Image Synthesis with
Latent Diffusion Models", CVPR 2022, section 3.3.
"""

from collections.abc import Mapping
import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Num

from maskjax.diffusion import (
  config as config_lib,
  embedding as embedding_lib,
  layers,
  unet_blocks,
)
from maskjax.training import settings as settings_lib

_UP = ('UpBlock2D', 'CrossAttnUpBlock2D')

_number = settings_lib.number


@dataclasses.dataclass(frozen=True, kw_only=True)
class UNetConfig(unet_blocks.BlocksConfig):
  """Keys of unet/config.json; defaults are those of PyTorch diffusers.

  Attributes:
    sample_size: side of the sample in pixels (of the latent, for latent
      models); only a record, the network takes any size.
    out_channels: channels of the prediction.
    up_block_types: UpBlock2D or CrossAttnUpBlock2D, coarse to fine.
    time_embedding_dim: size of the timestep embedding; None for 4 times the
      channels of the finest block.
    time_cond_proj_dim: size of an embedded guidance scale; None for none.
    center_input_sample: take samples in [0, 1], and work on [-1, 1].
  """

  sample_size: int | tuple[int, int] | None = _number(1, 2**16, default=None)
  out_channels: int = _number(1, 4096, default=4)
  up_block_types: tuple[str, ...] = (
    'UpBlock2D',
    'CrossAttnUpBlock2D',
    'CrossAttnUpBlock2D',
    'CrossAttnUpBlock2D',
  )
  time_embedding_dim: int | None = _number(1, 2**16, default=None)
  time_cond_proj_dim: int | None = _number(1, 2**16, default=None)
  center_input_sample: bool = False

  def __post_init__(self):
    unet_blocks.check(self)
    for kind in self.up_block_types:
      config_lib.check_choice('up_block_types', kind, _UP)
    if len(self.up_block_types) != len(self.down_block_types):
      raise ValueError(
        f'{len(self.up_block_types)} up_block_types for '
        f'{len(self.down_block_types)} down_block_types; give as many'
      )

  @classmethod
  def from_dict(cls, values: Mapping[str, Any]) -> 'UNetConfig':
    """Read the content of unet/config.json.

    Raises:
      ValueError: a key has a value that this network does not support.
    """
    return config_lib.parse(
      cls, values, fixed=unet_blocks.FIXED, ignored=unet_blocks.IGNORED
    )

  def to_dict(self) -> dict[str, Any]:
    """Return the content of unet/config.json."""
    return config_lib.dump(self, 'UNet2DConditionModel')


class UNet2DConditionModel(nn.Module):
  """Predicts noise, x0 or v of a noisy sample from a timestep and text.

  Attributes:
    config: of the network.
    dtype: type it computes in.
    remat: compute every residual block and transformer anew in the backward
      pass, which saves the memory of what lies inside them.
    views: consecutive samples that are views of one thing: their first
      attentions see all of them together (2308.16512). It divides B.
  """

  config: UNetConfig
  dtype: Any = jnp.float32
  remat: bool = False
  views: int = 1

  def _decode(self, x, skips, embedding, text):
    """Run the up blocks."""
    blocks = unet_blocks.resolutions(self.config, self.remat, self.views)[::-1]
    skips = list(skips)
    kinds = self.config.up_block_types
    for i, (block, kind) in enumerate(zip(blocks, kinds)):
      count = block.layers + 1
      received, skips = skips[-count:], skips[:-count]
      size = skips[-1].shape[1:3] if skips else None
      x = unet_blocks.UpBlock(
        block, kind == 'CrossAttnUpBlock2D', self.dtype, name=f'up_blocks_{i}'
      )(x, tuple(received), embedding, text, size)
    return x

  @nn.compact
  def __call__(
    self,
    sample: Float[Array, 'b h w c'],
    timesteps: Num[Array, '*b'] | float,
    text: Float[Array, 'b t d'],
    down_residuals: unet_blocks.Skips | None = None,
    mid_residual: Float[Array, 'b i j f'] | None = None,
    *,
    class_labels: Num[Array, 'b ...'] | None = None,
    guidance: Float[Array, 'b g'] | None = None,
  ) -> Float[Array, 'b h w o']:
    """Predict from a noisy sample.

    Args:
      sample: noisy sample, with any further conditions as channels.
      timesteps: in [0, number of training timesteps): one, or one for each
        sample.
      text: text tokens, of size `cross_attention_dim`.
      down_residuals: a ControlNet's additions to the skips.
      mid_residual: a ControlNet's addition to the middle block's output.
      class_labels: where the network takes them, see
        `embedding.class_labels`.
      guidance: embedded guidance scale, where the network takes it; None
        leaves it out.

    Returns:
      The prediction, float32.

    Raises:
      ValueError: class labels that do not fit.
    """
    config = self.config
    text = text.astype(self.dtype)
    embedding = embedding_lib.embed(
      config,
      timesteps,
      sample.shape[0],
      self.dtype,
      labels=class_labels,
      guidance=guidance,
    )
    if config.center_input_sample:
      sample = 2 * sample - 1
    x = layers.Conv(
      config.block_out_channels[0], dtype=self.dtype, name='conv_in'
    )(sample)
    x, skips = unet_blocks.encode(
      config,
      x,
      embedding,
      text,
      self.dtype,
      remat=self.remat,
      views=self.views,
    )
    if down_residuals is not None:
      skips = tuple(a + b for a, b in zip(skips, down_residuals, strict=True))
    if mid_residual is not None:
      x = x + mid_residual
    x = self._decode(x, skips, embedding, text)
    x = layers.GroupNorm(
      config.norm_num_groups, config.norm_eps, True, name='conv_norm_out'
    )(x)
    x = layers.Conv(config.out_channels, dtype=self.dtype, name='conv_out')(x)
    return x.astype(jnp.float32)


def parameter_shapes(config: UNetConfig) -> dict[str, Any]:
  """Return the parameters' tree with shapes in place of arrays."""
  size = 2 ** (len(config.block_out_channels) - 1)
  return jax.eval_shape(
    UNet2DConditionModel(config).init,
    jax.random.key(0),
    jnp.zeros((1, size, size, config.in_channels)),
    jnp.zeros((1,), jnp.int32),
    jnp.zeros((1, 1, config.cross_attention_dim)),
    class_labels=embedding_lib.class_labels(config, 1),
    guidance=embedding_lib.guidance_labels(config, 1),
  )['params']
