"""The motion of a head as an animation in a GLB file, for Blender and engines.

The mask's node is moved before a camera at the origin that looks along -z, as
glTF has them: the pictures of a clip are seen again from there.

Source: glTF 2.0 specification, sections 3.11 (animations), 4.4 (GLB).

Shapes: `n` key frames.
"""

import json
import struct
from typing import Any

from jaxtyping import Float
import numpy as np
import scipy.spatial

_FLOAT = 5126
_CM_PER_METRE = 100.0
# From OpenCV's axes (y down, z forward) to glTF's (y up, z backward).
_FLIP = np.diag([1.0, -1.0, -1.0])


def _chunks(data: bytes) -> tuple[dict[str, Any], bytes]:
  """Return the document of a GLB file and its binary part."""
  (length,) = struct.unpack_from('<I', data, 12)
  document = json.loads(data[20 : 20 + length])
  return document, data[28 + length :]


def _joined(document: dict[str, Any], binary: bytes) -> bytes:
  """Return a GLB file; undoes `_chunks`."""
  text = json.dumps(document, sort_keys=True, separators=(',', ':')).encode()
  text += b' ' * (-len(text) % 4)
  body = struct.pack('<I4s', len(text), b'JSON') + text
  body += struct.pack('<I4s', len(binary), b'BIN\0') + binary
  return struct.pack('<4sII', b'glTF', 2, 12 + len(body)) + body


def _quaternions(
  rotation: Float[np.ndarray, 'n 3 3'],
) -> Float[np.ndarray, 'n 4']:
  """Return unit quaternions (x, y, z, w), each near the one before."""
  found = scipy.spatial.transform.Rotation.from_matrix(rotation).as_quat()
  agree = np.sum(found[1:] * found[:-1], axis=1) >= 0
  signs = np.concatenate([[1.0], np.where(agree, 1.0, -1.0)])
  return found * np.cumprod(signs)[:, None]


def animated(
  glb: bytes,
  times: Float[np.ndarray, 'n'],
  world2cam: Float[np.ndarray, 'n 4 4'],
  *,
  fovy: float,
  aspect: float,
) -> bytes:
  """Return a GLB file of a mask with its motion.

  Args:
    glb: the mask alone, of `geometry.gltf`.
    times: of the key frames, seconds from the clip's beginning, growing.
    world2cam: from the head's frame into the camera's (OpenCV axes), cm.
    fovy: the camera's vertical angle of view, degrees.
    aspect: width of the picture over its height.
  """
  document, binary = _chunks(glb)
  rotation = _FLIP @ world2cam[:, :3, :3]
  shift = world2cam[:, :3, 3] @ _FLIP / _CM_PER_METRE

  def add(values: np.ndarray, kind: str) -> int:
    nonlocal binary
    data = np.ascontiguousarray(values, '<f4').tobytes()
    view = {'buffer': 0, 'byteLength': len(data), 'byteOffset': len(binary)}
    document['bufferViews'].append(view)
    accessor: dict[str, Any] = {
      'bufferView': len(document['bufferViews']) - 1,
      'componentType': _FLOAT,
      'count': len(values),
      'type': kind,
    }
    if kind == 'SCALAR':
      single = np.float32(values)
      accessor |= {'min': [float(single.min())], 'max': [float(single.max())]}
    document['accessors'].append(accessor)
    binary += data + b'\0' * (-len(data) % 4)
    return len(document['accessors']) - 1

  keys = add(times - times[0], 'SCALAR')
  samplers = [
    {'input': keys, 'interpolation': 'LINEAR', 'output': add(shift, 'VEC3')},
    {
      'input': keys,
      'interpolation': 'LINEAR',
      'output': add(_quaternions(rotation), 'VEC4'),
    },
  ]
  channels = [
    {'sampler': k, 'target': {'node': 0, 'path': path}}
    for k, path in enumerate(('translation', 'rotation'))
  ]
  document['animations'] = [
    {'channels': channels, 'name': 'motion', 'samplers': samplers}
  ]
  document['cameras'] = [
    {
      'type': 'perspective',
      'perspective': {
        'aspectRatio': aspect,
        'yfov': float(np.radians(fovy)),
        'znear': 0.01,
      },
    }
  ]
  document['nodes'].append({'camera': 0, 'name': 'camera'})
  document['scenes'][0]['nodes'].append(1)
  document['buffers'][0]['byteLength'] = len(binary)
  return _joined(document, binary)
