"""Words for views and lights keep to their bins."""

import numpy as np
import pytest

from maskjax.data.creatures import captions, creatures
from maskjax.studio import words as studio_words


@pytest.mark.parametrize(
  'azimuth, elevation, words',
  [
    (0, 0, 'front view'),
    (-9.9, 18, 'front view'),
    (10, 0, 'slightly from the right'),
    (-29, -12, 'slightly from the left'),
    (45, 19, 'three-quarter view from the right, looking from above'),
    (-60, -13, 'side view from the left, looking from below'),
  ],
)
def test_view_words(azimuth, elevation, words):
  assert studio_words.view_words(azimuth, elevation) == words


def test_view_numbers_are_halves():
  assert studio_words.view_numbers(0, 0) == 'at position 0, 0, 1'
  assert studio_words.view_numbers(-45, 0) == 'at position -0.5, 0, 0.5'
  assert studio_words.view_numbers(90, 30) == 'at position 1, 0.5, 0'


def test_light_words():
  assert studio_words.light_words() == 'with uniform white light'
  assert (
    studio_words.light_words('red', 'left') == 'lit by red light from the left'
  )
  assert studio_words.light_words('blue', 'above') == (
    'lit by blue light from above'
  )
  with pytest.raises(ValueError, match="unknown light colour 'teal'"):
    studio_words.light_words('teal')
  with pytest.raises(ValueError, match="unknown light direction 'behind'"):
    studio_words.light_words('red', 'behind')


def test_lights_are_named_back():
  for word, color in studio_words.LIGHT_COLORS.items():
    assert studio_words.color_word(np.array(color) * 0.4) == word
  for word, direction in studio_words.LIGHT_DIRECTIONS.items():
    assert studio_words.direction_word(direction) == word


def test_adjust_joins_what_is_given():
  view, light = studio_words.view_words(0, 30), studio_words.light_words()
  assert studio_words.adjust(' a fox ', view, light) == (
    'a fox, front view, looking from above, with uniform white light'
  )
  assert studio_words.adjust('a fox') == 'a fox'


def test_every_kind_has_names():
  assert set(captions.NAMES) == set(creatures.KINDS)


def test_captions_name_kind_and_modifiers():
  rng = np.random.default_rng(0)
  seen = set()
  for _ in range(200):
    text = captions.caption(
      'wolf', ('white', 'old'), (-75, 0), ('blue', 'above'), rng
    )
    seen.add(text)
    assert 'old white wolf' in text
    assert 'grey wolf' not in text
  assert any('side view from the left' in text for text in seen)
  assert any('at position' in text for text in seen)
  assert any('lit by blue light from above' in text for text in seen)
  assert any('light' not in text for text in seen)
  assert any(text.startswith('head of an old') for text in seen)
  assert len(seen) > 20


def test_captions_are_deterministic():
  def draw(seed):
    rng = np.random.default_rng(seed)
    return [
      captions.caption('owl', (), (5, 0), ('white', None), rng)
      for _ in range(9)
    ]

  assert draw(4) == draw(4)
  assert all('an owl' in text for text in draw(4) if 'owl' in text)


@pytest.mark.parametrize(
  ('words', 'expected'),
  [
    ('a Bengal tiger', 'a stone Bengal tiger'),
    ('an elephant', 'a stone elephant'),
    ('the old lion', 'the stone old lion'),
    ('gorilla', 'stone gorilla'),
    ('A', 'stone A'),
  ],
)
def test_an_adjective_goes_behind_the_article(words, expected):
  assert studio_words.with_adjective(words, 'stone') == expected
