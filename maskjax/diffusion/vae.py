"""Stable Diffusion's autoencoder between images and latents.

Parameters map one to one onto PyTorch diffusers' AutoencoderKL.

Shapes: B batch, H W pixels, h w pixels of the latent (1/8 of the image in
Stable Diffusion), C channels, L latent channels. Follows Rombach et al.,
"High-Resolution Image Synthesis with Latent Diffusion Models", CVPR 2022,
section 3.1.
"""

from collections.abc import Mapping
import dataclasses
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from maskjax.diffusion import config as config_lib, layers
from maskjax.training import settings as settings_lib

_EPS = 1e-6  # Of every normalisation here.
_DOWN = 'DownEncoderBlock2D'
_UP = 'UpDecoderBlock2D'
_FIXED = {'latents_mean': None, 'latents_std': None}
_IGNORED = ('force_upcast',)

_number = settings_lib.number


@dataclasses.dataclass(frozen=True)
class VaeConfig:
  """Keys of vae/config.json; defaults are those of PyTorch diffusers.

  Attributes:
    in_channels: channels of the image that is encoded.
    out_channels: channels of the image that is decoded.
    down_block_types: DownEncoderBlock2D, as many as block_out_channels.
    up_block_types: UpDecoderBlock2D, as many.
    block_out_channels: channels of each block, fine to coarse; n blocks
      halve the image n - 1 times.
    layers_per_block: residual blocks of each down block (up blocks have one
      more).
    act_fn: 'silu'.
    latent_channels: channels of the latent.
    norm_num_groups: groups of every group normalisation.
    sample_size: side of the images in pixels; only a record.
    scaling_factor: brings latents to unit variance (see `scale_latents`).
    shift_factor: subtracted before; None for none.
    use_quant_conv: a 1x1 convolution after the encoder.
    use_post_quant_conv: a 1x1 convolution before the decoder.
    mid_block_add_attention: attention at the coarsest size.
  """

  in_channels: int = _number(1, 4096, default=3)
  out_channels: int = _number(1, 4096, default=3)
  down_block_types: tuple[str, ...] = (_DOWN,)
  up_block_types: tuple[str, ...] = (_UP,)
  block_out_channels: tuple[int, ...] = _number(
    1, 2**14, most=16, default=(64,)
  )
  layers_per_block: int = _number(1, 32, default=1)
  act_fn: str = 'silu'
  latent_channels: int = _number(1, 4096, default=4)
  norm_num_groups: int = _number(1, 2**14, default=32)
  sample_size: int | tuple[int, int] | None = _number(1, 2**16, default=32)
  scaling_factor: float = _number(1e-6, 1e6, default=0.18215)
  shift_factor: float | None = _number(-1e6, 1e6, default=None)
  use_quant_conv: bool = True
  use_post_quant_conv: bool = True
  mid_block_add_attention: bool = True

  def __post_init__(self):
    for name, choice in (('down_block_types', _DOWN), ('up_block_types', _UP)):
      kinds = getattr(self, name)
      for kind in kinds:
        config_lib.check_choice(name, kind, (choice,))
      if len(kinds) != len(self.block_out_channels):
        raise ValueError(
          f'{len(kinds)} {name} for {len(self.block_out_channels)} '
          'block_out_channels; give as many'
        )
    if not self.block_out_channels:
      raise ValueError('block_out_channels is empty; give one or more')
    config_lib.check_choice('act_fn', self.act_fn, ('silu', 'swish'))
    config_lib.check_groups(self.norm_num_groups, self.block_out_channels)

  @classmethod
  def from_dict(cls, values: Mapping[str, Any]) -> 'VaeConfig':
    """Read the content of vae/config.json.

    Raises:
      ValueError: a key has a value that this network does not support.
    """
    return config_lib.parse(cls, values, fixed=_FIXED, ignored=_IGNORED)

  def to_dict(self) -> dict[str, Any]:
    """Return the content of vae/config.json."""
    return config_lib.dump(self, 'AutoencoderKL')


class Moments(NamedTuple):
  """A diagonal Gaussian over latents, unscaled.

  Attributes:
    mean: of each latent pixel.
    std: standard deviation of each latent pixel.
  """

  mean: Float[Array, 'b h w l']
  std: Float[Array, 'b h w l']


def sample_moments(
  rng: Key[Array, ''], moments: Moments
) -> Float[Array, 'b h w l']:
  """Draw a latent from what the encoder returned.

  Args:
    rng: key of the draw.
    moments: mean and standard deviation of each latent pixel.

  Returns:
    Unscaled latents.
  """
  noise = jax.random.normal(rng, moments.mean.shape, moments.mean.dtype)
  return moments.mean + moments.std * noise


def scale_latents(
  config: VaeConfig, latents: Float[Array, '...']
) -> Float[Array, '...']:
  """Bring the encoder's latents to the unit variance that UNets take.

  Args:
    config: of the autoencoder.
    latents: as the encoder makes them.

  Returns:
    (latents - shift_factor) scaling_factor.
  """
  return (latents - (config.shift_factor or 0.0)) * config.scaling_factor


def unscale_latents(
  config: VaeConfig, latents: Float[Array, '...']
) -> Float[Array, '...']:
  """Bring a UNet's latents to what the decoder takes.

  Args:
    config: of the autoencoder.
    latents: as the UNet makes them.

  Returns:
    latents / scaling_factor + shift_factor.
  """
  return latents / config.scaling_factor + (config.shift_factor or 0.0)


class PixelAttention(nn.Module):
  """Self-attention of one head over all pixels, around a residual."""

  groups: int
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: Float[Array, 'b h w c']) -> Float[Array, 'b h w c']:
    """Return the map with what its pixels gathered added."""
    channels = x.shape[-1]
    project = lambda name, y: layers.Dense(
      channels, dtype=self.dtype, name=name
    )(y)
    hidden = layers.GroupNorm(self.groups, _EPS, name='group_norm')(x)
    hidden = hidden.reshape(x.shape[0], -1, channels)
    query, key = project('to_q', hidden), project('to_k', hidden)
    value = project('to_v', hidden)
    out = layers.attend(query, key, value, heads=1)
    return x + project('to_out_0', out).reshape(x.shape)


class MidBlock(nn.Module):
  """Two residual blocks around attention, at the coarsest size."""

  config: VaeConfig
  dtype: Any = jnp.float32
  remat: bool = False

  @nn.compact
  def __call__(self, x: Float[Array, 'b h w c']) -> Float[Array, 'b h w c']:
    """Return the transformed map."""
    groups = self.config.norm_num_groups
    resnet_class = layers.recomputed(layers.ResnetBlock, self.remat)
    resnet = lambda i: resnet_class(
      x.shape[-1], groups, _EPS, self.dtype, name=f'resnets_{i}'
    )
    x = resnet(0)(x)
    if self.config.mid_block_add_attention:
      attention = layers.recomputed(PixelAttention, self.remat)
      x = attention(groups, self.dtype, name='attentions_0')(x)
    return resnet(1)(x)


class Block(nn.Module):
  """Residual blocks, then half the size ('down') or twice ('up') or neither.

  Attributes:
    features: channels.
    layers: residual blocks.
    groups: of every group normalisation.
    resize: 'down', 'up' or ''.
    dtype: type it computes in.
    remat: see `AutoencoderKL`.
  """

  features: int
  layers: int
  groups: int
  resize: str
  dtype: Any = jnp.float32
  remat: bool = False

  @nn.compact
  def __call__(self, x: Float[Array, 'b h w c']) -> Float[Array, 'b i j f']:
    """Return the transformed map."""
    resnet = layers.recomputed(layers.ResnetBlock, self.remat)
    for i in range(self.layers):
      x = resnet(
        self.features, self.groups, _EPS, self.dtype, name=f'resnets_{i}'
      )(x)
    if self.resize == 'down':
      # Zeros after the last row and column only, as the weights expect.
      x = layers.Downsample(
        self.features, (0, 1), self.dtype, name='downsamplers_0'
      )(x)
    elif self.resize == 'up':
      x = layers.Upsample(self.features, self.dtype, name='upsamplers_0')(
        x, 2 * x.shape[1], 2 * x.shape[2]
      )
    return x


def _head(
  config: VaeConfig, x: Float[Array, 'b h w c'], features: int, dtype: Any
) -> Float[Array, 'b h w f']:
  """Normalise and convolve to the output; called inside its module."""
  x = layers.GroupNorm(
    config.norm_num_groups, _EPS, True, name='conv_norm_out'
  )(x)
  return layers.Conv(features, dtype=dtype, name='conv_out')(x)


class Encoder(nn.Module):
  """Turns an image into the mean and log variance of its latent."""

  config: VaeConfig
  dtype: Any = jnp.float32
  remat: bool = False

  @nn.compact
  def __call__(self, x: Float[Array, 'b h w c']) -> Float[Array, 'b i j m']:
    """Return mean and log variance, side by side in the channels."""
    config = self.config
    widths = config.block_out_channels
    x = layers.Conv(widths[0], dtype=self.dtype, name='conv_in')(x)
    for i, features in enumerate(widths):
      x = Block(
        features=features,
        layers=config.layers_per_block,
        groups=config.norm_num_groups,
        resize='down' if i < len(widths) - 1 else '',
        dtype=self.dtype,
        remat=self.remat,
        name=f'down_blocks_{i}',
      )(x)
    x = MidBlock(config, self.dtype, self.remat, name='mid_block')(x)
    return _head(config, x, 2 * config.latent_channels, self.dtype)


class Decoder(nn.Module):
  """Turns a latent into an image."""

  config: VaeConfig
  dtype: Any = jnp.float32
  remat: bool = False

  @nn.compact
  def __call__(self, x: Float[Array, 'b h w l']) -> Float[Array, 'b i j c']:
    """Return the image, about [-1, 1]."""
    config = self.config
    widths = config.block_out_channels[::-1]
    x = layers.Conv(widths[0], dtype=self.dtype, name='conv_in')(x)
    x = MidBlock(config, self.dtype, self.remat, name='mid_block')(x)
    for i, features in enumerate(widths):
      x = Block(
        features=features,
        layers=config.layers_per_block + 1,
        groups=config.norm_num_groups,
        resize='up' if i < len(widths) - 1 else '',
        dtype=self.dtype,
        remat=self.remat,
        name=f'up_blocks_{i}',
      )(x)
    return _head(config, x, config.out_channels, self.dtype)


class AutoencoderKL(nn.Module):
  """Encodes images to latents and decodes them.

  Apply with `method=AutoencoderKL.encode` or `method=AutoencoderKL.decode`.

  Attributes:
    config: of the network.
    dtype: type it computes in.
    remat: compute every residual block anew in the backward pass: at 512
      pixels, one image leaves 0.1 GiB in each of the finest ones instead of
      0.6 (float32).
  """

  config: VaeConfig
  dtype: Any = jnp.float32
  remat: bool = False

  def setup(self):
    """Make the two networks and the 1x1 convolutions between them."""
    config = self.config
    self.encoder = Encoder(config, self.dtype, self.remat)
    self.decoder = Decoder(config, self.dtype, self.remat)
    if config.use_quant_conv:
      self.quant_conv = layers.Conv(
        2 * config.latent_channels, 1, dtype=self.dtype
      )
    if config.use_post_quant_conv:
      self.post_quant_conv = layers.Conv(
        config.latent_channels, 1, dtype=self.dtype
      )

  def encode(self, images: Float[Array, 'b h w c']) -> Moments:
    """Encode images.

    Args:
      images: sRGB in [-1, 1].

    Returns:
      The latents' distribution, float32 and unscaled.
    """
    out = self.encoder(images)
    if self.config.use_quant_conv:
      out = self.quant_conv(out)
    mean, log_variance = jnp.split(out.astype(jnp.float32), 2, axis=-1)
    return Moments(mean, jnp.exp(0.5 * jnp.clip(log_variance, -30.0, 20.0)))

  def decode(self, latents: Float[Array, 'b h w l']) -> Float[Array, 'b i j c']:
    """Decode unscaled latents to sRGB images, about [-1, 1], float32."""
    if self.config.use_post_quant_conv:
      latents = self.post_quant_conv(latents)
    return self.decoder(latents).astype(jnp.float32)

  def __call__(self, images: Float[Array, 'b h w c']) -> Float[Array, '...']:
    """Reconstruct images from the means of their latents."""
    return self.decode(self.encode(images).mean)


def parameter_shapes(config: VaeConfig) -> dict[str, Any]:
  """Return the parameters' tree with shapes in place of arrays."""
  size = 2 ** (len(config.block_out_channels) - 1)
  return jax.eval_shape(
    AutoencoderKL(config).init,
    jax.random.key(0),
    jnp.zeros((1, size, size, config.in_channels)),
  )['params']
