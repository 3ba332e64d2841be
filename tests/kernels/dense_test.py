"""Products of rows and a matrix, against the formula."""

import jax.numpy as jnp

from maskjax.kernels import dense
from tests.kernels import checks

SHAPES = (
  (2, 5, 7),
  (7, 3),
)


def test_value_and_gradient_equal_the_formula():
  values = checks.normal(*SHAPES)
  checks.assert_equal(dense.matmul, dense.matmul_plain, values)


def test_bfloat16_stays_bfloat16():
  values = [value.astype(jnp.bfloat16) for value in checks.normal(*SHAPES)]
  checks.assert_types_stay(dense.matmul, values)
