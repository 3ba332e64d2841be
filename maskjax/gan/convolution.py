"""Convolutions of StyleGAN2: plain, enlarging, reducing, and modulated.

A style scales the input channels and the demodulation the output channels, so
both act on the maps and one kernel serves the whole batch (the reference makes
a kernel for each sample and convolves in groups, which XLA runs group by group
on a CPU). 1x1 convolutions are matrix products; for the others see
`kernels.correlation`.

Shapes: B batch, H W pixels, I O input and output channels, K taps. Follows
Karras et al. 2020 ("Analyzing and Improving the Image Quality of StyleGAN"),
section 2.2, equations 1 to 3.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from maskjax.gan import fir
from maskjax.kernels import channelwise, correlation

# Keeps the norm of a style without energy away from zero.
_EPSILON = 1e-8


def conv(
  x: Float[Array, 'b h w i'], kernel: Float[Array, 'k k i o']
) -> Float[Array, 'b h w o']:
  """Correlate with a kernel, zeros around.

  Args:
    x: maps of any values.
    kernel: of odd size.

  Returns:
    Maps of the same size.
  """
  if kernel.shape[0] == 1:
    out = x.reshape(-1, x.shape[-1]) @ kernel[0, 0]
    return out.reshape(*x.shape[:-1], -1)
  return correlation.correlate(x, kernel, 1, kernel.shape[0] // 2)


def up_conv(
  x: Float[Array, 'b h w i'],
  kernel: Float[Array, 'k k i o'],
  taps: fir.Filter,
) -> Float[Array, 'b y x o']:
  """Double the size: convolve between inserted zeros, then smooth.

  Args:
    x: maps of any values.
    kernel: 3x3 or 1x1. The 3x3 kernel convolves, that is, it acts turned by
      180 degrees with respect to `conv` and `down_conv`, as in the reference.
    taps: smoothing filter that `fir.setup_filter` made.

  Returns:
    Maps of 2 H by 2 W pixels.
  """
  if kernel.shape[0] == 1:
    return fir.upsample(conv(x, kernel), taps)
  low, high = (taps.shape[0] - 1) // 2, (taps.shape[0] - 2) // 2
  sides = ((low, high), (low, high))
  return fir.upfirdn(
    correlation.enlarge(x, kernel), taps, padding=sides, gain=4
  )


def down_conv(
  x: Float[Array, 'b h w i'],
  kernel: Float[Array, 'k k i o'],
  taps: fir.Filter,
) -> Float[Array, 'b y x o']:
  """Halve the size: smooth, then correlate at every second pixel.

  Args:
    x: maps of any values.
    kernel: 3x3 or 1x1.
    taps: smoothing filter that `fir.setup_filter` made.

  Returns:
    Maps of H / 2 by W / 2 pixels, rounded down.
  """
  if kernel.shape[0] == 1:
    return conv(fir.downsample(x, taps), kernel)
  size = taps.shape[0]
  sides = (1 + (size - 1) // 2, 1 + (size - 2) // 2)
  smooth = fir.upfirdn(x, taps, padding=(sides, sides))
  return correlation.correlate(smooth, kernel, 2, 0)


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
    x: maps of any values.
    kernel: shared by the batch.
    styles: factor of each sample's input channels.
    up: 1, or 2 to double the size.
    taps: smoothing filter that `fir.setup_filter` made, if `up` is 2.
    demodulate: divide each output channel by the norm of its scaled kernel.

  Returns:
    Maps of `up` times the size.
  """
  # Equations 1 and 3 scale the kernel: by s_i, which can as well scale the
  # maps' channels, and by 1 / sqrt(sum_ik (s_i w_ijk)^2 + eps), which can be
  # taken out of the sum over i.
  y = channelwise.scale(x, styles)
  # `up` is 2 only where there are taps.
  y = conv(y, kernel) if up == 1 else up_conv(y, kernel, taps)  # type: ignore[arg-type]
  if not demodulate:
    return y
  power = jnp.square(styles) @ jnp.square(kernel).sum((0, 1))
  return channelwise.scale(y, jax.lax.rsqrt(power + _EPSILON))
