"""Marching tetrahedra: closed, outward, exact for planes, differentiable."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import trimesh

from maskjax.geometry import tetrahedra

_GRID = tetrahedra.Grid((13, 14, 15), (-3.0, -3.2, -3.4), 0.5)
_march = jax.jit(tetrahedra.march, static_argnames=('grid', 'capacity'))


def _ball(radius=2.3):
  points = tetrahedra.positions(_GRID)
  distances = np.linalg.norm(points - 0.05, axis=1) - radius
  return jnp.asarray(distances.reshape(_GRID.shape), jnp.float32)


def _trimesh(marched):
  return trimesh.Trimesh(
    np.asarray(marched.vertices), np.asarray(marched.faces), process=False
  )


def test_random_signs_give_closed_surfaces():
  """All patterns in all kinds of tetrahedra meet their neighbours."""
  rng = np.random.default_rng(0)
  for _ in range(3):
    distances = rng.normal(size=_GRID.shape).astype(np.float32)
    for axis in range(3):  # nothing may reach the border
      edge = [slice(None)] * 3
      for end in (0, -1):
        edge[axis] = end
        distances[tuple(edge)] = 1.0
    distances = jnp.asarray(distances)
    capacity = tetrahedra.choose_capacity(distances, 1.0)
    marched = _march(distances, _GRID, capacity)
    assert not bool(marched.overflow)
    faces = np.asarray(marched.faces)
    assert len(faces) == int(marched.needed[2])
    assert len(np.unique(faces)) == int(marched.needed[1])
    # Every side has its opposite: closed, and consistently turned.
    sides = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    forward = {tuple(side) for side in sides.tolist()}
    assert len(forward) == len(sides)
    assert all((b, a) in forward for a, b in forward)


def test_a_ball_is_round_outward_and_watertight():
  distances = _ball()
  capacity = tetrahedra.choose_capacity(distances, 1.5)
  marched = _march(distances, _GRID, capacity)
  mesh = _trimesh(marched)
  mesh.update_faces(mesh.nondegenerate_faces(height=0))
  assert mesh.is_watertight
  assert mesh.euler_number == 2
  wanted = 4 / 3 * np.pi * 2.3**3
  assert 0.97 * wanted < mesh.volume < wanted
  used = np.asarray(marched.vertices)[: int(marched.needed[1])]
  radii = np.linalg.norm(used - 0.05, axis=1)
  # A chord of the longest edges, 0.87 cm, leaves the ball by this much.
  assert np.abs(radii - 2.3).max() < 0.042


def test_planes_are_exact_and_values_are_interpolated():
  normal, points = np.array([0.48, 0.6, 0.64]), tetrahedra.positions(_GRID)
  distances = jnp.asarray(
    (points @ normal - 0.123).reshape(_GRID.shape), jnp.float32
  )
  values = jnp.asarray(points @ np.array([[1.0, 2.0], [0.5, 0], [0, 3.0]]))
  capacity = tetrahedra.choose_capacity(distances)
  marched = _march(distances, _GRID, capacity, values)
  used = np.asarray(marched.vertices)[: int(marched.needed[1])]
  np.testing.assert_allclose(used @ normal, 0.123, atol=2e-6)
  np.testing.assert_allclose(
    np.asarray(marched.values)[: len(used)],
    used @ np.array([[1.0, 2.0], [0.5, 0], [0, 3.0]]),
    atol=1e-5,
  )
  normals = _trimesh(marched).face_normals[: int(marched.needed[2])]
  solid = np.linalg.norm(normals, axis=1) > 0.5
  assert (normals[solid] @ normal > 0.99).mean() > 0.99


def test_gradients_equal_finite_differences():
  with jax.enable_x64(True):
    distances = jnp.asarray(_ball(), jnp.float64)
    capacity = tetrahedra.choose_capacity(distances)
    rng = np.random.default_rng(0)
    weights = jnp.asarray(rng.normal(size=(capacity.vertices, 3)))
    # Moved together: away from what is nearly on a grid point.
    direction = jnp.asarray(rng.normal(size=distances.shape))

    @jax.jit
    def loss(distances):
      marched = tetrahedra.march(distances, _GRID, capacity)
      return jnp.sum(jnp.sin(marched.vertices) * weights)

    gradient = jax.grad(loss)(distances)
    assert np.isfinite(np.asarray(gradient)).all()
    step = 1e-7
    numeric = loss(distances + step * direction)
    numeric = (numeric - loss(distances - step * direction)) / (2 * step)
    np.testing.assert_allclose(
      jnp.sum(gradient * direction), numeric, rtol=1e-5
    )


def test_what_does_not_fit_is_told():
  capacity = tetrahedra.choose_capacity(_ball(1.5), 1.2)
  fits = _march(_ball(1.5), _GRID, capacity)
  assert not bool(fits.overflow)
  grown = _march(_ball(2.4), _GRID, capacity)
  assert bool(grown.overflow)
  needed = np.asarray(tetrahedra.needed(_ball(2.4)))
  np.testing.assert_array_equal(grown.needed, needed)
  faces = np.asarray(grown.faces)
  assert faces.max() < capacity.vertices


def test_impossible_requests_are_refused():
  with pytest.raises(ValueError, match='does not change its sign'):
    tetrahedra.choose_capacity(jnp.ones(_GRID.shape))
  with pytest.raises(ValueError, match='headroom'):
    tetrahedra.choose_capacity(_ball(), 0.5)
  capacity = tetrahedra.choose_capacity(_ball())
  with pytest.raises(ValueError, match='the grid'):
    tetrahedra.march(jnp.ones((2, 2, 2)), _GRID, capacity)
