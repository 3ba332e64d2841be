"""Pictures of others before a wall: where they stand, and what is behind."""

import numpy as np
from PIL import Image

from maskjax.data.styles import found_pictures


def _frame(seed, **changes):
  options = {'size': 40, 'zoom': 0.5, 'top': 0.25} | changes
  picture = Image.new('RGBA', (64, 64), (255, 0, 0, 255))
  return found_pictures.frame(picture, np.random.default_rng(seed), **options)


def test_a_picture_stands_in_the_middle_at_its_height():
  red = np.all(_frame(0) == (255, 0, 0), -1)
  rows, columns = np.nonzero(red)
  assert (rows.min(), rows.max()) == (10, 29)
  assert (columns.min(), columns.max()) == (10, 29)
  assert red.sum() == 400


def test_the_wall_is_graded_and_drawn_anew():
  wall = found_pictures.soft_background(np.random.default_rng(0), 16)
  assert wall.shape == (16, 16, 3) and wall.min() > 0.3 and wall.max() <= 1
  np.testing.assert_array_equal(wall[:, 0], wall[:, 15])
  assert np.all(np.diff(wall[:, 0], axis=0) <= 0)
  assert np.any(_frame(0)[0] != _frame(1)[0])
  np.testing.assert_array_equal(_frame(1), _frame(1))


def test_half_of_the_pictures_are_mirrored():
  picture = Image.new('RGBA', (32, 32), (0, 0, 0, 0))
  picture.paste((0, 0, 255, 255), (0, 0, 8, 32))
  left = 0
  for seed in range(40):
    rng = np.random.default_rng(seed)
    image = found_pictures.frame(picture, rng, size=32, zoom=1.0, top=0.0)
    blue = np.all(image == (0, 0, 255), -1)
    assert blue[:, :8].all() != blue[:, 24:].all()
    left += blue[:, :8].all()
  assert 8 < left < 32


def test_labels_have_no_camera():
  shown = found_pictures.labelled(_frame(0), 'a face', {'male': True}, 7)
  assert shown.camera is None and shown.landmarks is None
  assert (shown.caption, shown.identity) == ('a face', 7)
