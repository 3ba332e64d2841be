"""Skin: where features lie in the texture, and what numbers paint."""

import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.data.people import head_model, people, skin


@pytest.fixture(scope='module')
def plain():
  """Return a fair skin without make-up and beard."""
  drawn = people.sample_person(np.random.default_rng(0)).skin
  return drawn._replace(
    tone=0.1, blood=1.0, warmth=0.0, freckles=0.0, wrinkles=0.0, lipstick=0.0,
    blush=0.0, eyeshadow=0.0, liner=0.0, scalp=0.0, beard=0.0, moustache=0.0,
    shift=(0, 0),
  )  # fmt: skip


def _at(texture, *numbers):
  """Look the texture up at landmarks of the head at rest."""
  points = head_model.landmarks(head_model.rest())[list(numbers)]
  return np.asarray(skin.sample(texture, jnp.asarray(points, jnp.float32)))


def test_coordinates_are_finer_in_front():
  degrees = np.array([-180.0, -90.0, 0.0, 10.0, 90.0, 180.0])
  turn = np.radians(degrees)
  points = np.stack([np.sin(turn), 0 * turn, np.cos(turn) - 4.0], -1)
  found = skin.texture_coordinates(jnp.asarray(points, jnp.float32))
  column = np.asarray(found)[:, 0]
  np.testing.assert_allclose(column[[0, 2, 5]], [0, 0.5, 1], atol=1e-5)
  np.testing.assert_allclose(column[1] + column[4], 1, atol=1e-5)
  # A degree in front is wider than the mean one.
  assert column[3] - column[2] > 1.3 * 10 / 360


def test_every_texel_is_found_where_it_was_put():
  plane = skin._grid()[::64, ::64]
  angle = plane[..., 0] / 8.5
  points = np.stack([np.sin(angle), plane[..., 1], np.cos(angle) - 4.0], -1)
  found = skin.texture_coordinates(jnp.asarray(points, jnp.float32))
  centre = (np.arange(0, skin.SIZE, 64) + 0.5) / skin.SIZE
  expected = np.stack(np.meshgrid(centre, centre), -1)
  np.testing.assert_allclose(found, expected, atol=1e-5)


def test_distances_from_curves_are_signed():
  curve = np.array([[0.0, 0], [2, 0], [2, 2]])
  points = np.array([[1.0, 0.5], [1, -0.5], [3, 1], [2, 5]])
  gap, along = skin._along(points, curve)
  np.testing.assert_allclose(gap[:3], [0.5, -0.5, -1])
  np.testing.assert_allclose(along, [0.25, 0.25, 0.75, 1])
  square = np.array([[0.0, 0], [2, 0], [2, 2], [0, 2]])
  inside = skin._inside(np.array([[1.0, 1], [1.5, 1], [3, 1]]), square)
  np.testing.assert_allclose(inside, [1, 0.5, -1])


def test_noise_tiles():
  noise = skin._noise(5, 2)
  assert np.isclose(noise.std(), 1, atol=1e-4)
  inner = np.abs(np.diff(noise, axis=1)).max()
  assert np.abs(noise[:, 0] - noise[:, -1]).max() <= 1.5 * inner


def test_lookups_are_bilinear():
  ramp = jnp.broadcast_to(jnp.arange(8.0)[:, None, None], (8, 8, 1))
  heights = np.array([14.5, 1.25, -12.0])
  points = np.stack([0 * heights, heights, 0 * heights + 4], -1)
  found = skin.sample(ramp, jnp.asarray(points, jnp.float32))
  np.testing.assert_allclose(found[:, 0], [0, 3.5, 7], atol=1e-4)


def test_features_are_painted_where_they_are(plain):
  texture = skin.paint(plain)
  assert texture.shape == (skin.SIZE, skin.SIZE, 5)
  assert texture.min() >= 0 and texture.max() <= 1
  lip, cheek, brow = _at(texture, 0, 425, 334)
  assert lip[4] > 0.3 > cheek[4]  # lips
  assert brow[:3].mean() < 0.8 * cheek[:3].mean()
  assert cheek[3] < 0.05  # no hair
  dark = _at(skin.paint(plain._replace(tone=0.9)), 425)[0]
  assert dark[:3].mean() < 0.5 * cheek[:3].mean()
  red = _at(skin.paint(plain._replace(blood=1.5)), 425)[0]
  assert red[1] < cheek[1]  # blood takes green light away


def test_beards_and_make_up_are_painted_on_their_places(plain):
  bearded = skin.paint(plain._replace(beard=1.0, hair=(0.02, 0.01, 0.01)))
  chin, forehead = _at(bearded, 199, 151)
  assert chin[3] > 0.5 > 0.05 > forehead[3]
  lipstick = plain._replace(lipstick=1.0, lips=(0.5, 0.02, 0.05))
  before, after = (_at(skin.paint(s), 14)[0] for s in (plain, lipstick))
  assert after[0] / after[1] > 1.5 * before[0] / before[1]


def test_the_hairline_lies_above_the_face():
  degrees = np.array([0.0, 76.0, 180.0])
  plane = np.stack([np.radians(degrees) * 8.5, [8.3, 1.2, -4.6]], -1)
  found = skin.hairline(jnp.asarray(plane, jnp.float32))
  np.testing.assert_allclose(found, 0, atol=1e-4)
