"""One step of the loop: render, noise, predict, compare, update.

The mask is rendered from a few cameras under a few lights, the renders are
noised, the diffusion model predicts the noise from the adjusted words (and
from height and normals of the render), and the difference becomes a gradient
on the vertices and colours (patent [0103] to [0110], [0116] to [0118],
Figs. 9 to 11; claims 1 to 7, 10 to 16, 19, 20).

Shapes: `b` views, `V` vertices, `s` pixels a side, `n` texts.
"""

from collections.abc import Callable
import functools
from typing import NamedTuple

import flax
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key
import optax

from maskjax.diffusion import distill, model as model_lib
from maskjax.mask import (
  guide as guide_lib,
  judges,
  renders,
  settings as settings_lib,
  surface as surface_lib,
  trainable,
  views as views_lib,
)
from maskjax.studio import views as studio_views
from maskjax.training import parallel

Metrics = dict[str, Array]

# Per step of the smoothed loss, which the stopping rule looks at.
_SMOOTHING = 0.98


@flax.struct.dataclass
class MaskState:
  """What a step takes and returns, and what a checkpoint holds.

  Attributes:
    step: number of finished updates.
    params: the trained part of the mask.
    opt_state: state of the optimiser.
    smoothed_loss: running mean of the distillation loss.
  """

  step: Int[Array, '']
  params: trainable.MaskParams
  opt_state: optax.OptState
  smoothed_loss: Float[Array, '']


class Keys(NamedTuple):
  """Typed keys of a step's views, one for each use."""

  background: Key[Array, 'b']
  timestep: Key[Array, 'b']
  noise: Key[Array, 'b']
  view: Key[Array, 'b']


def _keys(rng: Key[Array, ''], count: int, axis_name: str | None) -> Keys:
  """Split the step's key into those of this device's views."""
  keys = parallel.example_keys(rng, count, axis_name)
  split = jax.vmap(lambda key: jax.random.split(key, len(Keys._fields)))(keys)
  return Keys(*(split[:, use] for use in range(len(Keys._fields))))


def _for_two(keys: Keys) -> tuple[Keys, Keys]:
  """Return keys of which two judges draw timesteps and noise of their own."""
  timestep, noise = map(jax.vmap(jax.random.split), (keys.timestep, keys.noise))
  first = keys._replace(timestep=timestep[:, 0], noise=noise[:, 0])
  return first, keys._replace(timestep=timestep[:, 1], noise=noise[:, 1])


def optimizer(
  surface: surface_lib.Surface, settings: settings_lib.MaskSettings
) -> optax.GradientTransformation:
  """Return Adam with a rate of its own for shape and for colours.

  Rates fall along half a cosine until the schedule's horizon: Adam's steps are
  as long for a weak signal as for a strong one, and what the last, nearly
  clean timesteps say of a shape is mostly noise.

  Args:
    surface: says which rates are those of its geometry and appearance.
    settings: settings of the mask; `optimizer` (a rate of 0 freezes its part)
      and `distill.horizon` count.
  """
  horizon, options = settings.distill.horizon, settings.optimizer

  def adam(rate: float) -> optax.GradientTransformation:
    if not rate:
      return optax.set_to_zero()
    falling = optax.cosine_decay_schedule(rate, horizon, options.final_rate)
    return optax.adam(falling, b1=0.9, b2=0.99, eps=1e-10)

  return optax.multi_transform(
    {
      'offsets': adam(surface.geometry.rate(options)),
      'colors': adam(surface.appearance.rate(options)),
    },
    trainable.MaskParams(offsets='offsets', colors='colors'),
  )


def create_state(
  params: trainable.MaskParams, tx: optax.GradientTransformation
) -> MaskState:
  """Return the state before the first step."""
  return MaskState(
    step=jnp.zeros((), jnp.int32),
    params=params,
    opt_state=tx.init(params),
    smoothed_loss=jnp.zeros(()),
  )


def _draw_timesteps(
  keys: Key[Array, 'b'],
  step: Int[Array, ''],
  count: int,
  settings: settings_lib.Distill,
) -> Int[Array, 'b']:
  """Draw a timestep for each view, of `count` that the model was trained on."""
  draw = functools.partial(
    distill.sample_timesteps,
    views=1,
    num_train_timesteps=count,
    kind=settings.timesteps,
    horizon=settings.horizon,
    t_min=settings.t_min,
    t_max=settings.t_max,
    width=settings.width,
  )
  return jax.vmap(lambda key: draw(key, step)[0])(keys)


def _image_loss(
  model: model_lib.DiffusionModel,
  images: Float[Array, 'b s s p'],
  t: Int[Array, 'b'],
  x0_hat: Float[Array, 'b h w c'],
  weight: str,
) -> Float[Array, '']:
  """Compare renders with the decoded prediction (HiFA 2305.18766, 4.2)."""
  seen = jax.lax.stop_gradient(model_lib.decode_images(model, x0_hat))
  w = distill.timestep_weight(model.schedule, t, weight)
  return jnp.mean(w * jnp.mean((images - seen) ** 2, axis=(1, 2, 3)))


def _distill(
  judge: judges.Judge,
  model: model_lib.DiffusionModel,
  images: Float[Array, 'b s s p'],
  noise: Key[Array, 'b'],
  t: Int[Array, 'b'],
  settings: settings_lib.Distill,
) -> tuple[Float[Array, ''], distill.Distillation]:
  """Return how far pictures are from what a judge sees in them.

  The loss has the gradient of score distillation, per value of colour: so
  regularisers weigh the same at any resolution and beside further channels.
  """
  z = model_lib.encode_images(model, images)
  eps = jax.vmap(lambda key: jax.random.normal(key, z.shape[1:]))(noise)
  # DreamFusion (Poole et al. 2022), equation 3: the gradient with respect to
  # the render is w(t) (eps_hat - eps), and none flows through the denoiser;
  # 'noised_image' is its form of patent [0117], see `distill`.
  loss, noised = distill.sds_loss(
    judge.predict,
    z,
    t,
    eps,
    schedule=model.schedule,
    residual=settings.residual,
    weight=settings.weight,
    prediction_type=judge.prediction_type,
    clip_x0=settings.clip_x0 or None,
    emphasis=judge.emphasis,
  )
  return loss / (z[0].size * 3 / images.shape[-1]), noised


def _distillation_loss(
  guide: guide_lib.Guide,
  scene: judges.Scene,
  keys: Keys,
  step: Int[Array, ''],
  settings: settings_lib.MaskSettings,
) -> tuple[Float[Array, ''], Int[Array, 'b']]:
  """Return how far the renders are from what the model sees in them.

  Returns:
    The loss, whose gradient is that of score distillation, and the timesteps.
  """
  model, options = guide.model, settings.distill
  images = renders.pictures(model, scene.rendering)
  judge = judges.judge(guide, scene, images, settings)
  t = _draw_timesteps(
    keys.timestep, step, model.schedule.num_train_timesteps, options
  )
  if judge.together:
    t = jnp.full_like(t, t[0])  # views of a group share a noise level
  loss, noised = _distill(judge, model, images, keys.noise, t, options)
  if options.image_weight:
    loss += options.image_weight * _image_loss(
      model, images, t, noised.x0_hat, options.weight
    )
  return loss, t


def _shape_loss(
  guide: guide_lib.ShapeJudge,
  scene: judges.Scene,
  keys: Keys,
  step: Int[Array, ''],
  settings: settings_lib.MaskSettings,
) -> Float[Array, '']:
  """Return how far the normals are from what the second model sees in them."""
  options, model = settings.distill, guide.model
  t = _draw_timesteps(
    keys.timestep, step, model.schedule.num_train_timesteps, options
  )
  pictures = judges.shape_pictures(scene.rendering)
  size = model.sample_size
  if pictures.shape[1] != size:
    shape = (pictures.shape[0], size, size, 3)
    pictures = jax.image.resize(pictures, shape, 'linear')
  judge = judges.shape_judge(guide, scene.views, options)
  loss, _ = _distill(judge, model, pictures, keys.noise, t, options)
  return loss


def _losses(
  params: trainable.MaskParams,
  guide: guide_lib.Guide,
  views: views_lib.Views,
  keys: Keys,
  step: Int[Array, ''],
  *,
  surface: surface_lib.Surface,
  settings: settings_lib.MaskSettings,
) -> tuple[Float[Array, ''], Metrics]:
  """Return the sum of all losses of a step, and each by name."""
  size = guide.model.sample_size
  background = jax.vmap(studio_views.background, (0, None))(
    keys.background, size
  )
  rendering, shape = renders.render_views(
    surface, params, views, background, settings
  )
  scene = judges.Scene(views, rendering, background)
  terms = {}
  if guide.shape is not None:
    weight = settings.shape_judge.weight
    keys, own = _for_two(keys)
    loss = _shape_loss(guide.shape, scene, own, step, settings)
    terms['shape_loss'] = weight * loss
    # The first model judges the colours alone, on a shape that stays.
    still = params._replace(offsets=jax.lax.stop_gradient(params.offsets))
    rendering, _ = renders.render_views(
      surface, still, views, background, settings
    )
    scene = scene._replace(rendering=rendering)
  loss, t = _distillation_loss(guide, scene, keys, step, settings)
  terms |= surface.geometry.energies(
    surface.base, shape.formed, settings.regularizers
  )
  weight = settings.first_image.likeness
  if guide.first is not None and weight:
    likeness = renders.likeness(guide.first, shape, settings.render)
    terms = {**terms, 'likeness': weight * likeness}
  weight = settings.first_image.shape_likeness
  if guide.first is not None and guide.first.normals is not None and weight:
    likeness = renders.shape_likeness(guide.first, shape, settings.render)
    terms = {**terms, 'shape_likeness': weight * likeness}
  metrics = {'loss': loss, 'timestep': jnp.mean(t.astype(jnp.float32))}
  return loss + sum(terms.values()), {
    **metrics,
    **shape.formed.measures,
    **terms,
  }


def _smoothed(state: MaskState, loss: Float[Array, '']) -> Float[Array, '']:
  """Return the running mean of the loss, which begins at the first one."""
  mean = _SMOOTHING * state.smoothed_loss + (1 - _SMOOTHING) * loss
  return jnp.where(state.step == 0, loss, mean)


def make_step(
  surface: surface_lib.Surface,
  tx: optax.GradientTransformation,
  settings: settings_lib.MaskSettings,
) -> Callable[..., tuple[MaskState, Metrics]]:
  """Build `step(state, rng, batch, guide, axis_name=None)`.

  It returns the new state and metrics. A batch is int32 [b], one number per
  view. The `guide.Guide` is the same for all views and steps.

  Args:
    surface: the start shape, prepared.
    tx: the optimiser, from `optimizer`.
    settings: all settings of the mask.
  """
  geometry, bound = surface.geometry, settings.optimizer.offset_bound
  losses = functools.partial(_losses, surface=surface, settings=settings)

  def step(state, rng, batch, guide, axis_name=None):
    keys = _keys(rng, batch.shape[0], axis_name)
    views = jax.vmap(lambda key: views_lib.draw(key, settings.views))(keys.view)
    grads, metrics = jax.grad(losses, has_aux=True)(
      state.params, guide, views, keys, state.step
    )
    grads = parallel.pmean(grads, axis_name)
    metrics = parallel.pmean(metrics, axis_name)
    updates, opt_state = tx.update(grads, state.opt_state, state.params)
    updates = geometry.hold(updates, metrics)
    params = optax.apply_updates(state.params, updates)
    smoothed = _smoothed(state, metrics['loss'])
    metrics |= {
      'smoothed_loss': smoothed,
      'offset_cm': geometry.largest_offset(surface.base, params.offsets, bound),
      'vertex_gradient': optax.tree.norm(grads.offsets),
      'color_gradient': optax.tree.norm(grads.colors),
      'text': parallel.gather(views.text, axis_name),
      'azimuth': parallel.gather(views.azimuth, axis_name),
      'elevation': parallel.gather(views.elevation, axis_name),
    }
    return MaskState(state.step + 1, params, opt_state, smoothed), metrics

  return step
