"""Additions to and factors of channels, against their formulas."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.kernels import channelwise
from tests.kernels import checks

MAP = (2, 4, 6, 12)
# name: kernel, formula, shapes.
CASES = {
  'add': (channelwise.add, channelwise.add_plain, (MAP, (12,))),
  'bias': (channelwise.add_bias, channelwise.add_plain, ((2, 5, 7), (7,))),
  'pixels': (
    channelwise.add_to_pixels,
    channelwise.add_to_pixels_plain,
    (MAP, (2, 12)),
  ),
  'scale': (channelwise.scale, channelwise.scale_plain, (MAP, (2, 12))),
}


@pytest.mark.parametrize('name', CASES)
def test_value_and_gradient_equal_the_formula(name):
  kernel, plain, shapes = CASES[name]
  checks.assert_equal(kernel, plain, checks.normal(*shapes))


@pytest.mark.parametrize('name', CASES)
def test_bfloat16_stays_bfloat16(name):
  kernel, _, shapes = CASES[name]
  values = [value.astype(jnp.bfloat16) for value in checks.normal(*shapes)]
  checks.assert_types_stay(kernel, values)


def ours(x, factors, bias):
  return channelwise.add(channelwise.scale(x, factors), bias)


def plain(x, factors, bias):
  scaled = channelwise.scale_plain(x, factors)
  return channelwise.add_plain(scaled, bias)


@pytest.mark.parametrize('run', [checks.pull, checks.pull_twice])
def test_factors_then_biases_have_the_formulas_derivatives(run):
  values = checks.normal((2, 4, 5, 3), (2, 3), (3,))
  checks.assert_equal(ours, plain, values, run=run)


@pytest.mark.parametrize('kernel', [channelwise.add, channelwise.add_bias])
def test_biases_of_plain_rows(kernel):
  x = jnp.ones((4, 3))
  out = kernel(x, jnp.arange(3.0))
  np.testing.assert_array_equal(out[1], [1, 2, 3])
  slope = jax.grad(lambda bias: kernel(x, bias).sum())(jnp.zeros(3))
  np.testing.assert_array_equal(slope, [4, 4, 4])
