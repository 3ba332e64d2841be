"""Wavefront OBJ files and their materials, by the whole grammar in use.

Comments anywhere, lines that go on after a backslash, a byte order mark,
either end of line; indices from 1, or negative, from the line they stand in;
polygons of any shape; colours behind positions (sRGB in [0, 1] or 0..255),
`Kd` and `map_Kd` with its options, in `.mtl` files beside it. A picture takes
the place of `Kd`, and colours of vertices that of both.

Source: Wavefront, "Advanced Visualizer Manual", appendices B1 (OBJ), B5 (MTL).
"""

from collections.abc import Iterator, Sequence
import pathlib
import re
from typing import NamedTuple

from absl import logging
from jaxtyping import Float, Int
import numpy as np

from maskjax.geometry import polygons, scene_part

# Options of map_Kd and how many words follow; -o, -s, -t take 1 to 3 numbers.
_OPTIONS = {
  '-blendu': 1, '-blendv': 1, '-bm': 1, '-boost': 1, '-cc': 1, '-clamp': 1,
  '-imfchan': 1, '-mm': 2, '-texres': 1, '-type': 1,
}  # fmt: skip
_VECTORS = ('-o', '-s', '-t')
# Of a line, of a file, of all files: far above what programs write.
_MOST_OPTIONS, _MOST_LIBRARIES, _MOST_MATERIALS = 30, 100, 10_000
_LARGEST_INDEX = 2**31


class _Material(NamedTuple):
  """What a material says of colour; uvs are scaled, then moved."""

  color: tuple[float, ...] | None = None  # sRGB
  picture: pathlib.Path | str | None = None  # a name, until it is found
  scale: tuple[float, float] = (1.0, 1.0)
  offset: tuple[float, float] = (0.0, 0.0)
  clamp: bool = False


class _Content(NamedTuple):
  """What the lines of a file say; corners as (position, uv) from 0."""

  positions: list[list[str]]
  uvs: list[list[str]]
  polygons: list[list[tuple[int, int]]]
  materials: list[str]  # of each polygon
  libraries: list[str]


def _lines(path: pathlib.Path) -> Iterator[tuple[int, list[str], str]]:
  """Yield number, words, and the text behind the first word, of each line."""
  text = path.read_bytes().decode('utf-8-sig', errors='replace')
  whole, first = '', 0
  for number, line in enumerate(re.split(r'\r\n|\r|\n', text), start=1):
    first = first or number
    line = line.partition('#')[0]
    if line.rstrip().endswith('\\'):
      whole += line.rstrip()[:-1] + ' '
      continue
    words = (whole + line).split()
    if words:
      yield first, words, (whole + line).strip().partition(words[0])[2].strip()
    whole, first = '', 0


def _index(word: str, count: int) -> int:
  """Return a reference to one of the `count` rows so far, from 0."""
  index = int(word)
  if index == 0 or not -count <= index < _LARGEST_INDEX:
    raise ValueError(f'index {word[:20]}, there are {count} before it')
  return index - 1 if index > 0 else count + index


def _corner(word: str, content: _Content) -> tuple[int, int]:
  """Return position and uv of 'v', 'v/vt', 'v//vn' or 'v/vt/vn'; -1: none."""
  position, uv, *_ = [*word.split('/'), '']
  return (
    _index(position, len(content.positions)),
    _index(uv, len(content.uvs)) if uv else -1,
  )


def _parse(path: pathlib.Path) -> _Content:
  """Read the lines of an OBJ file."""
  content, material = _Content([], [], [], [], []), ''
  for number, words, rest in _lines(path):
    try:
      match words[0]:
        case 'v':
          content.positions.append(words[1:])
        case 'vt':
          content.uvs.append([*words[1:], '0'][:2])
        case 'f' | 'fo':
          content.polygons.append([_corner(w, content) for w in words[1:]])
          content.materials.append(material)
        case 'usemtl':
          material = rest
        case 'mtllib':
          content.libraries.append(rest)
    except ValueError as error:
      raise ValueError(f'line {number}: {error}') from None
  return content


def _numbers(
  rows: Sequence[Sequence[str]], width: int, what: str
) -> Float[np.ndarray, 'n w']:
  """Return the first numbers of rows, which have at least so many."""
  if any(len(row) < width for row in rows):
    raise ValueError(f'a {what} of fewer than {width} numbers')
  try:
    values = np.array([row[:width] for row in rows], dtype=np.float64)
  except ValueError as error:
    raise ValueError(f'a {what} that is no number: {error}') from None
  return values.reshape(-1, width)


def _vertex_colors(
  rows: Sequence[Sequence[str]],
) -> Float[np.ndarray, 'v 3'] | None:
  """Return the sRGB colours behind positions; white where a row has none."""
  # x y z w has no colour; x y z [w] r g b [a] has.
  starts = {6: 3, 7: 3, 8: 4}
  colored = [i for i, row in enumerate(rows) if len(row) in starts]
  if not colored:
    return None
  given = _numbers(
    [rows[i][starts[len(rows[i])] :] for i in colored], 3, 'colour'
  )
  if given.max() > 1.0:
    given = given / 255.0
  colors = np.ones((len(rows), 3))
  colors[colored] = np.clip(given, 0.0, 1.0)
  return colors


def _options(text: str) -> tuple[str, dict[str, list[str]]]:
  """Split `map_Kd`'s options from the name, which may have blanks."""
  found: dict[str, list[str]] = {}
  for _ in range(_MOST_OPTIONS):
    word, _, rest = text.partition(' ')
    if word in _OPTIONS:
      taken = rest.split(maxsplit=_OPTIONS[word])
      found[word], text = (
        taken[: _OPTIONS[word]],
        ''.join(taken[_OPTIONS[word] :]),
      )
    elif word in _VECTORS:
      match = re.match(r'(?:[-+.\d][-+.\deE]*\s+){1,3}', rest.lstrip())
      taken = [] if match is None else match[0].split()
      found[word] = taken
      text = rest.lstrip()[0 if match is None else match.end() :].strip()
    else:
      break
  return text.strip(), found


def _pair(words: Sequence[str], fill: float) -> tuple[float, float]:
  values = [float(word) for word in words[:2]]
  return (*values, fill, fill)[0], (*values, fill, fill)[1]


def _picture(text: str) -> _Material:
  """Read what a `map_Kd` line says."""
  name, options = _options(text)
  return _Material(
    picture=name,
    scale=_pair(options.get('-s', []), 1.0),
    offset=_pair(options.get('-o', []), 0.0),
    clamp=options.get('-clamp') == ['on'],
  )


def _with_pictures(
  path: pathlib.Path, materials: dict[str, _Material]
) -> dict[str, _Material]:
  """Find the pictures that materials name; those that are missing are told."""
  found, missing = {}, []
  for name, material in materials.items():
    picture = material.picture
    if isinstance(picture, str):
      picture = scene_part.beside(path, picture)
      if picture is None:
        missing.append(material.picture)
    found[name] = material._replace(picture=picture)
  if missing:
    more = f' and {len(missing) - 1} more' if len(missing) > 1 else ''
    logging.warning(
      '%s names the picture %.80r%s, which is missing', path, missing[0], more
    )
  return found


def _library(path: pathlib.Path) -> dict[str, _Material]:
  """Read the materials of a .mtl file by name."""
  materials: dict[str, _Material] = {}
  name = ''
  for number, words, rest in _lines(path):
    try:
      match words[0].lower():
        case 'newmtl':
          name = rest
          materials[name] = _Material()
          if len(materials) > _MOST_MATERIALS:
            raise ValueError(f'more than {_MOST_MATERIALS:,} materials')
        case 'kd' if len(words) > 1 and re.match(r'[-+.\d]', words[1]):
          values = tuple(float(w) for w in words[1:4])
          values = values if len(values) == 3 else values[:1] * 3
          materials[name] = materials[name]._replace(color=values)
        case 'map_kd':
          kept = materials[name].color
          materials[name] = _picture(rest)._replace(color=kept)
    except (ValueError, KeyError) as error:
      raise ValueError(f'{path.name}, line {number}: {error}') from None
  return _with_pictures(path, materials)


def _libraries(
  path: pathlib.Path, names: Sequence[str]
) -> dict[str, _Material]:
  """Read all .mtl files that an OBJ file names and that are there."""
  wanted: list[str] = []
  for text in dict.fromkeys(names):
    # One name with blanks, or several names.
    wanted += [text] if scene_part.beside(path, text) else text.split()
    if len(wanted) > _MOST_LIBRARIES:
      raise ValueError(f'it names more than {_MOST_LIBRARIES} material files')
  found = {name: scene_part.beside(path, name) for name in wanted}
  materials: dict[str, _Material] = {}
  for name in (name for name, file in found.items() if file is None):
    logging.warning('%s names %.80r, which is missing', path, name)
  for library in dict.fromkeys(file for file in found.values() if file):
    materials |= _library(library)
    if len(materials) > _MOST_MATERIALS:
      raise ValueError(f'it names more than {_MOST_MATERIALS:,} materials')
  return materials


def _material_colors(
  materials: dict[str, _Material],
  used: Sequence[str],
  kind: Int[np.ndarray, 'n'],
  uvs: Float[np.ndarray, 'n 2'],
) -> Float[np.ndarray, 'n 3'] | None:
  """Return linear colours of vertices by the material of each."""
  colors = np.ones((len(kind), 3), np.float32)
  order = np.argsort(kind, kind='stable')
  ends = np.searchsorted(kind[order], np.arange(len(used) + 1))
  pictures: dict[pathlib.Path, list[int]] = {}
  known = False
  for number, name in enumerate(used):
    material = materials.get(name, _Material())
    if isinstance(material.picture, pathlib.Path):
      pictures.setdefault(material.picture, []).append(number)
    elif material.color is not None:
      value = np.clip(np.array(material.color, np.float32), 0.0, 1.0)
      colors[order[ends[number] : ends[number + 1]]] = scene_part.linear(value)
      known = True
  left = scene_part.MOST_PIXELS
  for path, numbers in pictures.items():
    picture = scene_part.read_picture(path, left)
    left -= picture.shape[0] * picture.shape[1]
    for number in numbers:
      material = materials[used[number]]
      mine = order[ends[number] : ends[number + 1]]
      places = uvs[mine] * material.scale + material.offset
      wrap = 'clamp' if material.clamp else 'repeat'
      colors[mine] = scene_part.look_up(picture, places, wrap=(wrap, wrap))
  return colors if known or pictures else None


def read(path: pathlib.Path) -> list[scene_part.Part]:
  """Read an OBJ file as one piece.

  Args:
    path: the file; its materials and pictures lie beside it or below.

  Returns:
    The piece, in the file's units; none where there are no faces. Vertices at
    which uvs or materials meet are there several times.

  Raises:
    ValueError: a line that cannot be understood, by its number.
  """
  content = _parse(path)
  if not content.polygons:
    return []
  positions = _numbers(content.positions, 3, 'vertex')
  corners = np.array(
    [corner for polygon in content.polygons for corner in polygon], np.int64
  ).reshape(-1, 2)
  if corners.size and corners[:, 0].max() >= len(positions):
    raise ValueError(
      f'a face names vertex {corners[:, 0].max() + 1} of {len(positions)}'
    )
  if corners.size and corners[:, 1].max() >= len(content.uvs):
    raise ValueError(
      f'a face names uv {corners[:, 1].max() + 1} of {len(content.uvs)}'
    )
  triangles, _ = polygons.triangulate(
    positions, [[p for p, _ in polygon] for polygon in content.polygons]
  )
  used = sorted(set(content.materials))
  places = {name: number for number, name in enumerate(used)}
  kinds = np.array([places[name] for name in content.materials], np.int64)
  sides = [len(polygon) for polygon in content.polygons]
  rows = np.concatenate([corners, np.repeat(kinds, sides)[:, None]], 1)
  # Corners of polygons that are no triangles make no vertex.
  rows, index = np.unique(
    rows[triangles.reshape(-1)], axis=0, return_inverse=True
  )
  place, uv, kind = rows.T
  has_uvs = bool((uv >= 0).any())
  uvs = np.zeros((len(rows), 2))
  if has_uvs:
    table = _numbers(content.uvs, 2, 'uv')
    uvs = np.where((uv >= 0)[:, None], table[np.maximum(uv, 0)], 0.0)
  colors = _vertex_colors(content.positions)
  if colors is not None:
    linear = scene_part.linear(colors)[place]
  else:
    materials = _libraries(path, content.libraries)
    linear = _material_colors(materials, used, kind, uvs)
  return [
    scene_part.Part(
      positions[place],
      index.reshape(-1, 3),
      linear,
      uvs.astype(np.float32) if has_uvs else None,
    )
  ]
