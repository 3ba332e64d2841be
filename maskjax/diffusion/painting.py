"""Painting pictures of prompts, or a part of a picture, with a whole model.

Shapes: B samples, S S pixels, H W C the UNet's grid and its channels, T D
text tokens and their features, E further channels of a UNet for inpainting.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from maskjax.diffusion import model as model_lib, sampling


class Inpainting(NamedTuple):
  """A picture of which a part is to be painted.

  Attributes:
    images: sRGB in [-1, 1].
    mask: 1 where to paint, 0 where the picture stays.
  """

  images: Float[Array, 'b s s 3']
  mask: Float[Array, 'b s s 1']


def inpainting_channels(
  model: model_lib.DiffusionModel,
  inpainting: Inpainting,
  rng: Key[Array, ''] | None = None,
) -> Float[Array, 'b h w e']:
  """Return the mask on the UNet's grid, then the masked picture, encoded.

  Args:
    model: its autoencoder encodes the picture.
    inpainting: picture and mask; more than half counts as to be painted.
    rng: draws from the latents' distribution; None takes its mean.

  Returns:
    The mask, 0 or 1, then the picture with what is to be painted in grey.
  """
  block = model.sample_size // model_lib.grid_shape(model)[0]
  mask = (inpainting.mask >= 0.5).astype(jnp.float32)
  masked = model_lib.encode_images(model, inpainting.images * (1 - mask), rng)
  return jnp.concatenate([mask[:, ::block, ::block], masked], axis=-1)


def _known(
  model: model_lib.DiffusionModel,
  inpainting: Inpainting,
  mask: Float[Array, 'b h w 1'],
) -> sampling.Known:
  """Return what is known of samples; of channels beside colour nothing is."""
  images = inpainting.images
  if 'vae' in model.networks:
    return sampling.Known(model_lib.encode_images(model, images), mask)
  further = model_lib.picture_channels(model) - images.shape[-1]
  images = jnp.pad(images, ((0, 0),) * 3 + ((0, further),))
  clean = model_lib.encode_images(model, images)
  # Folded samples have the squares of a picture's channel beside each other.
  unknown = jnp.arange(clean.shape[-1]) >= 3 * model.pixel_unshuffle**2
  return sampling.Known(clean, jnp.maximum(mask, unknown[None, None, None]))


def sample_images(
  model: model_lib.DiffusionModel,
  rng: Key[Array, ''],
  text: Float[Array, 'b t d'],
  negative: Float[Array, 'b t d'],
  *,
  steps: int,
  sampler: str,
  guidance_scale: float | Float[Array, ''],
  guidance_rescale: float = 0.0,
  condition: model_lib.Conditions = None,
  conditioning_scale: model_lib.Scales = 1.0,
  inpainting: Inpainting | None = None,
  labels: Float[Array, 'b l'] | None = None,
  views: int = 1,
  report: Callable[[int], None] | None = None,
) -> Float[Array, 'b s s p']:
  """Sample a picture of each prompt.

  Args:
    model: all of it is run but the text encoder.
    rng: key of the first noise and of samplers that add some.
    text: features of the prompts' tokens, see `model.encode_tokens`.
    negative: features of empty or negative prompts.
    steps: evaluations of the network.
    sampler: a name of `sampling.METHODS`, or 'auto' for that of the model's
      schedule.
    guidance_scale: 1 follows the prompt, more exaggerates it.
    guidance_rescale: share of the contrast added by guidance that is taken
      back, 0 to 1.
    condition: picture-sized condition of each ControlNet; None leaves the
      ControlNets out.
    conditioning_scale: strength of the condition, 0 to 1; a tuple has one
      for each ControlNet.
    inpainting: paint the masked part of a picture only. A UNet that is not
      made for it has the rest of its samples replaced after every step.
    labels: what the model is told of the camera, see `model.predict`.
    views: consecutive samples that are views of one thing, see there.
    report: called on the host with the number of finished steps.

  Returns:
    sRGB pictures in [0, 1], and any further channels of the model's pictures,
    halved and raised in the same way.
  """
  beside = known = None
  if inpainting is not None:
    channels = inpainting_channels(model, inpainting)
    if model_lib.is_inpainting(model):
      beside = channels
    else:
      known = _known(model, inpainting, channels[..., :1])

  def denoise(x_t, t):
    return model_lib.predict_guided(
      model,
      x_t,
      t,
      text,
      negative,
      guidance_scale=guidance_scale,
      guidance_rescale=guidance_rescale,
      condition=condition,
      conditioning_scale=conditioning_scale,
      beside=beside,
      labels=labels,
      views=views,
    )

  z = sampling.sample(
    denoise,
    model.schedule,
    rng,
    shape=(text.shape[0], *model_lib.grid_shape(model)),
    steps=steps,
    method=sampler,
    known=known,
    report=report,
  )
  return 0.5 * model_lib.decode_images(model, z) + 0.5
