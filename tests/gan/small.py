"""A small EG3D that tests of several rooms build."""

from maskjax.gan import eg3d, stylegan2, superresolution
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
  superresolution=superresolution.SuperResolutionConfig('2X', 8, (6, 4)),
  volume=volume.VolumeConfig(4, 4, mode='clean'),
  rendering_resolution=8,
  hidden_features=8,
  features=4,
)
