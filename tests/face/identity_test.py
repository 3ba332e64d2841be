"""Embeddings are dlib's, and those of one person are near."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.face import identity, landmarks, networks
from maskjax.weights import diffusers_folder

PARAMS = identity.load()
embed = jax.jit(identity.embed)
find = jax.jit(landmarks.find)


@pytest.fixture(scope='module')
def astronaut(pictures):
  image = pictures['astronaut']
  return image, find(networks.load(), image).points[0]


def test_weights_fit_with_nothing_missing_or_left():
  init = identity.IdentityNet().init
  chips = jnp.zeros((1, identity.SIZE, identity.SIZE, 3))
  shapes = jax.eval_shape(init, jax.random.key(0), chips)['params']
  diffusers_folder.check_params(PARAMS, shapes, 'identity')
  assert sum(x.size for x in jax.tree.leaves(PARAMS)) == 5_614_592


def test_the_astronauts_embedding_is_dlibs(pictures):
  """dlib finds, aligns and embeds her by itself; different people are 0.8."""
  path = pathlib.Path(__file__).parent / 'goldens' / 'identity.npz'
  with np.load(path) as data:
    expected = data['embeddings']
  for mirrored, golden in enumerate(expected):
    image = pictures['astronaut'][:, :: -1 if mirrored else 1]
    points = find(networks.load(), image).points[0]
    found = embed(PARAMS, image, points)
    assert float(identity.distance(found, golden)) < 0.12


def test_light_size_and_turn_leave_the_person(astronaut):
  image, points = astronaut
  first = embed(PARAMS, image, points)
  changes = {
    'darker': 0.5 * image,
    'redder': image * jnp.array([1.0, 0.8, 0.7]).reshape(1, 1, 3),
    'smaller': jax.image.resize(image, (320, 320, 3), 'bilinear'),
    'turned': jnp.rot90(image),
  }
  for name, changed in changes.items():
    found = find(networks.load(), changed)
    if name == 'turned':  # the detector expects upright heads
      x, y, z = points.T
      placed = jnp.stack([y, 1 - x, z], -1)
    else:
      placed = found.points[0]
    distance = identity.distance(embed(PARAMS, changed, placed), first)
    assert float(distance) < 0.35, name


def test_another_face_is_another_person(astronaut):
  """Her face drawn out to twice its length: the tests have no second photo."""
  image, points = astronaut
  region = identity.chip_region(points, 512, 512)
  wide = region.replace(size=region.size * jnp.array([1.0, 0.5]))
  chips = jnp.stack(
    [identity.crops.crop(image, r, identity.SIZE) for r in (region, wide)]
  )
  rows = identity.IdentityNet().apply({'params': PARAMS}, chips)
  assert float(identity.distance(*rows)) > 0.5


def test_the_chip_brings_landmarks_to_their_places():
  rng = np.random.default_rng(0)
  places = (np.array(identity._PLACES) + 0.25) / 1.5 - 0.5
  angle, size, center = 0.5, 80.0, np.array([300.0, 200.0])
  turn = np.array(
    [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
  )
  target = size * places @ turn.T + center
  points = rng.random((468, 3)).astype(np.float32)
  points[list(identity._POINTS), :2] = target / [640, 480]
  region = identity.chip_region(jnp.asarray(points), 480, 640)
  np.testing.assert_allclose(region.center, center, atol=1e-2)
  np.testing.assert_allclose(region.size, [size, size], rtol=1e-4)
  np.testing.assert_allclose(region.rotation, angle, atol=1e-4)


def test_equal_error_rate():
  rate, threshold = identity.equal_error_rate(
    np.array([0.1, 0.2, 0.3]), np.array([0.5, 0.7])
  )
  assert rate == 0.0 and 0.3 <= threshold <= 0.5
  rate, _ = identity.equal_error_rate(
    np.array([0.1, 0.2, 0.3, 0.9]), np.array([0.15, 0.7, 0.8, 1.0])
  )
  np.testing.assert_allclose(rate, 0.25)
