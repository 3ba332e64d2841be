import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.diffusion import vae
from tests.diffusion import torch_nets

SMALL = {
  'down_block_types': ['DownEncoderBlock2D'] * 2,
  'up_block_types': ['UpDecoderBlock2D'] * 2,
  'block_out_channels': [16, 24],
  'layers_per_block': 1,
  'norm_num_groups': 8,
  'sample_size': 32,
}
VARIANTS = {
  'sd': {},
  'plain': {
    'use_quant_conv': False,
    'use_post_quant_conv': False,
    'mid_block_add_attention': False,
    'latent_channels': 16,
    'shift_factor': 0.1,
  },
}


@pytest.mark.parametrize('name', VARIANTS)
def test_equals_pytorch(name):
  torch, diffusers = (
    torch_nets.load('torch'),
    torch_nets.load('diffusers'),
  )
  peer = torch_nets.build(
    lambda: diffusers.AutoencoderKL(**SMALL, **VARIANTS[name])
  )
  config = vae.VaeConfig.from_dict(dict(peer.config))
  params = torch_nets.params(peer)
  assert torch_nets.shapes(params) == torch_nets.shapes(
    vae.parameter_shapes(config)
  )
  images = np.random.default_rng(0).uniform(-1, 1, (2, 16, 24, 3))
  images = images.astype(np.float32)
  with torch.no_grad():
    theirs = peer.encode(torch_nets.to_torch(images)).latent_dist
    decoded = peer.decode(theirs.mean).sample
  module = vae.AutoencoderKL(config)
  variables = {'params': params}
  encode = jax.jit(
    functools.partial(module.apply, method=vae.AutoencoderKL.encode)
  )
  decode = jax.jit(
    functools.partial(module.apply, method=vae.AutoencoderKL.decode)
  )
  ours = encode(variables, images)
  assert ours.mean.shape == (2, 8, 12, config.latent_channels)
  pairs = (
    (ours.mean, theirs.mean),
    (ours.std, theirs.std),
    (decode(variables, ours.mean), decoded),
  )
  for mine, peers in pairs:
    error = torch_nets.relative_l2(mine, torch_nets.from_torch(peers))
    print(f'vae {name}: {error:.2e}')
    assert error <= torch_nets.RELATIVE_L2


def test_recomputing_keeps_less_and_changes_no_gradient():
  config = vae.VaeConfig.from_dict(SMALL)
  params = torch_nets.random_params(vae.parameter_shapes(config))
  images = jax.random.uniform(torch_nets.quick_key(), (1, 16, 16, 3))

  def loss(images, remat):
    found = vae.AutoencoderKL(config, remat=remat).apply(
      {'params': params}, images, method=vae.AutoencoderKL.encode
    )
    return jnp.sum(found.mean**2)

  def kept(remat):
    """Return the bytes that wait for the backward pass."""
    saved = jax.eval_shape(
      lambda images: jax.vjp(functools.partial(loss, remat=remat), images)[1],
      images,
    )
    return sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(saved))

  weights = sum(x.nbytes for x in jax.tree.leaves(params['encoder']))
  assert kept(True) - weights < 0.5 * (kept(False) - weights)
  gradient = jax.jit(jax.grad(loss), static_argnums=1)
  np.testing.assert_allclose(
    gradient(images, True), gradient(images, False), rtol=1e-3, atol=1e-5
  )


def test_scaled_latents_come_back():
  config = vae.VaeConfig(scaling_factor=0.5, shift_factor=2.0)
  latents = jnp.array([1.0, 4.0])
  scaled = vae.scale_latents(config, latents)
  np.testing.assert_allclose(scaled, [-0.5, 1.0])
  np.testing.assert_allclose(vae.unscale_latents(config, scaled), latents)


def test_samples_have_the_moments():
  shape = (1, 50, 50, 1)
  moments = vae.Moments(jnp.full(shape, 3.0), jnp.full(shape, 0.5))
  draw = vae.sample_moments(jax.random.key(0), moments)
  # Standard errors of 2500 draws: 0.01 and 0.007.
  assert abs(float(draw.mean()) - 3.0) < 0.05
  assert abs(float(draw.std()) - 0.5) < 0.04


def test_config_round_trip_and_errors():
  config = vae.VaeConfig.from_dict({**SMALL, 'force_upcast': True})
  assert vae.VaeConfig.from_dict(config.to_dict()) == config
  with pytest.raises(ValueError, match='latents_mean'):
    vae.VaeConfig.from_dict({**SMALL, 'latents_mean': [0.1] * 4})
  with pytest.raises(ValueError, match='3 down_block_types for 2'):
    vae.VaeConfig.from_dict(
      {**SMALL, 'down_block_types': ['DownEncoderBlock2D'] * 3}
    )
