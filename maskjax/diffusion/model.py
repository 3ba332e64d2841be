"""A whole diffusion model: its networks, its noise schedule, its words.

Models work on the latents of a VAE, as Stable Diffusion, or on pixels, of
which every r x r block is folded into channels (`pixel_unshuffle`). They may
have ControlNets, whose contributions are added, and UNets for inpainting,
which see a mask and a masked picture beside the sample. `model_folder` reads
and writes them.

Shapes: B samples, S S pixels, H W C the UNet's grid and its channels, T D
text tokens and their features, K channels of a condition, E further channels
of a UNet for inpainting.
"""

from collections.abc import Callable, Sequence
import functools
import operator
import os
from typing import Any

from absl import logging
import flax
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, Num
import numpy as np

from maskjax.diffusion import (
  folding,
  guidance,
  model_folder,
  schedulers,
  tokenizer as tokenizer_lib,
  vae as vae_lib,
)


@flax.struct.dataclass(kw_only=True)
class DiffusionModel:
  """Networks with their parameters; a pytree whose leaves are arrays.

  Attributes:
    params: parameters by network: 'unet', 'text_encoder', and where the
      model has them 'vae', 'controlnet', 'controlnet_1', ....
    schedule: the noise schedule.
    networks: linen modules by the same names.
    tokenizer: turns texts into tokens.
    sample_size: side of the pictures in pixels.
    pixel_unshuffle: r, block of pixels folded into channels; 1 for none.
  """

  params: dict[str, Any]
  schedule: schedulers.NoiseSchedule
  networks: flax.core.FrozenDict[str, Any] = flax.struct.field(
    pytree_node=False
  )
  tokenizer: tokenizer_lib.Tokenizer = flax.struct.field(pytree_node=False)
  sample_size: int = flax.struct.field(pytree_node=False)
  pixel_unshuffle: int = flax.struct.field(pytree_node=False)


# One condition for each ControlNet; a model of one takes it alone, too.
Conditions = (
  Float[Array, 'b s s k'] | tuple[Float[Array, 'b s s k'], ...] | None
)
Scales = float | Float[Array, ''] | tuple[float | Float[Array, ''], ...]


def controlnet_configs(model: DiffusionModel) -> list[Any]:
  """Return the configuration of each ControlNet, in order."""
  names = model_folder.controlnet_names(model.networks)
  return [model.networks[name].config for name in names]


def is_inpainting(model: DiffusionModel) -> bool:
  """Tell if the UNet takes a mask and a masked picture beside the sample."""
  config = model.networks['unet'].config
  return config.in_channels != config.out_channels


def label_size(model: DiffusionModel) -> int:
  """Return how many numbers tell a model of pixels the camera, 0 for none."""
  config = model.networks['unet'].config
  if 'vae' in model.networks or config.class_embed_type != 'projection':
    return 0
  return config.projection_class_embeddings_input_dim


def picture_channels(model: DiffusionModel) -> int:
  """Return channels of a picture; 3 but where normals are painted, too."""
  if 'vae' in model.networks:
    return 3
  return grid_shape(model)[2] // model.pixel_unshuffle**2


def grid_shape(model: DiffusionModel) -> tuple[int, int, int]:
  """Return height, width and channels of a sample that the UNet denoises."""
  block, channels = model_folder.downscaling(
    model.networks, model.pixel_unshuffle
  )
  side = model.sample_size // block
  return side, side, channels


def _apply_vae(
  model: DiffusionModel, x: Array, method: Callable[..., Any]
) -> Any:
  return model.networks['vae'].apply(
    {'params': model.params['vae']}, x, method=method
  )


def encode_images(
  model: DiffusionModel,
  images: Float[Array, 'b s s p'],
  rng: Key[Array, ''] | None = None,
) -> Float[Array, 'b h w c']:
  """Turn sRGB pictures in [-1, 1] into what the UNet denoises.

  Args:
    model: its autoencoder encodes, or where it has none pixels are folded.
    images: sRGB in [-1, 1], and further channels of a model that has some;
      gradients reach them.
    rng: draws from the latents' distribution; None takes its mean. A model of
      pixels has no use for it.

  Returns:
    Clean samples, of about unit variance where they are latents.
  """
  if 'vae' not in model.networks:
    return folding.fold(images, model.pixel_unshuffle)
  vae = model.networks['vae']
  encode = vae_lib.AutoencoderKL.encode
  if vae.remat:
    # One picture after the other: memory is that of one.
    one = jax.checkpoint(
      lambda image: jax.tree.map(
        lambda x: x[0], _apply_vae(model, image[None], encode)
      )
    )
    moments = jax.lax.map(one, images)
  else:
    moments = _apply_vae(model, images, encode)
  latents = moments.mean
  if rng is not None:
    latents = vae_lib.sample_moments(rng, moments)
  return vae_lib.scale_latents(vae.config, latents)


def decode_images(
  model: DiffusionModel, z: Float[Array, 'b h w c']
) -> Float[Array, 'b s s p']:
  """Turn clean samples into pictures.

  Args:
    model: its autoencoder decodes, or where it has none pixels are unfolded.
    z: clean samples, as `encode_images` makes them.

  Returns:
    sRGB and any further channels, clipped to [-1, 1].
  """
  if 'vae' not in model.networks:
    images = folding.unfold(z, model.pixel_unshuffle)
  else:
    latents = vae_lib.unscale_latents(model.networks['vae'].config, z)
    images = _apply_vae(model, latents, vae_lib.AutoencoderKL.decode)
  return jnp.clip(images, -1.0, 1.0)


def tokenize(model: DiffusionModel, texts: list[str]) -> Int[np.ndarray, 'b t']:
  """Return the token ids of texts; warns of words that have no room.

  Args:
    model: its tokenizer is used.
    texts: prompts, '' for none.

  Returns:
    int32, one row for each text.
  """
  ids, cut = tokenizer_lib.tokenize(model.tokenizer, texts)
  lost = list(dict.fromkeys(words for words in cut if words))
  if lost:
    logging.warning(
      '%d of %d texts are longer than the %d tokens that the model reads; '
      'left out: %s',
      sum(map(bool, cut)),
      len(texts),
      model.tokenizer.max_length - 2,
      ' | '.join(repr(words) for words in lost[:3])
      + (' | ...' if lost[3:] else ''),
    )
  return ids


def warn_of_unknown_words(model: DiffusionModel, prompt: str) -> None:
  """Say which words of a prompt the model has never seen, if it knows.

  Args:
    model: its tokenizer is asked.
    prompt: the user's words.
  """
  unknown = tokenizer_lib.unknown_words(model.tokenizer, prompt)
  if unknown:
    logging.warning(
      'the model has never seen %s: what it makes of %r is a guess',
      ', '.join(map(repr, unknown)),
      prompt,
    )


def encode_tokens(
  model: DiffusionModel, tokens: Int[Array | np.ndarray, 'b t']
) -> Float[Array, 'b t d']:
  """Run the text encoder.

  Args:
    model: its text encoder is run.
    tokens: ids, as `tokenize` returns them.

  Returns:
    Features of every token, float32.
  """
  return model.networks['text_encoder'].apply(
    {'params': model.params['text_encoder']}, jnp.asarray(tokens)
  )


def _residuals(
  model: DiffusionModel,
  x_t: Float[Array, 'b h w c'],
  t: Num[Array, 'b'],
  text: Float[Array, 'b t d'],
  conditions: Conditions,
  scales: Scales,
  told: dict[str, Array],
) -> Any:
  """Add up what the ControlNets contribute to the UNet."""
  names = model_folder.controlnet_names(model.networks)
  if not names:
    raise ValueError(
      'the diffusion model has no controlnet/ folder, so it takes no mask, '
      'height or normals; use a model with one, or switch conditions off'
    )
  conditions = conditions if isinstance(conditions, tuple) else (conditions,)
  scales = scales if isinstance(scales, tuple) else (scales,) * len(names)
  for what, given in (('conditions', conditions), ('scales', scales)):
    if len(given) != len(names):
      raise ValueError(
        f'{len(given)} {what} for {len(names)} ControlNets; give one for each'
      )
  found = [
    model.networks[name].apply(
      {'params': model.params[name]},
      x_t,
      t,
      text,
      condition,
      scale,
      **told,
    )
    for name, condition, scale in zip(names, conditions, scales)
  ]
  return functools.reduce(functools.partial(jax.tree.map, operator.add), found)


def predict(
  model: DiffusionModel,
  x_t: Float[Array, 'b h w c'],
  t: Num[Array, 'b'],
  text: Float[Array, 'b t d'],
  *,
  condition: Conditions = None,
  conditioning_scale: Scales = 1.0,
  beside: Float[Array, 'b h w e'] | None = None,
  labels: Float[Array, 'b l'] | None = None,
  views: int = 1,
) -> Float[Array, 'b h w c']:
  """Predict the noise (or v) in x_t, with ControlNets if there are any.

  Args:
    model: its UNet and ControlNets are run.
    x_t: noised samples, of about unit variance.
    t: timesteps in [0, num_train_timesteps), whole or not.
    text: features of the prompts' tokens, see `encode_tokens`.
    condition: picture-sized condition of each ControlNet; None leaves the
      ControlNets out.
    conditioning_scale: strength of the condition, 0 to 1; a tuple has one
      for each ControlNet.
    beside: further channels of a UNet for inpainting, made by
      `painting.inpainting_channels`; None for other UNets.
    labels: what a model that is told the camera is told; None for others, or
      to leave it unknown.
    views: consecutive samples that are views of one thing and see each other
      (2308.16512), a divisor of B.

  Returns:
    The network's output, in the schedule's prediction type.

  Raises:
    ValueError: conditions or channels that the networks do not take.
  """
  told = {}
  if width := label_size(model):
    unknown = jnp.zeros((x_t.shape[0], width))
    told['class_labels'] = unknown if labels is None else labels
  residuals = (None, None)
  if condition is not None:
    residuals = _residuals(
      model, x_t, t, text, condition, conditioning_scale, told
    )
  if is_inpainting(model) != (beside is not None):
    raise ValueError(
      'the UNet is made for inpainting: give a picture and a mask'
      if beside is None
      else 'the UNet takes no mask and masked picture; use one of inpainting'
    )
  if beside is not None:
    x_t = jnp.concatenate([x_t, beside], axis=-1)
  unet = model.networks['unet']
  if views > 1:
    unet = unet.clone(views=views)
  return unet.apply(
    {'params': model.params['unet']}, x_t, t, text, *residuals, **told
  )


def predict_guided(
  model: DiffusionModel,
  x_t: Float[Array, 'b h w c'],
  t: Num[Array, 'b'],
  text: Float[Array, 'b t d'],
  negative: Float[Array, 'b t d'],
  *,
  guidance_scale: float | Float[Array, ''],
  guidance_rescale: float = 0.0,
  away: Float[Array, 'b t d'] | None = None,
  away_weight: float = 1.0,
  condition: Conditions = None,
  conditioning_scale: Scales = 1.0,
  beside: Float[Array, 'b h w e'] | None = None,
  labels: Float[Array, 'b l'] | None = None,
  views: int = 1,
) -> Float[Array, 'b h w c']:
  """Predict with classifier-free guidance, in one batch of 2 b (or 3 b).

  Args:
    model: its UNet and ControlNets are run.
    x_t: noised samples, of about unit variance.
    t: timesteps in [0, num_train_timesteps), whole or not.
    text: features of the prompts' tokens, see `encode_tokens`.
    negative: features of empty or negative prompts.
    guidance_scale: 1 follows the prompt, more exaggerates it.
    guidance_rescale: share of the contrast added by guidance that is taken
      back, 0 to 1 (`guidance.rescale`).
    away: features of prompts of what each sample is not; their part at right
      angles to the prompt is subtracted (`guidance.perp_neg`).
    away_weight: how much of it is subtracted.
    condition: picture-sized condition of each ControlNet, for all parts of
      the batch; None leaves the ControlNets out.
    conditioning_scale: strength of the condition, 0 to 1; a tuple has one
      for each ControlNet.
    beside: further channels of a UNet for inpainting, for all parts of the
      batch.
    labels: what the model is told of the camera, see `predict`.
    views: consecutive samples that see each other, see `predict`.

  Returns:
    The guided output, in the schedule's prediction type.
  """
  texts = [negative, text] if away is None else [negative, text, away]

  def repeated(tree):
    return jax.tree.map(lambda x: jnp.concatenate([x] * len(texts)), tree)

  outputs = predict(
    model,
    repeated(x_t),
    repeated(t),
    jnp.concatenate(texts),
    condition=repeated(condition),
    conditioning_scale=conditioning_scale,
    beside=repeated(beside),
    labels=repeated(labels),
    views=views,
  )
  without, with_text, *others = jnp.split(outputs, len(texts))
  if others:
    guided = guidance.perp_neg(
      without, with_text, others[0][None], [away_weight], guidance_scale
    )
  else:
    guided = guidance.classifier_free(without, with_text, guidance_scale)
  if guidance_rescale:
    guided = guidance.rescale(guided, with_text, guidance_rescale)
  return guided


def load(
  path: str | os.PathLike,
  *,
  controlnets: Sequence[str | os.PathLike] = (),
  dtype: Any = jnp.float32,
  param_dtype: str | None = 'float32',
  variant: str | None = None,
  remat: bool = False,
) -> DiffusionModel:
  """Read a model.

  Args:
    path: a folder with model_index.json and a folder for each part, or the
      id of such a one on the Hugging Face Hub.
    controlnets: folders (or ids) of ControlNets, in place of the model's own.
    dtype: type to compute in.
    param_dtype: type to keep parameters in; None for that of the files. In
      'bfloat16' they take half the memory, enough for networks that are not
      trained.
    variant: of the weights, e.g. 'fp16', of the networks that have it; see
      `component.load`.
    remat: compute the blocks of UNet, ControlNets and VAE anew in backward
      passes, which saves memory.

  Returns:
    The model, its parameters on the device.

  Raises:
    ValueError: a part is missing, broken, not supported, or does not fit the
      others; one line.
  """
  parts = model_folder.read(
    path,
    controlnets=controlnets,
    dtype=dtype,
    param_dtype=param_dtype,
    variant=variant,
    remat=remat,
  )
  networks = parts.networks
  return DiffusionModel(
    params={name: part.params for name, part in networks.items()},
    schedule=parts.schedule,
    networks=flax.core.freeze(
      {name: part.module for name, part in networks.items()}
    ),
    tokenizer=parts.tokenizer,
    sample_size=parts.sample_size,
    pixel_unshuffle=parts.pixel_unshuffle,
  )


def save(
  folder: str | os.PathLike,
  model: DiffusionModel,
  *,
  scheduler_config: dict[str, Any],
  dtype: str = 'float16',
) -> None:
  """Write a model; PyTorch diffusers opens it, or its parts if it has no VAE.

  Args:
    folder: made where it is missing; the tokenizer's files are expected in
      `folder/tokenizer` already.
    model: what is written.
    scheduler_config: fields of diffusers' scheduler_config.json.
    dtype: type of the weights: 'float32', 'float16' or 'bfloat16'.
  """
  model_folder.write(
    folder,
    model.networks,
    model.params,
    scheduler_config,
    sample_size=model.sample_size,
    pixel_unshuffle=model.pixel_unshuffle,
    dtype=dtype,
  )
