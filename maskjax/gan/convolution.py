"""Convolutions of StyleGAN2: plain, enlarging, reducing, and modulated.

Formulated for XLA. A style scales the input channels and the demodulation the
output channels, so both act on the maps and one kernel serves the whole batch
(the reference makes a kernel for each sample and convolves in groups, which
XLA runs group by group on a CPU). A convolution that enlarges is one of 2x2
taps at the small size, whose channels are the four phases of the output: no
product with an inserted zero column, and ordinary convolutions in all
derivatives. 1x1 convolutions are matrix products.

Shapes: B batch, H W pixels, I O input and output channels, K taps. Follows
Karras et al. 2020 ("Analyzing and Improving the Image Quality of StyleGAN"),
section 2.2, equations 1 to 3.
"""

from collections.abc import Callable
import functools
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from maskjax.gan import channels, fir

# Keeps the norm of a style without energy away from zero.
_EPSILON = 1e-8


def _correlate(x: Array, kernel: Array, stride: int, padding: int) -> Array:
  """Correlate maps with a kernel."""
  return jax.lax.conv_general_dilated(
    x,
    kernel,
    (stride, stride),
    ((padding, padding), (padding, padding)),
    dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
  )


# A convolution is the derivative by g of a form T(x, kernel, g) that is linear
# in each of its arguments; the other two derivatives are its transposes. Each
# of the three is told here that its own derivatives are the other two. Left to
# itself, jax derives a second derivative (R1, path length) from the first one,
# padding included, and arrives at convolutions with windows larger than maps,
# which XLA:CPU computes a hundred times slower.
@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _convolve(x: Array, kernel: Array, stride: int, padding: int) -> Array:
  """Return dT / dg: correlate maps with a kernel."""
  return _correlate(x, kernel, stride, padding)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def _to_maps(
  kernel: Array, g: Array, stride: int, padding: int, sides: tuple[int, int]
) -> Array:
  """Return dT / dx for maps of the given height and width."""
  shape = (g.shape[0], *sides, kernel.shape[2])
  transposed = jax.linear_transpose(
    lambda x: _correlate(x, kernel, stride, padding),
    jax.ShapeDtypeStruct(shape, g.dtype),
  )
  return transposed(g)[0]


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def _to_kernel(
  x: Array, g: Array, stride: int, padding: int, size: int
) -> Array:
  """Return dT / dkernel for a kernel of the given side."""
  shape = (size, size, x.shape[3], g.shape[3])
  transposed = jax.linear_transpose(
    lambda kernel: _correlate(x, kernel, stride, padding),
    jax.ShapeDtypeStruct(shape, x.dtype),
  )
  return transposed(g)[0]


def _with_inputs(function: Callable[..., Array]) -> Callable[..., Any]:
  """Return a function that keeps its first two arguments for later."""
  return lambda a, b, *rest: (function(a, b, *rest), (a, b))


def _convolve_back(stride, padding, inputs, g):
  x, kernel = inputs
  return (
    _to_maps(kernel, g, stride, padding, x.shape[1:3]),
    _to_kernel(x, g, stride, padding, kernel.shape[0]),
  )


def _to_maps_back(stride, padding, sides, inputs, x):
  del sides
  kernel, g = inputs
  return (
    _to_kernel(x, g, stride, padding, kernel.shape[0]),
    _convolve(x, kernel, stride, padding),
  )


def _to_kernel_back(stride, padding, size, inputs, kernel):
  del size
  x, g = inputs
  return (
    _to_maps(kernel, g, stride, padding, x.shape[1:3]),
    _convolve(x, kernel, stride, padding),
  )


_convolve.defvjp(_with_inputs(_convolve), _convolve_back)
_to_maps.defvjp(_with_inputs(_to_maps), _to_maps_back)
_to_kernel.defvjp(_with_inputs(_to_kernel), _to_kernel_back)


def conv(
  x: Float[Array, 'b h w i'], kernel: Float[Array, 'k k i o']
) -> Float[Array, 'b h w o']:
  """Correlate with a kernel of odd size; zeros around."""
  if kernel.shape[0] == 1:
    out = x.reshape(-1, x.shape[-1]) @ kernel[0, 0]
    return out.reshape(*x.shape[:-1], -1)
  return _convolve(x, kernel, 1, kernel.shape[0] // 2)


def _spread(
  x: Float[Array, 'b h w i'], kernel: Float[Array, '3 3 i o']
) -> Float[Array, 'b y x o']:
  """Add the kernel at every second pixel, weighted by the maps.

  Along one axis, output 2q is x[q] k[0] + x[q-1] k[2] and output 2q+1 is
  x[q] k[1].

  Returns:
    Maps of 2 H + 1 by 2 W + 1 pixels.
  """
  batch, height, width, _ = x.shape
  features = kernel.shape[-1]
  zero = jnp.zeros_like(kernel[0])
  rows = jnp.stack(
    [jnp.stack([kernel[2], zero]), jnp.stack([kernel[0], kernel[1]])]
  )  # [tap, phase, 3, i, o]
  zero = jnp.zeros_like(rows[:, :, 0])
  phases = jnp.stack(
    [
      jnp.stack([rows[:, :, 2], zero]),
      jnp.stack([rows[:, :, 0], rows[:, :, 1]]),
    ]
  )  # [tap x, phase x, tap y, phase y, i, o]
  phases = phases.transpose(2, 0, 4, 3, 1, 5)
  # Padded beforehand: see `_convolve` for what XLA:CPU makes of wide padding.
  x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
  out = _convolve(x, phases.reshape(2, 2, x.shape[-1], -1), 1, 0)
  out = out.reshape(batch, height + 1, width + 1, 2, 2, features)
  out = out.transpose(0, 1, 3, 2, 4, 5)
  out = out.reshape(batch, 2 * height + 2, 2 * width + 2, features)
  return out[:, :-1, :-1]


def up_conv(
  x: Float[Array, 'b h w i'],
  kernel: Float[Array, 'k k i o'],
  taps: fir.Filter,
) -> Float[Array, 'b y x o']:
  """Double the size: convolve between inserted zeros, then smooth.

  Args:
    x: maps.
    kernel: 3x3 or 1x1. The 3x3 kernel convolves, that is, it acts turned by
      180 degrees with respect to `conv` and `down_conv`, as in the reference.
    taps: smoothing filter.

  Returns:
    Maps of 2 H by 2 W pixels.
  """
  if kernel.shape[0] == 1:
    return fir.upsample(conv(x, kernel), taps)
  low, high = (taps.shape[0] - 1) // 2, (taps.shape[0] - 2) // 2
  sides = ((low, high), (low, high))
  return fir.upfirdn(_spread(x, kernel), taps, padding=sides, gain=4)


def down_conv(
  x: Float[Array, 'b h w i'],
  kernel: Float[Array, 'k k i o'],
  taps: fir.Filter,
) -> Float[Array, 'b y x o']:
  """Halve the size: smooth, then correlate at every second pixel.

  Args:
    x: maps.
    kernel: 3x3 or 1x1.
    taps: smoothing filter.

  Returns:
    Maps of H / 2 by W / 2 pixels, rounded down.
  """
  if kernel.shape[0] == 1:
    return conv(fir.downsample(x, taps), kernel)
  size = taps.shape[0]
  sides = (1 + (size - 1) // 2, 1 + (size - 2) // 2)
  smooth = fir.upfirdn(x, taps, padding=(sides, sides))
  return _convolve(smooth, kernel, 2, 0)


def modulated_conv(
  x: Float[Array, 'b h w i'],
  kernel: Float[Array, 'k k i o'],
  styles: Float[Array, 'b i'],
  *,
  up: int = 1,
  taps: fir.Filter | None = None,
  demodulate: bool = True,
) -> Float[Array, 'b y x o']:
  """Convolve with a kernel whose input channels are scaled by styles.

  Args:
    x: maps.
    kernel: shared by the batch.
    styles: factor of each input channel.
    up: 1, or 2 for `up_conv`.
    taps: smoothing filter, if `up` is 2.
    demodulate: divide each output channel by the norm of its scaled kernel.

  Returns:
    Maps of `up` times the size.
  """
  y = channels.scale(x, styles)
  # `up` is 2 only where there are taps.
  y = conv(y, kernel) if up == 1 else up_conv(y, kernel, taps)  # type: ignore[arg-type]
  if not demodulate:
    return y
  power = jnp.square(styles) @ jnp.square(kernel).sum((0, 1))
  return channels.scale(y, jax.lax.rsqrt(power + _EPSILON))
