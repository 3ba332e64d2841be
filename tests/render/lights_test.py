"""Lights: Monte Carlo integrals, falloff, linearity, gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.render import lights


def _directions(count, seed=0):
  x = np.random.default_rng(seed).normal(size=(count, 3))
  return x / np.linalg.norm(x, axis=1, keepdims=True)


def _irradiance(scene, normals, positions=None):
  normals = jnp.asarray(normals, jnp.float32)
  positions = jnp.zeros_like(normals) if positions is None else positions
  return np.asarray(
    jax.jit(lights.irradiance)(
      scene, jnp.asarray(positions, jnp.float32), normals
    )
  )


def test_harmonics_are_orthonormal():
  basis = np.asarray(lights.harmonics_basis(jnp.asarray(_directions(200_000))))
  gram = 4 * np.pi * basis.T @ basis / len(basis)
  # Monte Carlo error 4 pi / sqrt(200,000) times the spread of the products.
  np.testing.assert_allclose(gram, np.eye(9), atol=0.03)


def test_harmonic_irradiance_is_the_integral_over_the_hemisphere():
  rng = np.random.default_rng(1)
  coefficients = rng.normal(size=(9, 3)) * 0.3
  coefficients[0] = 5.0
  scene = lights.create(harmonics=coefficients)
  incoming = _directions(400_000, 2)
  radiance = np.asarray(lights.harmonics_basis(jnp.asarray(incoming)))
  radiance = radiance @ coefficients
  normals = _directions(5, 3)
  cosines = np.maximum(normals @ incoming.T, 0)
  expected = 4 * np.pi * cosines @ radiance / len(incoming) / np.pi
  np.testing.assert_allclose(_irradiance(scene, normals), expected, rtol=0.01)


def test_constant_environment_equals_ambient_light():
  coefficients = np.zeros((9, 3))
  coefficients[0] = np.sqrt(4 * np.pi)
  np.testing.assert_allclose(
    _irradiance(lights.create(harmonics=coefficients), _directions(4)),
    _irradiance(lights.uniform(), _directions(4)),
    rtol=1e-6,
  )


def test_directional_light_follows_the_cosine():
  scene = lights.directional((0.0, 0.0, 2.0), (1.0, 0.5, 0.0), (0.1,) * 3)
  angles = np.deg2rad([0, 60, 90, 120])
  normals = np.stack([np.sin(angles), 0 * angles, np.cos(angles)], -1)
  expected = np.maximum(np.cos(angles), 0)[:, None] * [1, 0.5, 0] + 0.1
  np.testing.assert_allclose(_irradiance(scene, normals), expected, atol=1e-6)


def test_point_light_falls_off_with_the_square_of_the_distance():
  scene = lights.create(points=[(0, 0, 10)], point_colors=[(100, 200, 400)])
  normals = np.tile([0.0, 0.0, 1.0], (4, 1))
  positions = np.array([[0, 0, 0], [0, 0, 8], [10, 0, 0], [0, 0, 20.0]])
  expected = np.array([1.0, 25.0, np.sqrt(0.5) / 2, 0.0])
  np.testing.assert_allclose(
    _irradiance(scene, normals, positions),
    expected[:, None] * [1, 2, 4],
    rtol=1e-5,
  )


def test_gradients_are_finite_at_a_light_and_below_zero():
  scene = lights.create(
    points=[(0, 0, 0)],
    point_colors=[(1, 1, 1)],
    harmonics=-np.ones((9, 3)),
  )

  def total(positions, normals):
    return jnp.sum(lights.irradiance(scene, positions, normals))

  gradients = jax.jit(jax.grad(total, (0, 1)))(
    jnp.zeros((2, 3)), jnp.zeros((2, 3))
  )
  assert all(np.isfinite(g).all() for g in gradients)
  assert _irradiance(scene, _directions(50)).min() >= 0


def test_lights_batch_by_vmap():
  scenes = [
    lights.directional((1, 0, 0)),
    lights.directional((0, 1, 1), (0.2, 0.3, 0.4), (0.1, 0.1, 0.1)),
  ]
  batch = jax.tree.map(lambda *x: jnp.stack(x), *scenes)
  normals = jnp.asarray(_directions(6), jnp.float32)
  found = jax.jit(jax.vmap(lights.irradiance, (0, None, None)))(
    batch, normals, normals
  )
  for scene, expected in zip(scenes, found):
    np.testing.assert_allclose(
      _irradiance(scene, normals, normals), expected, atol=1e-6
    )


def test_mismatched_lights_are_refused():
  with pytest.raises(ValueError, match='one colour'):
    lights.create(directions=[(0, 0, 1)])
