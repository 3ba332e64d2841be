"""Folding of pixels into channels, beside PyTorch's and undone."""

import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.diffusion import folding
from tests.diffusion import torch_nets


def pictures(*shape):
  rng = np.random.default_rng(0)
  return jnp.asarray(rng.standard_normal(shape), jnp.float32)


@pytest.mark.parametrize('block', [1, 2, 4])
def test_folding_is_that_of_pytorch(block):
  torch = torch_nets.load('torch')
  images = pictures(2, 8, 12, 3)
  folded = folding.fold(images, block)
  theirs = torch.nn.PixelUnshuffle(block)(torch_nets.to_torch(images))
  np.testing.assert_array_equal(folded, torch_nets.from_torch(theirs))
  theirs = torch.nn.PixelShuffle(block)(theirs)
  np.testing.assert_array_equal(
    folding.unfold(folded, block), torch_nets.from_torch(theirs)
  )


@pytest.mark.parametrize('block', [1, 2, 4])
def test_unfolding_undoes_it(block):
  images = pictures(2, 8, 12, 3)
  folded = folding.fold(images, block)
  assert folded.shape == (2, 8 // block, 12 // block, 3 * block**2)
  np.testing.assert_array_equal(folding.unfold(folded, block), images)
