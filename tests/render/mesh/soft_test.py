"""The soft mode alone: a straight edge, and that windows do not matter."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.render.mesh import fragments, soft
from tests.render.mesh import small

_SIGMA = 0.02
_BLEND = fragments.Blend(
  sigma=_SIGMA, blur=0.5, depth_rate=1.0, product=True, perspective=False
)
# Orthographic, one half image height per unit; the wall ends at x = 0.1.
_INTRINSICS = jnp.asarray([[[0.5, 0, 0.5], [0, 0.5, 0.5], [0, 0, 1.0]]])


@pytest.mark.parametrize('window', [4, 16])
def test_probability_falls_across_a_straight_edge(window):
  vertices = jnp.asarray([[[-30.0, 0, 5], [0.1, -30, 5], [0.1, 30, 5]]])
  images = jax.jit(
    lambda vertices: soft.draw(
      vertices,
      jnp.asarray([[0, 1, 2]]),
      jnp.ones((1, 3, 1)) * 0.25,
      _INTRINSICS,
      small.grid(window=window),
      _BLEND,
      near=1.0,
      cull_backfaces=False,
    )
  )(vertices)
  x = (2 * np.arange(8) + 1) / 8 - 1
  logit = np.sign(0.1 - x) * (0.1 - x) ** 2 / _SIGMA
  expected = np.where(x < 0.1 + 0.5, 1 / (1 + np.exp(-logit)), 0)
  alpha, depth, value = np.moveaxis(np.asarray(images[0]), -1, 0)
  np.testing.assert_allclose(
    alpha, np.broadcast_to(expected, (8, 8)), atol=1e-5
  )
  covered = np.broadcast_to(expected > 0, (8, 8))
  np.testing.assert_allclose(depth, np.where(covered, 5, 0), rtol=1e-6)
  np.testing.assert_allclose(value, np.where(covered, 0.25, 0), rtol=1e-6)
