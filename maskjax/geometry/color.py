"""Conversions between linear RGB (used inside) and sRGB (used at borders).

The transfer curve is that of IEC 61966-2-1: a short line near black, then a
power. Both pieces are computed everywhere and one is selected, so the power's
argument is kept away from 0, where its gradient is infinite.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float, UInt8
import numpy as np

_SRGB_KNEE = 0.04045
_LINEAR_KNEE = 0.0031308


def srgb_to_linear(
  srgb: Float[Array | np.ndarray, '*shape'],
) -> Float[Array, '*shape']:
  """Convert sRGB values to linear light.

  Args:
    srgb: values in [0, 1]. Negative values follow the line through 0, values
      over 1 the power: nothing is clipped.

  Returns:
    Linear values, in [0, 1] for input in [0, 1].
  """
  power = ((jnp.maximum(srgb, _SRGB_KNEE) + 0.055) / 1.055) ** 2.4
  return jnp.where(srgb <= _SRGB_KNEE, srgb / 12.92, power)


def linear_to_srgb(
  linear: Float[Array | np.ndarray, '*shape'],
) -> Float[Array, '*shape']:
  """Convert linear light to sRGB values.

  Args:
    linear: values in [0, 1]. Negative values follow the line through 0,
      values over 1 the power: nothing is clipped.

  Returns:
    sRGB values, in [0, 1] for input in [0, 1].
  """
  power = 1.055 * jnp.maximum(linear, _LINEAR_KNEE) ** (1 / 2.4) - 0.055
  return jnp.where(linear <= _LINEAR_KNEE, linear * 12.92, power)


def signed_to_bytes(
  values: Float[Array | np.ndarray, '*shape'],
) -> UInt8[np.ndarray, '*shape']:
  """Turn values in [-1, 1] into bytes of a picture as StyleGAN's tools do.

  They add 128 and cut off, where `to_bytes` rounds half to even: pictures and
  metrics of these networks are to agree with published ones to the byte.
  """
  return np.clip(np.asarray(values) * 127.5 + 128, 0, 255).astype(np.uint8)


def to_bytes(
  values: Float[Array | np.ndarray, '*shape'],
) -> UInt8[np.ndarray, '*shape']:
  """Round values in [0, 1], those outside clipped, to bytes of a picture."""
  return np.round(np.clip(np.asarray(values), 0, 1) * 255).astype(np.uint8)
