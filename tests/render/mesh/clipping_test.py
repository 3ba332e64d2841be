"""Clipping: areas beyond the plane, and attributes that stay linear."""

import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.render.mesh import clipping


def _area(vertices, faces):
  a, b, c = np.moveaxis(np.asarray(vertices)[np.asarray(faces)], 1, 0)
  return 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=-1).sum()


# A triangle in the plane y = 0, its depths, and the part beyond a depth of 1.
@pytest.mark.parametrize(
  'depths, part',
  [
    ((2.0, 2.0, 3.0), 1.0),
    # One corner at twice the depth of the cut: a quarter of the area.
    ((0.0, 0.0, 2.0), 1 / 4),
    ((2.0, 0.0, 0.0), 1 / 4),
    # Two corners beyond: all but the quarter before the plane.
    ((0.0, 2.0, 2.0), 3 / 4),
    ((2.0, 2.0, 0.0), 3 / 4),
  ],
)
def test_what_lies_beyond_the_plane_stays(depths, part):
  vertices = np.array([[0, 0, 0], [4, 0, 0], [0, 4, 0]], float)
  vertices[:, 2] = depths
  found, faces, attributes = clipping.clip(
    jnp.asarray(vertices)[None],
    jnp.asarray([[0, 1, 2]]),
    jnp.asarray(vertices)[None, :, :2] * 3.0 + 1.0,
    near=1.0,
  )
  assert faces.shape == (2, 3) and found.shape == (1, 6, 3)
  whole = _area(vertices, [[0, 1, 2]])
  # New corners lie 1e-5 beyond the plane.
  assert _area(found[0], faces) == pytest.approx(part * whole, abs=1e-3)
  corners = np.asarray(found[0])[np.asarray(faces)]
  left = np.ptp(corners, axis=1).max(-1) > 0  # the others are one point
  assert left.any() and (corners[left, :, 2] >= 1.0).all()
  np.testing.assert_allclose(attributes, found[..., :2] * 3.0 + 1.0, atol=1e-4)


def test_clipped_faces_look_the_same_way():
  vertices = jnp.asarray([[0.0, 0, 0], [4, 0, 2], [0, 4, 2]])[None]
  found, faces, _ = clipping.clip(
    vertices, jnp.asarray([[0, 1, 2]]), vertices, near=1.0
  )
  a, b, c = np.moveaxis(np.asarray(found[0])[np.asarray(faces)], 1, 0)
  turns = np.cross(b - a, c - a)[:, 2]
  assert (turns > 0).all()
