"""Fixtures: diffusion models with random weights, small enough for tests."""

import jax
import pytest

from maskjax.data.creatures import creatures
from maskjax.diffusion import (
  clip,
  model as model_lib,
  pretraining,
  tokenizer as tokenizer_lib,
  unet,
)
from maskjax.prior import training as prior_training
from maskjax.studio import (
  condition as condition_lib,
  maps,
  views as studio_views,
  words as studio_words,
)


def _folder(folder, channels, **more):
  """Write a pixel-space model of 16 px with random weights."""
  tokenizer = tokenizer_lib.train(
    ['a tiger mask, front view'],
    folder / 'tokenizer',
    vocab_size=530,
    max_length=16,
  )
  model = pretraining.create(
    jax.random.key(0),
    unet_config=unet.UNetConfig.from_dict(
      {
        'sample_size': 8,
        'in_channels': 4 * channels,
        'out_channels': 4 * channels,
        'block_out_channels': [8, 16],
        'down_block_types': ['DownBlock2D', 'CrossAttnDownBlock2D'],
        'up_block_types': ['CrossAttnUpBlock2D', 'UpBlock2D'],
        'layers_per_block': 1,
        'attention_head_dim': 2,
        'cross_attention_dim': 16,
        'norm_num_groups': 4,
        **more,
      }
    ),
    text_config=clip.ClipTextConfig.from_dict(
      {
        'vocab_size': tokenizer.vocab_size,
        'hidden_size': 16,
        'intermediate_size': 32,
        'num_hidden_layers': 1,
        'num_attention_heads': 2,
        'max_position_embeddings': 16,
        'eos_token_id': tokenizer.end_id,
        'bos_token_id': tokenizer.start_id,
        'pad_token_id': tokenizer.pad_id,
      }
    ),
    scheduler_config=prior_training.SCHEDULER,
    tokenizer=tokenizer,
    sample_size=16,
    pixel_unshuffle=2,
  )
  model = pretraining.add_controlnet(
    jax.random.key(1),
    model,
    conditioning_channels=condition_lib.CONDITION_CHANNELS,
    embedding_channels=(4, 8),
  )
  model_lib.save(folder, model, scheduler_config=prior_training.SCHEDULER)
  return folder


@pytest.fixture(scope='session')
def model_folder(tmp_path_factory):
  """Return a pixel-space model of 16 px with random weights, as a folder."""
  return _folder(tmp_path_factory.mktemp('model'), 3)


@pytest.fixture(scope='session')
def maps_folder(tmp_path_factory):
  """Return one that paints normals and coverage, too, and knows cameras."""
  return _folder(
    tmp_path_factory.mktemp('maps'),
    maps.CHANNELS,
    class_embed_type='projection',
    projection_class_embeddings_input_dim=maps.CAMERA,
  )


@pytest.fixture(scope='session')
def tiny_prior(tmp_path_factory):
  """16 px, one resolution; with a ControlNet."""
  texts = [
    studio_words.with_article(kind) + ' mask' for kind in creatures.KINDS
  ]
  texts += studio_views.view_names() + studio_views.lighting_names()
  tokenizer = tokenizer_lib.train(
    texts, tmp_path_factory.mktemp('words'), vocab_size=600, max_length=24
  )
  unet_config = unet.UNetConfig.from_dict(
    {
      'sample_size': 8,
      'in_channels': 12,
      'out_channels': 12,
      'block_out_channels': [8, 8],
      'down_block_types': ['DownBlock2D', 'CrossAttnDownBlock2D'],
      'up_block_types': ['CrossAttnUpBlock2D', 'UpBlock2D'],
      'layers_per_block': 1,
      'attention_head_dim': 1,
      'cross_attention_dim': 8,
      'norm_num_groups': 4,
    }
  )
  text_config = clip.ClipTextConfig.from_dict(
    {
      'vocab_size': tokenizer.vocab_size,
      'hidden_size': 8,
      'intermediate_size': 8,
      'num_hidden_layers': 1,
      'num_attention_heads': 1,
      'max_position_embeddings': tokenizer.max_length,
      'eos_token_id': tokenizer.end_id,
      'bos_token_id': tokenizer.start_id,
      'pad_token_id': tokenizer.pad_id,
    }
  )
  model = pretraining.create(
    jax.random.key(0),
    unet_config=unet_config,
    text_config=text_config,
    scheduler_config=prior_training.SCHEDULER,
    tokenizer=tokenizer,
    sample_size=16,
    pixel_unshuffle=2,
  )
  return pretraining.add_controlnet(
    jax.random.key(1),
    model,
    conditioning_channels=condition_lib.CONDITION_CHANNELS,
    embedding_channels=(4, 4),
  )
