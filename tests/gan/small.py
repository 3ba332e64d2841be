"""Small networks and trainings that tests of several rooms build."""

import functools

import jax
import jax.numpy as jnp

from maskjax.gan import (
  adversarial,
  autodecoder,
  context,
  discriminator,
  eg3d,
  model as model_lib,
  optimizers,
  poses,
  resize,
  stylegan2,
  superresolution,
  training,
)
from maskjax.render.volume import volume

EG3D = eg3d.EG3DConfig(
  backbone=stylegan2.StyleGAN2Config(
    z_dim=8,
    c_dim=25,
    w_dim=8,
    channels=(8, 8),
    image_channels=12,
    mapping_layers=2,
  ),
  superresolution=superresolution.SuperResolutionConfig(
    kind='2X', input_resolution=8, channels=(6, 4)
  ),
  volume=volume.VolumeConfig(coarse=4, fine=4, mode='clean'),
  rendering_resolution=8,
  hidden_features=8,
  features=4,
)

DUAL = discriminator.DiscriminatorConfig(
  image_channels=6, c_dim=25, channels=(8, 8, 8), mapping_layers=1
)
STYLEGAN2 = stylegan2.StyleGAN2Config(
  z_dim=8, w_dim=8, channels=(8, 8, 8), mapping_layers=2
)
SINGLE = discriminator.DiscriminatorConfig(
  image_channels=3, c_dim=0, channels=(8, 8, 8)
)


def cameras(seed, count):
  """Return random cameras around the front."""
  pose = poses.sample(jax.random.key(seed), count).reshape(count, 16)
  intrinsics = poses.intrinsics(jnp.full((count,), 18.837))
  return jnp.concatenate([pose, intrinsics.reshape(count, 9)], -1)


def batch_of(count):
  """Return a batch of noise with cameras, raw images and known scenes."""
  image = jax.random.uniform(jax.random.key(3), (count, 16, 16, 3), minval=-1)
  alpha = jnp.linspace(0.9, 1.0, 256).reshape(16, 16)
  alpha = jnp.repeat(alpha[None, None], count, 0)
  views = autodecoder.Views(
    scene=jnp.arange(count),
    image=image[:, None, ::-1],
    alpha=alpha,
    depth=jnp.full_like(alpha, 2.6),
    camera=cameras(6, count)[:, None],
  )
  return adversarial.GANBatch(
    image=image,
    c=cameras(4, count),
    fake_c=cameras(5, count),
    raw=resize.resize(image, 8),
    known=adversarial.Known(
      views, jax.random.normal(jax.random.key(7), (count, 8))
    ),
  )


@functools.cache
def networks(generator=EG3D, judged_by=DUAL):
  """Return a generator and a discriminator with random weights."""
  own = model_lib.initialize(jax.random.key(0), generator)
  other = model_lib.initialize(jax.random.key(1), judged_by)
  return own, other


def training_of(config, *, generator=EG3D, judged_by=DUAL, tx=None):
  """Return the first state and the step of an adversarial training."""
  own, other = networks(generator, judged_by)
  state = optimizers.first_state(own, other, config, tx=tx)
  step = training.make_gan_step(own.module, other.module, config, tx=tx)
  return state, step


def context_of(config, count=4, *, generator=EG3D, judged_by=DUAL):
  """Return what the phases of a first step share."""
  own = generator.build()
  side = own.config.rendering_resolution
  batch = batch_of(count)
  if side is None:
    batch = adversarial.GANBatch(batch.image, known=batch.known)
  return context.Context(
    generator=own,
    discriminator=judged_by.build(),
    config=config,
    axis_name=None,
    batch=batch,
    resolution=side,
    blur=None,
    swap=jnp.float32(0.5),
  )
