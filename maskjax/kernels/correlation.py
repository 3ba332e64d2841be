"""Correlating maps with a kernel, so that all derivatives are cheap on a CPU.

A convolution is the derivative by g of a form T(x, kernel, g) that is linear
in each of its arguments; the other two derivatives are its transposes. Each of
the three is told here that its own derivatives are the other two. Left to
itself, jax derives a second derivative (R1, path length) from the first one,
padding included, and arrives at convolutions with windows larger than maps,
which XLA:CPU computes a hundred times slower.

A correlation that enlarges is formulated as one of 2x2 taps at the small size,
whose channels are the four phases of the output: no product with an inserted
zero column, and ordinary convolutions in all derivatives.

Shapes: B batch, H W pixels, I O input and output channels, K taps.
"""

from collections.abc import Callable
import functools
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def correlate_plain(
  x: Float[Array, 'b h w i'],
  kernel: Float[Array, 'k k i o'],
  stride: int,
  padding: int,
) -> Float[Array, 'b y x o']:
  """Return the formula of `correlate`."""
  return jax.lax.conv_general_dilated(
    x,
    kernel,
    (stride, stride),
    ((padding, padding), (padding, padding)),
    dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
  )


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def correlate(
  x: Float[Array, 'b h w i'],
  kernel: Float[Array, 'k k i o'],
  stride: int,
  padding: int,
) -> Float[Array, 'b y x o']:
  """Correlate maps with a kernel, dT / dg; any number of derivatives.

  Args:
    x: maps of any values.
    kernel: weights of each tap.
    stride: keep one of so many pixels on each axis.
    padding: zeros around the maps, in pixels.

  Returns:
    Maps of (size + 2 padding - K) / stride + 1 pixels, rounded down.
  """
  return correlate_plain(x, kernel, stride, padding)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def _to_maps(
  kernel: Array, g: Array, stride: int, padding: int, sides: tuple[int, int]
) -> Array:
  """Return dT / dx for maps of the given height and width."""
  shape = (g.shape[0], *sides, kernel.shape[2])
  transposed = jax.linear_transpose(
    lambda x: correlate_plain(x, kernel, stride, padding),
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
    lambda kernel: correlate_plain(x, kernel, stride, padding),
    jax.ShapeDtypeStruct(shape, x.dtype),
  )
  return transposed(g)[0]


def _with_inputs(function: Callable[..., Array]) -> Callable[..., Any]:
  """Return a function that keeps its first two arguments for later."""
  return lambda a, b, *rest: (function(a, b, *rest), (a, b))


def _correlate_back(stride, padding, inputs, g):
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
    correlate(x, kernel, stride, padding),
  )


def _to_kernel_back(stride, padding, size, inputs, kernel):
  del size
  x, g = inputs
  return (
    _to_maps(kernel, g, stride, padding, x.shape[1:3]),
    correlate(x, kernel, stride, padding),
  )


correlate.defvjp(_with_inputs(correlate), _correlate_back)
_to_maps.defvjp(_with_inputs(_to_maps), _to_maps_back)
_to_kernel.defvjp(_with_inputs(_to_kernel), _to_kernel_back)


def enlarge_plain(
  x: Float[Array, 'b h w i'], kernel: Float[Array, '3 3 i o']
) -> Float[Array, 'b y x o']:
  """Return the formula of `enlarge`: convolve between inserted zeros."""
  return jax.lax.conv_general_dilated(
    x,
    kernel[::-1, ::-1],
    (1, 1),
    ((2, 2), (2, 2)),
    lhs_dilation=(2, 2),
    dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
  )


def enlarge(
  x: Float[Array, 'b h w i'], kernel: Float[Array, '3 3 i o']
) -> Float[Array, 'b y x o']:
  """Add the kernel at every second pixel, weighted by the maps.

  Along one axis, output 2q is x[q] k[0] + x[q-1] k[2] and output 2q+1 is
  x[q] k[1].

  Args:
    x: maps of any values.
    kernel: acts turned by 180 degrees with respect to `correlate`.

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
  # Padded beforehand: wide padding is what XLA:CPU computes slowly.
  x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
  out = correlate(x, phases.reshape(2, 2, x.shape[-1], -1), 1, 0)
  out = out.reshape(batch, height + 1, width + 1, 2, 2, features)
  out = out.transpose(0, 1, 3, 2, 4, 5)
  out = out.reshape(batch, 2 * height + 2, 2 * width + 2, features)
  return out[:, :-1, :-1]
