"""PLY files as others write them."""

import struct

import numpy as np
import pytest

from maskjax.geometry import ply

POINTS = [(0, 0, 0), (2, 0, 0), (2, 2, 0), (0, 2, 0), (4, 1, 0)]
ROWS = [(0, 1, 2, 3), (1, 4, 2)]
FORMATS = {
  'ascii': None, 'binary_little_endian': '<', 'binary_big_endian': '>'
}  # fmt: skip


def _write(path, order, *, position='float', count='uchar', colors=None):
  """Write two polygons, of four and of three corners, and what else occurs."""
  names = {'float': 'f', 'double': 'd'}
  lines = ['ply', f'format {order} 1.0', 'comment by hand', 'obj_info none']
  lines += ['element camera 1', 'property list uchar short frame']
  lines += [f'element vertex {len(POINTS)}']
  lines += [f'property {position} {axis}' for axis in 'xyz']
  if colors is not None:
    kind = 'uchar' if isinstance(colors[0][0], int) else 'float'
    lines += [f'property {kind} {name}' for name in ('red', 'green', 'blue')]
  lines += ['element face 2', f'property list {count} int vertex_indices']
  lines += ['property uchar flags', 'end_header', '']
  head = '\n'.join(lines).encode()
  shape = {'uchar': 'B', 'uint': 'I'}[count]
  rows = [('B2h', (2, 7, 9))]
  for index, point in enumerate(POINTS):
    rows.append((f'3{names[position]}', point))
    if colors is not None:
      rows.append(('3B' if kind == 'uchar' else '3f', colors[index]))
  for row in ROWS:
    rows.append((f'{shape}{len(row)}iB', (len(row), *row, 5)))
  sign = FORMATS[order]
  if sign is None:
    body = '\n'.join(' '.join(map(str, row)) for _, row in rows).encode()
  else:
    body = b''.join(struct.pack(sign + kind, *row) for kind, row in rows)
  path.write_bytes(head + body)


def _area(part):
  a, b, c = np.moveaxis(part.vertices[part.faces], 1, 0)
  return np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2


@pytest.mark.parametrize('order', FORMATS)
@pytest.mark.parametrize(
  'options', [{}, {'position': 'double', 'count': 'uint'}]
)
def test_mixed_polygons(tmp_path, order, options):
  _write(tmp_path / 'a.ply', order, **options)
  (part,) = ply.read(tmp_path / 'a.ply')
  np.testing.assert_array_equal(part.vertices, POINTS)
  assert len(part.faces) == 3 and _area(part) == 6
  assert part.colors is None and part.uvs is None


@pytest.mark.parametrize('order', FORMATS)
@pytest.mark.parametrize('top', [255, 1.0, 255.0])
def test_colours(tmp_path, order, top):
  grey = type(top)(0.5 * top) if top == 1.0 else type(top)(128)
  colors = [(top, type(top)(0), grey)] * len(POINTS)
  _write(tmp_path / 'a.ply', order, colors=colors)
  (part,) = ply.read(tmp_path / 'a.ply')
  expected = 0.2140411 if top == 1.0 else 0.2158605
  np.testing.assert_allclose(part.colors[0], [1, 0, expected], rtol=1e-5)


def _text(tmp_path, text):
  (tmp_path / 'a.ply').write_text(text)
  return ply.read(tmp_path / 'a.ply')


_HEAD = 'ply\nformat ascii 1.0\nelement vertex 4\n'
_PLACES = ''.join(f'property float {axis}\n' for axis in 'xyz')
_BODY = '0 0 0\n2 0 0\n2 2 0\n0 2 0\n'


def test_colours_of_faces_split_the_vertices(tmp_path):
  (part,) = _text(
    tmp_path,
    _HEAD + _PLACES + 'element face 2\nproperty list uchar int vertex_index\n'
    'property uchar red\nproperty uchar green\nproperty uchar blue\n'
    'end_header\n' + _BODY + '3 0 1 2 255 0 0\n3 0 2 3 0 0 255\n',
  )
  assert len(part.vertices) == 6
  np.testing.assert_array_equal(
    part.colors[part.faces][:, 0], [[1, 0, 0], [0, 0, 1]]
  )


def test_uvs_and_strips(tmp_path):
  (part,) = _text(
    tmp_path,
    _HEAD + _PLACES + 'property float s\nproperty float t\n'
    'element tristrips 1\nproperty list int int vertex_indices\nend_header\n'
    '0 0 0 0 0\n2 0 0 1 0\n0 2 0 0 1\n2 2 0 1 1\n8 0 1 2 3 -1 0 1 -1\n',
  )
  np.testing.assert_array_equal(part.uvs, part.vertices[:, :2] / 2)
  a, b, c = np.moveaxis(part.vertices[part.faces], 1, 0)
  np.testing.assert_array_equal(np.cross(b - a, c - a)[:, 2], [4, 4])


_FACES = 'element face 1\nproperty list uchar int vertex_index\nend_header\n'


@pytest.mark.parametrize(
  ('text', 'words'),
  [
    ('ply\nformat ascii 1.0\n', 'no header'),
    (_HEAD.replace('ascii', 'base64') + 'end_header\n', 'no format'),
    (_HEAD + _PLACES + _FACES + _BODY + '3 0 1\n', "ends within .*'face'"),
    (_HEAD + _PLACES + _FACES + '0 0 0\n', "ends within .*'vertex'"),
    (_HEAD + _PLACES + _FACES + _BODY + '3 0 1 7\n', 'names vertex 7'),
    (_HEAD.replace('4', '99999999') + _PLACES + 'end_header\n', 'ends within'),
    (_HEAD + 'property quad x\nend_header\n', "unknown type 'quad'"),
  ],
)
def test_broken_files(tmp_path, text, words):
  with pytest.raises(ValueError, match=words) as caught:
    _text(tmp_path, text)
  assert '\n' not in str(caught.value)


@pytest.mark.parametrize('order', list(FORMATS)[1:])
def test_binary_files_that_end_early(tmp_path, order):
  path = tmp_path / 'a.ply'
  _write(path, order)
  data = path.read_bytes()
  for cut in (1, 9, 20, 40):
    path.write_bytes(data[:-cut])
    with pytest.raises(ValueError, match='ends within'):
      ply.read(path)


def test_points_are_no_surface(tmp_path):
  assert _text(tmp_path, _HEAD + _PLACES + 'end_header\n' + _BODY) == []
