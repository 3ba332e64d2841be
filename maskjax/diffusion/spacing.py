"""Where samplers stop on their way from noise to a clean sample.

Shapes: N steps of a sampler, T training timesteps.
Sources: spacings 2305.08891, table 2; Karras' spacing 2206.00364, eq. 5.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Num
import numpy as np

from maskjax.diffusion import schedulers

# Exponent of Karras' spacing: 2206.00364, table 1.
_RHO = 7.0


class Chain(NamedTuple):
  """The places that a sampler stops at, noisiest first.

  Attributes:
    t: timesteps that the network is shown: int32, or float32 where they are
      not whole.
    levels: the noise at each of them, and at the clean end.
  """

  t: Num[Array, 'n']
  levels: schedulers.Level


def timesteps(
  schedule: schedulers.NoiseSchedule,
  steps: int,
  *,
  endpoint: bool = True,
  whole: bool = True,
) -> Num[np.ndarray, 'n']:
  """Choose evenly spaced timesteps, noisiest first.

  Args:
    schedule: the noise schedule; its timestep_spacing decides.
    steps: how many, 1..T.
    endpoint: False leaves room for the step to the clean end, as
      DPM-Solver does, for 'leading' and 'linspace'.
    whole: False does not round those of 'linspace', as Euler.

  Returns:
    [steps], strictly falling: int32, or float32 where they are not whole.

  Raises:
    ValueError: steps out of range.
  """
  total = schedule.num_train_timesteps
  count = steps if endpoint else steps + 1
  if schedule.timestep_spacing == 'trailing':
    count = steps
  if steps < 1 or count > total:
    raise ValueError(f'steps {steps}: expected 1..{total - count + steps}')
  chosen: np.ndarray
  if schedule.timestep_spacing == 'linspace':
    chosen = np.linspace(0, total - 1, count)[::-1]
  elif schedule.timestep_spacing == 'leading':
    chosen = np.arange(count)[::-1] * (total // count)
    chosen = chosen + min(schedule.steps_offset, total - 1 - chosen[0])
  else:
    chosen = np.round(total - np.arange(steps) * (total / steps)) - 1
  chosen = chosen[:steps]
  if schedule.timestep_spacing == 'linspace' and not whole:
    return chosen.astype(np.float32)
  return np.round(chosen).astype(np.int32)


def chain(
  schedule: schedulers.NoiseSchedule, steps: int, *, clean: bool = True
) -> Chain:
  """Return the places of DDIM and DDPM, which stop at whole timesteps.

  Args:
    schedule: the noise schedule.
    steps: how many, 1..T.
    clean: whether the end is free of noise, or has that of t = 0.

  Raises:
    ValueError: steps out of range.
  """
  t = jnp.asarray(timesteps(schedule, steps))
  stops = jnp.concatenate([t, jnp.full((1,), -1, t.dtype)])
  return Chain(t, schedulers.level(schedule, stops, stops, clean=clean))


def ratio_chain(
  schedule: schedulers.NoiseSchedule,
  steps: int,
  *,
  endpoint: bool = True,
  whole: bool = True,
) -> Chain:
  """Return the places of Euler and DPM-Solver, which go by sigma / alpha.

  They follow Karras' spacing where the schedule asks for it, and interpolate
  between timesteps; with a zero terminal SNR they start from very little
  signal instead of none.

  Args:
    schedule: the noise schedule.
    steps: how many, 1..T.
    endpoint: False leaves room for the step to the clean end, as
      DPM-Solver does; with Karras' spacing False goes through all noise
      levels, and not only those between the ends.
    whole: whether the network is shown whole timesteps; levels lie between
      them nevertheless where Karras' spacing leads there.

  Raises:
    ValueError: steps out of range.
  """
  chosen = timesteps(schedule, steps, endpoint=endpoint, whole=whole)
  table = schedule.sigma * jnp.exp(-schedule.log_alpha)
  places = jnp.arange(len(table), dtype=jnp.float32)
  t = jnp.asarray(chosen)
  if schedule.karras:
    first, last = chosen[0], chosen[-1]
    if not endpoint:
      first, last = len(table) - 1, 0
    ends = jnp.interp(jnp.array([first, last], jnp.float32), places, table)
    high, low = ends ** (1 / _RHO)
    roots = high + jnp.linspace(0.0, 1.0, steps) * (low - high)
    ratio = roots**_RHO
    t = jnp.interp(jnp.log(ratio), jnp.log(table), places)
    if whole:  # PyTorch's DPM-Solver does not round where noise is a cosine.
      cosine = schedule.beta_schedule == 'squaredcos_cap_v2'
      t = (jnp.floor(t) if cosine else jnp.round(t)).astype(jnp.int32)
  elif whole:
    ratio = table[t]
  else:
    ratio = jnp.interp(t.astype(jnp.float32), places, table)
  return Chain(t, schedulers.level_of_ratio(jnp.append(ratio, 0.0)))
