"""Blends of generators."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from maskjax.gan import blend, checkpoints, discriminator, players
from tests.gan import small


@pytest.fixture(scope='module')
def folders(tmp_path_factory):
  folder = tmp_path_factory.mktemp('models')
  for i in range(2):
    models = {'G_ema': players.initialize(jax.random.key(i), small.EG3D)}
    if i:
      judge = discriminator.DiscriminatorConfig(
        6, 25, channels=(4, 4, 4), mapping_layers=1
      )
      models['D'] = players.initialize(jax.random.key(i), judge)
    checkpoints.save(folder / str(i), models)
  return folder


def test_ends_are_the_networks_and_the_middle_is_their_mean(folders):
  first, second = (checkpoints.load(folders / str(i)) for i in range(2))
  mean = lambda a, b: (a + b) / 2  # noqa: E731
  middle = jax.tree.map(mean, first.variables, second.variables)
  wanted = {0.0: first.variables, 0.5: middle, 1.0: second.variables}
  for share, variables in wanted.items():
    found = blend.blend(first, second, share).variables
    jax.tree.map(np.testing.assert_array_equal, found, variables)


def test_a_folder_keeps_the_discriminator_and_the_share(folders):
  target = folders / 'blend'
  blend.blend_folders(folders / '0', folders / '1', 0.25, target)
  models = checkpoints.load_all(target)
  assert set(models) == {'G_ema', 'D'}
  assert json.loads((target / blend.RECORD).read_text()) == {'share': 0.25}
  wanted = checkpoints.load(folders / '1', 'D').variables
  jax.tree.map(np.testing.assert_array_equal, models['D'].variables, wanted)


def test_networks_that_do_not_belong_together_are_refused(folders):
  first = checkpoints.load(folders / '0')
  other = players.initialize(
    jax.random.key(0), dataclasses.replace(small.EG3D, hidden_features=4)
  )
  with pytest.raises(ValueError, match='kind or size'):
    blend.blend(first, other, 0.5)
  with pytest.raises(ValueError, match='between 0 and 1'):
    blend.blend_folders(folders / '0', folders / '1', 1.5, folders / 'no')
