"""Signed distances from closed and open meshes."""

import jax.numpy as jnp
import numpy as np
import trimesh

from maskjax.geometry import distance, mesh as mesh_lib


def _ball():
  ball = trimesh.creation.icosphere(subdivisions=4, radius=3.0)
  return mesh_lib.Mesh(
    jnp.asarray(ball.vertices, jnp.float32),
    jnp.asarray(np.asarray(ball.faces), jnp.int32),
  )


def _points(count=500):
  return np.random.default_rng(0).uniform(-4, 4, (count, 3))


def test_winding_numbers_are_1_inside_and_0_outside():
  mesh, points = _ball(), _points()
  winding = distance.winding_number(
    jnp.asarray(points, jnp.float32), mesh.vertices, mesh.faces
  )
  radius = np.linalg.norm(points, axis=1)
  clear = np.abs(radius - 3.0) > 0.1
  np.testing.assert_allclose(
    np.asarray(winding)[clear], (radius < 3.0)[clear], atol=1e-3
  )


def test_distance_from_a_closed_mesh():
  points = _points()
  got = distance.signed_distance(points, _ball())
  wanted = np.linalg.norm(points, axis=1) - 3.0
  near = np.abs(wanted) < 3.0  # further inside the membrane's rule may cut in
  np.testing.assert_allclose(got[near], wanted[near], atol=0.03)


def test_an_open_bowl_is_closed_by_a_membrane():
  ball = _ball()
  faces = np.asarray(ball.faces)
  low = np.asarray(ball.vertices)[faces][:, :, 2].mean(1) < 0
  bowl = mesh_lib.compact(ball.replace(faces=jnp.asarray(faces[low])))
  # Along the axis the sign changes once, near the rim's plane, smoothly.
  heights = np.linspace(-2.5, 2.5, 101)
  points = np.stack([0 * heights, 0 * heights, heights], -1)
  got = distance.signed_distance(points, bowl)
  changes = np.flatnonzero(np.diff(np.sign(got)) != 0)
  assert len(changes) == 1
  assert abs(heights[changes[0]]) < 0.6
  assert np.abs(np.diff(got)).max() < 0.4
