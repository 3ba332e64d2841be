"""The 468 points, against MediaPipe's; a lost face; gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.face import crops, detection, landmarks, networks

NETS = networks.load()
find = jax.jit(landmarks.find, static_argnames=('max_faces', 'refinements'))
look = jax.jit(landmarks.landmarks)
detect = jax.jit(detection.detect)


def _pixels(points, image):
  height, width, _ = image.shape
  return np.asarray(points) * [width, height, width]


# The contract is a pixel on a face of 256 pixels; measured: 0.1 (0.4 where
# rows of a detector's crop fall between pixels).
@pytest.mark.parametrize('name', ['astronaut', 'large', 'two'])
def test_points_are_mediapipes(pictures, answers, name):
  image, expected = pictures[name], answers[f'{name}_points']
  found = find(NETS, image, max_faces=3)
  assert found.found.tolist() == [row < len(expected) for row in range(3)]
  rows = _pixels(found.points, image)
  for face in _pixels(expected, image):
    tall = np.ptp(face[:, 1])
    row = min(rows, key=lambda points: np.abs(points - face).max())
    errors = np.linalg.norm((row - face)[:, :2], axis=-1) * 256 / tall
    assert errors.max() < 1.0 and errors.mean() < 0.3
    assert np.abs(row - face)[:, 2].max() * 256 / tall < 1.0


def test_following_a_face_stays_on_it(pictures):
  image = pictures['astronaut']
  first = find(NETS, image)
  region = landmarks.next_region(first.points[0], *image.shape[:2])
  again = look(NETS, image, region)
  assert bool(again.found)
  moved = _pixels(again.points - first.points[0], image)
  assert np.abs(moved[:, :2]).max() < 4.0  # of a face of 103 pixels


def test_a_video_goes_on_after_frames_without_a_face(pictures):
  good = pictures['astronaut']
  torn = good.at[200:].set(jnp.nan)
  frames = [
    good, jnp.roll(good, 4, 1), jnp.full_like(good, jnp.nan),
    jnp.full_like(good, 0.5), torn, good, good,
  ]  # fmt: skip
  step = jax.jit(landmarks.follow)
  last = jax.tree.map(lambda x: x[0], find(NETS, jnp.zeros_like(good)))
  seen = []
  for frame in frames:
    last = step(NETS, frame, last)
    seen.append(last)
  assert [bool(face.found) for face in seen[:4]] == [True, True, False, False]
  assert all(bool(jnp.isfinite(face.points).all()) for face in seen)
  assert all(float(jnp.abs(face.points).max()) == 0 for face in seen[2:4])
  # Found anew by the detector, then followed: the same face.
  alone = find(NETS, good)
  np.testing.assert_allclose(seen[-2].points, alone.points[0], atol=1e-5)
  gap = jnp.abs(seen[-1].points - alone.points[0])[:, :2]
  assert float(gap.max()) < 0.01


def test_looking_again_is_following(pictures):
  image = pictures['astronaut']
  twice = find(NETS, image, refinements=1)
  first = find(NETS, image)
  region = landmarks.next_region(first.points[0], *image.shape[:2])
  again = look(NETS, image, region)
  np.testing.assert_allclose(twice.points[0], again.points, atol=1e-4)


def test_turning_region_and_picture_alike_turns_the_points(pictures):
  """A quarter turn needs no interpolation: points must turn with it."""
  image = pictures['astronaut'][:400, 50:450]
  faces = detect(NETS, image)
  region = detection.face_region(faces.boxes[0], faces.points[0])
  upright = look(NETS, image, region)
  x, y = region.center
  turned = look(
    NETS,
    jnp.rot90(image, -1),  # clockwise: (x, y) goes to (399 - y, x)
    crops.Region(
      center=jnp.stack([399 - y, x]),
      size=region.size,
      rotation=region.rotation + jnp.pi / 2,
    ),
  )
  before = upright.points[:, :2] * 400
  after = turned.points[:, :2] * 400
  expected = jnp.stack([399 - before[:, 1], before[:, 0]], -1)
  np.testing.assert_allclose(after, expected, atol=0.05)
  np.testing.assert_allclose(
    turned.points[:, 2], upright.points[:, 2], atol=1e-3
  )


@pytest.mark.parametrize('value', [0.0, 1.0, jnp.nan])
def test_no_face_is_an_empty_result(value):
  found = find(NETS, jnp.full((120, 90, 3), value), max_faces=2)
  assert not found.found.any()
  assert jnp.all(found.score == 0) and jnp.all(found.points == 0)


@pytest.mark.parametrize('shape', [(1, 1), (3, 200), (20, 20)])
def test_tiny_pictures_hold_no_face(shape):
  rng = np.random.default_rng(0)
  image = jnp.asarray(rng.random((*shape, 3)), jnp.float32)
  assert not find(NETS, image).found.any()


def test_a_region_without_a_face_is_not_taken_for_one(pictures):
  image = pictures['astronaut']
  region = crops.Region(
    center=jnp.array([440.0, 300.0]),
    size=jnp.array([120.0, 120.0]),
    rotation=jnp.float32(0.0),
  )
  assert not bool(look(NETS, image, region).found)


def test_a_grey_picture_is_enough(pictures):
  grey = pictures['astronaut'].mean(-1, keepdims=True).repeat(3, -1)
  color = find(NETS, pictures['astronaut']).points[0]
  found = find(NETS, grey)
  assert bool(found.found[0])
  assert float(jnp.abs(found.points[0] - color)[:, :2].max()) < 0.01


def test_points_have_gradients_in_the_picture(pictures):
  image = pictures['astronaut'][:220, 110:330]
  faces = detect(NETS, image)
  region = detection.face_region(faces.boxes[0], faces.points[0])

  @jax.jit
  def nose(image):
    return look(NETS, image, region).points[1, 0]

  slope = jax.grad(nose)(image)
  assert bool(jnp.all(jnp.isfinite(slope))) and float(jnp.abs(slope).max()) > 0
  direction = jnp.sign(slope)
  step = 1e-4  # PReLU has kinks
  numeric = (
    nose(image + step * direction) - nose(image - step * direction)
  ) / (2 * step)
  np.testing.assert_allclose(jnp.sum(slope * direction), numeric, rtol=0.08)
