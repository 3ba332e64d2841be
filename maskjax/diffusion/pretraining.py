"""Training of a diffusion model from pictures and captions.

The networks named in `trained` learn, the others stay as they are: the UNet
with its text encoder first, the ControlNet on top of them later. The loss is
the mean square of (target - output) of the schedule's prediction type; the
nearly clean timesteps, where there is little to learn, count less.

Shapes: `b` pictures, `s` pixels a side.
"""

from collections.abc import Callable, Sequence
import dataclasses
from typing import Any

import flax
from flax import linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key
import optax

from maskjax.diffusion import (
  clip,
  controlnet,
  model as model_lib,
  schedulers,
  tokenizer as tokenizer_lib,
  unet,
)
from maskjax.training import parallel, state as state_lib

# prepare(rng, one row of a batch) -> picture [s, s, 3], condition [s, s, k]
PrepareFn = Callable[[Key[Array, ''], Any], tuple[Array, Array]]


def _init(module: nn.Module, rng: Key[Array, ''], *inputs: Array) -> Any:
  """Draw a network's parameters."""
  return state_lib.init(module, rng, *inputs)['params']


def create(
  rng: Key[Array, ''],
  *,
  unet_config: unet.UNetConfig,
  text_config: clip.ClipTextConfig,
  scheduler_config: dict[str, Any],
  tokenizer: tokenizer_lib.Tokenizer,
  sample_size: int,
  pixel_unshuffle: int,
) -> model_lib.DiffusionModel:
  """Make a pixel-space model with random weights and no ControlNet."""
  networks = {
    'unet': unet.UNet2DConditionModel(unet_config),
    'text_encoder': clip.CLIPTextModel(text_config),
  }
  rng_unet, rng_text = jax.random.split(rng)
  side = sample_size // pixel_unshuffle
  params = {
    'text_encoder': _init(
      networks['text_encoder'],
      rng_text,
      jnp.zeros((1, tokenizer.max_length), jnp.int32),
    ),
    'unet': _init(
      networks['unet'],
      rng_unet,
      jnp.zeros((1, side, side, unet_config.in_channels)),
      jnp.zeros((1,), jnp.int32),
      jnp.zeros((1, tokenizer.max_length, unet_config.cross_attention_dim)),
    ),
  }
  return model_lib.DiffusionModel(
    params=params,
    schedule=schedulers.from_config(scheduler_config),
    networks=flax.core.freeze(networks),
    tokenizer=tokenizer,
    sample_size=sample_size,
    pixel_unshuffle=pixel_unshuffle,
  )


def add_controlnet(
  rng: Key[Array, ''],
  model: model_lib.DiffusionModel,
  *,
  conditioning_channels: int,
  embedding_channels: Sequence[int],
) -> model_lib.DiffusionModel:
  """Give a model a new ControlNet, begun as a copy of its UNet's encoder.

  Args:
    rng: typed key.
    model: a model; a ControlNet that it already has is kept as it is.
    conditioning_channels: channels of the condition picture.
    embedding_channels: widths of the condition's embedding; one halving of
      the resolution between each two.
  """
  if 'controlnet' in model.networks:
    return model
  unet_module = model.networks['unet']
  config = controlnet.ControlNetConfig.from_unet(
    unet_module.config,
    conditioning_channels=conditioning_channels,
    conditioning_embedding_out_channels=tuple(embedding_channels),
  )
  module = controlnet.ControlNetModel(config)
  size = model.sample_size
  side = size // model.pixel_unshuffle
  fresh = _init(
    module,
    rng,
    jnp.zeros((1, side, side, config.in_channels)),
    jnp.zeros((1,), jnp.int32),
    jnp.zeros((1, 1, config.cross_attention_dim)),
    jnp.zeros((1, size, size, conditioning_channels)),
  )
  params = controlnet.copy_unet(fresh, model.params['unet'])
  return dataclasses.replace(
    model,
    params={**model.params, 'controlnet': params},
    networks=flax.core.freeze({**model.networks, 'controlnet': module}),
  )


def _pool(images: Float[Array, 'b s s c'], factor: int) -> Array:
  """Average pictures down by a whole factor."""
  count, size, _, channels = images.shape
  small = size // factor
  shape = (count, small, factor, small, factor, channels)
  return images.reshape(shape).mean((2, 4))


def denoising_loss(
  model: model_lib.DiffusionModel,
  keys: Key[Array, 'b'],
  images: Float[Array, 'b s s 3'],
  tokens: Int[Array, 'b t'],
  *,
  condition: Float[Array, 'b s s k'] | None = None,
  snr_bound: float = 5.0,
) -> Float[Array, '']:
  """Return the weighted mean square error of the network's output.

  Args:
    model: the model.
    keys: one typed key per picture, for its timestep and noise.
    images: sRGB in [-1, 1].
    tokens: captions.
    condition: of the ControlNet; None trains without it.
    snr_bound: signal-to-noise ratio above which a timestep counts less.
  """
  z = model_lib.encode_images(model, images)
  schedule = model.schedule

  def draw(key):
    key_t, key_noise = jax.random.split(key)
    t = jax.random.randint(key_t, (), 0, schedule.num_train_timesteps)
    return t, jax.random.normal(key_noise, z.shape[1:])

  t, eps = jax.vmap(draw)(keys)
  x_t = schedulers.add_noise(schedule, z, eps, t)
  text = model_lib.encode_tokens(model, tokens)
  output = model_lib.predict(model, x_t, t, text, condition=condition)
  error = (output - schedulers.target(schedule, z, eps, t)) ** 2
  # In terms of x0 the square error of v weighs snr + 1, of noise snr; either
  # is bounded by the same number, as in min-SNR (2303.09556), but nothing is
  # taken from the noisy timesteps, where words decide what is drawn.
  snr = schedulers.snr(schedule, t)
  extra = 1.0 if schedule.prediction_type == 'v_prediction' else 0.0
  weight = jnp.minimum(1.0, (snr_bound + extra) / (snr + extra))
  return jnp.mean(error.mean((1, 2, 3)) * weight)


def make_step(
  model: model_lib.DiffusionModel,
  tx: optax.GradientTransformation,
  prepare: PrepareFn,
  *,
  trained: Sequence[str],
  ema_decay: float,
  downscale: int = 1,
):
  """Build `step(state, rng, batch, frozen, axis_name=None)`.

  It returns the new state and metrics; the state's params are a dict of the
  trained networks, and `frozen` is one of the others.

  Args:
    model: the model; its own parameters are not used.
    tx: optimiser.
    prepare: makes a picture and its condition of a row of the batch; a batch
      has a `tokens` field.
    trained: 'unet' and 'text_encoder', or 'controlnet'.
    ema_decay: decay of the average that is kept for use.
    downscale: pictures are averaged down by this factor.
  """
  with_condition = 'controlnet' in trained

  def loss_fn(params, rng, batch, frozen, axis_name):
    count = batch.tokens.shape[0]
    keys = parallel.example_keys(rng, count, axis_name)
    keys = jax.vmap(lambda key: jax.random.split(key))(keys)
    images, condition = jax.vmap(prepare)(keys[:, 0], batch)
    merged = dataclasses.replace(model, params={**frozen, **params})
    loss = denoising_loss(
      merged,
      keys[:, 1],
      _pool(images, downscale),
      batch.tokens,
      condition=_pool(condition, downscale) if with_condition else None,
    )
    return loss, {}

  return state_lib.make_step(loss_fn, tx, ema_decay=ema_decay)
