"""What guides a mask: a diffusion model, and the prompt in its words.

Shapes: `n` texts, `t d` tokens and features.
"""

from typing import NamedTuple

from jaxtyping import Array, Float

from maskjax.diffusion import model as model_lib
from maskjax.mask import control, first_image, settings as settings_lib, views
from maskjax.training import parallel
from maskjax.weights import bundled


class Guide(NamedTuple):
  """What judges the renders; the same for all views and steps."""

  model: model_lib.DiffusionModel
  texts: Float[Array, 'n t d']  # rows of `views.adjusted_texts`
  negative: Float[Array, 't d']
  first: first_image.FirstImage | None = None  # what the front should keep


def load_model(
  settings: settings_lib.MaskSettings,
) -> model_lib.DiffusionModel:
  """Return the diffusion model at the settings' path, or the bundled one.

  It is frozen, so its parameters are kept in the type that it computes in.

  Raises:
    ValueError: ControlNets that are not there, or do not fit.
  """
  diffusion, scales = settings.diffusion, settings.controlnet.scales
  dtype = parallel.compute_dtype(diffusion.dtype)
  model = model_lib.load(
    diffusion.path or bundled.bundled_path('prior'),
    controlnets=[p for p in settings.controlnet.path.split(',') if p],
    dtype=dtype,
    param_dtype=dtype.name,
    variant=diffusion.variant or None,
    remat=diffusion.remat,
  )
  control.shown(model, settings.controlnet.shows)
  count = len(model_lib.controlnet_configs(model))
  if len(scales) not in (1, count):
    raise ValueError(
      f'controlnet.scales has {len(scales)} numbers for {count} ControlNets; '
      'give one for all, or one for each'
    )
  if settings.condition.normal_percentage and not count:
    raise ValueError(
      'the diffusion model has no ControlNet to show normals and height to; '
      'give --config.controlnet.path=FOLDER, or '
      '--config.condition.normal_percentage=0'
    )
  return model


def create(
  model: model_lib.DiffusionModel, settings: settings_lib.MaskSettings
) -> tuple[Guide, list[str]]:
  """Encode the prompt in the words of every view.

  Args:
    model: the diffusion model, from `load_model`.
    settings: all settings of the mask.

  Returns:
    The guide, without a first image, and the table of texts.
  """
  texts = views.adjusted_texts(
    settings.prompt, settings.views.prompt_form, settings.views.material
  )
  words = [*texts, settings.distill.negative_prompt]
  encoded = views.encode_texts(model, words)
  return Guide(model, encoded[:-1], encoded[-1]), texts
