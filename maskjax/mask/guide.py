"""What guides a mask: a diffusion model, and the prompt in its words.

Shapes: `n` texts, `t d` tokens and features.
"""

from collections.abc import Sequence
from typing import NamedTuple

from jaxtyping import Array, Float

from maskjax.diffusion import model as model_lib
from maskjax.geometry import mesh as mesh_lib
from maskjax.mask import control, first_image, settings as settings_lib, views
from maskjax.training import files, parallel
from maskjax.weights import bundled


class ShapeJudge(NamedTuple):
  """A second model, which judges pictures of the normals."""

  model: model_lib.DiffusionModel
  texts: Float[Array, 'n t d']  # rows of `views.adjusted_texts`
  negative: Float[Array, 't d']


class Guide(NamedTuple):
  """What judges the renders; the same for all views and steps."""

  model: model_lib.DiffusionModel
  texts: Float[Array, 'n t d']  # rows of `views.adjusted_texts`
  negative: Float[Array, 't d']
  first: first_image.FirstImage | None = None  # what the front should keep
  shape: ShapeJudge | None = None
  # A teacher that knows this mesh answers in the model's place: a bound, for
  # measuring.
  truth: mesh_lib.Mesh | None = None


def _load(
  path: files.PathLike,
  settings: settings_lib.Diffusion,
  *,
  controlnets: Sequence[str] = (),
) -> model_lib.DiffusionModel:
  """Read a model that judges.

  It is frozen, so its parameters are kept in the type that it computes in.
  """
  dtype = parallel.compute_dtype(settings.dtype)
  return model_lib.load(
    path,
    controlnets=controlnets,
    dtype=dtype,
    param_dtype=dtype.name,
    variant=settings.variant or None,
    remat=settings.remat,
  )


def load_model(
  settings: settings_lib.MaskSettings,
) -> model_lib.DiffusionModel:
  """Return the diffusion model at the settings' path, or the bundled one.

  Raises:
    ValueError: ControlNets that are not there, or do not fit.
  """
  scales = settings.controlnet.scales
  model = _load(
    settings.diffusion.path or bundled.bundled_path('prior'),
    settings.diffusion,
    controlnets=[p for p in settings.controlnet.path.split(',') if p],
  )
  control.shown(model, settings.controlnet.shows)
  count = len(model_lib.controlnet_configs(model))
  if len(scales) not in (1, count):
    raise ValueError(
      f'controlnet.scales has {len(scales)} numbers for {count} ControlNets; '
      'give one for all, or one for each'
    )
  shaped = count or first_image.paints_maps(model)
  if settings.condition.normal_percentage and not shaped:
    raise ValueError(
      'the diffusion model has no ControlNet to show normals and height to; '
      'give --config.controlnet.path=FOLDER, or '
      '--config.condition.normal_percentage=0'
    )
  return model


def load_shape_model(
  settings: settings_lib.MaskSettings,
) -> model_lib.DiffusionModel | None:
  """Return the second model, which judges the shape; None where none is asked.

  Raises:
    ValueError: a model that cannot judge a picture of three channels.
  """
  path = settings.shape_judge.path
  if not path:
    return None
  model = _load(path, settings.diffusion)
  channels = model_lib.picture_channels(model)
  if model_lib.is_inpainting(model) or channels != 3:
    raise ValueError(
      f'shape_judge.path: {path} does not paint pictures of three channels '
      'from words alone; give a model of pictures of normals'
    )
  return model


def _encoded(
  model: model_lib.DiffusionModel, texts: list[str], negative: str
) -> tuple[Float[Array, 'n t d'], Float[Array, 't d']]:
  """Encode texts and a negative prompt."""
  encoded = views.encode_texts(model, [*texts, negative])
  return encoded[:-1], encoded[-1]


def create(
  model: model_lib.DiffusionModel,
  settings: settings_lib.MaskSettings,
  *,
  shape_model: model_lib.DiffusionModel | None = None,
) -> tuple[Guide, list[str]]:
  """Encode the prompt in the words of every view.

  Args:
    model: the diffusion model, from `load_model`.
    settings: all settings of the mask.
    shape_model: the judge of the shape, from `load_shape_model`.

  Returns:
    The guide, without a first image, and the table of texts.
  """
  form, material = settings.views.prompt_form, settings.views.material
  negative = settings.distill.negative_prompt
  texts = views.adjusted_texts(settings.prompt, form, material)
  model_lib.warn_of_unknown_words(model, settings.prompt)
  shape = None
  if shape_model is not None:
    # Light does not fall on normals, and words of it would only mislead.
    prompt = ', '.join(
      filter(None, (settings.prompt, settings.shape_judge.suffix))
    )
    words = views.adjusted_texts(prompt, form, material, lit=False)
    shape = ShapeJudge(shape_model, *_encoded(shape_model, words, negative))
  return Guide(model, *_encoded(model, texts, negative), shape=shape), texts
