"""Reflection models: limits that are known, energy, gradients, renders."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import trimesh

from maskjax.geometry import camera as camera_lib
from maskjax.render import lights as lights_lib, renderer, shading

_RNG = np.random.default_rng(0)


def _unit(*shape):
  v = _RNG.normal(size=shape)
  return jnp.asarray(v / np.linalg.norm(v, axis=-1, keepdims=True), jnp.float32)


def _points(count=64):
  return shading.Points(
    albedo=jnp.asarray(_RNG.uniform(0.05, 0.95, (count, 3)), jnp.float32),
    normals=_unit(count, 3),
    positions=jnp.asarray(_RNG.normal(size=(count, 3)), jnp.float32),
    toward_eye=_unit(count, 3),
  )


def _lights():
  return lights_lib.create(
    ambient=(0.1, 0.12, 0.14),
    directions=[(1, 2, 3), (-2, 1, 0.5)],
    direction_colors=[(0.8, 0.7, 0.6), (0.1, 0.2, 0.5)],
    points=[(6.0, 8.0, 12.0)],
    point_colors=[(90.0, 80.0, 70.0)],
    harmonics=0.1 * np.random.default_rng(1).normal(size=(9, 3)),
  )


def test_matte_models_agree_with_the_irradiance():
  points, lights = _points(), _lights()
  light = lights_lib.irradiance(lights, points.positions, points.normals)
  lambert = shading.shade('lambert', points, lights)
  np.testing.assert_allclose(lambert, points.albedo * light, rtol=1e-6)
  np.testing.assert_array_equal(
    shading.shade('unlit', points, lights), points.albedo
  )
  grey = shading.shade('textureless', points, lights)
  other = points._replace(albedo=points.albedo[::-1])
  np.testing.assert_array_equal(
    grey, shading.shade('textureless', other, lights)
  )
  dull = shading.Material(specular=0.0)
  np.testing.assert_allclose(
    shading.shade('blinn_phong', points, lights, dull), lambert, rtol=1e-6
  )


def test_the_highlight_lies_where_the_half_vector_meets_the_normal():
  light = lights_lib.directional((0, 0, 1))
  angles = np.deg2rad(np.array([0.0, 15.0, 30.0, 60.0]))
  eye = np.stack([np.sin(angles), np.zeros(4), np.cos(angles)], -1)
  one = jnp.ones((4, 3))
  points = shading.Points(
    0 * one,
    jnp.broadcast_to(jnp.array([0.0, 0, 1]), (4, 3)),
    one,
    jnp.asarray(eye, jnp.float32),
  )
  material = shading.Material(specular=0.5, shininess=20.0)
  got = shading.shade('blinn_phong', points, light, material)[:, 0]
  np.testing.assert_allclose(got, 0.5 * np.cos(angles / 2) ** 20, rtol=1e-5)


@pytest.mark.parametrize('roughness', [0.3, 0.5, 1.0])
def test_pbr_keeps_no_more_than_it_gets(roughness):
  """The integral over all light directions of what reaches the eye."""
  count = 20_000
  toward = np.array(_unit(count, 3))
  toward[:, 2] = np.abs(toward[:, 2])
  normals = jnp.broadcast_to(jnp.array([0.0, 0, 1]), (1, 3))
  eye = jnp.array([[0.6, 0.0, 0.8]])
  point = shading.Points(jnp.ones((1, 3)), normals, jnp.zeros((1, 3)), eye)

  @jax.jit
  @jax.vmap
  def seen(direction):
    return shading.shade(
      'pbr',
      point,
      lights_lib.directional(direction),
      shading.Material(metallic=1.0, roughness=roughness),
    )[0, 0]

  # A light of colour 1 brings pi; directions are uniform over 2 pi.
  total = float(np.mean(np.asarray(seen(jnp.asarray(toward))))) * 2
  if roughness == 1.0:
    # Then it is the integral of x / (x + 0.8), x being the light's cosine.
    np.testing.assert_allclose(total, 1 - 0.8 * np.log(1.8 / 0.8), rtol=0.02)
  else:
    assert 0.85 < total < 1.05


def test_rough_dielectrics_tend_to_lambert():
  points, lights = _points(), _lights()
  normals = points.normals
  points = points._replace(toward_eye=normals)  # seen head on
  pbr = shading.shade('pbr', points, lights, shading.Material(roughness=1.0))
  lambert = shading.shade('lambert', points, lights)
  lit = np.asarray(lambert).max(-1) > 0.1
  assert np.abs(np.asarray(pbr - lambert))[lit].max() < 0.12


@pytest.mark.parametrize('kind', shading.KINDS)
def test_gradients_are_finite_everywhere(kind):
  points, lights = _points(), _lights()
  # Seen and lit from behind, from the side, and from the same place.
  points = points._replace(
    toward_eye=points.toward_eye.at[0]
    .set(-points.normals[0])
    .at[1]
    .set(points.normals[1])
    .at[2]
    .set(-lights.directions[0]),
    positions=points.positions.at[3].set(lights.points[0]),
  )

  def total(points, lights, material):
    return jnp.sum(shading.shade(kind, points, lights, material) ** 2)

  material = jax.tree.map(jnp.float32, shading.Material())
  gradients = jax.jit(jax.grad(total, (0, 1, 2)))(points, lights, material)
  for leaf in jax.tree.leaves(gradients):
    assert np.isfinite(np.asarray(leaf)).all()


def test_unknown_kinds_are_refused():
  with pytest.raises(ValueError, match='not one of unlit'):
    shading.shade('glitter', _points(), _lights())


def _sphere(**options):
  ball = trimesh.creation.icosphere(subdivisions=3, radius=5.0)
  camera = camera_lib.orbit(
    jnp.array([0.0, 40.0]),
    jnp.array([10.0, 10.0]),
    radius=20.0,
    target=(0.0, 0.0, 0.0),
    fovy=40.0,
  )
  vertices = jnp.asarray(ball.vertices, jnp.float32)

  @jax.jit
  def draw(vertices):
    return renderer.render(
      vertices,
      jnp.asarray(np.asarray(ball.faces)),
      jnp.full(vertices.shape, 0.6),
      camera,
      _lights(),
      size=48,
      background=(0.0, 0.0, 0.0),
      **options,
    )

  return draw(vertices)


_shown = functools.cache(_sphere)


@pytest.mark.parametrize('mode', ['soft', 'hard'])
def test_light_per_pixel_and_per_vertex_agree_on_a_fine_mesh(mode):
  fine = _shown(mode=mode, shading='lambert')
  fast = _shown(mode=mode)
  np.testing.assert_allclose(fine.rgb, fast.rgb, atol=0.02)
  np.testing.assert_allclose(fine.normals, fast.normals, atol=1e-5)
  np.testing.assert_allclose(fine.height, fast.height, atol=1e-5)
  np.testing.assert_allclose(fine.depth, fast.depth, atol=1e-4)


def test_highlights_stay_when_the_camera_moves():
  shiny = _shown(mode='hard', shading='blinn_phong')
  matte = _shown(mode='hard', shading='lambert')
  spots = np.asarray(shiny.rgb - matte.rgb).sum(-1)
  assert spots.min() > -1e-5
  peaks = [np.unravel_index(s.argmax(), s.shape) for s in spots]
  assert spots.max() > 0.2
  assert abs(peaks[0][1] - peaks[1][1]) > 3


def test_textures_lit_at_vertices_are_refused():
  from maskjax.render import textures

  texture = textures.from_image(jnp.zeros((4, 4, 3)), jnp.zeros((642, 2)))
  with pytest.raises(ValueError, match="shading='lambert'"):
    _sphere(texture=texture)
  with pytest.raises(ValueError, match='coordinates for 3 vertices'):
    _sphere(
      texture=textures.from_image(jnp.zeros((4, 4, 3)), jnp.zeros((3, 2))),
      shading='unlit',
    )
