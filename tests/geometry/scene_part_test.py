"""What mesh files name: pictures, and files beside them."""

import io

import numpy as np
from PIL import Image
import pytest

from maskjax.geometry import scene_part

# Red, green over blue, white.
PICTURE = np.array(
  [[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], np.uint8
)


def _png(array):
  file = io.BytesIO()
  Image.fromarray(array).save(file, 'PNG')
  return file.getvalue()


@pytest.mark.parametrize(
  ('wrap', 'uv', 'expected'),
  [
    ('repeat', (0.25, 0.75), (1, 0, 0)),
    ('repeat', (1.0, 1.0), (0, 1, 0)),
    ('repeat', (0.0, 0.0), (0, 0, 1)),
    ('repeat', (1.25, -0.25), (1, 0, 0)),
    ('clamp', (5.0, -5.0), (1, 1, 1)),
    ('mirror', (1.25, 0.25), (1, 1, 1)),
    ('mirror', (2.25, 1.25), (1, 0, 0)),
  ],
)
def test_the_nearest_pixel(wrap, uv, expected):
  found = scene_part.look_up(PICTURE, np.array([uv]), wrap=(wrap, wrap))
  np.testing.assert_allclose(found, [expected], atol=1e-6)


def test_colours_become_linear_and_sizes_do_not_matter():
  grey = np.full((1, 1, 3), 128, np.uint8)
  found = scene_part.look_up(grey, np.array([[0.3, 0.9]]))
  np.testing.assert_allclose(found, 0.2158605, rtol=1e-5)


def test_pictures_of_any_kind_and_none(tmp_path):
  palette = Image.fromarray(PICTURE).convert('P')
  palette.save(tmp_path / 'p.png')
  read = scene_part.read_picture(tmp_path / 'p.png')
  assert read.shape == (2, 2, 3)
  clear = np.concatenate([PICTURE, np.zeros((2, 2, 1), np.uint8)], -1)
  np.testing.assert_array_equal(scene_part.read_picture(_png(clear)), PICTURE)
  with pytest.raises(ValueError, match='picture cannot be read'):
    scene_part.read_picture(b'no picture')


def test_files_are_found_beside_and_nowhere_else(tmp_path):
  folder = tmp_path / 'scene'
  (folder / 'maps').mkdir(parents=True)
  mesh = folder / 'a.obj'
  for name in ('b c.png', 'maps/d.png'):
    (folder / name).write_text('')
  (tmp_path / 'secret').write_text('')
  expected = {
    'b c.png': 'b c.png',
    'b%20c.png': 'b c.png',
    'maps\\d.png': 'maps/d.png',
    'C:\\Users\\me\\b c.png': 'b c.png',
    '/home/me/b c.png': 'b c.png',
    '../scene/b c.png': 'b c.png',
  }
  for name, found in expected.items():
    assert scene_part.beside(mesh, name) == (folder / found).resolve(), name
  for name in ('../secret', str(tmp_path / 'secret'), 'maps', '\0', 'x' * 5000):
    assert scene_part.beside(mesh, name) is None, name


def test_unused_vertices_are_left_out():
  part = scene_part.Part(
    np.arange(15.0).reshape(5, 3),
    np.array([[4, 1, 3]]),
    uvs=np.arange(10.0).reshape(5, 2),
  )
  used = scene_part.used(part)
  np.testing.assert_array_equal(used.vertices, part.vertices[[1, 3, 4]])
  np.testing.assert_array_equal(used.faces, [[2, 0, 1]])
  np.testing.assert_array_equal(used.uvs, part.uvs[[1, 3, 4]])
  assert used.colors is None
