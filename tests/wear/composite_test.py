"""A mask is laid over a frame in linear light, where the head lets it."""

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from maskjax.face import pose as pose_lib
from maskjax.geometry import (
  camera as camera_lib,
  canonical,
  color,
  mesh as mesh_lib,
)
from maskjax.wear import composite
from tests.wear import conftest as truth

_SIZE = (90, 120)


def _camera(degrees=(0, 0, 0), place=(0.0, 0.0, 60.0)):
  pose = jnp.asarray(truth.pose_of(degrees, place), jnp.float32)
  intrinsics = pose_lib.photo_intrinsics(*_SIZE, 40.0)
  return camera_lib.Camera(camera_lib.invert_pose(pose), intrinsics)


def _square(z, half=6.0, level=0.5):
  """Return a square that faces the viewer, at a depth in the head's frame."""
  corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half
  vertices = np.concatenate([corners, np.full((4, 1), float(z))], 1)
  faces = np.array([[0, 1, 2], [0, 2, 3]])
  return mesh_lib.from_numpy(vertices, faces, colors=np.full((4, 3), level))


def _frame():
  rng = np.random.default_rng(0)
  return rng.integers(60, 120, (*_SIZE, 3), np.uint8)


def _worn(mask, head=None, *, camera=None, look=composite.SHARP, **options):
  surface = composite.join(mask, head)
  camera = _camera() if camera is None else camera
  light = truth.even_light(0.9)
  return composite.wear(_frame(), surface, camera, light, look, **options)


def test_colours_are_mixed_in_linear_light():
  worn, alone = _worn(_square(5))
  middle = _SIZE[0] // 2, _SIZE[1] // 2
  wanted = float(color.linear_to_srgb(jnp.float32(0.45))) * 255
  np.testing.assert_allclose(worn[middle], wanted, atol=1)
  np.testing.assert_allclose(alone[middle], (*3 * [round(wanted)], 255), atol=1)
  half, _ = _worn(_square(5), opacity=0.5)
  behind = np.asarray(color.srgb_to_linear(_frame()[middle] / np.float32(255)))
  mixed = color.linear_to_srgb(jnp.asarray(0.5 * behind + 0.5 * 0.45))
  np.testing.assert_allclose(half[middle], 255 * np.asarray(mixed), atol=1.1)


def test_where_there_is_no_mask_the_frame_is_the_same_bytes():
  worn, alone = _worn(_square(5), look=composite.Look(1.0, 0.05))
  outside = alone[..., 3] == 0
  assert 0.3 < outside.mean() < 0.95
  far = scipy.ndimage.binary_erosion(outside, iterations=4)
  np.testing.assert_array_equal(worn[far], _frame()[far])


def test_a_mask_is_where_its_camera_sees_it():
  place = (8.0, -5.0, 60.0)
  camera = _camera((15, 0, 10), place)
  _, alone = _worn(_square(3), camera=camera)
  corners = jnp.asarray(np.asarray(_square(3).vertices))
  seen, _ = camera_lib.project(camera, corners)
  covered = np.argwhere(alone[..., 3] > 127)[:, ::-1]
  wanted = np.asarray(seen) * [_SIZE[1], _SIZE[0]]
  np.testing.assert_allclose(covered.min(0), wanted.min(0), atol=1)
  np.testing.assert_allclose(covered.max(0) + 1, wanted.max(0), atol=1)


def test_the_head_hides_what_is_behind_it_and_is_not_drawn():
  head = _square(0, half=4.0)
  worn, alone = _worn(_square(-5, half=6.0), head)
  middle = _SIZE[0] // 2, _SIZE[1] // 2
  assert alone[middle][3] == 0
  np.testing.assert_array_equal(worn[middle], _frame()[middle])
  assert alone[..., 3].max() == 255  # beside it the mask is seen
  _, before = _worn(_square(5), head)
  assert before[middle][3] == 255


@pytest.mark.parametrize('place', [(80.0, 0, 60), (0, 0, -60.0), (0, 0, 1.0)])
def test_a_mask_that_is_not_in_the_frame_leaves_it(place):
  worn, alone = _worn(_square(0), camera=_camera(place=place))
  np.testing.assert_array_equal(worn, _frame())
  assert alone.max() == 0


def test_a_mask_at_the_edge_is_cut():
  camera = _camera(place=(26.0, 0, 60))
  worn, alone = _worn(_square(0), camera=camera)
  assert alone[45, -1, 3] == 255 and alone[45, 0, 3] == 0
  assert worn.shape == (*_SIZE, 3)


def test_no_opacity_is_no_mask():
  worn, alone = _worn(_square(0), opacity=0.0)
  np.testing.assert_array_equal(worn, _frame())
  assert alone.max() == 0


def test_points_that_are_no_numbers_are_not_drawn():
  points = np.full((4, 2), np.nan)
  assert composite.window_around(points, 90, 120) is None


def test_windows_have_few_sides():
  face = canonical.load().vertices[:, :2] / 40 + 0.5
  window = composite.window_around(face, 360, 640)
  assert window is not None and window.side in (256, 384)
  low = np.floor(face.min(0) * [640, 360])
  assert window.left <= low[0] and window.top <= low[1]
  huge = composite.window_around(np.array([[-9, -9], [9, 9.0]]), 360, 640)
  assert huge is not None and huge.side == 768


def test_blur_and_noise_are_put_on_the_mask():
  _, sharp = _worn(_square(5))
  worn, soft = _worn(_square(5), look=composite.Look(1.5, 0.0))
  edge = np.abs(np.diff(sharp[45, :, 3].astype(int))).max()
  assert np.abs(np.diff(soft[45, :, 3].astype(int))).max() < 0.6 * edge
  noisy, _ = _worn(_square(5), look=composite.Look(0.0, 0.05), seed=1)
  inside = sharp[..., 3] == 255
  spread = noisy[inside].astype(float).std() / 255
  assert 0.035 < spread < 0.065
  other, _ = _worn(_square(5), look=composite.Look(0.0, 0.05), seed=2)
  assert np.any(other != noisy)
  del worn


def _picture(blur, noise):
  """Return a picture of large flat shapes, of known blur and noise."""
  rng = np.random.default_rng(1)
  shapes = rng.random((9, 12, 3)).repeat(20, 0).repeat(20, 1)
  blurred = scipy.ndimage.gaussian_filter(shapes, (blur, blur, 0))
  noisy = 0.15 + 0.7 * blurred + rng.normal(0, noise, shapes.shape)
  return np.clip(noisy * 255, 0, 255).round().astype(np.uint8)


@pytest.mark.parametrize(
  ('blur', 'noise'), [(0.8, 0.01), (1.5, 0.01), (0.8, 0.03)]
)
def test_blur_and_noise_of_a_frame_are_found(blur, noise):
  image = _picture(blur, noise)
  look = composite.look_of(image)
  np.testing.assert_allclose(look.noise, noise, rtol=0.25)
  np.testing.assert_allclose(look.blur, blur, rtol=0.35)


def test_an_empty_frame_has_neither_blur_nor_noise():
  grey = np.full((64, 64, 3), 90, np.uint8)
  assert composite.look_of(grey) == composite.Look(0.0, 0.0)
  black = np.zeros((64, 64, 3), np.uint8)
  assert composite.look_of(black) == composite.Look(0.0, 0.0)
