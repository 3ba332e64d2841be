"""Generated images of a training: what the mapping sees, and mixed styles."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from maskjax.gan import draws, fakes, model as model_lib, stylegan2
from tests.gan import small


def test_mixing_takes_the_last_styles_from_a_second_latent():
  config = stylegan2.StyleGAN2Config(
    z_dim=4, w_dim=6, channels=(5, 4), mapping_layers=1
  )
  model = model_lib.initialize(jax.random.key(0), config)
  drawn = draws.for_images(
    model.module, jax.random.split(jax.random.key(1), 64), mixes=True
  )
  assert set(np.asarray(drawn.mixing.cut).tolist()) == {1, 2, 3}
  z = jax.random.normal(jax.random.key(2), (64, 4))
  map_ = functools.partial(
    fakes.map_mixed, model.module, model.variables, z, None
  )
  plain, mixed = map_(None, 0.5), map_(drawn.mixing, 0.5)
  second = model_lib.run(
    model.variables, model.module.map, drawn.mixing.z, None
  )
  happens = np.asarray(drawn.mixing.happens) < 0.5
  assert 10 < happens.sum() < 54
  for i in range(64):
    cut = int(drawn.mixing.cut[i]) if happens[i] else 4
    np.testing.assert_array_equal(mixed[i, :cut], plain[i, :cut])
    np.testing.assert_array_equal(mixed[i, cut:], second[i, cut:])


def test_the_mapping_is_shown_the_camera_before_now_and_then():
  c = jnp.arange(3.0)[:, None] * jnp.ones((3, 25))
  swap = jnp.array([0.1, 0.6, 0.2])
  found = fakes.condition(c, swap, 0.5, None)
  np.testing.assert_array_equal(found[:, 0], [2.0, 1.0, 1.0])
  # One draw for the whole batch.
  found = fakes.condition(c, jnp.float32(0.4), 0.5, None)
  np.testing.assert_array_equal(found[:, 0], [2.0, 0.0, 1.0])
  np.testing.assert_array_equal(fakes.condition(c, None, 0.5, None), 0 * c)


def test_scenes_are_seen_from_their_own_cameras():
  model = model_lib.initialize(jax.random.key(0), small.EG3D)
  c = small.cameras(4, 2)
  z = jax.random.normal(jax.random.key(1), (2, 8))
  drawn = draws.for_scenes(model.module, jax.random.split(jax.random.key(2), 2))
  make = functools.partial(
    fakes.of_scenes, model.module, model.variables, z, c, drawn
  )

  @jax.jit
  def both():
    images, ws = make(swap_probability=0.0)
    picture = model_lib.run(
      model.variables,
      model.module.synthesize,
      ws,
      c,
      drawn.uniforms,
      noise=drawn.noise,
    )
    _, swapped = make(swap_probability=1.0)
    own, other = (
      model_lib.run(model.variables, model.module.map, z, seen)
      for seen in (c, c[::-1])
    )
    return images, (ws, own), picture, (swapped, other)

  images, (ws, own), picture, (swapped, other) = both()
  np.testing.assert_array_equal(images.image, picture.image)
  np.testing.assert_array_equal(images.raw, picture.image_raw)
  np.testing.assert_array_equal(ws, own)
  np.testing.assert_array_equal(swapped, other)


def test_images_have_no_raw_rendering():
  model = model_lib.initialize(jax.random.key(0), small.STYLEGAN2)
  z = jax.random.normal(jax.random.key(1), (2, 8))
  drawn = draws.for_images(model.module, jax.random.split(jax.random.key(2), 2))
  make = jax.jit(
    functools.partial(fakes.of_images, model.module, model.variables)
  )
  images, ws = make(z, None, drawn)
  assert images.raw is None and images.image.shape == (2, 16, 16, 3)
  assert ws.shape == (2, small.STYLEGAN2.num_ws, 8)
