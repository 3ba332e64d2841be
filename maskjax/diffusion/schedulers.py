"""Noise schedules of diffusion models: tables, noising, conversions.

A `NoiseSchedule` is read from diffusers' scheduler_config.json. Everything
else is a pure function of it. The forward process is

  x_t = alpha[t] x_0 + sigma[t] eps,   alpha[t]^2 + sigma[t]^2 = 1,

with alpha[t]^2 what the papers call alpha_bar. Timesteps are integers in
[0, T); -1 stands for the clean end of a sampling chain (`solvers`).

Shapes: B samples, any trailing axes; t is a scalar or [B].
Sources: DDPM 2006.11239; v 2202.00512; zero terminal SNR 2305.08891.
"""

import json
import pathlib
from typing import Any, NamedTuple

from flax import struct
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Num
import numpy as np

from maskjax.diffusion import scheduler_config
from maskjax.weights import json_files

PREDICTION_TYPES = scheduler_config.PREDICTION_TYPES

# Stands for alpha = 0 where it would be divided by: with a zero terminal SNR
# noise says nothing about x_0 at the last timestep. 2^-24 as alpha_bar.
_ZERO_ALPHA = 2.0**-12


@struct.dataclass(kw_only=True)
class NoiseSchedule:
  """Tables of the forward process and how a sampler walks along it.

  Attributes:
    alpha: f32 [T], factor of the clean sample, falling from about 1.
    sigma: f32 [T], factor of the noise, in (0, 1].
    log_alpha: f32 [T], logarithm of alpha, kept apart for accuracy.
    num_train_timesteps: T.
    prediction_type: what the network predicts.
    timestep_spacing: how `timesteps` chooses among the T.
    steps_offset: added to the timesteps of 'leading'.
    karras: space noise levels by Karras' formula between the ends of
      `timestep_spacing`, in samplers that follow it (see `spacing`).
    set_alpha_to_one: whether DDIM ends at alpha 1 or at alpha[0].
    clip_range: bound of a predicted clean sample; None for no bound.
    beta_schedule: name of the formula of the noise.
    class_name: diffusers class that the config is of.
  """

  alpha: Float[Array, 't']
  sigma: Float[Array, 't']
  log_alpha: Float[Array, 't']
  num_train_timesteps: int = struct.field(pytree_node=False)
  prediction_type: str = struct.field(pytree_node=False)
  timestep_spacing: str = struct.field(pytree_node=False)
  steps_offset: int = struct.field(pytree_node=False)
  karras: bool = struct.field(pytree_node=False)
  set_alpha_to_one: bool = struct.field(pytree_node=False)
  clip_range: float | None = struct.field(pytree_node=False)
  beta_schedule: str = struct.field(pytree_node=False)
  class_name: str = struct.field(pytree_node=False)


class Level(NamedTuple):
  """alpha, sigma and log alpha at some t, ready to multiply samples."""

  alpha: Float[Array, '...']
  sigma: Float[Array, '...']
  log_alpha: Float[Array, '...']


# Timesteps in [-1, T), one for all samples or one for each.
Timesteps = Int[Array, '*b'] | int


def from_config(config: dict[str, Any]) -> NoiseSchedule:
  """Build a schedule from the fields of diffusers' scheduler_config.json.

  Args:
    config: the fields; missing ones get the defaults of the diffusers class
      named by `_class_name` (DDIMScheduler if there is none). Names that
      start with an underscore are skipped.

  Returns:
    The schedule; its tables are rounded as PyTorch's are.

  Raises:
    ValueError: a field is unknown, or has a value that is not supported.
  """
  fields = scheduler_config.complete(config)
  alpha_bar = scheduler_config.alpha_bar(fields)
  clipped = fields['clip_sample']
  # With alpha_bar 0 its logarithm is that of the number that stands for it.
  wide = np.where(alpha_bar > 0, alpha_bar, _ZERO_ALPHA**2).astype(np.float64)
  return NoiseSchedule(
    alpha=jnp.sqrt(alpha_bar),
    sigma=jnp.sqrt(1 - alpha_bar),
    log_alpha=jnp.asarray(0.5 * np.log(wide), jnp.float32),
    num_train_timesteps=len(alpha_bar),
    prediction_type=fields['prediction_type'],
    timestep_spacing=fields['timestep_spacing'],
    steps_offset=fields['steps_offset'],
    karras=bool(fields['use_karras_sigmas']),
    set_alpha_to_one=bool(fields['set_alpha_to_one']),
    clip_range=float(fields['clip_sample_range']) if clipped else None,
    beta_schedule=fields['beta_schedule'],
    class_name=scheduler_config.class_name(config),
  )


def load(folder: str | pathlib.Path) -> NoiseSchedule:
  """Read `scheduler_config.json` of a checkpoint's scheduler folder.

  Args:
    folder: that holds the file.

  Returns:
    The schedule; its tables are rounded as PyTorch's are.

  Raises:
    ValueError: no such file, not JSON, or a field that is not supported.
  """
  path = pathlib.Path(folder) / 'scheduler_config.json'
  try:
    return from_config(json_files.read(path))
  except FileNotFoundError as error:
    raise ValueError(f'{path}: no such file') from error
  except (AttributeError, TypeError, ValueError) as error:
    raise ValueError(f'{path}: {error}') from error


def save(folder: str | pathlib.Path, config: dict[str, Any]) -> None:
  """Check a config and write it as scheduler_config.json.

  Args:
    folder: made where it is missing.
    config: fields of diffusers' scheduler_config.json.

  Raises:
    ValueError: as `from_config`.
  """
  from_config(config)
  folder = pathlib.Path(folder)
  folder.mkdir(parents=True, exist_ok=True)
  text = json.dumps({'_class_name': 'DDIMScheduler', **config}, indent=2)
  path = folder / 'scheduler_config.json'
  path.write_text(text + '\n', encoding='utf-8')


def like(value: Array, x: Array) -> Array:
  """Give a value for each sample trailing axes of 1.

  Args:
    value: a scalar, or [B].
    x: samples that it shall multiply.

  Returns:
    The scalar as it is, or [B, 1, ...].
  """
  if value.ndim == 0:
    return value
  return value.reshape(value.shape + (1,) * (x.ndim - value.ndim))


def level_of_ratio(ratio: Float[Array, '*n']) -> Level:
  """Return the noise level at which sigma / alpha has a value.

  Args:
    ratio: sigma / alpha, 0 (clean) or more.

  Returns:
    alpha, sigma and log alpha, in the shape of `ratio`.
  """
  log_alpha = -0.5 * jnp.log1p(ratio * ratio)
  alpha = jax.lax.rsqrt(1 + ratio * ratio)
  return Level(alpha, ratio * alpha, log_alpha)


def level(
  schedule: NoiseSchedule,
  t: Timesteps | Level,
  x: Num[Array, '...'],
  *,
  clean: bool = True,
) -> Level:
  """Look up the noise level at timesteps t, shaped to multiply x.

  Args:
    schedule: the noise schedule.
    t: timesteps in [-1, T), a scalar or [B]; or their level, known already.
    x: samples that the level shall multiply.
    clean: whether t = -1 is free of noise, or repeats t = 0.

  Returns:
    alpha, sigma, log alpha; scalars, or [B, 1, ...].
  """
  if isinstance(t, Level):
    return Level(*(like(value, x) for value in t))
  t = jnp.asarray(t)
  index = jnp.maximum(t, 0)
  at_end = (t < 0) & clean
  return Level(
    like(jnp.where(at_end, 1.0, schedule.alpha[index]), x),
    like(jnp.where(at_end, 0.0, schedule.sigma[index]), x),
    like(jnp.where(at_end, 0.0, schedule.log_alpha[index]), x),
  )


def divisor(at: Level) -> Float[Array, '...']:
  """Return alpha, or where it is 0 the small number that stands for it."""
  return jnp.where(at.alpha > 0, at.alpha, _ZERO_ALPHA)


def snr(schedule: NoiseSchedule, t: Timesteps) -> Float[Array, '*b']:
  """Return the signal-to-noise ratio alpha^2 / sigma^2.

  Args:
    schedule: the noise schedule.
    t: timesteps in [0, T), a scalar or [B].

  Returns:
    The ratios, in the shape of `t`.
  """
  return (schedule.alpha[t] / schedule.sigma[t]) ** 2


def add_noise(
  schedule: NoiseSchedule,
  x0: Float[Array, 'b ...'],
  eps: Float[Array, 'b ...'],
  t: Timesteps,
) -> Float[Array, 'b ...']:
  """Return x_t = alpha[t] x0 + sigma[t] eps (2006.11239, eq. 4).

  Args:
    schedule: the noise schedule.
    x0: clean samples.
    eps: standard normal noise.
    t: timesteps in [0, T), one for all samples or one for each.
  """
  at = level(schedule, t, x0)
  return at.alpha * x0 + at.sigma * eps


def to_x0(
  schedule: NoiseSchedule,
  output: Float[Array, 'b ...'],
  x_t: Float[Array, 'b ...'],
  t: Timesteps | Level,
  *,
  prediction_type: str | None = None,
) -> Float[Array, 'b ...']:
  """Return the clean sample that a network's output stands for.

  Args:
    schedule: the noise schedule.
    output: what the network returned for x_t.
    x_t: the noised sample.
    t: timesteps in [-1, T), or their level.
    prediction_type: what the output is, one of `PREDICTION_TYPES`; None for
      the schedule's.

  Returns:
    x_0, not clipped. Source: 2202.00512, section 4 and appendix D.
  """
  kind = scheduler_config.choice(
    'prediction_type',
    prediction_type or schedule.prediction_type,
    PREDICTION_TYPES,
  )
  at = level(schedule, t, x_t)
  if kind == 'sample':
    return output
  if kind == 'v_prediction':
    return at.alpha * x_t - at.sigma * output
  return (x_t - at.sigma * output) / divisor(at)


def to_epsilon(
  schedule: NoiseSchedule,
  output: Float[Array, 'b ...'],
  x_t: Float[Array, 'b ...'],
  t: Timesteps | Level,
  *,
  prediction_type: str | None = None,
) -> Float[Array, 'b ...']:
  """Return the noise that a network's output stands for.

  Args:
    schedule: the noise schedule.
    output: what the network returned for x_t.
    x_t: the noised sample.
    t: timesteps in [-1, T), or their level.
    prediction_type: what the output is, one of `PREDICTION_TYPES`; None for
      the schedule's.
  """
  kind = scheduler_config.choice(
    'prediction_type',
    prediction_type or schedule.prediction_type,
    PREDICTION_TYPES,
  )
  at = level(schedule, t, x_t)
  if kind == 'epsilon':
    return output
  if kind == 'v_prediction':
    return at.alpha * output + at.sigma * x_t
  return (x_t - at.alpha * output) / at.sigma


def to_v(
  schedule: NoiseSchedule,
  x0: Float[Array, 'b ...'],
  eps: Float[Array, 'b ...'],
  t: Timesteps,
) -> Float[Array, 'b ...']:
  """Return v = alpha[t] eps - sigma[t] x0 (2202.00512, appendix D).

  Args:
    schedule: the noise schedule.
    x0: clean samples.
    eps: their noise.
    t: timesteps in [0, T), one for all samples or one for each.
  """
  at = level(schedule, t, x0)
  return at.alpha * eps - at.sigma * x0


def target(
  schedule: NoiseSchedule,
  x0: Float[Array, 'b ...'],
  eps: Float[Array, 'b ...'],
  t: Timesteps,
) -> Float[Array, 'b ...']:
  """Return what a network is trained to return, by the prediction type.

  Args:
    schedule: the noise schedule; its prediction type decides.
    x0: clean samples.
    eps: their noise.
    t: timesteps in [0, T), one for all samples or one for each.
  """
  if schedule.prediction_type == 'epsilon':
    return eps
  if schedule.prediction_type == 'sample':
    return x0
  return to_v(schedule, x0, eps, t)
