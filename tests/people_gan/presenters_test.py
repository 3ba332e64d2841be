"""People in files: scenes from several sides, images once each."""

import jax
import numpy as np
import pytest

from maskjax.gan import model as model_lib
from maskjax.people_gan import (
  networks as people_networks,
  pictures as people_pictures,
  presenters,
)
from tests.gan import small
from tests.people_gan import people


@pytest.fixture(scope='module')
def model():
  config = people_networks.generator(people.settings())
  return model_lib.initialize(jax.random.key(0), config)


@pytest.fixture(scope='module')
def flat():
  return model_lib.initialize(jax.random.key(0), small.STYLEGAN2)


def test_presenters_go_by_what_a_generator_makes(model, flat):
  assert presenters.of(model) is presenters.SCENES
  assert presenters.of(flat) is presenters.IMAGES
  other = model_lib.initialize(jax.random.key(0), small.SINGLE)
  with pytest.raises(ValueError, match='Discriminator is no generator'):
    presenters.of(other)


def test_a_crowd_of_scenes_is_cut_into_blocks(model, tmp_path):
  blocks = presenters.crowd(model, range(4), psi=0.7, rows=2)
  assert [block.shape for block in blocks] == [(32, 80, 3)] * 2
  people_pictures.save_sheet(tmp_path / 'sheet.png', blocks, times=2)
  assert (tmp_path / 'sheet.png').stat().st_size > 100


def test_a_crowd_of_images_is_one_block(flat):
  (block,) = presenters.crowd(flat, range(4), psi=0.7, rows=2)
  assert block.shape == (32, 32, 3)
  (sheet,) = presenters.of(flat).new_people(flat)
  assert sheet.shape == (4 * 16, 8 * 16, 3)


def test_walks_have_their_frames(model, flat):
  for shown in (model, flat):
    frames, total = presenters.of(shown).walk(shown, (0, 1), 3)
    frames = np.stack(list(frames))
    assert frames.shape == (6, 16, 16, 3) and total == 6
    assert frames.dtype == np.uint8
