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

TIMESTEP_SCHEDULES = ('uniform', 'anneal', 'increase')
WEIGHTS = ('sigma2', 'sqrt_alpha', 'uniform', 'min_snr')
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


def timestep_range(
  step: Int[Array, ''] | int,
  *,
  kind: str,
  horizon: int,
  t_min: float = 0.02,
  t_max: float = 0.98,
  width: float = 0.0,
  power: float = 1.0,
) -> tuple[Float[Array, ''], Float[Array, '']]:
  """Bounds between which this step's noise level is drawn.

  `uniform` draws from the whole range at all times; `anneal` slides a window
  from t_max down to t_min; `increase` slides it up from t_min, "the amount
  of noise is greater in each subsequent iteration". The progress is
  (step / (horizon - 1))^power, held at 1 beyond the horizon, so that runs of
  600 and of 800 steps agree wherever they have the same horizon.

  Args:
    step: iteration, from 0.
    kind: 'uniform', 'anneal' or 'increase'.
    horizon: iterations that the schedule is laid out for, 1 or more; not
      necessarily those that are run.
    t_min: lower end, fraction of the training timesteps, 0..1.
    t_max: upper end, fraction, t_min..1.
    width: length of the sliding window, fraction; 0 fixes t by the step.
    power: of the progress; 0.5 falls fast at first, as in HiFA.

  Returns:
    (low, high), fractions within [t_min, t_max].

  Raises:
    ValueError: unknown kind, or numbers out of range.
  """
  if kind not in TIMESTEP_SCHEDULES:
    raise ValueError(
      f'timestep schedule {kind!r} is not one of '
      f'{", ".join(TIMESTEP_SCHEDULES)}'
    )
  if not 0 <= t_min <= t_max <= 1:
    raise ValueError(f'need 0 <= t_min <= t_max <= 1, got {t_min}, {t_max}')
  if horizon < 1 or power <= 0 or width < 0:
    raise ValueError(
      f'need horizon >= 1, power > 0, width >= 0; got {horizon}, {power}, '
      f'{width}'
    )
  if kind == 'uniform':
    return jnp.float32(t_min), jnp.float32(t_max)
  held = jnp.clip(jnp.asarray(step, jnp.float32), 0, horizon - 1)
  progress = (held / max(horizon - 1, 1)) ** power
  if kind == 'anneal':
    progress = 1 - progress
  low = t_min + progress * max(t_max - t_min - width, 0.0)
  return low, jnp.minimum(low + width, t_max)


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
  power: float = 1.0,
  stratified: bool = False,
) -> Int[Array, 'views']:
  """Draw the timestep of each view.

  Args:
    key: random key of this step.
    step: iteration, from 0.
    views: B.
    num_train_timesteps: T of the noise schedule.
    kind: see `timestep_range`, as horizon, t_min, t_max, width, power.
    horizon: see there; 'uniform' does not use it.
    t_min: see there.
    t_max: see there.
    width: see there.
    power: see there.
    stratified: one view from each of B equal parts of the range, in random
      order, instead of B independent draws.

  Returns:
    int32 [B] in [0, T).
  """
  low, high = timestep_range(
    step,
    kind=kind,
    horizon=horizon,
    t_min=t_min,
    t_max=t_max,
    width=width,
    power=power,
  )
  draw_key, order_key = jax.random.split(key)
  place = jax.random.uniform(draw_key, (views,))
  if stratified:
    place = (jax.random.permutation(order_key, views) + place) / views
  t = jnp.floor((low + (high - low) * place) * num_train_timesteps)
  return jnp.clip(t, 0, num_train_timesteps - 1).astype(jnp.int32)


def timestep_weight(
  schedule: schedulers.NoiseSchedule, t: Int[Array, '*b'], kind: str
) -> Float[Array, '*b']:
  """Weight w(t) of the residual.

  Args:
    schedule: the noise schedule.
    t: timesteps.
    kind: 'sigma2': sigma^2 (2209.14988); 'sqrt_alpha': alpha sigma^2, with
      alpha = sqrt(alpha_bar) (2303.13873); 'uniform': 1; 'min_snr':
      min(snr, 5) / snr (2303.09556).

  Returns:
    Weights in [0, 1], shaped as t.

  Raises:
    ValueError: unknown kind.
  """
  alpha, sigma = schedule.alpha[t], schedule.sigma[t]
  if kind == 'sigma2':
    return sigma**2
  if kind == 'sqrt_alpha':
    return alpha * sigma**2
  if kind == 'uniform':
    return jnp.ones_like(sigma)
  if kind == 'min_snr':
    return jnp.minimum(
      1.0, _SNR_BOUND * (sigma / jnp.maximum(alpha, 1e-6)) ** 2
    )
  raise ValueError(f'weight {kind!r} is not one of {", ".join(WEIGHTS)}')


def _noise(noised: Noised) -> tuple[Array, Array]:
  """Gradient w (eps_hat - eps) and the elements of 0.5 |g|^2."""
  gradient = noised.weight * (noised.eps_hat - noised.eps)
  return gradient, 0.5 * gradient**2


def _noised_image(noised: Noised) -> tuple[Array, Array]:
  """Gradient 2 w (z - x0_hat) and the elements of w |z - x0_hat|^2."""
  difference = noised.z - noised.x0_hat
  return 2 * noised.weight * difference, noised.weight * difference**2


# A further residual is one more function `Noised -> (gradient, elements)`.
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
  loss = jnp.sum(elements, axis=tuple(range(1, z.ndim)))
  return Distillation(gradient, loss, x0_hat, x_t)


def sds_loss(
  predict_fn: PredictFn,
  z: Float[Array, 'b ...'],
  t: Int[Array, 'b'],
  eps: Float[Array, 'b ...'],
  **options,
) -> tuple[Float[Array, ''], Distillation]:
  """Scalar loss whose gradient with respect to z is `distill`'s, over B.

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
