"""Maths whose value and gradient stay finite where the plain formula breaks.

Under `jax.grad` a masked-out infinity still poisons the result (0 * inf is
nan), so every function here guards the *argument* before the singular
operation and not only its result.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def _tiny(x: Array) -> float:
  """Return the smallest normal number of `x`'s dtype."""
  return float(jnp.finfo(x.dtype).tiny)


def safe_sqrt(x: Float[Array, '*shape']) -> Float[Array, '*shape']:
  """Take the square root, with value and gradient 0 for x <= 0.

  Without it: d sqrt(x) / dx is infinite at 0.

  Args:
    x: numbers of any shape.

  Returns:
    sqrt(x) where x > 0, else 0.
  """
  positive = x > _tiny(x)
  root = jnp.sqrt(jnp.where(positive, x, 1.0))
  return jnp.where(positive, root, 0.0)


def safe_divide(
  numerator: Float[Array, '*shape'], denominator: Float[Array, '*shape']
) -> Float[Array, '*shape']:
  """Divide, and yield 0, with gradient 0, where the denominator is 0.

  Args:
    numerator: numbers of any shape.
    denominator: numbers of the same shape.

  Returns:
    numerator / denominator, or 0 where |denominator| is 0 or denormal.
  """
  usable = jnp.abs(denominator) > _tiny(denominator)
  quotient = numerator / jnp.where(usable, denominator, 1.0)
  return jnp.where(usable, quotient, 0.0)


def safe_norm(
  x: Float[Array, '...'], *, axis: int = -1, keepdims: bool = False
) -> Float[Array, '...']:
  """Return the Euclidean length, with gradient 0 at the zero vector.

  Without it: the gradient of the length of the zero vector is nan.

  Args:
    x: vectors along `axis`.
    axis: the axis that is reduced.
    keepdims: whether to keep that axis with length 1.

  Returns:
    The lengths.
  """
  return safe_sqrt(jnp.sum(x * x, axis=axis, keepdims=keepdims))


def safe_normalize(
  x: Float[Array, '*shape'], *, axis: int = -1
) -> Float[Array, '*shape']:
  """Return unit vectors; vectors too short to have a direction become 0.

  The vector is scaled by its largest component first, so that tiny and huge
  vectors (normals of minute triangles) keep their direction.

  Args:
    x: vectors along `axis`.
    axis: the axis of the components.

  Returns:
    x / |x|, or 0 (with gradient 0) where |x| is 0.
  """
  largest = jax.lax.stop_gradient(jnp.max(jnp.abs(x), axis=axis, keepdims=True))
  # The gradient is of order 1 / largest: below this it would overflow.
  usable = largest > 1e3 * _tiny(x)
  scaled = x / jnp.where(usable, largest, 1.0)
  squared = jnp.sum(scaled * scaled, axis=axis, keepdims=True)
  length = jnp.sqrt(jnp.where(usable, squared, 1.0))
  return jnp.where(usable, scaled / length, 0.0)


def safe_acos(x: Float[Array, '*shape']) -> Float[Array, '*shape']:
  """Return the arc cosine in radians of x clamped to [-1, 1].

  Without it: the gradient is infinite at -1 and 1, and rounding can take a
  dot product of unit vectors outside of the domain.

  Args:
    x: cosines, in [-1, 1] but for rounding.

  Returns:
    Angles in [0, pi]; the gradient is 0 where x was clamped.
  """
  bound = 1.0 - 4.0 * float(jnp.finfo(x.dtype).eps)
  return jnp.arccos(jnp.clip(x, -bound, bound))


def safe_log(x: Float[Array, '*shape']) -> Float[Array, '*shape']:
  """Return the natural logarithm of max(x, tiny), gradient 0 where clamped.

  Args:
    x: numbers of any shape.

  Returns:
    log(x) where x is positive, else the logarithm of the smallest normal
    number (-87.3 in float32).
  """
  positive = x > _tiny(x)
  return jnp.where(
    positive, jnp.log(jnp.where(positive, x, 1.0)), jnp.log(_tiny(x))
  )
