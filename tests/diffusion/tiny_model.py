"""What the tests of whole models share: tiny models of pixels and latents."""

import dataclasses
import functools

import flax
import jax
import jax.numpy as jnp
import numpy as np
import tokenizers

from maskjax.diffusion import (
  clip,
  controlnet,
  model as model_lib,
  schedulers,
  tokenizer,
  unet,
  vae,
)

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
      name: jax.tree.map(jnp.asarray, _random(shapes[name], seed))
      for seed, name in enumerate(names)
    },
    schedule=schedulers.from_config(SCHEDULER),
    networks=flax.core.freeze({name: networks[name] for name in names}),
    tokenizer=words,
    sample_size=SIZE,
    pixel_unshuffle=BLOCK,
  )


# As Stable Diffusion: latents half the size of the picture, here of 16 px.
LATENT_SCHEDULER = {
  'beta_schedule': 'scaled_linear',
  'beta_start': 0.00085,
  'beta_end': 0.012,
  'clip_sample': False,
  'set_alpha_to_one': False,
  'steps_offset': 1,
}
LATENT_UNET = dataclasses.replace(UNET, in_channels=4, out_channels=4)
VAE = vae.VaeConfig(
  down_block_types=('DownEncoderBlock2D',) * 2,
  up_block_types=('UpDecoderBlock2D',) * 2,
  block_out_channels=(8, 16),
  norm_num_groups=4,
  sample_size=SIZE,
)


def create_latent(folder, *, inpainting=False, controlnets=0):
  """Make a latent model of random weights and save it to `folder`."""
  words = tokenizer.train(
    CAPTIONS, folder / 'tokenizer', vocab_size=520, max_length=8
  )
  text = _text_config(words)
  base = dataclasses.replace(LATENT_UNET, in_channels=9 if inpainting else 4)
  control = controlnet.ControlNetConfig.from_unet(
    LATENT_UNET, conditioning_embedding_out_channels=(8, 16)
  )
  made = {
    'unet': (unet.UNet2DConditionModel(base), unet.parameter_shapes(base)),
    'text_encoder': (clip.CLIPTextModel(text), clip.parameter_shapes(text)),
    'vae': (vae.AutoencoderKL(VAE), vae.parameter_shapes(VAE)),
  }
  for index in range(controlnets):
    made[f'controlnet_{index}' if index else 'controlnet'] = (
      controlnet.ControlNetModel(control),
      controlnet.parameter_shapes(control),
    )
  params = {
    name: _random(shapes, seed)
    for seed, (name, (_, shapes)) in enumerate(made.items())
  }
  # A narrow distribution of latents, so that draws from it can be compared.
  narrow = params['vae']['quant_conv']
  narrow['kernel'][..., 4:] = 0.0
  narrow['bias'][4:] = -30.0
  model = model_lib.DiffusionModel(
    params=jax.tree.map(jnp.asarray, params),
    schedule=schedulers.from_config(LATENT_SCHEDULER),
    networks=flax.core.freeze({name: made[name][0] for name in made}),
    tokenizer=words,
    sample_size=SIZE,
    pixel_unshuffle=1,
  )
  model_lib.save(
    folder, model, scheduler_config=LATENT_SCHEDULER, dtype='float32'
  )
  return model


def inputs(model, *, count=2, seed=3):
  """Return x_t, t, tokens and condition."""
  rng = np.random.default_rng(seed)

  def normal(*shape):
    return rng.standard_normal((count, *shape)).astype(np.float32)

  side = SIZE // BLOCK
  return (
    jnp.asarray(normal(side, side, 3 * BLOCK**2)),
    jnp.asarray(rng.integers(0, 100, count), jnp.int32),
    model_lib.tokenize(model, (CAPTIONS * count)[:count]),
    jnp.abs(normal(SIZE, SIZE, CONDITION_CHANNELS)),
  )


def wordless(length):
  """Return a tokenizer that knows no words, where none are read."""
  return tokenizer.Tokenizer(
    backend=tokenizers.Tokenizer(tokenizers.models.BPE()),
    start_id=0,
    end_id=1,
    pad_id=1,
    max_length=length,
  )


@functools.cache
def _evaluator(networks):
  """Compile everything at once: the parts in common are compiled once."""

  def evaluate(params, x_t, t, tokens, condition, scale):
    model = model_lib.DiffusionModel(
      params=params,
      schedule=schedulers.from_config(SCHEDULER),
      networks=networks,
      tokenizer=wordless(8),
      sample_size=SIZE,
      pixel_unshuffle=BLOCK,
    )
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
