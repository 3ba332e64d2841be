"""Adding to and scaling the channels of maps, with quick gradients.

The gradient to a bias, a shift or a style is a sum over all pixels; here it is
a product with ones, see `sums`. `add` and `add_bias` have one formula and one
value. Their gradients are rounded differently (`sums.folded`,
`sums.over_rows`), and each kind of network keeps the one that it was trained
with. `add` and `scale` may be differentiated any number of times.

Shapes: B batch, H W pixels, C channels.
"""

import math

import jax
from jaxtyping import Array, Float

from maskjax.kernels import sums


def add_plain(
  x: Float[Array, '... c'], bias: Float[Array, 'c']
) -> Float[Array, '... c']:
  """Return the formula of `add` and `add_bias`, x + bias."""
  return x + bias.reshape((1,) * (x.ndim - 1) + bias.shape)


@jax.custom_vjp
def add(
  x: Float[Array, '... c'], bias: Float[Array, 'c']
) -> Float[Array, '... c']:
  """Add a number to each channel, as the GANs do.

  Args:
    x: maps or rows, channels last.
    bias: added to each channel.

  Returns:
    The sum, in the shape of `x`.
  """
  return add_plain(x, bias)


def _add_forward(x, bias):
  return add(x, bias), None


def _add_backward(_, gradient):
  rows = gradient.reshape(1, -1, gradient.shape[-1])
  return gradient, sums.folded(rows)[0]


add.defvjp(_add_forward, _add_backward)


@jax.custom_vjp
def add_bias(
  x: Float[Array, '... c'], bias: Float[Array, 'c']
) -> Float[Array, '... c']:
  """Add a number to each channel, as the diffusion networks do.

  Args:
    x: maps or rows, channels last.
    bias: added to each channel.

  Returns:
    The sum, in the shape of `x`.
  """
  return add_plain(x, bias)


def _add_bias_forward(x, bias):
  return add_bias(x, bias), None


def _add_bias_backward(_, gradient):
  return gradient, sums.over_rows(gradient).astype(gradient.dtype)


add_bias.defvjp(_add_bias_forward, _add_bias_backward)


def add_to_pixels_plain(
  x: Float[Array, 'b h w c'], vector: Float[Array, 'b c']
) -> Float[Array, 'b h w c']:
  """Return the formula of `add_to_pixels`."""
  return x + vector[:, None, None, :]


@jax.custom_vjp
def add_to_pixels(
  x: Float[Array, 'b h w c'], vector: Float[Array, 'b c']
) -> Float[Array, 'b h w c']:
  """Add one vector for each sample to all of its pixels.

  Args:
    x: maps of any values.
    vector: of each sample, e.g. its embedded timestep.

  Returns:
    The sum, in the shape of `x`.
  """
  return add_to_pixels_plain(x, vector)


def _add_to_pixels_forward(x, vector):
  return add_to_pixels(x, vector), None


def _add_to_pixels_backward(_, gradient):
  batch, channels = gradient.shape[0], gradient.shape[-1]
  rows = gradient.reshape(batch, -1, channels)
  return gradient, sums.over_tokens(rows).astype(gradient.dtype)


add_to_pixels.defvjp(_add_to_pixels_forward, _add_to_pixels_backward)


def scale_plain(
  x: Float[Array, 'b h w c'], factors: Float[Array, 'b c']
) -> Float[Array, 'b h w c']:
  """Return the formula of `scale`."""
  return x * factors[:, None, None]


@jax.custom_vjp
def scale(
  x: Float[Array, 'b h w c'], factors: Float[Array, 'b c']
) -> Float[Array, 'b h w c']:
  """Multiply each channel of each sample by a number.

  Args:
    x: maps of any values.
    factors: of each sample's channels, e.g. the styles of a layer.

  Returns:
    The product, in the shape of `x`.
  """
  return scale_plain(x, factors)


def _scale_forward(x, factors):
  return scale(x, factors), (x, factors)


def _scale_backward(inputs, gradient):
  x, factors = inputs
  pixels = math.prod(x.shape[1:3])
  product = (gradient * x).reshape(x.shape[0], pixels, x.shape[3])
  return scale(gradient, factors), sums.folded(product)


scale.defvjp(_scale_forward, _scale_backward)
