"""Tests of the embedded moment; PyTorch's modules are the oracle."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.diffusion import embedding, unet
from tests.diffusion import torch_nets

KINDS = {
  'none': {},
  'table': {'num_class_embeds': 7},
  'timestep': {'class_embed_type': 'timestep'},
  'identity': {'class_embed_type': 'identity'},
  'projection': {
    'class_embed_type': 'projection',
    'projection_class_embeddings_input_dim': 9,
  },
  'guidance': {'time_cond_proj_dim': 5, 'time_embedding_dim': 24},
}


class Embedder(nn.Module):
  """Owns the layers."""

  config: unet.UNetConfig

  @nn.compact
  def __call__(self, timesteps, **labels):
    return embedding.embed(
      self.config, timesteps, timesteps.shape[0], np.float32, **labels
    )


def _labels(config):
  rng = np.random.default_rng(0)
  classes = embedding.class_labels(config, 2)
  guidance = embedding.guidance_labels(config, 2)
  found = {}
  if classes is not None:
    found['labels'] = (5 * rng.random(classes.shape)).astype(classes.dtype)
  if guidance is not None:
    found['guidance'] = rng.random(guidance.shape, np.float32)
  return found


@pytest.mark.parametrize('kind', KINDS)
def test_equals_pytorch(kind):
  torch, diffusers = (
    torch_nets.load('torch'),
    torch_nets.load('diffusers'),
  )
  peer = torch_nets.build(
    lambda: diffusers.UNet2DConditionModel(
      **{**torch_nets.ONE_BLOCK, **KINDS[kind]}
    )
  )
  config = unet.UNetConfig.from_dict(dict(peer.config))
  t = np.array([3, 701])
  labels = _labels(config)
  assert bool(labels) == (kind != 'none')
  with torch.no_grad():
    tensors = {name: torch.tensor(value) for name, value in labels.items()}
    theirs = peer.time_embedding(
      peer.time_proj(torch.tensor(t)), tensors.get('guidance')
    )
    if 'labels' in tensors:
      sample = torch.zeros(2, 4, 8, 8)
      theirs = theirs + peer.get_class_embed(sample, tensors['labels'])
  ours = Embedder(config).apply(
    {'params': torch_nets.params(peer)},
    jnp.asarray(t),
    **{name: jnp.asarray(value) for name, value in labels.items()},
  )
  assert ours.shape == (2, embedding.size(config))
  assert torch_nets.relative_l2(ours, theirs) <= torch_nets.RELATIVE_L2


def test_labels_that_do_not_fit_are_named():
  plain = unet.UNetConfig.from_dict(torch_nets.ONE_BLOCK)
  with pytest.raises(ValueError, match='class labels for a network that takes'):
    jax.eval_shape(
      lambda: Embedder(plain).init(
        jax.random.key(0), jnp.zeros(2, int), labels=jnp.zeros(2)
      )
    )
  table = unet.UNetConfig.from_dict(
    {**torch_nets.ONE_BLOCK, 'num_class_embeds': 7}
  )
  with pytest.raises(ValueError, match=r'num_class_embeds=7.*shape \(2,\)'):
    jax.eval_shape(
      lambda: Embedder(table).init(jax.random.key(0), jnp.zeros(2, int))
    )
