"""The table of styles: one row each, and nothing else lists them.

To add a style, write a file that ends in `STYLE = ...`, as `comic.py` does,
and give it a row here. Configs, commands, contact sheets and shards read this
table. New rows go last: shards store the number of a picture's source.
"""

from collections.abc import Mapping

from maskjax.data.styles import (
  caricature,
  cartoon,
  comic,
  dicebear_people,
  emoji,
  pixar,
  style as style_lib,
)

_ROWS = (
  caricature.STYLE,
  pixar.STYLE,
  cartoon.STYLE,
  comic.STYLE,
  dicebear_people.STYLE,
  emoji.STYLE,
)
STYLES: Mapping[str, style_lib.Style] = {style.name: style for style in _ROWS}
NAMES = tuple(STYLES)
SOURCES: Mapping[str, style_lib.Source] = {
  style.source.name: style.source for style in _ROWS
}


def get(name: str) -> style_lib.Style:
  """Return a style by its name.

  Raises:
    ValueError: there is none of that name.
  """
  if name not in STYLES:
    raise ValueError(f'unknown style {name!r}: use one of {", ".join(NAMES)}')
  return STYLES[name]
