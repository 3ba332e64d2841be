"""Attention, whole or in blocks, with gradients written out by hand.

Small maps take all scores at once and keep the softmax's weights for the
backward pass. Others (64 x 64 latents: 16.8 million scores a head) go through
blocks of queries, one head after the other on a CPU, and compute the weights
anew in the backward pass: exact, and memory grows with N, not N^2. Products of
transposed matrices are several times slower on a CPU, so always the small
operand is transposed. The functions take reverse-mode derivatives only, under
`jit` and `vmap`.

Shapes: B batch, N queries, T keys, H heads, D channels of a head, G = B H.
Source: Vaswani et al., "Attention Is All You Need", 1706.03762, equation 1;
blocks after Rabe and Staats, "Self-attention Does Not Need O(n^2) Memory",
2112.05682.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
import numpy as np

# Queries of a block where memory is the only limit.
_BLOCK = 1024
# Widths of products that a CPU's vectors divide.
_VECTOR = 16


class Plan(NamedTuple):
  """How the scores are spread over memory, by the kind of processor.

  Attributes:
    most_scores: scores N T of one head up to which all are held at once.
    block_scores: about the scores of one block; None for `_BLOCK` queries,
      whatever T is.
    one_by_one: whether to take one head after the other, or all together.
  """

  most_scores: int
  block_scores: int | None
  one_by_one: bool


# On a CPU a block has as many scores as its cache has room for (2 MiB). And
# blocks of 1,024 x 1,024 scores take half the time of all heads together
# there, and as long at 256 x 256.
CPU = Plan(most_scores=2**16, block_scores=2**19, one_by_one=True)
ACCELERATOR = Plan(most_scores=2**21, block_scores=None, one_by_one=False)


def default_plan() -> Plan:
  """Return the plan for the default backend, when a program is traced.

  Not `lax.platform_dependent`: whole and blocked attention keep different
  arrays for the gradient, and a differentiated choice between them would keep
  both.
  """
  return CPU if jax.default_backend() == 'cpu' else ACCELERATOR


def block_size(plan: Plan, queries: int, keys: int) -> int:
  """Return how many queries make a block, all blocks about as large.

  Args:
    plan: of the processor.
    queries: N, queries of a head.
    keys: T, keys of a head.

  Returns:
    Queries of a block; the last block may have fewer.
  """
  if plan.block_scores is None:
    return min(_BLOCK, queries)
  most = max(plan.block_scores // keys, _VECTOR)
  size = -(-queries // -(-queries // most))
  return -(-size // _VECTOR) * _VECTOR


def attend_plain(
  query: Float[Array, 'b n h d'],
  key: Float[Array, 'b t h d'],
  value: Float[Array, 'b t h d'],
  causal: bool = False,
) -> Float[Array, 'b n h d']:
  """Return the formula of `attend`: softmax(Q K^T / sqrt D) V of each head."""
  scores = jnp.einsum('bnhd,bthd->bhnt', query, key) / query.shape[-1] ** 0.5
  if causal:
    rows, columns = scores.shape[-2:]
    seen = jnp.arange(rows)[:, None] >= jnp.arange(columns)[None]
    scores = jnp.where(seen[None, None], scores, -jnp.inf)
  return jnp.einsum('bhnt,bthd->bnhd', jax.nn.softmax(scores, axis=-1), value)


def _row_max(x: Float[Array, '... t']) -> Float[Array, '... 1']:
  """Return the largest of each row; folds first, as that is vectorised."""
  while x.shape[-1] % 2 == 0 and x.shape[-1] > 16:
    half = x.shape[-1] // 2
    x = jnp.maximum(x[..., :half], x[..., half:])
  return x.max(axis=-1, keepdims=True)


def _heads_first(x: Float[Array, 'b n h d']) -> Float[Array, 'b h n d']:
  return x.transpose(0, 2, 1, 3)


def _heads_first_columns(x: Float[Array, 'b n h d']) -> Float[Array, 'b h d n']:
  return x.transpose(0, 2, 3, 1)


def _from_columns(x: Float[Array, 'b h d n']) -> Float[Array, 'b n h d']:
  return x.transpose(0, 3, 1, 2)


def _product(x: Array, y: Array, dtype=None) -> Array:
  """Multiply matrices, as rows times columns."""
  return jnp.matmul(x, y, preferred_element_type=dtype)


def _attend(query, key, value, causal):
  """Return the output, the weights before their division, and their sums."""
  scores = _product(
    _heads_first(query * query.shape[-1] ** -0.5),
    _heads_first_columns(key),
    jnp.float32,
  )
  if causal:
    mask = np.tril(np.ones(scores.shape[-2:], bool))[None, None]
    scores = jnp.where(mask, scores, jnp.finfo(jnp.float32).min)
  weights = jnp.exp(scores - _row_max(scores))
  sums = weights.sum(axis=-1, keepdims=True)
  weights = weights.astype(value.dtype)
  out = _product(weights, _heads_first(value), jnp.float32) / sums
  return _heads_first(out.astype(value.dtype)), weights, sums


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def attend_whole(
  query: Float[Array, 'b n h d'],
  key: Float[Array, 'b t h d'],
  value: Float[Array, 'b t h d'],
  causal: bool = False,
) -> Float[Array, 'b n h d']:
  """Attend with all scores in memory; arguments as `attend`."""
  return _attend(query, key, value, causal)[0]


def _attend_forward(query, key, value, causal):
  out, weights, sums = _attend(query, key, value, causal)
  return out, (query, key, value, weights, sums, out)


def _attend_backward(causal, saved, gradient):
  del causal  # Masked weights are 0, and so are their gradients.
  query, key, value, weights, sums, out = saved
  dtype = query.dtype
  scale = query.shape[-1] ** -0.5
  # The softmax's own sum over T, taken over D instead.
  inner = (gradient * out).astype(jnp.float32).sum(axis=-1, keepdims=True)
  divided = (gradient / _heads_first(sums)).astype(dtype)
  to_value = _product(_heads_first_columns(divided), weights)
  to_weights = _product(
    _heads_first(divided), _heads_first_columns(value), jnp.float32
  )
  to_scores = weights * (to_weights - _heads_first(inner) / sums)
  to_scores = to_scores.astype(dtype)
  to_query = _heads_first(_product(to_scores, _heads_first(key)) * scale)
  to_key = _product(_heads_first_columns(query * scale), to_scores)
  return to_query, _from_columns(to_key), _from_columns(to_value)


attend_whole.defvjp(_attend_forward, _attend_backward)


def _for_each_head(one_by_one, function, *arrays):
  """Map over heads [G, ...], one by one or all together."""
  if one_by_one:
    return jax.lax.map(lambda rows: function(*rows), arrays)
  return jax.vmap(function)(*arrays)


def _split_heads(x: Float[Array, 'b n h d']) -> Float[Array, 'g n d']:
  return _heads_first(x).reshape(-1, x.shape[1], x.shape[3])


def _join_heads(x: Float[Array, 'g n d'], batch: int) -> Array:
  return _heads_first(x.reshape(batch, -1, *x.shape[1:]))


def _cut(x: Float[Array, 'n d'], block: int) -> Float[Array, 'k m d']:
  """Cut rows into blocks; rows of zeros fill up the last."""
  missing = -x.shape[0] % block
  return jnp.pad(x, ((0, missing), (0, 0))).reshape(-1, block, x.shape[1])


def _uncut(x: Float[Array, 'k m d'], rows: int) -> Float[Array, 'n d']:
  return x.reshape(-1, x.shape[-1])[:rows]


def _head_forward(query, key, value, block):
  """Attend with one head; also returns each row's largest score and sum."""
  columns = key.T
  # A column of ones makes the product sum the weights too; zeros fill up.
  channels = value.shape[1]
  ones = jnp.ones((value.shape[0], 1), value.dtype)
  value = jnp.concatenate([value, ones], axis=1)
  value = jnp.pad(value, ((0, 0), (0, -value.shape[1] % _VECTOR)))

  def attend_rows(rows):
    scores = _product(rows, columns, jnp.float32)
    largest = _row_max(scores)
    weights = jnp.exp(scores - largest).astype(value.dtype)
    out = _product(weights, value, jnp.float32)
    sums = out[:, channels : channels + 1]
    return out[:, :channels] / sums, largest, sums

  parts = jax.lax.map(attend_rows, _cut(query, block))
  return tuple(_uncut(part, query.shape[0]) for part in parts)


def _head_backward(query, key, value, largest, sums, out, gradient, block):
  """Return the gradients of one head's scaled queries, keys and values."""
  dtype = query.dtype
  keys, values = key.T, value.T
  inner = (gradient * out).astype(jnp.float32).sum(axis=-1, keepdims=True)
  # Rows that fill up the last block have gradient 0 but need a sum.
  blocks = [_cut(x, block) for x in (query, largest, gradient, inner)]
  blocks.append(jnp.maximum(_cut(sums, block), 1e-30))

  def pull_rows(carry, rows):
    to_keys, to_values = carry
    query, largest, gradient, inner, sums = rows
    scores = _product(query, keys, jnp.float32)
    # Ends in a division: XLA would compute cheaper operations twice.
    weights = jnp.exp(scores - largest) / sums
    to_weights = _product(gradient, values, jnp.float32)
    to_scores = (weights * (to_weights - inner)).astype(dtype)
    weights = weights.astype(dtype)
    to_keys += _product(query.T, to_scores, jnp.float32)
    to_values += _product(gradient.T, weights, jnp.float32)
    return (to_keys, to_values), _product(to_scores, key)

  zeros = jnp.zeros(keys.shape, jnp.float32), jnp.zeros(values.shape)
  (to_keys, to_values), to_query = jax.lax.scan(pull_rows, zeros, tuple(blocks))
  return (
    _uncut(to_query, query.shape[0]),
    to_keys.T.astype(dtype),
    to_values.T.astype(dtype),
  )


def _scaled(query):
  return _split_heads(query * query.shape[-1] ** -0.5)


@functools.partial(jax.custom_vjp, nondiff_argnums=(3, 4))
def attend_in_blocks(
  query: Float[Array, 'b n h d'],
  key: Float[Array, 'b t h d'],
  value: Float[Array, 'b t h d'],
  block: int,
  one_by_one: bool,
) -> Float[Array, 'b n h d']:
  """Attend to all keys from some queries at a time.

  Args:
    query: queries of each head.
    key: keys of each head.
    value: values of each head.
    block: how many queries at a time.
    one_by_one: take one head after the other, or all together.

  Returns:
    What `attend_plain` returns.
  """
  return _in_blocks_forward(query, key, value, block, one_by_one)[0]


def _in_blocks_forward(query, key, value, block, one_by_one):
  run = functools.partial(_head_forward, block=block)
  out, largest, sums = _for_each_head(
    one_by_one, run, _scaled(query), _split_heads(key), _split_heads(value)
  )
  out = _join_heads(out, query.shape[0]).astype(value.dtype)
  return out, (query, key, value, largest, sums, out)


def _in_blocks_backward(block, one_by_one, saved, gradient):
  query, key, value, largest, sums, out = saved
  gradients = _for_each_head(
    one_by_one,
    functools.partial(_head_backward, block=block),
    _scaled(query),
    _split_heads(key),
    _split_heads(value),
    largest,
    sums,
    _split_heads(out),
    _split_heads(gradient),
  )
  to_query, to_key, to_value = (
    _join_heads(x, query.shape[0]) for x in gradients
  )
  return to_query * query.shape[-1] ** -0.5, to_key, to_value


attend_in_blocks.defvjp(_in_blocks_forward, _in_blocks_backward)


def attend(
  query: Float[Array, 'b n h d'],
  key: Float[Array, 'b t h d'],
  value: Float[Array, 'b t h d'],
  *,
  causal: bool = False,
  plan: Plan | None = None,
) -> Float[Array, 'b n h d']:
  """Return scaled dot-product attention; the softmax is float32.

  Args:
    query: queries of each head.
    key: keys of each head.
    value: values of each head.
    causal: let token i see the tokens up to i only.
    plan: how scores are spread over memory; None for `default_plan`.

  Returns:
    What the queries gather from the values, in their type.
  """
  plan = plan or default_plan()
  queries, keys = query.shape[1], key.shape[1]
  if not causal and queries * keys > plan.most_scores:
    block = block_size(plan, queries, keys)
    return attend_in_blocks(query, key, value, block, plan.one_by_one)
  return attend_whole(query, key, value, causal)
