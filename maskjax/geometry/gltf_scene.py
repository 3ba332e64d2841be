"""A reader of glTF 2.0 and GLB: the surfaces of a scene and their colours.

What is read: meshes of triangles, strips and fans, with or without indices;
accessors of any type, sparse and normalised; nodes, also mirrored; skins and
morph targets as they stand; base colour = factor x texture x COLOR_0, with
KHR_texture_transform. What a file requires and is not read is refused by name.

Source: glTF 2.0 specification, sections 3.5 to 3.9, 4.4, 5.
"""

import base64
import binascii
from collections.abc import Iterator, Mapping
import functools
import json
import pathlib
import struct
from typing import Any, NamedTuple

from jaxtyping import Float, Int, UInt8
import numpy as np

from maskjax.geometry import scene_part

# What a file may require: read, or of no matter to shape and base colour.
_READ = (
  'EXT_texture_webp',
  'KHR_lights_punctual',
  'KHR_materials_pbrSpecularGlossiness',
  'KHR_mesh_quantization',
  'KHR_texture_transform',
  'KHR_xmp_json_ld',
)
_OF_MATERIALS = 'KHR_materials_'
_REMEDIES = {
  'KHR_draco_mesh_compression': 'export it without compression',
  'EXT_meshopt_compression': 'export it without compression',
  'KHR_texture_basisu': 'export its pictures as PNG or JPEG',
}
_TYPES = {5120: 'i1', 5121: 'u1', 5122: '<i2', 5123: '<u2', 5125: '<u4',
          5126: '<f4'}  # fmt: skip
_WIDTHS = {'SCALAR': 1, 'VEC2': 2, 'VEC3': 3, 'VEC4': 4, 'MAT4': 16}
_WRAPS = {33071: 'clamp', 33648: 'mirror'}
_TRIANGLES, _STRIP, _FAN = 4, 5, 6
# Of nodes in nodes.
_DEEPEST = 200
# A file can name the same numbers any number of times: so many in all, which
# is a mesh of 3 million vertices; and of all files that it names, bytes.
_MOST_NUMBERS, _MOST_BYTES, _MOST_BUFFERS = 6 * 10**7, 2**30, 1000
# Vertices whose joints are looked up together.
_TOGETHER = 2**18
# What is wrong shows itself as any of these.
_BROKEN = (
  *(KeyError, IndexError, TypeError, AttributeError, struct.error),
  *(RecursionError, OverflowError),
)


class _Allowance:
  """How many numbers may still be made of what a file holds."""

  def __init__(self) -> None:
    self._left = _MOST_NUMBERS

  def pay(self, count: int) -> None:
    """Pay for numbers.

    Args:
      count: how many.

    Raises:
      ValueError: there were too many.
    """
    self._left -= count
    if self._left < 0:
      raise ValueError(
        'what it asks for is larger than any mesh, of more than 3 million '
        'vertices; make it simpler'
      )


class _File(NamedTuple):
  """A document, where it lies, and its pictures, each of which is read once."""

  document: Mapping[str, Any]
  buffers: tuple[memoryview, ...]
  path: pathlib.Path
  pictures: dict[int, Any]  # by image, those that were asked for
  allowance: _Allowance


def _chunks(data: bytes) -> tuple[bytes, bytes]:
  """Return the JSON and the binary chunk of a GLB file."""
  magic, version, length = struct.unpack_from('<4sII', data)
  if magic != b'glTF' or version != 2 or length > len(data):
    raise ValueError('it is no whole GLB file of version 2')
  found, start = {b'BIN\0': b''}, 12
  while start + 8 <= length:
    size, kind = struct.unpack_from('<I4s', data, start)
    found.setdefault(kind, b'')
    found[kind] = found[kind] or data[start + 8 : start + 8 + size]
    start += 8 + size
  return found[b'JSON'], found[b'BIN\0']


def _size(value: Any) -> int:
  """Return a count or an offset, if it is one."""
  if type(value) is not int or value < 0:
    raise ValueError(f'{str(value)[:40]} is no count and no offset')
  return value


def _resource(path: pathlib.Path, uri: str) -> bytes:
  """Return the content of a URI: data, or a file beside."""
  if uri.startswith('data:'):
    try:
      return base64.b64decode(uri.partition(',')[2], validate=False)
    except binascii.Error as error:
      raise ValueError(f'its data URI is broken: {error}') from error
  found = scene_part.beside(path, uri)
  if found is None:
    raise ValueError(f'it names {uri[:200]!r}, which is not beside it')
  if found.stat().st_size > _MOST_BYTES:
    raise ValueError(f'{found.name} has more than {_MOST_BYTES:,} bytes')
  return found.read_bytes()


def _buffers(
  path: pathlib.Path, document: Mapping[str, Any], binary: bytes
) -> tuple[memoryview, ...]:
  """Return what a document's buffers hold; one that is shared is read once."""
  entries = document.get('buffers', ())
  if len(entries) > _MOST_BUFFERS:
    raise ValueError(f'it has more than {_MOST_BUFFERS:,} buffers')
  names = [entry.get('uri') for entry in entries]
  read = {None: memoryview(binary)}
  for name in names:
    if name not in read:
      read[name] = memoryview(_resource(path, name))
    if sum(map(len, read.values())) > _MOST_BYTES:
      raise ValueError(f'its buffers have more than {_MOST_BYTES:,} bytes')
  return tuple(read[name] for name in names)


def _open(path: pathlib.Path) -> _File:
  """Read the document and its buffers, if all it requires can be read."""
  data, binary = path.read_bytes(), b''
  if path.suffix.lower() == '.glb':
    data, binary = _chunks(data)
  document = json.loads(data.decode('utf-8-sig'))
  for name in document.get('extensionsRequired', ()):
    if name not in _READ and not name.startswith(_OF_MATERIALS):
      remedy = _REMEDIES.get(name, 'export it without it')
      raise ValueError(f'it needs {name[:80]}, which is not read: {remedy}')
  buffers = _buffers(path, document, binary)
  return _File(document, buffers, path, {}, _Allowance())


def _view(file: _File, number: int) -> tuple[memoryview, int]:
  """Return the bytes of a buffer view, and its stride or 0."""
  view = file.document['bufferViews'][number]
  start, size = (_size(view.get(k, 0)) for k in ('byteOffset', 'byteLength'))
  data = file.buffers[view['buffer']][start : start + size]
  return data, _size(view.get('byteStride', 0))


def _plain(
  data: memoryview,
  stride: int,
  start: int,
  kind: np.dtype,
  shape: tuple[int, int],
) -> np.ndarray:
  """Return rows of numbers in bytes, which may have others between them."""
  count, width = shape
  row = width * kind.itemsize
  stride = stride or row
  if count and start + (count - 1) * stride + row > len(data):
    raise ValueError('an accessor reaches beyond its buffer')
  return np.ndarray(shape, kind, data, start, (stride, kind.itemsize)).copy()


def _accessor(file: _File, number: int) -> np.ndarray:
  """Return an accessor [count, width], normalised where it says so."""
  entry = file.document['accessors'][number]
  kind = np.dtype(_TYPES[entry['componentType']])
  shape = _size(entry['count']), _WIDTHS[entry['type']]
  file.allowance.pay(shape[0] * shape[1])
  if 'bufferView' in entry:
    data, stride = _view(file, entry['bufferView'])
    start = _size(entry.get('byteOffset', 0))
    values = _plain(data, stride, start, kind, shape)
  else:
    values = np.zeros(shape, kind)
  if sparse := entry.get('sparse'):
    parts = []
    for name, own in (('indices', None), ('values', kind)):
      place = sparse[name]
      data, _ = _view(file, place['bufferView'])
      own = own or np.dtype(_TYPES[place['componentType']])
      width = shape[1] if name == 'values' else 1
      start = _size(place.get('byteOffset', 0))
      count = _size(sparse['count'])
      file.allowance.pay(count * width)
      parts.append(_plain(data, 0, start, own, (count, width)))
    values[parts[0][:, 0]] = parts[1]
  if entry.get('normalized') and kind.kind in 'iu':
    # The least signed integer is -1, as its neighbour is.
    return np.maximum(values / np.float64(np.iinfo(kind).max), -1.0)
  return values


def _matrix(node: Mapping[str, Any]) -> Float[np.ndarray, '4 4']:
  """Return the transform of a node relative to its parent."""
  if 'matrix' in node:
    return np.array(node['matrix'], np.float64).reshape(4, 4).T
  x, y, z, w = node.get('rotation', (0.0, 0.0, 0.0, 1.0))
  matrix = np.eye(4)
  matrix[:3, :3] = [
    [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
    [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
    [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
  ]
  matrix[:3, :3] *= node.get('scale', (1.0, 1.0, 1.0))
  matrix[:3, 3] = node.get('translation', (0.0, 0.0, 0.0))
  return matrix


def _nodes(document: Mapping[str, Any]) -> dict[int, Float[np.ndarray, '4 4']]:
  """Return the nodes of the scene with their transforms into the world."""
  nodes = document.get('nodes', ())
  scenes = document.get('scenes', ())
  if scenes:
    roots = scenes[document.get('scene', 0)].get('nodes', ())
  else:
    children = {c for node in nodes for c in node.get('children', ())}
    roots = [n for n in range(len(nodes)) if n not in children]
  found: dict[int, Float[np.ndarray, '4 4']] = {}

  def visit(number: int, parent: Float[np.ndarray, '4 4'], depth: int) -> None:
    if depth > _DEEPEST or number in found:
      raise ValueError('its nodes are in a circle, or too deep')
    found[number] = parent @ _matrix(nodes[number])
    for child in nodes[number].get('children', ()):
      visit(child, found[number], depth + 1)

  for root in roots:
    visit(root, np.eye(4), 0)
  return found


def _corners(mode: int, order: Int[np.ndarray, 'n']) -> Int[np.ndarray, 'f 3']:
  """Return triangles of vertices in their order."""
  if mode == _TRIANGLES:
    return order[: len(order) // 3 * 3].reshape(-1, 3)
  if len(order) < 3:
    return np.zeros((0, 3), np.int64)
  if mode == _FAN:
    first = np.full(len(order) - 2, order[0])
    return np.stack([order[1:-1], order[2:], first], 1)
  rows = np.stack([order[:-2], order[1:-1], order[2:]], 1)
  rows[1::2] = rows[1::2][:, [0, 2, 1]]
  return rows


def _morphed(
  file: _File,
  primitive: Mapping[str, Any],
  weights: Any,
  positions: Float[np.ndarray, 'v 3'],
) -> Float[np.ndarray, 'v 3']:
  """Add morph targets in the weights that a file starts with."""
  for weight, target in zip(weights or (), primitive.get('targets', ())):
    if weight and 'POSITION' in target:
      positions = positions + weight * _accessor(file, target['POSITION'])
  return positions


def _skinned(
  file: _File,
  primitive: Mapping[str, Any],
  skin: int,
  world: Mapping[int, Float[np.ndarray, '4 4']],
  positions: Float[np.ndarray, 'v 3'],
) -> Float[np.ndarray, 'v 3'] | None:
  """Return where the joints of a skin hold vertices; None without them."""
  names = primitive['attributes']
  if 'JOINTS_0' not in names or 'WEIGHTS_0' not in names:
    return None
  entry = file.document['skins'][skin]
  joints = entry['joints']
  if not all(joint in world for joint in joints):
    return None
  matrices = np.stack([world[joint] for joint in joints])
  if 'inverseBindMatrices' in entry:
    inverse = _accessor(file, entry['inverseBindMatrices'])
    inverse = inverse.reshape(-1, 4, 4).swapaxes(1, 2)[: len(joints)]
    matrices = matrices @ inverse
  weights = _accessor(file, names['WEIGHTS_0']).astype(np.float64)
  weights /= np.maximum(weights.sum(1, keepdims=True), 1e-12)
  numbers = _accessor(file, names['JOINTS_0']).astype(np.int64)
  held = np.empty_like(positions)
  for start in range(0, len(positions), _TOGETHER):
    part = slice(start, start + _TOGETHER)
    whole = np.einsum('vj,vjab->vab', weights[part], matrices[numbers[part]])
    moved = (whole[:, :3, :3] @ positions[part, :, None])[..., 0]
    held[part] = moved + whole[:, :3, 3]
  return held


def _uvs(file: _File, names: Mapping[str, int], texture: int) -> Any:
  """Return a set of uvs as glTF has them, (0, 0) at the top left, or None."""
  number = names.get(f'TEXCOORD_{texture}')
  return None if number is None else _accessor(file, number).astype(np.float64)


def _read_picture(file: _File, number: int) -> UInt8[np.ndarray, 'h w 3']:
  """Read an image, which many textures may share."""
  if number not in file.pictures:
    image = file.document['images'][number]
    if 'uri' in image:
      data = _resource(file.path, image['uri'])
    else:
      data = bytes(_view(file, image['bufferView'])[0])
    seen = sum(p.shape[0] * p.shape[1] for p in file.pictures.values())
    left = scene_part.MOST_PIXELS - seen
    file.pictures[number] = scene_part.read_picture(data, left)
  return file.pictures[number]


def _picture_of(file: _File, number: int) -> Any:
  """Return the picture of a texture, u8[h, w, 3], and how it is wrapped."""
  texture = file.document['textures'][number]
  source = texture.get('source')
  webp = texture.get('extensions', {}).get('EXT_texture_webp', {})
  source = webp.get('source', source)
  if source is None:
    return None
  sampler: Mapping[str, Any] = {}
  if 'sampler' in texture:
    sampler = file.document['samplers'][texture['sampler']]
  wrap = tuple(
    _WRAPS.get(sampler.get(k, 0), 'repeat') for k in ('wrapS', 'wrapT')
  )
  return _read_picture(file, source), wrap


def _textured(
  file: _File, info: Mapping[str, Any], names: Mapping[str, int]
) -> Float[np.ndarray, 'v 3'] | None:
  """Return the linear colours of a texture at vertices, or None."""
  moved = info.get('extensions', {}).get('KHR_texture_transform', {})
  uvs = _uvs(file, names, moved.get('texCoord', info.get('texCoord', 0)))
  picture = None if uvs is None else _picture_of(file, info['index'])
  if picture is None:
    return None
  angle = moved.get('rotation', 0.0)
  turn = np.array(
    [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]
  )
  uvs = uvs * moved.get('scale', (1.0, 1.0)) @ turn.T
  uvs = uvs + moved.get('offset', (0.0, 0.0))
  return scene_part.look_up(picture[0], uvs * (1, -1) + (0, 1), wrap=picture[1])


def _colors(
  file: _File, primitive: Mapping[str, Any], count: int
) -> Float[np.ndarray, 'v 3'] | None:
  """Return factor x texture x COLOR_0, linear; None where nothing is said."""
  names = primitive['attributes']
  material: Mapping[str, Any] = {}
  if 'material' in primitive:
    material = file.document['materials'][primitive['material']]
  extensions = material.get('extensions', {})
  glossy = extensions.get('KHR_materials_pbrSpecularGlossiness')
  if glossy is not None:
    factor, info = glossy.get('diffuseFactor'), glossy.get('diffuseTexture')
  else:
    metallic = material.get('pbrMetallicRoughness', {})
    factor = metallic.get('baseColorFactor')
    info = metallic.get('baseColorTexture')
  parts: list[Any] = []
  if factor is not None and tuple(factor[:3]) != (1, 1, 1):
    parts.append(np.array(factor[:3], np.float32))
  if info is not None and (seen := _textured(file, info, names)) is not None:
    parts.append(seen)
  if 'COLOR_0' in names:
    parts.append(_accessor(file, names['COLOR_0'])[:, :3])
  if not parts:
    return None
  product = functools.reduce(np.multiply, parts, np.ones((count, 3)))
  return np.clip(product, 0.0, 1.0).astype(np.float32)


def _parts(
  file: _File, number: int, world: Mapping[int, Float[np.ndarray, '4 4']]
) -> Iterator[scene_part.Part]:
  """Yield the surfaces of a node, in the world."""
  node = file.document['nodes'][number]
  mesh = file.document['meshes'][node['mesh']]
  weights = node.get('weights', mesh.get('weights'))
  for primitive in mesh['primitives']:
    mode, names = primitive.get('mode', _TRIANGLES), primitive['attributes']
    if mode not in (_TRIANGLES, _STRIP, _FAN) or 'POSITION' not in names:
      continue
    positions = _accessor(file, names['POSITION']).astype(np.float64)
    positions = _morphed(file, primitive, weights, positions)
    order = np.arange(len(positions))
    if 'indices' in primitive:
      order = _accessor(file, primitive['indices'])[:, 0].astype(np.int64)
    faces = _corners(mode, order)
    if faces.size and not 0 <= faces.min() <= faces.max() < len(positions):
      raise ValueError('a face names a vertex that is not there')
    held = None
    if 'skin' in node:
      held = _skinned(file, primitive, node['skin'], world, positions)
    if held is None:
      matrix = world[number]
      held = positions @ matrix[:3, :3].T + matrix[:3, 3]
      if np.linalg.det(matrix[:3, :3]) < 0.0:
        faces = faces[:, [0, 2, 1]]
    uvs = _uvs(file, names, 0)
    yield scene_part.Part(
      held,
      faces,
      _colors(file, primitive, len(positions)),
      None if uvs is None else (uvs * (1, -1) + (0, 1)).astype(np.float32),
    )


def read(path: pathlib.Path) -> list[scene_part.Part]:
  """Read the surfaces of the scene of a GLB or glTF file.

  Args:
    path: the file; what it names lies beside it or below.

  Returns:
    Its pieces, where they stand, in metres.

  Raises:
    ValueError: the file is broken, or requires what is not read.
  """
  try:
    file = _open(path)
    world = _nodes(file.document)
    return [
      part
      for number in world
      if 'mesh' in file.document['nodes'][number]
      for part in _parts(file, number, world)
    ]
  except _BROKEN as error:
    raise ValueError(
      f'it is no whole glTF file ({type(error).__name__}: {error})'
    ) from error
