"""Networks of Stable Diffusion at full size against PyTorch's; -m slow.

Weights are random and built in memory, one network at a time: about 8 GiB.
"""

import functools
import gc
from typing import NamedTuple

import jax
import numpy as np
import pytest

from maskjax.diffusion import clip, controlnet, unet, vae
from tests.diffusion import torch_nets

pytestmark = pytest.mark.slow

SD15 = {'sample_size': 64, 'cross_attention_dim': 768}
SD21 = {
  'sample_size': 96,
  'cross_attention_dim': 1024,
  'attention_head_dim': [5, 10, 20, 20],
  'use_linear_projection': True,
}
VAE = {
  'down_block_types': ['DownEncoderBlock2D'] * 4,
  'up_block_types': ['UpDecoderBlock2D'] * 4,
  'block_out_channels': [128, 256, 512, 512],
  'layers_per_block': 2,
  'sample_size': 512,
}
VIT_L = {
  'hidden_size': 768,
  'intermediate_size': 3072,
  'num_hidden_layers': 12,
  'num_attention_heads': 12,
  'hidden_act': 'quick_gelu',
}
# As Stable Diffusion 2.1 has it: the last of 24 layers is not used.
VIT_H = {
  'hidden_size': 1024,
  'intermediate_size': 4096,
  'num_hidden_layers': 23,
  'num_attention_heads': 16,
  'hidden_act': 'gelu',
}


class Case(NamedTuple):
  """A network of ours, and the name and arguments of PyTorch's."""

  config: type
  module: type
  library: str
  peer: str
  arguments: dict


CASES = {
  'unet 1.5': Case(
    unet.UNetConfig,
    unet.UNet2DConditionModel,
    'diffusers',
    'UNet2DConditionModel',
    SD15,
  ),
  'unet 2.1': Case(
    unet.UNetConfig,
    unet.UNet2DConditionModel,
    'diffusers',
    'UNet2DConditionModel',
    SD21,
  ),
  'controlnet 1.5': Case(
    controlnet.ControlNetConfig,
    controlnet.ControlNetModel,
    'diffusers',
    'ControlNetModel',
    {'cross_attention_dim': 768},
  ),
  'vae': Case(
    vae.VaeConfig, vae.AutoencoderKL, 'diffusers', 'AutoencoderKL', VAE
  ),
  'clip vit-l': Case(
    clip.ClipTextConfig,
    clip.CLIPTextModel,
    'transformers',
    'CLIPTextModel',
    VIT_L,
  ),
  'clip vit-h': Case(
    clip.ClipTextConfig,
    clip.CLIPTextModel,
    'transformers',
    'CLIPTextModel',
    VIT_H,
  ),
}


def normal(*shape):
  return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def build(case):
  """Return PyTorch's network and the content of its config.json."""
  library = torch_nets.load(case.library)
  make = getattr(library, case.peer)
  if case.library == 'transformers':
    config = library.CLIPTextConfig(**case.arguments)
    return torch_nets.build(lambda: make(config)), config.to_dict()
  peer = torch_nets.build(lambda: make(**case.arguments))
  return peer, dict(peer.config)


def unet_pairs(peer, apply, config):
  torch = torch_nets.load('torch')
  sample, text = normal(1, 32, 32, 4), normal(1, 77, config.cross_attention_dim)
  theirs = peer(
    torch_nets.to_torch(sample), torch.tensor([501]), torch.tensor(text)
  ).sample
  yield lambda: apply(sample, np.array([501]), text), [theirs]


def controlnet_pairs(peer, apply, config):
  torch = torch_nets.load('torch')
  sample, text = normal(1, 32, 32, 4), normal(1, 77, config.cross_attention_dim)
  shown = np.abs(normal(1, 256, 256, 3))
  down, middle = peer(
    torch_nets.to_torch(sample),
    torch.tensor([501]),
    torch.tensor(text),
    controlnet_cond=torch_nets.to_torch(shown),
    return_dict=False,
  )

  def ours():
    down, middle = apply(sample, np.array([501]), text, shown)
    return [*down, middle]

  yield ours, [*down, middle]


def vae_pairs(peer, apply, config):
  del config
  image, latent = normal(1, 128, 128, 3), normal(1, 16, 16, 4)
  found = peer.encode(torch_nets.to_torch(image)).latent_dist
  yield (
    lambda: list(apply(image, method=vae.AutoencoderKL.encode)),
    [found.mean, found.std],
  )
  decoded = peer.decode(torch_nets.to_torch(latent)).sample
  yield lambda: apply(latent, method=network.decode), [decoded]


def clip_pairs(peer, apply, config):
  torch = torch_nets.load('torch')
  ids = np.random.default_rng(0).integers(3, config.vocab_size - 1, (2, 77))
  theirs = peer(torch.tensor(ids)).last_hidden_state
  yield lambda: apply(ids), [theirs]


PAIRS = {
  'unet': unet_pairs,
  'controlnet': controlnet_pairs,
  'vae': vae_pairs,
  'clip': clip_pairs,
}


@pytest.mark.parametrize('name', CASES)
def test_equals_pytorch(name):
  torch = torch_nets.load('torch')
  case = CASES[name]
  peer, values = build(case)
  config = case.config.from_dict(values)
  module = case.module(config)
  params = None

  def apply(*arguments, **options):
    run = jax.jit(functools.partial(module.apply, **options))
    return run({'params': params}, *arguments)

  with torch.no_grad():
    pairs = list(PAIRS[name.split()[0]](peer, apply, config))
  params = jax.tree.map(jax.numpy.array, torch_nets.params(peer))
  del peer
  gc.collect()
  for call, theirs in pairs:
    ours = call()
    ours = ours if isinstance(ours, list) else [ours]
    for mine, other in zip(ours, theirs, strict=True):
      if other.ndim == 4:
        other = torch_nets.from_torch(other)
      error = torch_nets.relative_l2(mine, np.asarray(other))
      print(f'{name}: {error:.2e}')
      assert error <= torch_nets.RELATIVE_L2
