"""Noise schedules of diffusion models: tables, noising, conversions.

A `NoiseSchedule` is read from diffusers' scheduler_config.json. Everything
else is a pure function of it. The forward process is

  x_t = alpha[t] x_0 + sigma[t] eps,   alpha[t]^2 + sigma[t]^2 = 1,

with alpha[t]^2 what the papers call alpha_bar. Timesteps are integers in
[0, T); -1 stands for the clean end of a sampling chain (`solvers`). A sampler
may also stop at fractions of a timestep: between two, log(sigma / alpha) is
linear.

Shapes: B samples, any trailing axes; t is a scalar or [B].
Sources: DDPM 2006.11239; v 2202.00512; zero terminal SNR and spacings
2305.08891; Karras' spacing 2206.00364.
"""

import json
import math
import pathlib
from typing import Any, NamedTuple

from flax import struct
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Num
import numpy as np

PREDICTION_TYPES = ('epsilon', 'v_prediction', 'sample')
SPACINGS = ('leading', 'trailing', 'linspace')
BETA_SCHEDULES = ('linear', 'scaled_linear', 'squaredcos_cap_v2')

# Stands for alpha = 0 where it would be divided by: with a zero terminal SNR
# noise says nothing about x_0 at the last timestep. 2^-24 as alpha_bar.
_ZERO_ALPHA = 2.0**-12

# Exponent of Karras' spacing: 2206.00364, table 1.
_RHO = 7.0

_CLIPPING_CLASSES = ('DDIMScheduler', 'DDPMScheduler')
_LINSPACE_CLASSES = (
  'EulerDiscreteScheduler',
  'EulerAncestralDiscreteScheduler',
  'DPMSolverMultistepScheduler',
)

# Fields of other schedulers' files, and the values that change nothing here.
_NEUTRAL = {
  'algorithm_type': ('dpmsolver++',),
  'euler_at_final': (False,),
  'final_sigmas_type': ('zero',),
  'interpolation_type': ('linear',),
  'lambda_min_clipped': (-math.inf,),
  'lower_order_final': (True,),
  'rescale_sigmas': (False, None),
  'sigma_max': (None,),
  'sigma_min': (None,),
  'solver_order': (2,),
  'solver_type': ('midpoint',),
  'thresholding': (False,),
  'timestep_type': ('discrete',),
  'use_beta_sigmas': (False, None),
  'use_dynamic_shifting': (False,),
  'use_exponential_sigmas': (False, None),
  'use_flow_sigmas': (False,),
  'use_lu_lambdas': (False,),
  'variance_type': ('fixed_small', None),
}
# Fields that act only together with one that `_NEUTRAL` switches off, or
# only in a sampler that is not offered (PNDM's warm-up).
_IDLE = frozenset(
  {
    'dynamic_thresholding_ratio',
    'flow_shift',
    'sample_max_value',
    'skip_prk_steps',
    'time_shift_type',
  }
)


@struct.dataclass
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
      `timestep_spacing`.
    set_alpha_to_one: whether DDIM ends at alpha 1 or at alpha[0].
    clip_range: bound of a predicted clean sample; None for no bound.
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


class Level(NamedTuple):
  """alpha, sigma and log alpha at some t, ready to multiply samples."""

  alpha: Float[Array, '...']
  sigma: Float[Array, '...']
  log_alpha: Float[Array, '...']


def _choice(name: str, value: Any, choices: tuple[str, ...]) -> Any:
  """Return the value if it is one of the choices."""
  if value not in choices:
    raise ValueError(f'{name} {value!r} is not one of {", ".join(choices)}')
  return value


def _cosine_betas(count: int) -> np.ndarray:
  """Nichol and Dhariwal's cosine schedule, 2102.09672, eq. 17."""
  t = np.arange(count + 1) / count
  alpha_bar = np.cos((t + 0.008) / 1.008 * np.pi / 2) ** 2
  return np.minimum(1 - alpha_bar[1:] / alpha_bar[:-1], 0.999)


def _betas(config: dict[str, Any]) -> np.ndarray:
  """Float64 betas [T] of a config with all its defaults filled in."""
  count = config['num_train_timesteps']
  if config['trained_betas'] is not None:
    betas = np.asarray(config['trained_betas'], np.float64)
    if betas.shape != (count,):
      raise ValueError(
        f'trained_betas has {betas.size} values, expected {count}'
      )
  else:
    kind = _choice('beta_schedule', config['beta_schedule'], BETA_SCHEDULES)
    start, end = config['beta_start'], config['beta_end']
    if kind == 'linear':
      betas = np.linspace(start, end, count)
    elif kind == 'scaled_linear':
      betas = np.linspace(start**0.5, end**0.5, count) ** 2
    else:
      betas = _cosine_betas(count)
  if not np.all((betas > 0) & (betas <= 1)):
    raise ValueError('betas must lie in (0, 1]; mend beta_start, beta_end')
  return betas


def _alpha_table(betas: np.ndarray, *, zero_snr: bool) -> np.ndarray:
  """Float64 alpha [T], its last value moved to 0 if asked.

  Source of the shift: 2305.08891, algorithm 1.
  """
  alpha = np.sqrt(np.cumprod(1 - betas))
  if zero_snr:
    first, last = alpha[0], alpha[-1]
    alpha = (alpha - last) * first / (first - last)
  return alpha


def _complete(config: dict[str, Any]) -> dict[str, Any]:
  """Check a config's fields and fill in its class's defaults."""
  kind = config.get('_class_name', 'DDIMScheduler')
  defaults = {
    'num_train_timesteps': 1000,
    'beta_start': 0.0001,
    'beta_end': 0.02,
    'beta_schedule': 'linear',
    'trained_betas': None,
    'prediction_type': 'epsilon',
    'timestep_spacing': (
      'linspace' if kind in _LINSPACE_CLASSES else 'leading'
    ),
    'steps_offset': 0,
    'set_alpha_to_one': kind != 'PNDMScheduler',
    'clip_sample': kind in _CLIPPING_CLASSES,
    'clip_sample_range': 1.0,
    'rescale_betas_zero_snr': False,
    'use_karras_sigmas': False,
  }
  given = {k: v for k, v in config.items() if not k.startswith('_')}
  for name, value in given.items():
    if name in _NEUTRAL:
      if value not in _NEUTRAL[name]:
        raise ValueError(
          f'scheduler field {name}={value!r} is not supported, only '
          f'{_NEUTRAL[name][0]!r}'
        )
    elif name not in defaults and name not in _IDLE:
      raise ValueError(
        f'unknown scheduler field {name!r}; known: {", ".join(defaults)}'
      )
  return {name: given.get(name, value) for name, value in defaults.items()}


def from_config(config: dict[str, Any]) -> NoiseSchedule:
  """Build a schedule from the fields of diffusers' scheduler_config.json.

  Args:
    config: the fields; missing ones get the defaults of the diffusers class
      named by `_class_name` (DDIMScheduler if there is none). Names that
      start with an underscore are skipped.

  Returns:
    The schedule; its tables are computed in float64 and kept in float32.

  Raises:
    ValueError: a field is unknown, or has a value that is not supported.
  """
  fields = _complete(config)
  count = fields['num_train_timesteps']
  if not isinstance(count, int) or count < 1:
    raise ValueError(f'num_train_timesteps {count!r}: expected 1 or more')
  alpha = _alpha_table(
    _betas(fields), zero_snr=fields['rescale_betas_zero_snr']
  )
  return NoiseSchedule(
    alpha=jnp.asarray(alpha, jnp.float32),
    sigma=jnp.asarray(np.sqrt(1 - alpha**2), jnp.float32),
    log_alpha=jnp.asarray(
      np.log(np.where(alpha > 0, alpha, _ZERO_ALPHA)), jnp.float32
    ),
    num_train_timesteps=count,
    prediction_type=_choice(
      'prediction_type', fields['prediction_type'], PREDICTION_TYPES
    ),
    timestep_spacing=_choice(
      'timestep_spacing', fields['timestep_spacing'], SPACINGS
    ),
    steps_offset=fields['steps_offset'],
    karras=bool(fields['use_karras_sigmas']),
    set_alpha_to_one=fields['set_alpha_to_one'],
    clip_range=(
      float(fields['clip_sample_range']) if fields['clip_sample'] else None
    ),
  )


def load(folder: str | pathlib.Path) -> NoiseSchedule:
  """Read `scheduler_config.json` of a checkpoint's scheduler folder.

  Raises:
    ValueError: no such file, not JSON, or a field that is not supported.
  """
  path = pathlib.Path(folder) / 'scheduler_config.json'
  try:
    config = json.loads(path.read_text(encoding='utf-8'))
    return from_config(config)
  except FileNotFoundError as error:
    raise ValueError(f'{path}: no such file') from error
  except (AttributeError, TypeError, ValueError) as error:
    raise ValueError(f'{path}: {error}') from error


def save(folder: str | pathlib.Path, config: dict[str, Any]) -> None:
  """Check a config and write it as scheduler_config.json.

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
  """Give a per-sample [B] value trailing axes 1 to fit x; scalars stay."""
  if value.ndim == 0:
    return value
  return value.reshape(value.shape + (1,) * (x.ndim - value.ndim))


def _log_ratio(schedule: NoiseSchedule) -> Float[Array, 't']:
  """Return log(sigma / alpha) at every timestep, rising."""
  return jnp.log(schedule.sigma) - schedule.log_alpha


def _level_between(schedule: NoiseSchedule, t: Float[Array, '*b']) -> Level:
  """Look up the noise level at fractions of timesteps, 0 or more."""
  ratio = _log_ratio(schedule)
  low = jnp.clip(jnp.floor(t).astype(jnp.int32), 0, len(ratio) - 2)
  part = t - low
  log_ratio = (1 - part) * ratio[low] + part * ratio[low + 1]
  log_alpha = -0.5 * jnp.logaddexp(0.0, 2 * log_ratio)
  return Level(jnp.exp(log_alpha), jnp.exp(log_ratio + log_alpha), log_alpha)


def level(
  schedule: NoiseSchedule,
  t: Num[Array, '*b'] | int,
  x: Float[Array, 'b ...'],
  *,
  clean: bool = True,
) -> Level:
  """Look up the noise level at timesteps t, shaped to multiply x.

  Args:
    schedule: the noise schedule.
    t: timesteps in [-1, T), a scalar or [B], whole or not.
    x: samples.
    clean: whether t = -1 is free of noise, or repeats t = 0.

  Returns:
    alpha, sigma, log alpha; scalars, or [B, 1, ...].
  """
  t = jnp.asarray(t)
  index = jnp.maximum(t, 0)
  at_end = (t < 0) & clean
  if jnp.issubdtype(t.dtype, jnp.floating):
    found = _level_between(schedule, index)
  else:
    tables = (schedule.alpha, schedule.sigma, schedule.log_alpha)
    found = Level(*(table[index] for table in tables))
  return Level(
    like(jnp.where(at_end, 1.0, found.alpha), x),
    like(jnp.where(at_end, 0.0, found.sigma), x),
    like(jnp.where(at_end, 0.0, found.log_alpha), x),
  )


def divisor(at: Level) -> Float[Array, '...']:
  """Return alpha, or where it is 0 the small number that stands for it."""
  return jnp.where(at.alpha > 0, at.alpha, _ZERO_ALPHA)


def snr(schedule: NoiseSchedule, t: Int[Array, '*b']) -> Float[Array, '*b']:
  """Signal-to-noise ratio alpha^2 / sigma^2 at timesteps t."""
  return (schedule.alpha[t] / schedule.sigma[t]) ** 2


def add_noise(
  schedule: NoiseSchedule,
  x0: Float[Array, 'b ...'],
  eps: Float[Array, 'b ...'],
  t: Int[Array, '*b'],
) -> Float[Array, 'b ...']:
  """Return x_t = alpha[t] x0 + sigma[t] eps (2006.11239, eq. 4)."""
  at = level(schedule, t, x0)
  return at.alpha * x0 + at.sigma * eps


def to_x0(
  schedule: NoiseSchedule,
  output: Float[Array, 'b ...'],
  x_t: Float[Array, 'b ...'],
  t: Int[Array, '*b'],
  *,
  prediction_type: str | None = None,
) -> Float[Array, 'b ...']:
  """Clean sample that a network's output stands for.

  Args:
    schedule: the noise schedule.
    output: what the network returned for x_t.
    x_t: the noised sample.
    t: timesteps.
    prediction_type: of the output; None for the schedule's.

  Returns:
    x_0, not clipped. Source: 2202.00512, section 4 and appendix D.
  """
  kind = _choice(
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
  t: Int[Array, '*b'],
  *,
  prediction_type: str | None = None,
) -> Float[Array, 'b ...']:
  """Noise that a network's output stands for; arguments as `to_x0`."""
  kind = _choice(
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
  t: Int[Array, '*b'],
) -> Float[Array, 'b ...']:
  """Return v = alpha[t] eps - sigma[t] x0 (2202.00512, appendix D)."""
  at = level(schedule, t, x0)
  return at.alpha * eps - at.sigma * x0


def target(
  schedule: NoiseSchedule,
  x0: Float[Array, 'b ...'],
  eps: Float[Array, 'b ...'],
  t: Int[Array, '*b'],
) -> Float[Array, 'b ...']:
  """What the network is trained to return, by the prediction type."""
  if schedule.prediction_type == 'epsilon':
    return eps
  if schedule.prediction_type == 'sample':
    return x0
  return to_v(schedule, x0, eps, t)


def _karras(
  schedule: NoiseSchedule, ends: tuple[float, float], steps: int
) -> Float[Array, 'n']:
  """Space timesteps by Karras' formula (2206.00364, eq. 5).

  Args:
    schedule: the noise schedule.
    ends: first and last timestep, the noisier one first.
    steps: how many.
  """
  table = _log_ratio(schedule)
  high, low = jnp.exp(table[jnp.array(ends)] / _RHO)
  roots = high + jnp.linspace(0.0, 1.0, steps) * (low - high)
  places = jnp.arange(len(table), dtype=jnp.float32)
  return jnp.interp(_RHO * jnp.log(roots), table, places)


def timesteps(
  schedule: NoiseSchedule,
  steps: int,
  *,
  endpoint: bool = True,
  whole: bool = True,
) -> Num[np.ndarray, 'n'] | Float[Array, 'n']:
  """Choose the timesteps of a sampler, noisiest first.

  Args:
    schedule: the noise schedule; its timestep_spacing and karras decide.
    steps: how many, 1..T.
    endpoint: False leaves room for the step to the clean end, as
      DPM-Solver does, for 'leading' and 'linspace'; with Karras' spacing it
      goes through all noise levels instead of those between the ends.
    whole: False does not round those of 'linspace', as Euler.

  Returns:
    [steps], strictly falling: int32, or float32 where they are not whole.
    Source: 2305.08891, table 2.

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
  if schedule.karras:
    ends = (chosen[0], chosen[-1]) if endpoint else (total - 1, 0)
    return _karras(schedule, (round(ends[0]), round(ends[1])), steps)
  if schedule.timestep_spacing == 'linspace' and not whole:
    return chosen.astype(np.float32)
  return np.round(chosen).astype(np.int32)
