"""The cameras that a student sees."""

import numpy as np

from maskjax.people_gan import (
  batches as people_batches,
  stage as stage_lib,
  student,
)
from tests.people_gan import people


def test_a_batch_has_cameras_of_the_data_and_their_angles():
  data = people_batches.by_scene(people.face_set(count=4, views=3))
  told = people.settings('tiny_student', scenes=5, views=2)
  batch = student._batches(told, data)
  drawn = batch(3)
  assert drawn.camera.shape == (5, 2, 25) and drawn.angles.shape == (5, 2, 2)
  cameras = data.camera.reshape(-1, 25)
  angles = stage_lib.camera_angles(data).reshape(-1, 2)
  for camera, angle in zip(
    drawn.camera.reshape(-1, 25), drawn.angles.reshape(-1, 2)
  ):
    (row,) = np.flatnonzero((cameras == camera).all(1))
    np.testing.assert_array_equal(angles[row], angle)
  # A pure function of seed and step.
  np.testing.assert_array_equal(batch(3).camera, drawn.camera)
  assert (batch(4).camera != drawn.camera).any()
