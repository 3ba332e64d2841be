"""The animation of a GLB file moves the mask as it was moved in the clip."""

import json
import struct

import numpy as np
import scipy.spatial

from maskjax.geometry import mesh_io
from maskjax.wear import motion
from tests.wear import conftest as truth


def _read(glb):
  """Return the document and the values of an accessor, by its number."""
  magic, version, length = struct.unpack_from('<4sII', glb)
  assert magic == b'glTF' and version == 2 and length == len(glb)
  size, kind = struct.unpack_from('<I4s', glb, 12)
  document = json.loads(glb[20 : 20 + size])
  assert kind == b'JSON' and size % 4 == 0
  binary_size, kind = struct.unpack_from('<I4s', glb, 20 + size)
  binary = glb[28 + size :]
  assert kind == b'BIN\0' and binary_size == len(binary)
  assert document['buffers'][0]['byteLength'] == len(binary)

  def values(number):
    accessor = document['accessors'][number]
    view = document['bufferViews'][accessor['bufferView']]
    start = view['byteOffset']
    data = binary[start : start + view['byteLength']]
    return np.frombuffer(data, '<f4').reshape(accessor['count'], -1)

  return document, values


def test_key_frames_are_the_poses(tmp_path, small_mask):
  poses = np.stack(
    [truth.pose_of((20 * k, 5, 0), (k, -2, 50 + k)) for k in range(12)]
  )
  times = 3 + np.cumsum(np.random.default_rng(0).uniform(0.02, 0.1, 12))
  mesh_io.save_mesh(tmp_path / 'mask.glb', small_mask)
  still = (tmp_path / 'mask.glb').read_bytes()
  glb = motion.animated(still, times, poses, fovy=45.0, aspect=16 / 9)
  document, values = _read(glb)
  (animation,) = document['animations']
  paths = [c['target'] for c in animation['channels']]
  assert paths == [
    {'node': 0, 'path': 'translation'},
    {'node': 0, 'path': 'rotation'},
  ]
  keys, shift = (values(animation['samplers'][0][k])
                 for k in ('input', 'output'))  # fmt: skip
  np.testing.assert_allclose(keys[:, 0], times - times[0], atol=1e-6)
  turn = values(animation['samplers'][1]['output'])
  assert np.all(np.sum(turn[1:] * turn[:-1], 1) > 0)
  rotation = scipy.spatial.transform.Rotation.from_quat(turn).as_matrix()
  point = np.array([1.0, 2.0, 3.0])
  placed = rotation @ (point / 100) + shift
  flip = np.array([1, -1, -1])
  wanted = (poses[:, :3, :3] @ point + poses[:, :3, 3]) * flip / 100
  np.testing.assert_allclose(placed, wanted, atol=1e-5)
  (camera,) = document['cameras']
  assert camera['perspective']['yfov'] == np.radians(45.0)
  # Whoever knows no animations reads the mask as it is.
  (tmp_path / 'motion.glb').write_bytes(glb)
  mesh = mesh_io.load_mesh(tmp_path / 'motion.glb')
  assert len(mesh.faces) == len(small_mask.faces)
