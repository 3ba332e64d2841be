"""Colours and patterns: ranges, determinism, and where eyes look."""

import numpy as np
import pytest

from maskjax.data.creatures import coats


def _points(count=500):
  rng = np.random.default_rng(0)
  return rng.uniform(-8, 8, (count, 3)).astype(np.float32)


def test_hex_colors_are_linear():
  np.testing.assert_allclose(coats.hex_color('#ffffff'), 1)
  np.testing.assert_allclose(coats.hex_color('#000000'), 0)
  np.testing.assert_allclose(coats.hex_color('#808080'), 0.2159, atol=1e-3)


def test_vary_keeps_range_and_grey():
  grey = np.full(3, 0.3, np.float32)
  np.testing.assert_allclose(coats.vary(grey, 0.3, 1.2, 1.0), grey, atol=1e-6)
  bright = coats.vary(coats.hex_color('#ff2010'), 0.1, 1.3, 1.4)
  assert bright.min() > 0
  assert bright.max() <= 1


def test_noise_is_smooth_and_seeded():
  points = _points()
  first = coats.noise(points, 1)
  np.testing.assert_array_equal(first, coats.noise(points, 1))
  assert np.abs(first - coats.noise(points, 2)).mean() > 0.1
  assert first.min() >= -1
  assert first.max() <= 1
  assert np.abs(coats.noise(points + 1e-3, 1) - first).max() < 0.02


@pytest.mark.parametrize(
  'pattern',
  [
    coats.fur(0.2, seed=3),
    coats.blotches(np.zeros(3), 0.3, 2.0, 1),
    coats.spots(np.zeros(3), 0.5, 2.0, 1, ring=np.ones(3)),
    coats.gradient(np.zeros(3), np.ones(3), -4, 4),
  ],
)
def test_patterns_keep_shape(pattern):
  points = _points()
  colors = pattern(points, np.full(points.shape, 0.5, np.float32))
  assert colors.shape == points.shape
  assert np.isfinite(colors).all()
  assert colors.std() > 0.01


def test_eyes_have_pupil_iris_and_white():
  white, iris, pupil = np.ones(3), np.array([0.1, 0.5, 0.1]), np.zeros(3)
  center = np.array([3.0, 2, 5])
  paint = coats.eye(center, 2.0, white=white, iris=iris, pupil=pupil)
  points = center + 2.0 * np.array([[0, 0, 1.0], [0.5, 0, 0.86], [1, 0, 0]])
  middle, ring, rim = paint(points, points)
  assert middle.max() < 0.1
  assert ring[1] > 1.5 * ring[0]
  assert rim.min() > 0.95
  mirror = points * np.array([-1, 1, 1])
  np.testing.assert_allclose(paint(mirror, mirror)[0], middle, atol=0.1)


@pytest.mark.parametrize('name', coats.MATERIALS)
def test_materials_keep_range(name):
  points = _points()
  normals = points / np.linalg.norm(points, axis=1, keepdims=True)
  colors = np.abs(normals)
  result = coats.material(name, 5)(points, normals, colors)
  assert result.shape == points.shape
  assert result.min() >= 0
  assert result.max() <= 1
  assert result.std() > 0.01
