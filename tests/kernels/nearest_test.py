"""Repeated pixels, against the formula."""

import jax.numpy as jnp

from maskjax.kernels import nearest
from tests.kernels import checks

SHAPES = ((2, 4, 6, 12),)


def test_value_and_gradient_equal_the_formula():
  values = checks.normal(*SHAPES)
  checks.assert_equal(nearest.double, nearest.double_plain, values)


def test_bfloat16_stays_bfloat16():
  values = [value.astype(jnp.bfloat16) for value in checks.normal(*SHAPES)]
  checks.assert_types_stay(nearest.double, values)
