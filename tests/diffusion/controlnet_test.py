import functools

import jax
import numpy as np
import pytest

from maskjax.diffusion import controlnet, unet
from tests.diffusion import torch_nets


def shared(values):
  """Return the keys of a UNet's config that a ControlNet's has too."""
  own = ('sample_size', 'up_block_types')
  return {key: value for key, value in values.items() if key not in own}


SHARED = shared(torch_nets.TWO_BLOCKS)
VARIANTS = {
  'latent': {'conditioning_embedding_out_channels': [8, 16, 24, 32]},
  'unshuffled': {
    'conditioning_embedding_out_channels': [8, 16],
    'conditioning_channels': 4,
    'in_channels': 12,
    'use_linear_projection': True,
  },
  'same_size': {
    **shared(torch_nets.ONE_BLOCK),
    'mid_block_type': 'UNetMidBlock2DCrossAttn',
    'conditioning_embedding_out_channels': [8],
    'controlnet_conditioning_channel_order': 'bgr',
  },
}


def inputs(config, seed=0):
  rng = np.random.default_rng(seed)

  def normal(*shape):
    return rng.standard_normal(shape).astype(np.float32)

  side = 16 * 2 ** (len(config.conditioning_embedding_out_channels) - 1)
  return (
    normal(2, 16, 16, config.in_channels),
    np.array([3, 701]),
    normal(2, 7, config.cross_attention_dim),
    normal(2, side, side, config.conditioning_channels),
  )


@pytest.mark.parametrize('name', VARIANTS)
def test_equals_pytorch(name):
  torch, diffusers = (
    torch_nets.load('torch'),
    torch_nets.load('diffusers'),
  )
  peer = torch_nets.build(
    lambda: diffusers.ControlNetModel(**{**SHARED, **VARIANTS[name]})
  )
  config = controlnet.ControlNetConfig.from_dict(dict(peer.config))
  params = torch_nets.params(peer)
  assert torch_nets.shapes(params) == torch_nets.shapes(
    controlnet.parameter_shapes(config)
  )
  sample, timesteps, text, condition = inputs(config)
  with torch.no_grad():
    theirs = peer(
      torch_nets.to_torch(sample),
      torch.tensor(timesteps),
      torch.tensor(text),
      controlnet_cond=torch_nets.to_torch(condition),
      conditioning_scale=0.7,
    )
  down, middle = jax.jit(controlnet.ControlNetModel(config).apply)(
    {'params': params}, sample, timesteps, text, condition, 0.7
  )
  pairs = [*zip(down, theirs.down_block_res_samples, strict=True)]
  for ours, peers in [*pairs, (middle, theirs.mid_block_res_sample)]:
    error = torch_nets.relative_l2(ours, torch_nets.from_torch(peers))
    print(f'controlnet {name}: {error:.2e}')
    assert error <= torch_nets.RELATIVE_L2


def test_new_controlnet_leaves_its_unet_alone():
  unet_config = unet.UNetConfig.from_dict(torch_nets.ONE_BLOCK)
  config = controlnet.ControlNetConfig.from_unet(
    unet_config, conditioning_embedding_out_channels=(8, 16)
  )
  arguments = inputs(config)
  module = controlnet.ControlNetModel(config)
  base = torch_nets.random_params(unet.parameter_shapes(unet_config))
  params = jax.jit(module.init)(torch_nets.quick_key(), *arguments)['params']
  params = controlnet.copy_unet(params, base)
  assert params['down_blocks_0'] is base['down_blocks_0']
  assert torch_nets.shapes(params) == torch_nets.shapes(
    controlnet.parameter_shapes(config)
  )
  down, middle = jax.jit(module.apply)({'params': params}, *arguments)
  assert [residual.shape for residual in down] == 2 * [(2, 16, 16, 32)]
  assert not any(np.any(residual) for residual in (*down, middle))


def test_condition_of_another_size_or_depth_is_refused():
  config = controlnet.ControlNetConfig.from_dict(
    {**SHARED, 'conditioning_embedding_out_channels': [8, 16]}
  )
  module = controlnet.ControlNetModel(config)
  sample, timesteps, text, condition = inputs(config)
  init = functools.partial(jax.eval_shape, module.init, jax.random.key(0))
  with pytest.raises(ValueError, match='needs 2 times its size'):
    init(sample, timesteps, text, condition[:, ::2, ::2])
  with pytest.raises(ValueError, match='conditioning_channels=3'):
    init(sample, timesteps, text, condition[..., :2])


def test_config_round_trip_and_errors():
  config = controlnet.ControlNetConfig.from_dict(SHARED)
  assert controlnet.ControlNetConfig.from_dict(config.to_dict()) == config
  with pytest.raises(ValueError, match='channel_order'):
    controlnet.ControlNetConfig(controlnet_conditioning_channel_order='gbr')
  with pytest.raises(ValueError, match='out_channels is empty'):
    controlnet.ControlNetConfig(conditioning_embedding_out_channels=())
