"""OBJ files as others write them."""

import numpy as np
from PIL import Image
import pytest

from maskjax.geometry import obj

SQUARE = 'v 0 0 0\nv 2 0 0\nv 2 2 0\nv 0 2 0\n'
PLAIN = SQUARE + 'f 1 2 3 4\n'


def _read(tmp_path, text, **others):
  for name, content in others.items():
    path = tmp_path / name.replace('_', '.')
    path.write_text(content)
  data = text if isinstance(text, bytes) else text.encode()
  (tmp_path / 'a.obj').write_bytes(data)
  (part,) = obj.read(tmp_path / 'a.obj')
  return part


def _area(part):
  a, b, c = np.moveaxis(part.vertices[part.faces], 1, 0)
  return np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2


@pytest.mark.parametrize(
  'text',
  [
    PLAIN,
    b'\xef\xbb\xbf' + PLAIN.encode(),
    PLAIN.replace('\n', '\r\n'),
    PLAIN.replace('\n', '\r'),
    PLAIN.replace(' ', '\t  ').rstrip('\n'),
    '# a comment\n\n' + PLAIN.replace('f 1 2', 'f 1 2 # half \n#\nf 1 2', 0),
    SQUARE.replace('v 2 2 0', 'v 2 \\\n2 0 # here') + 'f 1 2 \\\n  3 4 # all\n',
    SQUARE + 'f -4 -3 -2 -1\n',
    SQUARE + 'vn 0 0 1\nvt 0 0\nf 1//1 2//1 3//1 4//1\n',
    SQUARE + 'f 1/ 2/ 3/ 4/\n',
    SQUARE + 'f 1 2\nl 1 2\np 1\ng a\no b\ns off\nvp 1\nf 1 2 3 4\n',
    PLAIN.replace('0\n', '0 1.0\n'),  # with a weight
    'f 1 2 3 4\n' + SQUARE,
    'v 9 9 9\n' * 2 + SQUARE + 'f -4 -3 -2 -1\nv 8 8 8\n',
  ],
)
def test_the_grammar(tmp_path, text):
  part = _read(tmp_path, text)
  np.testing.assert_array_equal(
    part.vertices, [[0, 0, 0], [2, 0, 0], [2, 2, 0], [0, 2, 0]]
  )
  assert len(part.faces) == 2 and _area(part) == 4
  assert part.colors is None and part.uvs is None


def test_negative_indices_count_from_their_line(tmp_path):
  blocks = ''.join(
    f'v {3 * k} 0 0\nv {3 * k + 2} 0 0\nv {3 * k} 2 0\nf -3 -2 -1\n'
    for k in range(5)
  )
  part = _read(tmp_path, blocks)
  assert _area(part) == 10 and len(part.vertices) == 15


def test_polygons_that_are_not_convex(tmp_path):
  arrow = 'v 0 0 0\nv 10 0 0\nv 2 2 0\nv 0 10 0\nf 1 2 3 4\n'
  assert _area(_read(tmp_path, arrow)) == 20


def test_far_coordinates_keep_their_digits(tmp_path):
  text = SQUARE.replace('v ', 'v 500000').replace(' 0 0', ' 0.25 0', 1)
  part = _read(tmp_path, text + 'f 1 2 3 4\n')
  assert part.vertices.dtype == np.float64
  assert part.vertices[0].tolist() == [5000000, 0.25, 0]


def test_vertices_are_split_where_uvs_meet(tmp_path):
  text = SQUARE + 'vt 0 0\nvt 1 0.5 0\nvt 1 1\n'
  part = _read(tmp_path, text + 'f 1/1 2/2 3/3\nf 1/2 3/3 4/1\n')
  assert len(part.vertices) == 5
  uvs = part.uvs[part.faces]
  np.testing.assert_array_equal(uvs[0], [[0, 0], [1, 0.5], [1, 1]])
  np.testing.assert_array_equal(uvs[1], [[1, 0.5], [1, 1], [0, 0]])


@pytest.mark.parametrize(
  ('rows', 'expected'),
  [
    (['1 0 0', '0 1 0', '0 0 1', '1 1 1'], np.eye(3)[[0, 1, 2]]),
    (['255 0 0', '0 255 0', '0 0 255', '0 0 0'], np.eye(3)[[0, 1, 2]]),
    (['1 0 0 1', '0 1 0 1', '0 0 1 0', '1 1 1 1'], np.eye(3)[[0, 1, 2]]),
    (['1 0 0', '', '0 0 1', ''], [[1, 0, 0], [1, 1, 1], [0, 0, 1]]),
  ],
)
def test_colours_behind_positions(tmp_path, rows, expected):
  lines = SQUARE.splitlines()
  text = '\n'.join(f'{line} {row}' for line, row in zip(lines, rows))
  part = _read(tmp_path, text + '\nf 1 2 3 4\n')
  np.testing.assert_allclose(part.colors[:3], expected, atol=1e-6)


def test_colours_of_materials(tmp_path):
  text = 'mtllib my materials.mtl\n' + SQUARE
  text += 'usemtl red one\nf 1 2 3\nusemtl none\nf 1 3 4\n'
  (tmp_path / 'my materials.mtl').write_text(
    '# by hand\nnewmtl red one\nKa 0 0 0\nKd 1.0 0.5 0 # orange\n'
  )
  part = _read(tmp_path, text)
  first, second = part.colors[part.faces]
  np.testing.assert_allclose(first, [[1, 0.2140411, 0]] * 3, rtol=1e-5)
  np.testing.assert_array_equal(second, np.ones((3, 3)))


@pytest.mark.parametrize(
  'line',
  [
    'map_Kd my map.png',
    'map_Kd -clamp off -blendu on -mm 0 1 my map.png',
    'map_Kd -s 1 1 1 -o 0 0 0 my map.png',
    'map_Kd -s 1.0 -bm 0.5 textures\\my map.png',
    'map_Kd C:\\work\\my map.png',
    'map_kd   /home/me/my map.png  # here',
  ],
)
def test_pictures_and_their_options(tmp_path, line):
  picture = np.zeros((2, 2, 3), np.uint8)
  picture[:, 1] = 255  # white on the right
  (tmp_path / 'textures').mkdir()
  for folder in (tmp_path, tmp_path / 'textures'):
    Image.fromarray(picture).save(folder / 'my map.png')
  text = 'mtllib a.mtl\nusemtl m\n' + SQUARE
  text += 'vt 0.1 0\nvt 0.9 0\nvt 0.9 1\nvt 0.1 1\nf 1/1 2/2 3/3 4/4\n'
  part = _read(tmp_path, text, a_mtl=f'newmtl m\nKd 0 0 0\n{line}\n')
  np.testing.assert_array_equal(part.colors[:, 0], [0, 1, 1, 0])


def test_uvs_are_scaled_and_moved(tmp_path):
  picture = np.zeros((1, 4, 3), np.uint8)
  picture[0, :, 0] = [0, 255, 0, 0]
  Image.fromarray(picture).save(tmp_path / 'm.png')
  text = 'mtllib a.mtl\nusemtl m\n' + SQUARE
  text += 'vt 0 0\nvt 0.25 0\nvt 0.5 1\nvt 0.75 1\nf 1/1 2/2 3/3 4/4\n'
  line = 'map_Kd -o 0.25 -s 0.5 1 m.png'
  part = _read(tmp_path, text, a_mtl=f'newmtl m\n{line}\n')
  np.testing.assert_array_equal(part.colors[:, 0], [1, 1, 0, 0])


def test_what_is_missing_leaves_a_mesh_without_colours(tmp_path):
  text = 'mtllib none.mtl\nusemtl m\n' + PLAIN
  assert _read(tmp_path, text).colors is None
  text = 'mtllib a.mtl\nusemtl m\n' + PLAIN
  part = _read(tmp_path, text, a_mtl='newmtl m\nmap_Kd none.png\n')
  assert part.colors is None


@pytest.mark.parametrize(
  ('text', 'words'),
  [
    (SQUARE + 'f 1 2 9\n', 'names vertex 9 of 4'),
    (SQUARE + 'f 0 1 2\n', 'line 5: index 0'),
    (SQUARE + 'f -5 1 2\n', 'line 5: index -5, there are 4'),
    (SQUARE + '\nf 1 b 3\n', 'line 6: invalid literal'),
    (SQUARE + 'vt 0 0\nf 1/1 2/2 3/1\n', 'names uv 2 of 1'),
    ('v 0 0\nv 1 1 1\nf 1 2 2\n', 'vertex of fewer than 3'),
    ('v a 0 0\nv 1 1 1\nf 1 2 2\n', 'vertex that is no number'),
  ],
)
def test_errors_name_the_line(tmp_path, text, words):
  with pytest.raises(ValueError, match=words) as caught:
    _read(tmp_path, text)
  assert '\n' not in str(caught.value)


def test_a_material_without_a_name_is_told(tmp_path):
  with pytest.raises(ValueError, match=r'a\.mtl, line 1'):
    _read(tmp_path, 'mtllib a.mtl\n' + PLAIN, a_mtl='Kd 1 0 0\n')
