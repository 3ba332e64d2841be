"""Adding to and scaling channels of maps, with quick gradients.

The gradient to a bias or a style is a sum over all pixels. XLA:CPU walks such
a sum channel by channel, across the grain of the memory; as a product with a
row of ones it takes a sixth of the time (8 maps of 64x64 with 64 channels: 1
ms against 6 ms). The rows are folded beforehand: fewer and wider ones are
quicker still for many pixels, and their short sums round ten times less, which
counts where the terms cancel (density regularisation).

Shapes: B batch, H W pixels, C channels.
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

_EXACT = jax.lax.Precision.HIGHEST
# Partial sums of a channel, at most.
_FOLDS = 256


def _sum(x: Float[Array, 'b n c']) -> Float[Array, 'b c']:
  """Sum over the middle axis."""
  batch, count, channels = x.shape
  folds = math.gcd(count, _FOLDS)
  ones = jnp.ones((batch, 1, count // folds), x.dtype)
  folded = x.reshape(batch, count // folds, folds * channels)
  sums = jnp.matmul(ones, folded, precision=_EXACT)
  return sums.reshape(batch, folds, channels).sum(1)


@jax.custom_vjp
def add(
  x: Float[Array, '... c'], bias: Float[Array, 'c']
) -> Float[Array, '... c']:
  """Add a number to each channel."""
  return x + bias.reshape((1,) * (x.ndim - 1) + bias.shape)


add.defvjp(
  lambda x, bias: (add(x, bias), None),
  lambda _, g: (g, _sum(g.reshape(1, -1, g.shape[-1]))[0]),
)


@jax.custom_vjp
def scale(
  x: Float[Array, 'b h w c'], factors: Float[Array, 'b c']
) -> Float[Array, 'b h w c']:
  """Multiply each channel of each sample by a number."""
  return x * factors[:, None, None]


def _scale_back(inputs, g):
  x, factors = inputs
  pixels = math.prod(x.shape[1:3])
  product = (g * x).reshape(x.shape[0], pixels, x.shape[3])
  return scale(g, factors), _sum(product)


scale.defvjp(lambda x, factors: (scale(x, factors), (x, factors)), _scale_back)
