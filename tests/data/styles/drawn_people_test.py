"""Artistic sets: drawn as their names say, with what is known of them."""

import dataclasses
import itertools

import numpy as np
import pytest

from maskjax.data.people import head_model, head_shapes, heads, people
from maskjax.data.styles import caricature, drawn_people, sheets, styles

_SIZE = 64


_NAMES = sheets.drawn_names()


@pytest.fixture(scope='module', autouse=True)
def small_drawings():
  """Draw at twice the size of a picture only: a quarter of the pixels."""
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(drawn_people, '_DRAWN', 2 * _SIZE)
    yield


def _pictures(name, start=0):
  return styles.get(name).pictures(seed=3, size=_SIZE, start=start)


def _one(name, start=0):
  return next(_pictures(name, start))


@pytest.fixture(scope='module')
def drawn():
  """Return one person in each style."""
  return {name: _one(name) for name in _NAMES}


def _params(identity=0):
  rng = np.random.default_rng([3, identity])
  return people.sample_person(rng, identity=identity)


def test_pictures_are_the_same_again(drawn):
  again = _one('cartoon')
  np.testing.assert_array_equal(again.image, drawn['cartoon'].image)
  second = list(itertools.islice(_pictures('comic'), 2))[1]
  assert second.identity == 1
  np.testing.assert_array_equal(second.image, _one('comic', start=1).image)


def test_every_style_shows_the_same_person_with_camera_and_words(drawn):
  first = drawn['caricature']
  for style, picture in drawn.items():
    assert picture.image.shape == (_SIZE, _SIZE, 3)
    assert picture.identity == 0
    assert picture.attributes == first.attributes
    assert picture.caption.startswith(f'a {style} of ')
    assert picture.camera.shape == (25,)
    assert 0.2 < picture.landmarks.mean() < 0.8
    assert picture.image.std() > 20


def test_a_caricature_exaggerates_what_differs_from_the_mean():
  params = _params()
  rng = np.random.default_rng(0)
  shaped = caricature.shape(params, rng)
  assert 1.5 <= shaped.exaggeration <= 2.5
  life, more = (
    heads.build_head(
      dataclasses.replace(params, exaggeration=factor, units={}, toon=0.0)
    ).landmarks
    for factor in (1.0, 2.0)
  )
  mean = head_model.landmarks(head_model.rest())
  scale, shift = head_shapes.fit_canonical(mean)
  mean = scale * mean + shift
  # Twice as far from the mean, in about the same direction.
  one, two = life - mean, more - mean
  along = np.sum(one * two) / np.sum(one * one)
  assert 1.4 < along < 2.2
  cosine = np.sum(one * two) / np.linalg.norm(one) / np.linalg.norm(two)
  assert cosine > 0.8


def test_a_toon_has_large_eyes_and_a_small_nose():
  params = dataclasses.replace(_params(), units={})
  life = heads.build_head(params).landmarks
  toon = heads.build_head(dataclasses.replace(params, toon=1.0)).landmarks

  def size(points, a, b):
    return np.linalg.norm(points[a] - points[b])

  assert size(toon, 362, 263) > 1.3 * size(life, 362, 263)
  assert size(toon, 48, 278) < 0.92 * size(life, 48, 278)


def test_comics_have_ink_and_few_tones_of_photos_many(drawn):
  def black(style):
    return np.mean(drawn[style].image.max(-1) < 60)

  assert black('comic') > black('pixar')
  # Paper around a caricature is pale, wherever hair leaves it free.
  image = drawn['caricature'].image
  corners = (image[:4, :4], image[:4, -4:])
  assert max(corner.mean() for corner in corners) > 180
