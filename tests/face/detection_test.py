"""Faces found, against MediaPipe's; and pictures without any."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.face import detection, networks

NETS = networks.load()
detect = jax.jit(detection.detect, static_argnames=('max_faces', 'threshold'))


@pytest.mark.parametrize('name', ['astronaut', 'large', 'two'])
def test_boxes_and_points_are_mediapipes(pictures, answers, name):
  image, expected = pictures[name], answers[f'{name}_faces']
  height, width, _ = image.shape
  faces = detect(NETS, image)
  assert int(faces.found.sum()) == len(expected)
  for row, (score, box, points) in enumerate(
    zip(expected[:, 0], expected[:, 1:5], expected[:, 5:].reshape(-1, 6, 2))
  ):
    size = np.array([width, height])
    corners = np.concatenate([box[:2], box[:2] + box[2:]]).reshape(2, 2)
    np.testing.assert_allclose(faces.scores[row], score, atol=0.01)
    # OpenCV samples at multiples of 1/32 pixel: a third of a pixel at most.
    np.testing.assert_allclose(
      faces.boxes[row].reshape(2, 2), corners * size, atol=0.35
    )
    np.testing.assert_allclose(faces.points[row], points * size, atol=0.35)


def test_the_points_lie_where_their_names_say(pictures):
  points = detect(NETS, pictures['astronaut']).points[0]
  named = dict(zip(detection.KEYPOINTS, np.asarray(points)))
  assert named['left ear'][0] < named['left eye'][0] < named['nose tip'][0]
  assert named['nose tip'][0] < named['right eye'][0] < named['right ear'][0]
  assert named['left eye'][1] < named['nose tip'][1] < named['mouth'][1]


@pytest.mark.parametrize('value', [0.0, 0.5, jnp.nan, jnp.inf])
def test_pictures_of_nothing_hold_no_face(value):
  faces = detect(NETS, jnp.full((90, 160, 3), value))
  assert not faces.found.any()
  assert all(jnp.all(leaf == 0) for leaf in faces[1:])


def test_one_wrong_pixel_means_no_face_not_a_wrong_one(pictures):
  faces = detect(NETS, pictures['astronaut'].at[100, 200, 1].set(jnp.nan))
  assert not faces.found.any() and jnp.all(jnp.isfinite(faces.points))


def test_vmap_is_a_loop(pictures):
  image = pictures['astronaut'][:256, 100:356]
  batch = jnp.stack([image, image[:, ::-1]])
  together = jax.vmap(detect, (None, 0))(NETS, batch)
  for row in range(2):
    alone = detect(NETS, batch[row])
    np.testing.assert_allclose(together.boxes[row], alone.boxes, atol=1e-2)


def test_overlapping_answers_are_averaged_by_their_scores():
  values = jnp.zeros((3, 16))
  values = values.at[:, :4].set(
    jnp.array([[0, 0, 1, 1], [0, 0.2, 1, 1.2], [5, 5, 6, 6]])
  )
  scores, merged = detection._suppress(
    jnp.array([0.9, 0.6, 0.7]), values, 3, 0.5
  )
  np.testing.assert_allclose(scores, [0.9, 0.7, 0.0], atol=1e-6)
  np.testing.assert_allclose(merged[0, :4], [0.0, 0.08, 1.0, 1.08], atol=1e-6)
  # 6 has a spacing of 4.8e-7.
  np.testing.assert_allclose(merged[1, :4], [5, 5, 6, 6], atol=4e-6)
