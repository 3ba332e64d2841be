"""Pictures from words, as the first image of a mask is made (Fig. 7).

Text alone, or with a mask that ControlNets are shown, or with pictures of
another kind for them, or painted into the masked part of a picture.

Shapes: `s` pixels a side, `k` channels of a condition.
"""

import dataclasses
import functools
import pathlib
import time
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt8
import numpy as np

import maskjax
from maskjax.diffusion import model as model_lib, painting, sampling
from maskjax.geometry import color
from maskjax.studio import (
  condition as condition_lib,
  maps,
  pictures as pictures_lib,
  sheets,
)
from maskjax.training import (
  files,
  media,
  parallel,
  progress,
  settings as settings_lib,
)
from maskjax.weights import bundled

# Guidance and its rescaling, for models of pixels and of latents.
_PIXEL_GUIDANCE = (1.0, 0.0)
_LATENT_GUIDANCE = (7.5, 0.0)
_COLUMNS = 4
# 'auto' is that of the model's scheduler.
SAMPLERS = ('auto', *sampling.METHODS)

_number = settings_lib.number


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
  """What pictures are asked for; paths are empty where there is none.

  Attributes:
    prompt: what to show.
    negative_prompt: what not to show.
    path: model folder or id; empty for the bundled prior.
    controlnets: folders of ControlNets, in place of the model's own.
    mask: path of a picture, white where to paint.
    conditions: path of a picture for each ControlNet; without, they are shown
      the mask.
    controlnet_scales: strength of each ControlNet, or one for all.
    init_image: path of a picture of which the masked part is painted anew.
    count: number of pictures; each has the next seed.
    seed: seed of the first picture.
    steps: evaluations of the network for each picture.
    sampler: one of `SAMPLERS`.
    guidance_scale: scale of classifier-free guidance; None for a value that
      suits the model.
    dtype: type that networks compute in, see `parallel.compute_dtype`.
    variant: variant of the weights' files, e.g. 'fp16'; empty for full
      precision.
  """

  prompt: str = settings_lib.text()
  negative_prompt: str = ''
  path: str = ''
  controlnets: tuple[str, ...] = ()
  mask: str = ''
  conditions: tuple[str, ...] = ()
  controlnet_scales: tuple[float, ...] = _number(0, 10, default=(1.0,))
  init_image: str = ''
  count: int = _number(1, 10_000, default=4)
  seed: int = settings_lib.seed(default=0)
  steps: int = _number(1, 1000, default=30)
  sampler: str = settings_lib.choice(*SAMPLERS, default='auto')
  guidance_scale: float | None = _number(0, 1000, default=None)
  dtype: str = 'auto'
  variant: str = ''

  def __post_init__(self):
    settings_lib.check_limits(self)
    last = self.seed + self.count - 1
    if last > settings_lib.LARGEST_SEED:
      raise ValueError(f'the last seed would be {last}; it is below 2^32')
    if self.init_image and not self.mask:
      raise ValueError('--init_image needs --mask: white where to paint')
    if self.controlnets and not (self.conditions or self.mask):
      raise ValueError('--controlnet needs --condition or --mask to be shown')


def _condition(
  path: str, size: int, channels: int
) -> Float[np.ndarray, '1 s s k']:
  """Read what a ControlNet is shown; the stack of five sees it as its mask."""
  if channels == 3:
    return pictures_lib.read_square(path, size)[None]
  grey = pictures_lib.read_grey(path, size)[None, ..., None]
  if channels == condition_lib.CONDITION_CHANNELS:
    return np.pad(grey, ((0, 0),) * 3 + ((0, channels - 1),))
  return np.repeat(grey, channels, axis=-1)


def _conditions(
  model: model_lib.DiffusionModel, request: Request
) -> tuple[Array, ...] | None:
  """Read what the ControlNets are shown; None leaves them out."""
  configs = model_lib.controlnet_configs(model)
  paths = request.conditions
  if not paths and request.mask and not request.init_image:
    paths = (request.mask,) * len(configs)
    pictures_lib.read_mask(request.mask, model.sample_size)  # not a flat one
  if not paths:
    return None
  if len(paths) != len(configs):
    raise ValueError(
      f'{len(paths)} pictures in --condition for {len(configs)} ControlNets; '
      'give one for each'
    )
  return tuple(
    jnp.asarray(_condition(path, model.sample_size, c.conditioning_channels))
    for path, c in zip(paths, configs)
  )


def _inpainting(
  model: model_lib.DiffusionModel, request: Request, *, mask_is_shown: bool
) -> painting.Inpainting | None:
  """Read the picture to paint into: grey, where none is given."""
  size = model.sample_size
  painted = bool(request.mask) and not mask_is_shown
  if not painted and not model_lib.is_inpainting(model):
    return None
  mask = jnp.ones((1, size, size, 1))
  if painted:
    mask = jnp.asarray(pictures_lib.read_mask(request.mask, size))[
      None, ..., None
    ]
  images = jnp.zeros((1, size, size, 3))
  if request.init_image:
    images = jnp.asarray(pictures_lib.read_square(request.init_image, size))[
      None
    ]
    images = 2.0 * images - 1.0
  return painting.Inpainting(images, mask)


def _scales(request: Request, count: int) -> tuple[float, ...]:
  """Return the strength of each ControlNet."""
  scales = request.controlnet_scales
  scales = scales * count if len(scales) == 1 else scales
  if count and len(scales) != count:
    raise ValueError(
      f'{len(scales)} numbers in --controlnet_scale for {count} ControlNets; '
      'give one for all, or one for each'
    )
  return scales


def paint(
  model: model_lib.DiffusionModel,
  request: Request,
  *,
  show_progress: bool = True,
) -> UInt8[np.ndarray, 'n s s p']:
  """Paint the pictures, one after the other, with all channels of the model.

  Args:
    model: the model of the request.
    request: what to paint, and how.
    show_progress: whether to draw a bar of all steps.
  """
  conditions = _conditions(model, request)
  mask_is_shown = bool(conditions) and not request.conditions
  scale, rescale = (
    _LATENT_GUIDANCE if 'vae' in model.networks else _PIXEL_GUIDANCE
  )
  if request.guidance_scale is not None:
    scale = request.guidance_scale
  total = request.count * request.steps
  finished = 0
  with progress.bar(
    total if show_progress else None, name='pictures'
  ) as report:

    def tell(step):
      if show_progress:
        report(finished + int(step), {})

    sample = jax.jit(
      functools.partial(
        painting.sample_images,
        steps=request.steps,
        sampler=request.sampler,
        guidance_rescale=rescale,
        report=tell,
      )
    )
    model_lib.warn_of_unknown_words(model, request.prompt)
    tokens = model_lib.tokenize(
      model, [request.prompt, request.negative_prompt]
    )
    text, negative = jax.jit(model_lib.encode_tokens)(model, tokens)
    pictures = []
    for index in range(request.count):
      image = sample(
        model,
        jax.random.key(request.seed + index),
        text[None],
        negative[None],
        guidance_scale=scale,
        condition=conditions,
        conditioning_scale=_scales(request, len(conditions or ())),
        inpainting=_inpainting(model, request, mask_is_shown=mask_is_shown),
      )[0]
      pictures.append(color.to_bytes(np.asarray(image)))
      jax.effects_barrier()
      finished += request.steps
  return np.stack(pictures)


def _cells(
  names: list[str], pictures: UInt8[np.ndarray, 'n s s p']
) -> list[tuple[str, UInt8[np.ndarray, 's s 3']]]:
  """Return named pictures, each before its normals, where they are painted."""
  cells = []
  for name, picture in zip(names, pictures):
    cells.append((name, picture[..., maps.COLOR]))
    if picture.shape[-1] == maps.CHANNELS:
      cells.append((f'{name}_normals', picture[..., maps.NORMALS]))
  return cells


@parallel.explain_memory(
  'set --dtype=bfloat16, or use a model of smaller pictures'
)
def run(request: Request, directory: str) -> dict[str, Any]:
  """Paint and write NNNN.png by seed, grid.png and settings.json.

  A model that paints normals leaves NNNN_normals.png, too.

  Args:
    request: what to paint.
    directory: folder of the files; made where it is missing.

  Returns:
    The content of settings.json.

  Raises:
    ValueError, FileNotFoundError: bad input; one line.
  """
  began = time.monotonic()
  dtype = parallel.compute_dtype(request.dtype)
  model = model_lib.load(
    request.path or bundled.bundled_path('prior'),
    controlnets=request.controlnets,
    dtype=dtype,
    param_dtype=dtype.name,
    variant=request.variant or None,
  )
  pictures = paint(model, request)
  folder = pathlib.Path(directory)
  names = [f'{request.seed + i:04d}' for i in range(request.count)]
  cells = _cells(names, pictures)
  for name, picture in cells:
    media.save_png(folder / f'{name}.png', picture)
  rows = [('', cells[i : i + _COLUMNS]) for i in range(0, len(cells), _COLUMNS)]
  size = int(np.clip(model.sample_size, 128, 512))
  media.save_png(
    folder / 'grid.png', sheets.titled(request.prompt, rows, size=size)
  )
  settings = {
    **dataclasses.asdict(request),
    'sample_size': model.sample_size,
    'seconds': round(time.monotonic() - began, 2),
    'versions': {'maskjax': maskjax.__version__, 'jax': jax.__version__},
    'device': str(jax.devices()[0].device_kind),
  }
  files.write_json(folder / 'settings.json', settings)
  return settings
