"""A writer of binary glTF 2.0 (GLB): one mesh, its colours, extras.

The same input gives the same bytes: no dates, no hashes, sorted extras.
glTF's frame is the mesh frame (+y up, +z out of the face), in metres;
COLOR_0 is linear, the texture is an embedded PNG in sRGB.

Shapes: V vertices, F faces.
Source: glTF 2.0 specification, sections 3.7 (meshes), 4.4 (GLB).
"""

from collections.abc import Mapping
import io
import json
import pathlib
import struct
from typing import Any

from jaxtyping import Float, Int, Shaped, UInt8
import numpy as np
from PIL import Image

_MAGIC, _VERSION = b'glTF', 2
_JSON_CHUNK, _BINARY_CHUNK = b'JSON', b'BIN\0'
_ARRAY_BUFFER, _ELEMENT_BUFFER = 34962, 34963
_COMPONENTS = {'float32': 5126, 'uint16': 5123, 'uint32': 5125}
_SHAPES = {1: 'SCALAR', 2: 'VEC2', 3: 'VEC3', 4: 'VEC4'}
# Neither shiny nor chalky; a shell is seen from both sides.
_MATERIAL: dict[str, Any] = {
  'doubleSided': True,
  'name': 'mask',
  'pbrMetallicRoughness': {
    'baseColorFactor': [1.0, 1.0, 1.0, 1.0],
    'metallicFactor': 0.0,
    'roughnessFactor': 0.8,
  },
}


def _chunk(kind: bytes, data: bytes, filler: bytes) -> bytes:
  """Return one GLB chunk, padded to a multiple of four bytes."""
  data += filler * (-len(data) % 4)
  return struct.pack('<I4s', len(data), kind) + data


class _Buffer:
  """The binary chunk while it grows, with its views and accessors."""

  def __init__(self) -> None:
    self.data = b''
    self.views: list[dict[str, Any]] = []
    self.accessors: list[dict[str, Any]] = []

  def add_bytes(self, data: bytes) -> int:
    """Append bytes; return their view's number."""
    start = len(self.data)
    self.views.append(
      {'buffer': 0, 'byteLength': len(data), 'byteOffset': start}
    )
    self.data += data + b'\0' * (-len(data) % 4)
    return len(self.views) - 1

  def add(
    self,
    array: Shaped[np.ndarray, 'n c'],
    target: int,
    *,
    normalized: bool = False,
    bounds: bool = False,
  ) -> int:
    """Append an array [N, C]; return its accessor's number."""
    self.views.append(
      {
        'buffer': 0,
        'byteLength': array.nbytes,
        'byteOffset': len(self.data),
        'target': target,
      }
    )
    accessor: dict[str, Any] = {
      'bufferView': len(self.views) - 1,
      'componentType': _COMPONENTS[array.dtype.name],
      'count': len(array),
      'type': _SHAPES[array.shape[1]],
    }
    if normalized:
      accessor['normalized'] = True
    if bounds:
      accessor['min'] = array.min(0).tolist()
      accessor['max'] = array.max(0).tolist()
    self.accessors.append(accessor)
    data = array.astype(array.dtype.newbyteorder('<')).tobytes()
    self.data += data + b'\0' * (-len(data) % 4)
    return len(self.accessors) - 1


def _png(image: UInt8[np.ndarray, 'h w 3']) -> bytes:
  """Return the bytes of a PNG file."""
  file = io.BytesIO()
  Image.fromarray(image).save(file, format='PNG', optimize=True)
  return file.getvalue()


def _textured(
  buffer: _Buffer, image: UInt8[np.ndarray, 'h w 3']
) -> dict[str, Any]:
  """Return the fields of a document whose material shows an image."""
  plain = _MATERIAL['pbrMetallicRoughness']
  surface = {**plain, 'baseColorTexture': {'index': 0}}
  view = buffer.add_bytes(_png(image))
  return {
    'images': [{'bufferView': view, 'mimeType': 'image/png'}],
    'materials': [{**_MATERIAL, 'pbrMetallicRoughness': surface}],
    # Clamped; linear between mipmaps.
    'samplers': [
      {'magFilter': 9729, 'minFilter': 9987, 'wrapS': 33071, 'wrapT': 33071}
    ],
    'textures': [{'sampler': 0, 'source': 0}],
  }


def encode(
  positions: Float[np.ndarray, 'v 3'],
  faces: Int[np.ndarray, 'f 3'],
  normals: Float[np.ndarray, 'v 3'],
  *,
  colors: Float[np.ndarray, 'v 3'] | None = None,
  uvs: Float[np.ndarray, 'v 2'] | None = None,
  texture: UInt8[np.ndarray, 'h w 3'] | None = None,
  extras: Mapping[str, Any] | None = None,
) -> bytes:
  """Return a GLB file with one mesh.

  Args:
    positions: of the vertices, metres.
    faces: vertex indices, counter-clockwise seen from outside.
    normals: unit vectors at the vertices.
    colors: linear RGB in [0, 1], or None; kept in 16 bits a channel.
    uvs: texture coordinates, (0, 0) bottom left, or None.
    texture: sRGB, row 0 at the top, or None; readers multiply it by `colors`,
      so give one of both.
    extras: what to note in the file, anything JSON can hold.

  Returns:
    The bytes of the file.

  Raises:
    ValueError: extras that JSON cannot hold, or a texture without uvs.
  """
  if texture is not None and uvs is None:
    raise ValueError('a texture needs uvs, got None')
  buffer = _Buffer()
  attributes = {
    'NORMAL': buffer.add(np.asarray(normals, np.float32), _ARRAY_BUFFER),
    'POSITION': buffer.add(
      np.asarray(positions, np.float32), _ARRAY_BUFFER, bounds=True
    ),
  }
  if colors is not None:
    rgba = np.full((len(positions), 4), 65535, np.uint16)
    rgba[:, :3] = np.round(np.clip(colors, 0.0, 1.0) * 65535.0)
    attributes['COLOR_0'] = buffer.add(rgba, _ARRAY_BUFFER, normalized=True)
  if uvs is not None:  # glTF's (0, 0) is at the top left
    flipped = np.float32(uvs) * np.array([1, -1], np.float32)
    flipped += np.array([0, 1], np.float32)
    attributes['TEXCOORD_0'] = buffer.add(flipped, _ARRAY_BUFFER)
  index_type = np.uint16 if len(positions) < 65535 else np.uint32
  indices = np.asarray(faces).reshape(-1, 1).astype(index_type)
  primitive = {
    'attributes': attributes,
    'indices': buffer.add(indices, _ELEMENT_BUFFER),
    'material': 0,
  }
  asset: dict[str, Any] = {'generator': 'maskjax', 'version': '2.0'}
  if extras:
    asset['extras'] = dict(extras)
  document = {
    'accessors': buffer.accessors,
    'asset': asset,
    'bufferViews': buffer.views,
    'buffers': [{'byteLength': len(buffer.data)}],
    'materials': [_MATERIAL],
    'meshes': [{'name': 'mask', 'primitives': [primitive]}],
    'nodes': [{'mesh': 0, 'name': 'mask'}],
    'scene': 0,
    'scenes': [{'nodes': [0]}],
  }
  if texture is not None:
    document |= _textured(buffer, texture)
    document['buffers'] = [{'byteLength': len(buffer.data)}]
  try:
    text = json.dumps(
      document, sort_keys=True, separators=(',', ':'), allow_nan=False
    )
  except (TypeError, ValueError) as error:
    raise ValueError(f'extras must be plain JSON values: {error}') from error
  body = _chunk(_JSON_CHUNK, text.encode(), b' ')
  body += _chunk(_BINARY_CHUNK, buffer.data, b'\0')
  return struct.pack('<4sII', _MAGIC, _VERSION, 12 + len(body)) + body


def read_extras(path: str | pathlib.Path) -> dict[str, Any]:
  """Return the extras noted in a GLB file ({} if there are none).

  Args:
    path: the GLB file.

  Raises:
    ValueError: the file is missing or no GLB file.
  """
  try:
    data = pathlib.Path(path).read_bytes()
    magic, _, _, length, kind = struct.unpack_from('<4sIII4s', data)
    if magic != _MAGIC or kind != _JSON_CHUNK:
      raise ValueError('not a GLB file')
    return json.loads(data[20 : 20 + length])['asset'].get('extras', {})
  except (OSError, ValueError, KeyError, struct.error) as error:
    raise ValueError(f'cannot read extras of {path}: {error}') from error
