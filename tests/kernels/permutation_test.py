"""Permutations against the formula."""

import jax
import jax.numpy as jnp
import numpy as np

from maskjax.kernels import permutation


def test_value_and_gradient_equal_the_formula():
  rng = np.random.default_rng(0)
  x = jnp.asarray(rng.standard_normal((2, 3, 7)), jnp.float32)
  order = jnp.argsort(jnp.asarray(rng.random((2, 3, 7))), axis=-1)
  rank = jnp.argsort(order, axis=-1)
  weights = jnp.asarray(rng.standard_normal((2, 3, 7)), jnp.float32)
  results = [
    jax.jit(
      jax.value_and_grad(lambda x: (f(x, order, rank) * weights).sum())  # noqa: B023
    )(x)
    for f in (permutation.permute, permutation.permute_plain)
  ]
  # Numbers are moved, not computed with.
  jax.tree.map(np.testing.assert_array_equal, *results)


def test_rank_takes_the_values_back():
  x = jnp.asarray([[3.0, 1.0, 2.0]])
  order = jnp.argsort(x, axis=-1)
  rank = jnp.argsort(order, axis=-1)
  there = permutation.permute(x, order, rank)
  np.testing.assert_array_equal(there, [[1, 2, 3]])
  np.testing.assert_array_equal(permutation.permute(there, rank, order), x)
