"""Faces that others drew: DiceBear's cartoon people, Fluent's 3D emoji.

Both come from packages (`pip`, `npm`) when a set is built; nothing of them is
kept in this repository. They have no cameras. What the packages name (hair,
glasses, mood, skin) becomes captions and attributes.

DiceBear's styles are under licences of their own, told by `licence`: CC0 1.0
or CC BY 4.0 (name the artist). Fluent Emoji is under the MIT licence.
"""

from collections.abc import Iterator
import functools
import importlib.resources
import io
import json
import pathlib
import re
import unicodedata

from jaxtyping import Float
import numpy as np

from maskjax.data.people import words as people_words
from maskjax.data.styles import art, drawn_people
from maskjax.geometry import color

# Styles of DiceBear that show a front face with eyes, nose and mouth.
DICEBEAR = ('toon-head', 'adventurer', 'micah', 'personas', 'big-smile')
_MISSING = (
  "DiceBear is not installed: run pip install 'maskjax[styles]' to draw its "
  'faces'
)
_SKINS = art.SKINS
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


def _soft_background(rng, size) -> Float[np.ndarray, 's s 3']:
  """A pale wall, graded."""
  first = rng.uniform(0.55, 1.0, 3) ** 0.7
  second = first * rng.uniform(0.7, 1.0)
  ramp = np.linspace(0, 1, size)[:, None, None]
  return np.broadcast_to(first + (second - first) * ramp, (size, size, 3))


def _frame(picture, rng, size, zoom, top):
  """Put an RGBA picture before a background, `zoom` times its size.

  Its upper edge comes to `top`, in sizes of the result.
  """
  from PIL import Image

  side = round(size * zoom)
  small = picture.resize((side, side), Image.Resampling.LANCZOS)
  canvas = Image.new('RGBA', (size, size))
  canvas.paste(small, ((size - side) // 2, round(top * size)))
  values = np.asarray(canvas, np.float64) / 255
  alpha = values[..., 3:]
  if rng.random() < 0.5:
    values, alpha = values[:, ::-1], alpha[:, ::-1]
  behind = _soft_background(rng, size)
  image = values[..., :3] * alpha + behind * (1 - alpha)
  return color.to_bytes(image)


def _picture(image, caption, told, identity):
  return drawn_people.StylePicture(
    image=image,
    caption=caption,
    attributes=told,
    camera=None,
    landmarks=None,
    identity=identity,
  )


@functools.cache
def _definition(name):
  """Read a style of DiceBear: (its definition, the object that draws it)."""
  try:
    import dicebear
  except ImportError:
    raise ValueError(_MISSING) from None
  if name not in DICEBEAR:
    raise ValueError(
      f'unknown DiceBear style {name!r}: use one of {", ".join(DICEBEAR)}'
    )
  folder = importlib.resources.files('dicebear_styles')
  definition = json.loads(folder.joinpath(f'{name}.json').read_text('utf-8'))
  return definition, dicebear.Style(definition)


def licence(name: str) -> str:
  """Return artist and licence of a DiceBear style, e.g. 'X, CC BY 4.0'.

  Raises:
    ValueError: an unknown style, or DiceBear is missing.
  """
  meta = _definition(name)[0]['meta']
  return f'{meta["creator"]["name"]}, {meta["license"]["name"]}'


def _darkness(code):
  rgb = [int(code[k : k + 2], 16) / 255 for k in (1, 3, 5)]
  return 1 - float(np.dot(rgb, [0.3, 0.59, 0.11]))


def _dicebear_attributes(options):
  """Read the attributes that DiceBear's components tell."""

  def variant(part):
    return str(options.get(f'{part}Variant') or '').lower()

  hair = variant('hair') + variant('rearHair')
  mouth, eyes = variant('mouth'), variant('eyes')
  skin = (options.get('skinColor') or options.get('baseColor') or ['#d0a080'])[
    0
  ]
  worn = variant('glasses') + variant('accessories')
  beard = bool(variant('beard') + variant('facialHair'))
  told = dict.fromkeys(people_words.ATTRIBUTES, False)
  told |= {
    'smiling': bool(re.search('smile|laugh|happy|smirk|cheek', mouth)),
    'mouth open': bool(re.search('open|surpr|laugh|agape|teeth', mouth)),
    'eyes closed': bool(re.search('sleep|closed|wink', eyes)),
    'frowning': bool(re.search('frown|sad|angry|nervous', mouth + eyes)),
    'glasses': 'glass' in worn or bool(variant('glasses')),
    'sunglasses': 'sunglass' in worn or 'shades' in worn,
    'beard': beard,
    'long hair': 'long' in hair,
    'short hair': 'short' in hair or 'buzz' in hair,
    'curly hair': bool(re.search('curl|afro|fro', hair)),
    'tied hair': bool(re.search('bun|pony|pig', hair)),
    'bald': bool(re.search('bald|mrclean', hair)),
    'dark skin': _darkness(skin) > 0.6,
    'fair skin': _darkness(skin) < 0.25,
  }
  return told


def dicebear(
  *,
  seed: int = 0,
  size: int = 64,
  start: int = 0,
  names: tuple[str, ...] = DICEBEAR,
) -> Iterator[drawn_people.StylePicture]:
  """Draw cartoon people of DiceBear, without end.

  Args:
    seed: of the people.
    size: pixels a side.
    start: the first number.
    names: the styles to take turns.

  Yields:
    StylePicture of people `start`, `start + 1`, ...

  Raises:
    ValueError: an unknown style, or DiceBear is missing.
  """
  for name in names:
    _definition(name)
  try:
    import resvg_py
  except ImportError:
    raise ValueError(_MISSING) from None
  import dicebear as dicebear_lib
  from PIL import Image

  identity = start
  while True:
    name = names[identity % len(names)]
    avatar = dicebear_lib.Avatar(
      _definition(name)[1], {'seed': f'{seed}-{identity}'}
    )
    drawn = resvg_py.svg_to_bytes(
      svg_string=avatar.to_string(), width=2 * size, height=2 * size
    )
    picture = Image.open(io.BytesIO(bytes(drawn))).convert('RGBA')
    rng = np.random.default_rng([seed, identity, 2])
    told = _dicebear_attributes(avatar.to_json()['options'])
    words = [word for word, holds in told.items() if holds]
    caption = ', '.join(['a cartoon of a person', *words])
    yield _picture(
      _frame(picture, rng, size, 1.0, 0.0), caption, told, identity
    )
    identity += 1


def emoji_names() -> list[str]:
  """Return the names of Fluent's people, code points joined by '-'."""
  skins = [f'{skin:x}' for skin in _SKINS]
  names = []
  for person in _PEOPLE:
    names += [person, *(f'{person}-{skin}' for skin in skins)]
  for person in _SEXED:
    for sex in _SEX_WORDS:
      names += [f'{person}-200d-{sex}']
      names += [f'{person}-{skin}-200d-{sex}' for skin in skins]
  for person in ('1f468', '1f469', '1f9d1'):
    for job in _JOB_WORDS:
      names += [f'{person}-200d-{job}']
      names += [f'{person}-{skin}-200d-{job}' for skin in skins]
  return names


def smileys() -> list[str]:
  """Return the names of Fluent's smileys."""
  return [n for n in art.selection(art.STYLES[0]) if art.is_smiley(n)]


def emoji_caption(name: str) -> str:
  """Put one of `emoji_names` into words, e.g. 'a 3D emoji of a woman cook'."""
  first, _, rest = name.partition('-200d-')
  points = first.split('-')
  noun = unicodedata.name(chr(int(points[0], 16))).lower()
  noun = {
    'adult': 'person',
    'older man': 'old man',
    'older woman': 'old woman',
  }.get(noun, noun)
  words = noun
  if rest in _SEX_WORDS:
    words = f'{_SEX_WORDS[rest]}, {noun}'
  elif rest in _JOB_WORDS:
    words = f'{noun} {_JOB_WORDS[rest]}'
  if len(points) > 1:
    words += f', {_SKINS[art.true_skin(int(points[1], 16))]} skin'
  return f'a 3D emoji of a {words}'


def _emoji_attributes(caption):
  told = dict.fromkeys(people_words.ATTRIBUTES, False)
  told |= {
    'male': bool(re.search(r'\b(man|boy|prince)\b', caption)),
    'old': ' old ' in caption or 'white hair' in caption,
    'child': bool(re.search(r'\b(boy|girl)\b', caption)),
    'beard': 'beard' in caption,
    'bald': 'without hair' in caption,
    'curly hair': 'curly hair' in caption,
    'red hair': 'red hair' in caption,
    'blond hair': 'blond' in caption,
    'grey hair': 'white hair' in caption,
    'hat': bool(re.search('turban|guard|police|construction', caption)),
    'fair skin': caption.endswith(', light skin'),
    'dark skin': caption.endswith(', dark skin'),
    'smiling': True,
  }
  return told


def emoji(
  folder: str | pathlib.Path, *, seed: int = 0, size: int = 64, start: int = 0
) -> Iterator[drawn_people.StylePicture]:
  """Show Fluent's 3D people and smileys, without end: they come again.

  Args:
    folder: of `art.fetch_fluent`.
    seed: of order, background and mirroring.
    size: pixels a side.
    start: the first number.

  Yields:
    StylePicture; its identity is the number of the emoji.

  Raises:
    FileNotFoundError: a picture is missing.
  """
  from PIL import Image

  bodies = emoji_names()
  names = bodies + smileys()
  number = start
  while True:
    order = np.random.default_rng([seed, number // len(names)])
    which = int(order.permutation(len(names))[number % len(names)])
    name = names[which]
    rng = np.random.default_rng([seed, number, 3])
    with Image.open(pathlib.Path(folder) / f'{name}.webp') as file:
      picture = file.convert('RGBA')
    body = which < len(bodies)
    caption = emoji_caption(name) if body else art.caption(name, art.STYLES[0])
    zoom, top = rng.uniform(0.86, 0.94), 0.05
    if body:
      # Busts are drawn smaller than lone heads.
      job = name.partition('-200d-')[2]
      bust = name[:5] in _BUSTS or (
        job in _JOB_WORDS and not job.startswith('1f9b')
      )
      zoom, top = (1.32, 0.03) if bust else (0.98, 0.02)
      zoom *= rng.uniform(0.96, 1.04)
    told = _emoji_attributes(caption) if body else {}
    yield _picture(_frame(picture, rng, size, zoom, top), caption, told, which)
    number += 1
