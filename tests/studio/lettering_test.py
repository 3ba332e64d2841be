"""Words of any language on pictures."""

import numpy as np
from PIL import Image, ImageDraw
import pytest

from maskjax.studio import lettering

_INK = (0, 0, 0)


def _written(words, *, size=32, anchor='la', place=(10, 10)):
  """Return a white picture with words on it, as a mask of ink."""
  image = Image.new('RGB', (400, 80), 'white')
  lettering.write(
    ImageDraw.Draw(image), place, words, _INK, size, anchor=anchor
  )
  return np.asarray(image).min(-1) < 128


_LETTERS = ['öäüßéñçø', '虎の面貓', '한국어', 'приве', 'αβγδ']
_LETTERS += ['🐯🤖🦁🐘', 'שלום', 'قناع', '☃♥']


@pytest.mark.parametrize('letters', _LETTERS)
def test_letters_of_all_languages_have_shapes_of_their_own(letters):
  missing = _written('\U000effff')
  shapes = [_written(letter) for letter in letters]
  for shape in shapes:
    assert shape.any() and not np.array_equal(shape, missing)
  assert len({shape.tobytes() for shape in shapes}) == len(letters)


def test_plain_letters_are_those_of_the_pictures_own_font():
  from PIL import ImageFont

  image = Image.new('RGB', (400, 80), 'white')
  font = ImageFont.load_default(32)
  ImageDraw.Draw(image).text((10, 10), 'a tiger', _INK, font)
  expected = np.asarray(image).min(-1) < 128
  np.testing.assert_array_equal(_written('a tiger'), expected)


def test_mixed_words_stand_on_one_line_one_after_another():
  rows, columns = np.nonzero(_written('H虎H'))
  left, middle, right = _written('H'), _written('H虎'), _written('H虎H')
  assert left.sum() < middle.sum() < right.sum()
  assert (middle & left).sum() == left.sum()
  assert columns.max() - 10 <= lettering.width('H虎H', 32)
  # The letters end at the same baseline, but for what hangs below.
  bottom = [np.nonzero(x)[0].max() for x in (left, _written('ö'))]
  assert abs(bottom[0] - bottom[1]) <= 2
  assert rows.max() <= bottom[0] + 6


def test_words_around_a_place():
  for words in ('aXa', 'a虎a'):
    rows, columns = np.nonzero(_written(words, anchor='mm', place=(200, 40)))
    assert abs((columns.min() + columns.max()) / 2 - 200) < 3
    assert abs((rows.min() + rows.max()) / 2 - 40) < 8


def test_what_has_no_glyph_is_left_out():
  words = 'a\u200db\ufe0f\x00\u202e\tc\r\nd\u2028e'
  assert lettering.plain(words) == 'ab c\nd\ne'
  assert lettering.plain('e\u0301') == 'é'


@pytest.mark.parametrize(
  'words',
  [
    'a ' + 'very ' * 55 + 'old tiger',
    'x' * 300,
    '虎' * 300,
    'ein sehr langes Wort: ' + 'Donaudampfschifffahrt' * 5,
  ],
)
def test_long_words_are_wrapped_and_nothing_is_lost(words):
  lines = lettering.lines(words, 12, 300)
  assert len(lines) > 1
  assert max(lettering.width(line, 12) for line in lines) <= 300
  assert ''.join(lines).replace(' ', '') == words.replace(' ', '')


def test_line_breaks_are_kept():
  assert lettering.lines('a tiger\nwith stripes', 12, 300) == [
    'a tiger',
    'with stripes',
  ]
  assert lettering.lines('', 12, 300) == ['']
  assert lettering.lines('one\n\ntwo\n\n', 12, 300) == ['one', '', 'two']


def test_captions_are_cut():
  assert lettering.cut('short', 12, 100) == 'short'
  words = lettering.cut('a caption that is too wide\nby far', 12, 60)
  assert words.endswith('…') and words.startswith('a cap')
  assert lettering.width(words, 12) <= 60
