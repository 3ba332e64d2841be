"""Pictures in two dimensions: seeds, walks, and who may be a pair."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.gan import draws, model as model_lib, student
from maskjax.geometry import color
from maskjax.people_gan import flat_pictures, pictures as people_pictures
from tests.gan import small


@pytest.fixture(scope='module')
def flat():
  return model_lib.initialize(jax.random.key(0), small.STYLEGAN2)


def test_a_seed_is_the_same_person_in_any_sheet(flat):
  sheet = flat_pictures.samples(flat.module, flat.variables, (3, 4), 2)
  alone = flat_pictures.samples(flat.module, flat.variables, (4,), 1)
  assert sheet.shape == (16, 32, 3)
  np.testing.assert_allclose(sheet[:, 16:].astype(int), alone, atol=1)
  image = flat_pictures.images(
    flat.module, flat.variables, draws.of_seeds([4], 8), people_pictures.PSI
  )
  np.testing.assert_allclose(
    color.signed_to_bytes(image[0]).astype(int), alone, atol=1
  )


def test_a_walk_begins_at_each_seed(flat):
  frames = flat_pictures.walk(flat.module, flat.variables, (3, 4), 4)
  assert frames.shape == (8, 16, 16, 3)
  for i, seed in ((0, 3), (4, 4)):
    alone = flat_pictures.samples(flat.module, flat.variables, (seed,), 1)
    np.testing.assert_allclose(frames[i].astype(int), alone, atol=1)
  assert np.abs(frames[0].astype(int) - frames[4]).mean() > 3


def test_pairs_are_a_student_and_its_teacher(flat):
  solid = model_lib.initialize(jax.random.key(1), small.EG3D)
  camera = people_pictures.turned((0.0, 20.0))
  angles = student.angles(camera)
  for one, other in ((solid, solid), (flat, solid), (flat, flat)):
    with pytest.raises(ValueError, match='no student and its EG3D'):
      flat_pictures.pairs(one, other, (0,), camera, angles)
  config = dataclasses.replace(small.STYLEGAN2, z_dim=8 + student.ANGLES)
  pupil = model_lib.initialize(jax.random.key(2), config)
  drawn, rendered = flat_pictures.pairs(pupil, solid, (0, 5, 7), camera, angles)
  assert drawn.shape == rendered.shape == (3, 2, 16, 16, 3)
  z = draws.of_seeds([5], 8)
  own = jnp.concatenate([z, angles[1:]], -1)
  image = flat_pictures.images(pupil.module, pupil.variables, own)
  np.testing.assert_allclose(drawn[1, 1], image[0], atol=1e-5)
