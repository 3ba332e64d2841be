"""Tests of score distillation against its formulas."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.diffusion import distill, schedulers

T = 1000
MEAN, STD = 0.4, 0.2


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


def _numbers(seed, *shape):
  numbers = np.random.default_rng(seed).normal(size=shape)
  return jnp.asarray(numbers, jnp.float32)


def _predict(x_t, t):
  """Return a made-up network."""
  return jnp.tanh(x_t + t.reshape(-1, 1, 1, 1) / 500 - 1)


def _gaussian(schedule):
  """Return the best possible network for data from N(MEAN, STD^2)."""

  def predict(x_t, t):
    alpha, sigma, _ = schedulers.level(schedule, t, x_t)
    gain = alpha * STD**2 / (alpha**2 * STD**2 + sigma**2)
    x0 = MEAN + gain * (x_t - alpha * MEAN)
    return (x_t - alpha * x0) / sigma

  return predict


Z = jnp.asarray(_numbers(0, 3, 4, 4, 2))
EPS = jnp.asarray(_numbers(1, 3, 4, 4, 2))
STEPS = jnp.array([20, 500, 980], jnp.int32)


def _expected(schedule, residual, weight):
  """Gradient, loss, x0_hat in float64, for an epsilon network."""
  z, eps, steps = np.asarray(Z), np.asarray(EPS), np.asarray(STEPS)
  alpha = np.asarray(schedule.alpha, np.float64)[steps].reshape(3, 1, 1, 1)
  sigma = np.sqrt(1 - alpha**2)
  w = {
    'sigma2': sigma**2,
    'sqrt_alpha': alpha * (1 - alpha**2),
    'uniform': np.ones_like(sigma),
    'min_snr': np.minimum(1, 5 * sigma**2 / alpha**2),
  }[weight]
  x_t = alpha * z + sigma * eps
  eps_hat = np.tanh(x_t + steps.reshape(3, 1, 1, 1) / 500 - 1)
  x0_hat = (x_t - sigma * eps_hat) / alpha
  if residual == 'noise':
    gradient = w * (eps_hat - eps)
    loss = 0.5 * gradient**2
  else:
    gradient = 2 * w * (z - x0_hat)
    loss = w * (z - x0_hat) ** 2
  return gradient, loss.sum((1, 2, 3)), x0_hat


@pytest.mark.parametrize(
  'residual, weight',
  [
    ('noise', 'sigma2'),
    ('noise', 'sqrt_alpha'),
    ('noise', 'min_snr'),
    ('noised_image', 'sigma2'),
    ('noised_image', 'uniform'),
  ],
)
def test_equals_the_formula(residual, weight):
  schedule = _schedule()
  run = functools.partial(
    distill.distill,
    _predict,
    schedule=schedule,
    residual=residual,
    weight=weight,
  )
  found = run(Z, STEPS, EPS)
  gradient, loss, x0_hat = _expected(schedule, residual, weight)
  # At t = 980, rounding of x_t is multiplied by 1 / alpha = 13.
  np.testing.assert_allclose(found.gradient, gradient, atol=1e-4)
  np.testing.assert_allclose(found.loss, loss, rtol=1e-4)
  np.testing.assert_allclose(found.x0_hat, x0_hat, atol=1e-4)
  for a, b in zip(found, jax.jit(run)(Z, STEPS, EPS)):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_the_residuals_differ_by_a_factor():
  schedule = _schedule()
  noise, image = (
    distill.distill(
      _predict, Z, STEPS, EPS, schedule=schedule, residual=residual
    ).gradient
    for residual in ('noise', 'noised_image')
  )
  alpha, sigma, _ = schedulers.level(schedule, STEPS, Z)
  np.testing.assert_allclose(
    image, 2 * sigma / alpha * noise, rtol=1e-3, atol=1e-4
  )


@pytest.mark.parametrize('residual', distill.RESIDUALS)
def test_gradient_reaches_through_the_renderer(residual):
  schedule = _schedule()
  matrix = _numbers(2, 32, 5)
  theta = _numbers(3, 3, 5)

  def render(theta):
    return jnp.sin(theta @ matrix.T).reshape(Z.shape)

  def loss_fn(theta):
    return distill.sds_loss(
      _predict, render(theta), STEPS, EPS,
      schedule=schedule, residual=residual,
    )  # fmt: skip

  (loss, step), found = jax.value_and_grad(loss_fn, has_aux=True)(theta)
  picture, pull = jax.vjp(render, theta)
  direct = distill.distill(
    _predict, picture, STEPS, EPS, schedule=schedule, residual=residual
  )
  np.testing.assert_allclose(
    found, pull(direct.gradient / 3)[0], rtol=1e-4, atol=1e-5
  )
  np.testing.assert_allclose(loss, direct.loss.mean(), rtol=1e-5)
  np.testing.assert_array_equal(step.gradient, direct.gradient)


def test_nothing_flows_through_the_network():
  schedule = _schedule()

  def loss_fn(z, scale):
    loss, _ = distill.sds_loss(
      lambda x, t: scale * _predict(x, t), z, STEPS, EPS, schedule=schedule
    )
    return loss

  by_z, by_scale = jax.grad(loss_fn, argnums=(0, 1))(Z, 2.0)
  direct = distill.distill(
    lambda x, t: 2.0 * _predict(x, t), Z, STEPS, EPS, schedule=schedule
  )
  np.testing.assert_array_equal(by_z, direct.gradient / 3)
  assert by_scale == 0


@pytest.mark.parametrize(
  'residual, kind',
  [('noise', 'uniform'), ('noise', 'increase'), ('noised_image', 'anneal')],
)
def test_ideal_denoiser_leads_to_the_data_mean(residual, kind):
  schedule = _schedule()
  steps = 300

  def body(z, inputs):
    step, key = inputs
    t_key, eps_key = jax.random.split(key)
    t = distill.sample_timesteps(
      t_key, step, views=4, num_train_timesteps=T, kind=kind, horizon=steps,
      t_min=0.2, t_max=0.6, width=0.1,
    )  # fmt: skip
    found = distill.distill(
      _gaussian(schedule), z, t, jax.random.normal(eps_key, z.shape),
      schedule=schedule, residual=residual, weight='uniform',
    )  # fmt: skip
    return z - 0.05 * found.gradient, None

  start = jnp.full((4, 8, 8, 1), -1.0)
  keys = jax.random.split(jax.random.key(0), steps)
  z, _ = jax.lax.scan(body, start, (jnp.arange(steps), keys))
  # The spread of the mean of 256 values that noise keeps moving.
  assert abs(z.mean() - MEAN) < 0.05


@pytest.mark.parametrize('prediction_type', schedulers.PREDICTION_TYPES)
def test_prediction_types_agree(prediction_type):
  schedule = _schedule(prediction_type=prediction_type)

  def predict(x_t, t):
    eps = _predict(x_t, t)
    x0 = schedulers.to_x0(schedule, eps, x_t, t, prediction_type='epsilon')
    return schedulers.target(schedule, x0, eps, t)

  found = distill.distill(predict, Z, STEPS, EPS, schedule=schedule)
  same = distill.distill(
    _predict, Z, STEPS, EPS, schedule=schedule, prediction_type='epsilon'
  )
  for a, b in zip(found, same):
    np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize('zero_snr', [False, True])
@pytest.mark.parametrize('residual', distill.RESIDUALS)
def test_finite_at_the_ends(residual, zero_snr):
  schedule = _schedule(
    rescale_betas_zero_snr=zero_snr, prediction_type='v_prediction'
  )
  t = jnp.array([0, 1, T - 1], jnp.int32)
  for weight in distill.WEIGHTS:
    for prediction_type in schedulers.PREDICTION_TYPES:
      found = distill.distill(
        _predict, Z, t, EPS, schedule=schedule, residual=residual,
        weight=weight, prediction_type=prediction_type,
      )  # fmt: skip
      assert all(np.isfinite(value).all() for value in found)


def test_clipped_prediction_bounds_the_gradient():
  schedule = _schedule()
  run = functools.partial(
    distill.distill, _predict, Z, STEPS, EPS, schedule=schedule
  )
  found = run(residual='noised_image', weight='uniform', clip_x0=1.0)
  assert np.abs(found.x0_hat).max() <= 1.0
  np.testing.assert_allclose(found.gradient, 2 * (Z - found.x0_hat))
  np.testing.assert_array_equal(
    run(clip_x0=1.0).gradient, run(clip_x0=None).gradient
  )


def test_ranges_move_as_named():
  def lows(kind, **options):
    ranges = [
      distill.timestep_range(s, kind=kind, horizon=11, **options)
      for s in range(14)
    ]
    for low, high in ranges:
      assert 0.02 - 1e-6 <= low <= high <= 0.98 + 1e-6
    return np.array([float(low) for low, _ in ranges])

  assert (np.diff(lows('increase')[:11]) > 0).all()
  assert (np.diff(lows('anneal')[:11]) < 0).all()
  np.testing.assert_allclose(lows('uniform'), 0.02, atol=1e-6)
  for kind, ends in (('increase', (0.02, 0.98)), ('anneal', (0.98, 0.02))):
    found = lows(kind)
    np.testing.assert_allclose(found[[0, 10]], ends, atol=1e-6)
    np.testing.assert_array_equal(found[11:], found[10])
  np.testing.assert_allclose(lows('increase', width=0.2)[10], 0.78, atol=1e-6)
  np.testing.assert_allclose(lows('anneal')[1], 0.98 - 0.96 * 0.1, atol=1e-6)


@pytest.mark.parametrize('kind', ['anneal', 'increase'])
def test_600_and_200_more_steps_equal_800(kind):
  @functools.partial(jax.jit, static_argnums=1)
  def draw(step, horizon):
    return distill.sample_timesteps(
      jax.random.fold_in(jax.random.key(0), step), step, views=4,
      num_train_timesteps=T, kind=kind, horizon=horizon, width=0.1,
    )  # fmt: skip

  def run(first, last, horizon):
    return np.stack([draw(step, horizon) for step in range(first, last)])

  whole = run(0, 800, 800)
  parts = [run(0, 600, 800), run(600, 800, 800)]
  np.testing.assert_array_equal(whole, np.concatenate(parts))
  # A horizon that followed the number of steps would not do.
  assert (run(0, 600, 600) != whole[:600]).mean() > 0.9
  # Beyond its horizon a schedule stays where it ended.
  np.testing.assert_array_less(
    np.abs(run(600, 700, 600).mean() - run(599, 600, 600).mean()), 60
  )


def test_timesteps_cover_the_range_evenly():
  draw = functools.partial(
    distill.sample_timesteps, step=0, views=8, num_train_timesteps=T
  )
  many = draw(jax.random.key(4), views=4000)
  assert many.min() >= 20 and many.max() < 980
  assert abs(many.mean() - 500) < 20  # 277 / sqrt(4000) = 4.4
  top = draw(jax.random.key(5), t_min=1.0, t_max=1.0)
  np.testing.assert_array_equal(top, T - 1)


def test_bad_arguments(unchecked):
  del unchecked
  schedule = _schedule()
  run = functools.partial(distill.distill, _predict, Z, schedule=schedule)
  with pytest.raises(ValueError, match="residual 'vsd' is not one of"):
    run(STEPS, EPS, residual='vsd')
  with pytest.raises(ValueError, match="weight 'snr' is not one of"):
    run(STEPS, EPS, weight='snr')
  with pytest.raises(ValueError, match='must be shaped as z'):
    run(STEPS[:2], EPS)
  for options, message in (
    ({'kind': 'cosine'}, 'not one of uniform, anneal, increase'),
    ({'t_min': 0.9, 't_max': 0.5}, 't_min <= t_max'),
    ({'horizon': 0}, 'horizon >= 1'),
    ({'width': -0.1}, 'width >= 0'),
  ):
    with pytest.raises(ValueError, match=message):
      distill.timestep_range(0, **{'kind': 'anneal', 'horizon': 9, **options})
