"""Tiles: the pixels that see something are visited once, the others rarely."""

import jax
import jax.numpy as jnp
import numpy as np

from maskjax.render.mesh import tiles
from tests.render.mesh import small

_NONE = 5


def _faces(grid):
  faces = np.full((grid.views, grid.size, grid.size), _NONE, np.int32)
  faces[0, 3, 2] = 1
  faces[1, 7, 18:] = 4
  return jnp.asarray(faces.reshape(-1))


def test_tiles_with_a_face_are_listed_first():
  grid = small.grid(size=20, views=2)
  seen = tiles.visible(_faces(grid), _NONE, grid)
  # Two tiles of 16 pixels a line: 40 of the first view, 40 of the second.
  assert int(seen.count) == 2
  np.testing.assert_array_equal(seen.order[:2], [3 * 2, 40 + 7 * 2 + 1])
  assert (np.asarray(seen.order[2:]) == 80).all()
  np.testing.assert_array_equal(seen.faces[6, :4], [5, 5, 1, 5])


def test_cutting_fills_what_lies_beyond_the_image():
  grid = small.grid(size=20)
  cut = tiles.cut(jnp.arange(400.0), grid, fill=-1)
  assert cut.shape == (40, 16)
  np.testing.assert_array_equal(cut[1], [16, 17, 18, 19] + [-1] * 12)


def test_computing_sees_each_pixel_where_it_is_and_leaves_the_rest_at_0():
  grid = small.grid(size=20, views=2)
  faces = _faces(grid)
  seen = tiles.visible(faces, _NONE, grid)

  def place(chunk):
    return jnp.stack([chunk.row, chunk.column, chunk.face]).astype(jnp.float32)

  images = jax.jit(
    lambda: tiles.compute(seen, grid, 3, place, dtype=jnp.float32)
  )()
  rows, columns, found = np.asarray(images).reshape(3, 2, 20, 20)
  assert (rows[0, 3, :16] == 3).all() and (rows[1, 7, 16:] == 7).all()
  np.testing.assert_array_equal(columns[1, 7, 16:], [16, 17, 18, 19])
  np.testing.assert_array_equal(found[0, 3, :4], [5, 5, 1, 5])
  assert np.count_nonzero(rows) == 16 + 4
