"""Configs that are read off a state and the reference's options."""

import pytest

from maskjax.gan import eg3d, state_configs, superresolution
from tests.gan.parity import recipe


@pytest.fixture(scope='module')
def state(reference_meta):
  return recipe.make_state(
    reference_meta['seed'],
    reference_meta['G_keys'],
    decoder_lr_multiplier=0.5,
  )


def test_sizes_are_those_of_the_arrays(state, reference_meta):
  config = state_configs.eg3d_config(state, reference_meta['rendering_kwargs'])
  assert isinstance(config, eg3d.EG3DConfig)
  assert config.superresolution.kind in superresolution.KINDS
  hidden, features = state['decoder.net.0.weight'].shape
  assert config.hidden_features == hidden
  assert config.backbone.image_channels == 3 * features
  last = f'backbone.synthesis.b{config.backbone.resolution}.conv1.weight'
  assert config.backbone.channels[-1] == state[last].shape[0]
  prefix = 'backbone.'
  plain = state_configs.stylegan2_config(
    {k.removeprefix(prefix): v for k, v in state.items()
     if k.startswith(prefix)}
  )  # fmt: skip
  assert plain == config.backbone


def test_missing_and_odd_blocks_are_named(state):
  with pytest.raises(ValueError, match='the state has no decoder'):
    state_configs.eg3d_config(
      {}, {'depth_resolution': 4, 'box_warp': 1, 'ray_start': 1, 'ray_end': 2}
    )
  odd = {'synthesis.b8.conv1.weight': state['decoder.net.0.weight']}
  with pytest.raises(ValueError, match=r'are blocks \[8\], expected 4, 8'):
    state_configs.stylegan2_config(odd)
  with pytest.raises(ValueError, match=r'b\* are blocks \[\]'):
    state_configs.discriminator_config({})


def test_options_are_checked(reference_meta, state):
  options = reference_meta['rendering_kwargs']
  for change, message in (
    ({'superresolution_module': 'x.Superresolution32X'}, 'super-resolution'),
    ({'clamp_mode': 'relu'}, 'clamp_mode'),
    ({'ray_start': 'near'}, 'ray_start'),
    ({'colour': 1}, 'colour is not a key'),
  ):
    with pytest.raises(ValueError, match=message):
      state_configs.eg3d_config(state, {**options, **change})
  with pytest.raises(ValueError, match='has no box_warp'):
    state_configs.volume_config({'depth_resolution': 4})
