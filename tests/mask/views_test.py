"""Views: what is drawn, and the words that follow it."""

import jax
import numpy as np
import pytest

from maskjax.mask import views
from maskjax.studio import views as studio_views, words as studio_words
from tests.mask import small


def test_words_follow_the_drawn_camera_and_light():
  settings = small.settings('default').views
  texts = views.adjusted_texts('a lion', 'words', 'stone')
  keys = jax.random.split(jax.random.key(0), 64)
  drawn = jax.vmap(lambda key: views.draw(key, settings))(keys)
  lit = set()
  for row, other, azimuth, elevation, bare in zip(
    drawn.text, drawn.other, drawn.azimuth, drawn.elevation, drawn.bare
  ):
    side = abs(float(azimuth)) < 35.0
    elsewhere = studio_words.view_words(67.0 if side else 0.0, float(elevation))
    words = studio_words.view_words(float(azimuth), float(elevation))
    subject = 'a stone lion' if bare else 'a lion'
    assert texts[int(row)].startswith(f'{subject}, {words}, ')
    assert texts[int(other)] == texts[int(row)].replace(words, elsewhere)
    lit.add(texts[int(row)].split(words + ', ')[1])
  assert 'with uniform white light' in lit
  assert len(lit) > 3
  assert all('red' not in words for words in lit)
  share = float(drawn.bare.mean())
  assert abs(share - settings.textureless) < 0.2
  low, high = settings.azimuth
  assert low <= float(drawn.azimuth.min()) < float(drawn.azimuth.max()) <= high


def test_numbers_and_plain_forms():
  numbers = views.adjusted_texts('a lion', 'numbers', 'stone')
  front = views.front_text()
  assert numbers[front] == (
    'a lion, at position 0, 0, 1, with uniform white light'
  )
  plain = views.adjusted_texts('a lion', 'plain', 'stone')
  assert set(plain) == {'a lion', 'a stone lion'}
  with pytest.raises(ValueError, match='prompt_form'):
    views.adjusted_texts('a lion', 'verse', 'stone')


def test_front_text_is_the_front_under_even_light():
  texts = views.adjusted_texts('x', 'words', 'stone')
  assert texts[views.front_text()] == (
    'x, front view, with uniform white light'
  )
  rows = (
    len(studio_views.AZIMUTHS)
    * len(studio_views.ELEVATIONS)
    * len(studio_views.LIGHTINGS)
  )
  assert len(texts) == 2 * rows


def test_unknown_light_colour_is_refused():
  with pytest.raises(ValueError, match='mauve'):
    small.settings(**{'views.light_colors': ('mauve',)})


def test_lights_of_other_colours_are_not_drawn():
  rows = views.lightings(('red',))
  colors = [studio_views.LIGHTINGS[row] for row in rows]
  assert colors[0] == ('white', None)
  assert {color for color, _ in colors[1:]} == {'red'}
  assert len(colors) == 1 + len(studio_words.LIGHT_DIRECTIONS)
  assert views.lightings(()) == [0]


def test_fixed_cameras_look_at_the_face():
  cameras, lights = views.fixed((-90.0, 0.0, 90.0))
  eyes = np.asarray(cameras.cam2world[:, :3, 3])
  assert eyes[0, 0] < 0 < eyes[2, 0]
  assert eyes[1, 2] > 50
  assert lights.ambient.shape == (3, 3)
