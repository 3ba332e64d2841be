"""Words of any language on pictures: fonts, lines, and how wide they are.

Letters that the picture's own font lacks are taken from one that has nearly
all of Unicode (`third_party/unifontex`); words that are too wide go on in the
next line, and a word that is wider than a line is broken.
"""

from collections.abc import Iterator
import functools
import io
import itertools
import unicodedata

from PIL import ImageDraw, ImageFont

from maskjax.weights import bundled

_ELLIPSIS = '…'
# Nothing is defined there, so that its glyph is that of missing letters.
_NOTHING = '\U000effff'
# What joins or varies other letters, without a glyph of its own here.
_JOINERS = {'\u200c', '\u200d', '\ufe0e', '\ufe0f', '\ufeff', '\u2060'}


@functools.cache
def _everything() -> bytes:
  return bundled.third_party_path('unifontex', 'unifontex.woff').read_bytes()


@functools.lru_cache(32)
def _fonts(
  size: float,
) -> tuple[ImageFont.FreeTypeFont, ImageFont.FreeTypeFont]:
  """Return the picture's own font, and the one with all letters."""
  own = ImageFont.load_default(size)
  assert isinstance(own, ImageFont.FreeTypeFont)
  return own, ImageFont.truetype(io.BytesIO(_everything()), round(size))


@functools.lru_cache(4096)
def _is_own(letter: str) -> bool:
  """Tell whether the picture's own font has a letter."""
  if letter.isascii() or letter.isspace():
    return True
  font = _fonts(16)[0]
  missing = font.getmask(_NOTHING)
  glyph = font.getmask(letter)
  return (glyph.size, bytes(glyph)) != (missing.size, bytes(missing))


def _runs(words: str) -> Iterator[tuple[bool, str]]:
  """Cut words where the font changes."""
  for own, letters in itertools.groupby(words, _is_own):
    yield own, ''.join(letters)


def width(words: str, size: float) -> float:
  """Return how wide a line is, in pixels.

  Args:
    words: the line.
    size: height of the letters, pixels.
  """
  own, all_ = _fonts(size)
  return sum(
    (own if is_own else all_).getlength(part) for is_own, part in _runs(words)
  )


def plain(words: str) -> str:
  """Return words without what has no glyph; line breaks stay.

  Args:
    words: any text.
  """
  words = unicodedata.normalize('NFC', words)
  words = '\n'.join(words.splitlines())
  return ''.join(
    ' ' if letter == '\t' else letter
    for letter in words
    if letter in '\t\n'
    or (letter not in _JOINERS and unicodedata.category(letter)[0] != 'C')
  )


def _broken(word: str, size: float, limit: float) -> list[str]:
  """Break a word that is wider than a line."""
  parts = ['']
  for letter in word:
    if parts[-1] and width(parts[-1] + letter, size) > limit:
      parts.append('')
    parts[-1] += letter
  return parts


def lines(words: str, size: float, limit: float) -> list[str]:
  """Lay words out in lines.

  Args:
    words: any text; its own line breaks are kept.
    size: height of the letters, pixels.
    limit: width of a line, pixels.

  Returns:
    The lines, at least one; none is wider than the limit, unless a single
    letter is.
  """
  found = []
  for paragraph in plain(words).split('\n') or ['']:
    line = ''
    for word in paragraph.split(' '):
      longer = f'{line} {word}' if line else word
      if width(longer, size) <= limit:
        line = longer
        continue
      if line:
        found.append(line)
      *full, line = _broken(word, size, limit)
      found += full
    found.append(line)
  while len(found) > 1 and not found[-1].strip():
    found.pop()
  return found


def cut(words: str, size: float, limit: float) -> str:
  """Return words in one line, which ends in an ellipsis if it is too wide.

  Args:
    words: any text.
    size: height of the letters, pixels.
    limit: width of the line, pixels.
  """
  words = plain(words).replace('\n', ' ')
  if width(words, size) <= limit:
    return words
  while words and width(words + _ELLIPSIS, size) > limit:
    words = words[:-1]
  return words.rstrip() + _ELLIPSIS


def write(
  pen: ImageDraw.ImageDraw,
  place: tuple[float, float],
  words: str,
  ink: tuple[int, int, int],
  size: float,
  *,
  anchor: str = 'la',
) -> None:
  """Write a line.

  Args:
    pen: of the picture.
    place: in pixels, right and down; what is there says the anchor.
    words: the line.
    ink: sRGB bytes.
    size: height of the letters, pixels.
    anchor: Pillow's: 'la', upper left; 'mm', the middle.
  """
  own, all_ = _fonts(size)
  runs = list(_runs(words))
  if all(is_own for is_own, _ in runs):
    pen.text(place, words, ink, own, anchor=anchor)
    return
  ascent, descent = own.getmetrics()
  left, top = place
  if anchor[0] == 'm':
    left -= width(words, size) / 2
  baseline = top + (ascent if anchor[1] == 'a' else (ascent - descent) / 2)
  for is_own, part in runs:
    font = own if is_own else all_
    pen.text((left, baseline), part, ink, font, anchor='ls')
    left += font.getlength(part)
