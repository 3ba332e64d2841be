"""The names of views and lights, the studio's cameras and backgrounds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.geometry import camera as camera_lib
from maskjax.studio import views as studio_views, words as studio_words


def _angles(count=4000):
  rng = np.random.default_rng(0)
  return rng.uniform(-90, 90, count), rng.uniform(-60, 60, count)


def test_every_angle_has_the_name_that_captions_give_it():
  azimuth, elevation = _angles()
  # The edges between the names, too.
  azimuth[:24] = np.repeat([-60, -30, -10, 0, 10, 30, 60, 89], 3)
  elevation[:24] = np.tile([-12, 0, 18], 8)
  azimuth, elevation = np.float32(azimuth), np.float32(elevation)
  rows = studio_views.view_index(jnp.asarray(azimuth), jnp.asarray(elevation))
  assert rows.dtype == jnp.int32
  names = studio_views.view_names()
  found = [names[row] for row in np.asarray(rows)]
  pairs = zip(azimuth.tolist(), elevation.tolist())
  assert found == [studio_words.view_words(*pair) for pair in pairs]
  assert set(found) == set(names)


def test_view_index_of_one_view_and_under_jit_and_vmap():
  azimuth, elevation = (jnp.asarray(x[:8], jnp.float32) for x in _angles())
  rows = studio_views.view_index(azimuth, elevation)
  np.testing.assert_array_equal(
    jax.jit(jax.vmap(studio_views.view_index))(azimuth, elevation), rows
  )
  one = studio_views.view_index(azimuth[0], elevation[0])
  assert one.shape == () and one == rows[0]


def test_names_are_told_apart():
  for names in (studio_views.view_names(), studio_views.lighting_names()):
    assert len(set(names)) == len(names)
  count = len(studio_words.LIGHT_COLORS) * len(studio_words.LIGHT_DIRECTIONS)
  assert (
    len(studio_views.lighting_names())
    == len(studio_views.LIGHTINGS)
    == 1 + count
  )


def test_lighting_table_is_what_the_names_say():
  table = studio_views.lighting_table()
  leading = {x.shape[0] for x in jax.tree.leaves(table)}
  assert leading == {len(studio_views.LIGHTINGS)}
  np.testing.assert_allclose(
    np.linalg.norm(table.directions, axis=-1), 1.0, atol=1e-6
  )
  for row, (color, direction) in enumerate(studio_views.LIGHTINGS):
    rgb = np.array(studio_words.LIGHT_COLORS[color])
    lit = np.asarray(table.direction_colors[row, 0])
    np.testing.assert_allclose(lit / lit.max(), rgb / rgb.max(), atol=1e-6)
    if direction is None:  # even light comes from everywhere
      assert np.all(table.ambient[row] > lit)
      continue
    assert np.all(table.ambient[row] < lit + 0.1)
    toward = np.asarray(studio_words.LIGHT_DIRECTIONS[direction])
    cosine = table.directions[row, 0] @ toward / np.linalg.norm(toward)
    assert cosine == pytest.approx(1.0, abs=1e-6)
  left = studio_views.LIGHTINGS.index(('red', 'left'))
  assert table.directions[left, 0, 0] < -0.9


def test_jitter_moves_and_dims_a_little():
  one = jax.tree.map(lambda x: x[3], studio_views.lighting_table())
  keys = jax.random.split(jax.random.key(0), 200)
  many = jax.jit(jax.vmap(studio_views.jitter_lights, (0, None)))(keys, one)
  np.testing.assert_allclose(
    np.linalg.norm(many.directions, axis=-1), 1.0, atol=1e-6
  )
  cosines = many.directions[:, 0] @ one.directions[0]
  assert 0.8 < cosines.mean() < 0.98
  for name in ('ambient', 'direction_colors'):
    ratio = getattr(many, name) / getattr(one, name)[None]
    assert ratio.min() >= 0.8 and ratio.max() <= 1.2 and ratio.std() > 0.05
  still = studio_views.jitter_lights(jax.random.key(2), one, 0.0)
  np.testing.assert_allclose(still.directions, one.directions, atol=1e-6)


@pytest.mark.parametrize('fovy', [15.0, 30.0, 50.0])
def test_camera_shows_40_cm_from_any_distance(fovy):
  target = np.array(studio_views.TARGET_CM, np.float32)
  offsets = np.array([[20, 0, 0], [-20, 0, 0], [0, 20, 0], [0, 0, 0]])
  camera = studio_views.orbit_camera(jnp.zeros(()), jnp.zeros(()), fovy=fovy)
  pixels, _ = camera_lib.project(camera, jnp.asarray(target + offsets))
  np.testing.assert_allclose(
    pixels, [[1, 0.5], [0, 0.5], [0.5, 0], [0.5, 0.5]], atol=2e-3
  )
  farther = studio_views.orbit_camera(jnp.zeros(()), jnp.zeros(()), 2.0, fovy)
  distance = np.linalg.norm(camera.cam2world[:3, 3] - target)
  assert np.linalg.norm(farther.cam2world[:3, 3] - target) == pytest.approx(
    2 * distance, rel=1e-5
  )


def test_a_camera_to_the_right_sees_the_right_side():
  camera = studio_views.orbit_camera(jnp.float32(60), jnp.float32(20))
  x, y, _ = camera.cam2world[:3, 3]
  assert x > 40 and y > 10


def test_backgrounds_are_colours_plain_or_graded():
  keys = jax.random.split(jax.random.key(1), 64)
  draw = jax.jit(jax.vmap(studio_views.background, (0, None)), static_argnums=1)
  images = np.asarray(draw(keys, 12))
  assert images.shape == (64, 12, 12, 3)
  assert images.min() >= 0 and images.max() <= 1
  spread = images.std((1, 2)).max(-1)
  assert 0.25 < np.mean(spread < 1e-5) < 0.75
  assert spread.max() > 0.05
  assert images.mean((1, 2)).std(0).min() > 0.1
