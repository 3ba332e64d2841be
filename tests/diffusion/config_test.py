"""config.json as old and current diffusers and transformers write it."""

import json

import pytest

from maskjax.diffusion import clip, config, controlnet, unet, vae

CLASSES = {
  'unet': unet.UNetConfig,
  'controlnet': controlnet.ControlNetConfig,
  'vae': vae.VaeConfig,
  'text_encoder': clip.ClipTextConfig,
}
# Keys of published models that say nothing new.
SAME = {
  'unet': {
    '_diffusers_version': '0.10.0.dev0',
    'center_input_sample': False,
    'downsample_padding': 1,
    'dual_cross_attention': None,
    'mid_block_only_cross_attention': False,
    'mid_block_scale_factor': 1,
    'num_class_embeds': None,
    'only_cross_attention': None,
    'dropout': 0.1,
    'resnet_time_scale_shift': 'default',
    'resnet_out_scale_factor': 1,
    'upcast_attention': True,
    'decay': 0.9999,
    'optimization_step': 10000,
    'a_key_of_the_future': None,
  },
  'controlnet': {'global_pool_conditions': False},
  'vae': {
    'sample_size': None,
    'force_upcast': False,
    'latents_mean': None,
    'scaling_factor': 0.18215,
  },
  'text_encoder': {
    '_name_or_path': 'openai/clip-vit-large-patch14',
    'dropout': 0.0,
    'initializer_factor': 1.0,
    'torch_dtype': 'float32',
    'transformers_version': '4.22.0.dev0',
    'model_type': 'clip_text_model',
    'pruned_heads': {},
    'id2label': {'0': 'LABEL_0'},
    'projection_dim': None,
  },
}
OTHER = {
  'unet': {
    'only_cross_attention': [False, 2, True, False],
    'time_embedding_type': 'fourier',
    'class_embed_type': 'simple_projection',
    'resnet_time_scale_shift': 'scale_shift',
    'addition_embed_type': 'text_time',
    'cross_attention_dim': [768, 768, 768, 768],
    'norm_num_groups': None,
    'in_channels': '4',
    'layers_per_block': True,
    'a_key_of_the_future': 3,
  },
  'controlnet': {
    'layers_per_block': None,
    'attention_type': 'gated',
    'global_pool_conditions': True,
  },
  'vae': {'latents_std': [1.0], 'latent_channels': 4.5},
  'text_encoder': {
    'pruned_heads': {'0': [1]},
    'is_decoder': True,
    'eos_token_id': [1, 2],
    'hidden_size': None,
  },
}


@pytest.mark.parametrize('name', SAME)
def test_records_nulls_and_neutral_values_change_nothing(name):
  plain, read = CLASSES[name].from_dict({}), CLASSES[name].from_dict(SAME[name])
  # Records may differ.
  changed = {
    key
    for key, value in read.to_dict().items()
    if value != plain.to_dict()[key]
  }
  assert changed <= {'projection_dim', 'sample_size'}
  hash(read)


@pytest.mark.parametrize(
  'name, key', [(name, key) for name, keys in OTHER.items() for key in keys]
)
def test_what_is_not_supported_is_named_with_its_value(name, key):
  value = OTHER[name][key]
  with pytest.raises(ValueError) as caught:
    CLASSES[name].from_dict({key: value})
  message = str(caught.value)
  shown = repr(tuple(value) if isinstance(value, list) else value)
  assert f'{key}={shown}' in message and '\n' not in message


@pytest.mark.parametrize('name', CLASSES)
def test_what_is_written_is_read(name):
  values = CLASSES[name]().to_dict()
  assert CLASSES[name].from_dict(json.loads(json.dumps(values))) == (
    CLASSES[name]()
  )


def test_a_value_per_block():
  assert config.per_block(2, 3, 'x') == (2, 2, 2)
  assert config.per_block((1, 2), 2, 'x') == (1, 2)
  with pytest.raises(ValueError, match=r'x=\(1, 2\) has 2 entries for 3'):
    config.per_block((1, 2), 3, 'x')
