"""A whole diffusion model: its networks, its noise schedule, its words.

The folder layout is that of Stable Diffusion (`unet/`, `text_encoder/`,
`tokenizer/`, `scheduler/`, and where they exist `controlnet/` and `vae/`),
with `model_index.json` on top. Two keys of that file are ours:
`sample_size`, the side of the pictures in pixels, and `pixel_unshuffle`: a
model without a VAE works on pixels, and folds every r x r block of them into
channels, so that the UNet runs on a grid r times coarser.

Shape legend: `b` samples, `s` pixels a side, `h w c` the UNet's grid, `t d`
text tokens and their features.
"""

import json
import os
import pathlib
from typing import Any

import flax
from flax import linen as nn
import jax
from jax import numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray
import numpy as np

from maskjax.diffusion import component, guidance, sampling, schedulers
from maskjax.diffusion import tokenizer as tokenizer_lib
from maskjax.training import files

_INDEX = 'model_index.json'
_NETWORKS = ('unet', 'text_encoder', 'controlnet', 'vae')


@flax.struct.dataclass
class DiffusionModel:
  """Networks with their parameters; a pytree whose leaves are arrays.

  Attributes:
    params: parameters by network: 'unet', 'text_encoder', and where the
      model has them 'controlnet' and 'vae'.
    schedule: the noise schedule.
    networks: linen modules by the same names.
    tokenizer: turns texts into tokens.
    sample_size: side of the pictures in pixels.
    pixel_unshuffle: r, block of pixels folded into channels; 1 for none.
  """

  params: dict[str, Any]
  schedule: schedulers.NoiseSchedule
  networks: flax.core.FrozenDict[str, nn.Module] = flax.struct.field(
    pytree_node=False
  )
  tokenizer: tokenizer_lib.Tokenizer = flax.struct.field(pytree_node=False)
  sample_size: int = flax.struct.field(pytree_node=False)
  pixel_unshuffle: int = flax.struct.field(pytree_node=False)


def unshuffle(
  images: Float[Array, 'b s s c'], block: int
) -> Float[Array, 'b h w d']:
  """Fold each block x block square of pixels into channels.

  The order is PyTorch's `PixelUnshuffle`: channel, row, column.
  """
  count, height, width, channels = images.shape
  grid = images.reshape(
    count, height // block, block, width // block, block, channels
  )
  return grid.transpose(0, 1, 3, 5, 2, 4).reshape(
    count, height // block, width // block, channels * block**2
  )


def shuffle(
  folded: Float[Array, 'b h w d'], block: int
) -> Float[Array, 'b s s c']:
  """Undo `unshuffle`."""
  count, height, width, channels = folded.shape
  grid = folded.reshape(
    count, height, width, channels // block**2, block, block
  )
  return grid.transpose(0, 1, 4, 2, 5, 3).reshape(
    count, height * block, width * block, channels // block**2
  )


def _check_works_on_pixels(model: DiffusionModel) -> None:
  if 'vae' in model.networks:
    raise ValueError(
      'this model works on the latents of a VAE, which is not wired in yet; '
      'use a pixel-space model (one without a vae/ folder)'
    )


def encode_images(
  model: DiffusionModel, images: Float[Array, 'b s s 3']
) -> Float[Array, 'b h w c']:
  """Turn sRGB pictures in [-1, 1] into what the UNet denoises.

  Raises:
    ValueError: the model is not one of pixels.
  """
  _check_works_on_pixels(model)
  return unshuffle(images, model.pixel_unshuffle)


def decode_images(
  model: DiffusionModel, z: Float[Array, 'b h w c']
) -> Float[Array, 'b s s 3']:
  """Turn clean samples into sRGB pictures, clipped to [-1, 1].

  Raises:
    ValueError: the model is not one of pixels.
  """
  _check_works_on_pixels(model)
  return jnp.clip(shuffle(z, model.pixel_unshuffle), -1.0, 1.0)


def tokenize(model: DiffusionModel, texts: list[str]) -> Int[np.ndarray, 'b t']:
  """Return the token ids of texts; words beyond the length are cut."""
  return tokenizer_lib.encode(model.tokenizer, texts)


def encode_tokens(
  model: DiffusionModel, tokens: Int[Array, 'b t']
) -> Float[Array, 'b t d']:
  """Run the text encoder."""
  return model.networks['text_encoder'].apply(
    {'params': model.params['text_encoder']}, tokens
  )


def predict(
  model: DiffusionModel,
  x_t: Float[Array, 'b h w c'],
  t: Int[Array, 'b'],
  text: Float[Array, 'b t d'],
  *,
  condition: Float[Array, 'b s s k'] | None = None,
  conditioning_scale: float | Float[Array, ''] = 1.0,
) -> Float[Array, 'b h w c']:
  """Predict the noise (or v) in x_t, with the ControlNet if there is one.

  Args:
    model: the model.
    x_t: noised samples.
    t: timesteps in [0, num_train_timesteps).
    text: encoded prompts.
    condition: picture-sized condition of the ControlNet; None leaves the
      ControlNet out.
    conditioning_scale: strength of the condition, 0 to 1.

  Returns:
    The network's output, in the schedule's prediction type.

  Raises:
    ValueError: a condition is given but the model has no ControlNet.
  """
  residuals = (None, None)
  if condition is not None:
    if 'controlnet' not in model.networks:
      raise ValueError(
        'the diffusion model has no controlnet/ folder, so it takes no mask, '
        'height or normals; use a model with one, or switch conditions off'
      )
    residuals = model.networks['controlnet'].apply(
      {'params': model.params['controlnet']},
      x_t,
      t,
      text,
      condition,
      conditioning_scale,
    )
  return model.networks['unet'].apply(
    {'params': model.params['unet']}, x_t, t, text, *residuals
  )


def predict_guided(
  model: DiffusionModel,
  x_t: Float[Array, 'b h w c'],
  t: Int[Array, 'b'],
  text: Float[Array, 'b t d'],
  negative: Float[Array, 'b t d'],
  *,
  guidance_scale: float | Float[Array, ''],
  guidance_rescale: float = 0.0,
  condition: Float[Array, 'b s s k'] | None = None,
  conditioning_scale: float | Float[Array, ''] = 1.0,
) -> Float[Array, 'b h w c']:
  """Predict with classifier-free guidance, in one batch of 2 b.

  Args:
    model: the model.
    x_t: noised samples.
    t: timesteps.
    text: encoded prompts.
    negative: encoded empty or negative prompts.
    guidance_scale: 1 follows the prompt, more exaggerates it.
    guidance_rescale: see `guidance.rescale`; 0 for none.
    condition: see `predict`; both halves of the batch get it.
    conditioning_scale: see `predict`.

  Returns:
    The guided output, in the schedule's prediction type.
  """

  def twice(x):
    return None if x is None else jnp.concatenate([x, x])

  outputs = predict(
    model,
    twice(x_t),
    twice(t),
    jnp.concatenate([negative, text]),
    condition=twice(condition),
    conditioning_scale=conditioning_scale,
  )
  without, with_text = jnp.split(outputs, 2)
  guided = guidance.classifier_free(without, with_text, guidance_scale)
  if guidance_rescale:
    guided = guidance.rescale(guided, with_text, guidance_rescale)
  return guided


def _read_index(folder: pathlib.Path) -> dict[str, Any]:
  """Read model_index.json."""
  path = folder / _INDEX
  if not path.is_file():
    raise ValueError(
      f'{folder} is no diffusion model: {_INDEX} is missing; give a folder in '
      'the layout of diffusers (unet/, text_encoder/, tokenizer/, scheduler/)'
    )
  try:
    index = json.loads(path.read_text(encoding='utf-8'))
  except ValueError as error:
    raise ValueError(f'{path} is not JSON: {error}') from None
  if not isinstance(index, dict):
    raise ValueError(f'{path} holds no JSON object')
  for key in ('sample_size', 'pixel_unshuffle'):
    if not isinstance(index.get(key, 1), int) or index.get(key, 1) < 1:
      raise ValueError(f'{path}: {key}={index[key]!r} is no whole number')
  return index


def _check_fit(folder: pathlib.Path, model: DiffusionModel) -> None:
  """Raise ValueError where parts of a folder are not made for each other."""
  unet = model.networks['unet'].config
  text = model.networks['text_encoder'].config
  words = model.tokenizer
  problem = None
  pixels = 3 * model.pixel_unshuffle**2
  if 'vae' not in model.networks and unet.in_channels != pixels:
    problem = (
      f'a UNet of {unet.in_channels} channels without vae/, but pixels folded '
      f'by pixel_unshuffle={model.pixel_unshuffle} have {pixels}'
    )
  elif unet.cross_attention_dim != text.hidden_size:
    problem = (
      f'the UNet takes text of cross_attention_dim={unet.cross_attention_dim}, '
      f'the text encoder has hidden_size={text.hidden_size}'
    )
  elif words.vocab_size > text.vocab_size:
    problem = (
      f'the tokenizer has {words.vocab_size} tokens, the text encoder only '
      f'{text.vocab_size}'
    )
  elif words.max_length > text.max_position_embeddings:
    problem = (
      f'the tokenizer makes {words.max_length} tokens, the text encoder takes '
      f'{text.max_position_embeddings}'
    )
  if problem:
    raise ValueError(f'{folder}: parts do not fit together: {problem}')


def sample_images(
  model: DiffusionModel,
  rng: PRNGKeyArray,
  text: Float[Array, 'b t d'],
  negative: Float[Array, 'b t d'],
  *,
  steps: int,
  sampler: str,
  guidance_scale: float | Float[Array, ''],
  guidance_rescale: float = 0.0,
  condition: Float[Array, 'b s s k'] | None = None,
  conditioning_scale: float | Float[Array, ''] = 1.0,
) -> Float[Array, 'b s s 3']:
  """Sample a picture of each prompt with a pixel-space model.

  Args:
    model: the model.
    rng: typed key, of the first noise and of noisy samplers.
    text: encoded prompts.
    negative: encoded empty or negative prompts.
    steps: evaluations of the network.
    sampler: a name of `sampling.METHODS`.
    guidance_scale: see `predict_guided`, as the following ones.
    guidance_rescale: see there.
    condition: see there.
    conditioning_scale: see there.

  Returns:
    sRGB pictures in [0, 1].
  """

  def denoise(x_t, t):
    return predict_guided(
      model,
      x_t,
      t,
      text,
      negative,
      guidance_scale=guidance_scale,
      guidance_rescale=guidance_rescale,
      condition=condition,
      conditioning_scale=conditioning_scale,
    )

  block = model.pixel_unshuffle
  side = model.sample_size // block
  z = sampling.sample(
    denoise,
    model.schedule,
    rng,
    shape=(text.shape[0], side, side, 3 * block**2),
    steps=steps,
    method=sampler,
  )
  return 0.5 * decode_images(model, z) + 0.5


def load(
  folder: str | os.PathLike, *, dtype: Any = jnp.float32
) -> DiffusionModel:
  """Read a model folder.

  Args:
    folder: with model_index.json and a folder per part.
    dtype: type to compute in.

  Raises:
    ValueError: a part is missing, broken, not supported, or does not fit the
      others; one line.
  """
  folder = pathlib.Path(folder)
  index = _read_index(folder)
  parts = {
    name: component.load(folder / name, dtype=dtype)
    for name in _NETWORKS
    if name in ('unet', 'text_encoder') or (folder / name).is_dir()
  }
  block = index.get('pixel_unshuffle', 1)
  grid = parts['unet'].module.config.sample_size
  model = DiffusionModel(
    params=jax.tree.map(
      jnp.asarray, {name: part.params for name, part in parts.items()}
    ),
    schedule=schedulers.load(folder / 'scheduler'),
    networks=flax.core.freeze(
      {name: part.module for name, part in parts.items()}
    ),
    tokenizer=tokenizer_lib.load(folder / 'tokenizer'),
    sample_size=index.get('sample_size', block * (grid or 0)),
    pixel_unshuffle=block,
  )
  _check_fit(folder, model)
  return model


def save(
  folder: str | os.PathLike,
  model: DiffusionModel,
  *,
  scheduler_config: dict[str, Any],
  dtype: str = 'float16',
) -> None:
  """Write the networks, the scheduler and model_index.json of a pixel model.

  The tokenizer's files are expected in `folder/tokenizer` already.
  """
  folder = pathlib.Path(folder)
  for name, module in model.networks.items():
    component.save(folder / name, module, model.params[name], dtype=dtype)
  schedulers.save(folder / 'scheduler', scheduler_config)
  files.write_json(
    folder / _INDEX,
    {
      '_class_name': 'DiffusionPipeline',
      'sample_size': model.sample_size,
      'pixel_unshuffle': model.pixel_unshuffle,
    },
  )
