"""Light is turned as the head is, averaged over time, and never blinds."""

import jax.numpy as jnp
import numpy as np
import scipy.spatial

from maskjax.render import lights as lights_lib
from maskjax.wear import lighting


def _light():
  rng = np.random.default_rng(3)
  harmonics = rng.normal(0, 0.3, (9, 3))
  harmonics[0] += 3
  return harmonics


def _falling(harmonics, normals):
  lights = lights_lib.create(harmonics=harmonics)
  normals = jnp.asarray(normals, jnp.float32)
  return np.asarray(lights_lib.irradiance(lights, normals, normals))


def test_a_turned_light_falls_on_turned_surfaces_as_before():
  rotation = scipy.spatial.transform.Rotation.from_rotvec([0.4, -0.8, 0.3])
  rotation = rotation.as_matrix()
  normals = np.random.default_rng(0).normal(size=(20, 3))
  normals /= np.linalg.norm(normals, axis=1, keepdims=True)
  turned = lighting.turned(_light(), rotation)
  np.testing.assert_allclose(
    _falling(turned, normals @ rotation.T),
    _falling(_light(), normals),
    atol=1e-5,
  )
  back = lighting.turned(turned, rotation.T)
  np.testing.assert_allclose(back, _light(), atol=1e-6)


def test_the_direction_is_that_of_a_single_light():
  toward = np.array([0.6, 0.0, 0.8])
  basis = np.asarray(lights_lib.harmonics_basis(jnp.asarray(toward)))
  harmonics = np.pi * basis[:, None] * np.ones((1, 3))
  np.testing.assert_allclose(lighting.direction(harmonics), toward, atol=1e-6)
  assert np.all(lighting.direction(lighting.even(1.0)) == 0)


def test_light_that_does_not_change_stays_and_noise_is_averaged():
  times = np.arange(90) / 30
  when = times[::5]
  samples = np.tile(_light(), (len(when), 1, 1))
  steady = lighting.steadied(times, when, samples)
  np.testing.assert_allclose(steady, np.tile(_light(), (90, 1, 1)), atol=1e-9)
  noise = np.random.default_rng(0).normal(0, 0.1, samples.shape)
  steady = lighting.steadied(times, when, samples + noise)
  assert (steady - _light()).std() < 0.05
  assert np.abs(np.diff(steady, axis=0)).max() < 0.02
  one = lighting.steadied(times, when[:1], samples[:1])
  np.testing.assert_allclose(one[77], _light())


def test_no_light_makes_white_brighter_than_white():
  normals = np.array([[0, 0, 1.0], [0.6, 0, 0.8], [0, 0.8, 0.6]])
  for factor in (10.0, 1.0, 0.01):
    exposed = lighting.exposed(factor * _light(), tint=1.0)
    falling = _falling(exposed, normals)
    assert falling.max() < 1.0
    assert falling.max() > 0.1
  # What is neither too bright nor too dark stays as it is.
  fair = lighting.even(0.5)
  np.testing.assert_allclose(lighting.exposed(fair, tint=1.0), fair, atol=1e-6)


def test_without_its_tint_a_light_is_white():
  red = lighting.even(0.5) * [1.5, 1.0, 0.5]
  normals = np.array([[0, 0, 1.0]])
  grey = _falling(lighting.exposed(red, tint=0.0), normals)
  np.testing.assert_allclose(grey, grey.mean(), atol=1e-6)
  half = _falling(lighting.exposed(red, tint=0.5), normals)[0]
  assert half[0] > half[1] > half[2]
  assert half[0] / half[2] < 3


def test_no_light_at_all_is_an_even_one():
  dark = lighting.exposed(np.zeros((9, 3)), tint=0.4)
  np.testing.assert_allclose(dark, lighting.even(0.5))
  nothing = lighting.on_mask(None, tint=0.4)
  np.testing.assert_allclose(np.asarray(nothing), lighting.even(0.9), rtol=1e-6)
