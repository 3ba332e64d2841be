"""The blocks of UNets and ControlNets: sizes, options, unsupported values."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

from maskjax.diffusion import controlnet, unet, unet_blocks
from tests.diffusion import torch_nets

_NO_CONTROLNET = ('sample_size', 'up_block_types')


def unet_config(**values):
  return unet.UNetConfig.from_dict({**torch_nets.SMALL, **values})


def controlnet_config(**values):
  shared = {
    k: v for k, v in torch_nets.SMALL.items() if k not in _NO_CONTROLNET
  }
  return controlnet.ControlNetConfig.from_dict({**shared, **values})


@pytest.mark.parametrize('config', [unet_config, controlnet_config])
@pytest.mark.parametrize(
  'values, message',
  [
    ({'only_cross_attention': [True]}, 'only_cross_attention'),
    ({'class_embed_type': 'projection'}, 'class_embed_type'),
    ({'act_fn': 'mish'}, "act_fn='mish'"),
    ({'down_block_types': ['AttnDownBlock2D'] * 3}, 'AttnDownBlock2D'),
    ({'block_out_channels': [32, 48]}, '2 block_out_channels for 3'),
    ({'attention_head_dim': [2, 4]}, 'attention_head_dim'),
    ({'attention_head_dim': 5}, 'attention_head_dim=5'),
    ({'norm_num_groups': 32}, 'norm_num_groups=32'),
  ],
)
def test_unsupported_config_is_named(config, values, message):
  with pytest.raises(ValueError, match=message):
    config(**values)


def test_resolutions_have_a_value_each():
  config = unet_config(
    attention_head_dim=[2, 3, 8],
    only_cross_attention=[True, False, True],
    layers_per_block=[1, 2, 3],
  )
  blocks = unet_blocks.resolutions(config, remat=True)
  assert [block.features for block in blocks] == [32, 48, 64]
  assert [block.heads for block in blocks] == [2, 3, 8]
  assert [block.only_text for block in blocks] == [True, False, True]
  assert [block.layers for block in blocks] == [1, 2, 3]
  assert {block.transformer_layers for block in blocks} == {1}
  assert all(block.remat for block in blocks)


class _DownAndUp(nn.Module):
  """The way down, and one block of the way up."""

  config: unet.UNetConfig

  @nn.compact
  def __call__(self, x, embedding, text):
    x, skips = unet_blocks.encode(
      self.config, x, embedding, text, jnp.float32, remat=False
    )
    block = unet_blocks.resolutions(self.config, False)[-1]
    up = unet_blocks.UpBlock(block, True, name='up')
    size = skips[-block.layers - 2].shape[1:3]
    return x, skips, up(x, skips[-block.layers - 1 :], embedding, text, size)


def test_sizes_halve_on_the_way_down_and_come_back_on_the_way_up():
  config = unet_config()
  network = _DownAndUp(config)
  arguments = (
    jnp.zeros((2, 13, 18, 32)),
    jnp.zeros((2, 128)),
    jnp.zeros((2, 7, config.cross_attention_dim)),
  )
  (x, skips, up), variables = jax.eval_shape(
    network.init_with_output, jax.random.key(0), *arguments
  )
  per_block = config.layers_per_block
  sides = [(13, 18), (7, 9), (4, 5)]
  wanted = [(2, *sides[0], 32)]
  for i, side in enumerate(sides):
    wanted += [(2, *side, config.block_out_channels[i])] * per_block
    if i < 2:
      wanted.append((2, *sides[i + 1], config.block_out_channels[i]))
  assert [skip.shape for skip in skips] == wanted
  assert x.shape == (2, 4, 5, 64)
  assert up.shape == (2, 7, 9, 64)
  assert 'mid_block' in variables['params']
  assert 'downsamplers_0' not in variables['params']['down_blocks_2']
