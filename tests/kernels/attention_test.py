"""Attention, whole and in blocks, against the formula; values and gradients."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.kernels import attention
from tests.kernels import checks

QUERIES, KEYS = (2, 9, 3, 8), (2, 64, 3, 8)
# On a CPU heads go one by one, on an accelerator together.
ONE_BY_ONE = {'one by one': True, 'together': False}
# name: causal, queries of a block (None: all), shapes of query and of key and
# value. 9 queries fill two blocks of 4 and a part of the third.
CASES = {
  'whole': (False, None, QUERIES, KEYS),
  'causal': (True, None, QUERIES, QUERIES),
  'blocks': (False, 4, QUERIES, KEYS),
  'one_block': (False, 1024, QUERIES, (2, 7, 3, 8)),
}


def case(name, one_by_one=True):
  """Return a case's function and the shapes of its arguments."""
  causal, block, queries, keys = CASES[name]
  if block is None:
    function = functools.partial(attention.attend_whole, causal=causal)
  else:
    function = functools.partial(
      attention.attend_in_blocks, block=block, one_by_one=one_by_one
    )
  return function, (queries, keys, keys)


@pytest.mark.parametrize('name', CASES)
@pytest.mark.parametrize('heads', ONE_BY_ONE)
def test_value_and_gradient_equal_the_formula(name, heads):
  function, shapes = case(name, ONE_BY_ONE[heads])
  plain = functools.partial(attention.attend_plain, causal=CASES[name][0])
  checks.assert_equal(function, plain, checks.normal(*shapes))


@pytest.mark.parametrize('name', ['whole', 'blocks'])
def test_vmap_equals_a_loop(name):
  checks.assert_vmap_is_a_loop(*case(name))


@pytest.mark.parametrize('name', ['whole', 'blocks'])
def test_large_scores_stay_finite(name):
  function, shapes = case(name)
  query, key, value = checks.normal(*shapes)
  out, *gradients = checks.pull(function, 100 * query, 100 * key, value)
  np.testing.assert_allclose(
    out, attention.attend_plain(100 * query, 100 * key, value), atol=1e-3
  )
  assert all(np.isfinite(x).all() for x in gradients)


@pytest.mark.parametrize('name', CASES)
def test_bfloat16_stays_bfloat16(name):
  function, shapes = case(name)
  values = [value.astype(jnp.bfloat16) for value in checks.normal(*shapes)]
  checks.assert_types_stay(function, values)


def scores_in(program, rows, keys):
  """Return whether a traced program holds an array of all scores."""
  return f'{rows},{keys}]' in str(program)


PLANS = {'cpu': attention.CPU, 'accelerator': attention.ACCELERATOR}


@pytest.mark.parametrize('plan', PLANS)
def test_many_scores_are_never_held_at_once(plan):
  plan = PLANS[plan]
  attend = functools.partial(attention.attend, plan=plan)
  gradient = jax.grad(lambda *v: attend(*v).sum(), argnums=(0, 1, 2))
  few = [jax.ShapeDtypeStruct((1, 256, 1, 8), jnp.float32)] * 3
  many = [jax.ShapeDtypeStruct((1, 4096, 1, 8), jnp.float32)] * 3
  assert scores_in(jax.make_jaxpr(gradient)(*few), 256, 256)
  program = jax.make_jaxpr(gradient)(*many)
  assert scores_in(program, attention.block_size(plan, 4096, 4096), 4096)
  assert not scores_in(program, 4096, 4096)


@pytest.mark.parametrize('plan', PLANS)
@pytest.mark.parametrize('causal', [True, False])
def test_every_plan_gives_the_formula(plan, causal):
  # 272 x 272 scores are many for a CPU only.
  attend = functools.partial(attention.attend, causal=causal, plan=PLANS[plan])
  plain = functools.partial(attention.attend_plain, causal=causal)
  checks.assert_equal(attend, plain, checks.normal(*((1, 272, 2, 8),) * 3))


@pytest.mark.parametrize('backend', ['cpu', 'gpu', 'tpu'])
def test_plan_is_that_of_the_backend(monkeypatch, backend):
  monkeypatch.setattr(jax, 'default_backend', lambda: backend)
  expected = PLANS.get(backend, attention.ACCELERATOR)
  assert attention.default_plan() == expected


@pytest.mark.parametrize('queries', [1, 100, 4096, 9216])
@pytest.mark.parametrize('keys', [1, 77, 1024, 9216, 10**7])
def test_blocks_hold_few_scores_and_little_that_fills_them_up(queries, keys):
  block = attention.block_size(attention.CPU, queries, keys)
  assert block % attention._VECTOR == 0
  assert block == attention._VECTOR or block * keys <= 1.3 * 2**19
  blocks = -(-queries // block)
  assert blocks * block - queries < blocks * attention._VECTOR
