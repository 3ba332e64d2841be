"""The layers Stable Diffusion's networks are made of, channels last.

Submodule names are those of PyTorch diffusers, with the index of a list
joined by an underscore (`resnets.0` -> `resnets_0`), so that parameters map
one to one (see `maskjax.weights.keymap`).

Shapes: B batch, H W pixels, N = H W tokens, T text tokens, C channels.
Follows Rombach et al., "High-Resolution Image Synthesis with Latent Diffusion
Models", CVPR 2022, and Ho et al., "Denoising Diffusion Probabilistic Models",
NeurIPS 2020 (the timestep embedding).
"""

from collections.abc import Callable
import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Num
import numpy as np

from maskjax.kernels import attention, channelwise, dense, geglu, nearest, norms

# What torch.nn.Linear and Conv2d start from: uniform in +-1/sqrt(fan_in).
_kernel_init = nn.initializers.variance_scaling(1 / 3, 'fan_in', 'uniform')


def recomputed(module: Any, remat: bool) -> Any:
  """Return a module class that is computed anew in the backward pass if asked.

  Args:
    module: a class of linen modules.
    remat: keep only its inputs for the gradient, not what it computes in
      between.

  Returns:
    A class of the same fields and parameters.
  """
  return nn.remat(module) if remat else module


def timestep_embedding(
  timesteps: Num[Array, 'b'],
  channels: int,
  *,
  flip_sin_to_cos: bool = True,
  freq_shift: float = 0.0,
) -> Float[Array, 'b c']:
  """Embed timesteps as sines and cosines of falling frequency.

  Args:
    timesteps: in [0, number of training timesteps), whole or not.
    channels: C, size of the embedding; an odd size ends in a zero.
    flip_sin_to_cos: cosines before sines (Stable Diffusion) or after.
    freq_shift: the last frequency is 1e-4 ** ((half - 1) / (half - shift)).

  Returns:
    float32 embedding in [-1, 1].
  """
  half = channels // 2
  # Rounded where PyTorch rounds: an angle near 1000 magnifies what is lost.
  exponent = np.float32(-np.log(1e4)) * np.arange(half, dtype=np.float32)
  exponent = exponent / np.float32(half - freq_shift)
  frequencies = np.exp(exponent.astype(np.float64)).astype(np.float32)
  angles = timesteps.astype(jnp.float32)[:, None] * frequencies[None, :]
  parts = [jnp.sin(angles), jnp.cos(angles)]
  if flip_sin_to_cos:
    parts.reverse()
  if channels % 2:
    parts.append(jnp.zeros((timesteps.shape[0], 1), jnp.float32))
  return jnp.concatenate(parts, axis=-1)


class GroupNorm(nn.Module):
  """Group normalisation with a learned scale and bias per channel."""

  groups: int
  eps: float = 1e-5
  silu: bool = False

  @nn.compact
  def __call__(self, x: Float[Array, 'b h w c']) -> Float[Array, 'b h w c']:
    """Return the normalised map, in the dtype of `x`; then SiLU if asked."""
    channels = x.shape[-1]
    scale = self.param('scale', nn.initializers.ones, (channels,))
    bias = self.param('bias', nn.initializers.zeros, (channels,))
    return norms.group_norm(x, scale, bias, self.groups, self.eps, self.silu)


class LayerNorm(nn.Module):
  """Normalisation over the last axis with a learned scale and bias."""

  eps: float = 1e-5
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: Float[Array, '... c']) -> Float[Array, '... c']:
    """Return the normalised tokens; statistics are float32."""
    shape = (x.shape[-1],)
    scale = self.param('scale', nn.initializers.ones, shape)
    bias = self.param('bias', nn.initializers.zeros, shape)
    x = x.astype(self.dtype)
    return norms.layer_norm(x, scale, bias, self.eps)


class Dense(nn.Module):
  """Linear layer over the last axis."""

  features: int
  use_bias: bool = True
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: Float[Array, '... c']) -> Float[Array, '... f']:
    """Return x @ kernel + bias."""
    shape = (x.shape[-1], self.features)
    kernel = self.param('kernel', _kernel_init, shape)
    out = dense.matmul(x.astype(self.dtype), kernel.astype(self.dtype))
    if self.use_bias:
      bias = self.param('bias', nn.initializers.zeros, (self.features,))
      out = channelwise.add_bias(out, bias.astype(self.dtype))
    return out


class Conv(nn.Module):
  """Convolution over H and W.

  Attributes:
    features: output channels.
    size: side of the square kernel.
    stride: step in pixels.
    padding: zeros (before, after) on both image axes; None keeps H and W at
      stride 1.
    zero: start from zeros (ControlNet) instead of random weights.
    dtype: type it computes in.
  """

  features: int
  size: int = 3
  stride: int = 1
  padding: tuple[int, int] | None = None
  zero: bool = False
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self,
    x: Float[Array, 'b h w c'],
    shift: Float[Array, 'b f'] | None = None,
  ) -> Float[Array, 'b i j f']:
    """Return the convolved map, plus a vector for each sample.

    Args:
      x: map.
      shift: added to all pixels of a sample, e.g. its embedded timestep.
    """
    shape = (self.size, self.size, x.shape[-1], self.features)
    init = nn.initializers.zeros if self.zero else _kernel_init
    kernel = self.param('kernel', init, shape).astype(self.dtype)
    bias = self.param('bias', nn.initializers.zeros, (self.features,))
    x = x.astype(self.dtype)
    if self.size == 1 and self.stride == 1:
      out = dense.matmul(x, kernel[0, 0])
    else:
      half = self.size // 2
      padding = (half, half) if self.padding is None else self.padding
      out = jax.lax.conv_general_dilated(
        x,
        kernel,
        (self.stride, self.stride),
        (padding, padding),
        dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
      )
    bias = bias.astype(self.dtype)
    if shift is None:
      return channelwise.add_bias(out, bias)
    return channelwise.add_to_pixels(out, channelwise.add_bias(shift, bias))


class ResnetBlock(nn.Module):
  """Residual block of two convolutions; the timestep enters in between."""

  features: int
  groups: int
  eps: float = 1e-5
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self,
    x: Float[Array, 'b h w c'],
    embedding: Float[Array, 'b e'] | None = None,
  ) -> Float[Array, 'b h w f']:
    """Return x, projected where its channels change, plus the residual."""
    shift = None
    if embedding is not None:
      shift = Dense(self.features, dtype=self.dtype, name='time_emb_proj')(
        nn.silu(embedding)
      )
    hidden = GroupNorm(self.groups, self.eps, True, name='norm1')(x)
    hidden = Conv(self.features, dtype=self.dtype, name='conv1')(hidden, shift)
    hidden = GroupNorm(self.groups, self.eps, True, name='norm2')(hidden)
    hidden = Conv(self.features, dtype=self.dtype, name='conv2')(hidden)
    if x.shape[-1] != self.features:
      x = Conv(self.features, 1, dtype=self.dtype, name='conv_shortcut')(x)
    return x + hidden


class Downsample(nn.Module):
  """Halves H and W by a convolution of stride 2."""

  features: int
  padding: tuple[int, int] = (1, 1)
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: Float[Array, 'b h w c']) -> Float[Array, 'b i j f']:
    """Return the map at half its size, rounded up."""
    return Conv(
      self.features, 3, 2, self.padding, dtype=self.dtype, name='conv'
    )(x)


def resize_nearest(
  x: Float[Array, 'b h w c'], height: int, width: int
) -> Float[Array, 'b i j c']:
  """Repeat pixels to a size up to twice that of the map.

  Args:
    x: map.
    height: rows of the result.
    width: columns of the result.

  Returns:
    Each pixel is the nearest one of `x`, up or left of its place.
  """
  old_height, old_width = x.shape[1:3]
  if (height, width) == (2 * old_height, 2 * old_width):
    return nearest.double(x)
  rows = np.arange(height) * old_height // height
  columns = np.arange(width) * old_width // width
  return x[:, rows][:, :, columns]


class Upsample(nn.Module):
  """Enlarges by repeating pixels, then convolves."""

  features: int
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self, x: Float[Array, 'b h w c'], height: int, width: int
  ) -> Float[Array, 'b i j f']:
    """Return the map at the given size in pixels."""
    x = resize_nearest(x, height, width)
    return Conv(self.features, dtype=self.dtype, name='conv')(x)


def attend(
  query: Float[Array, 'b n c'],
  key: Float[Array, 'b t c'],
  value: Float[Array, 'b t c'],
  *,
  heads: int,
  causal: bool = False,
) -> Float[Array, 'b n c']:
  """Scaled dot-product attention; the softmax is computed in float32.

  Args:
    query: queries of all heads side by side in the channels.
    key: keys of all heads, in the same way.
    value: values of all heads, in the same way.
    heads: number of heads, a divisor of C.
    causal: let token i see the tokens up to i only.

  Returns:
    What the queries of each head gather, side by side again.
  """
  batch, _, channels = query.shape
  query, key, value = (
    x.reshape(batch, -1, heads, channels // heads) for x in (query, key, value)
  )
  out = attention.attend(query, key, value, causal=causal)
  return out.reshape(batch, -1, channels)


class Attention(nn.Module):
  """Multi-head attention to the map itself or to text tokens."""

  heads: int
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self, x: Float[Array, 'b n c'], context: Float[Array, 'b t d']
  ) -> Float[Array, 'b n c']:
    """Return what the tokens of `x` gather from the tokens of `context`."""
    channels = x.shape[-1]
    project = lambda name, y: Dense(
      channels, use_bias=False, dtype=self.dtype, name=name
    )(y)
    query = project('to_q', x)
    key, value = project('to_k', context), project('to_v', context)
    out = attend(query, key, value, heads=self.heads)
    return Dense(channels, dtype=self.dtype, name='to_out_0')(out)


class TwoDense(nn.Module):
  """A linear layer whose output is returned as its two halves."""

  features: int
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self, x: Float[Array, 'b n c']
  ) -> tuple[Float[Array, 'b n f'], Float[Array, 'b n f']]:
    """Return x @ kernel + bias, first half and second half."""
    shape = (x.shape[-1], 2 * self.features)
    kernel = self.param('kernel', _kernel_init, shape).astype(self.dtype)
    bias = self.param('bias', nn.initializers.zeros, shape[1:])
    bias = bias.astype(self.dtype)
    x = x.astype(self.dtype)
    # Two products: the halves of one would have to be copied apart.
    halves = (slice(self.features), slice(self.features, None))
    return tuple(
      channelwise.add_bias(dense.matmul(x, kernel[:, half]), bias[half])
      for half in halves
    )


class GegluProjection(nn.Module):
  """Linear layer whose one half gates the other through the exact GELU."""

  features: int
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: Float[Array, 'b n c']) -> Float[Array, 'b n f']:
    """Return hidden * gelu(gate)."""
    hidden, gate = TwoDense(self.features, self.dtype, name='proj')(x)
    return geglu.geglu(hidden, gate)


class FeedForward(nn.Module):
  """The gated two-layer network of a transformer block, four times wide."""

  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: Float[Array, 'b n c']) -> Float[Array, 'b n c']:
    """Return the transformed tokens."""
    channels = x.shape[-1]
    hidden = GegluProjection(4 * channels, self.dtype, name='net_0')(x)
    return Dense(channels, dtype=self.dtype, name='net_2')(hidden)


class TransformerBlock(nn.Module):
  """Self-attention, cross-attention to text, and feed-forward, each added.

  With `only_text`, the first attention is to text, too. Else it is that of
  `views` consecutive samples together, each of which sees the tokens of all
  (MVDream, Shi et al., 2308.16512, section 3.1); no weight depends on it.
  """

  heads: int
  dtype: Any = jnp.float32
  only_text: bool = False
  views: int = 1

  @nn.compact
  def __call__(
    self, x: Float[Array, 'b n c'], text: Float[Array, 'b t d']
  ) -> Float[Array, 'b n c']:
    """Return the transformed tokens."""
    norm = lambda name: LayerNorm(dtype=self.dtype, name=name)
    normal = norm('norm1')(x)
    attend_to = Attention(self.heads, self.dtype, name='attn1')
    if self.only_text:
      x = x + attend_to(normal, text)
    else:
      joined = normal.reshape(-1, self.views * x.shape[1], x.shape[2])
      x = x + attend_to(joined, joined).reshape(x.shape)
    x = x + Attention(self.heads, self.dtype, name='attn2')(
      norm('norm2')(x), text
    )
    return x + FeedForward(self.dtype, name='ff')(norm('norm3')(x))


class SpatialTransformer(nn.Module):
  """Transformer blocks over the pixels of a map, around a residual."""

  heads: int
  layers: int
  groups: int
  linear_projection: bool = False
  dtype: Any = jnp.float32
  only_text: bool = False
  views: int = 1

  @nn.compact
  def __call__(
    self, x: Float[Array, 'b h w c'], text: Float[Array, 'b t d']
  ) -> Float[Array, 'b h w c']:
    """Return the map with the text's guidance added."""
    channels = x.shape[-1]
    project: Callable[..., Any] = functools.partial(Conv, channels, 1)
    if self.linear_projection:
      project = functools.partial(Dense, channels)
    hidden = GroupNorm(self.groups, 1e-6, name='norm')(x)
    hidden = project(dtype=self.dtype, name='proj_in')(hidden)
    hidden = hidden.reshape(x.shape[0], -1, channels)
    for i in range(self.layers):
      hidden = TransformerBlock(
        self.heads,
        self.dtype,
        self.only_text,
        self.views,
        name=f'transformer_blocks_{i}',
      )(hidden, text)
    out = project(dtype=self.dtype, name='proj_out')
    return x + out(hidden.reshape(x.shape))
