"""Artistic sets: drawn as their names say, with what is known of them."""

import dataclasses
import itertools

import numpy as np
import pytest

from maskjax.data import shards
from maskjax.data.people import head_model, heads, people
from maskjax.data.styles import drawn_faces, drawn_people, style_images

_SIZE = 64


def _one(style, start=0):
  return next(drawn_people.pictures(style, seed=3, size=_SIZE, start=start))


@pytest.fixture(scope='module')
def drawn():
  return {style: _one(style) for style in drawn_people.NAMES}


def _params(identity=0):
  rng = np.random.default_rng([3, identity])
  return people.sample_person(rng, identity=identity)


def test_pictures_are_the_same_again(drawn):
  again = _one('cartoon')
  np.testing.assert_array_equal(again.image, drawn['cartoon'].image)
  second = list(
    itertools.islice(drawn_people.pictures('comic', seed=3, size=_SIZE), 2)
  )[1]
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
  shaped = drawn_people.stylise(params, 'caricature', rng)
  assert 1.5 <= shaped.exaggeration <= 2.5
  life, more = (
    heads.build_head(
      dataclasses.replace(params, exaggeration=factor, units={}, toon=0.0)
    ).landmarks
    for factor in (1.0, 2.0)
  )
  mean = head_model.landmarks(head_model.rest())
  scale, shift = heads._fit_canonical(mean)
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


def test_unknown_styles_are_named(tmp_path):
  with pytest.raises(ValueError, match='unknown style'):
    next(drawn_people.pictures('anime'))
  options = {'seed': 0, 'count': 2, 'size': 32}
  with pytest.raises(ValueError, match='unknown style'):
    style_images.build_shard(tmp_path / 'a.npz', 0, style='anime', **options)
  with pytest.raises(ValueError, match='needs the folder'):
    style_images.build_shard(tmp_path / 'a.npz', 0, style='emoji', **options)


def test_shards_of_a_style(tmp_path):
  path = shards.path(tmp_path, 'comic', 1)
  options = {'style': 'comic', 'seed': 3, 'count': 2, 'size': _SIZE}
  style_images.build_shard(path, 1, **options)
  images = style_images.load([path])
  np.testing.assert_array_equal(images.identity, [2, 3])
  np.testing.assert_array_equal(images.rgb[0], _one('comic', start=2).image)
  assert np.isfinite(images.camera).all()
  told = style_images.manifest(tmp_path, options)
  assert told['images'] == 2 and told['sources'][0]['licence'] == 'CC0-1.0'


@pytest.fixture
def emoji(tmp_path):
  """A folder with a disc in place of every emoji."""
  image = pytest.importorskip('PIL.Image')
  draw = pytest.importorskip('PIL.ImageDraw')
  picture = image.new('RGBA', (64, 64))
  draw.Draw(picture).ellipse((8, 8, 56, 56), fill=(200, 30, 30, 255))
  names = drawn_faces.emoji_names() + drawn_faces.smileys()
  for name in names:
    picture.save(tmp_path / f'{name}.webp', lossless=True)
  return tmp_path


def test_emoji_come_in_turn_with_words(emoji):
  count = len(drawn_faces.emoji_names()) + len(drawn_faces.smileys())
  shown = list(itertools.islice(drawn_faces.emoji(emoji, size=16), 2 * count))
  order = [picture.identity for picture in shown]
  assert sorted(order[:count]) == list(range(count))
  assert order[:count] != order[count:]
  first = shown[0]
  assert first.camera is None and first.image[8, 8, 0] > 150
  words = drawn_faces.emoji_caption('1f469-1f3ff-200d-1f9b1')
  assert words == 'a 3D emoji of a woman with curly hair, dark skin'
  assert drawn_faces.emoji_caption('1f477-200d-2640-fe0f').startswith(
    'a 3D emoji of a woman, construction worker'
  )


def test_dicebear_draws_people_with_attributes():
  pytest.importorskip('dicebear')
  first, second = itertools.islice(drawn_faces.dicebear(size=32), 2)
  again = next(drawn_faces.dicebear(size=32, start=1))
  np.testing.assert_array_equal(again.image, second.image)
  assert first.image.std() > 10 and first.caption.startswith('a cartoon')
  told = [
    p.attributes for p in itertools.islice(drawn_faces.dicebear(size=16), 60)
  ]
  for name in ('glasses', 'smiling', 'long hair'):
    assert 0.02 < np.mean([t[name] for t in told]) < 0.98, name
  assert 'CC BY 4.0' in drawn_faces.licence('micah')
  with pytest.raises(ValueError, match='unknown DiceBear style'):
    next(drawn_faces.dicebear(names=('cubist',)))
