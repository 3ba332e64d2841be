"""Convolutions of StyleGAN2, against the formulas they stand for."""

import functools

import jax
import jax.numpy as jnp
import pytest

from maskjax.gan import convolution, fir
from maskjax.kernels import correlation
from tests.kernels import checks


def test_up_conv_is_a_dilated_convolution():
  x, kernel = checks.normal((2, 5, 4, 3), (3, 3, 3, 6))
  taps = fir.setup_filter(fir.BINOMIAL)

  def dilated(x):
    wide = correlation.enlarge_plain(x, kernel.astype(x.dtype))
    return fir.upfirdn(wide, taps, padding=1, gain=4)

  up_conv = lambda x: convolution.up_conv(x, kernel, taps)
  assert jax.eval_shape(up_conv, x).shape == (2, 10, 8, 6)
  checks.assert_equal(up_conv, dilated, [x])


@pytest.mark.parametrize('demodulate', [True, False])
def test_modulated_conv_scales_the_weights_of_each_sample(demodulate):
  def by_sample(x, kernel, style):
    """Return equations 1 and 3 of the paper, of one sample."""
    scaled = kernel * style[None, None, :, None]
    if demodulate:
      power = jnp.square(scaled).sum((0, 1, 2)) + 1e-8
      scaled = scaled / jnp.sqrt(power)[None, None, None]
    return correlation.correlate_plain(x[None], scaled, 1, 1)[0]

  ours = functools.partial(convolution.modulated_conv, demodulate=demodulate)
  values = checks.normal((2, 4, 4, 3), (3, 3, 3, 5), (2, 3))
  plain = jax.vmap(by_sample, (0, None, 0))
  checks.assert_equal(ours, plain, values)


@pytest.mark.parametrize('size', [1, 3])
def test_down_conv_smooths_and_keeps_every_second_pixel(size):
  x, kernel = checks.normal((2, 8, 6, 3), (size, size, 3, 5))
  taps = fir.setup_filter(fir.BINOMIAL)

  def plain(x, kernel):
    # At the size of the maps, then every second pixel.
    side = 1 + size // 2
    smooth = fir.upfirdn(x, taps, padding=((side, side), (side, side)))
    return correlation.correlate_plain(smooth, kernel, 1, 0)[:, ::2, ::2]

  ours = lambda x, kernel: convolution.down_conv(x, kernel, taps)
  assert jax.eval_shape(ours, x, kernel).shape == (2, 4, 3, 5)
  checks.assert_equal(ours, plain, [x, kernel])
