"""Which edges are silhouettes, and how many lines they cross."""

import jax.numpy as jnp
import numpy as np

from maskjax.render.mesh import outline
from tests.render.mesh import small

# A square and its fold: the right half turned back behind the left one.
_FACES = np.array([[0, 1, 2], [0, 2, 3]])
_FLAT = np.array([[-2.0, -2, 5], [2.0, -2, 5], [2.0, 2, 5], [-2.0, 2, 5]])


def _lines(vertices):
  points = vertices[_FACES]
  corners = small.corners(points)
  drawn = jnp.full(2, True)
  found = outline.find(
    corners,
    drawn,
    outline.twins(jnp.asarray(_FACES)),
    small.grid(),
    1.0,
    jnp.asarray(True),
  )
  return np.diff(found.ends, prepend=0).reshape(3, 2), found


def test_the_seam_of_a_flat_square_is_no_silhouette():
  lines, found = _lines(_FLAT)
  # Edge i lies opposite to corner i: the diagonal is edge 1 of the first
  # face and edge 2 of the second.
  assert lines[1, 0] == lines[2, 1] == 0
  # The sides reach from -2 to 2: four lines of pixels at -1.5 .. 1.5.
  assert sorted(lines.ravel()) == [0, 0, 4, 4, 4, 4]
  assert np.asarray(found.open).sum() == 4


def test_a_fold_is_a_silhouette_and_counted_once():
  folded = _FLAT.copy()
  folded[3] = [2.0, -1.5, 6]
  lines, _ = _lines(folded)
  assert sorted((lines[1, 0], lines[2, 1])) == [0, 4]


def test_twins_know_each_other():
  twins = outline.twins(jnp.asarray(_FACES))
  # Edges by face: opposite to corners 0, 1, 2.
  np.testing.assert_array_equal(twins.edge, [-1, 5, -1, -1, -1, 1])
  assert not np.asarray(twins.aligned)[[1, 5]].any()
