"""Renders of a mask as the loop makes them, and what the denoiser sees of them.

Shapes: `b` views, `s` pixels a side.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from maskjax.diffusion import model as model_lib, painting
from maskjax.geometry import camera as camera_lib, color
from maskjax.mask import (
  control,
  first_image,
  settings as settings_lib,
  surface as surface_lib,
  trainable,
  views as views_lib,
)
from maskjax.render import lights as lights_lib, renderer
from maskjax.studio import maps, views as studio_views


def render(
  shape: surface_lib.Shape,
  camera: camera_lib.Camera,
  lights: lights_lib.Lights,
  settings: settings_lib.Render,
  **options: Any,
) -> renderer.Rendering:
  """Render a mask as it is now.

  Args:
    shape: the mask at this moment.
    camera: cameras of `b` views.
    lights: the light of each view.
    settings: softness of silhouettes and of what lies behind what.
    options: further options of `renderer.render`.
  """
  colors, painted = shape.colors, shape.texture
  # The soft mode would blend the charts of a uv map where they meet.
  charts = painted is not None and painted.seams is not None
  return renderer.render(
    shape.vertices,
    shape.faces,
    jnp.zeros_like(shape.vertices) if colors is None else colors,
    camera,
    lights,
    sigma=settings.sigma,
    gamma=settings.gamma,
    mode='hard' if charts else 'soft',
    shading='vertex' if painted is None else 'lambert',
    texture=painted,
    **options,
  )


def render_views(
  surface: surface_lib.Surface,
  params: trainable.MaskParams,
  views: views_lib.Views,
  background: Float[Array, 'b s s 3'],
  settings: settings_lib.MaskSettings,
) -> tuple[renderer.Rendering, surface_lib.Shape]:
  """Render the mask from a batch of views.

  Args:
    surface: the fixed part of the mask.
    params: the trained part of the mask.
    views: cameras and lights, and which of them see it without texture.
    background: linear RGB behind the mask, of the size of the renders.
    settings: all settings of the mask.

  Returns:
    The renders, and the shape that they show.
  """
  bound = settings.optimizer.offset_bound
  shape = surface_lib.shape(surface, params, bound=bound)
  plain = None
  if settings.views.textureless:
    coat = jnp.asarray((*settings.views.material_color, 1.0), jnp.float32)
    plain = views.bare[:, None] * coat[None]
  rendering = render(
    shape,
    views.camera,
    views.lights,
    settings.render,
    size=background.shape[1],
    background=background,
    height_range=studio_views.HEIGHT_RANGE_CM,
    plain=plain,
  )
  return rendering, shape


def likeness(
  first: first_image.FirstImage,
  shape: surface_lib.Shape,
  settings: settings_lib.Render,
) -> Float[Array, '']:
  """Return how far the colours, seen from the front, are from the first image.

  The mean square over the pixels that it painted the start shape with, in the
  range [-1, 1] of the denoiser; only colours have a gradient (the reference
  view of Magic123, 2306.17843, section 3.1).

  Args:
    first: the first image, and the coverage of the start shape.
    shape: the mask as it is now.
    settings: softness of the render.
  """
  cameras, lights = views_lib.fixed((0.0,))
  still = shape._replace(vertices=jax.lax.stop_gradient(shape.vertices))
  size = first.image.shape[0]
  rendering = render(still, cameras, lights, settings, size=size)
  known = first_image.shown(first) * rendering.alpha[0]
  error = 2.0 * (color.linear_to_srgb(rendering.rgb[0]) - first.image)
  return jnp.sum(known * error**2) / (3.0 * jnp.sum(known) + 1e-6)


def shape_likeness(
  first: first_image.FirstImage,
  shape: surface_lib.Shape,
  settings: settings_lib.Render,
) -> Float[Array, '']:
  """Return how far the shape, seen from the front, is from the first image.

  The mean square over all pixels of normals and coverage, in the range of the
  denoiser; this is what gives the start its outline and its first relief.

  Args:
    first: the first image, with its normals and its coverage.
    shape: the mask as it is now.
    settings: softness of the render.
  """
  cameras, lights = views_lib.fixed((0.0,))
  size = first.image.shape[0]
  seen = render(shape, cameras, lights, settings, size=size)
  normals = seen.normals[0] - first.normals
  outline = 2.0 * (seen.alpha[0] - first.coverage)
  return jnp.mean(jnp.concatenate([normals, outline], axis=-1) ** 2)


def pictures(
  model: model_lib.DiffusionModel,
  rendering: renderer.Rendering,
) -> Float[Array, 'b s s p']:
  """Return renders as the model knows pictures, in [-1, 1]."""
  images = 2.0 * color.linear_to_srgb(rendering.rgb) - 1.0
  if not first_image.paints_maps(model):
    return images
  return maps.stack(images, rendering.normals, rendering.alpha)


def _conditions(
  model: model_lib.DiffusionModel,
  rendering: renderer.Rendering,
  settings: settings_lib.MaskSettings,
) -> tuple[Array, ...] | None:
  """Return what the ControlNets see of the renders, None for nothing."""
  condition = settings.condition
  if not condition.normal_percentage:
    return None
  return control.of_rendering(
    model,
    control.shown(model, settings.controlnet.shows),
    rendering,
    mask=condition.mask,
    height=condition.height,
    normals=condition.normals,
  )


def shown_to_unet(
  model: model_lib.DiffusionModel,
  images: Float[Array, 'b s s 3'],
  rendering: renderer.Rendering,
  settings: settings_lib.MaskSettings,
) -> dict[str, Any]:
  """Return what the denoiser sees beside the noised render, and how much.

  Args:
    model: the diffusion model that is asked.
    images: renders in [-1, 1].
    rendering: what else is known of them.
    settings: all settings of the mask.

  Returns:
    Keyword arguments of `diffusion.model.predict_guided`.
  """
  if first_image.paints_maps(model):
    return {}  # shape is in the sample itself
  beside = None
  if model_lib.is_inpainting(model):
    # The mask is to be painted, the background behind it is known.
    beside = jax.lax.stop_gradient(
      painting.inpainting_channels(
        model, painting.Inpainting(images, rendering.alpha)
      )
    )
  conditions = _conditions(model, rendering, settings)
  scales = settings.controlnet.scales
  if len(scales) == 1:
    scales *= len(conditions or ())
  return {
    'beside': beside,
    'condition': conditions,
    'conditioning_scale': tuple(
      settings.condition.normal_percentage * scale for scale in scales
    ),
  }
