"""Captions: words for a head, followed by those of its camera and light.

`studio.words` has the words of views and lights, which prompts share.
"""

from collections.abc import Sequence

import numpy as np

from maskjax.data.creatures import table, traits
from maskjax.studio import words as studio_words

# What each kind is called.
NAMES = {name: kind.names for name, kind in table.KINDS.items()}
_TEMPLATES = (
  '{a} mask',
  '{a} mask',
  '{a}',
  '{a} face',
  '{a} head',
  'head of {a}',
  'face of {a}',
  'a mask of {a}',
  'a 3D mask of {a}',
  'a 3D render of {a} head',
)


def subject(
  kind: str, modifiers: Sequence[str], rng: np.random.Generator
) -> str:
  """Return a head's name with its modifiers, e.g. 'old white wolf'."""
  row = table.get(kind)
  names = [
    name
    for name in row.names
    if not set(modifiers) & set(row.clashes.get(name, ()))
  ]
  order = traits.MOODS + traits.AGES + traits.COLORS + traits.MATERIALS
  words = sorted(modifiers, key=order.index)
  return ' '.join([*words, names[rng.integers(len(names))]])


def caption(
  kind: str,
  modifiers: Sequence[str],
  view: tuple[float, float] | None,
  light: tuple[str, str | None] | None,
  rng: np.random.Generator,
  *,
  drop: float = 0.15,
  numbers: float = 0.1,
) -> str:
  """Return a caption of an image of a head.

  Args:
    kind: a key of `NAMES`.
    modifiers: words of `traits.MODIFIERS`.
    view: azimuth and elevation of the camera in degrees, or None.
    light: arguments of `studio.words.light_words`, or None.
    rng: draws template, synonym, and what is left out.
    drop: chance that the view, and likewise the light, is left out.
    numbers: chance that the view is told in numbers.

  Returns:
    For instance 'an old white wolf mask, front view, with uniform white
    light'.
  """
  template = _TEMPLATES[rng.integers(len(_TEMPLATES))]
  text = template.format(
    a=studio_words.with_article(subject(kind, modifiers, rng))
  )
  chances = rng.random(3)
  view_text = light_text = ''
  if view is not None and chances[0] >= drop:
    name = (
      studio_words.view_numbers
      if chances[1] < numbers
      else studio_words.view_words
    )
    view_text = name(*view)
  if light is not None and chances[2] >= drop:
    light_text = studio_words.light_words(*light)
  return studio_words.adjust(text, view_text, light_text)
