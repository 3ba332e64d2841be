"""StyleGAN2's sizes, and its way from z to an image in parts."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.gan import model as model_lib, stylegan2
from tests.gan import small


def test_channel_schedule():
  assert stylegan2.channel_schedule(256) == (512,) * 5 + (256, 128)
  assert stylegan2.StyleGAN2Config().num_ws == 14
  with pytest.raises(ValueError, match='power of two'):
    stylegan2.channel_schedule(48)
  with pytest.raises(ValueError, match='architecture'):
    stylegan2.StyleGAN2Config(architecture='dense')


def test_the_call_goes_through_latents_and_styles():
  model = model_lib.initialize(jax.random.key(0), small.STYLEGAN2)
  variables, generator = model.variables, model.module
  z = jax.random.normal(jax.random.key(1), (2, 8))

  @jax.jit
  def parts(z):
    whole = generator.apply(variables, z, truncation_psi=0.5, noise='none')
    ws = model_lib.run(variables, generator.map, z, truncation_psi=0.5)
    styles = model_lib.run(variables, generator.styles, ws)
    image = model_lib.run(
      variables, generator.from_styles, styles, noise='none'
    )
    made = model_lib.run(variables, generator.synthesize, ws, noise='none')
    return whole, styles, image, made

  whole, styles, image, made = parts(z)
  np.testing.assert_allclose(whole.image, image, atol=1e-6)
  jax.tree.map(np.testing.assert_array_equal, whole.styles, styles)
  np.testing.assert_array_equal(made.image, image)
  assert image.shape == (2, 16, 16, 3)


def test_a_generator_of_images_is_all_backbone():
  config = small.STYLEGAN2
  assert config.backbone is config
  assert config.output_side == config.resolution == 16
  assert config.rendering_resolution is None
  assert config.num_ws == 6


def test_conditions_reach_the_image():
  config = stylegan2.StyleGAN2Config(
    z_dim=4, c_dim=3, w_dim=6, channels=(5, 4), mapping_layers=1
  )
  model = model_lib.initialize(jax.random.key(0), config)
  make = jax.jit(functools.partial(model.module.apply, model.variables))
  one = make(jnp.ones((1, 4)), jnp.ones((1, 3)))
  c = jnp.array([[1.0, -2.0, 0.5]])
  other = make(jnp.ones((1, 4)), c)
  assert np.abs(one.image - other.image).max() > 1e-2
