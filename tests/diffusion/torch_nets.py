"""What the parity tests share: tiny PyTorch networks and their parameters."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.parity import torch_peer
from maskjax.weights import keymap

# A right port in float32 is within 2e-6; each known mistake (tanh GELU, the
# transformers' epsilon, an asymmetric padding) is above 1e-5.
RELATIVE_L2 = 5e-6

SMALL = {
  'sample_size': 16,
  'down_block_types': [
    'DownBlock2D',
    'CrossAttnDownBlock2D',
    'CrossAttnDownBlock2D',
  ],
  'up_block_types': [
    'CrossAttnUpBlock2D',
    'CrossAttnUpBlock2D',
    'UpBlock2D',
  ],
  'block_out_channels': [32, 48, 64],
  'layers_per_block': 1,
  'cross_attention_dim': 24,
  'norm_num_groups': 16,
  'attention_head_dim': 4,
}

# Compiling is most of a test's time, so most tests make do with fewer blocks.
TWO_BLOCKS = {
  **SMALL,
  'down_block_types': ['DownBlock2D', 'CrossAttnDownBlock2D'],
  'up_block_types': ['CrossAttnUpBlock2D', 'UpBlock2D'],
  'block_out_channels': [16, 32],
}
ONE_BLOCK = {
  **SMALL,
  'down_block_types': ['CrossAttnDownBlock2D'],
  'mid_block_type': None,
  'up_block_types': ['CrossAttnUpBlock2D'],
  'block_out_channels': [32],
}


def load(name):
  """Import torch, diffusers or transformers, or skip the test."""
  with warnings.catch_warnings():
    warnings.simplefilter('ignore')
    return pytest.importorskip(name)


def build(make, *, seed=0):
  """Build a PyTorch network with every weight random, zero convs too."""
  torch = load('torch')
  torch.manual_seed(seed)
  with warnings.catch_warnings():
    warnings.simplefilter('ignore')
    network = make().eval()
  with torch.no_grad():
    for parameter in network.parameters():
      if parameter.ndim == 1:  # Biases of 0 and scales of 1 hide mistakes.
        parameter.add_(0.1 * torch.randn_like(parameter))
      elif not parameter.any():
        parameter.copy_(0.1 * torch.randn_like(parameter))
  return network


def state(network):
  """Return a PyTorch network's state as NumPy arrays."""
  return {k: v.detach().numpy() for k, v in network.state_dict().items()}


def params(network):
  """Return a PyTorch network's parameters as this package has them."""
  return jax.tree.map(jnp.asarray, keymap.from_torch(state(network)))


def shapes(tree):
  """Return the shape of every parameter by its path."""
  return {path: tuple(leaf.shape) for path, leaf in keymap.walk(tree)}


def random_params(tree, *, seed=0):
  """Return random parameters of the given shapes, faster than `init`."""
  rng = np.random.default_rng(seed)
  filled = {}
  for path, leaf in keymap.walk(tree):
    size = 0.3 * rng.standard_normal(leaf.shape) / leaf.shape[0] ** 0.5
    if path[-1] == 'scale':
      size = size + 1
    node = filled
    for part in path[:-1]:
      node = node.setdefault(part, {})
    node[path[-1]] = jnp.asarray(size, jnp.float32)
  return filled


def quick_key(seed=0):
  """Return a key whose draws compile much faster than the default ones."""
  return jax.random.key(seed, impl='rbg')


def to_torch(x):
  """Return a channels-last array as a channels-first tensor."""
  load('torch')
  return torch_peer.to_torch(np.asarray(x))


from_torch = torch_peer.from_torch


def relative_l2(ours, theirs):
  """Return |ours - theirs| / |theirs|, of arrays that are not zeros."""
  theirs = np.asarray(theirs, np.float64)
  assert np.linalg.norm(theirs) > 1e-3 * theirs.size**0.5
  return torch_peer.relative_l2(ours, theirs)
