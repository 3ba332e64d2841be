"""The z-buffer against edge functions in NumPy, sides, and the near plane."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.render.mesh import visibility
from tests.render.mesh import small


def test_nearest_faces_equal_edge_functions():
  points = np.random.default_rng(0).uniform([-7, -7, 2], [7, 7, 9], (12, 3, 3))
  points = points.astype(np.float32).astype(float)
  grid = small.grid(size=12)
  pixels = small.centres(12)
  depths = []
  for triangle in points:
    areas = small.edge_functions(pixels, triangle)
    total = areas.sum(-1)
    inside = (areas >= 0).all(-1) | (areas <= 0).all(-1)
    depth = areas @ triangle[:, 2] / total
    depths.append(np.where(inside, depth, np.inf))
  expected = np.min(depths, 0)
  faces, found = jax.jit(
    lambda corners: visibility.nearest_faces(
      corners, jnp.full(12, True), grid, 1.0
    )
  )(jnp.asarray(small.corners(points), jnp.float32))
  seen = np.isfinite(expected)
  assert 40 < seen.sum() < 144
  numbers = np.where(seen, np.argmin(depths, 0), 12)
  np.testing.assert_array_equal(np.asarray(faces).reshape(12, 12), numbers)
  # float32: depths up to 9, a few roundings.
  np.testing.assert_allclose(
    np.asarray(found).reshape(12, 12), expected, rtol=1e-5
  )


@pytest.mark.parametrize('near, last', [(1.0, 12), (5.0, 6)])
def test_what_lies_before_the_near_plane_is_not_seen(near, last):
  # A slope that passes the depth of 5 in the middle of the picture.
  points = [[[-40, -20, -15], [40, -20, 25], [40, 80, 25]]]
  points += [[[-40, -20, -15], [40, 80, 25], [-40, 80, -15]]]
  faces, depths = visibility.nearest_faces(
    jnp.asarray(small.corners(points)),
    jnp.full(2, True),
    small.grid(size=12),
    near,
  )
  depths = np.asarray(depths).reshape(12, 12)
  x = small.centres(12)[..., 0]
  np.testing.assert_array_equal(np.isfinite(depths), 5 + x / 2 > near)
  assert np.isfinite(depths).sum(1).max() == last
  assert (np.asarray(faces).reshape(12, 12)[~np.isfinite(depths)] == 2).all()


def test_sides_are_told_whatever_lies_behind_the_camera():
  triangle = [[0.0, 0, 5], [0, 4, 5], [4, 0, 5]]
  both = small.corners([triangle, triangle[::-1]])
  first, second = visibility.facing(both)
  assert first == -second != 0
  # The same plane, one of its corners moved behind the camera: X, Y, W of
  # (a + t (b - a)) with t = -2.
  behind = both.at[:, 0].set(both[:, 0] * 3 - both[:, 1] * 2)
  np.testing.assert_array_equal(visibility.facing(behind), [first, second])


def test_faces_seen_edge_on_are_not_steady():
  wide = [[0.0, 0, 5], [0, 4, 5], [4, 0, 5]]
  thin = [[0.0, 0, 5], [4, 4, 5], [8, 8.0002, 5]]
  np.testing.assert_array_equal(
    visibility.steady(small.corners([wide, thin])), [True, False]
  )


def test_edges_are_cut_where_they_meet_the_plane():
  start = [jnp.asarray([0.0, 0.0]), jnp.asarray([1.0, 3.0])]
  end = [jnp.asarray([4.0, 4.0]), jnp.asarray([5.0, 5.0])]
  (x,) = visibility.cut(start, end, 2.0)
  np.testing.assert_allclose(x, [1.0, 0.0])
