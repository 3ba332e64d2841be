"""Scenes: backdrops seen in directions, and the light of portraits."""

import jax.numpy as jnp
import numpy as np

from maskjax.data.people import scenes


def test_plain_backdrops_are_of_one_colour():
  backdrop = scenes.plain_backdrop((0.2, 0.4, 0.6))
  ways = np.random.default_rng(0).normal(size=(5, 7, 3)).astype(np.float32)
  ways /= np.linalg.norm(ways, axis=-1, keepdims=True)
  seen = scenes.paint_backdrop(backdrop, jnp.asarray(ways))
  expected = np.broadcast_to(np.float32([0.2, 0.4, 0.6]), seen.shape)
  np.testing.assert_allclose(seen, expected, atol=1e-6)


def test_a_blob_is_brightest_in_its_middle_and_walls_are_graded():
  backdrop = scenes.Backdrop(
    top=jnp.full(3, 0.3),
    bottom=jnp.full(3, 0.1),
    directions=jnp.asarray([[0.0, 0.0, -1.0]]),
    sharpness=jnp.asarray([50.0]),
    colors=jnp.asarray([[0.5, 0.0, 0.0]]),
  )
  turn = jnp.deg2rad(jnp.asarray([0.0, 5.0, 20.0, 60.0]))
  across = jnp.stack([jnp.sin(turn), 0 * turn, -jnp.cos(turn)], -1)
  red = np.asarray(scenes.paint_backdrop(backdrop, across))[:, 0]
  np.testing.assert_allclose(red[0], 0.2 + 0.5, atol=1e-6)
  np.testing.assert_allclose(
    red[1], 0.2 + 0.5 * np.exp(50 * (np.cos(np.radians(5)) - 1)), atol=1e-5
  )
  assert np.all(np.diff(red) < 0)
  up = jnp.asarray([[0.0, 1.0, 0.0], [0.0, -1.0, 0.0]])
  np.testing.assert_allclose(
    scenes.paint_backdrop(backdrop, up)[:, 1], [0.3, 0.1], atol=1e-6
  )


def test_drawn_backdrops_are_the_same_again_and_within_range():
  for seed in range(10):
    first, again = (
      scenes.sample_backdrop(np.random.default_rng(seed)) for _ in range(2)
    )
    for a, b in zip(first, again):
      np.testing.assert_array_equal(a, b)
    assert first.top.max() <= 0.9 * 1.4 and first.bottom.min() >= 0
    np.testing.assert_allclose(
      np.linalg.norm(first.directions, axis=-1), 1, atol=1e-6
    )
    assert np.all(first.directions[:, 2] < 0)  # behind the head


def test_the_key_light_is_in_front_and_exposure_is_a_factor():
  for seed in range(20):
    lights = scenes.sample_lights(np.random.default_rng(seed))
    assert lights.directions.shape == (2, 3)
    np.testing.assert_allclose(
      np.linalg.norm(lights.directions, axis=-1), 1, atol=1e-5
    )
    # The second light comes from the other side, and is weaker.
    key, second = np.asarray(lights.directions)
    assert key[0] * second[0] <= 0
    colors = np.asarray(lights.direction_colors)
    assert colors[1].sum() < colors[0].sum()
    bright = scenes.sample_lights(np.random.default_rng(seed), 2.0)
    np.testing.assert_allclose(bright.direction_colors[0], 2 * colors[0],
                               rtol=1e-5)  # fmt: skip
