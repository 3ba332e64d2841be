"""Artistic sets written to shards; a learner is given pictures only.

Shapes: `n` pictures, `s` pixels a side.
"""

from collections.abc import Callable, Iterator
import functools
import itertools
import pathlib
from typing import Any, NamedTuple

import numpy as np

from maskjax.data import shards
from maskjax.data.people import face_images, words as people_words
from maskjax.data.styles import drawn_faces, drawn_people
from maskjax.training import files

NAMES = (*drawn_people.NAMES, 'emoji')
SOURCES = ('people', 'dicebear', 'fluent')
_UNKNOWN = 255


class StyleImages(NamedTuple):
  """Pictures of one style and what is known of them.

  Cameras and landmarks are for evaluation only; nan where there are none.
  """

  rgb: np.ndarray  # uint8 [n, s, s, 3] sRGB
  attributes: np.ndarray  # uint8 [n, len(people_words.ATTRIBUTES)]; 255 unknown
  camera: np.ndarray  # float32 [n, 25] as in face_images.FaceImages
  landmarks: np.ndarray  # float32 [n, 468, 2]
  identity: np.ndarray  # int32 [n] within the source
  source: np.ndarray  # uint8 [n] index into SOURCES
  caption: np.ndarray  # str [n]


def source(
  name: str, *, emoji: str = ''
) -> Callable[..., Iterator[drawn_people.StylePicture]]:
  """Return the function (seed, size, start) -> pictures of a style.

  Args:
    name: of `NAMES`, or 'dicebear'.
    emoji: folder of `art.fetch_fluent`, for the style 'emoji'.

  Raises:
    ValueError: an unknown style, or no folder of emoji.
  """
  if name == 'dicebear':
    return drawn_faces.dicebear
  if name not in NAMES:
    raise ValueError(f'unknown style {name!r}: use one of {", ".join(NAMES)}')
  if name != 'emoji':
    return functools.partial(drawn_people.pictures, name)
  if not emoji:
    raise ValueError(
      "style 'emoji' needs the folder of the pictures: --config.emoji=DIR"
    )
  return functools.partial(drawn_faces.emoji, emoji)


def _rows(
  pictures: Iterator[drawn_people.StylePicture], count: int, source: str
) -> dict[str, list]:
  rows: dict[str, list] = {name: [] for name in StyleImages._fields}
  for picture in itertools.islice(pictures, count):
    told = picture.attributes
    rows['rgb'].append(picture.image)
    rows['attributes'].append(
      [told.get(name, _UNKNOWN) for name in people_words.ATTRIBUTES]
    )
    camera, points = picture.camera, picture.landmarks
    rows['camera'].append(np.full(25, np.nan) if camera is None else camera)
    rows['landmarks'].append(
      np.full((468, 2), np.nan) if points is None else points
    )
    rows['identity'].append(picture.identity)
    rows['source'].append(SOURCES.index(source))
    rows['caption'].append(picture.caption)
  return rows


def build_shard(
  path: pathlib.Path,
  index: int,
  *,
  style: str,
  seed: int,
  count: int,
  size: int,
  dicebear: bool = False,
  emoji: str = '',
) -> None:
  """Draw shard `index` to `path` (.npz); an existing file is kept.

  Args:
    path: where to.
    index: of the shard.
    style: of `NAMES`.
    seed: of the set.
    count: pictures of a shard.
    size: pixels a side.
    dicebear: whether half of the cartoons are DiceBear's.
    emoji: folder of `art.fetch_fluent`, for the style 'emoji'.

  Raises:
    ValueError: an unknown style, or a source that is missing.
  """
  if path.exists():
    return
  sources = {
    'fluent' if style == 'emoji' else 'people': source(style, emoji=emoji)
  }
  if style == 'cartoon' and dicebear:
    sources['dicebear'] = source('dicebear')
  share = count // len(sources)
  joined: dict[str, list] = {name: [] for name in StyleImages._fields}
  for name_of, pictures in sources.items():
    drawn = pictures(seed=seed, size=size, start=index * share)
    for name, values in _rows(drawn, share, name_of).items():
      joined[name] += values
  dtypes = {
    'rgb': np.uint8, 'attributes': np.uint8, 'camera': np.float32,
    'landmarks': np.float32, 'identity': np.int32, 'source': np.uint8,
  }  # fmt: skip
  fields: dict[str, Any] = {
    name: np.asarray(values, dtypes.get(name))
    for name, values in joined.items()
  }
  with files.replacing(path) as temporary:
    np.savez_compressed(temporary, **fields)


def load(paths: list[pathlib.Path]) -> StyleImages:
  """Read shards into one `StyleImages`; see `shards.load` for its errors."""
  return StyleImages(**shards.load(paths, StyleImages._fields))


def manifest(folder: pathlib.Path, recipe: dict[str, Any]) -> dict[str, Any]:
  """Describe a finished set: sources with licences, recipe, shards.

  Args:
    folder: of the shards.
    recipe: the numbers that they were made by, `build_shard`'s among them.

  Returns:
    What `manifest.json` holds.
  """
  images = load(sorted(folder.glob('*.npz')))
  used = {SOURCES[k] for k in np.unique(images.source)}
  listed: list[dict[str, str]] = []
  if 'people' in used:
    listed += face_images.sources()
  if 'dicebear' in used:
    listed += [
      {
        'origin': f'PyPI dicebear-styles 10.6.0, {name}',
        'licence': drawn_faces.licence(name),
      }
      for name in drawn_faces.DICEBEAR
    ]
  if 'fluent' in used:
    package = 'npm @lobehub/fluent-emoji-3d 1.1.0 (Fluent Emoji, Microsoft)'
    listed.append({'origin': package, 'licence': 'MIT'})
  return {
    'images': len(images.rgb),
    'recipe': recipe,
    'attributes': list(people_words.ATTRIBUTES),
    'unknown_attribute': _UNKNOWN,
    'source_names': list(SOURCES),
    'sources': listed,
    'shards': shards.digests(folder),
  }
