"""Attention, whole and in blocks, against the formula; values and gradients."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.diffusion import attention


def plain_attend(query, key, value, causal=False):
  scores = jnp.einsum('bnhd,bthd->bhnt', query, key) / query.shape[-1] ** 0.5
  if causal:
    rows, columns = scores.shape[-2:]
    seen = jnp.arange(rows)[:, None] >= jnp.arange(columns)[None]
    scores = jnp.where(seen[None, None], scores, -jnp.inf)
  return jnp.einsum('bhnt,bthd->bnhd', jax.nn.softmax(scores, axis=-1), value)


QUERIES, KEYS = (2, 9, 3, 8), (2, 64, 3, 8)
# name: function, causal, shapes of query and of key and value.
CASES = {
  'whole': (attention.attend_whole, False, QUERIES, KEYS),
  'causal': (
    functools.partial(attention.attend_whole, causal=True),
    True,
    QUERIES,
    QUERIES,
  ),
  # 9 queries fill two blocks of 4 and a part of the third.
  'blocks': (
    functools.partial(attention.attend_in_blocks, block=4),
    False,
    QUERIES,
    KEYS,
  ),
  'one_block': (attention.attend_in_blocks, False, QUERIES, (2, 7, 3, 8)),
}


def arguments(queries, keys, seed=0):
  rng = np.random.default_rng(seed)
  shapes = (queries, keys, keys)
  return [jnp.asarray(rng.standard_normal(s), jnp.float32) for s in shapes]


def pull(function, *values):
  """Return the output and the gradients of a weighted sum of it."""
  out, back = jax.vjp(function, *values)
  weights = jnp.cos(jnp.arange(out.size, dtype=jnp.float32))
  return (out, *back(weights.reshape(out.shape).astype(out.dtype)))


def relative(ours, theirs):
  scale = max(float(jnp.linalg.norm(theirs.ravel())), 1e-3)
  return float(jnp.linalg.norm((ours - theirs).ravel())) / scale


@pytest.mark.parametrize('name', CASES)
@pytest.mark.parametrize('heads', ['one by one', 'together'])
def test_value_and_gradient_equal_the_formula(monkeypatch, name, heads):
  if heads == 'together':  # As on an accelerator.
    monkeypatch.setattr(jax, 'default_backend', lambda: 'gpu')
  function, causal, *shapes = CASES[name]
  values = arguments(*shapes)
  plain = functools.partial(plain_attend, causal=causal)
  ours = jax.jit(lambda *v: pull(function, *v))(*values)
  theirs = jax.jit(lambda *v: pull(plain, *v))(*values)
  for mine, expected in zip(ours, theirs, strict=True):
    assert mine.dtype == expected.dtype
    assert relative(mine, expected) < 5e-6


@pytest.mark.parametrize('name', ['whole', 'blocks'])
def test_vmap_equals_a_loop(name):
  function, _, *shapes = CASES[name]
  values = [
    jnp.stack(p) for p in zip(arguments(*shapes), arguments(*shapes, seed=1))
  ]
  gradient = jax.grad(lambda *v: jnp.sum(jnp.sin(function(*v))))
  many = jax.jit(jax.vmap(gradient))(*values)
  gradient = jax.jit(gradient)
  for i in range(2):
    one = gradient(*(value[i] for value in values))
    assert relative(many[i], one) < 2e-6


@pytest.mark.parametrize('name', ['whole', 'blocks'])
def test_large_scores_stay_finite(name):
  function, _, *shapes = CASES[name]
  query, key, value = arguments(*shapes)
  out, *gradients = pull(function, 100 * query, 100 * key, value)
  np.testing.assert_allclose(
    out, plain_attend(100 * query, 100 * key, value), atol=1e-3
  )
  assert all(np.isfinite(x).all() for x in gradients)


@pytest.mark.parametrize('name', CASES)
def test_bfloat16_stays_bfloat16(name):
  function, _, *shapes = CASES[name]
  values = [value.astype(jnp.bfloat16) for value in arguments(*shapes)]
  found = jax.eval_shape(functools.partial(pull, function), *values)
  assert {x.dtype for x in found} == {jnp.dtype('bfloat16')}


def scores_in(program, rows, keys):
  """Return whether a traced program holds an array of all scores."""
  return f'{rows},{keys}]' in str(program)


def test_many_scores_are_never_held_at_once():
  gradient = jax.grad(lambda *v: attention.attend(*v).sum(), argnums=(0, 1, 2))
  few = [jax.ShapeDtypeStruct((1, 256, 1, 8), jnp.float32)] * 3
  many = [jax.ShapeDtypeStruct((1, 4096, 1, 8), jnp.float32)] * 3
  assert scores_in(jax.make_jaxpr(gradient)(*few), 256, 256)
  program = jax.make_jaxpr(gradient)(*many)
  assert scores_in(program, attention._block_size(4096, 4096), 4096)
  assert not scores_in(program, 4096, 4096)


@pytest.mark.parametrize('queries', [1, 100, 4096, 9216])
@pytest.mark.parametrize('keys', [1, 77, 1024, 9216, 10**7])
def test_blocks_hold_few_scores_and_little_that_fills_them_up(queries, keys):
  block = attention._block_size(queries, keys)
  assert block % attention._VECTOR == 0
  assert block == attention._VECTOR or block * keys <= 1.3 * 2**19
  blocks = -(-queries // block)
  assert blocks * block - queries < blocks * attention._VECTOR
