"""What the tests of whole models share: a tiny pixel model."""

import functools

import flax
import jax
import numpy as np

from maskjax.diffusion import clip, controlnet, schedulers, tokenizer, unet
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


CONTROLNET = controlnet.ControlNetConfig.from_unet(
  UNET,
  conditioning_channels=CONDITION_CHANNELS,
  conditioning_embedding_out_channels=(8, 16),
)


def _text_config(words):
  return clip.ClipTextConfig(
    vocab_size=words.vocab_size,
    hidden_size=16,
    intermediate_size=32,
    num_hidden_layers=1,
    num_attention_heads=2,
    max_position_embeddings=words.max_length,
    eos_token_id=words.end_id,
    bos_token_id=words.start_id,
    pad_token_id=words.pad_id,
  )


def _random(shapes, seed):
  """Fill a tree: every number random, for zeros and ones hide mistakes."""
  rng = np.random.default_rng(seed)

  def fill(path, leaf):
    values = rng.standard_normal(leaf.shape).astype(np.float32)
    values /= np.float32(1 + leaf.size / leaf.shape[-1]) ** 0.5
    return values + ('scale' in jax.tree_util.keystr(path))

  return jax.tree_util.tree_map_with_path(fill, shapes)


def create(folder, *, with_controlnet=True, max_length=8):
  """Make a model of random weights; its tokenizer is left in `folder`."""
  words = tokenizer.train(
    CAPTIONS, folder / 'tokenizer', vocab_size=520, max_length=max_length
  )
  text = _text_config(words)
  networks = {
    'unet': unet.UNet2DConditionModel(UNET),
    'text_encoder': clip.CLIPTextModel(text),
    'controlnet': controlnet.ControlNetModel(CONTROLNET),
  }
  shapes = {
    'unet': unet.parameter_shapes(UNET),
    'text_encoder': clip.parameter_shapes(text),
    'controlnet': controlnet.parameter_shapes(CONTROLNET),
  }
  names = [name for name in networks if with_controlnet or name != 'controlnet']
  return model_lib.DiffusionModel(
    params={
      name: _random(shapes[name], seed) for seed, name in enumerate(names)
    },
    schedule=schedulers.from_config(SCHEDULER),
    networks=flax.core.freeze({name: networks[name] for name in names}),
    tokenizer=words,
    sample_size=SIZE,
    pixel_unshuffle=BLOCK,
  )


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
def _evaluator(networks):
  """Compile everything at once: the parts in common are compiled once."""

  def evaluate(params, x_t, t, tokens, condition, scale):
    model = model_lib.DiffusionModel(params, None, networks, None, SIZE, BLOCK)
    text = model_lib.encode_tokens(model, tokens)
    down, middle = networks['controlnet'].apply(
      {'params': params['controlnet']}, x_t, t, text, condition, scale
    )
    return {
      'text': text,
      'plain': model_lib.predict(model, x_t, t, text),
      'steered': model_lib.predict(
        model, x_t, t, text, condition=condition, conditioning_scale=scale
      ),
      'residuals': [*down, middle],
    }

  return jax.jit(evaluate)


def evaluate(model, x_t, t, tokens, condition, scale=1.0):
  """Return text features and predictions without and with the ControlNet."""
  call = _evaluator(model.networks)
  return call(model.params, x_t, t, tokens, condition, scale)
