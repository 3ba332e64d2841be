"""Words for a picture's camera and light, and how they join a prompt.

The same words follow the caption of a training picture and the prompt of a
user (`adjust`), so that the denoiser is asked in the words it learnt. Azimuth
is in degrees, positive where the camera moves toward +x; elevation is positive
above. The camera is 'left' where it stands toward -x.

Patent: paragraphs 25, 103-104 (camera and light follow in the text).
"""

import numpy as np

LIGHT_COLORS = {
  'white': (1.0, 1.0, 1.0),
  'warm': (1.0, 0.78, 0.52),
  'red': (1.0, 0.16, 0.10),
  'orange': (1.0, 0.46, 0.10),
  'green': (0.20, 1.0, 0.25),
  'blue': (0.16, 0.32, 1.0),
  'purple': (0.66, 0.20, 1.0),
}
LIGHT_DIRECTIONS = {
  'left': (-1.0, 0.0, 0.35),
  'right': (1.0, 0.0, 0.35),
  'above': (0.0, 1.0, 0.35),
  'below': (0.0, -1.0, 0.35),
  'front': (0.0, 0.0, 1.0),
}


def view_words(azimuth: float, elevation: float) -> str:
  """Return words for a camera, e.g. 'front view, looking from above'.

  Args:
    azimuth: degrees; 0 is in front, positive toward +x.
    elevation: degrees; positive is above.
  """
  side = 'left' if azimuth < 0 else 'right'
  away = abs(azimuth)
  if away < 10:
    words = 'front view'
  elif away < 30:
    words = f'slightly from the {side}'
  elif away < 60:
    words = f'three-quarter view from the {side}'
  else:
    words = f'side view from the {side}'
  if elevation > 18:
    words += ', looking from above'
  elif elevation < -12:
    words += ', looking from below'
  return words


def view_numbers(azimuth: float, elevation: float) -> str:
  """Return a camera's place in numbers, e.g. 'at position 0.5, 0, 1'.

  The place is in units of the camera's distance from its target, x to the
  viewer's right, y up, z out of the face, each rounded to halves.

  Args:
    azimuth: degrees; 0 is in front, positive toward +x.
    elevation: degrees; positive is above.
  """
  a, e = np.radians([azimuth, elevation])
  place = (np.sin(a) * np.cos(e), np.sin(e), np.cos(a) * np.cos(e))
  halves = [round(2 * float(value)) / 2 + 0.0 for value in place]
  return 'at position ' + ', '.join(f'{value:g}' for value in halves)


def color_word(color) -> str:
  """Return the word of `LIGHT_COLORS` nearest to a light's colour f[3]."""
  color = np.asarray(color, np.float32)
  color = color / max(float(color.max()), 1e-6)
  return min(
    LIGHT_COLORS,
    key=lambda word: float(((color - LIGHT_COLORS[word]) ** 2).sum()),
  )


def direction_word(direction) -> str:
  """Return the word of `LIGHT_DIRECTIONS` nearest to f[3], toward the light."""
  direction = np.asarray(direction, np.float32)

  def agreement(word):
    axis = np.asarray(LIGHT_DIRECTIONS[word])
    return float(direction @ axis) / float(np.linalg.norm(axis))

  return max(LIGHT_DIRECTIONS, key=agreement)


def light_words(color: str = 'white', direction: str | None = None) -> str:
  """Return words for a light, e.g. 'lit by red light from the left'.

  Args:
    color: a word of `LIGHT_COLORS`.
    direction: a word of `LIGHT_DIRECTIONS`, or None for light from all sides.

  Raises:
    ValueError: an unknown word.
  """
  if color not in LIGHT_COLORS:
    raise ValueError(
      f'unknown light colour {color!r}: use one of {", ".join(LIGHT_COLORS)}'
    )
  if direction is None:
    return f'with uniform {color} light'
  if direction not in LIGHT_DIRECTIONS:
    raise ValueError(
      f'unknown light direction {direction!r}: use one of '
      f'{", ".join(LIGHT_DIRECTIONS)} or None'
    )
  article = '' if direction in ('above', 'below') else 'the '
  return f'lit by {color} light from {article}{direction}'


def _in_words(azimuth: float, elevation: float, light: str) -> list[str]:
  """Return 'looking from above', and the light."""
  return [view_words(azimuth, elevation), light]


def _in_numbers(azimuth: float, elevation: float, light: str) -> list[str]:
  """Return 'at position x, y, z', and the light."""
  return [view_numbers(azimuth, elevation), light]


def _plainly(azimuth: float, elevation: float, light: str) -> list[str]:
  """Return nothing: the prompt is left alone."""
  del azimuth, elevation, light
  return []


# What follows a prompt: (azimuth, elevation, words of the light) -> words.
PROMPT_FORMS = {'words': _in_words, 'numbers': _in_numbers, 'plain': _plainly}


def adjust(prompt: str, view: str = '', light: str = '') -> str:
  """Return a prompt followed by view and light words, those that are given."""
  return ', '.join(part for part in (prompt.strip(), view, light) if part)


def with_adjective(words: str, adjective: str) -> str:
  """Return words with an adjective behind their article, if they have one.

  'a Bengal tiger' and 'stone' give 'a stone Bengal tiger'.
  """
  first, _, rest = words.strip().partition(' ')
  if rest and first.lower() in ('a', 'an', 'the'):
    article = first if first.lower() == 'the' else ''
    noun = f'{adjective} {rest}'
    return f'{article} {noun}' if article else with_article(noun)
  return f'{adjective} {words.strip()}'


def with_article(words: str) -> str:
  """Return words behind 'a' or 'an'."""
  return ('an ' if words[0].lower() in 'aeio' else 'a ') + words
