"""Tests of the sampling loop, with a denoiser known in closed form."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.diffusion import sampling, schedulers, solvers, spacing

MEAN, STD = 0.4, 0.8


def _schedule(**fields):
  return schedulers.from_config(
    {
      'beta_schedule': 'scaled_linear',
      'beta_start': 0.00085,
      'beta_end': 0.012,
      'clip_sample': False,
      **fields,
    }
  )


def _level(schedule, t, x):
  """Look up the noise between whole timesteps."""
  table = jnp.log(schedule.sigma) - schedule.log_alpha
  places = jnp.arange(len(table), dtype=jnp.float32)
  ratio = jnp.exp(jnp.interp(t.astype(jnp.float32), places, table))
  return schedulers.level(schedule, schedulers.level_of_ratio(ratio), x)


def _gaussian(schedule):
  """Return the best possible network for data from N(MEAN, STD^2)."""

  def denoise(x_t, t):
    alpha, sigma, _ = _level(schedule, t, x_t)
    gain = alpha * STD**2 / (alpha**2 * STD**2 + sigma**2)
    x0 = MEAN + gain * (x_t - alpha * MEAN)
    eps = (x_t - alpha * x0) / sigma
    if schedule.prediction_type == 'epsilon':
      return eps
    return alpha * eps - sigma * x0

  return denoise


@pytest.mark.parametrize(
  'method, steps, eta, prediction_type',
  [
    ('ddim', 100, 0.0, 'epsilon'),
    ('ddim', 100, 1.0, 'v_prediction'),
    ('ddpm', 100, 0.0, 'epsilon'),
    ('euler', 100, 0.0, 'v_prediction'),
    ('dpmpp_2m', 30, 0.0, 'epsilon'),
  ],
)
def test_samples_have_the_data_s_distribution(
  method, steps, eta, prediction_type
):
  schedule = _schedule(prediction_type=prediction_type)
  draw = jax.jit(
    functools.partial(
      sampling.sample,
      _gaussian(schedule),
      schedule,
      shape=(16, 16, 16, 1),
      steps=steps,
      method=method,
      eta=eta,
    )
  )
  x = draw(jax.random.key(0))
  # 4096 values: the mean is known to 0.0125, the deviation to 0.009; the
  # steps are not infinitely small, and the chain starts from pure noise.
  assert abs(x.mean() - MEAN) < 0.06
  assert abs(x.std() - STD) < 0.04


def test_scan_equals_a_plain_loop():
  schedule = _schedule()
  denoise = _gaussian(schedule)
  noise = jax.random.normal(jax.random.key(1), (2, 4, 4, 3))
  chain = spacing.timesteps(schedule, 5).tolist()
  x = noise
  for t, t_prev in zip(chain, [*chain[1:], -1]):
    x = solvers.ddim_step(schedule, x, denoise(x, jnp.array(t)), t, t_prev)
  found = sampling.sample(denoise, schedule, None, noise=noise, steps=5)
  np.testing.assert_allclose(found, x, atol=1e-5)


def test_the_network_gets_one_timestep_per_sample():
  def denoise(x_t, t):
    assert t.shape == (3,) and jnp.issubdtype(t.dtype, jnp.integer)
    return jnp.zeros_like(x_t)

  x = sampling.sample(
    denoise, _schedule(), jax.random.key(0), shape=(3, 2), steps=4
  )
  assert x.shape == (3, 2)


@pytest.mark.parametrize('method', ['euler', 'dpmpp_2m'])
def test_karras_spacing_gives_the_data_s_distribution(method):
  schedule = _schedule(use_karras_sigmas=True)
  noise = jax.random.normal(jax.random.key(0), (16, 16, 16, 1))
  x = sampling.sample(
    _gaussian(schedule), schedule, None, noise=noise, steps=30, method=method
  )
  assert abs(x.mean() - MEAN) < 0.06
  assert abs(x.std() - STD) < 0.05


def test_what_is_known_stays_and_the_rest_is_painted():
  schedule = _schedule()
  known = sampling.Known(
    clean=jnp.full((1, 32, 32, 1), 3.0),
    mask=jnp.zeros((1, 32, 32, 1)).at[:, :16].set(1.0),
  )
  x = sampling.sample(
    _gaussian(schedule),
    schedule,
    jax.random.key(0),
    shape=(1, 32, 32, 1),
    known=known,
  )
  np.testing.assert_allclose(x[:, 16:], 3.0, rtol=1e-6)
  # 512 values: the mean is known to 0.035.
  assert abs(x[:, :16].mean() - MEAN) < 0.15


def test_the_key_decides():
  schedule = _schedule()
  draw = functools.partial(
    sampling.sample,
    _gaussian(schedule),
    schedule,
    shape=(2, 4),
    steps=4,
    method='ddpm',
  )
  one, same, other = (draw(jax.random.key(seed)) for seed in (0, 0, 1))
  np.testing.assert_array_equal(one, same)
  assert (one != other).all()


def test_bad_arguments():
  schedule = _schedule()
  draw = functools.partial(sampling.sample, _gaussian(schedule), schedule)
  noise = jnp.zeros((1, 2))
  with pytest.raises(ValueError, match="'heun' is not one of"):
    draw(None, noise=noise, method='heun')
  with pytest.raises(ValueError, match='give a key'):
    draw(None, noise=noise, method='ddpm')
  with pytest.raises(ValueError, match='a key and a shape, or noise'):
    draw(None, shape=(1, 2))
  with pytest.raises(ValueError, match='shape says'):
    draw(None, noise=noise, shape=(2, 2))


@pytest.mark.parametrize(
  'name, method, told',
  [
    ('DDIMScheduler', 'ddim', False),
    ('EulerDiscreteScheduler', 'euler', False),
    ('DPMSolverMultistepScheduler', 'dpmpp_2m', False),
    ('PNDMScheduler', 'dpmpp_2m', True),
    ('UniPCMultistepScheduler', 'dpmpp_2m', True),
    ('EulerAncestralDiscreteScheduler', 'ddpm', True),
  ],
)
def test_method_of_a_scheduler_s_class(name, method, told, caplog):
  schedule = schedulers.from_config({'_class_name': name})
  with caplog.at_level('WARNING'):
    assert sampling.method_of(schedule) == method
  assert (name in caplog.text) == told


def test_auto_is_the_sampler_of_the_class():
  schedule = _schedule(_class_name='EulerDiscreteScheduler')
  noise = jax.random.normal(jax.random.key(0), (1, 4, 4, 1))
  draw = functools.partial(
    sampling.sample, _gaussian(schedule), schedule, None, noise=noise, steps=3
  )
  np.testing.assert_array_equal(draw(method='auto'), draw(method='euler'))
  assert np.any(draw(method='auto') != draw(method='dpmpp_2m'))
