"""Tests of noise schedules; diffusers' PyTorch schedulers are the oracle."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.diffusion import schedulers

SD15 = {
  '_class_name': 'PNDMScheduler',
  '_diffusers_version': '0.6.0',
  'beta_end': 0.012,
  'beta_schedule': 'scaled_linear',
  'beta_start': 0.00085,
  'clip_sample': False,
  'num_train_timesteps': 1000,
  'set_alpha_to_one': False,
  'skip_prk_steps': True,
  'steps_offset': 1,
  'trained_betas': None,
}
V = {'prediction_type': 'v_prediction'}
# diffusers accumulates alpha_bar in float32 over 1000 factors.
TABLE_TOLERANCE = 2e-5
# From inside diffusers, where NumPy 2 copies PyTorch tensors.
pytestmark = pytest.mark.filterwarnings(
  'ignore:__array__ implementation:DeprecationWarning'
)


def _numbers(*shape, seed=0):
  return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize('kind', schedulers.BETA_SCHEDULES)
@pytest.mark.parametrize('zero_snr', [False, True])
def test_tables_equal_diffusers(kind, zero_snr):
  diffusers = pytest.importorskip('diffusers')
  pytest.importorskip('torch')
  config = {
    'beta_schedule': kind,
    'beta_start': 0.00085,
    'beta_end': 0.012,
    'rescale_betas_zero_snr': zero_snr,
  }
  theirs = diffusers.DDIMScheduler(**config).alphas_cumprod.numpy()
  ours = schedulers.from_config(config)
  np.testing.assert_allclose(ours.alpha**2, theirs, atol=TABLE_TOLERANCE)
  np.testing.assert_allclose(
    ours.sigma, np.sqrt(1 - theirs), atol=TABLE_TOLERANCE
  )


@pytest.mark.parametrize('spacing', schedulers.SPACINGS)
@pytest.mark.parametrize('steps', [1, 7, 50, 900])
def test_timesteps_equal_diffusers(spacing, steps):
  diffusers = pytest.importorskip('diffusers')
  pytest.importorskip('torch')
  config = {'timestep_spacing': spacing, 'steps_offset': 1}
  ours = schedulers.from_config(config)
  for name, endpoint in (('DDIM', True), ('DPMSolverMultistep', False)):
    theirs = getattr(diffusers, f'{name}Scheduler')(**config)
    theirs.set_timesteps(steps)
    np.testing.assert_array_equal(
      schedulers.timesteps(ours, steps, endpoint=endpoint),
      theirs.timesteps.numpy(),
    )


@pytest.mark.parametrize('steps', [1, 7, 30])
@pytest.mark.parametrize('karras', [False, True])
@pytest.mark.parametrize('zero_snr', [False, True])
def test_levels_of_euler_equal_diffusers(steps, karras, zero_snr):
  diffusers = pytest.importorskip('diffusers')
  pytest.importorskip('torch')
  config = {
    'beta_schedule': 'scaled_linear',
    'rescale_betas_zero_snr': zero_snr,
    'use_karras_sigmas': karras,
  }
  theirs = diffusers.EulerDiscreteScheduler(**config)
  theirs.set_timesteps(steps)
  ours = schedulers.from_config(
    {'_class_name': 'EulerDiscreteScheduler', **config}
  )
  t = schedulers.timesteps(ours, steps, whole=False)
  # diffusers goes between timesteps by sigma, not by its logarithm, and its
  # float32 tables lose digits of the least sigma when they are rescaled.
  atol, rtol = (0.1, 2e-3) if zero_snr else (2e-2, 2e-4)
  np.testing.assert_allclose(t, theirs.timesteps.numpy(), atol=atol)
  found = schedulers.level(ours, jnp.asarray(t), jnp.zeros(steps))
  np.testing.assert_allclose(
    found.sigma / schedulers.divisor(found),
    theirs.sigmas.numpy()[:-1],
    rtol=rtol,
  )


def test_levels_of_dpm_solver_with_karras_equal_diffusers():
  diffusers = pytest.importorskip('diffusers')
  pytest.importorskip('torch')
  config = {'beta_schedule': 'scaled_linear', 'use_karras_sigmas': True}
  theirs = diffusers.DPMSolverMultistepScheduler(**config)
  theirs.set_timesteps(12)
  ours = schedulers.from_config(
    {'_class_name': 'DPMSolverMultistepScheduler', **config}
  )
  t = schedulers.timesteps(ours, 12, endpoint=False)
  np.testing.assert_array_equal(jnp.round(t), theirs.timesteps.numpy())
  found = schedulers.level(ours, t, jnp.zeros(12))
  # 1 - alpha_bar is 1e-4 at the clean end, of which float32 leaves diffusers
  # three to four digits.
  np.testing.assert_allclose(
    found.sigma / found.alpha, theirs.sigmas.numpy()[:-1], rtol=2e-4
  )


def test_fractions_of_a_timestep_lie_between_whole_ones():
  schedule = schedulers.from_config(SD15)
  x = jnp.zeros(1)
  for t in (0, 500, 999):
    whole = schedulers.level(schedule, t, x)
    same = schedulers.level(schedule, jnp.float32(t), x)
    np.testing.assert_allclose(same, whole, rtol=2e-6)
  ends = [schedulers.level(schedule, t, x) for t in (500, 501)]
  between = schedulers.level(schedule, jnp.float32(500.5), x)
  assert ends[0].sigma < between.sigma < ends[1].sigma
  np.testing.assert_allclose(between.alpha**2 + between.sigma**2, 1, rtol=1e-6)
  at_end = schedulers.level(schedule, jnp.float32(-1), x)
  assert (at_end.alpha, at_end.sigma, at_end.log_alpha) == (1, 0, 0)


def test_all_timesteps_stay_in_range():
  schedule = schedulers.from_config(SD15)
  t = schedulers.timesteps(schedule, 1000)
  np.testing.assert_array_equal(t, np.arange(1000)[::-1])


@pytest.mark.parametrize(
  'spacing, endpoint, most',
  [('leading', True, 1000), ('linspace', False, 999)],
)
def test_too_many_steps(spacing, endpoint, most):
  schedule = schedulers.from_config({'timestep_spacing': spacing})
  for steps in (0, most + 1):
    with pytest.raises(ValueError, match=rf'expected 1\.\.{most}'):
      schedulers.timesteps(schedule, steps, endpoint=endpoint)


def test_add_noise_and_velocity_equal_diffusers():
  diffusers = pytest.importorskip('diffusers')
  torch = pytest.importorskip('torch')
  x0, eps = _numbers(3, 4, 4, 2), _numbers(3, 4, 4, 2, seed=1)
  t = np.array([0, 500, 999])
  theirs = diffusers.DDPMScheduler(beta_schedule='scaled_linear')
  ours = schedulers.from_config({'beta_schedule': 'scaled_linear'})
  arguments = torch.tensor(x0), torch.tensor(eps), torch.tensor(t)
  np.testing.assert_allclose(
    schedulers.add_noise(ours, x0, eps, t),
    theirs.add_noise(*arguments),
    atol=TABLE_TOLERANCE,
  )
  np.testing.assert_allclose(
    schedulers.to_v(ours, x0, eps, t),
    theirs.get_velocity(*arguments),
    atol=TABLE_TOLERANCE,
  )


@pytest.mark.parametrize('kind', schedulers.PREDICTION_TYPES)
@pytest.mark.parametrize('zero_snr', [False, True])
def test_conversions_invert_the_forward_process(kind, zero_snr):
  schedule = schedulers.from_config(
    {**SD15, 'prediction_type': kind, 'rescale_betas_zero_snr': zero_snr}
  )
  x0, eps = _numbers(4, 3, 3, 1), _numbers(4, 3, 3, 1, seed=1)
  t = jnp.array([0, 10, 600, 999])
  x_t = schedulers.add_noise(schedule, x0, eps, t)
  output = schedulers.target(schedule, x0, eps, t)
  # Rounding of x_t, 1e-7, over alpha or sigma.
  found_x0 = schedulers.to_x0(schedule, output, x_t, t)
  found_eps = schedulers.to_epsilon(schedule, output, x_t, t)
  if zero_snr and kind == 'epsilon':  # alpha is 0 at t = 999
    found_x0, x0 = found_x0[:3], x0[:3]
    assert np.isfinite(found_x0).all()
  np.testing.assert_allclose(found_x0, x0, atol=2e-5)
  np.testing.assert_allclose(found_eps, eps, atol=2e-5)


def test_scalar_and_per_sample_timesteps_agree():
  schedule = schedulers.from_config(SD15)
  x0, eps = _numbers(2, 5), _numbers(2, 5, seed=1)
  one = schedulers.add_noise(schedule, x0, eps, jnp.array([7, 7]))
  np.testing.assert_array_equal(
    one, schedulers.add_noise(schedule, x0, eps, jnp.array(7))
  )
  jitted = jax.jit(schedulers.add_noise)
  np.testing.assert_allclose(
    jitted(schedule, x0, eps, jnp.array(7)), one, rtol=1e-6
  )


def test_zero_snr_ends_in_pure_noise():
  schedule = schedulers.from_config({'rescale_betas_zero_snr': True, **V})
  assert schedule.alpha[-1] == 0 and schedule.sigma[-1] == 1
  plain = schedulers.from_config(V)
  assert schedule.alpha[0] == plain.alpha[0]
  assert np.isfinite(schedule.log_alpha).all()
  assert schedulers.snr(schedule, jnp.array(999)) == 0


def test_trained_betas_replace_the_formula():
  betas = list(np.linspace(0.1, 0.2, 5))
  schedule = schedulers.from_config(
    {'num_train_timesteps': 5, 'trained_betas': betas}
  )
  np.testing.assert_allclose(
    schedule.alpha**2, np.cumprod(1 - np.array(betas)), rtol=1e-6
  )


def test_defaults_follow_the_class():
  ddim = schedulers.from_config({})
  euler = schedulers.from_config({'_class_name': 'EulerDiscreteScheduler'})
  pndm = schedulers.from_config(SD15)
  assert ddim.clip_range == 1.0 and ddim.timestep_spacing == 'leading'
  assert euler.clip_range is None and euler.timestep_spacing == 'linspace'
  assert pndm.clip_range is None and not pndm.set_alpha_to_one


@pytest.mark.parametrize(
  'name', ['DDIM', 'DDPM', 'EulerDiscrete', 'DPMSolverMultistep', 'PNDM']
)
def test_reads_files_that_diffusers_writes(name, tmp_path):
  diffusers = pytest.importorskip('diffusers')
  pytest.importorskip('torch')
  theirs = getattr(diffusers, f'{name}Scheduler')(**V)
  theirs.save_pretrained(str(tmp_path))
  ours = schedulers.load(tmp_path)
  assert ours.prediction_type == 'v_prediction'
  np.testing.assert_allclose(
    ours.alpha**2, theirs.alphas_cumprod, atol=TABLE_TOLERANCE
  )


def test_saved_config_is_read_again(tmp_path):
  schedulers.save(tmp_path, {'beta_schedule': 'squaredcos_cap_v2', **V})
  found = schedulers.load(tmp_path)
  expected = schedulers.from_config({'beta_schedule': 'squaredcos_cap_v2', **V})
  assert jax.tree.structure(found) == jax.tree.structure(expected)
  np.testing.assert_array_equal(found.alpha, expected.alpha)
  written = json.loads((tmp_path / 'scheduler_config.json').read_text())
  assert written['_class_name'] == 'DDIMScheduler'


@pytest.mark.parametrize(
  'config, message',
  [
    ({'beta_schedul': 'linear'}, "unknown scheduler field 'beta_schedul'"),
    ({'use_lu_lambdas': True}, 'use_lu_lambdas=True is not supported'),
    ({'thresholding': True}, 'thresholding=True'),
    ({'variance_type': 'learned_range'}, 'variance_type'),
    ({'beta_schedule': 'sigmoid'}, "beta_schedule 'sigmoid' is not one of"),
    ({'prediction_type': 'flow_prediction'}, 'prediction_type'),
    ({'timestep_spacing': 'karras'}, 'timestep_spacing'),
    ({'beta_start': -1.0}, r'betas must lie in \(0, 1\]'),
    ({'num_train_timesteps': 0}, 'num_train_timesteps 0'),
    ({'trained_betas': [0.1]}, 'expected 1000'),
  ],
)
def test_unsupported_fields_are_named(config, message):
  with pytest.raises(ValueError, match=message):
    schedulers.from_config(config)


def test_broken_files_are_named(tmp_path):
  with pytest.raises(ValueError, match='no such file'):
    schedulers.load(tmp_path)
  path = tmp_path / 'scheduler_config.json'
  for text in ('{', '[]', '{"beta_start": "x"}'):
    path.write_text(text)
    with pytest.raises(ValueError, match=r'scheduler_config\.json'):
      schedulers.load(tmp_path)
