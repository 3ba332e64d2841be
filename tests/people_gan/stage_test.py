"""What stages share: sizes, rates and angles."""

import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.people_gan import batches as people_batches, stage as stage_lib
from tests.people_gan import people


@pytest.fixture(scope='module')
def data():
  return people_batches.by_scene(people.face_set(count=4, views=3))


def test_pictures_of_another_size_are_refused(data):
  stage_lib.check_size(people.settings(), 16, data)
  with pytest.raises(ValueError, match='16 pixels wide, the generator makes 8'):
    stage_lib.check_size(people.settings(), 8, data)


def test_the_rate_rises_and_falls():
  told = people.settings(steps=10, warmup_steps=2, decay_steps=4)
  tx = stage_lib.adam(told, 0.1)
  params = {'w': jnp.zeros(())}
  state = tx.init(params)
  moves = []
  for _ in range(10):
    update, state = tx.update({'w': jnp.ones(())}, state, params)
    moves.append(-float(update['w']))
  # Adam moves by its rate where the gradient is always the same.
  expected = [0.0, 0.05, 0.1, 0.1, 0.1, 0.1, 0.1, 0.075, 0.05, 0.025]
  np.testing.assert_allclose(moves, expected, rtol=1e-4, atol=1e-7)


def test_angles_are_standardised(data):
  angles = stage_lib.camera_angles(data)
  assert angles.shape == (4, 3, 2)
  np.testing.assert_allclose(angles[..., 0].mean(), 0.0, atol=1e-5)
  np.testing.assert_allclose(angles[..., 0].std(), 1.0, rtol=1e-5)


def test_a_stage_without_known_scenes_has_no_latents():
  stage = stage_lib.Stage(
    state=None,
    step=lambda state, rng, batch: (state, {}),
    batches=lambda step: None,
    images=1,
    devices=[],
    models=lambda state: {},
    pictures=lambda state: [],
  )
  assert stage.codes(None) is None
