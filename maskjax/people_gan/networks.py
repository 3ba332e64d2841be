"""The networks of the source domain, as a stage's settings have them."""

from maskjax.gan import (
  discriminator as discriminator_lib,
  eg3d,
  kinds,
  student,
  stylegan2,
  superresolution,
)
from maskjax.people_gan import settings as settings_lib
from maskjax.render.volume import volume


def generator(settings: settings_lib.Settings) -> eg3d.EG3DConfig:
  """Return the generator of scenes.

  Args:
    settings: settings of the stage; of it, 'latent' to 'box'.

  Raises:
    ValueError: sizes that do not fit together.
  """
  return eg3d.EG3DConfig(
    backbone=stylegan2.StyleGAN2Config(
      z_dim=settings.latent,
      c_dim=25,
      w_dim=settings.latent,
      channels=settings.channels,
      image_channels=3 * settings.features,
      mapping_layers=2,
      # Room for a mapping that is the identity at first.
      layer_features=2 * settings.latent,
      use_noise=False,
    ),
    superresolution=superresolution.SuperResolutionConfig(
      kind='2X',
      input_resolution=settings.rendering,
      channels=settings.enlarged,
    ),
    volume=volume.VolumeConfig(
      coarse=settings.coarse,
      fine=settings.fine,
      start=settings.start,
      end=settings.end,
      box=settings.box,
      white_background=True,
      mode='clean',
    ),
    rendering_resolution=settings.rendering,
    hidden_features=settings.hidden,
    features=settings.features,
    plane_axes=settings.plane_axes,
  )


def flat_generator(
  settings: settings_lib.Settings,
) -> stylegan2.StyleGAN2Config:
  """Return the generator of images; its latent can hold a camera's angles.

  Args:
    settings: settings of the stage; of it, 'latent' and 'channels'.
  """
  size = settings.latent + student.ANGLES
  return stylegan2.StyleGAN2Config(
    z_dim=size,
    w_dim=size,
    channels=settings.channels,
    mapping_layers=2,
    layer_features=2 * size,
  )


def discriminator(
  settings: settings_lib.Settings, kind: kinds.Kind
) -> discriminator_lib.DiscriminatorConfig:
  """Return the discriminator: of pairs and cameras, or of single images.

  Args:
    settings: settings of the stage; of it, 'discriminator' and
      'mapping_layers'.
    kind: kind of the generator that it is set against.
  """
  return discriminator_lib.DiscriminatorConfig(
    image_channels=6 if kind.has_cameras else 3,
    c_dim=25 if kind.has_cameras else 0,
    channels=settings.discriminator,
    mapping_layers=settings.mapping_layers,
  )
