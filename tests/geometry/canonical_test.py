"""Tests of maskjax.geometry.canonical and third_party/mediapipe."""

import importlib.util
import pathlib
import struct

import numpy as np
import pytest

from maskjax.geometry import canonical, mesh as mesh_lib
from maskjax.weights import bundled

FOLDER = pathlib.Path(canonical.__file__).parents[2] / 'third_party'


@pytest.fixture(scope='module')
def rebuild():
  path = FOLDER / 'mediapipe' / 'build.py'
  spec = importlib.util.spec_from_file_location('build', path)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


def test_the_face_is_the_known_one():
  face = canonical.load()
  assert face.vertices.shape == (468, 3)
  assert face.faces.shape == (898, 3)
  np.testing.assert_allclose(
    [face.vertices.min(0), face.vertices.max(0)],
    [[-7.743, -9.403, -2.436], [7.743, 8.262, 7.587]],
    atol=1e-3,
  )
  assert face.uvs.min() >= 0.0
  assert face.uvs.max() <= 1.0
  assert len(mesh_lib.boundary_edges(face.faces)) == 36
  assert face.procrustes_landmarks.shape == face.procrustes_weights.shape
  assert len(face.procrustes_landmarks) == 33


def test_the_loops_are_where_eyes_and_mouth_are():
  vertices = canonical.load().vertices
  left, right, lips = (
    vertices[list(loop)]
    for loop in (canonical.LEFT_EYE, canonical.RIGHT_EYE, canonical.INNER_LIPS)
  )
  np.testing.assert_array_equal(left * [-1, 1, 1], right)
  assert left[:, 0].min() > 1.0
  assert left[:, 1].min() > 2.0
  assert abs(lips[:, 0].mean()) < 1e-6
  assert lips[:, 1].max() < -3.0


def test_the_face_is_found_in_a_wheel(tmp_path, monkeypatch):
  folder = tmp_path / 'maskjax' / 'third_party' / 'mediapipe'
  folder.mkdir(parents=True)
  monkeypatch.setattr(bundled, '_PACKAGE', tmp_path / 'maskjax')
  read = canonical.load.__wrapped__  # the function that keeps its result
  with pytest.raises(FileNotFoundError, match='install the package again'):
    read()
  data = FOLDER / 'mediapipe' / 'canonical_face.npz'
  (folder / data.name).write_bytes(data.read_bytes())
  np.testing.assert_array_equal(read().vertices, canonical.load().vertices)


def test_rebuild_reads_the_wire_format(rebuild):
  def field(number, data):  # length-delimited, short
    return bytes([number << 3 | 2, len(data)]) + data

  vertices = np.arange(15, dtype='<f4')
  mesh = b''.join(b'\x1d' + v.tobytes() for v in vertices)  # repeated floats
  mesh += b'\x20\x00\x20\x01\x20\xac\x02'  # repeated varints 0, 1, 300
  landmark = b'\x08\xac\x02\x15' + struct.pack('<f', 0.5)
  arrays = rebuild.parse(field(1, mesh) + field(2, landmark))
  np.testing.assert_array_equal(arrays['faces'], [[0, 1, 300]])
  np.testing.assert_array_equal(
    arrays['vertices'], vertices.reshape(3, 5)[:, :3]
  )
  assert arrays['procrustes_landmarks'] == 300
  assert arrays['procrustes_weights'] == 0.5
  # The same numbers packed into one field.
  packed = field(3, vertices.tobytes()) + field(4, b'\x00\x01\xac\x02')
  again = rebuild.parse(field(1, packed) + field(2, landmark))
  np.testing.assert_array_equal(again['uvs'], arrays['uvs'])
  np.testing.assert_array_equal(again['faces'], arrays['faces'])
