"""PLY files: text and binary in both byte orders, polygons of any size.

Rows of an element may be of different lengths, as where triangles and quads
are mixed; elements and properties that say nothing of a surface are passed
over.

Source: Greg Turk, "The PLY Polygon File Format", 1994.
"""

from collections.abc import Mapping
import pathlib
import re
from typing import Any, NamedTuple

from jaxtyping import Float
import numpy as np

from maskjax.geometry import polygons, scene_part

_TYPES = {
  'char': 'i1', 'int8': 'i1', 'uchar': 'u1', 'uint8': 'u1',
  'short': 'i2', 'int16': 'i2', 'ushort': 'u2', 'uint16': 'u2',
  'int': 'i4', 'int32': 'i4', 'uint': 'u4', 'uint32': 'u4',
  'float': 'f4', 'float32': 'f4', 'double': 'f8', 'float64': 'f8',
}  # fmt: skip
_ORDERS = {'binary_little_endian': '<', 'binary_big_endian': '>', 'ascii': ''}
_COLORS = (('red', 'green', 'blue'), ('r', 'g', 'b'),
           ('diffuse_red', 'diffuse_green', 'diffuse_blue'))  # fmt: skip
_UVS = (('s', 't'), ('u', 'v'), ('texture_u', 'texture_v'))
_INDICES = ('vertex_indices', 'vertex_index')
# Of a header, far above what programs write.
_MOST_ELEMENTS, _MOST_PROPERTIES = 100, 1000


class _Property(NamedTuple):
  name: str
  kind: str  # NumPy's, without a byte order
  length: str | None = None  # kind of a list's length


class _Element(NamedTuple):
  name: str
  rows: int
  properties: tuple[_Property, ...]


def _cut_off(element: _Element) -> ValueError:
  """Return the error of a file that is too short for what it says."""
  return ValueError(f'it ends within its element {element.name!r}')


def _header(data: bytes) -> tuple[str, list[_Element], int]:
  """Return the byte order, the elements, and where they begin."""
  end = re.search(rb'end_header[ \t]*(?:\r\n|\n|\r)', data)
  if not data.startswith(b'ply') or end is None:
    raise ValueError('it has no header of a PLY file')
  order: str | None = None
  elements: list[_Element] = []

  def add(row: _Property) -> None:
    if not elements:
      raise ValueError('it has a property of no element')
    last = elements[-1]
    if len(last.properties) >= _MOST_PROPERTIES:
      raise ValueError(f'an element of more than {_MOST_PROPERTIES} properties')
    elements[-1] = last._replace(properties=(*last.properties, row))

  for line in data[: end.start()].decode('utf-8', 'replace').splitlines():
    match line.split():
      case ['format', name, *_]:
        order = _ORDERS.get(name)
      case ['element', name, count]:
        elements.append(_Element(name, int(count), ()))
        if elements[-1].rows < 0 or len(elements) > _MOST_ELEMENTS:
          raise ValueError('it has a header that no program writes')
      case ['property', 'list', count, kind, name]:
        add(_Property(name, _TYPES[kind], _TYPES[count]))
      case ['property', kind, name]:
        add(_Property(name, _TYPES[kind]))
  if order is None:
    raise ValueError('it has no format that is known')
  return order, elements, end.end()


def _binary(
  data: bytes, start: int, element: _Element, order: str
) -> tuple[dict[str, Any], int]:
  """Return the columns of an element, and where the next one begins."""
  if all(p.length is None for p in element.properties):
    kind = np.dtype([(p.name, order + p.kind) for p in element.properties])
    end = start + kind.itemsize * element.rows
    if end > len(data):
      raise _cut_off(element)
    table = np.frombuffer(data, kind, element.rows, start)
    return {p.name: table[p.name] for p in element.properties}, end
  columns: dict[str, list[Any]] = {p.name: [] for p in element.properties}
  for _ in range(element.rows):
    for row in element.properties:
      size = 1
      if row.length is not None:
        length = np.dtype(order + row.length)
        if start + length.itemsize > len(data):
          raise _cut_off(element)
        size = int(np.frombuffer(data, length, 1, start)[0])
        start += length.itemsize
      kind = np.dtype(order + row.kind)
      if size < 0 or start + size * kind.itemsize > len(data):
        raise _cut_off(element)
      values = np.frombuffer(data, kind, size, start)
      start += size * kind.itemsize
      columns[row.name].append(values if row.length else values[0])
  return dict(columns), start


def _text(
  words: list[bytes], start: int, element: _Element
) -> tuple[dict[str, Any], int]:
  """Return the columns of an element of a text file, word by word."""
  columns: dict[str, list[Any]] = {p.name: [] for p in element.properties}
  for _ in range(element.rows):
    for row in element.properties:
      size = 1
      if row.length is not None and start < len(words):
        size = int(words[start])
        start += 1
      part = words[start : start + size]
      if size < 0 or len(part) != size:
        raise _cut_off(element)
      start += size
      if row.kind.startswith('f'):
        values = np.array(part, np.float64)
      else:
        values = np.array([int(float(word)) for word in part], np.int64)
        values = values.astype(row.kind)
      columns[row.name].append(values if row.length else values[0])
  return dict(columns), start


def _elements(data: bytes) -> dict[str, Mapping[str, Any]]:
  """Return {element: {property: column}}."""
  order, elements, start = _header(data)
  words = data[start:].split() if not order else []
  place = start if order else 0
  found: dict[str, Mapping[str, Any]] = {}
  for element in elements:
    if not element.properties:
      continue
    # Each row is a byte at least, or a word of one and a blank.
    if element.rows > len(data):
      raise _cut_off(element)
    if order:
      columns, place = _binary(data, place, element, order)
    else:
      columns, place = _text(words, place, element)
    found[element.name] = columns
  return found


def _columns(
  table: Mapping[str, Any], choices: tuple[tuple[str, ...], ...]
) -> np.ndarray | None:
  """Return the first group of columns that a table has, side by side."""
  for names in choices:
    if all(name in table for name in names):
      return np.stack([np.asarray(table[name]) for name in names], -1)
  return None


def _colors(table: Mapping[str, Any]) -> Float[np.ndarray, 'n 3'] | None:
  """Return linear colours of the rows of an element, or None."""
  given = _columns(table, _COLORS)
  if given is None or not len(given):
    return None
  if given.dtype.kind == 'f':
    top = 255.0 if given.max() > 1.0 else 1.0
  else:
    top = np.iinfo(given.dtype).max
  return scene_part.linear(np.clip(given.astype(np.float64) / top, 0.0, 1.0))


def _strips(strips: list[np.ndarray]) -> list[list[int]]:
  """Return the triangles of strips, each of which ends at -1."""
  found = []
  for strip in strips:
    run: list[int] = []
    length = 0
    for index in strip.tolist():
      run, length = ([], 0) if index < 0 else ([*run[-2:], index], length + 1)
      if length >= 3:
        a, b, c = run
        found.append([a, b, c] if length % 2 else [b, a, c])
  return found


def read(path: pathlib.Path) -> list[scene_part.Part]:
  """Read a PLY file as one piece.

  Args:
    path: the file.

  Returns:
    The piece, in the file's units; none where there are no faces.

  Raises:
    ValueError: the file is broken.
  """
  try:
    elements = _elements(path.read_bytes())
  except KeyError as error:
    raise ValueError(f'it has properties of unknown type {error}') from error
  except OverflowError as error:
    raise ValueError(f'it has a number that is too large: {error}') from error
  vertex, face = elements.get('vertex', {}), elements.get('face', {})
  positions = _columns(vertex, (('x', 'y', 'z'),))
  rows: list[Any] = []
  if name := next((n for n in _INDICES if n in face), None):
    rows = face[name]
  strips = elements.get('tristrips', {})
  if name := next((n for n in _INDICES if n in strips), None):
    rows = [*rows, *_strips(strips[name])]
  if positions is None or not len(rows):
    return []
  positions = positions.astype(np.float64)
  flat = np.concatenate([np.asarray(row, np.int64) for row in rows])
  if flat.size and not 0 <= flat.min() <= flat.max() < len(positions):
    raise ValueError(
      f'a face names vertex {flat.max() if flat.min() >= 0 else flat.min()}, '
      f'there are {len(positions)}'
    )
  places, owner = polygons.triangulate(positions, rows)
  faces, colors, uvs = flat[places], _colors(vertex), _columns(vertex, _UVS)
  own = _colors(face) if colors is None and not strips else None
  if own is not None:  # Of faces: their vertices are not shared.
    used = faces.reshape(-1)
    positions, colors = positions[used], np.repeat(own[owner], 3, 0)
    uvs = None if uvs is None else uvs[used]
    faces = np.arange(len(used)).reshape(-1, 3)
  return [
    scene_part.Part(
      positions, faces, colors, None if uvs is None else uvs.astype(np.float32)
    )
  ]
