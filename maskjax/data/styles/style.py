"""Styles are values: what a set of artistic pictures is, and one picture.

A file of this folder defines a style and `styles.STYLES` lists it; nothing
else has to know of it.

Shapes: `s` pixels a side.
"""

from collections.abc import Callable, Iterator
import dataclasses
from typing import NamedTuple

from jaxtyping import Float, UInt8
import numpy as np


class StylePicture(NamedTuple):
  """One picture of an artistic set.

  Attributes:
    image: sRGB.
    caption: words for it.
    attributes: {word of `people.words.ATTRIBUTES`: whether it holds}, or {}
      where the source does not tell.
    camera: f32[25] of the data set's world (see `face_images`), or None.
    landmarks: f32[468, 2] in [0, 1], or None.
    identity: number of the person, who looks the same in every style.
  """

  image: UInt8[np.ndarray, 's s 3']
  caption: str
  attributes: dict[str, bool]
  camera: Float[np.ndarray, '25'] | None
  landmarks: Float[np.ndarray, '468 2'] | None
  identity: int


class Source(NamedTuple):
  """Where pictures come from.

  Attributes:
    name: what manifests call it.
    origins: returns, for each thing that the pictures are made of, its
      'origin' and 'licence' (and more, where it is known).
  """

  name: str
  origins: Callable[[], list[dict[str, str]]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Style:
  """A style of pictures.

  Attributes:
    name: the word for it in commands.
    source: where its pictures come from.
    pictures: maps the keywords `seed`, `size` (pixels a side) and `start`
      (the first number) to an endless iterator of `StylePicture`; where there
      is a `fetch`, `folder` too.
    fetch: gets the files that the pictures are made of into a folder, unless
      they are there, and returns the `folder` for `pictures`; None where
      nothing has to be fetched.
    folder: where `fetch` puts them unless told otherwise.
    second: name of the style that half of a set may be of, or ''.
  """

  name: str
  source: Source
  pictures: Callable[..., Iterator[StylePicture]]
  fetch: Callable[[str], object] | None = None
  folder: str = ''
  second: str = ''
