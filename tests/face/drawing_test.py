"""What the pictures show is where it should be."""

import numpy as np
import pytest
from skimage import data

from maskjax.face import drawing, light, photo


@pytest.fixture(scope='module')
def face():
  image = np.float32(data.astronaut()[:300, 70:370]) / 255
  return image, photo.look(image)


def test_landmarks_are_drawn_over_the_face(face):
  image, found = face
  sheet = drawing.landmark_sheet(image, found)
  assert sheet.dtype == np.uint8 and sheet.shape[1] == 2 * 492 + 12
  # The blue of the eyes' loops lies where the eyes are.
  panel = sheet[12:492, 12:492].astype(int)
  blue = (panel[..., 2] - panel[..., 0] > 90) & (panel[..., 1] > 120)
  rows, columns = np.nonzero(blue)
  window = drawing._window(found.points, 300, 300)
  eyes = drawing._place(found.points, image, window, 480)[[33, 263]]
  assert abs(rows.mean() - eyes[:, 1].mean()) < 12
  assert columns.min() > eyes[0, 0] - 12 and columns.max() < eyes[1, 0] + 12


def test_a_ball_is_bright_where_the_light_is(face):
  _, found = face
  camera = found.head.camera
  for direction, brighter in (((-1, 0, 0.2), 0), ((1, 0, 0.2), 1)):
    lit = light.lights_lib.directional(direction, ambient=(0.1,) * 3)
    ball = np.asarray(drawing._ball(lit, camera, 100)).mean(-1)
    halves = [ball[30:70, 10:50].mean(), ball[30:70, 50:90].mean()]
    assert np.argmax(halves) == brighter


def test_the_light_sheet_has_four_panels(face):
  image, found = face
  sheet = drawing.light_sheet(image, found)
  assert sheet.shape == (532, 4 * 492 + 12, 3)
  relit = sheet[12:492, 12 + 3 * 492 :][:480, :480].astype(int)
  skin = relit[..., 0] - relit[..., 2] > 15
  assert 0.05 < skin.mean() < 0.6
