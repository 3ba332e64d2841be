"""The blocks of which a UNet and a ControlNet are built.

A block is one resolution: residual blocks, which see the timestep, and
transformers, which attend to the text. The parts that the two networks share
are built here from either's configuration.

Shapes: B batch, H W pixels of a map, C channels, I J F those after a block,
T D text tokens and their size, E size of the embedded timestep. Follows
Rombach et al., "High-Resolution Image Synthesis with Latent Diffusion Models",
CVPR 2022, section 3.3.
"""

import dataclasses
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from maskjax.diffusion import (
  config as config_lib,
  embedding as embedding_lib,
  layers,
)
from maskjax.training import settings as settings_lib

Skips = tuple[Float[Array, 'b _ _ _'], ...]

_DOWN = ('DownBlock2D', 'CrossAttnDownBlock2D')
# Stable Diffusion XL has about seventy.
_MOST_LAYERS = 300
_MID = ('UNetMidBlock2DCrossAttn', None)

_number = settings_lib.number

# Keys PyTorch diffusers knows, with the one value that is computed here.
FIXED = {
  'downsample_padding': 1,
  'mid_block_scale_factor': 1,
  'reverse_transformer_layers_per_block': None,
  'encoder_hid_dim': None,
  'encoder_hid_dim_type': None,
  'num_attention_heads': None,
  'dual_cross_attention': False,
  'addition_embed_type': None,
  'addition_time_embed_dim': None,
  'resnet_time_scale_shift': 'default',
  'resnet_skip_time_act': False,
  'resnet_out_scale_factor': 1.0,
  'time_embedding_type': 'positional',
  'time_embedding_act_fn': None,
  'timestep_post_act': None,
  'conv_in_kernel': 3,
  'conv_out_kernel': 3,
  'attention_type': 'default',
  'class_embeddings_concat': False,
  'cross_attention_norm': None,
}
# Keys without effect: the softmax is always float32, dropout acts in training
# only, and the others belong to blocks that are not there.
IGNORED = (
  'upcast_attention',
  'dropout',
  'mid_block_only_cross_attention',
  'addition_embed_type_num_heads',
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class BlocksConfig:
  """What the configs of a UNet and of a ControlNet have in common.

  Defaults are those of PyTorch diffusers.

  Attributes:
    in_channels: channels of the sample, conditions included.
    down_block_types: DownBlock2D or CrossAttnDownBlock2D, fine to coarse.
    mid_block_type: UNetMidBlock2DCrossAttn, or None for no middle block.
    block_out_channels: channels of each block, fine to coarse.
    layers_per_block: residual blocks of each down block (up blocks have one
      more), one number or one for each block.
    transformer_layers_per_block: transformer blocks after each residual
      block, one number or one for each block.
    attention_head_dim: NUMBER of attention heads (the name is a mistake that
      all published configs keep), one number or one for each block.
    cross_attention_dim: size of a text token.
    norm_num_groups: groups of every group normalisation.
    norm_eps: epsilon of the residual blocks' normalisations.
    use_linear_projection: store the transformers' projections as matrices
      (Stable Diffusion 2) and not as 1x1 convolutions (1).
    flip_sin_to_cos: cosines first in the timestep embedding.
    freq_shift: shift of the timestep embedding's frequencies.
    act_fn: 'silu'.
    only_cross_attention: the first attention of each transformer is to text
      too, one value or one for each block.
    class_embed_type: how classes are embedded: 'timestep', 'projection',
      'identity', or None by a table of `num_class_embeds`.
    num_class_embeds: number of classes; None for none.
    projection_class_embeddings_input_dim: size of what is projected.
  """

  in_channels: int = _number(1, 4096, default=4)
  down_block_types: tuple[str, ...] = (
    'CrossAttnDownBlock2D',
    'CrossAttnDownBlock2D',
    'CrossAttnDownBlock2D',
    'DownBlock2D',
  )
  mid_block_type: str | None = 'UNetMidBlock2DCrossAttn'
  block_out_channels: tuple[int, ...] = _number(
    1, 2**14, most=16, default=(320, 640, 1280, 1280)
  )
  layers_per_block: int | tuple[int, ...] = _number(1, 32, default=2)
  transformer_layers_per_block: int | tuple[int, ...] = _number(
    0, 64, default=1
  )
  attention_head_dim: int | tuple[int, ...] = _number(1, 1024, default=8)
  cross_attention_dim: int = _number(1, 2**16, default=1280)
  norm_num_groups: int = _number(1, 2**14, default=32)
  norm_eps: float = _number(0, 1, default=1e-5)
  use_linear_projection: bool = False
  flip_sin_to_cos: bool = True
  freq_shift: float = _number(-100, 100, default=0)
  act_fn: str = 'silu'
  only_cross_attention: bool | tuple[bool, ...] = False
  class_embed_type: str | None = None
  num_class_embeds: int | None = _number(1, 2**24, default=None)
  projection_class_embeddings_input_dim: int | None = _number(
    1, 2**16, default=None
  )

  @property
  def time_embedding_dim(self) -> int | None:
    """Size of the timestep embedding; None: 4 times the finest channels."""
    return None

  @property
  def time_cond_proj_dim(self) -> int | None:
    """Size of an embedded guidance scale; None: the network takes none."""
    return None


def check(config: BlocksConfig) -> None:
  """Check the fields that the UNet and the ControlNet have in common.

  Args:
    config: of the network.

  Raises:
    ValueError: an unsupported value, or lists that do not fit together.
  """
  blocks = len(config.down_block_types)
  if not blocks:
    raise ValueError('down_block_types is empty; give one or more')
  embedding_lib.check(config)
  for kind in config.down_block_types:
    config_lib.check_choice('down_block_types', kind, _DOWN)
  config_lib.check_choice('mid_block_type', config.mid_block_type, _MID)
  config_lib.check_choice('act_fn', config.act_fn, ('silu', 'swish'))
  if len(config.block_out_channels) != blocks:
    raise ValueError(
      f'{len(config.block_out_channels)} block_out_channels for {blocks} '
      'down_block_types; give as many'
    )
  for name in (
    'layers_per_block',
    'transformer_layers_per_block',
    'attention_head_dim',
    'only_cross_attention',
  ):
    config_lib.per_block(getattr(config, name), blocks, name)
  layers = config_lib.per_block(config.layers_per_block, blocks, '')
  depths = config_lib.per_block(config.transformer_layers_per_block, blocks, '')
  count = sum(n * (1 + depth) for n, depth in zip(layers, depths))
  if count > _MOST_LAYERS:
    raise ValueError(
      f'layers_per_block and transformer_layers_per_block make {count} layers; '
      f'at most {_MOST_LAYERS} are built'
    )
  config_lib.check_groups(config.norm_num_groups, config.block_out_channels)
  heads = config_lib.per_block(config.attention_head_dim, blocks, '')
  for count, channels in zip(heads, config.block_out_channels):
    if channels % count:
      raise ValueError(
        f'attention_head_dim={count} is the number of heads and does not '
        f'divide {channels} channels'
      )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Block:
  """What one resolution of the network is built from.

  Attributes:
    features: channels.
    layers: residual blocks on the way down; there is one more on the way up.
    heads: of attention.
    transformer_layers: transformer blocks after each residual block.
    groups: of group normalisation.
    eps: epsilon of the residual blocks' normalisations.
    linear_projection: the transformers' projections are matrices.
    remat: compute anew in the backward pass.
    only_text: the first attention of each transformer is to text, too.
    views: consecutive samples that see each other in that attention.
  """

  features: int
  layers: int
  heads: int
  transformer_layers: int
  groups: int
  eps: float
  linear_projection: bool
  remat: bool
  only_text: bool
  views: int


def resolutions(
  config: BlocksConfig, remat: bool, views: int = 1
) -> tuple[Block, ...]:
  """Describe the blocks of a network.

  Args:
    config: of the network.
    remat: compute every residual block and transformer anew in the backward
      pass.
    views: consecutive samples that see each other.

  Returns:
    A description of each resolution, fine to coarse.
  """
  count = len(config.block_out_channels)
  each = lambda name: config_lib.per_block(getattr(config, name), count, name)
  return tuple(
    Block(
      features=features,
      layers=layers_,
      heads=heads,
      transformer_layers=depth,
      groups=config.norm_num_groups,
      eps=config.norm_eps,
      linear_projection=config.use_linear_projection,
      remat=remat,
      only_text=only_text,
      views=views,
    )
    for features, layers_, heads, depth, only_text in zip(
      config.block_out_channels,
      each('layers_per_block'),
      each('attention_head_dim'),
      each('transformer_layers_per_block'),
      each('only_cross_attention'),
    )
  )


def _resnet(block: Block, index: int, dtype: Any) -> nn.Module:
  return layers.recomputed(layers.ResnetBlock, block.remat)(
    features=block.features,
    groups=block.groups,
    eps=block.eps,
    dtype=dtype,
    name=f'resnets_{index}',
  )


def _transformer(block: Block, index: int, dtype: Any) -> nn.Module:
  return layers.recomputed(layers.SpatialTransformer, block.remat)(
    heads=block.heads,
    layers=block.transformer_layers,
    groups=block.groups,
    linear_projection=block.linear_projection,
    dtype=dtype,
    only_text=block.only_text,
    views=block.views,
    name=f'attentions_{index}',
  )


class DownBlock(nn.Module):
  """Residual blocks, attention where `attention`, then half the size."""

  block: Block
  attention: bool
  downsample: bool
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self,
    x: Float[Array, 'b h w c'],
    embedding: Float[Array, 'b e'],
    text: Float[Array, 'b t d'],
  ) -> tuple[Float[Array, 'b i j f'], Skips]:
    """Return the map and what the up block of the same size receives."""
    skips = []
    for i in range(self.block.layers):
      x = _resnet(self.block, i, self.dtype)(x, embedding)
      if self.attention:
        x = _transformer(self.block, i, self.dtype)(x, text)
      skips.append(x)
    if self.downsample:
      x = layers.Downsample(
        self.block.features, dtype=self.dtype, name='downsamplers_0'
      )(x)
      skips.append(x)
    return x, tuple(skips)


class MidBlock(nn.Module):
  """Two residual blocks around attention, at the coarsest size."""

  block: Block
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self,
    x: Float[Array, 'b h w c'],
    embedding: Float[Array, 'b e'],
    text: Float[Array, 'b t d'],
  ) -> Float[Array, 'b h w c']:
    """Return the transformed map."""
    x = _resnet(self.block, 0, self.dtype)(x, embedding)
    x = _transformer(self.block, 0, self.dtype)(x, text)
    return _resnet(self.block, 1, self.dtype)(x, embedding)


class UpBlock(nn.Module):
  """Residual blocks over the map and its skips, then a larger size."""

  block: Block
  attention: bool
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self,
    x: Float[Array, 'b h w c'],
    skips: Skips,
    embedding: Float[Array, 'b e'],
    text: Float[Array, 'b t d'],
    size: tuple[int, int] | None,
  ) -> Float[Array, 'b i j f']:
    """Return the map, enlarged to `size` (height, width) unless None."""
    for i, skip in enumerate(reversed(skips)):
      x = jnp.concatenate([x, skip], axis=-1)
      x = _resnet(self.block, i, self.dtype)(x, embedding)
      if self.attention:
        x = _transformer(self.block, i, self.dtype)(x, text)
    if size is None:
      return x
    return layers.Upsample(
      self.block.features, dtype=self.dtype, name='upsamplers_0'
    )(x, *size)


def encode(
  config: BlocksConfig,
  x: Float[Array, 'b h w c'],
  embedding: Float[Array, 'b e'],
  text: Float[Array, 'b t d'],
  dtype: Any,
  *,
  remat: bool = False,
  views: int = 1,
) -> tuple[Float[Array, 'b i j f'], Skips]:
  """Run the down and middle blocks; to be called inside their module.

  Args:
    config: of the network.
    x: output of conv_in.
    embedding: embedded timesteps, which enter every residual block.
    text: text tokens, which the transformers attend to.
    dtype: type to compute in.
    remat: compute every residual block and transformer anew in the backward
      pass.
    views: consecutive samples that see each other, a divisor of B.

  Returns:
    The map after the middle block, and the skips, fine to coarse.
  """
  skips = [x]
  blocks = resolutions(config, remat, views)
  for i, (block, kind) in enumerate(zip(blocks, config.down_block_types)):
    x, more = DownBlock(
      block=block,
      attention=kind == 'CrossAttnDownBlock2D',
      downsample=i < len(blocks) - 1,
      dtype=dtype,
      name=f'down_blocks_{i}',
    )(x, embedding, text)
    skips.extend(more)
  if config.mid_block_type is not None:
    coarsest = dataclasses.replace(blocks[-1], only_text=False)
    x = MidBlock(coarsest, dtype, name='mid_block')(x, embedding, text)
  return x, tuple(skips)
