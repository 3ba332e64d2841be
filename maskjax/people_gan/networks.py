"""The networks of the source domain, from a config of configs/source.py."""

import ml_collections

from maskjax.gan import (
  discriminator as discriminator_lib,
  eg3d,
  student,
  stylegan2,
  superresolution,
)
from maskjax.render.volume import volume


def generator(config: ml_collections.ConfigDict) -> eg3d.EG3DConfig:
  """Return the generator of scenes.

  Args:
    config: fields 'latent' to 'box' of configs/source.py.

  Raises:
    ValueError: sizes that do not fit together.
  """
  return eg3d.EG3DConfig(
    backbone=stylegan2.StyleGAN2Config(
      z_dim=config.latent,
      c_dim=25,
      w_dim=config.latent,
      channels=tuple(config.channels),
      image_channels=3 * config.features,
      mapping_layers=2,
      # Room for a mapping that is the identity at first.
      layer_features=2 * config.latent,
      use_noise=False,
    ),
    superresolution=superresolution.SuperResolutionConfig(
      kind='2X',
      input_resolution=config.rendering,
      channels=tuple(config.enlarged),
    ),
    volume=volume.VolumeConfig(
      coarse=config.coarse,
      fine=config.fine,
      start=config.start,
      end=config.end,
      box=config.box,
      white_background=True,
      mode='clean',
    ),
    rendering_resolution=config.rendering,
    hidden_features=config.hidden,
    features=config.features,
    plane_axes=config.plane_axes,
  )


def flat_generator(
  config: ml_collections.ConfigDict,
) -> stylegan2.StyleGAN2Config:
  """Return the generator of images; its latent can hold a camera's angles."""
  size = config.latent + student.ANGLES
  return stylegan2.StyleGAN2Config(
    z_dim=size,
    w_dim=size,
    channels=tuple(config.channels),
    mapping_layers=2,
    layer_features=2 * size,
  )


def discriminator(
  config: ml_collections.ConfigDict, flat: bool
) -> discriminator_lib.DiscriminatorConfig:
  """Return the discriminator: of pairs and cameras, or of single images."""
  return discriminator_lib.DiscriminatorConfig(
    image_channels=3 if flat else 6,
    c_dim=0 if flat else 25,
    channels=tuple(config.judge),
    mapping_layers=config.mapping_layers,
  )
