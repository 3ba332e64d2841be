"""Rebuild the data of MediaPipe from the packages that carry it.

    python third_party/mediapipe/build.py          # npm pack, pip download
    python third_party/mediapipe/build.py --only=face --tarball=x.tgz
    python third_party/mediapipe/build.py --only=networks --wheel=x.whl

canonical_face.npz is from the npm package @mediapipe/face_mesh. The face is a
protobuf message, `GeometryPipelineMetadata`, inside the package's asset file.
Its wire format is read here by hand, so that neither mediapipe nor protobuf
is needed:

    GeometryPipelineMetadata  1: canonical_mesh (Mesh3d)
                              2: procrustes_landmark_basis (repeated)
    Mesh3d                    3: vertex_buffer (floats: x y z u v)
                              4: index_buffer (varints)
    WeightedLandmarkRef       1: landmark_id (varint)  2: weight (float)

The networks (*.safetensors) are from the PyPI wheel mediapipe: TFLite files,
which are flatbuffers, read by hand as well. Of their tables only these fields
matter:

    Model         1: operator_codes  2: subgraphs  4: buffers
    OperatorCode  0: builtin_code
    SubGraph      0: tensors  3: operators
    Tensor        0: shape  1: type (1 is float16)  2: buffer
    Operator      0: opcode_index  1: inputs  2: outputs
    Buffer        0: data

The operators of a file come in the order of execution, and weights are told
apart by that order alone: `LAYERS` names them one after the other.
"""

import argparse
import json
import pathlib
import re
import struct
import subprocess
import sys
import tarfile
import tempfile
import zipfile

import numpy as np
from safetensors import numpy as safetensors

PACKAGE = '@mediapipe/face_mesh@0.4.1657299874'
ASSETS = 'package/face_mesh_solution_packed_assets.data'
LOADER = 'package/face_mesh_solution_packed_assets_loader.js'
ASSET = 'geometry_pipeline_metadata_landmarks.binarypb'
WHEEL = 'mediapipe==0.10.21'
WHEEL_PLATFORM = ('--platform=manylinux_2_28_x86_64', '--python-version=3.11')
FOLDER = pathlib.Path(__file__).parent

CONVOLUTION, DEPTHWISE, DEQUANTIZE, CUSTOM, PRELU = 3, 4, 6, 32, 54


def pairs(name, count):
  """Return the names of the convolutions of `count` blocks."""
  return [
    f'{name}_{i}/{part}'
    for i in range(count)
    for part in ('depthwise', 'pointwise')
  ]


def inverted(index, gated):
  """Return the names of the convolutions of one inverted residual."""
  gate = ('gate/squeeze', 'gate/excite') if gated else ()
  return [
    f'blocks_{index}/{part}'
    for part in ('expand', 'depthwise', *gate, 'project')
  ]


def decoding(index):
  """Return the names of the convolutions of one stage of the decoder."""
  parts = ('reduce', 'gate/squeeze', 'gate/excite', 'mix', 'depthwise')
  return [f'decoder_{index}/{part}' for part in parts]


# By network: its file in the wheel, its convolutions, its PReLU slopes.
LAYERS = {
  'blazeface': (
    'face_detection/face_detection_short_range.tflite',
    [
      'stem',
      *pairs('blocks', 16),
      'scores_0',
      'scores_1',
      'boxes_0',
      'boxes_1',
    ],
    [],
  ),
  'facemesh': (
    'face_landmark/face_landmark.tflite',
    [
      'stem',
      *pairs('blocks', 14),
      *pairs('mesh_blocks', 2),
      # From here on two branches take turns.
      'score_blocks_0/depthwise',
      'mesh_blocks_2/depthwise',
      'score_blocks_0/pointwise',
      'mesh_blocks_2/pointwise',
      'score_reduce',
      'mesh_reduce',
      'score_blocks_1/depthwise',
      'mesh_blocks_3/depthwise',
      'score_blocks_1/pointwise',
      'mesh_blocks_3/pointwise',
      'score',
      'mesh',
    ],
    [
      'stem_slope',
      *(f'blocks_{i}/slope' for i in range(14)),
      'mesh_blocks_0/slope',
      'mesh_blocks_1/slope',
      'score_blocks_0/slope',
      'mesh_blocks_2/slope',
      'score_reduce_slope',
      'mesh_reduce_slope',
      'score_blocks_1/slope',
      'mesh_blocks_3/slope',
    ],
  ),
  'selfie': (
    'selfie_segmentation/selfie_segmentation.tflite',
    [
      'stem',
      *inverted(0, True),
      *inverted(1, False),
      *inverted(2, False),
      *(name for i in range(3, 8) for name in inverted(i, True)),
      'context',
      'context_gate',
      *(name for i in range(3) for name in decoding(i)),
      'mask',
    ],
    [],
  ),
}


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


# --- networks ---------------------------------------------------------------


def integer(data, position, kind='<i'):
  """Return the number of the `struct` format `kind` at `position`."""
  return struct.unpack_from(kind, data, position)[0]


def field(data, table, number):
  """Return where field `number` of a flatbuffer table is, or None."""
  entries = table - integer(data, table)
  place = 4 + 2 * number
  if place >= integer(data, entries, '<H'):
    return None
  offset = integer(data, entries + place, '<H')
  return table + offset if offset else None


def follow(data, position):
  """Return what the offset at `position` points to."""
  return position + integer(data, position, '<I')


def tables(data, table, number):
  """Return the places of the tables in a field that is a vector of tables."""
  start = follow(data, field(data, table, number))
  count = integer(data, start, '<I')
  return [follow(data, start + 4 + 4 * i) for i in range(count)]


def vector(data, table, number, dtype):
  """Return a field that is a vector of numbers (empty if it is not there)."""
  position = field(data, table, number)
  if position is None:
    return np.zeros(0, dtype)
  start = follow(data, position)
  size = integer(data, start, '<I')
  return np.frombuffer(data, dtype, size, start + 4)


def number(data, table, index, kind):
  """Return a field that is a number; 0 if it is not there."""
  position = field(data, table, index)
  return 0 if position is None else integer(data, position, kind)


def read_tflite(data):
  """Return [(builtin code, [weights or None per input])] of a TFLite file."""
  model = follow(data, 0)
  codes = [number(data, t, 0, '<b') for t in tables(data, model, 1)]
  graph = tables(data, model, 2)[0]
  buffers = tables(data, model, 4)
  constants = {}
  for index, tensor in enumerate(tables(data, graph, 0)):
    raw = vector(data, buffers[number(data, tensor, 2, '<I')], 0, np.uint8)
    if len(raw) and number(data, tensor, 1, '<b') == 1:
      shape = vector(data, tensor, 0, '<i4')
      constants[index] = raw.view('<f2').reshape(shape)
  operators = []
  for table in tables(data, graph, 3):
    code = codes[number(data, table, 0, '<I')]
    inputs = vector(data, table, 1, '<i4').tolist()
    if code == DEQUANTIZE:
      constants[int(vector(data, table, 2, '<i4')[0])] = constants[inputs[0]]
    else:
      operators.append((code, [constants.get(i) for i in inputs]))
  return operators


def convert(operators, convolutions, slopes):
  """Return {name: array}: kernels [h, w, in, out], biases and slopes [out]."""
  arrays, names = {}, iter(convolutions)
  slope_names = iter(slopes)
  for code, inputs in operators:
    if code in (CONVOLUTION, DEPTHWISE, CUSTOM):
      name = next(names)
      axes = (1, 2, 0, 3) if code == DEPTHWISE else (1, 2, 3, 0)
      arrays[f'{name}/kernel'] = inputs[1].transpose(axes)
      arrays[f'{name}/bias'] = inputs[2]
    elif code == PRELU:
      arrays[next(slope_names)] = inputs[1].reshape(-1)
  left = [*names, *slope_names]
  if left:
    raise ValueError(f'the file has no weights for {left}')
  return {name: np.ascontiguousarray(a) for name, a in arrays.items()}


def fetch_wheel(folder):
  """Download the wheel with pip; return its path."""
  command = [sys.executable, '-m', 'pip', 'download', '--no-deps']
  command += ['--only-binary=:all:', *WHEEL_PLATFORM, WHEEL]
  subprocess.run(command, cwd=folder, check=True)
  return next(pathlib.Path(folder).glob('*.whl'))


# --- command line -----------------------------------------------------------


def build_face(tarball, output):
  """Write canonical_face.npz."""
  with tempfile.TemporaryDirectory() as folder:
    arrays = parse(extract(tarball or fetch(folder)))
  np.savez_compressed(output / 'canonical_face.npz', **arrays)
  for name, array in arrays.items():
    print(f'{name:22s} {array.dtype} {array.shape}')


def build_networks(wheel, output):
  """Write the safetensors files."""
  with (
    tempfile.TemporaryDirectory() as folder,
    zipfile.ZipFile(wheel or fetch_wheel(folder)) as archive,
  ):
    for name, (path, convolutions, slopes) in LAYERS.items():
      operators = read_tflite(archive.read(f'mediapipe/modules/{path}'))
      arrays = convert(operators, convolutions, slopes)
      file = output / f'{name}.safetensors'
      safetensors.save_file(arrays, file)
      file.chmod(0o644)
      count = sum(a.size for a in arrays.values())
      print(f'{name:22s} {len(arrays)} arrays, {count} numbers')


def main():
  """Parse the command line and write the files."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--only', choices=('face', 'networks'))
  parser.add_argument('--tarball', help='the npm package, if already here')
  parser.add_argument('--wheel', help='the PyPI package, if already here')
  parser.add_argument('--output', default=FOLDER, type=pathlib.Path)
  arguments = parser.parse_args()
  if arguments.only != 'networks':
    build_face(arguments.tarball, arguments.output)
  if arguments.only != 'face':
    build_networks(arguments.wheel, arguments.output)


if __name__ == '__main__':
  main()
