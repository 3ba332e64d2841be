"""The folder of a whole diffusion model, in the layout of diffusers.

`unet/`, `text_encoder/`, `tokenizer/`, `scheduler/`, where they exist `vae/`
and `controlnet/`, `controlnet_1/`, ..., and `model_index.json` on top. Two
keys of that file are ours, and stand only where there is no VAE:
`sample_size`, the side of the pictures in pixels, and `pixel_unshuffle`: every
r x r block of pixels is folded into channels, so that the UNet runs on a grid
r times coarser.
"""

from collections.abc import Mapping, Sequence
import os
import pathlib
from typing import Any, NamedTuple

from maskjax.diffusion import (
  clip,
  component,
  controlnet,
  embedding,
  schedulers,
  tokenizer as tokenizer_lib,
  unet as unet_lib,
  vae,
)
from maskjax.training import files, settings
from maskjax.weights import hub, json_files, tensor_files

# Of pictures without a VAE: colour, or colour, normals and coverage.
_PICTURE_CHANNELS = (3, 7)
_INDEX = 'model_index.json'
_KINDS = {
  'unet': unet_lib.UNetConfig,
  'controlnet': controlnet.ControlNetConfig,
  'text_encoder': clip.ClipTextConfig,
  'vae': vae.VaeConfig,
}
# And the largest that they may be.
_OWN_KEYS = {'sample_size': 2**14, 'pixel_unshuffle': 64}
# Whose layout is written; pipelines of inpainting do not open without it.
_DIFFUSERS_VERSION = '0.36.0'


class Parts(NamedTuple):
  """What a folder holds.

  Attributes:
    networks: modules and their parameters by name, see
      `model.DiffusionModel`.
    schedule: the noise schedule.
    tokenizer: turns texts into tokens.
    sample_size: side of the pictures in pixels.
    pixel_unshuffle: r, block of pixels folded into channels; 1 for none.
  """

  networks: dict[str, component.Component]
  schedule: schedulers.NoiseSchedule
  tokenizer: tokenizer_lib.Tokenizer
  sample_size: int
  pixel_unshuffle: int


def controlnet_names(names: Sequence[str] | Mapping[str, Any]) -> list[str]:
  """Return those of some networks' names that are ControlNets', in order.

  Args:
    names: of all networks.
  """
  found = [name for name in names if name.startswith('controlnet')]
  return sorted(found, key=lambda name: (len(name), name))


def downscaling(
  networks: Mapping[str, Any], pixel_unshuffle: int
) -> tuple[int, int]:
  """Return how the UNet's samples relate to pictures.

  Args:
    networks: linen modules by name.
    pixel_unshuffle: of the model.

  Returns:
    Pixels a side of one place of the sample, and channels of the sample.
  """
  if 'vae' not in networks:
    return pixel_unshuffle, networks['unet'].config.out_channels
  config = networks['vae'].config
  return 2 ** (len(config.block_out_channels) - 1), config.latent_channels


def _read_index(folder: pathlib.Path) -> dict[str, Any]:
  """Read model_index.json."""
  path = folder / _INDEX
  if not path.is_file():
    raise ValueError(
      f'{folder} is no diffusion model: {_INDEX} is missing; give a folder in '
      'the layout of diffusers (unet/, text_encoder/, tokenizer/, scheduler/)'
    )
  index = json_files.read(path)
  for key, most in _OWN_KEYS.items():
    value = index.get(key, 1)
    if type(value) is not int or not 1 <= value <= most:
      raise ValueError(
        f'{path}: {key}={settings.shown(value)} is no whole number from 1 to '
        f'{most}'
      )
  return index


def _network_folders(
  folder: pathlib.Path, controlnets: Sequence[pathlib.Path]
) -> dict[str, pathlib.Path]:
  """Return where each network lies; ControlNets given apart come first."""
  found = {name: folder / name for name in ('unet', 'text_encoder')}
  if (folder / 'vae').is_dir():
    found['vae'] = folder / 'vae'
  own = [path for path in folder.glob('controlnet*') if path.is_dir()]
  names = controlnet_names([path.name for path in own])
  paths = list(controlnets) or [folder / name for name in names]
  for index, path in enumerate(paths):
    found[f'controlnet_{index}' if index else 'controlnet'] = path
  return found


def _check_kind(name: str, place: pathlib.Path) -> None:
  """Raise ValueError where a folder holds a network of no use here."""
  kinds = (kind for start, kind in _KINDS.items() if name.startswith(start))
  expected = next(kinds)
  config = component.read_config(place)
  found = type(config)
  if found is not expected:
    raise ValueError(
      f'{place} holds a {found.__name__.removesuffix("Config")}, where a '
      f'{expected.__name__.removesuffix("Config")} is expected'
    )
  if getattr(config, 'time_cond_proj_dim', None):
    raise ValueError(
      f'{place} is distilled from guidance (time_cond_proj_dim='
      f'{config.time_cond_proj_dim}): it takes the scale of guidance as an '
      'input, and what it predicts is no score to follow; use the model that '
      'it was distilled from'
    )


def _with_variant(
  folder: pathlib.Path,
  places: Mapping[str, pathlib.Path],
  variant: str | None,
) -> set[str]:
  """Return the networks that have a variant; a folder seldom has it of all."""
  if not variant:
    return set()
  have = {
    name
    for name, place in places.items()
    if place.is_dir() and tensor_files.has(place, variant)
  }
  if not have:
    raise ValueError(
      f'{folder}: none of its networks has the variant {variant!r}; leave it '
      'out, or choose another'
    )
  return have


def _check_controlnet(
  unet: unet_lib.UNetConfig, config: controlnet.ControlNetConfig, block: int
) -> str | None:
  """Say what keeps a ControlNet from steering a UNet, or nothing."""
  channels = (unet.out_channels, unet.block_out_channels)
  own = (config.in_channels, config.block_out_channels)
  if channels != own or unet.cross_attention_dim != config.cross_attention_dim:
    return (
      f'the ControlNet is for a UNet of in_channels={own[0]}, '
      f'block_out_channels={own[1]}, '
      f'cross_attention_dim={config.cross_attention_dim}; this one has '
      f'{channels[0]}, {channels[1]}, {unet.cross_attention_dim}'
    )
  halvings = len(config.conditioning_embedding_out_channels) - 1
  if 2**halvings != block:
    return (
      f'the ControlNet takes conditions {2**halvings} times the size of the '
      f'sample, but pictures are {block} times its size'
    )
  return None


def _check_fit(folder: pathlib.Path, parts: Parts) -> None:
  """Raise ValueError where parts of a folder are not made for each other."""
  networks: dict[str, Any] = {
    name: part.module for name, part in parts.networks.items()
  }
  unet: unet_lib.UNetConfig = networks['unet'].config
  text: clip.ClipTextConfig = networks['text_encoder'].config
  words = parts.tokenizer
  block, channels = downscaling(networks, parts.pixel_unshuffle)
  problem = None
  folded = [count * block**2 for count in _PICTURE_CHANNELS]
  if 'vae' not in networks and unet.in_channels not in folded:
    problem = (
      f'a UNet of {unet.in_channels} channels without vae/, but pixels folded '
      f'by pixel_unshuffle={block} have {folded[0]}, with normals and coverage '
      f'{folded[1]}'
    )
  elif unet.in_channels not in (channels, 2 * channels + 1):
    problem = (
      f'a UNet of in_channels={unet.in_channels} for latents of {channels} '
      f'channels; {channels} and, for inpainting, {2 * channels + 1} fit'
    )
  elif unet.out_channels != channels:
    problem = (
      f'the UNet predicts out_channels={unet.out_channels} for samples of '
      f'{channels} channels'
    )
  elif unet.cross_attention_dim != text.hidden_size:
    problem = (
      f'the UNet takes text of cross_attention_dim={unet.cross_attention_dim}, '
      f'the text encoder has hidden_size={text.hidden_size}'
    )
  elif embedding.class_labels(unet, 1) is not None and (
    # A model of pixels is told the camera in this way.
    'vae' in networks or unet.class_embed_type != 'projection'
  ):
    problem = (
      f'the UNet takes class labels (class_embed_type='
      f'{unet.class_embed_type!r}, num_class_embeds={unet.num_class_embeds}), '
      'which text alone does not give; use a model of text to pictures'
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
  for name in controlnet_names(networks):
    config: Any = networks[name].config
    problem = problem or _check_controlnet(unet, config, block)
  if problem:
    raise ValueError(f'{folder}: parts do not fit together: {problem}')


def _sample_size(
  folder: pathlib.Path,
  index: dict[str, Any],
  grid: int | tuple[int, int] | None,
  block: int,
) -> int:
  """Return the side of the pictures in pixels."""
  if isinstance(grid, tuple):
    grid = grid[0] if len(set(grid)) == 1 else None
  size = index.get('sample_size', block * grid if grid else None)
  if size is None or size % block:
    raise ValueError(
      f'{folder}: a picture of {size} pixels a side; write sample_size, a '
      f'multiple of {block}, into {_INDEX}'
    )
  return size


def read(
  path: str | os.PathLike,
  *,
  controlnets: Sequence[str | os.PathLike] = (),
  dtype: Any,
  param_dtype: str | None,
  variant: str | None,
  remat: bool,
) -> Parts:
  """Read a model folder.

  Args:
    path: a folder with model_index.json and a folder for each part, or the
      id of such a one on the Hugging Face Hub.
    controlnets: folders (or ids) of ControlNets, in place of the model's own.
    dtype: type to compute in.
    param_dtype: type to keep parameters in; None for that of the files.
    variant: of the weights, e.g. 'fp16', of the networks that have it.
    remat: compute the blocks of UNet, ControlNets and VAE anew in backward
      passes.

  Returns:
    The parts, which fit each other.

  Raises:
    ValueError: a part is missing, broken, not supported, or does not fit the
      others; one line.
  """
  folder, *apart = (hub.resolve(name) for name in (path, *controlnets))
  index = _read_index(folder)
  places = _network_folders(folder, apart)
  have = _with_variant(folder, places, variant)
  networks = {}
  for name, place in places.items():
    _check_kind(name, place)
    part = component.load(
      place,
      dtype=dtype,
      param_dtype=param_dtype,
      variant=variant if name in have else None,
    )
    if remat and name != 'text_encoder':
      part = part._replace(module=part.module.clone(remat=True))
    networks[name] = part
  modules: dict[str, Any] = {k: part.module for k, part in networks.items()}
  unshuffle = index.get('pixel_unshuffle', 1)
  block, _ = downscaling(modules, unshuffle)
  parts = Parts(
    networks=networks,
    schedule=schedulers.load(folder / 'scheduler'),
    tokenizer=tokenizer_lib.load(
      folder / 'tokenizer',
      most=modules['text_encoder'].config.max_position_embeddings,
    ),
    sample_size=_sample_size(
      folder, index, modules['unet'].config.sample_size, block
    ),
    pixel_unshuffle=unshuffle,
  )
  _check_fit(folder, parts)
  return parts


def _pipeline(networks: Mapping[str, Any], scheduler: str) -> dict[str, Any]:
  """Return the index by which diffusers finds the parts of a latent model."""
  controlled = bool(controlnet_names(networks))
  inpainting = networks['unet'].config.in_channels != (
    networks['unet'].config.out_channels
  )
  kind = ('ControlNet' if controlled else '') + 'Inpaint' * inpainting
  parts = {
    'unet': ['diffusers', 'UNet2DConditionModel'],
    'vae': ['diffusers', 'AutoencoderKL'],
    'text_encoder': ['transformers', 'CLIPTextModel'],
    'tokenizer': ['transformers', 'CLIPTokenizer'],
    'scheduler': ['diffusers', scheduler],
    'safety_checker': [None, None],
    'feature_extractor': [None, None],
    'image_encoder': [None, None],
  }
  if controlled:
    parts['controlnet'] = ['diffusers', 'ControlNetModel']
  return {
    '_class_name': f'StableDiffusion{kind}Pipeline',
    '_diffusers_version': _DIFFUSERS_VERSION,
    'requires_safety_checker': False,
    **parts,
  }


def write(
  folder: str | os.PathLike,
  networks: Mapping[str, Any],
  params: Mapping[str, Any],
  scheduler_config: Mapping[str, Any],
  *,
  sample_size: int,
  pixel_unshuffle: int,
  dtype: str,
) -> None:
  """Write a model folder, all but its tokenizer.

  Args:
    folder: made where it is missing.
    networks: linen modules by name.
    params: their parameters by the same names.
    scheduler_config: fields of diffusers' scheduler_config.json.
    sample_size: side of the pictures in pixels.
    pixel_unshuffle: r, block of pixels folded into channels; 1 for none.
    dtype: type of the weights: 'float32', 'float16' or 'bfloat16'.
  """
  folder = pathlib.Path(folder)
  for name, module in networks.items():
    component.save(folder / name, module, params[name], dtype=dtype)
  schedulers.save(folder / 'scheduler', dict(scheduler_config))
  if 'vae' in networks:
    kind = scheduler_config.get('_class_name', 'DDIMScheduler')
    index = _pipeline(networks, kind)
  else:
    index = {
      '_class_name': 'DiffusionPipeline',
      'sample_size': sample_size,
      'pixel_unshuffle': pixel_unshuffle,
    }
  files.write_json(folder / _INDEX, index)
