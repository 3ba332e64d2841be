"""One step of the loop: render, noise, predict, compare, update.

The mask is rendered from a few cameras under a few lights, the renders are
noised, the diffusion model predicts the noise from the adjusted words (and
from height and normals of the render), and the difference becomes a gradient
on the vertices and colours (patent [0103] to [0110], [0116] to [0118],
Figs. 9 to 11; claims 1 to 7, 10 to 16, 19, 20).

Shapes: `b` views, `V` vertices, `s` pixels a side, `n` texts.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int
import ml_collections
import optax

from maskjax.diffusion import distill, model as model_lib
from maskjax.geometry import color
from maskjax.mask import (
  control as condition_lib,
  first_image,
  surface as surface_lib,
  views as views_lib,
)
from maskjax.render import hashgrid, renderer
from maskjax.studio import views as studio_views
from maskjax.training import parallel

# Per step of the smoothed loss, which the stopping rule looks at.
_SMOOTHING = 0.98


class Guide(NamedTuple):
  """What judges the renders; the same for all views and steps."""

  model: model_lib.DiffusionModel
  texts: Float[Array, 'n t d']  # rows of `views.adjusted_texts`
  negative: Float[Array, 't d']
  first: first_image.FirstImage | None = None  # what the front should keep


@flax.struct.dataclass
class MaskState:
  """What a step takes and returns, and what a checkpoint holds.

  Attributes:
    step: number of finished updates.
    params: the mask.
    opt_state: state of the optimiser.
    smoothed_loss: running mean of the distillation loss.
  """

  step: Int[Array, '']
  params: surface_lib.MaskParams
  opt_state: optax.OptState
  smoothed_loss: Float[Array, '']


def optimizer(
  config: ml_collections.ConfigDict,
) -> optax.GradientTransformation:
  """Adam with a rate of its own for each kind of parameter.

  Rates fall along half a cosine until the schedule's horizon: Adam's steps are
  as long for a weak signal as for a strong one, and what the last, nearly
  clean timesteps say of a shape is mostly noise.

  Args:
    config: configs/mask.py; of it `optimizer` (a rate of 0 freezes its part)
      and `distill.horizon`.
  """
  horizon, config = config.distill.horizon, config.optimizer

  def adam(rate):
    if not rate:
      return optax.set_to_zero()
    falling = optax.cosine_decay_schedule(rate, horizon, config.final_rate)
    return optax.adam(falling, b1=0.9, b2=0.99, eps=1e-10)

  def labels(params):
    field = isinstance(params.colors, hashgrid.Field)
    return surface_lib.MaskParams(
      offsets='offsets' if params.offsets.ndim == 2 else 'distances',
      colors='field' if field else 'colors',
    )

  return optax.multi_transform(
    {
      'offsets': adam(config.vertex_rate),
      'distances': adam(config.distance_rate),
      'colors': adam(config.color_rate),
      'field': adam(config.field_rate),
    },
    labels,
  )


def create_state(
  params: surface_lib.MaskParams, tx: optax.GradientTransformation
) -> MaskState:
  """Start at step 0."""
  return MaskState(
    step=jnp.zeros((), jnp.int32),
    params=params,
    opt_state=tx.init(params),
    smoothed_loss=jnp.zeros(()),
  )


def _render(shape, camera, lights, config, **options):
  """Render a mask as it is now; options of `renderer.render`."""
  colors, painted = shape.colors, shape.texture
  # The soft mode would blend the charts of a uv map where they meet.
  charts = painted is not None and painted.seams is not None
  return renderer.render(
    shape.vertices,
    shape.faces,
    jnp.zeros_like(shape.vertices) if colors is None else colors,
    camera,
    lights,
    sigma=config.render.sigma,
    gamma=config.render.gamma,
    mode='hard' if charts else 'soft',
    shading='vertex' if painted is None else 'lambert',
    texture=painted,
    **options,
  )


def render_views(
  surface: surface_lib.Surface,
  params: surface_lib.MaskParams,
  views: views_lib.Views,
  background: Float[Array, 'b s s 3'],
  config: ml_collections.ConfigDict,
  size: int,
) -> tuple[renderer.Rendering, surface_lib.Shape]:
  """Render the mask from a batch of views; also returns its shape."""
  shape = surface_lib.shape(
    surface, params, bound=config.optimizer.offset_bound
  )
  plain = None
  if config.views.textureless:
    coat = jnp.asarray((*config.views.material_color, 1.0), jnp.float32)
    plain = views.bare[:, None] * coat[None]
  rendering = _render(
    shape,
    views.camera,
    views.lights,
    config,
    size=size,
    background=background,
    height_range=studio_views.HEIGHT_RANGE_CM,
    plain=plain,
  )
  return rendering, shape


def _shown_to_unet(
  model: model_lib.DiffusionModel,
  images: Float[Array, 'b s s 3'],
  rendering: renderer.Rendering,
  config: ml_collections.ConfigDict,
) -> dict[str, Any]:
  """Return what the denoiser sees beside the noised render, and how much."""
  beside = conditions = None
  if model_lib.is_inpainting(model):
    # The mask is to be painted, the background behind it is known.
    beside = jax.lax.stop_gradient(
      model_lib.inpainting_channels(
        model, model_lib.Inpainting(images, rendering.alpha)
      )
    )
  if config.condition.normal_percentage:
    kinds = condition_lib.shown(model, config.controlnet.shows)
    conditions = condition_lib.of_rendering(
      model,
      kinds,
      rendering,
      mask=config.condition.mask,
      height=config.condition.height,
      normals=config.condition.normals,
    )
  scales = tuple(config.controlnet.scales)
  if len(scales) == 1:
    scales *= len(conditions or ())
  return {
    'beside': beside,
    'condition': conditions,
    'conditioning_scale': tuple(
      config.condition.normal_percentage * scale for scale in scales
    ),
  }


def _image_loss(
  model: model_lib.DiffusionModel,
  images: Float[Array, 'b s s 3'],
  t: Int[Array, 'b'],
  x0_hat: Float[Array, 'b h w c'],
  weight: str,
) -> Float[Array, '']:
  """Compare renders with the decoded prediction (HiFA 2305.18766, 4.2)."""
  seen = jax.lax.stop_gradient(model_lib.decode_images(model, x0_hat))
  w = distill.timestep_weight(model.schedule, t, weight)
  return jnp.mean(w * jnp.mean((images - seen) ** 2, axis=(1, 2, 3)))


def _likeness(
  first: first_image.FirstImage,
  shape: surface_lib.Shape,
  config: ml_collections.ConfigDict,
) -> Float[Array, '']:
  """Return how far the colours, seen from the front, are from the first image.

  The mean square over the pixels that the start shape covered, in the range
  [-1, 1] of the denoiser; only colours have a gradient (the reference view of
  Magic123, 2306.17843, section 3.1).
  """
  cameras, lights = views_lib.fixed((0.0,))
  still = shape._replace(vertices=jax.lax.stop_gradient(shape.vertices))
  size = first.image.shape[0]
  rendering = _render(still, cameras, lights, config, size=size)
  known = first.mask * rendering.alpha[0]
  error = 2.0 * (color.linear_to_srgb(rendering.rgb[0]) - first.image)
  return jnp.sum(known * error**2) / (3.0 * jnp.sum(known) + 1e-6)


def make_step(
  surface: surface_lib.Surface,
  tx: optax.GradientTransformation,
  config: ml_collections.ConfigDict,
) -> Callable[..., tuple[MaskState, dict[str, Any]]]:
  """Build `step(state, rng, batch, shared, axis_name=None)`.

  It returns the new state and metrics. A batch is int32 [b], one number per
  view. `shared` is a `Guide`: what is the same for all views and steps.

  Args:
    surface: the start shape.
    tx: from `optimizer`.
    config: configs/mask.py.
  """
  guide = config.distill

  def losses(params, shared, views, keys, step):
    model, texts, negative, first = shared
    size = model.sample_size
    background = jax.vmap(studio_views.background, (0, None))(keys[:, 0], size)
    rendering, shape = render_views(
      surface, params, views, background, config, size
    )
    images = 2.0 * color.linear_to_srgb(rendering.rgb) - 1.0
    z = model_lib.encode_images(model, images)
    seen = _shown_to_unet(model, images, rendering, config)

    def predict(x_t, t):
      return model_lib.predict_guided(
        model,
        x_t,
        t,
        texts[views.text],
        jnp.broadcast_to(negative, (x_t.shape[0], *negative.shape)),
        guidance_scale=guide.guidance_scale,
        guidance_rescale=guide.guidance_rescale,
        away=texts[views.other] if guide.perp_neg else None,
        away_weight=guide.perp_neg,
        **seen,
      )

    t = jax.vmap(
      lambda key: distill.sample_timesteps(
        key,
        step,
        views=1,
        num_train_timesteps=model.schedule.num_train_timesteps,
        kind=guide.timesteps,
        horizon=guide.horizon,
        t_min=guide.t_min,
        t_max=guide.t_max,
        width=guide.width,
      )[0]
    )(keys[:, 1])
    eps = jax.vmap(lambda key: jax.random.normal(key, z.shape[1:]))(keys[:, 2])
    loss, noised = distill.sds_loss(
      predict,
      z,
      t,
      eps,
      schedule=model.schedule,
      residual=guide.residual,
      weight=guide.weight,
      clip_x0=guide.clip_x0 or None,
    )
    # Per pixel, so that regularisers weigh the same at any resolution.
    loss = loss / z[0].size
    if guide.image_weight:
      loss += guide.image_weight * _image_loss(
        model, images, t, noised.x0_hat, guide.weight
      )
    terms = surface_lib.energy_terms(surface, shape, config.regularizers)
    weight = config.first_image.likeness
    if first is not None and weight:
      terms['likeness'] = weight * _likeness(first, shape, config)
    metrics = {'loss': loss, 'timestep': jnp.mean(t.astype(jnp.float32))}
    if surface.volume is not None:
      metrics['fullness'] = shape.fullness
    return loss + sum(terms.values()), metrics | terms

  def step(state, rng, batch, shared, axis_name=None):
    keys = parallel.example_keys(rng, batch.shape[0], axis_name)
    keys = jax.vmap(lambda key: jax.random.split(key, 4))(keys)
    views = jax.vmap(lambda key: views_lib.draw(key, config.views))(keys[:, 3])
    grads, metrics = jax.grad(losses, has_aux=True)(
      state.params, shared, views, keys, state.step
    )
    grads = parallel.pmean(grads, axis_name)
    metrics = parallel.pmean(metrics, axis_name)
    updates, opt_state = tx.update(grads, state.opt_state, state.params)
    if surface.volume is not None:
      # What overflows has holes: it waits, unchanged, to be reported.
      fits = metrics['fullness'] <= 1.0
      updates = jax.tree.map(lambda x: jnp.where(fits, x, 0.0), updates)
    params = optax.apply_updates(state.params, updates)
    first = state.step == 0
    smoothed = jnp.where(
      first,
      metrics['loss'],
      _SMOOTHING * state.smoothed_loss + (1 - _SMOOTHING) * metrics['loss'],
    )
    metrics |= {
      'smoothed_loss': smoothed,
      'offset_cm': surface_lib.largest_offset_cm(
        surface, params, bound=config.optimizer.offset_bound
      ),
      'vertex_gradient': optax.tree.norm(grads.offsets),
      'color_gradient': optax.tree.norm(grads.colors),
      'text': parallel.gather(views.text, axis_name),
      'azimuth': parallel.gather(views.azimuth, axis_name),
      'elevation': parallel.gather(views.elevation, axis_name),
    }
    state = MaskState(
      step=state.step + 1,
      params=params,
      opt_state=opt_state,
      smoothed_loss=smoothed,
    )
    return state, metrics

  return step
