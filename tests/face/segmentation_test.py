"""The person's mask, against MediaPipe's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.face import networks, segmentation

NETS = networks.load()
segment = jax.jit(segmentation.segment_person)


@pytest.mark.parametrize('name', ['astronaut', 'large', 'two'])
def test_masks_are_mediapipes(pictures, answers, name):
  mask = np.asarray(segment(NETS, pictures[name]))[::4, ::4]
  expected = answers[f'{name}_mask'].astype(np.float32)
  assert np.abs(mask - expected).mean() < 2e-3
  assert np.mean((mask > 0.5) != (expected > 0.5)) < 2e-3


def test_the_astronaut_is_told_from_the_wall(pictures):
  mask = segment(NETS, pictures['astronaut'])
  assert mask.shape == (512, 512)
  assert float(mask[80:160, 190:250].min()) > 0.9  # her face
  assert float(mask[20:150, 10:100].max()) < 0.1  # the flag beside her


def test_pictures_that_are_not_finite_hold_nobody():
  mask = segment(NETS, jnp.full((40, 60, 3), jnp.nan))
  assert mask.shape == (40, 60) and float(mask.max()) <= 1.0
  assert bool(jnp.all(jnp.isfinite(mask)))
