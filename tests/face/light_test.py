"""Planted lights are read off rendered faces again."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.face import light, pose
from maskjax.geometry import camera as camera_lib, canonical, color
from maskjax.render import lights as lights_lib, renderer

FACE = canonical.load()
SHAPE = jnp.asarray(FACE.vertices)
SIZE = 96


@jax.jit
def _photo(camera, lights, albedo):
  image = renderer.render(
    SHAPE,
    jnp.asarray(FACE.faces),
    albedo,
    jax.tree.map(lambda x: x[None], camera),
    lights,
    size=SIZE,
    mode='hard',
  )
  return color.linear_to_srgb(jnp.clip(image.rgb[0], 0.0, 1.0))


@jax.jit
def _estimate(image, camera):
  head = pose.HeadPose(camera, SHAPE, jnp.zeros(()))
  return light.estimate_light(image, head)


def _camera(azimuth=0.0, elevation=0.0):
  return camera_lib.orbit(azimuth, elevation, radius=70.0, fovy=20.0)


def _skin(level=1.0):
  return jnp.broadcast_to(level * jnp.asarray(light.SKIN), SHAPE.shape)


def _degrees(first, second):
  cosine = np.dot(first, second) / np.linalg.norm(first)
  return np.degrees(np.arccos(np.clip(cosine / np.linalg.norm(second), -1, 1)))


def test_a_planted_direction_is_found_on_blotchy_skin():
  """The contract is a median of 15 degrees; measured: 2.4."""
  rng = np.random.default_rng(0)
  errors = []
  for _ in range(30):
    direction = rng.normal(size=3)
    direction[2] = abs(direction[2])
    lights = lights_lib.directional(
      direction,
      color=(rng.uniform(0.3, 0.9),) * 3,
      ambient=(rng.uniform(0.1, 0.5),) * 3,
    )
    blotches = 1 + 0.15 * rng.normal(size=(len(SHAPE), 1))
    camera = _camera(rng.uniform(-30, 30), rng.uniform(-15, 15))
    skin = _skin() * jnp.asarray(blotches, jnp.float32)
    found = _estimate(_photo(camera, lights, skin), camera)
    errors.append(_degrees(np.asarray(found.direction), direction))
  assert np.median(errors) < 5.0 and np.max(errors) < 20.0


def test_colours_and_levels_are_found():
  lights = lights_lib.directional(
    (-1.0, 0.5, 0.5), color=(0.9, 0.5, 0.3), ambient=(0.1, 0.2, 0.3)
  )
  camera = _camera(10.0)
  found = _estimate(_photo(camera, lights, _skin()), camera)
  np.testing.assert_allclose(found.color, [0.9, 0.5, 0.3], rtol=0.1)
  np.testing.assert_allclose(found.ambient, [0.1, 0.2, 0.3], atol=0.04)
  assert float(found.error) < 0.1
  darker = _estimate(_photo(camera, lights, _skin(0.4)), camera)
  np.testing.assert_allclose(darker.color, 0.4 * found.color, rtol=0.05)
  np.testing.assert_allclose(darker.direction, found.direction, atol=0.03)


def test_the_estimate_renders_the_face_as_it_was():
  """Both forms of the light, on the face that they were read off."""
  lights = lights_lib.directional(
    (1.0, 1.0, 1.0), color=(0.7, 0.6, 0.5), ambient=(0.2, 0.2, 0.3)
  )
  camera = _camera()
  image = _photo(camera, lights, _skin())
  found = _estimate(image, camera)
  for again in (light.to_lights(found), light.to_environment(found)):
    difference = jnp.abs(_photo(camera, again, _skin()) - image)
    assert float(difference.mean()) < 0.01


def test_an_environment_of_two_lights_is_better_told_by_harmonics():
  lights = lights_lib.create(
    ambient=(0.1, 0.1, 0.1),
    directions=[(-1.0, 0.0, 0.3), (1.0, 0.0, 0.3)],
    direction_colors=[(0.8, 0.2, 0.2), (0.2, 0.2, 0.8)],
  )
  camera = _camera()
  image = _photo(camera, lights, _skin())
  found = _estimate(image, camera)
  one = jnp.abs(_photo(camera, light.to_lights(found), _skin()) - image)
  all_ = jnp.abs(_photo(camera, light.to_environment(found), _skin()) - image)
  assert float(all_.mean()) < 0.6 * float(one.mean())


def test_hair_over_half_of_the_forehead_hardly_matters():
  direction = np.array([0.8, 0.3, 0.5])
  lights = lights_lib.directional(
    direction, color=(0.7, 0.7, 0.7), ambient=(0.2, 0.2, 0.2)
  )
  hair = (SHAPE[:, 1] > 4.5) & (SHAPE[:, 0] > -1.0)
  skin = jnp.where(hair[:, None], 0.02, _skin())
  camera = _camera()
  found = _estimate(_photo(camera, lights, skin), camera)
  assert _degrees(np.asarray(found.direction), direction) < 10.0


@pytest.mark.parametrize(
  ('direction', 'tint', 'expected'),
  [
    ((-1.0, 0.1, 0.3), (1.0, 1.0, 1.0), 'lit by white light from the left'),
    ((1.0, 0.1, 0.3), (1.0, 0.3, 0.2), 'lit by red light from the right'),
    ((0.1, 1.0, 0.3), (1.0, 0.78, 0.52), 'lit by warm light from above'),
    ((0.0, -1.0, 0.3), (0.25, 0.35, 1.0), 'lit by blue light from below'),
    ((0.0, 0.0, 1.0), (1.0, 1.0, 1.0), 'lit by white light from the front'),
    (None, (1.0, 1.0, 1.0), 'with uniform white light'),
    (None, (0.2, 1.0, 0.25), 'with uniform green light'),
  ],
)
def test_lights_get_the_words_of_prompts(direction, tint, expected):
  if direction is None:
    lights = lights_lib.uniform(tint)
  else:
    lights = lights_lib.directional(
      direction, color=tint, ambient=tuple(0.15 * c for c in tint)
    )
  camera = _camera(5.0)
  assert light.words(_estimate(_photo(camera, lights, _skin()), camera)) == (
    expected
  )


@pytest.mark.parametrize('value', [0.0, jnp.nan])
def test_black_and_broken_pictures_have_no_light(value):
  found = _estimate(jnp.full((SIZE, SIZE, 3), value), _camera())
  assert all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in found)
  assert float(jnp.abs(found.color).sum() + found.ambient.sum()) == 0.0


def test_a_head_outside_of_the_picture_has_no_light():
  camera = _camera()
  beside = camera.replace(intrinsics=camera.intrinsics.at[0, 2].set(3.0))
  found = _estimate(jnp.full((SIZE, SIZE, 3), 0.5), beside)
  assert all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in found)
  assert float(found.ambient.sum()) == 0.0


def test_vmap_is_a_loop():
  camera = _camera()
  images = jnp.stack(
    [
      _photo(camera, lights_lib.directional(d, ambient=(0.2,) * 3), _skin(0.6))
      for d in ((1.0, 0.0, 1.0), (-1.0, 1.0, 0.5))
    ]
  )
  together = jax.vmap(_estimate, (0, None))(images, camera)
  for row, image in enumerate(images):
    alone = _estimate(image, camera)
    np.testing.assert_allclose(
      together.direction[row], alone.direction, atol=1e-3
    )
