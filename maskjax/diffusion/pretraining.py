"""Training of a diffusion model from pictures and captions.

The networks named in `trained` learn, the others stay as they are: the UNet
with its text encoder first, the ControlNet on top of them later. The loss is
the mean square of (target - output) of the schedule's prediction type; the
nearly clean timesteps, where there is little to learn, count less.

Shapes: `b` pictures, `s` pixels a side.
"""

from collections.abc import Callable, Sequence
import dataclasses
from typing import Any, NamedTuple

import flax
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key
import optax

from maskjax.diffusion import (
  clip,
  controlnet,
  embedding as embedding_lib,
  model as model_lib,
  schedulers,
  tokenizer as tokenizer_lib,
  unet,
)
from maskjax.training import parallel, state as state_lib


class Example(NamedTuple):
  """What is learnt of one row of a batch, or of all.

  Attributes:
    picture: sRGB in [-1, 1], and any further channels.
    condition: what the ControlNet is shown.
    weights: how much each channel of the picture counts; None: all the same.
    label: what a network that is told the camera is told; None: nothing.
    clean: whether the picture is shown as it is, to be looked at by the other
      views of its group; None: none is.
  """

  picture: Float[Array, '*b s s p']
  condition: Float[Array, '*b s s k']
  weights: Float[Array, '*b p'] | None = None
  label: Float[Array, '*b l'] | None = None
  clean: Bool[Array, '*b'] | None = None


# prepare(rng, one row of a batch) -> what is learnt of it
PrepareFn = Callable[[Key[Array, ''], Any], Example]


def _init(module: Any, rng: Key[Array, ''], *inputs: Array, **more: Any) -> Any:
  """Draw a network's parameters."""
  return state_lib.init(module, rng, *inputs, **more)['params']


def _no_label(
  config: unet.UNetConfig | controlnet.ControlNetConfig,
) -> Array | None:
  """Return a label of zeros for one sample, where a network takes some."""
  shape = embedding_lib.class_labels(config, 1)
  return None if shape is None else jnp.zeros(shape.shape, shape.dtype)


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
      class_labels=_no_label(unet_config),
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
    class_labels=_no_label(config),
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


def _noise_levels(
  keys: Key[Array, 'b'], views: int, steps: int
) -> Int[Array, 'b']:
  """Draw a timestep for each picture; those of a group share one."""
  t = jax.vmap(lambda key: jax.random.randint(key, (), 0, steps))(keys)
  return jnp.repeat(t[::views], views)


def _channel_weights(
  model: model_lib.DiffusionModel, weights: Float[Array, 'b p']
) -> Float[Array, 'b 1 1 c']:
  """Return how much each channel of the samples counts."""
  spread = jnp.repeat(weights, model.pixel_unshuffle**2, axis=-1)
  return spread[:, None, None, :]


def denoising_loss(
  model: model_lib.DiffusionModel,
  keys: Key[Array, 'b'],
  examples: Example,
  tokens: Int[Array, 'b t'],
  *,
  condition: bool = False,
  views: int = 1,
  snr_bound: float = 5.0,
) -> Float[Array, '']:
  """Return the weighted mean square error of the network's output.

  Args:
    model: the model.
    keys: one typed key per picture, for its timestep and noise.
    examples: pictures and what is known of them.
    tokens: captions.
    condition: whether the ControlNets see their condition.
    views: consecutive pictures that are views of one thing: they share a
      timestep, and the UNet sees them together.
    snr_bound: signal-to-noise ratio above which a timestep counts less.
  """
  z = model_lib.encode_images(model, examples.picture)
  schedule = model.schedule
  split = jax.vmap(jax.random.split)(keys)
  t = _noise_levels(split[:, 0], views, schedule.num_train_timesteps)
  eps = jax.vmap(lambda key: jax.random.normal(key, z.shape[1:]))(split[:, 1])
  x_t = schedulers.add_noise(schedule, z, eps, t)
  counts = jnp.ones_like(t, jnp.float32)
  if examples.clean is not None:
    clean = examples.clean
    x_t = jnp.where(clean[:, None, None, None], z, x_t)
    counts = 1.0 - clean
  text = model_lib.encode_tokens(model, tokens)
  output = model_lib.predict(
    model,
    x_t,
    t if examples.clean is None else jnp.where(examples.clean, 0, t),
    text,
    condition=examples.condition if condition else None,
    labels=examples.label,
    views=views,
  )
  error = (output - schedulers.target(schedule, z, eps, t)) ** 2
  if examples.weights is not None:
    error = error * _channel_weights(model, examples.weights)
  # In terms of x0 the square error of v weighs snr + 1, of noise snr; either
  # is bounded by the same number, as in min-SNR (2303.09556), but nothing is
  # taken from the noisy timesteps, where words decide what is drawn.
  snr = schedulers.snr(schedule, t)
  extra = 1.0 if schedule.prediction_type == 'v_prediction' else 0.0
  weight = jnp.minimum(1.0, (snr_bound + extra) / (snr + extra)) * counts
  return jnp.mean(error.mean((1, 2, 3)) * weight)


def make_step(
  model: model_lib.DiffusionModel,
  tx: optax.GradientTransformation,
  prepare: PrepareFn,
  *,
  trained: Sequence[str],
  ema_decay: float,
  downscale: int = 1,
  views: int = 1,
):
  """Build `step(state, rng, batch, frozen, axis_name=None)`.

  It returns the new state and metrics; the state's params are a dict of the
  trained networks, and `frozen` is one of the others.

  Args:
    model: the model; its own parameters are not used.
    tx: optimiser.
    prepare: makes an example of a row of the batch; a batch has a `tokens`
      field.
    trained: 'unet' and 'text_encoder', or 'controlnet'.
    ema_decay: decay of the average that is kept for use.
    downscale: pictures are averaged down by this factor.
    views: consecutive pictures that are seen together; 1: each for itself.
  """
  with_condition = 'controlnet' in trained

  def loss_fn(params, rng, batch, frozen, axis_name):
    count = batch.tokens.shape[0]
    keys = parallel.example_keys(rng, count, axis_name)
    keys = jax.vmap(lambda key: jax.random.split(key))(keys)
    examples = jax.vmap(prepare)(keys[:, 0], batch)
    examples = examples._replace(
      picture=_pool(examples.picture, downscale),
      condition=_pool(examples.condition, downscale),
    )
    merged = dataclasses.replace(model, params={**frozen, **params})

    loss = denoising_loss(
      merged,
      keys[:, 1],
      examples,
      batch.tokens,
      condition=with_condition,
      views=views,
    )
    return loss, {}

  return state_lib.make_step(loss_fn, tx, ema_decay=ema_decay)
