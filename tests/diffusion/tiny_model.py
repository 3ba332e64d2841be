"""What the tests of whole models share: a tiny pixel model."""

import dataclasses
import functools

import jax
import numpy as np

from maskjax.diffusion import clip, pretraining, tokenizer, unet
from maskjax.diffusion import model as model_lib

SIZE = 16
BLOCK = 2
CONDITION_CHANNELS = 5
CAPTIONS = ['a tiger mask', 'an old wolf mask, front view', 'face of a frog']
SCHEDULER = {
  'num_train_timesteps': 100,
  'beta_schedule': 'squaredcos_cap_v2',
  'prediction_type': 'v_prediction',
  'timestep_spacing': 'trailing',
}
UNET = unet.UNetConfig(
  sample_size=SIZE // BLOCK,
  in_channels=3 * BLOCK**2,
  out_channels=3 * BLOCK**2,
  block_out_channels=(16, 32),
  down_block_types=('DownBlock2D', 'CrossAttnDownBlock2D'),
  up_block_types=('CrossAttnUpBlock2D', 'UpBlock2D'),
  layers_per_block=1,
  attention_head_dim=2,
  cross_attention_dim=16,
  norm_num_groups=8,
)


def create(folder, *, seed=0, max_length=8):
  """Make a model with new weights; its tokenizer is left in `folder`."""
  words = tokenizer.train(
    CAPTIONS, folder / 'tokenizer', vocab_size=520, max_length=max_length
  )
  text = clip.ClipTextConfig(
    vocab_size=words.vocab_size,
    hidden_size=16,
    intermediate_size=32,
    num_hidden_layers=1,
    num_attention_heads=2,
    max_position_embeddings=max_length,
    eos_token_id=words.end_id,
    bos_token_id=words.start_id,
    pad_token_id=words.pad_id,
  )
  return pretraining.create(
    jax.random.key(seed),
    unet_config=UNET,
    text_config=text,
    scheduler_config=SCHEDULER,
    tokenizer=words,
    sample_size=SIZE,
    pixel_unshuffle=BLOCK,
  )


def add_controlnet(model, *, seed=1):
  """Give the model a new ControlNet."""
  return pretraining.add_controlnet(
    jax.random.key(seed),
    model,
    conditioning_channels=CONDITION_CHANNELS,
    embedding_channels=(8, 16),
  )


def refill(model, *, seed=2):
  """Move every parameter, as training does: zeros and ones hide mistakes."""
  rng = np.random.default_rng(seed)

  def move(leaf):
    noise = rng.standard_normal(leaf.shape).astype(np.float32)
    return np.asarray(leaf) + 0.1 * noise

  return dataclasses.replace(model, params=jax.tree.map(move, model.params))


def inputs(model, *, count=2, seed=3):
  """Return x_t, t, tokens and condition."""
  rng = np.random.default_rng(seed)

  def normal(*shape):
    return rng.standard_normal((count, *shape)).astype(np.float32)

  side = SIZE // BLOCK
  return (
    normal(side, side, 3 * BLOCK**2),
    rng.integers(0, 100, count).astype(np.int32),
    model_lib.tokenize(model, (CAPTIONS * count)[:count]),
    np.abs(normal(SIZE, SIZE, CONDITION_CHANNELS)),
  )


@functools.cache
def _predictor(networks):
  """Compile the prediction of any model with these networks."""

  def predict(params, x_t, t, tokens, condition, scale):
    model = model_lib.DiffusionModel(params, None, networks, None, SIZE, BLOCK)
    text = model_lib.encode_tokens(model, tokens)
    return model_lib.predict(
      model, x_t, t, text, condition=condition, conditioning_scale=scale
    )

  return jax.jit(predict)


def predict(model, x_t, t, tokens, condition=None, scale=1.0):
  """Encode the tokens and predict."""
  call = _predictor(model.networks)
  return np.asarray(call(model.params, x_t, t, tokens, condition, scale))
