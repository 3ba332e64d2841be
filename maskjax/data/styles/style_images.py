"""Artistic sets written to shards; a learner is given pictures only.

Shapes: `n` pictures, `s` pixels a side.
"""

from collections.abc import Callable, Iterator
import dataclasses
import functools
import itertools
import pathlib
from typing import Any, NamedTuple

from jaxtyping import Float, Int, Shaped, UInt8
import numpy as np

from maskjax.data import shards
from maskjax.data.people import words as people_words
from maskjax.data.styles import style as style_lib, styles
from maskjax.training import files, settings, workdir

_UNKNOWN = 255
_DTYPES = {
  'rgb': np.uint8, 'attributes': np.uint8, 'camera': np.float32,
  'landmarks': np.float32, 'identity': np.int32, 'source': np.uint8,
}  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
  """What a set is made by; `configs/styles.py` gives the numbers."""

  style: str = settings.choice(*styles.NAMES)
  seed: int = settings.seed()  # of the people
  shards: int = settings.number(1, 10**6)
  count: int = settings.number(1, 10**6)  # pictures in a shard
  size: int = settings.number(8, 2048)  # pixels a side
  # Whether half of the pictures are of the style's second one.
  dicebear: bool
  emoji: str  # folder that pictures of others are fetched into; '': none


class StyleImages(NamedTuple):
  """Pictures of one style and what is known of them.

  Cameras and landmarks are for evaluation only; nan where there are none.

  Attributes:
    rgb: sRGB.
    attributes: of `people.words.ATTRIBUTES`, 0 or 1; 255 where unknown.
    camera: as in `face_images.FaceImages`.
    landmarks: in [0, 1], x right and y down.
    identity: number within the source.
    source: index into the keys of `styles.SOURCES`.
    caption: str[n].
  """

  rgb: UInt8[np.ndarray, 'n s s 3']
  attributes: UInt8[np.ndarray, 'n a']
  camera: Float[np.ndarray, 'n 25']
  landmarks: Float[np.ndarray, 'n 468 2']
  identity: Int[np.ndarray, 'n']
  source: UInt8[np.ndarray, 'n']
  caption: Shaped[np.ndarray, 'n']


def source(
  style: style_lib.Style, *, folder: str = ''
) -> Callable[..., Iterator[style_lib.StylePicture]]:
  """Return the function (seed, size, start) -> pictures of a style.

  Args:
    style: of `styles.STYLES`.
    folder: what its `fetch` returned, where it has one.

  Raises:
    ValueError: no folder for a style of fetched pictures.
  """
  if not style.fetch:
    return style.pictures
  if not folder:
    raise ValueError(
      f'style {style.name!r} needs the folder of the pictures: '
      '--config.emoji=DIR'
    )
  return functools.partial(style.pictures, folder=folder)


def _rows(
  pictures: Iterator[style_lib.StylePicture], count: int, source: str
) -> dict[str, list[Any]]:
  """Return the fields of `StyleImages` for the next pictures, as lists."""
  rows: dict[str, list[Any]] = {name: [] for name in StyleImages._fields}
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
    rows['source'].append(list(styles.SOURCES).index(source))
    rows['caption'].append(picture.caption)
  return rows


def build_shard(path: pathlib.Path, index: int, *, recipe: Recipe) -> None:
  """Draw shard `index` to `path` (.npz); an existing file is kept.

  Args:
    path: where to.
    index: of the shard.
    recipe: of the set; its `emoji` is the folder that was fetched.

  Raises:
    ValueError: an unknown style, or a source that is missing.
  """
  if path.exists():
    return
  style = styles.get(recipe.style)
  mixed = [style]
  if recipe.dicebear and style.second:
    mixed.append(styles.get(style.second))
  share = recipe.count // len(mixed)
  joined: dict[str, list[Any]] = {name: [] for name in StyleImages._fields}
  for part in mixed:
    drawn = source(part, folder=recipe.emoji)(
      seed=recipe.seed, size=recipe.size, start=index * share
    )
    for name, values in _rows(drawn, share, part.source.name).items():
      joined[name] += values
  fields: dict[str, Any] = {
    name: np.asarray(values, _DTYPES.get(name))
    for name, values in joined.items()
  }
  with files.replacing(path) as temporary:
    np.savez_compressed(temporary, **fields)


def load(paths: list[pathlib.Path]) -> StyleImages:
  """Read shards into one `StyleImages`; see `shards.load` for its errors."""
  return StyleImages(**shards.load(paths, StyleImages.__annotations__))


def manifest(folder: pathlib.Path, recipe: Recipe) -> dict[str, Any]:
  """Describe a finished set: sources with licences, recipe, shards.

  Args:
    folder: of the shards.
    recipe: what they were made by.

  Returns:
    What `manifest.json` holds.
  """
  images = load(sorted(folder.glob('*.npz')))
  names = list(styles.SOURCES)
  used = [styles.SOURCES[names[k]] for k in np.unique(images.source)]
  return {
    'images': len(images.rgb),
    'recipe': dict(sorted(dataclasses.asdict(recipe).items())),
    'attributes': list(people_words.ATTRIBUTES),
    'unknown_attribute': _UNKNOWN,
    'source_names': names,
    'sources': [row for part in used for row in part.origins()],
    'shards': shards.digests(folder),
  }


def build(folder: pathlib.Path, recipe: Recipe, *, workers: int = 0) -> None:
  """Fetch what a set is made of, draw its missing shards, then the manifest.

  Args:
    folder: of the shards.
    recipe: of the set.
    workers: processes; 0: one per core.

  Raises:
    ValueError: a source that is missing, or the folder holds shards of
      another recipe.
  """
  style, fetched = styles.get(recipe.style), recipe
  if style.fetch and recipe.emoji:
    fetched = dataclasses.replace(recipe, emoji=str(style.fetch(recipe.emoji)))
  task = functools.partial(build_shard, recipe=fetched)
  with workdir.locked(folder):
    shards.claim(folder, recipe, may_change=('emoji',))
    shards.build_missing(
      task, folder, recipe.style, recipe.shards, workers=workers
    )
    files.write_json(folder / shards.MANIFEST, manifest(folder, recipe))
