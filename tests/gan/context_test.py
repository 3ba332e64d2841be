"""What all phases of a step do: gradients, views, real images."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax

from maskjax.gan import (
  adversarial,
  augment,
  context as context_lib,
  losses,
  resize,
)
from tests.gan import small

CONFIG = adversarial.GANConfig()


def test_gradients_are_made_finite():
  tx = optax.sgd(1.0)
  params = {'w': jnp.zeros(4)}
  state = adversarial.NetworkState(params, tx.init(params))
  slopes = {'w': jnp.array([1.0, jnp.nan, jnp.inf, -jnp.inf])}
  moved = context_lib.update(small.context_of(CONFIG), state, slopes, tx)
  np.testing.assert_allclose(moved.params['w'], [-1.0, 0.0, -1e5, 1e5])


def test_shifts_are_no_weights_of_the_network():
  variables, shifts = context_lib.split_shifts(
    {'synthesis': 1, 'shifts': 2}, {'w_avg': 3}
  )
  assert variables == {'params': {'synthesis': 1}, 'buffers': {'w_avg': 3}}
  assert shifts == 2
  assert context_lib.split_shifts({'synthesis': 1}, {})[1] is None


def test_each_sample_has_a_latent_of_its_own():
  context = small.context_of(CONFIG, 3)
  z = context_lib.latents(context, jax.random.key(0))
  assert z.shape == (3, 8)
  assert len({float(x) for x in z[:, 0]}) == 3
  more = context_lib.latents(small.context_of(CONFIG, 5), jax.random.key(0))
  np.testing.assert_array_equal(more[:3], z)


def test_raw_images_are_made_where_a_batch_has_none():
  context = small.context_of(CONFIG)
  found = context_lib.real_images(context)
  np.testing.assert_array_equal(found.raw, context.batch.raw)
  bare = context.batch._replace(raw=None)
  made = context_lib.real_images(dataclasses.replace(context, batch=bare))
  np.testing.assert_allclose(
    made.raw, resize.resize(context.batch.image, 8), atol=1e-6
  )
  blurred = context_lib.real_images(
    dataclasses.replace(context, blur=jnp.float32(1.0))
  )
  np.testing.assert_allclose(
    blurred.raw, losses.blur(context.batch.raw, 1.0), atol=1e-6
  )
  flat = small.context_of(
    CONFIG, generator=small.STYLEGAN2, judged_by=small.SINGLE
  )
  assert context_lib.real_images(flat).raw is None


def test_a_view_is_changed_only_where_augmentation_is_asked_for():
  context = small.context_of(CONFIG)
  images = context_lib.real_images(context)
  options = {'probability': jnp.float32(1.0), 'rng': jax.random.key(1)}
  same = context_lib.view(context, images, **options)
  np.testing.assert_array_equal(same.image, images.image)
  changed = context_lib.view(
    small.context_of(adversarial.GANConfig(augment=augment.AugmentConfig())),
    images,
    **options,
  )
  assert np.abs(changed.image - images.image).mean() > 0.1
  assert changed.raw.shape == images.raw.shape
