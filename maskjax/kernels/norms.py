"""Normalisation over groups of channels and over rows.

What jax would derive sums the gradients of scales and biases in long loops on
one core; here they are products with ones, see `sums`. What several consumers
read ends in a division where it can: XLA computes those once, and cheaper
operations again for each consumer. All is float32 inside, whatever the type.
The functions take reverse-mode derivatives only, under `jit` and `vmap`.

Shapes: B batch, H W pixels, N = H W, C channels. Source: Wu and He, "Group
Normalization", ECCV 2018, equations 1 and 2; Ba et al., "Layer
Normalization", 1607.06450, equation 3.
"""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from maskjax.kernels import sums


def group_norm_plain(
  x: Float[Array, 'b h w c'],
  scale: Float[Array, 'c'],
  bias: Float[Array, 'c'],
  groups: int,
  eps: float,
  silu: bool = False,
) -> Float[Array, 'b h w c']:
  """Return the formula of `group_norm`."""
  grouped = x.reshape(x.shape[0], -1, groups, x.shape[-1] // groups)
  mean = grouped.mean(axis=(1, 3), keepdims=True)
  variance = jnp.square(grouped - mean).mean(axis=(1, 3), keepdims=True)
  normal = ((grouped - mean) / jnp.sqrt(variance + eps)).reshape(x.shape)
  out = normal * scale.reshape(1, 1, 1, -1) + bias.reshape(1, 1, 1, -1)
  return jax.nn.silu(out) if silu else out


def _over_groups(
  channel_sums: Float[Array, 'b c'], groups: int, count: int
) -> Float[Array, 'b c']:
  """Average sums over each group's channels; returns them per channel."""
  batch, channels = channel_sums.shape
  grouped = channel_sums.reshape(batch, groups, channels // groups)
  total = grouped.sum(axis=-1, keepdims=True) / count
  return jnp.broadcast_to(total, grouped.shape).reshape(batch, channels)


def _group_statistics(tokens, groups, eps):
  """Return mean and 1 / standard deviation per sample and channel."""
  rows, channels = tokens.shape[1:]
  count = rows * (channels // groups)
  mean = _over_groups(sums.over_tokens(tokens), groups, count)
  # About the mean: the mean of squares less the squared mean would lose the
  # digits of maps far from zero.
  square = jnp.square(tokens - mean[:, None])
  variance = _over_groups(sums.over_tokens(square), groups, count)
  return mean, jax.lax.rsqrt(variance + eps)


def _group_norm(x, scale, bias, groups, eps, silu):
  """Return the output and the statistics."""
  tokens = x.reshape(x.shape[0], -1, x.shape[-1]).astype(jnp.float32)
  mean, factor = _group_statistics(tokens, groups, eps)
  out = (tokens - mean[:, None]) * (factor * scale[None])[:, None]
  out = out + bias[None, None]
  if silu:
    out = out / (1 + jnp.exp(-out))
  return out.reshape(x.shape).astype(x.dtype), (mean, factor)


@functools.partial(jax.custom_vjp, nondiff_argnums=(3, 4, 5))
def group_norm(
  x: Float[Array, 'b h w c'],
  scale: Float[Array, 'c'],
  bias: Float[Array, 'c'],
  groups: int,
  eps: float,
  silu: bool = False,
) -> Float[Array, 'b h w c']:
  """Normalise over pixels and the channels of each group.

  Args:
    x: maps of any values.
    scale: factor of each channel after the normalisation.
    bias: added to each channel after that.
    groups: number of groups, a divisor of C.
    eps: added to the variance.
    silu: apply x sigmoid(x) last.

  Returns:
    The maps in the dtype of `x`; all is computed in float32.
  """
  return _group_norm(x, scale, bias, groups, eps, silu)[0]


def _group_norm_forward(x, scale, bias, groups, eps, silu):
  out, statistics = _group_norm(x, scale, bias, groups, eps, silu)
  return out, (x, scale, bias, *statistics)


def _group_norm_backward(groups, eps, silu, saved, gradient):
  del eps
  x, scale, bias, mean, factor = saved
  batch, channels = x.shape[0], x.shape[-1]
  tokens = x.reshape(batch, -1, channels).astype(jnp.float32)
  gradient = gradient.reshape(tokens.shape).astype(jnp.float32)
  normal = (tokens - mean[:, None]) * factor[:, None]
  if silu:
    out = normal * scale[None, None] + bias[None, None]
    inverse = 1 + jnp.exp(-out)  # Of the sigmoid.
    gradient = gradient * (1 + out * (1 - 1 / inverse)) / inverse
  totals = sums.over_tokens(gradient)
  products = sums.over_tokens(gradient * normal)
  count = tokens.shape[1] * (channels // groups)
  mean_gradient = _over_groups(totals * scale[None], groups, count)
  mean_product = _over_groups(products * scale[None], groups, count)
  # The division by 1 / factor keeps XLA from computing all this twice.
  to_x = (
    gradient * scale[None, None]
    - normal * mean_product[:, None]
    - mean_gradient[:, None]
  ) / (1 / factor)[:, None]
  return (
    to_x.reshape(x.shape).astype(x.dtype),
    products.sum(axis=0).astype(scale.dtype),
    totals.sum(axis=0).astype(bias.dtype),
  )


group_norm.defvjp(_group_norm_forward, _group_norm_backward)


def layer_norm_plain(
  x: Float[Array, '... c'],
  scale: Float[Array, 'c'],
  bias: Float[Array, 'c'],
  eps: float,
) -> Float[Array, '... c']:
  """Return the formula of `layer_norm`."""
  mean = x.mean(axis=-1, keepdims=True)
  variance = jnp.square(x - mean).mean(axis=-1, keepdims=True)
  normal = (x - mean) / jnp.sqrt(variance + eps)
  leading = (1,) * (x.ndim - 1)
  return normal * scale.reshape(*leading, -1) + bias.reshape(*leading, -1)


def _layer_norm(x, scale, bias, eps):
  """Return the output, the normalised rows and the factors."""
  rows = x.reshape(-1, x.shape[-1]).astype(jnp.float32)
  centred = rows - rows.mean(axis=-1, keepdims=True)
  variance = jnp.square(centred).mean(axis=-1, keepdims=True)
  factor = jax.lax.rsqrt(variance + eps)
  normal = centred * factor
  out = normal * scale[None] + bias[None]
  return out.reshape(x.shape).astype(x.dtype), normal, factor


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def layer_norm(
  x: Float[Array, '... c'],
  scale: Float[Array, 'c'],
  bias: Float[Array, 'c'],
  eps: float,
) -> Float[Array, '... c']:
  """Normalise each row over its channels.

  Args:
    x: rows, channels last.
    scale: factor of each channel after the normalisation.
    bias: added to each channel after that.
    eps: added to the variance.

  Returns:
    The rows in the dtype of `x`; all is computed in float32.
  """
  return _layer_norm(x, scale, bias, eps)[0]


def _layer_norm_forward(x, scale, bias, eps):
  out, normal, factor = _layer_norm(x, scale, bias, eps)
  return out, (normal, factor, scale)


def _layer_norm_backward(eps, saved, gradient):
  del eps
  normal, factor, scale = saved
  shape, dtype = gradient.shape, gradient.dtype
  gradient = gradient.reshape(normal.shape).astype(jnp.float32)
  inner = gradient * scale[None]
  to_x = factor * (
    inner
    - inner.mean(axis=-1, keepdims=True)
    - normal * (inner * normal).mean(axis=-1, keepdims=True)
  )
  return (
    to_x.reshape(shape).astype(dtype),
    sums.over_rows(gradient * normal).astype(scale.dtype),
    sums.over_rows(gradient).astype(scale.dtype),
  )


layer_norm.defvjp(_layer_norm_forward, _layer_norm_backward)
