"""Expressions: units that the head model has, and the gaze with them."""

import numpy as np
import pytest

from maskjax.data.people import expressions, head_model


@pytest.mark.parametrize('word', expressions.EXPRESSIONS)
def test_units_are_the_head_models(word):
  names = head_model.load().names
  drawn = expressions.sample(np.random.default_rng(0), word)
  assert drawn['expression'] == word
  for unit, value in drawn['units'].items():
    assert f'arkit/{unit}' in names and 0 < value <= 1
  sides = {u[:-4] for u in drawn['units'] if u.endswith('Left')}
  asked = [u for u in expressions.EXPRESSIONS[word]
           if f'arkit/{u}' not in names]  # fmt: skip
  assert set(asked) <= sides


def test_the_lids_follow_the_gaze():
  drawn = [expressions.sample(np.random.default_rng(i)) for i in range(60)]
  for moment in drawn:
    across, up = moment['gaze']
    units = moment['units']
    assert ('eyeLookOutLeft' in units) == (across > 0)
    assert ('eyeLookOutRight' in units) == (across < 0)
    assert ('eyeLookUpLeft' in units) == (up > 0)
  words = [moment['expression'] for moment in drawn]
  assert words.count('neutral') > words.count('sad')


def test_faces_at_rest_are_friendly():
  drawn = expressions.sample(np.random.default_rng(1), 'neutral')
  smile = drawn['units']['mouthSmileLeft']
  assert smile == drawn['units']['mouthSmileRight'] and 0 <= smile < 0.2


def test_unknown_words_are_named():
  with pytest.raises(ValueError, match="unknown expression 'bored': use one"):
    expressions.sample(np.random.default_rng(0), 'bored')
