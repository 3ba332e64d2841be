"""The gate of a transformer's feed-forward network: hidden * gelu(gate).

The share of the normal distribution below the gate is kept for the gradient,
not computed again; all of it is float32 inside.

Shapes: C channels. Source: Shazeer, "GLU Variants Improve Transformer",
2002.05202, equation 6, with the exact GELU of Hendrycks and Gimpel 1606.08415.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
import numpy as np


def geglu_plain(
  hidden: Float[Array, '... c'], gate: Float[Array, '... c']
) -> Float[Array, '... c']:
  """Return the formula of `geglu`."""
  return hidden * jax.nn.gelu(gate, approximate=False)


def _normal_cdf(x):
  """Return the share of a standard normal distribution below x."""
  return 0.5 * (1 + jax.lax.erf(x * np.float32(0.5**0.5)))


@jax.custom_vjp
def geglu(
  hidden: Float[Array, '... c'], gate: Float[Array, '... c']
) -> Float[Array, '... c']:
  """Return hidden * gelu(gate), with the exact GELU.

  Args:
    hidden: what is gated.
    gate: what gates it.

  Returns:
    The product, in the type of `hidden`.
  """
  share = _normal_cdf(gate.astype(jnp.float32))
  return (hidden * gate * share).astype(hidden.dtype)


def _forward(hidden, gate):
  share = _normal_cdf(gate.astype(jnp.float32))
  return (hidden * gate * share).astype(hidden.dtype), (hidden, gate, share)


def _backward(saved, gradient):
  hidden, gate, share = saved
  wide = gate.astype(jnp.float32)
  density = jnp.exp(-0.5 * wide * wide) * np.float32((2 * np.pi) ** -0.5)
  to_hidden = gradient * gate * share
  to_gate = gradient * hidden * (share + wide * density)
  return to_hidden.astype(hidden.dtype), to_gate.astype(gate.dtype)


geglu.defvjp(_forward, _backward)
