"""Layers with equalised learning rates: dense, convolution, activations.

A stored weight is a standard normal number; the factor that brings it to
scale is applied at run time, so Adam moves all weights alike.

Shapes: B batch, H W pixels, C I O channels. Follows Karras et al.,
"Progressive Growing of GANs", ICLR 2018, section 4.1, and StyleGAN2's code.
"""

from collections.abc import Callable
import math

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from maskjax.gan import convolution, fir
from maskjax.kernels import channelwise

_ROOT2 = math.sqrt(2)

# Function of the value and of the slope below zero, and the default gain.
_ACTIVATIONS: dict[str, tuple[Callable[[Array, float], Array], float]] = {
  'linear': (lambda x, _: x, 1.0),
  'relu': (lambda x, _: jnp.maximum(x, 0), _ROOT2),
  'lrelu': (lambda x, slope: jnp.where(x > 0, x, x * slope), _ROOT2),
  'tanh': (lambda x, _: jnp.tanh(x), 1.0),
  'sigmoid': (lambda x, _: jax.nn.sigmoid(x), 1.0),
  'elu': (lambda x, _: jax.nn.elu(x), 1.0),
  'selu': (lambda x, _: jax.nn.selu(x), 1.0),
  'softplus': (lambda x, _: jax.nn.softplus(x), 1.0),
  'swish': (lambda x, _: jax.nn.sigmoid(x) * x, _ROOT2),
}


def bias_act(
  x: Float[Array, '... c'],
  bias: Float[Array, 'c'] | None = None,
  *,
  activation: str = 'linear',
  slope: float = 0.2,
  gain: float | None = None,
  clamp: float | None = None,
) -> Float[Array, '... c']:
  """Add a bias, activate, scale and clamp, in this order.

  Args:
    x: values.
    bias: of each channel.
    activation: linear, relu, lrelu, tanh, sigmoid, elu, selu, softplus or
      swish.
    slope: of lrelu below zero.
    gain: factor; the default is that of the activation, which keeps the
      variance: sqrt 2 for relu, lrelu and swish, 1 for the others.
    clamp: largest magnitude of the result.

  Returns:
    The activated values.

  Raises:
    ValueError: an unknown activation.
  """
  if activation not in _ACTIVATIONS:
    raise ValueError(
      f'activation={activation!r} is not one of {sorted(_ACTIVATIONS)}'
    )
  function, own_gain = _ACTIVATIONS[activation]
  if bias is not None:
    x = channelwise.add(x, bias)
  x = function(x, slope) * (own_gain if gain is None else gain)
  return x if clamp is None else jnp.clip(x, -clamp, clamp)


def activation_gain(activation: str) -> float:
  """Return the default gain of an activation."""
  return _ACTIVATIONS[activation][1]


def normalize_second_moment(
  x: Float[Array, 'b c'], epsilon: float = 1e-8
) -> Float[Array, 'b c']:
  """Divide each row by the root of its mean square."""
  return x * jax.lax.rsqrt(jnp.square(x).mean(-1, keepdims=True) + epsilon)


def _normal(scale: float = 1.0) -> nn.initializers.Initializer:
  return nn.initializers.normal(scale)


class Dense(nn.Module):
  """Fully connected layer.

  Attributes:
    features: number of outputs.
    activation: see `bias_act`.
    lr_multiplier: factor on weights and biases as they act; the stored
      weights start so much larger.
    use_bias: add a bias.
    bias_init: value the bias starts at, as it acts.
  """

  features: int
  activation: str = 'linear'
  lr_multiplier: float = 1.0
  use_bias: bool = True
  bias_init: float = 0.0

  @nn.compact
  def __call__(self, x: Float[Array, '... i']) -> Float[Array, '... o']:
    """Return the layer's outputs."""
    inputs = x.shape[-1]
    shape = (inputs, self.features)
    kernel = self.param('kernel', _normal(1 / self.lr_multiplier), shape)
    bias = None
    if self.use_bias:
      start = nn.initializers.constant(self.bias_init / self.lr_multiplier)
      bias = self.param('bias', start, (self.features,)) * self.lr_multiplier
    x = x @ (kernel * (self.lr_multiplier / math.sqrt(inputs)))
    return bias_act(x, bias, activation=self.activation)


class Conv(nn.Module):
  """Convolution, optionally to twice or half the size.

  Attributes:
    features: output channels.
    kernel_size: 1 or 3.
    activation: see `bias_act`.
    up: 1 or 2.
    down: 1 or 2.
    use_bias: add a bias.
    clamp: largest magnitude of the output, before the caller's gain.
    filter_gain: factor on the smoothing filter.
  """

  features: int
  kernel_size: int = 3
  activation: str = 'linear'
  up: int = 1
  down: int = 1
  use_bias: bool = True
  clamp: float | None = None
  filter_gain: float = 1.0

  @nn.compact
  def __call__(
    self, x: Float[Array, 'b h w i'], gain: float = 1.0
  ) -> Float[Array, 'b y x o']:
    """Return the maps, scaled by `gain` after the activation."""
    fan_in = x.shape[-1] * self.kernel_size**2
    shape = (self.kernel_size, self.kernel_size, x.shape[-1], self.features)
    kernel = self.param('kernel', _normal(), shape) / math.sqrt(fan_in)
    bias = None
    if self.use_bias:
      bias = self.param('bias', nn.initializers.zeros, (self.features,))
    taps = fir.setup_filter(fir.BINOMIAL, gain=self.filter_gain)
    if self.up > 1:
      x = convolution.up_conv(x, kernel, taps)
    elif self.down > 1:
      x = convolution.down_conv(x, kernel, taps)
    else:
      x = convolution.conv(x, kernel)
    return bias_act(
      x,
      bias,
      activation=self.activation,
      gain=activation_gain(self.activation) * gain,
      clamp=None if self.clamp is None else self.clamp * gain,
    )
