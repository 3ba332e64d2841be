"""Rebuild canonical_face.npz from the npm package @mediapipe/face_mesh.

    python third_party/mediapipe_face/rebuild.py                # npm pack
    python third_party/mediapipe_face/rebuild.py --tarball=x.tgz

The face is a protobuf message, `GeometryPipelineMetadata`, inside the
package's asset file. Its wire format is read here by hand, so that neither
mediapipe nor protobuf is needed:

    GeometryPipelineMetadata  1: canonical_mesh (Mesh3d)
                              2: procrustes_landmark_basis (repeated)
    Mesh3d                    3: vertex_buffer (floats: x y z u v)
                              4: index_buffer (varints)
    WeightedLandmarkRef       1: landmark_id (varint)  2: weight (float)
"""

import argparse
import json
import pathlib
import re
import struct
import subprocess
import tarfile
import tempfile

import numpy as np

PACKAGE = '@mediapipe/face_mesh@0.4.1657299874'
ASSETS = 'package/face_mesh_solution_packed_assets.data'
LOADER = 'package/face_mesh_solution_packed_assets_loader.js'
ASSET = 'geometry_pipeline_metadata_landmarks.binarypb'
OUTPUT = pathlib.Path(__file__).parent / 'canonical_face.npz'


def read_varint(data, position):
  """Return (value, next position) of the varint at `position`."""
  value = shift = 0
  while True:
    byte = data[position]
    position += 1
    value |= (byte & 0x7F) << shift
    shift += 7
    if byte < 0x80:
      return value, position


def read_fields(data):
  """Return [(field number, wire type, value)] of one protobuf message."""
  fields, position = [], 0
  while position < len(data):
    tag, position = read_varint(data, position)
    wire_type = tag & 7
    if wire_type == 0:
      value, position = read_varint(data, position)
    else:
      if wire_type == 2:
        size, position = read_varint(data, position)
      else:
        size = {1: 8, 5: 4}[wire_type]
      value = data[position : position + size]
      position += size
    fields.append((tag >> 3, wire_type, value))
  return fields


def floats(fields, number):
  """Return the (packed or repeated) float32 values of a field."""
  chunks = [value for n, _, value in fields if n == number]
  return np.frombuffer(b''.join(chunks), '<f4')


def varints(fields, number):
  """Return the (packed or repeated) varint values of a field."""
  values = []
  for n, wire_type, value in fields:
    if n == number and wire_type == 0:
      values.append(value)
    elif n == number:
      position = 0
      while position < len(value):
        item, position = read_varint(value, position)
        values.append(item)
  return np.array(values, np.int32)


def parse(message):
  """Return the arrays of a serialized GeometryPipelineMetadata."""
  fields = read_fields(message)
  mesh = read_fields(next(value for n, _, value in fields if n == 1))
  vertices = floats(mesh, 3).reshape(-1, 5)
  basis = [read_fields(value) for n, _, value in fields if n == 2]
  return {
    'vertices': vertices[:, :3],
    'uvs': vertices[:, 3:],
    'faces': varints(mesh, 4).reshape(-1, 3),
    'procrustes_landmarks': np.array(
      [varints(f, 1)[0] for f in basis], np.int32
    ),
    'procrustes_weights': np.array(
      [struct.unpack('<f', f[1][2])[0] for f in basis], np.float32
    ),
  }


def extract(tarball):
  """Return the bytes of the face geometry asset inside the npm tarball."""
  with tarfile.open(tarball) as archive:
    assets = archive.extractfile(ASSETS).read()
    loader = archive.extractfile(LOADER).read().decode()
  table = re.search(r'"files":\s*(\[.*?\])', loader).group(1)
  entry = next(e for e in json.loads(table) if e['filename'].endswith(ASSET))
  return assets[entry['start'] : entry['end']]


def fetch(folder):
  """Download the package with the npm client; return the tarball's path."""
  subprocess.run(['npm', 'pack', PACKAGE], cwd=folder, check=True)
  return next(pathlib.Path(folder).glob('*.tgz'))


def main():
  """Parse the command line and write canonical_face.npz."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--tarball', help='a package that is already here')
  parser.add_argument('--output', default=OUTPUT, type=pathlib.Path)
  arguments = parser.parse_args()
  with tempfile.TemporaryDirectory() as folder:
    arrays = parse(extract(arguments.tarball or fetch(folder)))
  np.savez_compressed(arguments.output, **arrays)
  for name, array in arrays.items():
    print(f'{name:22s} {array.dtype} {array.shape}')


if __name__ == '__main__':
  main()
