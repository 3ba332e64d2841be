"""A photo gives a mask its shape, its colours and its light."""

import numpy as np
import pytest

from maskjax.face import photo
from maskjax.fitting import portrait


def test_a_photo_gives_shape_colours_and_light():
  fit = portrait.fit(photo.astronaut(), size=48, steps=25)
  # A few steps: 0.51 to 0.31.
  assert fit.numbers['error'] < 0.7 * fit.numbers['error_start']
  albedo = np.asarray(fit.mesh.colors)
  assert albedo.min() > 0 and albedo.max() < 1
  # Skin is red rather than blue.
  assert albedo.mean(0)[0] > albedo.mean(0)[2]


def test_a_picture_without_a_face_is_refused():
  with pytest.raises(ValueError, match='face'):
    portrait.fit(np.full((64, 64, 3), 0.5, np.float32), size=32, steps=1)
