"""Networks are as large as the settings say."""

from maskjax.gan import (
  kinds,
  student,
)
from maskjax.people_gan import networks as people_networks
from tests.people_gan import people


def test_the_generator_of_scenes():
  config = people_networks.generator(people.settings('decoder'))
  assert config.backbone.z_dim == config.backbone.w_dim == 128
  assert config.backbone.image_channels == 3 * 16
  assert config.rendering_resolution == 32 and config.output_side == 64
  # Room for a mapping that is the identity at first.
  assert config.backbone.layer_features == 2 * config.backbone.z_dim
  rays = config.volume
  assert (rays.coarse, rays.fine, rays.box) == (12, 12, 0.8)
  assert (rays.start, rays.end, rays.white_background) == (2.3, 3.1, True)


def test_the_generator_of_pictures_has_room_for_angles():
  told = people.settings('student')
  config = people_networks.flat_generator(told)
  assert config.z_dim == config.w_dim == told.latent + student.ANGLES
  assert config.channels == told.channels and config.c_dim == 0


def test_discriminators_see_pairs_with_cameras_or_single_pictures():
  told = people.settings('adversarial')
  pairs = people_networks.discriminator(told, kinds.EG3D)
  single = people_networks.discriminator(told, kinds.STYLEGAN2)
  assert (pairs.image_channels, pairs.c_dim) == (6, 25)
  assert (single.image_channels, single.c_dim) == (3, 0)
  assert pairs.channels == single.channels == told.discriminator
