import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from maskjax.gan import autodecoder, layers, model as model_lib, scene_codes
from maskjax.people_gan import (
  batches as people_batches,
  networks as people_networks,
)
from maskjax.training import parallel, state as state_lib
from tests.people_gan import people

CONFIG = people_networks.generator(people.settings())
DATA = people_batches.by_scene(people.face_set(count=4, views=3))
LOSSES = autodecoder.DecoderLosses(density_points=16)


@pytest.fixture(autouse=True)
def quick_compilation():
  # Programs that run once or twice are not worth optimising.
  jax.config.update('jax_disable_most_optimizations', True)
  yield
  jax.config.update('jax_disable_most_optimizations', False)


@functools.cache
def model():
  return autodecoder.with_plain_mapping(
    model_lib.initialize(jax.random.key(0), CONFIG)
  )


@functools.cache
def compiled():
  """Return `latents` and `show` of the model."""
  bind = lambda call: jax.jit(functools.partial(call, *model()))
  return bind(autodecoder.latents), bind(autodecoder.show)


def codes(seed=1):
  mean = jax.random.normal(jax.random.key(seed), (4, 8))
  return scene_codes.Codes(mean, jnp.full(8, -2.0))


def test_plain_mapping_is_lrelu_of_the_direction_for_any_camera():
  z = jax.random.normal(jax.random.key(1), (5, 8)) * 3
  c = jax.random.normal(jax.random.key(2), (5, 25))
  ws = model_lib.run(model().variables, model().module.map, z, c)
  wanted = layers.normalize_second_moment(z)
  wanted = np.sqrt(2) * np.where(wanted > 0, wanted, 0.2 * wanted)
  for copy in np.moveaxis(np.asarray(ws), 1, 0):
    np.testing.assert_allclose(copy, wanted, atol=1e-5)


def test_plain_mapping_needs_room():
  narrow = dataclasses.replace(
    CONFIG, backbone=dataclasses.replace(CONFIG.backbone, layer_features=8)
  )
  other = model_lib.initialize(jax.random.key(0), narrow)
  with pytest.raises(ValueError, match='layer_features = 16'):
    autodecoder.with_plain_mapping(other)


def test_pyramid_sees_a_shift_of_all_pixels_at_the_coarse_level_only():
  a = jax.random.normal(jax.random.key(0), (2, 16, 16, 3))
  assert autodecoder.pyramid_distance(a, a, 4) == 0
  np.testing.assert_allclose(
    autodecoder.pyramid_distance(a + 0.5, a, 4), 0.5, rtol=1e-4
  )
  # Alternating pixels have no mean: only the finest level sees them.
  stripes = jnp.where(jnp.arange(16) % 2 == 0, 1.0, -1.0)[None, None, :, None]
  value = autodecoder.pyramid_distance(a + 0.5 * stripes, a, 4)
  assert 0.35 < value < 0.75


def test_truth_is_depth_along_rays():
  camera = jnp.asarray(DATA.camera[0, :2])
  alpha, depth = autodecoder.rendered_truth(
    jnp.asarray(DATA.alpha[0, :2] / 255, jnp.float32),
    jnp.asarray(DATA.depth[0, :2], jnp.float32),
    camera,
    16,
  )
  np.testing.assert_allclose(alpha, DATA.alpha[0, :2] / 255, atol=1e-6)
  ray = autodecoder._rays_of_scenes(camera[None], 16)
  points = ray.origins + depth.reshape(1, -1, 1) * ray.directions
  distance = np.linalg.norm(points, axis=-1).reshape(2, 16, 16)
  np.testing.assert_allclose(
    distance[np.asarray(alpha) == 1], people.RADIUS, atol=2e-3
  )


def test_views_of_a_scene_are_those_of_eg3d():
  latents, show = compiled()
  ws = latents(codes().mean[:2])
  camera = jnp.asarray(DATA.camera[:2, :2])
  shown = show(ws, camera)
  alone = jax.jit(
    functools.partial(
      model_lib.run, model().variables, model().module.synthesize
    )
  )
  for i in range(4):
    picture = alone(ws[i // 2][None], camera.reshape(4, 25)[i][None])
    depth, alpha = picture.depth[0, ..., 0], picture.weights[0, ..., 0]
    np.testing.assert_allclose(shown.image[i], picture.image[0], atol=1e-4)
    np.testing.assert_allclose(shown.depth[i], depth, atol=1e-4)
    np.testing.assert_allclose(shown.alpha[i], alpha, atol=1e-4)
  # What is seen at its own depth is at a distance: a cloud is not a surface.
  assert (shown.distance >= 0).all() and shown.distance.max() > 0.01


def test_distance_is_at_least_that_of_the_mean_depth():
  latents, show = compiled()
  ws = latents(codes().mean[:1])
  camera, asked = jnp.asarray(DATA.camera[:1, :1]), jnp.full((1, 8, 8), 2.5)
  shown = show(ws, camera, asked, jax.random.split(jax.random.key(3), 1))
  least = shown.alpha * jnp.abs(shown.depth - asked)
  assert (shown.distance >= least - 1e-5).all()


def _train(state, mapped, count, devices):
  state = parallel.replicate(state, devices=devices)
  buffers = parallel.replicate(model().variables['buffers'], devices=devices)
  for i in range(count):
    batch = people_batches.draw(DATA, 0, i, scenes=4, views=2)
    rng = jax.random.fold_in(jax.random.key(5), i)
    state, metrics = mapped(state, rng, batch, buffers)
  return state, metrics


def _begin(tx, devices):
  params = {'generator': model().variables['params'], 'codes': codes()}
  state = state_lib.create(params, tx, ema=True)
  step = autodecoder.make_step(model().module, tx, LOSSES, ema_decay=0.9)
  return state, parallel.data_parallel(step, devices=devices, shared=True)


def test_two_devices_train_like_one():
  # Plain descent: Adam hides factors of gradients.
  results = []
  for count in (1, 2):
    devices = jax.devices()[:count]
    state, mapped = _begin(optax.sgd(1e-3), devices)
    results.append(_train(state, mapped, 1, devices))
  (one, first), (two, second) = results
  for key in first:
    np.testing.assert_allclose(first[key], second[key], rtol=2e-4, atol=1e-6)
  moved = jax.tree.map(lambda x: np.asarray(x), (one.params, two.params))
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=2e-5), *moved
  )


def test_training_finds_the_balls():
  devices = jax.devices()[:1]
  state, mapped = _begin(optax.adam(1e-2), devices)
  _, before = _train(state, mapped, 1, devices)
  state, after = _train(state, mapped, 90, devices)
  assert after['alpha'] < 0.4 * before['alpha']
  assert after['raw'] < 0.7 * before['raw']
  assert after['depth_error'] < 0.7 * before['depth_error']
  moved = jnp.abs(state.params['codes'].mean - codes().mean)
  assert (moved.max(1) > 1e-3).all()
  averaged = state.ema_params['generator']
  assert jax.tree.structure(averaged) == jax.tree.structure(
    state.params['generator']
  )


def test_mean_latent_is_that_of_the_prior():
  own = autodecoder.with_mean_latent(model(), jax.random.key(0))
  w_avg = own.variables['buffers']['backbone']['mapping']['w_avg']
  # E[lrelu(x)] sqrt 2 = 0.8 sqrt 2 / sqrt(2 pi) for a standard normal x, and a
  # little more for z of fixed length.
  np.testing.assert_allclose(w_avg, 0.8 / np.sqrt(np.pi), rtol=0.08)
  assert isinstance(own, model_lib.Model)
