"""PyTorch's side of a comparison: layouts, errors, weights of zeros."""

import sys

import numpy as np
import pytest

from maskjax.parity import folders, torch_peer
from tests.diffusion import torch_nets as tiny


def test_without_pytorch_the_extra_is_named(monkeypatch, tmp_path):
  # They remember from their first import whether there is a torch.
  for name in ('diffusers', 'transformers'):
    pytest.importorskip(name)
  monkeypatch.setitem(sys.modules, 'torch', None)
  with pytest.raises(ValueError, match=r'torch.*not installed.*\[parity\]'):
    torch_peer.libraries()
  with pytest.raises(ValueError, match=r'torch.*not installed.*\[parity\]'):
    list(folders.check(tmp_path))


def test_relative_l2():
  theirs = np.array([3.0, 4.0])
  assert torch_peer.relative_l2(theirs, theirs) == 0
  assert torch_peer.relative_l2(np.array([3.0, 4.5]), theirs) == 0.1
  assert torch_peer.relative_l2([3.0, 4.0], [0.0, 0.0]) == 5
  with pytest.raises(ValueError, match=r'shape \(1,\), but \(2,\)'):
    torch_peer.relative_l2([1.0], theirs)


def test_layouts_go_there_and_back():
  tiny.load('torch')
  x = np.random.default_rng(0).standard_normal((2, 3, 4, 5), np.float32)
  tensor = torch_peer.to_torch(x)
  assert tuple(tensor.shape) == (2, 5, 3, 4)
  assert float(tensor[1, 4, 2, 3]) == x[1, 2, 3, 4]
  np.testing.assert_array_equal(torch_peer.from_torch(tensor), x)


def test_weights_of_zeros_are_filled_and_no_others():
  torch = tiny.load('torch')
  network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 2))
  torch.nn.init.zeros_(network[1].weight)
  torch.nn.init.zeros_(network[1].bias)
  kept = network[0].weight.detach().numpy().copy()
  filled = torch_peer.refill(network, seed=0)
  assert filled.keys() == {'1.weight'}
  np.testing.assert_array_equal(
    network[1].weight.detach().numpy(), filled['1.weight']
  )
  np.testing.assert_array_equal(network[0].weight.detach().numpy(), kept)
  again = torch.nn.Linear(4, 2)
  torch.nn.init.zeros_(again.weight)
  other = torch_peer.refill(again, seed=0)['weight']
  np.testing.assert_array_equal(other, filled['1.weight'])


def test_what_pytorch_cannot_open_is_named(tmp_path):
  tiny.load('torch')
  with pytest.raises(ValueError, match=r'no such folder'):
    torch_peer.open_network(tmp_path / 'gone', None)
