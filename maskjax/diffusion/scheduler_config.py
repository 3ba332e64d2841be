"""Fields of diffusers' scheduler_config.json, and the noise they stand for.

A file is read by the defaults of the class that it names. What a class says of
its own way of sampling does not matter where another sampler is used, and is
respected or refused where the same one is. Tables are rounded to float32 where
PyTorch rounds them: near the clean end 1 - alpha_bar has lost three digits by
then, and models were trained and are sampled with what is left.

Shapes: T training timesteps.
"""

import math
from typing import Any

from jaxtyping import Float
import numpy as np

from maskjax.training import settings

PREDICTION_TYPES = ('epsilon', 'v_prediction', 'sample')
SPACINGS = ('leading', 'trailing', 'linspace')
BETA_SCHEDULES = ('linear', 'scaled_linear', 'squaredcos_cap_v2')

_DEFAULTS = {
  'num_train_timesteps': 1000,
  'beta_start': 0.0001,
  'beta_end': 0.02,
  'beta_schedule': 'linear',
  'trained_betas': None,
  'prediction_type': 'epsilon',
  'timestep_spacing': 'leading',
  'steps_offset': 0,
  'set_alpha_to_one': True,
  'clip_sample': False,
  'clip_sample_range': 1.0,
  'rescale_betas_zero_snr': False,
  'use_karras_sigmas': False,
}
# Types, the least and the most of fields that are numbers.
_LIMITS: dict[str, tuple[tuple[type, ...], float, float]] = {
  'num_train_timesteps': ((int,), 1, 100_000),
  'steps_offset': ((int,), 0, 100_000),
  'clip_sample_range': ((int, float), 0, 1e6),
}
_LINSPACE = {'timestep_spacing': 'linspace'}
_NARROW = {**_LINSPACE, 'beta_start': 0.00085, 'beta_end': 0.012}
# What other classes have in place of these.
_CLASSES: dict[str, dict[str, Any]] = {
  'DDIMScheduler': {'clip_sample': True},
  'DDIMParallelScheduler': {'clip_sample': True},
  'DDPMScheduler': {'clip_sample': True},
  'DDPMParallelScheduler': {'clip_sample': True},
  'PNDMScheduler': {'set_alpha_to_one': False},
  'EulerDiscreteScheduler': _LINSPACE,
  'EulerAncestralDiscreteScheduler': _LINSPACE,
  'DPMSolverMultistepScheduler': _LINSPACE,
  'DPMSolverSinglestepScheduler': _LINSPACE,
  'DPMSolverSDEScheduler': _NARROW,
  'UniPCMultistepScheduler': _LINSPACE,
  'DEISMultistepScheduler': _LINSPACE,
  'SASolverScheduler': _LINSPACE,
  'LMSDiscreteScheduler': _LINSPACE,
  'HeunDiscreteScheduler': _NARROW,
  'KDPM2DiscreteScheduler': _NARROW,
  'KDPM2AncestralDiscreteScheduler': _NARROW,
}

# Further fields, and the values that change nothing here.
_NEUTRAL: dict[str, tuple[Any, ...]] = {
  'final_sigmas_type': ('zero',),
  'interpolation_type': ('linear',),
  'lambda_min_clipped': (-math.inf,),
  'rescale_sigmas': (False, None),
  'shift_terminal': (None,),
  'sigma_max': (None,),
  'sigma_min': (None,),
  'thresholding': (False,),
  'timestep_type': ('discrete',),
  'use_beta_sigmas': (False, None),
  'use_dynamic_shifting': (False,),
  'use_exponential_sigmas': (False, None),
  'use_flow_sigmas': (False,),
  'use_lu_lambdas': (False,),
}
# Of the samplers that are offered, by class.
_SAMPLER: dict[str, dict[str, tuple[Any, ...]]] = {
  'DDPMScheduler': {'variance_type': ('fixed_small',)},
  'DPMSolverMultistepScheduler': {
    'algorithm_type': ('dpmsolver++',),
    'solver_order': (2,),
    'solver_type': ('midpoint',),
    'variance_type': (None,),
  },
}
# Of samplers that are not offered, or fields that act only together with one
# that is switched off above.
IDLE = frozenset(
  {
    'algorithm_type',
    'corrector_order',
    'disable_corrector',
    'dynamic_thresholding_ratio',
    'euler_at_final',
    'flow_shift',
    'lower_order_final',
    'noise_sampler_seed',
    'predict_x0',
    'predictor_order',
    'sample_max_value',
    'skip_prk_steps',
    'solver_order',
    'solver_p',
    'solver_type',
    'tau_func',
    'time_shift_type',
    'variance_type',
  }
)


def _check_betas(betas: Any) -> None:
  """Raise ValueError unless betas are numbers, or none are given."""
  numbers = isinstance(betas, list | tuple | np.ndarray) and all(
    isinstance(beta, int | float | np.number) for beta in betas
  )
  if betas is not None and not numbers:
    raise ValueError(f'trained_betas {settings.shown(betas)}: expected numbers')


def choice(name: str, value: Any, choices: tuple[str, ...]) -> Any:
  """Return the value if it is one of the choices.

  Args:
    name: of the field, for the error.
    value: what the field says.
    choices: what it may say.

  Raises:
    ValueError: it is not.
  """
  if not isinstance(value, str) or value not in choices:
    raise ValueError(
      f'{name} {settings.shown(value)} is not one of {", ".join(choices)}'
    )
  return value


def class_name(config: dict[str, Any]) -> str:
  """Return the diffusers class that a config is of.

  Raises:
    ValueError: its noise is none of diffusion by steps, as here.
  """
  name = str(config.get('_class_name') or 'DDIMScheduler')
  name = name.removeprefix('Flax')
  if name not in _CLASSES:
    raise ValueError(
      f'the scheduler class {name} is not supported, only '
      f'{", ".join(_CLASSES)} are'
    )
  return name


def complete(config: dict[str, Any]) -> dict[str, Any]:
  """Check a config's fields and fill in its class's defaults.

  Args:
    config: content of scheduler_config.json; names that start with an
      underscore are skipped, and unknown ones that are switched off.

  Returns:
    The fields that this package reads, all of them.

  Raises:
    ValueError: a field is unknown, or has a value that is not supported.
  """
  kind = class_name(config)
  fields = {**_DEFAULTS, **_CLASSES[kind]}
  neutral = {**_NEUTRAL, **_SAMPLER.get(kind, {})}
  for name, value in config.items():
    if name in fields:
      fields[name] = value
    elif name in neutral:
      if value not in neutral[name]:
        raise ValueError(
          f'scheduler field {name}={settings.shown(value)} is not supported, '
          'only '
          f'{neutral[name][0]!r} is'
        )
    elif name not in IDLE and name[:1] != '_' and value not in (None, False):
      raise ValueError(
        f'unknown scheduler field {name}={settings.shown(value)}; known: '
        f'{", ".join(fields)}'
      )
  for name, (kinds, low, high) in _LIMITS.items():
    value = fields[name]
    if type(value) not in kinds or not low <= value <= high:
      raise ValueError(
        f'{name} {settings.shown(value)}: expected {low:g} to {high:g}'
      )
  _check_betas(fields['trained_betas'])
  for name, choices in (
    ('prediction_type', PREDICTION_TYPES),
    ('timestep_spacing', SPACINGS),
  ):
    choice(name, fields[name], choices)
  return fields


def _cosine_betas(count: int) -> Float[np.ndarray, 't']:
  """Nichol and Dhariwal's cosine schedule, 2102.09672, eq. 17."""
  t = np.arange(count + 1) / count
  bar = np.cos((t + 0.008) / 1.008 * np.pi / 2) ** 2
  return np.minimum(1 - bar[1:] / bar[:-1], 0.999)


def _betas(fields: dict[str, Any]) -> Float[np.ndarray, 't']:
  """Return float32 betas."""
  count = fields['num_train_timesteps']
  if fields['trained_betas'] is not None:
    betas = np.asarray(fields['trained_betas'], np.float32)
    if betas.shape != (count,):
      raise ValueError(
        f'trained_betas has {betas.size} values, expected {count}'
      )
  else:
    kind = choice('beta_schedule', fields['beta_schedule'], BETA_SCHEDULES)
    start, end = fields['beta_start'], fields['beta_end']
    numbers = all(type(beta) in (int, float) for beta in (start, end))
    if not numbers or not 0 < start <= end <= 1:
      start, end = settings.shown(start), settings.shown(end)
      raise ValueError(
        f'beta_start={start}, beta_end={end}: betas must rise in (0, 1]'
      )
    if kind == 'linear':
      betas = np.linspace(start, end, count).astype(np.float32)
    elif kind == 'scaled_linear':
      betas = np.linspace(start**0.5, end**0.5, count).astype(np.float32) ** 2
    else:
      betas = _cosine_betas(count).astype(np.float32)
  if not np.all((betas > 0) & (betas <= 1)):
    raise ValueError('betas must lie in (0, 1]; mend trained_betas')
  return betas


def _product(alphas: Float[np.ndarray, 't']) -> Float[np.ndarray, 't']:
  """Multiply up float32 factors; every product is rounded, none twice."""
  return np.cumprod(alphas.astype(np.float64)).astype(np.float32)


def _rescaled(betas: Float[np.ndarray, 't']) -> Float[np.ndarray, 't']:
  """Move the last signal to 0 and keep the first (2305.08891, algorithm 1)."""
  roots = np.sqrt(_product(1 - betas))
  first, last = roots[0], roots[-1]
  roots = (roots - last) * (first / (first - last))
  bar = roots**2
  return 1 - np.concatenate([bar[:1], bar[1:] / bar[:-1]])


def alpha_bar(fields: dict[str, Any]) -> Float[np.ndarray, 't']:
  """Return float32 alpha_bar of the fields that `complete` returned.

  Raises:
    ValueError: betas that are out of range, or not T of them.
  """
  betas = _betas(fields)
  if fields['rescale_betas_zero_snr']:
    betas = _rescaled(betas)
  return _product(1 - betas)
