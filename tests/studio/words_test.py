"""Words for cameras and lights, and how they join a prompt."""

import pytest

from maskjax.studio import words as studio_words


@pytest.mark.parametrize(
  'angles, words',
  [
    ((0.0, 0.0), 'front view'),
    ((-20.0, 0.0), 'slightly from the left'),
    ((45.0, 25.0), 'three-quarter view from the right, looking from above'),
    ((-80.0, -20.0), 'side view from the left, looking from below'),
  ],
)
def test_views_have_words(angles, words):
  assert studio_words.view_words(*angles) == words


def test_views_have_numbers():
  assert studio_words.view_numbers(0.0, 0.0) == 'at position 0, 0, 1'
  assert studio_words.view_numbers(90.0, 0.0) == 'at position 1, 0, 0'
  assert studio_words.view_numbers(-45.0, 0.0) == 'at position -0.5, 0, 0.5'


def test_forms_of_a_prompt_say_view_and_light_or_nothing():
  forms = studio_words.PROMPT_FORMS
  light = studio_words.light_words('red', 'above')
  assert light == 'lit by red light from above'
  assert forms['words'](0.0, 0.0, light) == ['front view', light]
  assert forms['numbers'](0.0, 0.0, light) == ['at position 0, 0, 1', light]
  assert forms['plain'](0.0, 0.0, light) == []


def test_the_nearest_words_name_a_light():
  assert studio_words.color_word([2.0, 0.4, 0.2]) == 'red'
  assert studio_words.direction_word([0.1, -3.0, 0.2]) == 'below'
  with pytest.raises(ValueError, match="unknown light colour 'mauve'"):
    studio_words.light_words('mauve')
  with pytest.raises(ValueError, match="direction 'behind'"):
    studio_words.light_words('red', 'behind')


def test_an_adjective_stands_behind_the_article():
  join = studio_words.with_adjective
  assert join('a Bengal tiger', 'stone') == 'a stone Bengal tiger'
  assert join('the fox', 'old') == 'the old fox'
  assert join('an owl', 'ice') == 'an ice owl'
  assert join('tiger', 'stone') == 'stone tiger'
  assert studio_words.with_article('elephant') == 'an elephant'
  assert studio_words.adjust(' a cat ', '', 'in light') == 'a cat, in light'
