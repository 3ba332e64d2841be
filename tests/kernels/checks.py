"""Compares a tuned kernel with its plain formula: values, gradients, types.

Both are judged by the plain formula in float64. A kernel may be 4 times as far
from it as the plain formula in float32 is, because sums in another order and
another processor's instructions round otherwise. That noise is taken as no
less than what float32 loses in a sum of n terms of both signs, about the
square root of n of its spacings. No case may be further than `MOST`.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

MOST = 5e-6
_MARGIN = 4
SPACING = float(np.finfo(np.float32).eps)


def normal(*shapes, seed=0):
  """Draw an array of standard normal numbers for each shape."""
  rng = np.random.default_rng(seed)
  return [jnp.asarray(rng.standard_normal(s), jnp.float32) for s in shapes]


def pull(function, *values):
  """Return the output and the gradients of a weighted sum of it."""
  out, back = jax.vjp(function, *values)
  weights = np.cos(np.arange(out.size, dtype=np.float32))
  return (out, *back(jnp.asarray(weights.reshape(out.shape), out.dtype)))


def pull_twice(function, *values):
  """Return the gradients of the squared gradients of a sum of sines."""
  numbers = tuple(range(len(values)))
  slopes = jax.grad(lambda *v: jnp.sin(function(*v)).sum(), numbers)
  steepness = lambda *v: sum(jnp.square(s).sum() for s in slopes(*v))
  return jax.grad(steepness, numbers)(*values)


def wide(function, *values):
  """Run a function in float64; returns NumPy arrays."""
  with jax.enable_x64():
    values = [jnp.asarray(np.asarray(value, np.float64)) for value in values]
    return jax.tree.map(np.asarray, jax.jit(function)(*values))


def error(found, exact):
  """Return |found - exact| / |exact|, or nearly so where it is next to 0."""
  found, exact = np.asarray(found, np.float64), np.asarray(exact, np.float64)
  assert found.shape == exact.shape
  return np.linalg.norm(found - exact) / max(np.linalg.norm(exact), 1e-3)


def assert_equal(kernel, plain, values, *, run=pull):
  """Compare a kernel with its formula, by what `run` makes of them."""
  largest = max(value.size for value in values)
  run_wide = functools.partial(run, plain)
  exact = wide(run_wide, *values)
  simple = jax.jit(run_wide)(*values)
  found = jax.jit(functools.partial(run, kernel))(*values)
  for mine, plainly, expected in zip(found, simple, exact, strict=True):
    assert mine.dtype == plainly.dtype
    terms = max(largest / mine.size, 1)
    noise = max(error(plainly, expected), terms**0.5 * SPACING)
    assert error(mine, expected) < min(_MARGIN * noise, MOST)


def assert_vmap_is_a_loop(kernel, shapes):
  """Compare gradients under vmap with those of one sample after the other."""
  pairs = zip(normal(*shapes), normal(*shapes, seed=1))
  values = [jnp.stack(pair) for pair in pairs]
  gradient = jax.grad(lambda *v: jnp.sum(jnp.sin(kernel(*v))))
  many = jax.jit(jax.vmap(gradient))(*values)
  gradient = jax.jit(gradient)
  for i in range(2):
    one = gradient(*(value[i] for value in values))
    assert error(many[i], one) < 2e-6


def assert_types_stay(kernel, values):
  """Check that outputs are bfloat16, and gradients of their inputs' types."""

  def run(*values):
    out, back = jax.vjp(kernel, *values)
    return out, back(out)

  out, gradients = jax.eval_shape(run, *values)
  assert out.dtype == jnp.bfloat16
  for value, gradient in zip(values, gradients, strict=True):
    assert gradient.dtype == value.dtype
