import numpy as np
import pytest

from maskjax.gan import shape


def ball(points):
  """Density falls from 20 at the middle, 10 at radius 0.25."""
  distance = np.linalg.norm(points - np.array([0.05, 0, 0]), axis=-1)
  return 20 - 40 * distance, np.full((len(points), 3), 0.5)


def grid_of(field, resolution=33):
  return shape.density_grid(field, resolution=resolution, box=1.0)


def volume_of(vertices, faces):
  a, b, c = (vertices[faces[:, i]] for i in range(3))
  return float((np.cross(a, b) * c).sum() / 6)


def test_surface_of_a_ball():
  vertices, faces = shape.surface(grid_of(ball), box=1.0)
  radius = np.linalg.norm(vertices - np.array([0.05, 0, 0]), axis=-1)
  np.testing.assert_allclose(radius, 0.25, atol=2e-3)
  # Outward, and closed: every edge is there in both directions.
  assert volume_of(vertices, faces) == pytest.approx(
    4 / 3 * np.pi * 0.25**3, rel=0.03
  )
  edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
  forth = {tuple(edge) for edge in edges.tolist()}
  assert all((b, a) in forth for a, b in forth)


def test_the_border_is_closed_and_the_largest_piece_is_kept():
  def two(points):
    small = 20 - 100 * np.linalg.norm(points + 0.25, axis=-1)
    slab = 20 - 100 * np.abs(points[:, 1] - 0.1)
    return np.maximum(small, slab), None

  grid = grid_of(two)
  vertices, faces = shape.surface(grid, box=1.0, trim=0.125)
  assert vertices[:, 1].min() > -0.05  # The ball at -0.25 is gone.
  # The slab ends where the grid was trimmed.
  assert np.abs(vertices[:, [0, 2]]).max() == pytest.approx(0.375, abs=0.04)
  assert volume_of(vertices, faces) > 0
  both, _ = shape.surface(grid, box=1.0, trim=0.125, largest=False)
  assert both[:, 1].min() < -0.25


def test_levels_without_a_surface_are_errors():
  with pytest.raises(ValueError, match='no surface at level 30: its densities'):
    shape.surface(grid_of(ball), box=1.0, level=30.0)
  grid = grid_of(ball)
  grid[3, 4, 5] = np.nan
  with pytest.raises(ValueError, match='not finite'):
    shape.surface(grid, box=1.0)


def test_a_level_is_chosen():
  assert shape.choose_level(grid_of(ball)) == shape.USUAL_LEVEL
  # Nothing reaches the usual level: the middle of what there is.
  thin = grid_of(ball) / 4
  level = shape.choose_level(thin)
  assert thin.min() < level < 5
  vertices, _ = shape.surface(thin, box=1.0, level=level)
  assert len(vertices) > 100
  dense = grid_of(ball) + 100
  assert dense.min() < shape.choose_level(dense) < dense.max()
