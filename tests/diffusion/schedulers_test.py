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
  numbers = np.random.default_rng(seed).normal(size=shape)
  return jnp.asarray(numbers, jnp.float32)


def test_add_noise_and_velocity_equal_diffusers():
  diffusers = pytest.importorskip('diffusers')
  torch = pytest.importorskip('torch')
  x0, eps = _numbers(3, 4, 4, 2), _numbers(3, 4, 4, 2, seed=1)
  t = jnp.array([0, 500, 999])
  theirs = diffusers.DDPMScheduler(beta_schedule='scaled_linear')
  ours = schedulers.from_config({'beta_schedule': 'scaled_linear'})
  arguments = [torch.tensor(np.array(x)) for x in (x0, eps, t)]
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
  # A sum of two products of up to 4: near 0 it is as exact as they are.
  np.testing.assert_allclose(
    jitted(schedule, x0, eps, jnp.array(7)), one, rtol=1e-6, atol=1e-6
  )


def test_zero_snr_ends_in_pure_noise():
  schedule = schedulers.from_config({'rescale_betas_zero_snr': True, **V})
  assert schedule.alpha[-1] == 0 and schedule.sigma[-1] == 1
  plain = schedulers.from_config(V)
  assert schedule.alpha[0] == plain.alpha[0]
  assert np.isfinite(schedule.log_alpha).all()
  assert schedulers.snr(schedule, jnp.array(999)) == 0


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


def test_broken_files_are_named(tmp_path):
  with pytest.raises(ValueError, match='no such file'):
    schedulers.load(tmp_path)
  path = tmp_path / 'scheduler_config.json'
  for text in ('{', '[]', '{"beta_start": "x"}'):
    path.write_text(text)
    with pytest.raises(ValueError, match=r'scheduler_config\.json'):
      schedulers.load(tmp_path)
