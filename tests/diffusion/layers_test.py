"""Layers by themselves; whole networks are compared in the networks' tests."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.diffusion import layers
from maskjax.kernels import attention
from tests.diffusion import torch_nets
from tests.kernels import checks


@pytest.mark.parametrize(
  'module, shape, fan_in',
  [
    (layers.Dense(256), (1, 64), 64),
    (layers.Conv(64), (1, 4, 4, 16), 9 * 16),
    (layers.Conv(256, 1), (1, 1, 1, 64), 64),
  ],
)
def test_fresh_kernels_are_as_large_as_in_pytorch(module, shape, fan_in):
  params = module.init(jax.random.key(0), jnp.zeros(shape))['params']
  bound = fan_in**-0.5
  assert 0.99 * bound < jnp.abs(params['kernel']).max() <= bound
  np.testing.assert_allclose(params['kernel'].std(), bound / 3**0.5, rtol=0.05)
  assert not params['bias'].any()


def test_timestep_embedding_of_odd_size_ends_in_zero():
  out = layers.timestep_embedding(jnp.array([0.0, 10.5]), 7)
  assert out.shape == (2, 7)
  np.testing.assert_allclose(out[0], [1, 1, 1, 0, 0, 0, 0])
  np.testing.assert_allclose(out[1, 0], np.cos(10.5), rtol=1e-5)


@pytest.mark.parametrize('size', [(8, 12), (7, 11), (5, 6), (4, 6)])
def test_pixels_are_repeated_as_in_pytorch(size):
  torch = torch_nets.load('torch')
  (x,) = checks.normal((2, 4, 6, 3))
  theirs = torch.nn.functional.interpolate(torch_nets.to_torch(x), size=size)
  np.testing.assert_array_equal(
    layers.resize_nearest(x, *size), torch_nets.from_torch(theirs)
  )


def test_heads_lie_side_by_side():
  query, key, value = checks.normal((2, 5, 8), (2, 7, 8), (2, 7, 8))
  found = layers.attend(query, key, value, heads=4)
  for head in range(4):
    own = slice(2 * head, 2 * head + 2)
    parts = (x[:, :, None, own] for x in (query, key, value))
    expected = attention.attend(*parts)
    # The same products, in batches of another size.
    assert checks.error(found[..., own], expected[:, :, 0]) < 1e-6


def test_first_attention_is_to_the_map_or_to_text():
  x, text = checks.normal((1, 5, 8), (1, 3, 8))
  for only_text in (False, True):
    module = layers.TransformerBlock(2, only_text=only_text)
    params = module.init(jax.random.key(0), x, text)['params']
    # Without the second attention and the feed-forward only the first is left.
    for name in ('attn2', 'ff'):
      params[name] = jax.tree.map(jnp.zeros_like, params[name])
    call = lambda x, m=module, p=params: m.apply({'params': p}, x, text)
    others = jax.jacobian(call)(x)[0, 0, :, 0, 1:]
    assert bool(jnp.any(others != 0)) != only_text


def test_recomputed_modules_have_the_same_parameters():
  (x,) = checks.normal((1, 4, 4, 8))

  class Two(nn.Module):
    remat: bool

    @nn.compact
    def __call__(self, x):
      block = layers.recomputed(layers.ResnetBlock, self.remat)
      return block(8, 4, name='block')(x)

  plain, remat = (
    Two(remat).init(jax.random.key(0), x) for remat in (False, True)
  )
  jax.tree.map(np.testing.assert_array_equal, plain, remat)
