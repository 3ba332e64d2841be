"""Score distillation: a diffusion model's opinion of a picture, as gradient.

A picture z (a render in [-1, 1], or its latent) is noised, the noise is
predicted, and the difference is the gradient with respect to z; nothing is
propagated through the network. Two residuals, with w = w(t):

  noise         g = w (eps_hat - eps)       reported loss 0.5 |g|^2
  noised_image  g = 2 w (z - x0_hat)        loss w |z - x0_hat|^2

x0_hat = (x_t - sigma eps_hat) / alpha is the noised picture less the
predicted noise. Because z - x0_hat = (sigma / alpha)(eps_hat - eps), the two
agree up to a factor, g_noised_image = 2 (sigma / alpha) g_noise: the second
weighs noisy timesteps more, and lets x0_hat be clipped.

Shapes: B views, any trailing axes. Losses are summed over trailing axes.
Sources: US 2025/0259405 [0023], [0108], [0110], [0117], claims 1-5, 15, 16;
DreamFusion 2209.14988, eq. 3; HiFA 2305.18766, section 4.2.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from maskjax.diffusion import schedulers

# Bound of the signal-to-noise ratio in 'min_snr': 2303.09556, section 3.4.
_SNR_BOUND = 5.0

PredictFn = Callable[
  [Float[Array, 'b ...'], Int[Array, 'b']], Float[Array, 'b ...']
]


class Noised(NamedTuple):
  """What a residual is computed from; per-view factors have z's rank."""

  z: Float[Array, 'b ...']
  eps: Float[Array, 'b ...']
  eps_hat: Float[Array, 'b ...']
  x0_hat: Float[Array, 'b ...']
  weight: Float[Array, 'b ...']


class Distillation(NamedTuple):
  """Outcome of one distillation step.

  Attributes:
    gradient: of the summed loss with respect to z, f32 as z.
    loss: f32 [B], the reported loss per view.
    x0_hat: the clean sample the model sees in x_t, for pictures.
    x_t: the noised sample.
  """

  gradient: Float[Array, 'b ...']
  loss: Float[Array, 'b']
  x0_hat: Float[Array, 'b ...']
  x_t: Float[Array, 'b ...']


def _uniform(progress, t_min, t_max, width):
  """Return the whole range at all times."""
  del progress, width
  return jnp.float32(t_min), jnp.float32(t_max)


def _increase(progress, t_min, t_max, width):
  """Slide a window up from t_min (patent [0108])."""
  # "The amount of noise is greater in each subsequent iteration."
  low = t_min + progress * max(t_max - t_min - width, 0.0)
  return low, jnp.minimum(low + width, t_max)


def _anneal(progress, t_min, t_max, width):
  """Slide a window down from t_max (HiFA 2305.18766, section 4.1)."""
  return _increase(1 - progress, t_min, t_max, width)


# A further schedule is one more function
# `(progress in [0, 1], t_min, t_max, width) -> (low, high)`, and a row here.
_SCHEDULES = {'uniform': _uniform, 'anneal': _anneal, 'increase': _increase}
TIMESTEP_SCHEDULES = tuple(_SCHEDULES)


def timestep_range(
  step: Int[Array, ''] | int,
  *,
  kind: str,
  horizon: int,
  t_min: float = 0.02,
  t_max: float = 0.98,
  width: float = 0.0,
) -> tuple[Float[Array, ''], Float[Array, '']]:
  """Return the bounds between which this step's noise level is drawn.

  The progress is step / (horizon - 1), held at 1 beyond the horizon, so that
  runs of 600 and of 800 steps agree wherever they have the same horizon.

  Args:
    step: iteration, from 0.
    kind: one of `TIMESTEP_SCHEDULES`.
    horizon: iterations that the schedule is laid out for, 1 or more; not
      necessarily those that are run.
    t_min: lower end, fraction of the training timesteps, 0..1.
    t_max: upper end, fraction, t_min..1.
    width: length of the sliding window, fraction; 0 fixes t by the step.

  Returns:
    (low, high), fractions within [t_min, t_max].

  Raises:
    ValueError: unknown kind, or numbers out of range.
  """
  if kind not in _SCHEDULES:
    raise ValueError(
      f'timestep schedule {kind!r} is not one of '
      f'{", ".join(TIMESTEP_SCHEDULES)}'
    )
  if not 0 <= t_min <= t_max <= 1:
    raise ValueError(f'need 0 <= t_min <= t_max <= 1, got {t_min}, {t_max}')
  if horizon < 1 or width < 0:
    raise ValueError(f'need horizon >= 1, width >= 0; got {horizon}, {width}')
  held = jnp.clip(jnp.asarray(step, jnp.float32), 0, horizon - 1)
  progress = held / max(horizon - 1, 1)
  return _SCHEDULES[kind](progress, t_min, t_max, width)


def sample_timesteps(
  key: Key[Array, ''],
  step: Int[Array, ''] | int,
  *,
  views: int,
  num_train_timesteps: int,
  kind: str = 'uniform',
  horizon: int = 1,
  t_min: float = 0.02,
  t_max: float = 0.98,
  width: float = 0.0,
) -> Int[Array, 'views']:
  """Draw the timestep of each view.

  Args:
    key: random key of this step.
    step: iteration, from 0.
    views: number of views B.
    num_train_timesteps: timesteps T of the noise schedule.
    kind: one of `TIMESTEP_SCHEDULES`.
    horizon: iterations that the schedule is laid out for; 'uniform' does not
      use it.
    t_min: lower end, fraction of T, 0..1.
    t_max: upper end, fraction of T, t_min..1.
    width: length of the sliding window, fraction of T.

  Returns:
    int32 [B] in [0, T).
  """
  low, high = timestep_range(
    step, kind=kind, horizon=horizon, t_min=t_min, t_max=t_max, width=width
  )
  # Of two halves: a seed has to draw the same timesteps in all versions.
  draw_key, _ = jax.random.split(key)
  place = jax.random.uniform(draw_key, (views,))
  t = jnp.floor((low + (high - low) * place) * num_train_timesteps)
  return jnp.clip(t, 0, num_train_timesteps - 1).astype(jnp.int32)


def _min_snr(alpha, sigma):
  """Return min(snr, 5) / snr (2303.09556, section 3.4)."""
  inverse_snr = (sigma / jnp.maximum(alpha, 1e-6)) ** 2
  return jnp.minimum(1.0, _SNR_BOUND * inverse_snr)


# A further weight is one more function `(alpha, sigma) -> w`, and a row here;
# alpha = sqrt(alpha_bar), as everywhere.
_WEIGHTS = {
  'sigma2': lambda alpha, sigma: sigma**2,  # DreamFusion 2209.14988
  'sqrt_alpha': lambda alpha, sigma: alpha * sigma**2,  # 2303.13873
  'uniform': lambda alpha, sigma: jnp.ones_like(sigma),
  'min_snr': _min_snr,
}
WEIGHTS = tuple(_WEIGHTS)


def timestep_weight(
  schedule: schedulers.NoiseSchedule, t: Int[Array, '*b'], kind: str
) -> Float[Array, '*b']:
  """Return the weight w(t) of the residual.

  Args:
    schedule: the noise schedule.
    t: timesteps.
    kind: one of `WEIGHTS`.

  Returns:
    Weights in [0, 1], shaped as t.

  Raises:
    ValueError: unknown kind.
  """
  if kind not in _WEIGHTS:
    raise ValueError(f'weight {kind!r} is not one of {", ".join(WEIGHTS)}')
  return _WEIGHTS[kind](schedule.alpha[t], schedule.sigma[t])


def _noise(noised: Noised) -> tuple[Array, Array]:
  """Return the gradient w (eps_hat - eps), and elements 0.5 |g|^2."""
  # DreamFusion (Poole et al. 2022), equation 3.
  gradient = noised.weight * (noised.eps_hat - noised.eps)
  return gradient, 0.5 * gradient**2


def _noised_image(noised: Noised) -> tuple[Array, Array]:
  """Return the gradient 2 w (z - x0_hat), and elements w |z - x0_hat|^2."""
  # HiFA (2305.18766), section 4.2; patent [0117]. The factor to equation 3 is
  # derived at the top of this module.
  difference = noised.z - noised.x0_hat
  return 2 * noised.weight * difference, noised.weight * difference**2


# A further residual is one more function `Noised -> (gradient, elements)`, and
# a row here.
_RESIDUALS = {'noise': _noise, 'noised_image': _noised_image}
RESIDUALS = tuple(_RESIDUALS)


def distill(
  predict_fn: PredictFn,
  z: Float[Array, 'b ...'],
  t: Int[Array, 'b'],
  eps: Float[Array, 'b ...'],
  *,
  schedule: schedulers.NoiseSchedule,
  residual: str = 'noise',
  weight: str = 'sigma2',
  prediction_type: str | None = None,
  clip_x0: float | None = None,
  emphasis: Float[Array, '...'] | None = None,
) -> Distillation:
  """Compute the distillation gradient with respect to z.

  Args:
    predict_fn: (x_t [B, ...], t int32 [B]) -> the network's output, with
      guidance and conditions already in it.
    z: picture in the network's range, or latent.
    t: timestep of each view.
    eps: standard normal noise, as z.
    schedule: the noise schedule.
    residual: 'noise' or 'noised_image'.
    weight: w(t), see `timestep_weight`.
    prediction_type: of predict_fn's output; None for the schedule's.
    clip_x0: bound of x0_hat; None for no bound. It changes the gradient of
      'noised_image' only.
    emphasis: how much each element of z counts, of a shape that broadcasts to
      z's, e.g. [1, 1, 1, C]; None: all the same.

  Returns:
    Gradient, loss per view, and the pictures behind them; no gradient flows
    through any of them.

  Raises:
    ValueError: unknown residual or weight, or shapes that do not fit.
  """
  if residual not in _RESIDUALS:
    raise ValueError(
      f'residual {residual!r} is not one of {", ".join(RESIDUALS)}'
    )
  if eps.shape != z.shape or t.shape != z.shape[:1]:
    raise ValueError(
      f'eps {eps.shape} must be shaped as z {z.shape}, and t {t.shape} as '
      'its first axis'
    )
  z = jax.lax.stop_gradient(z)
  x_t = schedulers.add_noise(schedule, z, eps, t)
  output = jax.lax.stop_gradient(predict_fn(x_t, t))
  eps_hat, x0_hat = (
    convert(schedule, output, x_t, t, prediction_type=prediction_type)
    for convert in (schedulers.to_epsilon, schedulers.to_x0)
  )
  if clip_x0 is not None:
    x0_hat = jnp.clip(x0_hat, -clip_x0, clip_x0)
  w = timestep_weight(schedule, t, weight)
  w = w.reshape(w.shape + (1,) * (z.ndim - 1))
  gradient, elements = _RESIDUALS[residual](Noised(z, eps, eps_hat, x0_hat, w))
  if emphasis is not None:
    gradient, elements = gradient * emphasis, elements * emphasis
  loss = jnp.sum(elements, axis=tuple(range(1, z.ndim)))
  return Distillation(gradient, loss, x0_hat, x_t)


def sds_loss(
  predict_fn: PredictFn,
  z: Float[Array, 'b ...'],
  t: Int[Array, 'b'],
  eps: Float[Array, 'b ...'],
  **options,
) -> tuple[Float[Array, ''], Distillation]:
  """Return a loss whose gradient with respect to z is `distill`'s, over B.

  Made for `jax.value_and_grad(..., has_aux=True)` of renderer and loss
  together. Its value is the reported loss, averaged over the views.

  Args:
    predict_fn: see `distill`.
    z: see there; here it carries gradient to what it was rendered from.
    t: see there.
    eps: see there.
    **options: keyword arguments of `distill`.

  Returns:
    Loss, and the distillation step it comes from.
  """
  step = distill(predict_fn, z, t, eps, **options)
  # z - stop_gradient(z) is zero and has gradient one: the value stays the
  # loss exactly, and the gradient is not rounded by subtracting from z.
  lever = jnp.sum(step.gradient * (z - jax.lax.stop_gradient(z)))
  return jnp.mean(step.loss) + lever / z.shape[0], step
