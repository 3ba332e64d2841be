"""Silhouettes: blending by area, and the gradient of moving an edge."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.render.mesh import (
  interpolation,
  outline,
  silhouettes,
  tiles,
  visibility,
)
from tests.render.mesh import small

_FACES = np.array([[0, 1, 2], [0, 2, 3]])


def _alpha(edge):
  """Return alpha, f[8, 8], of a wall that ends at x = `edge` pixels."""
  grid = small.grid()
  ones = jnp.ones(4)
  x = jnp.stack([-9.0 + 0 * edge, edge, edge, -9.0 + 0 * edge])
  y = jnp.asarray([-9.0, -9.0, 9.0, 9.0])
  table = jnp.stack([x, y, ones, 5 * ones], -1)
  rows = table[_FACES].reshape(2, 12)
  corners = jax.lax.stop_gradient(rows).reshape(2, 3, 4).transpose(2, 1, 0)
  drawn = jnp.full(2, True)
  faces, depths = visibility.nearest_faces(corners, drawn, grid, 1.0)
  seen = tiles.visible(faces, 2, grid)
  images = interpolation.interpolate(rows, drawn, seen, grid)
  blended = silhouettes.antialias(
    images,
    rows,
    corners,
    faces,
    depths,
    drawn=drawn,
    twin=outline.twins(jnp.asarray(_FACES)),
    grid=grid,
    near=1.0,
  )
  return blended[0].reshape(8, 8)


@pytest.mark.parametrize('edge', [-0.9, -0.3, 0.2, 1.4])
def test_an_edge_covers_the_part_of_a_pixel_that_it_cuts(edge):
  found = jax.jit(_alpha)(edge)
  columns = np.arange(8) - 4.0  # left sides of the pixels
  expected = np.clip(edge - columns, 0, 1)
  # float32: places of a few pixels.
  np.testing.assert_allclose(
    found, np.broadcast_to(expected, (8, 8)), atol=4e-6
  )


def test_moving_an_edge_changes_one_pixel_of_each_line():
  gradient = jax.jit(jax.grad(lambda edge: _alpha(edge).sum()))(0.3)
  # Eight lines of pixels, one each: alpha grows by 1 per pixel of the move.
  np.testing.assert_allclose(gradient, 8.0, rtol=1e-5)
