"""One step: gradients reach the mask, devices agree, freezing works."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from maskjax.diffusion import model as model_lib
from maskjax.mask import generate, guide as guide_lib, step as step_lib
from maskjax.training import parallel
from tests.mask import small


def _settings(model_folder, **fields):
  path = {'diffusion.path': str(model_folder), 'views.count': 8}
  return small.settings(**{**path, **fields})


def _one_step(job, settings, tx, devices):
  step = parallel.data_parallel(
    step_lib.make_step(job.surface, tx, settings), devices=devices, shared=True
  )
  state = step_lib.create_state(job.start.params, tx)
  state = parallel.replicate(state, devices=devices)
  guide = parallel.replicate(job.guide, devices=devices)
  numbers = np.arange(settings.views.count, dtype=np.int32)
  state, metrics = step(state, jax.random.key(3), numbers, guide)
  return jax.device_get(state.params), jax.device_get(metrics)


def test_one_device_equals_eight(model_folder):
  # Compared under plain gradient descent: Adam would hide a wrong scale.
  settings = _settings(model_folder)
  job = generate.prepare(settings, paint=False)
  tx = optax.sgd(1.0)
  one, one_metrics = _one_step(job, settings, tx, jax.devices()[:1])
  eight, eight_metrics = _one_step(job, settings, tx, jax.devices()[:8])
  moved = one.offsets - np.asarray(job.start.params.offsets)
  assert np.abs(moved).max() > 0.0
  for a, b, start in zip(one, eight, job.start.params):
    scale = np.abs(a - np.asarray(start)).max()
    np.testing.assert_allclose(a, b, atol=1e-3 * scale)
  np.testing.assert_array_equal(one_metrics['text'], eight_metrics['text'])
  np.testing.assert_allclose(
    one_metrics['loss'], eight_metrics['loss'], rtol=1e-4
  )


@pytest.mark.parametrize('residual', ['noise', 'noised_image'])
def test_every_residual_and_condition_gives_finite_steps(
  model_folder, residual
):
  settings = _settings(
    model_folder,
    **{
      'distill.residual': residual,
      'distill.timesteps': 'increase',
      'condition.normal_percentage': 0.0 if residual == 'noise' else 1.0,
      'distill.perp_neg': 1.0 if residual == 'noise' else 0.0,
      'distill.image_weight': 0.1 if residual == 'noise' else 0.0,
      'views.count': 2,
    },
  )
  job = generate.prepare(settings, paint=False)
  tx = step_lib.optimizer(job.surface, settings)
  params, metrics = _one_step(job, settings, tx, jax.devices()[:1])
  assert all(np.isfinite(x).all() for x in params)
  assert np.isfinite(metrics['loss'])
  assert jnp.abs(params.offsets).max() > 0.0


def test_views_without_texture_leave_the_colours_alone(model_folder):
  settings = _settings(model_folder, **{'views.textureless': 1.0})
  job = generate.prepare(settings, paint=False)
  tx = step_lib.optimizer(job.surface, settings)
  params, _ = _one_step(job, settings, tx, jax.devices()[:1])
  np.testing.assert_array_equal(params.colors, job.start.params.colors)
  assert np.abs(params.offsets).max() > 0.0


@pytest.fixture(scope='module')
def pulled(model_folder):
  """Return how a step moves darkened colours of a painted start.

  Only the colours are trained, and only by the first image.

  Returns:
    The parameters, how far the colours moved, and the metrics.
  """
  settings = _settings(
    model_folder,
    **{
      'views.textureless': 1.0,
      'distill.guidance_scale': 0.0,
      'optimizer.vertex_rate': 0.0,
      'first_image.likeness': 1.0,
    },
  )
  job = generate.prepare(settings)
  tx = step_lib.optimizer(job.surface, settings)
  gone = jnp.full_like(job.start.params.colors, -2.0)
  darkened = job.start.params._replace(colors=gone)
  job = job._replace(start=job.start._replace(params=darkened))
  params, metrics = _one_step(job, settings, tx, jax.devices()[:1])
  return params, np.asarray(params.colors - gone), metrics


def test_a_rate_of_zero_freezes_its_part(pulled):
  params, moved, _ = pulled
  np.testing.assert_array_equal(params.offsets, 0.0)
  assert np.abs(moved).max() > 0.0


def test_the_front_is_pulled_toward_the_first_image(pulled):
  _, moved, metrics = pulled
  assert metrics['likeness'] > 0.0
  # The pixels of the first image are brighter than the darkened start.
  assert np.mean(moved[np.any(moved != 0, -1)]) > 0.0


def test_image_loss_is_zero_where_the_prediction_is_the_render(model_folder):
  model = guide_lib.load_model(_settings(model_folder))
  images = jax.random.uniform(jax.random.key(0), (2, 16, 16, 3)) * 2 - 1
  z = model_lib.encode_images(model, images)
  t = jnp.array([100, 500])

  def loss(images, z):
    return step_lib._image_loss(model, images, t, z, 'sigma2')

  np.testing.assert_allclose(loss(images, z), 0.0, atol=1e-12)
  dark = jnp.zeros_like(z)
  expected = model.schedule.sigma[t] ** 2 * jnp.mean(images**2, (1, 2, 3))
  np.testing.assert_allclose(loss(images, dark), expected.mean(), rtol=1e-5)
  towards, back = jax.grad(loss, (0, 1))(images, dark)
  assert jnp.abs(towards).max() > 0.0
  np.testing.assert_array_equal(back, 0.0)
