"""sRGB transfer curve: known values, round trip, gradients."""

import jax
import jax.numpy as jnp
import numpy as np

from maskjax.geometry import color


def test_known_values():
  # Middle grey of IEC 61966-2-1: sRGB 0.5 is 0.21404 linear.
  np.testing.assert_allclose(
    color.srgb_to_linear(jnp.asarray([0.0, 0.02, 0.5, 1.0])),
    [0.0, 0.02 / 12.92, 0.2140411, 1.0],
    atol=1e-6,
  )


def test_round_trip():
  srgb = jnp.linspace(0.0, 1.0, 1001)
  back = color.linear_to_srgb(color.srgb_to_linear(srgb))
  np.testing.assert_allclose(back, srgb, atol=1e-5)


def test_curves_rise_and_are_continuous_at_the_knee():
  for curve, knee in (
    (color.srgb_to_linear, 0.04045),
    (color.linear_to_srgb, 0.0031308),
  ):
    x = jnp.linspace(0.0, 1.0, 4096)
    assert (jnp.diff(curve(x)) > 0).all()
    around = curve(jnp.asarray([knee * 0.9999, knee * 1.0001]))
    np.testing.assert_allclose(around[0], around[1], atol=2e-5)


def test_gradients_are_finite_and_match_differences():
  for curve in (color.srgb_to_linear, color.linear_to_srgb):
    for at in (0.0, -0.1, 0.001, 0.2, 1.0):
      slope = jax.grad(curve)(jnp.float32(at))
      difference = (
        curve(jnp.float32(at + 1e-3)) - curve(jnp.float32(at - 1e-3))
      ) / 2e-3
      # The second derivative near the knee allows 10 %.
      np.testing.assert_allclose(slope, difference, rtol=0.1)


def test_signed_values_become_the_bytes_that_they_came_from():
  values = np.arange(256)
  found = color.signed_to_bytes(values.astype(np.float32) / 127.5 - 1.0)
  np.testing.assert_array_equal(found, values)
  np.testing.assert_array_equal(
    color.signed_to_bytes(np.array([-3.0, -1.0, 0.0, 1.0, 3.0])),
    [0, 0, 128, 255, 255],
  )
