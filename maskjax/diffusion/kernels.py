"""The arithmetic of the layers, with gradients written out by hand.

What reverse-mode differentiation would derive is right but slow on a CPU: it
sums gradients of biases and scales in long fused loops on one core, and
transposes activations before matrix products. Here such sums are products
with a vector of ones, matrix products see two axes only, and what several
consumers read ends in a division where it can, because XLA computes those
once and cheaper operations again for each consumer. The functions take
reverse-mode derivatives only (`jax.grad`, `jax.vjp`), under `jit` and `vmap`.
Attention has a module of its own.

Shapes: B batch, N tokens or pixels, M rows (all leading axes together), C F
channels.
"""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
import numpy as np

_HIGHEST = jax.lax.Precision.HIGHEST
# Rows summed in one go: longer sums lose float32 digits.
_CHUNK = 1024


def _sum_rows(x: Float[Array, 'b n c']) -> Float[Array, 'b c']:
  """Sum over N in float32, as products with ones."""
  batch, rows, channels = x.shape
  x = x.astype(jnp.float32)
  parts = rows // _CHUNK if rows % _CHUNK == 0 else 1
  x = x.reshape(batch * parts, rows // parts, channels)
  ones = jnp.ones((batch * parts, 1, rows // parts), jnp.float32)
  sums = jax.lax.dot_general(
    ones, x, (((2,), (1,)), ((0,), (0,))), precision=_HIGHEST
  )
  return sums.reshape(batch, parts, channels).sum(axis=1)


def _sum_all(x: Float[Array, '... c']) -> Float[Array, 'c']:
  """Sum over all axes but the last, in float32."""
  rows = x.reshape(-1, x.shape[-1]).astype(jnp.float32)
  ones = jnp.ones((1, rows.shape[0]), jnp.float32)
  return jnp.matmul(ones, rows, precision=_HIGHEST)[0]


@jax.custom_vjp
def matmul(
  x: Float[Array, '... c'], kernel: Float[Array, 'c f']
) -> Float[Array, '... f']:
  """Multiply the last axis by a matrix."""
  out = x.reshape(-1, x.shape[-1]) @ kernel
  return out.reshape(*x.shape[:-1], -1)


def _matmul_forward(x, kernel):
  return matmul(x, kernel), (x, kernel)


def _matmul_backward(saved, gradient):
  x, kernel = saved
  rows = gradient.reshape(-1, gradient.shape[-1])
  to_x = (rows @ kernel.T).reshape(x.shape)
  to_kernel = x.reshape(-1, x.shape[-1]).T @ rows
  return to_x, to_kernel


matmul.defvjp(_matmul_forward, _matmul_backward)


@jax.custom_vjp
def add_bias(
  x: Float[Array, '... c'], bias: Float[Array, 'c']
) -> Float[Array, '... c']:
  """Add a vector to every row."""
  return x + bias.reshape((1,) * (x.ndim - 1) + bias.shape)


def _add_bias_forward(x, bias):
  return add_bias(x, bias), None


def _add_bias_backward(_, gradient):
  return gradient, _sum_all(gradient).astype(gradient.dtype)


add_bias.defvjp(_add_bias_forward, _add_bias_backward)


@jax.custom_vjp
def add_to_pixels(
  x: Float[Array, 'b h w c'], vector: Float[Array, 'b c']
) -> Float[Array, 'b h w c']:
  """Add one vector for each sample to all of its pixels."""
  return x + vector[:, None, None, :]


def _add_to_pixels_forward(x, vector):
  return add_to_pixels(x, vector), None


def _add_to_pixels_backward(_, gradient):
  batch, channels = gradient.shape[0], gradient.shape[-1]
  rows = gradient.reshape(batch, -1, channels)
  return gradient, _sum_rows(rows).astype(gradient.dtype)


add_to_pixels.defvjp(_add_to_pixels_forward, _add_to_pixels_backward)


def _over_groups(sums: Float[Array, 'b c'], groups: int, count: int):
  """Average sums over each group's channels; returns them per channel."""
  batch, channels = sums.shape
  grouped = sums.reshape(batch, groups, channels // groups)
  total = grouped.sum(axis=-1, keepdims=True) / count
  return jnp.broadcast_to(total, grouped.shape).reshape(batch, channels)


def _group_statistics(tokens, groups, eps):
  """Return mean and 1 / standard deviation per sample and channel."""
  rows, channels = tokens.shape[1:]
  count = rows * (channels // groups)
  mean = _over_groups(_sum_rows(tokens), groups, count)
  # About the mean: the mean of squares less the squared mean would lose the
  # digits of maps far from zero.
  square = jnp.square(tokens - mean[:, None])
  variance = _over_groups(_sum_rows(square), groups, count)
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
    x: map.
    scale: factor of each channel after the normalisation.
    bias: added to each channel after that.
    groups: number of groups, a divisor of c.
    eps: added to the variance.
    silu: apply x sigmoid(x) last.

  Returns:
    The map in the dtype of `x`; all is computed in float32.
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
  sums = _sum_rows(gradient)
  products = _sum_rows(gradient * normal)
  count = tokens.shape[1] * (channels // groups)
  mean_gradient = _over_groups(sums * scale[None], groups, count)
  mean_product = _over_groups(products * scale[None], groups, count)
  to_x = (
    gradient * scale[None, None]
    - normal * mean_product[:, None]
    - mean_gradient[:, None]
  ) / (1 / factor)[:, None]
  return (
    to_x.reshape(x.shape).astype(x.dtype),
    products.sum(axis=0).astype(scale.dtype),
    sums.sum(axis=0).astype(bias.dtype),
  )


group_norm.defvjp(_group_norm_forward, _group_norm_backward)


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
  """Normalise each row, in float32; returns the dtype of `x`."""
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
    _sum_all(gradient * normal).astype(scale.dtype),
    _sum_all(gradient).astype(scale.dtype),
  )


layer_norm.defvjp(_layer_norm_forward, _layer_norm_backward)


def _normal_cdf(x):
  """Return the share of a standard normal distribution below x."""
  return 0.5 * (1 + jax.lax.erf(x * np.float32(0.5**0.5)))


@jax.custom_vjp
def geglu(
  hidden: Float[Array, '... c'], gate: Float[Array, '... c']
) -> Float[Array, '... c']:
  """Return hidden * gelu(gate), with the exact GELU."""
  share = _normal_cdf(gate.astype(jnp.float32))
  return (hidden * gate * share).astype(hidden.dtype)


def _geglu_forward(hidden, gate):
  share = _normal_cdf(gate.astype(jnp.float32))
  return (hidden * gate * share).astype(hidden.dtype), (hidden, gate, share)


def _geglu_backward(saved, gradient):
  hidden, gate, share = saved
  wide = gate.astype(jnp.float32)
  density = jnp.exp(-0.5 * wide * wide) * np.float32((2 * np.pi) ** -0.5)
  to_hidden = gradient * gate * share
  to_gate = gradient * hidden * (share + wide * density)
  return to_hidden.astype(hidden.dtype), to_gate.astype(gate.dtype)


geglu.defvjp(_geglu_forward, _geglu_backward)


@jax.custom_vjp
def upsample(x: Float[Array, 'b h w c']) -> Float[Array, 'b i j c']:
  """Repeat each pixel twice on both axes."""
  batch, height, width, channels = x.shape
  shape = (batch, height, 2, width, 2, channels)
  x = jnp.broadcast_to(x[:, :, None, :, None], shape)
  return x.reshape(batch, 2 * height, 2 * width, channels)


def _upsample_forward(x):
  return upsample(x), None


def _upsample_backward(_, gradient):
  batch, height, width, channels = gradient.shape
  shape = (batch, height // 2, 2, width // 2, 2, channels)
  parts = gradient.reshape(shape)
  top = parts[:, :, 0, :, 0] + parts[:, :, 0, :, 1]
  return (top + parts[:, :, 1, :, 0] + parts[:, :, 1, :, 1],)


upsample.defvjp(_upsample_forward, _upsample_backward)
