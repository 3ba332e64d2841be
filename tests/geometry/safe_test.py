"""Values and gradients of the safe operations at and away from trouble."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.geometry import safe

# float32 rounding of a handful of operations.
_TOLERANCE = 2e-6


def test_away_from_singularities_the_plain_formulas_hold():
  x = jnp.asarray([0.1, 0.5, 0.9])
  y = jnp.asarray([-2.0, 0.3, 4.0])
  for ours, plain in (
    (safe.safe_sqrt, jnp.sqrt),
    (safe.safe_acos, jnp.arccos),
    (safe.safe_log, jnp.log),
    (lambda x: safe.safe_divide(x, y), lambda x: x / y),
    (lambda x: safe.safe_divide(y, x), lambda x: y / x),
    (lambda x: safe.safe_norm(x)[None], lambda x: jnp.linalg.norm(x)[None]),
    (safe.safe_normalize, lambda x: x / jnp.linalg.norm(x)),
  ):
    found, expected = (
      jax.jit(lambda x, f=f: (f(x), jax.jacfwd(f)(x)))(x) for f in (ours, plain)
    )
    np.testing.assert_allclose(found[0], expected[0], rtol=_TOLERANCE)
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
  'function, at, value, slope',
  [
    (safe.safe_sqrt, 0.0, 0.0, 0.0),
    (safe.safe_sqrt, -1.0, 0.0, 0.0),
    (lambda x: safe.safe_divide(jnp.ones_like(x), x), 0.0, 0.0, 0.0),
    (lambda x: safe.safe_divide(x, jnp.zeros_like(x)), 3.0, 0.0, 0.0),
    (safe.safe_acos, 1.5, 0.0, 0.0),
    (safe.safe_acos, -1.5, np.pi, 0.0),
    (safe.safe_log, 0.0, np.log(np.finfo(np.float32).tiny), 0.0),
  ],
)
def test_singularities_have_finite_value_and_gradient(
  function, at, value, slope
):
  # The clamp of arccos at 1 - 4 eps is 1e-3 radians wide.
  np.testing.assert_allclose(function(jnp.float32(at)), value, atol=1e-3)
  assert jax.grad(function)(jnp.float32(at)) == slope


def test_acos_gradient_is_finite_at_the_ends():
  for at in (-1.0, 1.0):
    assert np.isfinite(jax.grad(safe.safe_acos)(jnp.float32(at)))


def test_zero_vectors_have_length_zero_and_no_direction():
  zero = jnp.zeros((2, 3))
  for function in (safe.safe_norm, safe.safe_normalize):
    value, gradient = jax.jit(
      jax.value_and_grad(lambda x, f=function: jnp.sum(f(x)))
    )(zero)
    assert value == 0
    np.testing.assert_array_equal(gradient, zero)


@pytest.mark.parametrize('scale', [1e-30, 1e-15, 1.0, 1e15, 1e30])
def test_normalize_keeps_the_direction_of_tiny_and_huge_vectors(scale):
  x = jnp.asarray([3.0, -4.0, 0.0]) * scale
  np.testing.assert_allclose(
    safe.safe_normalize(x), [0.6, -0.8, 0.0], rtol=_TOLERANCE
  )
  jacobian = jax.jacobian(safe.safe_normalize)(x) * scale
  expected = (np.eye(3) - np.outer([0.6, -0.8, 0], [0.6, -0.8, 0])) / 5
  np.testing.assert_allclose(jacobian, expected, atol=1e-6)
