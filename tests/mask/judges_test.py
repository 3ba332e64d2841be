"""Judges: of maps, of shape alone, and the one that knows the truth."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.geometry import color
from maskjax.mask import (
  first_image,
  generate,
  guide as guide_lib,
  judges,
  renders,
  step as step_lib,
  surface as surface_lib,
  views as views_lib,
)
from tests.mask import small

_NO_ENERGIES = {
  f'regularizers.{name}': 0.0
  for name in (
    'laplacian',
    'normal_consistency',
    'edge_length',
    'symmetry',
    'foldover',
  )
}


def _settings(folder, **fields):
  path = {'diffusion.path': str(folder), 'condition.normal_percentage': 0.5}
  return small.settings(**{**path, **fields})


@functools.cache
def _job(folder, **fields):
  return generate.prepare(_settings(folder, **fields), paint=False)


def _first():
  """Return a first image with maps, of random colours and a flat front."""
  image = jax.random.uniform(jax.random.key(5), (16, 16, 3))
  cover = jnp.ones((16, 16, 1))
  normals = jnp.broadcast_to(jnp.array([0.0, 0.0, 1.0]), (16, 16, 3))
  return first_image.FirstImage(image, cover, normals=normals, coverage=cover)


def _scene(job, settings):
  """Draw a scene of three views."""
  keys = jax.random.split(jax.random.key(1), 3)
  views = jax.vmap(lambda key: views_lib.draw(key, settings.views))(keys)
  behind = jnp.full((3, 16, 16, 3), 0.4)
  rendering, _ = renders.render_views(
    job.surface, job.start.params, views, behind, settings
  )
  return judges.Scene(views, rendering, behind)


@pytest.fixture(scope='module')
def told(maps_folder):
  """Return what the judge says in one scene, by changed fields."""
  job, settings = _job(maps_folder), _settings(maps_folder)
  scene = _scene(job, settings)
  images = renders.pictures(job.guide.model, scene.rendering)
  noised = jax.random.normal(jax.random.key(2), (3, 8, 8, 28))
  t = jnp.full((3,), 500)

  def answer(first=None, **fields):
    guide = job.guide._replace(first=first)
    judge = judges.judge(guide, scene, images, _settings(maps_folder, **fields))
    return judge, np.asarray(jax.jit(judge.predict)(noised, t))

  return answer


def test_normals_and_coverage_are_noised_and_compared_with_colour(told):
  judge, output = told()
  assert output.shape == (3, 8, 8, 28)
  assert np.isfinite(output).all()
  assert judge.together
  # Folded 2 x 2: four channels of each of colour, then of normals, coverage.
  np.testing.assert_array_equal(
    np.ravel(judge.emphasis), [1.0] * 12 + [0.5] * 16
  )


@pytest.mark.parametrize(
  'fields', [{'distill.camera': False}, {'distill.together': False}]
)
def test_cameras_and_other_views_change_the_answer(told, fields):
  assert np.abs(told()[1] - told(**fields)[1]).max() > 1e-4


def test_the_first_image_is_one_more_view_that_is_not_judged(told):
  _, without = told()
  _, seen = told(_first())
  assert seen.shape == without.shape
  assert np.abs(seen - without).max() > 1e-4
  _, unseen = told(_first(), **{'first_image.seen': False})
  np.testing.assert_array_equal(unseen, without)
  # Views that do not see each other do not see the first image.
  apart = {'distill.together': False}
  np.testing.assert_array_equal(told(_first(), **apart)[1], told(**apart)[1])


def _step(job, settings, guide):
  """Return gradients of a step's losses, and its metrics."""
  keys = step_lib._keys(jax.random.key(3), 2, None)
  views = jax.vmap(lambda key: views_lib.draw(key, settings.views))(keys.view)
  losses = functools.partial(
    step_lib._losses, surface=job.surface, settings=settings
  )
  return jax.jit(jax.grad(losses, has_aux=True))(
    job.start.params, guide, views, keys, jnp.zeros((), jnp.int32)
  )


@pytest.mark.parametrize('model', ['model_folder', 'maps_folder'])
def test_a_perfect_teacher_wants_nothing_where_the_mask_is_true(model, request):
  folder = request.getfixturevalue(model)
  fields = {**_NO_ENERGIES, 'distill.clip_x0': 0.0}
  settings = _settings(folder, **fields)
  job = _job(folder, **fields)
  mesh = surface_lib.assemble(job.surface, job.start.params, bound=0.8)
  true = job.guide._replace(truth=mesh)
  gradients, metrics = _step(job, settings, true)
  # Renders in [-1, 1], of which the mean square is taken; float32.
  assert metrics['loss'] < 1e-9
  dark = mesh.replace(colors=mesh.colors / 2)
  gradients, metrics = _step(job, settings, job.guide._replace(truth=dark))
  assert metrics['loss'] > 1e-4
  # Darker is asked for: colours fall, so their gradient is positive.
  moved = gradients.colors[jnp.any(gradients.colors != 0, -1)]
  assert float(jnp.mean(moved > 0)) > 0.95


def test_a_judge_of_shape_moves_the_shape_and_the_first_model_colours(
  model_folder,
):
  fields = {
    **_NO_ENERGIES,
    'shape_judge.path': str(model_folder),
    'shape_judge.weight': 0.0,
  }
  job = _job(model_folder, **fields)
  assert job.guide.shape is not None
  apart, metrics = _step(job, _settings(model_folder, **fields), job.guide)
  assert metrics['shape_loss'] == 0.0
  np.testing.assert_array_equal(apart.offsets, 0.0)
  assert np.abs(apart.colors).max() > 0.0
  fields['shape_judge.weight'] = 1.0
  both, metrics = _step(job, _settings(model_folder, **fields), job.guide)
  assert metrics['shape_loss'] > 0.0
  assert np.abs(both.offsets).max() > 0.0
  # Another program, of the same sums: float32, relative to the largest.
  largest = np.abs(apart.colors).max()
  np.testing.assert_allclose(both.colors, apart.colors, atol=1e-5 * largest)


def test_the_judge_of_shape_sees_normals_and_hears_no_light(model_folder):
  fields = {'shape_judge.path': str(model_folder)}
  job, settings = _job(model_folder, **fields), _settings(model_folder)
  pictures = np.asarray(judges.shape_pictures(_scene(job, settings).rendering))
  assert pictures.shape == (3, 16, 16, 3)
  assert np.abs(pictures).max() <= 1.0 + 1e-6
  # The corner is behind the mask: it faces the viewer.
  np.testing.assert_allclose(pictures[:, 0, 0], [[0.0, 0.0, 1.0]] * 3)
  unlit = views_lib.adjusted_texts(
    'a cat, normal map', 'words', 'stone', lit=False
  )
  assert unlit[0].startswith('a cat, normal map, ')
  assert not any(' light' in text for text in unlit)
  shape = job.guide.shape
  assert isinstance(shape, guide_lib.ShapeJudge)
  assert shape.texts.shape == job.guide.texts.shape


def test_a_judge_of_shape_that_paints_no_picture_is_refused(maps_folder):
  settings = _settings(maps_folder, **{'shape_judge.path': str(maps_folder)})
  with pytest.raises(ValueError, match='three channels') as error:
    guide_lib.load_shape_model(settings)
  assert '\n' not in str(error.value)


def test_pictures_of_maps_are_stacked_in_the_order_of_the_prior(maps_folder):
  job, settings = _job(maps_folder), _settings(maps_folder)
  rendering = _scene(job, settings).rendering
  picture = renders.pictures(job.guide.model, rendering)
  shown = 2.0 * color.linear_to_srgb(rendering.rgb) - 1.0
  np.testing.assert_array_equal(picture[..., :3], shown)
  np.testing.assert_array_equal(picture[..., 3:6], rendering.normals)
  np.testing.assert_allclose(picture[..., 6:], 2 * rendering.alpha - 1)
