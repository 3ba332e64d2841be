"""Binary glTF: the layout of the file, byte by byte, and what it refuses."""

import json
import struct

import numpy as np
import pytest

from maskjax.geometry import gltf

_POSITIONS = np.array([[0, 0, 0], [1, 0, 0], [0, 2, 0.5]], np.float32)
_FACES = np.array([[0, 1, 2]])
_NORMALS = np.array([[0, 0, 1]] * 3, np.float32)


def _parts(data):
  """Return the document and the binary chunk of a file."""
  magic, version, length = struct.unpack_from('<4sII', data)
  assert (magic, version, length) == (b'glTF', 2, len(data))
  size, kind = struct.unpack_from('<I4s', data, 12)
  assert kind == b'JSON' and size % 4 == 0
  document = json.loads(data[20 : 20 + size])
  start = 20 + size
  binary, kind = struct.unpack_from('<I4s', data, start)
  assert kind == b'BIN\0' and start + 8 + binary == len(data)
  return document, data[start + 8 :]


def _array(document, binary, number):
  accessor = document['accessors'][number]
  view = document['bufferViews'][accessor['bufferView']]
  kind = {5126: '<f4', 5123: '<u2', 5125: '<u4'}[accessor['componentType']]
  width = {'SCALAR': 1, 'VEC2': 2, 'VEC3': 3, 'VEC4': 4}[accessor['type']]
  values = np.frombuffer(
    binary, kind, accessor['count'] * width, view['byteOffset']
  )
  return values.reshape(-1, width)


def test_a_file_holds_what_it_was_given():
  colors = np.array([[0, 0.5, 1], [1, 1, 1], [2, -1, 0.25]])
  uvs = np.array([[0.0, 0.0], [1.0, 0.25], [0.5, 1.0]])
  data = gltf.encode(
    _POSITIONS, _FACES, _NORMALS, colors=colors, uvs=uvs, extras={'seed': 3}
  )
  document, binary = _parts(data)
  (primitive,) = document['meshes'][0]['primitives']
  names = primitive['attributes']
  np.testing.assert_array_equal(
    _array(document, binary, names['POSITION']), _POSITIONS
  )
  np.testing.assert_array_equal(
    _array(document, binary, names['NORMAL']), _NORMALS
  )
  # Linear, clipped, in 16 bits, and opaque.
  rgba = np.round(np.clip(colors, 0, 1) * 65535)
  np.testing.assert_array_equal(
    _array(document, binary, names['COLOR_0']),
    np.concatenate([rgba, np.full((3, 1), 65535)], 1),
  )
  # Its (0, 0) is at the top left.
  np.testing.assert_array_equal(
    _array(document, binary, names['TEXCOORD_0']), uvs * [1, -1] + [0, 1]
  )
  np.testing.assert_array_equal(
    _array(document, binary, primitive['indices']).ravel(), [0, 1, 2]
  )
  bounds = document['accessors'][names['POSITION']]
  assert bounds['min'] == [0, 0, 0] and bounds['max'] == [1, 2, 0.5]
  assert document['asset']['extras'] == {'seed': 3}


def test_a_texture_is_a_picture_in_the_buffer():
  texture = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
  uvs = np.zeros((3, 2))
  data = gltf.encode(_POSITIONS, _FACES, _NORMALS, uvs=uvs, texture=texture)
  document, binary = _parts(data)
  view = document['bufferViews'][document['images'][0]['bufferView']]
  assert binary[view['byteOffset'] :].startswith(b'\x89PNG')
  surface = document['materials'][0]['pbrMetallicRoughness']
  assert surface['baseColorTexture'] == {'index': 0}
  assert document['buffers'][0]['byteLength'] == len(binary)


def test_the_same_input_gives_the_same_bytes():
  one, two = (
    gltf.encode(_POSITIONS, _FACES, _NORMALS, extras=extras)
    for extras in ({'a': 1, 'b': 2}, {'b': 2, 'a': 1})
  )
  assert one == two


def test_what_no_file_can_hold_is_refused():
  with pytest.raises(ValueError, match='needs uvs'):
    gltf.encode(
      _POSITIONS, _FACES, _NORMALS, texture=np.zeros((2, 2, 3), np.uint8)
    )
  for bad in (float('nan'), object()):
    with pytest.raises(ValueError, match='plain JSON'):
      gltf.encode(_POSITIONS, _FACES, _NORMALS, extras={'x': bad})
