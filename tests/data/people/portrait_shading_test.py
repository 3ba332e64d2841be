"""Shading of points: materials, light, and what shines."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.data.people import heads, portrait_shading
from maskjax.geometry import camera as camera_lib
from maskjax.render import lights as lights_lib


def _look(**changes):
  numbers = dict.fromkeys(heads.Look._fields, 0.0)
  numbers |= dict.fromkeys(
    ('hair', 'iris', 'frame', 'hat', 'jewel', 'cloth', 'trim'), (0.2, 0.3, 0.4)
  )
  numbers |= {'oil': 1.0} | changes
  return heads.Look(**{k: jnp.asarray(v, jnp.float32)
                       for k, v in numbers.items()})  # fmt: skip


def _point(material, *, normal=(0, 0, 1), count=1, **changes):
  """Points of one material that face the viewer in full light."""
  shape = (1, 1, count)
  fields = {
    'normals': jnp.broadcast_to(jnp.asarray(normal, jnp.float32), (*shape, 3)),
    'tangents': jnp.broadcast_to(jnp.asarray([0.0, 1, 0]), (*shape, 3)),
    'coordinates': jnp.broadcast_to(jnp.asarray([0.0, 2.0, 6.0]), (*shape, 3)),
    'materials': jnp.full(shape, float(material)),
    'cavity': jnp.zeros(shape),
    'soft': jnp.zeros((*shape, 3)),
    'seen': jnp.ones((*shape, 1)),
    'toward': jnp.broadcast_to(jnp.asarray([0.0, 0, 1]), (*shape, 3)),
  }
  return portrait_shading.Point(**(fields | changes))


@pytest.fixture(scope='module')
def texture():
  """Grey skin without hair and lips."""
  grey = jnp.full((4, 4, 3), 0.5)
  return jnp.concatenate([grey, jnp.zeros((4, 4, 2))], -1)


def _lights(direction=(0.0, 0.0, 1.0)):
  return lights_lib.directional(direction, color=(1.0,) * 3, ambient=(0.0,) * 3)


def _shade(point, texture, style='photo', **options):
  lights = options.pop('lights', _lights())
  look = options.pop('look', _look())
  with jax.numpy_rank_promotion('allow'):
    shaded = portrait_shading.shade(point, texture, look, lights, style)
  return np.asarray(shaded)[0, 0]


def test_bare_colours_are_those_of_the_look(texture):
  flat = _shade(_point(heads.HAT), texture, 'flat')[0]
  np.testing.assert_allclose(flat / flat[0], [1, 1.5, 2], rtol=1e-4)
  skin = _shade(_point(heads.SKIN), texture, 'flat')[0]
  np.testing.assert_allclose(skin, 0.5, atol=1e-6)
  inside = _point(heads.SKIN, cavity=jnp.ones((1, 1, 1)))
  mouth = _shade(inside, texture, 'flat')[0]
  np.testing.assert_allclose(mouth, [0.16, 0.035, 0.03], atol=1e-6)


def test_light_falls_off_with_the_cosine(texture):
  for degrees in (0.0, 40.0, 80.0):
    turn = np.radians(degrees)
    lights = _lights((np.sin(turn), 0.0, np.cos(turn)))
    light = _shade(_point(heads.TEETH), texture, 'light', lights=lights)[0]
    np.testing.assert_allclose(light, 0.7 * np.cos(turn), atol=1e-5)
  # Skin is lit a little beyond its terminator, and red light the farthest.
  behind = _lights((0.98, 0.0, -0.199))
  glow = _shade(_point(heads.SKIN), texture, lights=behind)[0]
  teeth = _shade(_point(heads.TEETH), texture, lights=behind)[0]
  assert glow[0] > glow[1] >= glow[2] >= 0 and glow[0] > teeth[0]


def test_shadows_and_soft_light_add_up(texture):
  shadow = _point(heads.TEETH, seen=jnp.zeros((1, 1, 1, 1)),
                  soft=jnp.full((1, 1, 1, 3), 0.4))  # fmt: skip
  light = _shade(shadow, texture, 'light')[0]
  np.testing.assert_allclose(light, 0.7 * 0.4, atol=1e-6)


def test_eyes_have_pupil_iris_and_white(texture):
  angles = np.radians([0.0, 14.0, 45.0])
  ways = np.stack([np.sin(angles), 0 * angles - 0.1, np.cos(angles)], -1)
  coordinates = jnp.asarray(ways, jnp.float32)[None, None]
  point = _point(heads.EYE, count=3, coordinates=coordinates)
  look = _look(iris=(0.05, 0.1, 0.4))
  pupil, iris, white = _shade(point, texture, 'flat', look=look)
  assert pupil.max() < 0.01 and iris[2] > 2 * iris[0]
  assert white.min() > 0.5


def test_oil_makes_skin_shine(texture):
  plain = _shade(_point(heads.SKIN), texture, look=_look(oil=0.0))
  oily = _shade(_point(heads.SKIN), texture, look=_look(oil=1.5))
  assert np.all(oily > plain)


def test_highlights_keep_below_one():
  values = jnp.asarray([[0.0, 0.5, 0.7], [0.9, 2.0, 50.0]])
  bent = np.asarray(portrait_shading._bend(values))
  np.testing.assert_allclose(bent[0], values[0])
  assert np.all(np.diff(bent.ravel()) >= 0) and bent.max() <= 1.0 + 1e-6


def test_rays_run_through_the_pixels():
  camera = camera_lib.orbit(
    jnp.asarray([30.0]), jnp.asarray([10.0]), radius=100.0, fovy=20.0
  )
  rays = portrait_shading.rays(camera, 4)
  np.testing.assert_allclose(np.linalg.norm(rays, axis=-1), 1, atol=1e-5)
  origin = camera.cam2world[:, :3, 3]
  points = (origin[:, None, None] + 80.0 * rays).reshape(-1, 3)
  seen, _ = camera_lib.project(jax.tree.map(lambda x: x[0], camera), points)
  centre = (np.arange(4) + 0.5) / 4
  expected = np.stack(np.meshgrid(centre, centre), -1).reshape(-1, 2)
  np.testing.assert_allclose(seen, expected, atol=1e-4)


def test_unpacked_normals_face_the_viewer():
  rng = np.random.default_rng(0)
  columns = rng.normal(size=(1, 3, 3, 16)).astype(np.float32)
  toward = rng.normal(size=(1, 3, 3, 3)).astype(np.float32)
  toward /= np.linalg.norm(toward, axis=-1, keepdims=True)
  point = portrait_shading.unpack(jnp.asarray(columns), jnp.asarray(toward))
  assert np.sum(point.normals * toward, -1).min() > 0
  np.testing.assert_allclose(point.coordinates, columns[..., 6:9])
  assert point.seen.shape == (1, 3, 3, 2)
