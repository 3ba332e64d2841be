"""Windows: they cover every box once, and each finds its face."""

import jax
import jax.numpy as jnp
import numpy as np

from maskjax.render.mesh import windows
from tests.render.mesh import small

# First column, first row, last column, last row; the last box is empty.
_BOXES = np.array(
  [[0, 0, 0, 0], [2, 1, 9, 6], [5, 5, 11, 11], [3, 0, 3, 11], [4, 4, 3, 9]],
  np.int32,
)


def test_a_box_takes_as_many_windows_as_its_sides_need():
  drawn = np.array([True, True, False, True, True])
  plan = windows.count_windows(
    jnp.asarray(_BOXES), jnp.asarray(drawn), small.grid(size=12)
  )
  # 1; 8 x 6 pixels are 2 x 2 windows of 4; not drawn; 1 x 12 are 3; empty.
  np.testing.assert_array_equal(np.diff(plan.ends, prepend=0), [1, 4, 0, 3, 0])


def test_owners_are_those_of_a_sorted_search():
  rng = np.random.default_rng(0)
  for count in (1, 2, 7, 64):
    ends = np.cumsum(rng.integers(0, 4, count)).astype(np.int32)
    start = int(rng.integers(0, 3))
    found = windows.owners(jnp.asarray(ends), jnp.int32(start), 40)
    expected = np.searchsorted(ends, start + np.arange(40), side='right')
    np.testing.assert_array_equal(found, np.minimum(expected, count - 1))


def test_walking_covers_every_pixel_of_every_box_once():
  grid = small.grid(size=12, chunk=3)
  drawn = jnp.asarray([True, True, True, True, True])
  plan = windows.count_windows(jnp.asarray(_BOXES), drawn, grid)

  def step(counts, place, run):
    _, pixel = windows.pixels(place, grid)
    face = jnp.broadcast_to(place.face[None], pixel.shape)
    return counts.at[face, pixel].add(1)

  counts = jnp.zeros((len(_BOXES), grid.pixels + 1), jnp.int32)
  counts = jax.jit(lambda c: windows.walk(plan, grid, c, step))(counts)
  seen = np.asarray(counts)[:, :-1].reshape(-1, 12, 12)
  for picture, (left, top, right, bottom) in zip(seen, _BOXES):
    expected = np.zeros((12, 12), int)
    expected[top : bottom + 1, left : right + 1] = 1
    np.testing.assert_array_equal(picture, expected)


def test_plan_dilates_by_the_blur():
  # On a screen of 8 pixels, [-1, 1]: one is 1/4 wide, their centres at odd
  # eighths. A face around the centre of pixel 4 (1/8), and 1/4 of blur.
  x = jnp.asarray([[0.12, 0.13, 0.125]])
  numbers = jnp.concatenate([x, x, jnp.ones((1, 3))], -1)
  seen = jnp.asarray([True])
  tight = windows.plan(numbers, seen, small.grid(), 0.0)
  wide = windows.plan(numbers, seen, small.grid(), 0.25)
  np.testing.assert_array_equal(tight.boxes, [[4, 4, 4, 4]])
  np.testing.assert_array_equal(wide.boxes, [[3, 3, 5, 5]])
