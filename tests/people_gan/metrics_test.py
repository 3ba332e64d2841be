import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import source
from maskjax.evaluation import gan_metrics
from maskjax.gan import (
  kinds,
  model as model_lib,
)
from maskjax.people_gan import (
  batches as people_batches,
  metrics as people_metrics,
  networks as people_networks,
  pictures as people_pictures,
)
from tests.people_gan import people

DATA = people_batches.by_scene(people.face_set(count=4, views=2, side=16))


@pytest.fixture(scope='module')
def model():
  config = people_networks.generator(source.get_config('tiny'))
  return model_lib.initialize(jax.random.key(0), config)


def test_depth_along_the_axis_of_a_plane_is_constant():
  camera = np.asarray(people_pictures.turned((0.0, 25.0)))
  place = (np.arange(8) + 0.5) / 8 - 0.5
  x, y = np.meshgrid(place, place)
  along = 2.5 * np.sqrt(1 + (x**2 + y**2) / 4.2647**2)
  depth = people_metrics.axis_depth(np.stack([along, along]), camera)
  np.testing.assert_allclose(depth, 2.5, rtol=1e-5)


def test_truth_of_chosen_pictures():
  alpha, depth = people_metrics.truth(DATA, np.array([5, 0]), 16)
  np.testing.assert_allclose(alpha[0], DATA.alpha[2, 1] / 255, atol=1e-6)
  inside = DATA.alpha[0, 0] == 255
  np.testing.assert_allclose(
    depth[1][inside], DATA.depth[0, 0][inside], rtol=1e-3
  )


def test_relief_counts_what_is_covered():
  depth = np.zeros((2, 4, 4)) + np.array([1.0, 3.0, 1.0, 3.0])
  alpha = np.ones((2, 4, 4))
  assert people_metrics.relief(depth, alpha) == 1
  alpha[:, :, 1::2] = 0
  assert people_metrics.relief(depth, alpha) == 0
  with pytest.raises(ValueError, match='no picture'):
    people_metrics.relief(depth, 0 * alpha)


def test_pictures_do_not_depend_on_the_batch(model):
  z = np.random.default_rng(0).standard_normal((5, 8)).astype(np.float32)
  camera = np.asarray(people_pictures.turned((-20.0, 0.0, 20.0, 5.0, 9.0)))
  whole = people_metrics.make(model, z, camera, batch=5, psi=None)
  parts = people_metrics.make(model, z, camera, batch=2, psi=None)
  assert whole.image.shape == (5, 16, 16, 3) and whole.image.dtype == np.uint8
  np.testing.assert_allclose(
    whole.image.astype(int), parts.image.astype(int), atol=1
  )
  np.testing.assert_allclose(whole.depth, parts.depth, atol=1e-4)


def test_enlarged_pictures_keep_their_colours():
  image = np.zeros((3, 16, 16, 3), np.uint8) + np.array([255, 51, 0], np.uint8)
  large = people_metrics.enlarged(image, 40)
  assert large.shape == (3, 40, 40, 3)
  np.testing.assert_allclose(
    large, np.broadcast_to([1, 0.2, 0], large.shape), atol=1e-5
  )


def test_known_people_are_compared_with_the_truth(model):
  codes = np.zeros((4, 8), np.float32)
  request = people_metrics.Request(scenes=4, batch=2)
  values = people_metrics.known_depth(model, codes, DATA, request)
  assert 0 < values['known_depth_error'] < 1
  assert 0 < values['known_image_error'] < 1
  # What is drawn at random is no ball.
  assert abs(values['known_flatness'] - 1) < 0.9


@pytest.mark.parametrize('share', [0.1, 0.9])
def test_faces_that_are_not_found_tell_nothing(model, monkeypatch, share):
  seen = {}

  def turn(images, cameras):
    seen['turn'] = (images.shape, cameras.shape)
    return gan_metrics.YawError(4.0, share, np.zeros(len(images)))

  def consistency(images):
    seen['identity'] = images.shape
    return {'same_mean': 0.3, 'different_mean': 0.7, 'equal_error_rate': 0.1}

  monkeypatch.setattr(people_metrics, '_LOOKED_AT', 32)
  monkeypatch.setattr(gan_metrics, 'yaw_error', turn)
  monkeypatch.setattr(gan_metrics, 'identity_consistency', consistency)
  request = people_metrics.Request(identities=2, batch=5)
  values = people_metrics.turned_people(model, DATA, request)
  assert values['faces_found'] == values['faces_found_real'] == share
  assert ('yaw_error' in values) == ('identity_same_real' in values)
  assert ('yaw_error' in values) == (share > 0.5)
  if share > 0.5:  # The last call looks at the data, two views each.
    assert seen['turn'] == ((4, 32, 32, 3), (4, 25))
    assert seen['identity'] == (2, 2, 32, 32, 3)


def test_pictures_of_the_same_kind_are_nearer_and_inception_is_asked():
  rng = np.random.default_rng(0)

  def faces(low, high):
    colour = rng.integers(low, high, (12, 1, 1, 3))
    return np.broadcast_to(colour, (12, 16, 16, 3)).astype(np.uint8)

  real = np.concatenate([faces(0, 60), faces(0, 60)])
  other = faces(190, 255)
  means = lambda x: x.reshape(len(x), -1, 3).mean(1)
  values = people_metrics.distributions(other, real, means)
  assert values['face_frechet'] > values['face_frechet_real']
  assert values['fid'] > 1000 > values['fid_real']
  assert values['kid'] > values['kid_real']
  assert 0 <= values['precision'] <= values['precision_real'] <= 1
  plain = people_metrics.distributions(other, real[:12])
  assert plain.keys() == {'face_frechet', 'precision', 'recall'}
  assert plain['face_frechet'] == values['face_frechet']


def test_a_generator_without_cameras_is_measured_by_its_pictures():
  config = source.get_config('tiny_stylegan2')
  config.channels = (8, 8, 8)
  flat = model_lib.initialize(
    jax.random.key(0), people_networks.flat_generator(config)
  )
  request = people_metrics.Request(pictures=8, batch=3)
  values = people_metrics.measure(flat, DATA, None, request)
  assert values.keys() == {
    'pictures', 'seconds_per_1000', 'face_frechet', 'precision', 'recall',
  }  # fmt: skip
  judge = model_lib.initialize(
    jax.random.key(0), people_networks.discriminator(config, kinds.STYLEGAN2)
  )
  with pytest.raises(ValueError, match='no generator'):
    people_metrics.measure(judge, DATA, None, request)


def test_bad_requests_are_refused(model):
  with pytest.raises(ValueError, match='identities is 1; expected >= 2'):
    people_metrics.Request(identities=1)
  with pytest.raises(ValueError, match='seed is 4294967296'):
    people_metrics.Request(seed=2**32)
  large = DATA._replace(image=jnp.zeros((1, 1, 32, 32, 3)))
  with pytest.raises(ValueError, match='pictures of 32 pixels'):
    people_metrics.measure(model, large, None, people_metrics.Request())


def test_table_has_the_data_beside():
  table = people_metrics.table(
    {'yaw_error': 3.0, 'yaw_error_real': 2.5, 'a': 1}
  )
  assert '| yaw_error | 3 | 2.5 |' in table and '| a | 1 |  |' in table


def test_pictures_are_found_among_people_and_among_sides():
  rendered = np.random.default_rng(0).standard_normal((3, 2, 4, 4, 3))
  drawn = rendered + 0.01
  assert people_metrics.alike(drawn, rendered) == {
    'same_person': 1.0, 'same_view': 1.0
  }  # fmt: skip
  swapped = people_metrics.alike(drawn[[1, 0, 2]], rendered)
  assert swapped['same_person'] == pytest.approx(1 / 3)
  turned = people_metrics.alike(drawn[:, ::-1], rendered)
  assert turned['same_view'] == 0.0
