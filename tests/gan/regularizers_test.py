"""Lazy losses: path lengths, densities, and the slope at real images."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.gan import (
  adversarial,
  context as context_lib,
  draws,
  losses,
  model as model_lib,
  optimizers,
  regularizers,
)
from tests.gan import small

CONFIG = adversarial.GANConfig(density_points=20, augment=None, blur_sigma=0.0)


@pytest.fixture(autouse=True)
def quick_compilation():
  # Programs that run once or twice are not worth optimising.
  jax.config.update('jax_disable_most_optimizations', True)
  yield
  jax.config.update('jax_disable_most_optimizations', False)


def test_stylegan2_with_path_lengths():
  config = dataclasses.replace(
    CONFIG,
    r1_every=1,
    path_every=1,
    mixing_probability=0.9,
    anchor_weight=0.0,
  )
  state, step = small.training_of(
    config, generator=small.STYLEGAN2, judged_by=small.SINGLE
  )
  batch = adversarial.GANBatch(small.batch_of(4).image)
  state, metrics = jax.jit(step)(state, jax.random.key(2), batch)
  assert float(state.path_mean) > 0
  assert float(metrics['path']) > 0


def states(config, *, generator=small.EG3D, judged_by=small.DUAL):
  own, other = small.networks(generator, judged_by)
  return own, other, optimizers.first_state(own, other, config)


def test_density_counts_with_its_weight_and_leaves_path_lengths():
  _, _, state = states(CONFIG)
  state = state.replace(path_mean=jnp.float32(3.0))
  values = []
  for weight in (0.25, 0.5):
    config = dataclasses.replace(CONFIG, density_weight=weight)
    value, path_mean = regularizers.density(
      small.context_of(config),
      state,
      state.generator.params,
      jax.random.key(2),
    )
    assert float(path_mean) == 3.0
    values.append(float(value))
  assert values[0] > 0
  np.testing.assert_allclose(values[1], 2 * values[0], rtol=1e-6)


def test_path_lengths_see_a_part_of_the_batch():
  config = dataclasses.replace(CONFIG, path_shrink=2, path_decay=0.5)
  flat = {'generator': small.STYLEGAN2, 'judged_by': small.SINGLE}
  own, _, state = states(config, **flat)
  context = small.context_of(config, 4, **flat)
  value, mean = regularizers.path_length(
    context, state, state.generator.params, jax.random.key(2)
  )
  # By hand, for the two samples that count.
  for_z, for_draws, for_direction = jax.random.split(jax.random.key(2), 3)
  direct = jax.vmap(lambda key: jax.random.normal(key, (16, 16, 3)))
  directions = direct(context_lib.keys(context, for_direction)[:2])
  z = context_lib.latents(context, for_z)[:2]
  noise = draws.for_images(
    own.module, context_lib.keys(context, for_draws)[:2]
  ).noise

  def moved(ws):
    made = model_lib.run(own.variables, own.module.synthesize, ws, noise=noise)
    return (made.image * directions / 16).sum()

  slopes = jax.grad(moved)(model_lib.run(own.variables, own.module.map, z))
  lengths = np.sqrt(np.square(slopes).sum(2).mean(1))
  np.testing.assert_allclose(mean, lengths.mean() / 2, rtol=1e-4)
  expected = config.path_weight * np.square(lengths - mean).mean()
  np.testing.assert_allclose(value, expected, rtol=1e-3)


def test_r1_takes_the_slope_at_what_is_asked_for():
  # Blurred images have other slopes than the data behind the blur.
  flat = {'generator': small.STYLEGAN2, 'judged_by': small.SINGLE}
  _, other, state = states(CONFIG, **flat)
  context = dataclasses.replace(
    small.context_of(CONFIG, 4, **flat), blur=jnp.float32(1.0)
  )
  params = other.variables['params']
  shown, data = (
    regularizers.r1(
      context, state, params, jax.random.key(2), at_shown=at_shown
    )
    for at_shown in (True, False)
  )
  images = context_lib.view(
    context,
    context_lib.real_images(context),
    probability=state.controller.probability,
    rng=jax.random.key(2),
  )
  squares, _ = losses.r1_penalty(
    lambda x: context_lib.discriminate(context, params, x, None), images
  )
  np.testing.assert_allclose(shown, squares.mean(), rtol=1e-5)
  assert shown > 0 and data > 0
  assert abs(shown - data) > 0.01 * shown
