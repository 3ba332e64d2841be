"""Tests of sampler steps; diffusers' PyTorch schedulers are the oracle."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.diffusion import (
  scheduler_config,
  schedulers,
  solvers,
  spacing,
)

BASE = {
  'beta_schedule': 'scaled_linear',
  'beta_start': 0.00085,
  'beta_end': 0.012,
  'steps_offset': 1,
}
STEPS = 10
# Float32 rounding over ten steps, on samples of size 1 to 10.
TOLERANCE = 2e-5
# From inside diffusers, where NumPy 2 copies PyTorch tensors.
pytestmark = pytest.mark.filterwarnings(
  'ignore:__array__ implementation:DeprecationWarning'
)


def _model(x, t, module):
  """Return a made-up network, the same for NumPy and PyTorch."""
  return module.tanh(0.7 * x + float(t) / 500 - 1)


def _start():
  noise = np.random.default_rng(0).normal(size=(2, 4, 4, 3))
  return jnp.asarray(noise, jnp.float32)


def _chain(schedule):
  """Return the whole timesteps of DDIM and DDPM and the next of each."""
  t = spacing.timesteps(schedule, STEPS).tolist()
  return list(zip(t, [*t[1:], -1]))


def _walk(chain):
  """Return what is shown, and the levels before, at and after each step."""
  t, levels = chain

  def at(i):
    return schedulers.Level(*(table[i] for table in levels))

  return [(t[i], at(i - 1), at(i), at(i + 1)) for i in range(len(t))]


@pytest.mark.parametrize(
  'kind, leads, eta, to_one, clip, zero_snr',
  [
    ('epsilon', 'leading', 0.0, False, False, False),
    ('epsilon', 'trailing', 0.5, True, True, False),
    ('sample', 'leading', 1.0, False, True, False),
    ('sample', 'trailing', 0.0, True, False, True),
    ('v_prediction', 'leading', 1.0, False, True, False),
    ('v_prediction', 'trailing', 0.0, True, True, False),
    ('v_prediction', 'trailing', 0.3, True, False, True),
  ],
)
def test_ddim_equals_diffusers(kind, leads, eta, to_one, clip, zero_snr):
  diffusers = pytest.importorskip('diffusers')
  torch = pytest.importorskip('torch')
  config = {
    **BASE,
    'prediction_type': kind,
    'timestep_spacing': leads,
    'set_alpha_to_one': to_one,
    'clip_sample': clip,
    'rescale_betas_zero_snr': zero_snr,
  }
  theirs = diffusers.DDIMScheduler(**config)
  theirs.set_timesteps(STEPS)
  schedule = schedulers.from_config(config)
  x, y = _start(), torch.tensor(np.array(_start()))
  generator = np.random.default_rng(1)
  for t, t_prev in _chain(schedule):
    noise = generator.normal(size=x.shape).astype(np.float32)
    y = theirs.step(
      _model(y, t, torch), t, y, eta=eta, variance_noise=torch.tensor(noise),
      use_clipped_model_output=clip,
    ).prev_sample  # fmt: skip
    x = solvers.ddim_step(
      schedule, x, _model(x, t, jnp), t, t_prev, eta=eta,
      noise=jnp.asarray(noise), use_clipped_output=clip,
    )  # fmt: skip
  np.testing.assert_allclose(x, y.numpy(), atol=TOLERANCE)


@pytest.mark.parametrize(
  'kind, leads',
  list(zip(schedulers.PREDICTION_TYPES, scheduler_config.SPACINGS)),
)
def test_ddpm_equals_diffusers(kind, leads):
  diffusers = pytest.importorskip('diffusers')
  torch = pytest.importorskip('torch')
  config = {**BASE, 'prediction_type': kind, 'timestep_spacing': leads}
  theirs = diffusers.DDPMScheduler(**config)
  theirs.set_timesteps(STEPS)
  schedule = schedulers.from_config({'_class_name': 'DDPMScheduler', **config})
  x, y = _start(), torch.tensor(np.array(_start()))
  for t, t_prev in _chain(schedule):
    noise = torch.randn(x.shape, generator=torch.manual_seed(t))
    y = theirs.step(
      _model(y, t, torch), t, y, generator=torch.manual_seed(t)
    ).prev_sample
    x = solvers.ddpm_step(
      schedule,
      x,
      _model(x, t, jnp),
      t,
      t_prev,
      noise=jnp.asarray(noise.numpy()),
    )
  np.testing.assert_allclose(x, y.numpy(), atol=TOLERANCE)


@pytest.mark.parametrize(
  'kind, leads, fields',
  [
    ('epsilon', 'leading', {}),
    ('v_prediction', 'trailing', {}),
    ('sample', 'linspace', {}),
    ('epsilon', 'leading', {'use_karras_sigmas': True}),
    ('v_prediction', 'trailing', {'rescale_betas_zero_snr': True}),
  ],
)
def test_euler_equals_diffusers(kind, leads, fields):
  diffusers = pytest.importorskip('diffusers')
  torch = pytest.importorskip('torch')
  config = {
    **BASE,
    'prediction_type': kind,
    'timestep_spacing': leads,
    **fields,
  }
  theirs = diffusers.EulerDiscreteScheduler(**config)
  theirs.set_timesteps(STEPS)
  schedule = schedulers.from_config(
    {'_class_name': 'EulerDiscreteScheduler', **config}
  )
  chain = _walk(spacing.ratio_chain(schedule, STEPS, whole=False))
  x = _start()
  # diffusers' samples are x_t / alpha.
  y = torch.tensor(np.array(_start())) / float(chain[0][2].alpha)
  for (t, _, now, after), their_t in zip(chain, theirs.timesteps):
    scaled = theirs.scale_model_input(y, their_t)
    y = theirs.step(_model(scaled, t, torch), their_t, y).prev_sample
    x = solvers.euler_step(schedule, x, _model(x, t, jnp), now, after)
  # With a zero terminal SNR diffusers' samples begin at a size of 4096.
  large = fields.get('rescale_betas_zero_snr')
  np.testing.assert_allclose(x, y.numpy(), atol=1e-4 if large else TOLERANCE)


def _follow_dpmpp(theirs, schedule, x, y, steps):
  """Compare every step of DPM-Solver++."""
  torch = pytest.importorskip('torch')
  x0 = jnp.zeros_like(x)
  chain = _walk(spacing.ratio_chain(schedule, steps, endpoint=False))
  for t, before, now, after in chain:
    t = int(t)
    y = theirs.step(_model(y, t, torch), t, y).prev_sample
    x, x0 = solvers.dpmpp_2m_step(
      schedule, x, _model(x, t, jnp), now, after, x0_last=x0, t_last=before
    )
    np.testing.assert_allclose(x, y.numpy(), atol=TOLERANCE)


@pytest.mark.parametrize(
  'kind, leads, steps, karras',
  [
    ('epsilon', 'leading', STEPS, False),
    ('epsilon', 'linspace', 1, False),
    ('sample', 'linspace', STEPS, False),
    ('v_prediction', 'trailing', STEPS, False),
    ('v_prediction', 'leading', 20, False),
    ('epsilon', 'linspace', STEPS, True),
    ('v_prediction', 'leading', 20, True),
  ],
)
def test_dpmpp_2m_equals_diffusers(kind, leads, steps, karras):
  diffusers = pytest.importorskip('diffusers')
  torch = pytest.importorskip('torch')
  config = {
    **BASE,
    'prediction_type': kind,
    'timestep_spacing': leads,
    'use_karras_sigmas': karras,
  }
  theirs = diffusers.DPMSolverMultistepScheduler(**config)
  theirs.set_timesteps(steps)
  schedule = schedulers.from_config(
    {'_class_name': 'DPMSolverMultistepScheduler', **config}
  )
  x, y = _start(), torch.tensor(np.array(_start()))
  _follow_dpmpp(theirs, schedule, x, y, steps)


def test_dpmpp_2m_with_zero_snr_equals_diffusers():
  diffusers = pytest.importorskip('diffusers')
  torch = pytest.importorskip('torch')
  config = {
    **BASE,
    'prediction_type': 'v_prediction',
    'timestep_spacing': 'trailing',
    'rescale_betas_zero_snr': True,
  }
  theirs = diffusers.DPMSolverMultistepScheduler(**config)
  theirs.set_timesteps(STEPS)
  schedule = schedulers.from_config({**config, 'clip_sample': False})
  x, y = _start(), torch.tensor(np.array(_start()))
  _follow_dpmpp(theirs, schedule, x, y, STEPS)


def test_euler_is_ddim_where_nothing_is_clipped():
  schedule = schedulers.from_config({**BASE, 'clip_sample': False})
  x, output = _start(), _start()[::-1]
  for t, t_prev in _chain(schedule):
    np.testing.assert_allclose(
      solvers.euler_step(schedule, x, output, t, t_prev),
      solvers.ddim_step(schedule, x, output, t, t_prev),
      rtol=1e-4,
      atol=1e-5,
    )


def test_per_sample_timesteps_equal_one_by_one():
  schedule = schedulers.from_config({**BASE, 'clip_sample': False})
  x, output, noise = _start(), _start()[::-1], 0.5 * _start()
  t, t_prev, t_last = [900, 1], [801, -1], [-1, 101]

  def every_step(x, output, noise, t, t_prev, t_last):
    return (
      solvers.ddim_step(schedule, x, output, t, t_prev, eta=0.5, noise=noise),
      solvers.ddpm_step(schedule, x, output, t, t_prev, noise=noise),
      solvers.euler_step(schedule, x, output, t, t_prev),
      *solvers.dpmpp_2m_step(
        schedule, x, output, t, t_prev, x0_last=noise, t_last=t_last
      ),
    )

  chain = [jnp.array(value) for value in (t, t_prev, t_last)]
  together = jax.jit(every_step)(x, output, noise, *chain)
  for i in range(2):
    alone = every_step(
      x[i : i + 1], output[i : i + 1], noise[i : i + 1],
      t[i], t_prev[i], t_last[i],
    )  # fmt: skip
    for a, b in zip(together, alone):
      assert np.isfinite(a).all()
      np.testing.assert_allclose(a[i : i + 1], b, rtol=1e-4, atol=1e-5)


def test_orders_of_accuracy():
  # For data from N(0, 0.5^2) the flow keeps x_t / std(x_t).
  schedule = schedulers.from_config({**BASE, 'clip_sample': False})
  spread = np.sqrt(0.25 * schedule.alpha**2 + schedule.sigma**2)

  def error(method, steps):
    chain = np.linspace(900, 100, steps + 1).astype(int).tolist()
    x, t_last = _start(), -1
    x0 = jnp.zeros_like(x)
    for t, t_prev in itertools.pairwise(chain):
      eps = x * schedule.sigma[t] / spread[t] ** 2
      if method == 'ddim':
        x = solvers.ddim_step(schedule, x, eps, t, t_prev)
      else:
        x, x0 = solvers.dpmpp_2m_step(
          schedule, x, eps, t, t_prev, x0_last=x0, t_last=t_last
        )
      t_last = t
    return np.abs(x - _start() * spread[100] / spread[900]).mean()

  # Half the step divides the error by 2^order, and by more where two terms
  # of the second-order error cancel.
  assert 1.7 < error('ddim', 20) / error('ddim', 40) < 2.3
  assert error('dpmpp_2m', 20) / error('dpmpp_2m', 40) > 3.2


def test_eta_needs_noise():
  schedule = schedulers.from_config(BASE)
  with pytest.raises(ValueError, match='needs noise'):
    solvers.ddim_step(schedule, _start(), _start(), 9, 0, eta=1.0)
