"""Normalisations against their formulas, and at their ends."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.kernels import norms
from tests.kernels import checks

MAP = (2, 4, 6, 12)
# 32 x 64 pixels: sums go in chunks of 1024.
LARGE_MAP = (2, 32, 64, 4)
GROUPS = (norms.group_norm, norms.group_norm_plain)
LAYER = (norms.layer_norm, norms.layer_norm_plain)
# name: kernel and formula, shapes, options.
CASES = {
  'group_norm': (GROUPS, (MAP, (12,), (12,)), (4, 1e-5)),
  'group_norm_silu': (GROUPS, (MAP, (12,), (12,)), (3, 1e-6, True)),
  'group_norm_large': (GROUPS, (LARGE_MAP, (4,), (4,)), (2, 1e-5)),
  'layer_norm': (LAYER, ((2, 5, 16), (16,), (16,)), (1e-5,)),
}


def case(name):
  """Return a case's kernel, formula and shapes."""
  functions, shapes, options = CASES[name]
  kernel, plain = (lambda *v, f=f: f(*v, *options) for f in functions)
  return kernel, plain, shapes


@pytest.mark.parametrize('name', CASES)
def test_value_and_gradient_equal_the_formula(name):
  kernel, plain, shapes = case(name)
  checks.assert_equal(kernel, plain, checks.normal(*shapes))


@pytest.mark.parametrize('name', ['group_norm_silu', 'layer_norm'])
def test_vmap_equals_a_loop(name):
  kernel, _, shapes = case(name)
  checks.assert_vmap_is_a_loop(kernel, shapes)


@pytest.mark.parametrize('name', CASES)
@pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
def test_bfloat16_stays_bfloat16(name, dtype):
  kernel, _, shapes = case(name)
  x, *rest = checks.normal(*shapes)
  rest = [value.astype(dtype) for value in rest]
  checks.assert_types_stay(kernel, [x.astype(jnp.bfloat16), *rest])


@pytest.mark.parametrize('offset, tolerance', [(0.0, 1e-6), (100.0, 2e-5)])
def test_group_norm_keeps_the_digits_of_maps_far_from_zero(offset, tolerance):
  kernel, plain, shapes = case('group_norm_large')
  x, scale, bias = checks.normal(*shapes)
  x = x + offset
  exact = checks.wide(plain, x, scale, bias)
  assert checks.error(kernel(x, scale, bias), exact) < tolerance


def test_group_norm_of_a_constant_map_is_its_bias():
  x = jnp.full((1, 4, 4, 4), 7.0)
  bias = jnp.arange(4.0)

  def run(x):
    return norms.group_norm(x, jnp.ones(4), bias, 2, 1e-5)

  np.testing.assert_allclose(run(x), jnp.broadcast_to(bias, x.shape), atol=1e-3)
  assert np.isfinite(jax.grad(lambda x: run(x).sum())(x)).all()


@pytest.mark.parametrize('end', [-1e4, 1e4])
def test_group_norm_silu_is_finite_at_the_ends(end):
  x, scale = checks.normal(MAP, (12,))
  run = functools.partial(norms.group_norm, groups=4, eps=1e-5, silu=True)
  total = lambda x, bias: run(x, scale, bias).sum()
  for value in jax.jit(jax.grad(total, (0, 1)))(x, jnp.full(12, end)):
    assert np.isfinite(value).all()
