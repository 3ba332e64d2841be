"""Small faces are found in parts of a picture."""

import jax.numpy as jnp
import numpy as np
from PIL import Image
import pytest
from skimage import data

from maskjax.face import networks, photo, search


@pytest.mark.parametrize('size', [(96, 96), (100, 170), (401, 200)])
def test_parts_cover_a_picture_and_overlap(size):
  seen = np.zeros(size, int)
  for row, column in search.parts(*size, 96):
    assert row + 96 <= size[0] and column + 96 <= size[1]
    seen[row : row + 96, column : column + 96] += 1
  assert seen.min() >= 1
  rows = np.unique(search.parts(*size, 96)[:, 0])
  assert np.diff(rows).max(initial=0) <= 48


def _small(share):
  """Return a grey picture with a face of this share of its width, and where."""
  portrait = data.astronaut()[:300, 70:370]  # the face is 0.32 of it wide
  side = round(share * 640 / 0.32)
  picture = np.full((480, 640, 3), 120, np.uint8)
  picture[230 : 230 + side, 410 : 410 + side] = Image.fromarray(
    portrait
  ).resize((side, side), Image.Resampling.LANCZOS)
  # The nose of the portrait is at (0.46, 0.42) of it.
  return np.float32(picture) / 255, (410 + 0.46 * side, 230 + 0.42 * side)


def test_a_small_face_is_found():
  image, middle = _small(0.06)
  face = photo.look(image)
  found = np.asarray(face.points[:, :2].mean(0)) * (640, 480)
  np.testing.assert_allclose(found, middle, atol=8)
  width = float(np.ptp(np.asarray(face.points[:, 0])))
  np.testing.assert_allclose(width, 0.06, atol=0.015)
  assert face.others == 0


def test_where_there_is_none_the_line_says_the_limit():
  grey = np.full((480, 640, 3), 0.5, np.float32)
  assert search.largest(networks.load(), jnp.asarray(grey)) is None
  with pytest.raises(ValueError, match='at least 4% of the longer side of the'):
    photo.look(grey)
