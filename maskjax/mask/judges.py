"""Who says what the renders of a step should have been.

A diffusion model is asked in words, with what its ControlNets and its UNet
see of the render beside them (patent [0110], claims 1, 11); one that paints
normals and coverage beside colour is told the exact cameras, and sees all
views of the step at once, with the first image among them. A second model may
judge the shape alone, by pictures of its normals. The perfect teacher knows
the truth: what it reaches is what the rest of the loop allows.

Shapes: `b` views, `s` pixels a side, `h w c` a sample of the denoiser.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from maskjax.diffusion import distill, model as model_lib
from maskjax.mask import (
  control,
  first_image,
  guide as guide_lib,
  renders,
  settings as settings_lib,
  views as views_lib,
)
from maskjax.render import renderer
from maskjax.studio import maps


class Scene(NamedTuple):
  """What a step shows to its judges."""

  views: views_lib.Views
  rendering: renderer.Rendering
  background: Float[Array, 'b s s 3']  # linear RGB behind the mask


class Judge(NamedTuple):
  """An opinion of pictures, as `distill.distill` takes it.

  Attributes:
    predict: the network's output for noised samples and their timesteps.
    prediction_type: what that output is; None: the schedule's.
    emphasis: how much each channel of a sample counts; None: all the same.
    together: whether all views of a step need one timestep.
  """

  predict: distill.PredictFn
  prediction_type: str | None = None
  emphasis: Float[Array, '1 1 1 c'] | None = None
  together: bool = False


def _guidance(settings: settings_lib.Distill) -> dict[str, Any]:
  """Return how words guide, as arguments of `predict_guided`."""
  return {
    'guidance_scale': settings.guidance_scale,
    'guidance_rescale': settings.guidance_rescale,
  }


def _away(
  texts: Float[Array, 'n t d'],
  views: views_lib.Views,
  settings: settings_lib.Distill,
) -> dict[str, Any]:
  """Return the words of what the views are not, where they count."""
  if not settings.perp_neg:
    return {}
  return {'away': texts[views.other], 'away_weight': settings.perp_neg}


def _of_words(
  guide: guide_lib.Guide | guide_lib.ShapeJudge,
  views: views_lib.Views,
  seen: dict[str, Any],
  settings: settings_lib.Distill,
) -> Judge:
  """Return a denoiser that is guided by the words of each view."""

  def predict(x_t, t):
    shape = (x_t.shape[0], *guide.negative.shape)
    return model_lib.predict_guided(
      guide.model,
      x_t,
      t,
      guide.texts[views.text],
      jnp.broadcast_to(guide.negative, shape),
      **_guidance(settings),
      **_away(guide.texts, views, settings),
      **seen,
    )

  return Judge(predict)


def _appended(rows: Array, row: Array) -> Array:
  """Return rows with one more at the end."""
  return jnp.concatenate([rows, row[None].astype(rows.dtype)])


class _Group(NamedTuple):
  """Views that a denoiser sees together: of a step, and the first image."""

  texts: Float[Array, 'b t d']
  away: Float[Array, 'b t d']
  labels: Float[Array, 'b l']


def _group(
  guide: guide_lib.Guide,
  views: views_lib.Views,
  *,
  told: bool,
  first: bool,
) -> _Group:
  """Return what is said of each view of a group."""
  labels = maps.camera_labels(
    views.azimuth,
    views.elevation,
    views.distance,
    known=jnp.full(views.azimuth.shape, told),
  )
  group = _Group(guide.texts[views.text], guide.texts[views.other], labels)
  if not first:
    return group
  front = guide.texts[views_lib.front_text()]
  label = first_image.front_label() * told
  return _Group(*map(_appended, group, (front, front, label)))


def _of_maps(
  guide: guide_lib.Guide,
  views: views_lib.Views,
  settings: settings_lib.MaskSettings,
) -> Judge:
  """Return a denoiser of colour and shape that is told the cameras.

  The first image is one more view, without noise: so every step wants the
  same head (MVDream 2308.16512; ImageDream 2312.02201, section 3).
  """
  model, first, options = guide.model, guide.first, settings.distill
  shown = options.together and settings.first_image.seen and first is not None
  group = _group(guide, views, told=options.camera, first=shown)

  def predict(x_t, t):
    count = x_t.shape[0]
    if shown and first is not None:
      clean = model_lib.encode_images(model, first_image.picture(first)[None])
      x_t, t = _appended(x_t, clean[0]), _appended(t, jnp.zeros(()))
    away = {'away': group.away, 'away_weight': options.perp_neg}
    output = model_lib.predict_guided(
      model,
      x_t,
      t,
      group.texts,
      jnp.broadcast_to(guide.negative, group.texts.shape),
      **_guidance(options),
      **(away if options.perp_neg else {}),
      labels=group.labels,
      views=x_t.shape[0] if options.together else 1,
    )
    return output[:count]

  weights = maps.channel_weights(1.0, settings.condition.normal_percentage)
  return Judge(
    predict,
    emphasis=jnp.repeat(weights, model.pixel_unshuffle**2)[None, None, None],
    together=options.together,
  )


def _perfect(
  guide: guide_lib.Guide,
  scene: Scene,
  emphasis: Float[Array, '1 1 1 c'] | None,
  settings: settings_lib.Render,
) -> Judge:
  """Return a teacher that answers with what the true head looks like."""
  truth, views = guide.truth, scene.views
  assert truth is not None and truth.colors is not None
  image = renderer.render(
    truth.vertices,
    truth.faces,
    truth.colors,
    views.camera,
    views.lights,
    size=scene.background.shape[1],
    background=scene.background,
    sigma=settings.sigma,
    gamma=settings.gamma,
    shading='vertex',
  )
  pictures = renders.pictures(guide.model, image)
  samples = model_lib.encode_images(guide.model, pictures)
  return Judge(lambda x_t, t: samples, 'sample', emphasis)


def judge(
  guide: guide_lib.Guide,
  scene: Scene,
  images: Float[Array, 'b s s p'],
  settings: settings_lib.MaskSettings,
) -> Judge:
  """Return who judges the renders of a step.

  Args:
    guide: models, words, and what else the guide has.
    scene: the step's views and renders.
    images: the renders as the model knows pictures, see `renders.pictures`.
    settings: all settings of the mask.
  """
  views = scene.views
  if first_image.paints_maps(guide.model):
    asked = _of_maps(guide, views, settings)
  else:
    seen = renders.shown_to_unet(guide.model, images, scene.rendering, settings)
    asked = _of_words(guide, views, seen, settings.distill)
  if guide.truth is not None:
    return _perfect(guide, scene, asked.emphasis, settings.render)
  return asked


def shape_judge(
  judge: guide_lib.ShapeJudge,
  views: views_lib.Views,
  settings: settings_lib.Distill,
) -> Judge:
  """Return the judge of the normals alone (HumanNorm 2310.01406, section 3).

  Args:
    judge: the second model, and the words of its views.
    views: those of the step.
    settings: how words guide.
  """
  return _of_words(judge, views, {}, settings)


def shape_pictures(rendering: renderer.Rendering) -> Float[Array, 'b s s 3']:
  """Return normals as pictures in [-1, 1], for the judge of the shape."""
  return 2.0 * control.normal_picture(rendering.normals, rendering.alpha) - 1.0
