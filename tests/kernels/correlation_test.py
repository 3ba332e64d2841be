"""Correlations and their derivatives, against lax's own."""

import jax
import pytest

from maskjax.kernels import correlation
from tests.kernels import checks

STEPS = [(1, 1), (1, 0), (2, 0)]


@pytest.mark.parametrize('run', [checks.pull, checks.pull_twice])
@pytest.mark.parametrize(('stride', 'padding'), STEPS)
def test_derivatives_are_those_of_a_convolution(stride, padding, run):
  kernel, plain = (
    lambda x, kernel, f=f: f(x, kernel, stride, padding)
    for f in (correlation.correlate, correlation.correlate_plain)
  )
  values = checks.normal((2, 7, 7, 3), (3, 3, 3, 4))
  checks.assert_equal(kernel, plain, values, run=run)


@pytest.mark.parametrize('run', [checks.pull, checks.pull_twice])
def test_enlarging_convolves_between_inserted_zeros(run):
  values = checks.normal((2, 5, 4, 3), (3, 3, 3, 6))
  kernel, plain = correlation.enlarge, correlation.enlarge_plain
  assert jax.eval_shape(kernel, *values).shape == (2, 11, 9, 6)
  checks.assert_equal(kernel, plain, values, run=run)
