"""Sums as products with ones, against plain sums."""

import functools

import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.kernels import sums
from tests.kernels import checks

SUMS = {
  'over_tokens': (sums.over_tokens, sums.over_tokens_plain),
  'over_rows': (sums.over_rows, sums.over_rows_plain),
  'folded': (sums.folded, sums.over_tokens_plain),
}
# Below one chunk or fold, of several, and of a length that divides neither.
ROWS = (24, 2048, 1031)


@pytest.mark.parametrize('name', SUMS)
@pytest.mark.parametrize('rows', ROWS)
def test_value_and_gradient_equal_the_formula(name, rows):
  checks.assert_equal(*SUMS[name], checks.normal((2, rows, 3)))


@pytest.mark.parametrize('name', ['over_tokens', 'over_rows'])
def test_bfloat16_is_summed_in_float32(name):
  # 4,097 ones: bfloat16 has no number between 4,096 and 4,128.
  x = jnp.ones((1, 4097, 2), jnp.bfloat16)
  total = SUMS[name][0](x)
  assert total.dtype == jnp.float32
  np.testing.assert_array_equal(total, np.full(total.shape, 4097.0))


def test_folds_round_less_than_one_long_sum():
  # Terms of 1 + 2^-12 are exact, their sum past 2^12 is not: one after the
  # other every addition rounds, in 256 short sums few do.
  x = jnp.full((1, 256 * 256, 1), 1 + 2.0**-12, jnp.float32)
  exact = 256 * 256 * (1 + 2.0**-12)
  one_by_one = functools.reduce(np.add, np.asarray(x).ravel())
  folded = float(sums.folded(x)[0, 0])
  assert abs(folded - exact) <= abs(float(one_by_one) - exact) / 10
