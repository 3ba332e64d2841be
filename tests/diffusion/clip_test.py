import functools

import jax
import numpy as np
import pytest

from maskjax.diffusion import clip
from tests.diffusion import torch_nets

SMALL = {
  'vocab_size': 100,
  'hidden_size': 48,
  'intermediate_size': 96,
  'num_hidden_layers': 2,
  'num_attention_heads': 4,
  'max_position_embeddings': 16,
  'bos_token_id': 98,
  'eos_token_id': 99,
  'pad_token_id': 99,
}
VARIANTS = {
  'sd1': {'eos_token_id': 2, 'bos_token_id': 0},
  'sd2': {'hidden_act': 'gelu', 'pad_token_id': 0},
}


def tokens():
  ids = np.random.default_rng(0).integers(3, 98, (3, 16))
  ids[:, 0] = 98
  for row, end in enumerate((4, 9, 15)):
    ids[row, end:] = 99
  return ids


@pytest.mark.parametrize('name', VARIANTS)
def test_equals_pytorch(name):
  torch = torch_nets.load('torch')
  transformers = torch_nets.load('transformers')
  peer_config = transformers.CLIPTextConfig(**{**SMALL, **VARIANTS[name]})
  peer = torch_nets.build(lambda: transformers.CLIPTextModel(peer_config))
  config = clip.ClipTextConfig.from_dict(peer_config.to_dict())
  params = torch_nets.params(peer)
  assert torch_nets.shapes(params) == torch_nets.shapes(
    clip.parameter_shapes(config)
  )
  with torch.no_grad():
    theirs = peer(torch.tensor(tokens()))
  apply = functools.partial(clip.CLIPTextModel(config).apply, pooled=True)
  hidden, pooled = jax.jit(apply)({'params': params}, tokens())
  for ours, peers in (
    (hidden, theirs.last_hidden_state),
    (pooled, theirs.pooler_output),
  ):
    error = torch_nets.relative_l2(ours, peers.numpy())
    print(f'clip {name}: {error:.2e}')
    assert error <= torch_nets.RELATIVE_L2


def test_later_tokens_do_not_reach_earlier_ones():
  config = clip.ClipTextConfig.from_dict(SMALL)
  module = clip.CLIPTextModel(config)
  ids = tokens()
  shapes = clip.parameter_shapes(config)
  variables = {'params': torch_nets.random_params(shapes)}
  changed = ids.copy()
  changed[:, 8:] = 5
  apply = jax.jit(module.apply)
  before, after = apply(variables, ids), apply(variables, changed)
  np.testing.assert_array_equal(before[:, :8], after[:, :8])
  assert np.abs(before[:, 8:] - after[:, 8:]).max() > 1e-3


def test_caption_that_is_too_long_is_refused():
  config = clip.ClipTextConfig.from_dict(SMALL)
  with pytest.raises(ValueError, match='has 16 positions'):
    jax.eval_shape(
      clip.CLIPTextModel(config).init,
      jax.random.key(0),
      np.zeros((1, 17), np.int32),
    )


def test_config_round_trip_and_errors():
  config = clip.ClipTextConfig.from_dict({**SMALL, 'num_beams': 1})
  assert clip.ClipTextConfig.from_dict(config.to_dict()) == config
  with pytest.raises(ValueError, match="hidden_act='relu'"):
    clip.ClipTextConfig.from_dict({**SMALL, 'hidden_act': 'relu'})
  with pytest.raises(ValueError, match='num_attention_heads=5'):
    clip.ClipTextConfig.from_dict({**SMALL, 'num_attention_heads': 5})
  with pytest.raises(ValueError, match=r'attention_dropout=0\.1'):
    clip.ClipTextConfig.from_dict({**SMALL, 'attention_dropout': 0.1})
