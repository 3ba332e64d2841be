"""Tests of maskjax.geometry.soundness."""

import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.geometry import mesh as mesh_lib, soundness


def grid(side=7):
  """Return a flat square grid that faces +z."""
  x, y = np.meshgrid(np.arange(side), np.arange(side))
  vertices = np.stack([x, y, 0 * x], -1).reshape(-1, 3)
  a = (np.arange(side - 1)[:, None] * side + np.arange(side - 1)).ravel()
  b, c, d = a + 1, a + side + 1, a + side
  faces = np.concatenate([np.stack([a, b, c], -1), np.stack([a, c, d], -1)])
  return mesh_lib.Mesh(
    jnp.asarray(vertices, jnp.float32), jnp.asarray(faces, jnp.int32)
  )


def move(mesh, vertex, position):
  return mesh.replace(
    vertices=mesh.vertices.at[vertex].set(jnp.asarray(position, jnp.float32))
  )


def test_a_good_mesh_is_sound():
  result = soundness.report(grid(), grid(), np.arange(7))
  assert result == (72, 0, 0, 0, 0, 0, 0.0, 0) and result.sound


def test_a_vertex_pulled_over_its_neighbours_flips_faces():
  mesh = move(grid(), 24, [4.6, 3.2, 0.0])  # from (3, 3) past (4, 3)
  result = soundness.report(mesh, grid())
  assert result.flipped > 0 and result.turned > 0 and result.folded_edges > 0
  assert not result.sound


def test_turning_the_whole_mesh_flips_nothing():
  turned = grid()
  turned = turned.replace(vertices=turned.vertices * jnp.array([[-1, 1, -1]]))
  result = soundness.report(turned, grid())
  assert result.flipped == 0 and result.turned == 72 and result.sound


def test_a_face_turned_the_wrong_way_round_is_flipped():
  mesh = grid()
  faces = mesh.faces.at[20].set(mesh.faces[20][::-1])
  result = soundness.report(mesh.replace(faces=faces))
  assert result.flipped == 1 and result.non_manifold == 3


def test_degenerate_faces_are_counted():
  mesh = move(grid(), 24, [4.0, 3.0, 0.0])  # onto its neighbour
  assert soundness.report(mesh).degenerate == 2
  faces = grid().faces.at[0, 1].set(grid().faces[0, 0])
  assert soundness.report(grid().replace(faces=faces)).degenerate == 1
  tiny = grid()
  tiny = tiny.replace(vertices=tiny.vertices * 1e-5)
  assert soundness.report(tiny).degenerate == 0  # small is not degenerate


def test_three_faces_on_an_edge_are_not_manifold():
  mesh = grid()
  faces = jnp.concatenate([mesh.faces, jnp.array([[24, 25, 48]])])
  assert soundness.report(mesh.replace(faces=faces)).non_manifold > 0


def test_rim_displacement_is_the_largest_move():
  moved = move(grid(), 3, [3.0, -0.3, 0.4])
  result = soundness.report(moved, grid(), np.array([2, 3]))
  np.testing.assert_allclose(result.rim_displacement, 0.5, rtol=1e-6)
  assert not result.sound
  assert soundness.report(moved, grid(), np.array([2])).rim_displacement == 0


def test_non_finite_vertices_are_counted():
  result = soundness.report(move(grid(), 24, [np.nan, 0, 0]))
  assert result.non_finite == 1 and not result.sound


def test_another_rest_shape_is_refused():
  with pytest.raises(ValueError, match='36 vertices, the mesh 49'):
    soundness.report(grid(7), grid(6))
