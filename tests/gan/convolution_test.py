import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.gan import convolution, fir


def normal(seed, *shape):
  rng = np.random.default_rng(seed)
  return jnp.asarray(rng.standard_normal(shape), jnp.float32)


def convolve(x, kernel, **options):
  return jax.lax.conv_general_dilated(
    x, kernel, dimension_numbers=('NHWC', 'HWIO', 'NHWC'), **options
  )


def test_up_conv_is_a_dilated_convolution():
  x, kernel = normal(0, 2, 5, 4, 3), normal(1, 3, 3, 3, 6)
  taps = fir.setup_filter(fir.BINOMIAL)

  def dilated(x):
    wide = convolve(
      x,
      kernel[::-1, ::-1],
      window_strides=(1, 1),
      padding=((2, 2), (2, 2)),
      lhs_dilation=(2, 2),
    )
    return fir.upfirdn(wide, taps, padding=1, gain=4)

  ours = jax.jit(lambda x: convolution.up_conv(x, kernel, taps))(x)
  assert ours.shape == (2, 10, 8, 6)
  np.testing.assert_allclose(ours, jax.jit(dilated)(x), atol=1e-5)


@pytest.mark.parametrize('demodulate', [True, False])
def test_modulated_conv_scales_the_weights_of_each_sample(demodulate):
  x, kernel, styles = (
    normal(0, 2, 4, 4, 3),
    normal(1, 3, 3, 3, 5),
    normal(2, 2, 3),
  )

  def by_sample(x, style):
    own = kernel * style[None, None, :, None]
    if demodulate:
      own = (
        own / jnp.sqrt(jnp.square(own).sum((0, 1, 2)) + 1e-8)[None, None, None]
      )
    return convolve(x[None], own, window_strides=(1, 1), padding='SAME')[0]

  ours = jax.jit(
    lambda x: convolution.modulated_conv(
      x, kernel, styles, demodulate=demodulate
    )
  )(x)
  np.testing.assert_allclose(
    ours, jax.jit(jax.vmap(by_sample))(x, styles), atol=1e-5
  )
