"""Tests of where samplers stop; diffusers' schedulers are the oracle."""

import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.diffusion import schedulers, spacing

SCALED = {
  'beta_schedule': 'scaled_linear',
  'beta_start': 0.00085,
  'beta_end': 0.012,
}
# Float32 rounding of a handful of operations.
ROUNDING = 2e-6
# From inside diffusers, where NumPy 2 copies PyTorch tensors.
pytestmark = pytest.mark.filterwarnings(
  'ignore:__array__ implementation:DeprecationWarning'
)


def _ratio(levels):
  return levels.sigma[:-1] / levels.alpha[:-1]


def _pair(name, config, steps):
  """Return our schedule, and diffusers' sampler with its steps set."""
  diffusers = pytest.importorskip('diffusers')
  pytest.importorskip('torch')
  theirs = getattr(diffusers, name)(**config)
  theirs.set_timesteps(steps)
  return schedulers.from_config({'_class_name': name, **config}), theirs


@pytest.mark.parametrize('spacing_', ['leading', 'trailing', 'linspace'])
@pytest.mark.parametrize('steps', [1, 7, 50, 900])
def test_timesteps_equal_diffusers(spacing_, steps):
  config = {'timestep_spacing': spacing_, 'steps_offset': 1}
  for name, endpoint in (('DDIM', True), ('DPMSolverMultistep', False)):
    ours, theirs = _pair(f'{name}Scheduler', config, steps)
    np.testing.assert_array_equal(
      spacing.timesteps(ours, steps, endpoint=endpoint),
      theirs.timesteps.numpy(),
    )


@pytest.mark.parametrize('steps', [1, 7, 30])
@pytest.mark.parametrize('karras', [False, True])
@pytest.mark.parametrize('zero_snr', [False, True])
def test_levels_of_euler_equal_diffusers(steps, karras, zero_snr):
  config = {
    **SCALED,
    'rescale_betas_zero_snr': zero_snr,
    'use_karras_sigmas': karras,
  }
  ours, theirs = _pair('EulerDiscreteScheduler', config, steps)
  t, levels = spacing.ratio_chain(ours, steps, whole=False)
  np.testing.assert_allclose(t, theirs.timesteps, rtol=0, atol=2e-3)
  np.testing.assert_allclose(_ratio(levels), theirs.sigmas[:-1], rtol=ROUNDING)
  assert tuple(table[-1] for table in levels) == (1, 0, 0)


@pytest.mark.parametrize('kind', ['scaled_linear', 'squaredcos_cap_v2'])
@pytest.mark.parametrize('karras', [False, True])
def test_levels_of_dpm_solver_equal_diffusers(kind, karras):
  config = {'beta_schedule': kind, 'use_karras_sigmas': karras}
  ours, theirs = _pair('DPMSolverMultistepScheduler', config, 12)
  t, levels = spacing.ratio_chain(ours, 12, endpoint=False)
  assert t.dtype == jnp.int32
  # With the cosine, Karras' first is rounded down from 999 or just below.
  first = 1 if karras and kind == 'squaredcos_cap_v2' else 0
  np.testing.assert_array_equal(t[first:], theirs.timesteps[first:])
  np.testing.assert_allclose(_ratio(levels), theirs.sigmas[:-1], rtol=ROUNDING)


def test_ddim_and_ddpm_do_not_follow_karras():
  plain = schedulers.from_config(SCALED)
  asked = schedulers.from_config({**SCALED, 'use_karras_sigmas': True})
  ours, expected = spacing.chain(asked, 7), spacing.chain(plain, 7)
  np.testing.assert_array_equal(ours.t, expected.t)
  np.testing.assert_array_equal(ours.levels.alpha, expected.levels.alpha)
  followed = spacing.ratio_chain(asked, 7)
  assert np.any(followed.t != spacing.ratio_chain(plain, 7).t)


def test_ends_of_a_chain():
  schedule = schedulers.from_config(SCALED)
  clean = spacing.chain(schedule, 5).levels
  assert (clean.alpha[-1], clean.sigma[-1]) == (1, 0)
  noisy = spacing.chain(schedule, 5, clean=False).levels
  assert noisy.alpha[-1] == schedule.alpha[0]
  t, levels = spacing.chain(schedule, 5)
  np.testing.assert_array_equal(levels.sigma[:-1], schedule.sigma[t])


def test_without_a_signal_there_is_a_little():
  schedule = schedulers.from_config(
    {
      **SCALED,
      'rescale_betas_zero_snr': True,
      'timestep_spacing': 'trailing',
      'prediction_type': 'v_prediction',
    }
  )
  assert spacing.chain(schedule, 4).levels.alpha[0] == 0
  levels = spacing.ratio_chain(schedule, 4).levels
  np.testing.assert_allclose(levels.alpha[0], 2.0**-12, rtol=1e-6)


def test_all_timesteps_stay_in_range():
  schedule = schedulers.from_config({**SCALED, 'steps_offset': 1})
  t = spacing.timesteps(schedule, 1000)
  np.testing.assert_array_equal(t, np.arange(1000)[::-1])


@pytest.mark.parametrize(
  'spacing_, endpoint, most',
  [('leading', True, 1000), ('linspace', False, 999)],
)
def test_too_many_steps(spacing_, endpoint, most):
  schedule = schedulers.from_config({'timestep_spacing': spacing_})
  for steps in (0, most + 1):
    with pytest.raises(ValueError, match=rf'expected 1\.\.{most}'):
      spacing.timesteps(schedule, steps, endpoint=endpoint)
