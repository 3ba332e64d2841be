"""Settings, anchors and batches of the stages against a discriminator."""

import numpy as np
import pytest

from maskjax.gan import kinds
from maskjax.people_gan import (
  adversarial,
  batches as people_batches,
  codes as people_codes,
)
from tests.people_gan import people


@pytest.fixture(scope='module')
def data():
  return people_batches.by_scene(people.face_set(count=4, views=3))


def test_settings_are_the_configs_but_for_what_depends_on_the_stage():
  told = people.settings('adversarial')
  config = adversarial.gan_config(told, kinds.EG3D)
  assert config.generator_rate == 3e-4 and config.anchor_weight == 10.0
  assert config.swap_end == 0.5 and config.swap_kimg == 100.0
  assert config.augment is not None and config.average_rampup == 0.05
  # Two dimensions know no cameras; what is trained is averaged from the start.
  told = people.settings('stylegan2', init='out/student/model')
  config = adversarial.gan_config(told, kinds.STYLEGAN2)
  assert config.swap_end is None and config.average_rampup is None
  told = people.settings('stylegan2', **{'adversarial.augmented': False})
  assert adversarial.gan_config(told, kinds.STYLEGAN2).augment is None


def test_an_anchor_needs_latents(data, tmp_path):
  codes = people_codes.Stored(
    np.zeros((4, 8), np.float32), np.ones(8, np.float32), data.identity
  )
  people_codes.write(tmp_path, codes)
  found = adversarial._anchor(str(tmp_path), data, kinds.EG3D, True)
  np.testing.assert_array_equal(found.mean, codes.mean)
  assert adversarial._anchor('', data, kinds.EG3D, False) is None
  for kind, words in (
    (kinds.EG3D, 'of the stage decoder'),
    (kinds.STYLEGAN2, 'of a student'),
  ):
    with pytest.raises(ValueError, match=f'no init has none.*{words}'):
      adversarial._anchor('', data, kind, True)


def test_batches_move_the_side_of_the_rendering(data):
  told = people.settings(
    'tiny_adversarial', raw_start=4, raw_kimg=0.004, raw_sides=(4, 8)
  )
  batch = adversarial._batches(told, data, 8, None)
  number, first = batch(0)
  assert number == 0 and first.raw.shape == (4, 4, 4, 3)
  assert first.c.shape == first.fake_c.shape == (4, 25)
  number, later = batch(1)
  assert number == 1 and later.raw is None and later.known is None
  again = adversarial._batches(told, data, 8, None)(1)[1]
  np.testing.assert_array_equal(later.image, again.image)


def test_batches_in_two_dimensions_end_known_latents_with_angles(data):
  told = people.settings('tiny_stylegan2', anchor_scenes=2)
  codes = people_codes.Stored(
    np.ones((4, 8), np.float32), np.zeros(8, np.float32), data.identity
  )
  _, drawn = adversarial._batches(told, data, None, codes)(0)
  assert drawn.c is None and drawn.raw is None
  assert drawn.known.z.shape == (2, 8 + 2)
  np.testing.assert_array_equal(drawn.known.z[:, :8], 1.0)
  assert np.abs(drawn.known.z[:, 8:]).max() > 0
