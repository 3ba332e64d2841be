"""Attention, whole or in blocks, with gradients written out by hand.

Small maps take all scores at once and keep the softmax's weights for the
backward pass. Others (64 x 64 latents: 16.8 million scores a head) go through
blocks of queries, one head after the other on a CPU, and compute the weights
anew in the backward pass: exact, and memory grows with N, not N^2. Products of
transposed matrices are several times slower on a CPU, so always the small
operand is transposed.

Shapes: B batch, N queries, T keys, H heads, D channels of a head, G = B H.
"""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
import numpy as np

# Scores of a block: on a CPU as many as its cache has room for (2 MiB). And the
# scores of one head up to which all are kept: blocks of 1,024 x 1,024 take half
# the time of all heads together there, and as long at 256 x 256.
_BLOCK = 1024
_CPU_BLOCK_SCORES = 2**19
_MOST_SCORES = 2**21
_CPU_MOST_SCORES = 2**16
# Widths of products that a CPU's vectors divide.
_VECTOR = 16


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
  """Attention with all scores in memory; arguments as `attend`."""
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


def _for_each_head(function, *arrays):
  """Map over heads [G, ...]: one by one on a CPU, else all together."""
  if jax.default_backend() == 'cpu':
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


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def attend_in_blocks(
  query: Float[Array, 'b n h d'],
  key: Float[Array, 'b t h d'],
  value: Float[Array, 'b t h d'],
  block: int = _BLOCK,
) -> Float[Array, 'b n h d']:
  """Attention to all keys from `block` queries at a time; see `attend`."""
  return _in_blocks_forward(query, key, value, block)[0]


def _in_blocks_forward(query, key, value, block):
  run = functools.partial(_head_forward, block=block)
  out, largest, sums = _for_each_head(
    run, _scaled(query), _split_heads(key), _split_heads(value)
  )
  out = _join_heads(out, query.shape[0]).astype(value.dtype)
  return out, (query, key, value, largest, sums, out)


def _in_blocks_backward(block, saved, gradient):
  query, key, value, largest, sums, out = saved
  run = functools.partial(_head_backward, block=block)
  gradients = _for_each_head(
    run,
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


def _block_size(queries: int, keys: int) -> int:
  """Return how many queries make a block, all blocks about as large."""
  if jax.default_backend() != 'cpu':
    return min(_BLOCK, queries)
  most = max(_CPU_BLOCK_SCORES // keys, _VECTOR)
  size = -(-queries // -(-queries // most))
  return -(-size // _VECTOR) * _VECTOR


def attend(
  query: Float[Array, 'b n h d'],
  key: Float[Array, 'b t h d'],
  value: Float[Array, 'b t h d'],
  causal: bool = False,
) -> Float[Array, 'b n h d']:
  """Scaled dot-product attention; the softmax is computed in float32.

  Takes reverse-mode derivatives only, under `jit` and `vmap`.

  Args:
    query: queries of each head.
    key: keys of each head.
    value: values of each head.
    causal: let token i see the tokens up to i only.
  """
  queries, keys = query.shape[1], key.shape[1]
  on_cpu = jax.default_backend() == 'cpu'
  most = _CPU_MOST_SCORES if on_cpu else _MOST_SCORES
  if not causal and queries * keys > most:
    block = _block_size(queries, keys)
    return attend_in_blocks(query, key, value, block)
  return attend_whole(query, key, value, causal)
