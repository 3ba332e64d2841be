"""Emoji: Fluent's 3D people and smileys.

They come from npm when a set is built (see `art`), under the MIT licence. What
their names say (sex, age, profession, skin) becomes captions and attributes.
"""

from collections.abc import Iterator
import pathlib
import re
import unicodedata

import numpy as np
from PIL import Image

from maskjax.data.people import words as people_words
from maskjax.data.styles import art, found_pictures, style as style_lib

# Fluent's people, head and shoulders: alone, with a sex, or with a profession.
_PEOPLE = ('1f466', '1f467', '1f468', '1f469', '1f474', '1f475', '1f478',
           '1f934', '1f9d1', '1f9d5')  # fmt: skip
_SEXED = (
  '1f46e',
  '1f470',
  '1f471',
  '1f473',
  '1f477',
  '1f482',
  '1f935',
  '1f9d4',
)
# Those with shoulders; the others of these are lone heads.
_BUSTS = ('1f46e', '1f470', '1f477', '1f478', '1f482', '1f934', '1f935',
          '1f9d5')  # fmt: skip
_JOB_WORDS = {
  '1f33e': 'farmer', '1f373': 'cook', '1f393': 'student', '1f3a4': 'singer',
  '1f3a8': 'artist', '1f3ed': 'factory worker', '1f527': 'mechanic',
  '1f52c': 'scientist', '1f680': 'astronaut', '1f692': 'firefighter',
  '1f9b0': 'with red hair', '1f9b1': 'with curly hair', '1f9b2': 'without hair',
  '1f9b3': 'with white hair', '2695-fe0f': 'health worker',
  '2696-fe0f': 'judge', '2708-fe0f': 'pilot',
}  # fmt: skip
_SEX_WORDS = {'2640-fe0f': 'woman', '2642-fe0f': 'man'}
# Unicode's nouns that nobody says.
_NOUNS = {
  'adult': 'person',
  'older man': 'old man',
  'older woman': 'old woman',
}


def names() -> list[str]:
  """Return the names of Fluent's people, code points joined by '-'."""
  skins = [f'{skin:x}' for skin in art.SKINS]
  result = []
  for person in _PEOPLE:
    result += [person, *(f'{person}-{skin}' for skin in skins)]
  for person in _SEXED:
    for sex in _SEX_WORDS:
      result += [f'{person}-200d-{sex}']
      result += [f'{person}-{skin}-200d-{sex}' for skin in skins]
  for person in ('1f468', '1f469', '1f9d1'):
    for job in _JOB_WORDS:
      result += [f'{person}-200d-{job}']
      result += [f'{person}-{skin}-200d-{job}' for skin in skins]
  return result


def smileys() -> list[str]:
  """Return the names of Fluent's smileys."""
  return [n for n in art.selection(art.STYLES[0]) if art.is_smiley(n)]


def caption(name: str) -> str:
  """Put one of `names` into words, e.g. 'a 3D emoji of a woman cook'."""
  first, _, rest = name.partition('-200d-')
  points = first.split('-')
  noun = unicodedata.name(chr(int(points[0], 16))).lower()
  noun = _NOUNS.get(noun, noun)
  words = noun
  if rest in _SEX_WORDS:
    words = f'{_SEX_WORDS[rest]}, {noun}'
  elif rest in _JOB_WORDS:
    words = f'{noun} {_JOB_WORDS[rest]}'
  if len(points) > 1:
    words += f', {art.SKINS[art.true_skin(int(points[1], 16))]} skin'
  return f'a 3D emoji of a {words}'


def attributes(words: str) -> dict[str, bool]:
  """Return what the caption of a person tells.

  Args:
    words: of `caption`.

  Returns:
    {word of `people.words.ATTRIBUTES`: whether it holds}.
  """
  told = dict.fromkeys(people_words.ATTRIBUTES, False)
  return told | {
    'male': bool(re.search(r'\b(man|boy|prince)\b', words)),
    'old': ' old ' in words or 'white hair' in words,
    'child': bool(re.search(r'\b(boy|girl)\b', words)),
    'beard': 'beard' in words,
    'bald': 'without hair' in words,
    'curly hair': 'curly hair' in words,
    'red hair': 'red hair' in words,
    'blond hair': 'blond' in words,
    'grey hair': 'white hair' in words,
    'hat': bool(re.search('turban|guard|police|construction', words)),
    'fair skin': words.endswith(', light skin'),
    'dark skin': words.endswith(', dark skin'),
    'smiling': True,
  }


def _is_bust(name: str) -> bool:
  """Tell whether an emoji shows shoulders."""
  job = name.partition('-200d-')[2]
  # Jobs that are hair ('1f9b...') leave a person a lone head.
  dressed = job in _JOB_WORDS and not job.startswith('1f9b')
  return name[:5] in _BUSTS or dressed


def pictures(
  *, folder: str | pathlib.Path, seed: int = 0, size: int = 64, start: int = 0
) -> Iterator[style_lib.StylePicture]:
  """Show Fluent's 3D people and smileys, without end: they come again.

  Args:
    folder: of `art.fetch_fluent`.
    seed: of order, background and mirroring.
    size: pixels a side.
    start: the first number.

  Yields:
    Pictures; the identity is the number of the emoji.

  Raises:
    FileNotFoundError: a picture is missing.
  """
  bodies = names()
  everyone = bodies + smileys()
  number = start
  while True:
    order = np.random.default_rng([seed, number // len(everyone)])
    which = int(order.permutation(len(everyone))[number % len(everyone)])
    name = everyone[which]
    rng = np.random.default_rng([seed, number, 3])
    with Image.open(pathlib.Path(folder) / f'{name}.webp') as file:
      picture = file.convert('RGBA')
    body = which < len(bodies)
    words = caption(name) if body else art.caption(name, art.STYLES[0])
    zoom, top = rng.uniform(0.86, 0.94), 0.05
    if body:
      # Busts are drawn smaller than lone heads.
      zoom, top = (1.32, 0.03) if _is_bust(name) else (0.98, 0.02)
      zoom *= rng.uniform(0.96, 1.04)
    image = found_pictures.frame(picture, rng, size=size, zoom=zoom, top=top)
    told = attributes(words) if body else {}
    yield found_pictures.labelled(image, words, told, which)
    number += 1


def origins() -> list[dict[str, str]]:
  """Return the package of the pictures, and its licence."""
  package = 'npm @lobehub/fluent-emoji-3d 1.1.0 (Fluent Emoji, Microsoft)'
  return [{'origin': package, 'licence': 'MIT'}]


STYLE = style_lib.Style(
  name='emoji',
  source=style_lib.Source('fluent', origins),
  pictures=pictures,
  fetch=art.fetch_fluent,
  folder='out/emoji',
)
