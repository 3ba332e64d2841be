"""Attributes of what is seen, their derivative and their slopes."""

import jax
import jax.numpy as jnp
import numpy as np

from maskjax.render.mesh import interpolation, tiles, visibility
from tests.render.mesh import small

_POINTS = np.array([[[-5.0, -4, 4], [6, -5, 8], [0.5, 7, 6]]])
_VALUES = np.array([[[1.0, -2], [0, 3], [2, 5]]])


def _scene(rows, size=8):
  grid = small.grid(size=size)
  corners = rows.reshape(len(rows), 3, -1)[..., :4].transpose(2, 1, 0)
  faces, _ = visibility.nearest_faces(
    corners, jnp.full(len(rows), True), grid, 1.0
  )
  return grid, tiles.visible(faces, len(rows), grid)


def test_planes_are_interpolated_exactly():
  with jax.enable_x64(True):
    rows = small.rows(_POINTS, _VALUES)
    grid, seen = _scene(rows)
    images = interpolation.interpolate(rows, jnp.asarray([True]), seen, grid)
    slopes = interpolation.slopes(rows, seen, grid)
  pixels = small.centres(8)
  areas = small.edge_functions(pixels, _POINTS[0])
  inside = (areas >= 0).all(-1) | (areas <= 0).all(-1)
  shares = areas / areas.sum(-1, keepdims=True)
  covered, depth, *values = np.asarray(images).reshape(4, 8, 8)
  np.testing.assert_array_equal(covered, inside)
  assert inside.sum() > 20
  np.testing.assert_allclose(
    depth[inside], (shares @ _POINTS[0, :, 2])[inside], rtol=1e-12
  )
  np.testing.assert_allclose(
    np.stack(values, -1)[inside], (shares @ _VALUES[0])[inside], atol=1e-12
  )
  # A plane has the same slope everywhere: solve for it from three corners.
  system = np.concatenate([_POINTS[0, :, :2], np.ones((3, 1))], 1)
  expected = np.linalg.solve(system, _VALUES[0])[:2].T
  slopes = np.asarray(slopes).reshape(8, 8, 2, 2)
  np.testing.assert_allclose(
    slopes[inside], np.broadcast_to(expected, slopes[inside].shape), atol=1e-12
  )
  assert not slopes[~inside].any()


def test_gradients_equal_finite_differences():
  with jax.enable_x64(True):
    rows = small.rows(_POINTS, _VALUES)
    grid, seen = _scene(rows)
    weights = jnp.asarray(np.random.default_rng(0).normal(size=(4, 64)))

    def loss(rows):
      steady = jnp.asarray([True])
      return jnp.sum(
        weights * interpolation.interpolate(rows, steady, seen, grid)
      )

    gradient = np.asarray(jax.grad(loss)(rows))
    run, step = jax.jit(loss), 1e-6
    for k in range(rows.shape[1]):
      moved = [run(rows.at[0, k].add(s)) for s in (step, -step)]
      numeric = (moved[0] - moved[1]) / (2 * step)
      # Central differences: an error of step^2 and of rounding / step.
      np.testing.assert_allclose(gradient[0, k], numeric, atol=1e-6)
    still = jax.grad(
      lambda rows: jnp.sum(
        interpolation.interpolate(rows, jnp.asarray([False]), seen, grid)
      )
    )(rows)
  places = np.asarray(still).reshape(3, 6)[:, :3]
  assert np.abs(gradient).max() > 0.1 and not places.any()
