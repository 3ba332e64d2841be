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
from typing import Any, Protocol, runtime_checkable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Num

from maskjax.diffusion import (
  config as config_lib,
  embedding as embedding_lib,
  layers,
)

Skips = tuple[Float[Array, 'b _ _ _'], ...]

_DOWN = ('DownBlock2D', 'CrossAttnDownBlock2D')
_UP = ('UpBlock2D', 'CrossAttnUpBlock2D')
_MID = ('UNetMidBlock2DCrossAttn', None)

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


@dataclasses.dataclass(frozen=True)
class UNetConfig:
  """Keys of unet/config.json; defaults are those of PyTorch diffusers.

  Attributes:
    sample_size: side of the sample in pixels (of the latent, for latent
      models); only a record, the network takes any size.
    in_channels: channels of the sample, conditions included.
    out_channels: channels of the prediction.
    down_block_types: DownBlock2D or CrossAttnDownBlock2D, fine to coarse.
    mid_block_type: UNetMidBlock2DCrossAttn, or None for no middle block.
    up_block_types: UpBlock2D or CrossAttnUpBlock2D, coarse to fine.
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
    time_embedding_dim: size of the timestep embedding; None for 4 times the
      channels of the finest block.
    time_cond_proj_dim: size of an embedded guidance scale; None for none.
    center_input_sample: take samples in [0, 1], and work on [-1, 1].
  """

  sample_size: int | tuple[int, int] | None = None
  in_channels: int = 4
  out_channels: int = 4
  down_block_types: tuple[str, ...] = (*(_DOWN[1],) * 3, _DOWN[0])
  mid_block_type: str | None = _MID[0]
  up_block_types: tuple[str, ...] = (_UP[0], *(_UP[1],) * 3)
  block_out_channels: tuple[int, ...] = (320, 640, 1280, 1280)
  layers_per_block: int | tuple[int, ...] = 2
  transformer_layers_per_block: int | tuple[int, ...] = 1
  attention_head_dim: int | tuple[int, ...] = 8
  cross_attention_dim: int = 1280
  norm_num_groups: int = 32
  norm_eps: float = 1e-5
  use_linear_projection: bool = False
  flip_sin_to_cos: bool = True
  freq_shift: float = 0
  act_fn: str = 'silu'
  only_cross_attention: bool | tuple[bool, ...] = False
  class_embed_type: str | None = None
  num_class_embeds: int | None = None
  projection_class_embeddings_input_dim: int | None = None
  time_embedding_dim: int | None = None
  time_cond_proj_dim: int | None = None
  center_input_sample: bool = False

  def __post_init__(self):
    check_blocks(self)
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
    return config_lib.parse(cls, values, fixed=FIXED, ignored=IGNORED)

  def to_dict(self) -> dict[str, Any]:
    """Return the content of unet/config.json."""
    return config_lib.dump(self, 'UNet2DConditionModel')


@runtime_checkable
class BlocksConfig(embedding_lib.Config, Protocol):
  """What a UNetConfig and a ControlNetConfig have in common; see the former."""

  @property
  def down_block_types(self) -> tuple[str, ...]:
    """Kinds of the down blocks, fine to coarse."""

  @property
  def mid_block_type(self) -> str | None:
    """Kind of the middle block, None for no such block."""

  @property
  def layers_per_block(self) -> int | tuple[int, ...]:
    """Residual blocks of each down block."""

  @property
  def transformer_layers_per_block(self) -> int | tuple[int, ...]:
    """Transformer blocks after each residual block."""

  @property
  def attention_head_dim(self) -> int | tuple[int, ...]:
    """Number of attention heads."""

  @property
  def norm_num_groups(self) -> int:
    """Groups of every group normalisation."""

  @property
  def norm_eps(self) -> float:
    """Epsilon of the residual blocks' normalisations."""

  @property
  def use_linear_projection(self) -> bool:
    """Whether the transformers' projections are stored as matrices."""

  @property
  def act_fn(self) -> str:
    """Name of the activation."""

  @property
  def only_cross_attention(self) -> bool | tuple[bool, ...]:
    """Whether the first attention is to text too."""


def check_blocks(config: BlocksConfig) -> None:
  """Check the fields that the UNet and the ControlNet have in common.

  Args:
    config: of the network.

  Raises:
    ValueError: an unsupported value, or lists that do not fit together.
  """
  blocks = len(config.down_block_types)
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
  config_lib.check_groups(config.norm_num_groups, config.block_out_channels)
  heads = config_lib.per_block(config.attention_head_dim, blocks, '')
  for count, channels in zip(heads, config.block_out_channels):
    if channels % count:
      raise ValueError(
        f'attention_head_dim={count} is the number of heads and does not '
        f'divide {channels} channels'
      )


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Block:
  """What one resolution of the network is built from."""

  features: int
  layers: int
  heads: int
  transformer_layers: int
  groups: int
  eps: float
  linear_projection: bool
  remat: bool
  only_text: bool


def _blocks(config: BlocksConfig, remat: bool) -> tuple[_Block, ...]:
  """Return a description of each resolution, fine to coarse."""
  count = len(config.block_out_channels)
  each = lambda name: config_lib.per_block(getattr(config, name), count, name)
  return tuple(
    _Block(
      features=features,
      layers=layers_,
      heads=heads,
      transformer_layers=depth,
      groups=config.norm_num_groups,
      eps=config.norm_eps,
      linear_projection=config.use_linear_projection,
      remat=remat,
      only_text=only_text,
    )
    for features, layers_, heads, depth, only_text in zip(
      config.block_out_channels,
      each('layers_per_block'),
      each('attention_head_dim'),
      each('transformer_layers_per_block'),
      each('only_cross_attention'),
    )
  )


def _resnet(block: _Block, index: int, dtype: Any) -> nn.Module:
  return layers.recomputed(layers.ResnetBlock, block.remat)(
    features=block.features,
    groups=block.groups,
    eps=block.eps,
    dtype=dtype,
    name=f'resnets_{index}',
  )


def _transformer(block: _Block, index: int, dtype: Any) -> nn.Module:
  return layers.recomputed(layers.SpatialTransformer, block.remat)(
    heads=block.heads,
    layers=block.transformer_layers,
    groups=block.groups,
    linear_projection=block.linear_projection,
    dtype=dtype,
    only_text=block.only_text,
    name=f'attentions_{index}',
  )


class DownBlock(nn.Module):
  """Residual blocks, attention where `attention`, then half the size."""

  block: _Block
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

  block: _Block
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

  block: _Block
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

  Returns:
    The map after the middle block, and the skips, fine to coarse.
  """
  skips = [x]
  blocks = _blocks(config, remat)
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


class UNet2DConditionModel(nn.Module):
  """Predicts noise, x0 or v of a noisy sample from a timestep and text.

  Attributes:
    config: of the network.
    dtype: type it computes in.
    remat: compute every residual block and transformer anew in the backward
      pass, which saves the memory of what lies inside them.
  """

  config: UNetConfig
  dtype: Any = jnp.float32
  remat: bool = False

  def _decode(self, x, skips, embedding, text):
    """Run the up blocks."""
    blocks = _blocks(self.config, self.remat)[::-1]
    skips = list(skips)
    kinds = self.config.up_block_types
    for i, (block, kind) in enumerate(zip(blocks, kinds)):
      count = block.layers + 1
      received, skips = skips[-count:], skips[:-count]
      size = skips[-1].shape[1:3] if skips else None
      x = UpBlock(
        block, kind == 'CrossAttnUpBlock2D', self.dtype, name=f'up_blocks_{i}'
      )(x, tuple(received), embedding, text, size)
    return x

  @nn.compact
  def __call__(
    self,
    sample: Float[Array, 'b h w c'],
    timesteps: Num[Array, '*b'] | float,
    text: Float[Array, 'b t d'],
    down_residuals: Skips | None = None,
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
    x, skips = encode(config, x, embedding, text, self.dtype, remat=self.remat)
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
