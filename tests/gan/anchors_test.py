"""An anchor holds known people in either dimension."""

import jax
import pytest

from maskjax.gan import adversarial
from tests.gan import small


@pytest.fixture(autouse=True)
def quick_compilation():
  # Programs that run once or twice are not worth optimising.
  jax.config.update('jax_disable_most_optimizations', True)
  yield
  jax.config.update('jax_disable_most_optimizations', False)


def test_an_anchor_pulls_known_scenes_to_their_pictures():
  config = adversarial.GANConfig(
    r1_gamma=0.0, density_weight=0.0, blur_sigma=0.0, anchor_weight=1000.0
  )
  state, step = small.training_of(config)
  step, batch, seen = jax.jit(step), small.batch_of(2), []
  for i in range(12):
    state, metrics = step(state, jax.random.key(i), batch)
    seen.append(float(metrics['anchor']))
  assert seen[-1] < 0.9 * seen[0]


def test_an_anchor_holds_pictures_in_two_dimensions():
  config = adversarial.GANConfig(
    r1_gamma=0.0, path_weight=0.0, blur_sigma=0.0, anchor_weight=1000.0
  )
  state, step = small.training_of(
    config, generator=small.STYLEGAN2, judged_by=small.SINGLE
  )
  step = jax.jit(step)
  known = small.batch_of(2).known
  batch, seen = adversarial.GANBatch(small.batch_of(2).image, known=known), []
  for i in range(12):
    state, metrics = step(state, jax.random.key(i), batch)
    seen.append(float(metrics['anchor']))
  assert seen[-1] < 0.9 * seen[0]
