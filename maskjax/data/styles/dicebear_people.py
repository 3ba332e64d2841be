"""DiceBear's cartoon people.

They come from PyPI (`pip install 'maskjax[styles]'`); each of DiceBear's
styles is under a licence of its own, told by `licence`: CC0 1.0 or CC BY 4.0
(name the artist). What its components are called (hair, glasses, mood, skin)
becomes captions and attributes.
"""

from collections.abc import Iterator, Mapping
import functools
import importlib.resources
import io
import json
import re
from typing import Any

import numpy as np
from PIL import Image

from maskjax.data.people import words as people_words
from maskjax.data.styles import found_pictures, style as style_lib

# Styles of DiceBear that show a front face with eyes, nose and mouth.
NAMES = ('toon-head', 'adventurer', 'micah', 'personas', 'big-smile')
_MISSING = (
  "DiceBear is not installed: run pip install 'maskjax[styles]' to draw its "
  'faces'
)


@functools.cache
def _definition(name: str) -> tuple[dict[str, Any], Any]:
  """Read a style of DiceBear: (its definition, the object that draws it)."""
  try:
    import dicebear
  except ImportError:
    raise ValueError(_MISSING) from None
  if name not in NAMES:
    raise ValueError(
      f'unknown DiceBear style {name!r}: use one of {", ".join(NAMES)}'
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


def _darkness(code: str) -> float:
  """Return how dark an sRGB colour such as '#ff8000' is, in [0, 1]."""
  rgb = [int(code[k : k + 2], 16) / 255 for k in (1, 3, 5)]
  return 1 - float(np.dot(rgb, [0.3, 0.59, 0.11]))


def attributes(options: Mapping[str, Any]) -> dict[str, bool]:
  """Read the attributes that DiceBear's components tell.

  Args:
    options: which component each part is of ('hairVariant', ...), and lists
      of colours ('skinColor', ...).

  Returns:
    {word of `people.words.ATTRIBUTES`: whether it holds}.
  """

  def variant(part: str) -> str:
    return str(options.get(f'{part}Variant') or '').lower()

  hair = variant('hair') + variant('rearHair')
  mouth, eyes = variant('mouth'), variant('eyes')
  skin = options.get('skinColor') or options.get('baseColor') or ['#d0a080']
  worn = variant('glasses') + variant('accessories')
  told = dict.fromkeys(people_words.ATTRIBUTES, False)
  return told | {
    'smiling': bool(re.search('smile|laugh|happy|smirk|cheek', mouth)),
    'mouth open': bool(re.search('open|surpr|laugh|agape|teeth', mouth)),
    'eyes closed': bool(re.search('sleep|closed|wink', eyes)),
    'frowning': bool(re.search('frown|sad|angry|nervous', mouth + eyes)),
    'glasses': 'glass' in worn or bool(variant('glasses')),
    'sunglasses': 'sunglass' in worn or 'shades' in worn,
    'beard': bool(variant('beard') + variant('facialHair')),
    'long hair': 'long' in hair,
    'short hair': 'short' in hair or 'buzz' in hair,
    'curly hair': bool(re.search('curl|afro|fro', hair)),
    'tied hair': bool(re.search('bun|pony|pig', hair)),
    'bald': bool(re.search('bald|mrclean', hair)),
    'dark skin': _darkness(skin[0]) > 0.6,
    'fair skin': _darkness(skin[0]) < 0.25,
  }


def pictures(
  *,
  seed: int = 0,
  size: int = 64,
  start: int = 0,
  names: tuple[str, ...] = NAMES,
) -> Iterator[style_lib.StylePicture]:
  """Draw cartoon people of DiceBear, without end.

  Args:
    seed: of the people.
    size: pixels a side.
    start: the first number.
    names: DiceBear's styles that take turns, of `NAMES`.

  Yields:
    Pictures of the people `start`, `start + 1`, ...

  Raises:
    ValueError: an unknown style, or DiceBear is missing.
  """
  for name in names:
    _definition(name)
  try:
    import resvg_py
  except ImportError:
    raise ValueError(_MISSING) from None
  import dicebear

  identity = start
  while True:
    name = names[identity % len(names)]
    avatar = dicebear.Avatar(
      _definition(name)[1], {'seed': f'{seed}-{identity}'}
    )
    drawn = resvg_py.svg_to_bytes(
      svg_string=avatar.to_string(), width=2 * size, height=2 * size
    )
    picture = Image.open(io.BytesIO(bytes(drawn))).convert('RGBA')
    rng = np.random.default_rng([seed, identity, 2])
    told = attributes(avatar.to_json()['options'])
    words = [word for word, holds in told.items() if holds]
    caption = ', '.join(['a cartoon of a person', *words])
    image = found_pictures.frame(picture, rng, size=size, zoom=1.0, top=0.0)
    yield found_pictures.labelled(image, caption, told, identity)
    identity += 1


def origins() -> list[dict[str, str]]:
  """Return DiceBear's styles with artist and licence."""
  return [
    {
      'origin': f'PyPI dicebear-styles 10.6.0, {name}',
      'licence': licence(name),
    }
    for name in NAMES
  ]


STYLE = style_lib.Style(
  name='dicebear',
  source=style_lib.Source('dicebear', origins),
  pictures=pictures,
)
