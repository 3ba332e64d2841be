"""Steps of diffusion samplers, from a timestep t down to t_prev.

Pure functions of a `schedulers.NoiseSchedule`; t_prev = -1 is the clean end
of the chain. `sampling` strings them together.

Shapes: B samples, any trailing axes; t is a scalar or [B].
Sources: DDPM 2006.11239; DDIM 2010.02502; Euler 2206.00364; DPM-Solver++
2211.01095.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from maskjax.diffusion import schedulers

# A timestep, or the noise level that it stands for (see `spacing`).
Timestep = schedulers.Timesteps | schedulers.Level


def _clip(schedule: schedulers.NoiseSchedule, x0: Array) -> Array:
  """Bound a predicted clean sample where the schedule asks for it."""
  if schedule.clip_range is None:
    return x0
  return jnp.clip(x0, -schedule.clip_range, schedule.clip_range)


def _ratio_gap(now: schedulers.Level, prev: schedulers.Level) -> Array:
  """Return 1 - alpha_t^2 / alpha_prev^2, without cancellation."""
  return -jnp.expm1(2 * (now.log_alpha - prev.log_alpha))


def ddim_step(
  schedule: schedulers.NoiseSchedule,
  x_t: Float[Array, 'b ...'],
  output: Float[Array, 'b ...'],
  t: Timestep,
  t_prev: Timestep,
  *,
  eta: float = 0.0,
  noise: Float[Array, 'b ...'] | None = None,
  use_clipped_output: bool = False,
) -> Float[Array, 'b ...']:
  """Return the sample at t_prev, by DDIM (2010.02502, eq. 12 and 16).

  Args:
    schedule: the noise schedule.
    x_t: sample at t.
    output: the network's output for it.
    t: timestep in [0, T), or its noise level.
    t_prev: next lower timestep of the chain, -1 at its end.
    eta: 0 is deterministic, 1 as noisy as DDPM.
    noise: standard normal, as x_t; needed where eta > 0.
    use_clipped_output: make the noise agree with the clipped x_0.

  Returns:
    The sample at t_prev.

  Raises:
    ValueError: eta > 0 without noise.
  """
  now = schedulers.level(schedule, t, x_t)
  prev = schedulers.level(
    schedule, t_prev, x_t, clean=schedule.set_alpha_to_one
  )
  x0 = _clip(schedule, schedulers.to_x0(schedule, output, x_t, t))
  if use_clipped_output:
    eps = (x_t - now.alpha * x0) / now.sigma
  else:
    eps = schedulers.to_epsilon(schedule, output, x_t, t)
  if eta == 0.0:
    return prev.alpha * x0 + prev.sigma * eps
  if noise is None:
    raise ValueError('ddim_step: eta > 0 needs noise')
  ratio = prev.sigma / now.sigma
  spread = eta * ratio * jnp.sqrt(_ratio_gap(now, prev))
  # Rounding can push the radicand below zero where eta = 1 and t_prev = -1.
  along = jnp.sqrt(jnp.maximum(prev.sigma**2 - spread**2, 0.0))
  return prev.alpha * x0 + along * eps + spread * noise


def ddpm_step(
  schedule: schedulers.NoiseSchedule,
  x_t: Float[Array, 'b ...'],
  output: Float[Array, 'b ...'],
  t: Timestep,
  t_prev: Timestep,
  *,
  noise: Float[Array, 'b ...'],
) -> Float[Array, 'b ...']:
  """Draw from the posterior at t_prev (2006.11239, eq. 6 and 7).

  The variance is the smaller one ('fixed_small').

  Args:
    schedule: the noise schedule.
    x_t: sample at t.
    output: the network's output for it.
    t: timestep in [0, T), or its noise level.
    t_prev: next lower timestep of the chain, -1 at its end.
    noise: standard normal, as x_t; not added at t_prev = -1.

  Returns:
    The sample at t_prev.
  """
  now = schedulers.level(schedule, t, x_t)
  prev = schedulers.level(schedule, t_prev, x_t)
  x0 = _clip(schedule, schedulers.to_x0(schedule, output, x_t, t))
  beta = _ratio_gap(now, prev)
  variance = (prev.sigma / now.sigma) ** 2 * beta
  mean = (prev.alpha * beta / now.sigma**2) * x0 + (
    now.alpha / prev.alpha * (prev.sigma / now.sigma) ** 2
  ) * x_t
  return mean + jnp.sqrt(variance) * noise


def euler_step(
  schedule: schedulers.NoiseSchedule,
  x_t: Float[Array, 'b ...'],
  output: Float[Array, 'b ...'],
  t: Timestep,
  t_prev: Timestep,
) -> Float[Array, 'b ...']:
  """Take an Euler step of the probability flow in s = sigma / alpha.

  d(x/alpha)/ds = (x/alpha - x_0)/s (2206.00364, algorithm 1 without churn).
  Samples stay in the variance-preserving frame, x_t, not x_t / alpha. Where
  nothing is clipped this is DDIM with eta 0; with clipping the direction
  follows the clipped x_0.

  Args:
    schedule: the noise schedule.
    x_t: sample at t.
    output: the network's output for it.
    t: timestep in [0, T), or its noise level.
    t_prev: next lower timestep of the chain, -1 at its end.

  Returns:
    The sample at t_prev.
  """
  now = schedulers.level(schedule, t, x_t)
  prev = schedulers.level(schedule, t_prev, x_t)
  alpha = schedulers.divisor(now)
  x0 = _clip(schedule, schedulers.to_x0(schedule, output, x_t, t))
  s, s_prev = now.sigma / alpha, prev.sigma / prev.alpha
  slope = (x_t / alpha - x0) / s
  # x/alpha + slope (s_prev - s), written without the large x/alpha.
  return prev.alpha * (x0 + slope * s_prev)


def dpmpp_2m_step(
  schedule: schedulers.NoiseSchedule,
  x_t: Float[Array, 'b ...'],
  output: Float[Array, 'b ...'],
  t: Timestep,
  t_prev: Timestep,
  *,
  x0_last: Float[Array, 'b ...'],
  t_last: Timestep,
) -> tuple[Float[Array, 'b ...'], Float[Array, 'b ...']]:
  """Take a second-order step of DPM-Solver++ (2211.01095, algorithm 2).

  Args:
    schedule: the noise schedule.
    x_t: sample at t.
    output: the network's output for it.
    t: timestep in [0, T), or its noise level.
    t_prev: next lower timestep, -1 at the end of the chain.
    x0_last: clean sample that the step before this one predicted.
    t_last: timestep of that step; -1 if there was none. The first step and
      the step to -1 are of first order.

  Returns:
    The sample at t_prev, and the clean sample predicted here.
  """
  now, prev = (
    schedulers.level(schedule, t, x_t),
    schedulers.level(schedule, t_prev, x_t),
  )
  last = schedulers.level(schedule, t_last, x_t)

  def half_log_snr(level):
    return level.log_alpha - jnp.log(jnp.maximum(level.sigma, 1e-20))

  x0 = _clip(schedule, schedulers.to_x0(schedule, output, x_t, t))
  h = half_log_snr(prev) - half_log_snr(now)
  h_last = half_log_snr(now) - half_log_snr(last)
  second = (last.sigma > 0) & (prev.sigma > 0)
  weight = jnp.where(second, 0.5 * h / jnp.where(second, h_last, 1.0), 0.0)
  blend = x0 + weight * (x0 - x0_last)
  moved = prev.sigma / now.sigma * x_t - prev.alpha * jnp.expm1(-h) * blend
  return moved, x0
