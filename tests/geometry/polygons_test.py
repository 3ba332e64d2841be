"""Triangles of polygons: areas, order, and outlines that are no outlines."""

import numpy as np
import pytest

from maskjax.geometry import polygons

L = np.array([[0, 0], [10, 0], [10, 4], [4, 4], [4, 10], [0, 10]], float)
ARROW = np.array([[0, 0], [10, 0], [2, 2], [0, 10]], float)
COMB = np.array(
  [[0, 0], [9, 0], [9, 5], [8, 5], [8, 1], [6, 1], [6, 5], [5, 5], [5, 1],
   [3, 1], [3, 5], [0, 5]], float
)  # fmt: skip


def _outline_area(points):
  x, y = points.T
  return 0.5 * (x @ np.roll(y, -1) - y @ np.roll(x, -1))


def _in_space(points, seed):
  """Turn and move an outline."""
  rng = np.random.default_rng(seed)
  axes, _ = np.linalg.qr(rng.normal(size=(3, 3)))
  return points @ axes[:2] + rng.normal(size=3), np.cross(axes[0], axes[1])


def _vectors(vertices, triangles):
  a, b, c = (vertices[triangles[:, k]] for k in range(3))
  return np.cross(b - a, c - a) / 2


@pytest.mark.parametrize(
  'outline', [L, ARROW, COMB], ids=['L', 'arrow', 'comb']
)
@pytest.mark.parametrize('seed', range(3))
def test_triangles_cover_a_concave_polygon_and_nothing_else(outline, seed):
  for start in range(len(outline)):
    vertices, normal = _in_space(np.roll(outline, start, 0), seed)
    triangles, owner = polygons.triangulate(vertices, [range(len(outline))])
    assert len(triangles) == len(outline) - 2 and not owner.any()
    areas = _vectors(vertices, triangles) @ normal
    # As the polygon turns, so that none lies beyond it; but for rounding.
    assert areas.min() > -1e-12
    np.testing.assert_allclose(areas.sum(), _outline_area(outline))


def test_convex_ones_are_fans_in_their_order():
  vertices = np.eye(3)[[0, 1, 2, 0, 1]] + np.arange(5)[:, None]
  rows = [[0, 1, 2], [0, 1], [2, 1, 0, 3], [1, 2, 4]]
  triangles, owner = polygons.triangulate(vertices, rows)
  flat = np.concatenate(rows)
  assert owner.tolist() == [0, 2, 2, 3]
  np.testing.assert_array_equal(flat[triangles[0]], rows[0])
  np.testing.assert_array_equal(flat[triangles[3]], rows[3])
  assert set(flat[triangles[1:3]].reshape(-1)) == {0, 1, 2, 3}


def test_what_is_no_outline_gives_triangles_too():
  bow = np.array([[0, 0, 0], [4, 4, 0], [4, 0, 0], [0, 4, 0]], float)
  same = np.zeros((5, 3))
  for points in (bow, same):
    triangles, _ = polygons.triangulate(points, [range(len(points))])
    assert triangles.shape == (len(points) - 2, 3)
  assert polygons.triangulate(bow, [])[0].shape == (0, 3)
  assert polygons.triangulate(bow, [[0, 1]])[0].shape == (0, 3)
