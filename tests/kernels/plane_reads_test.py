"""Reads of three planes, against one corner after the other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.kernels import plane_reads
from tests.kernels import checks

SIDE = 6


def inputs(scenes=2, positions=50):
  planes, _ = checks.normal((scenes, 3, SIDE, SIDE, 4), ())
  # Some of the positions lie on the fading border or far outside.
  rng = np.random.default_rng(1)
  at = rng.uniform(-4, SIDE + 3, (scenes, 3, positions, 2))
  return planes, jnp.asarray(at, jnp.float32)


def test_value_and_gradient_equal_the_formula():
  checks.assert_equal(plane_reads.mean, plane_reads.mean_plain, inputs())


def test_gradients_on_a_cpu_and_elsewhere_are_one():
  # More positions than a chunk has, and not a whole number of chunks.
  planes, positions = inputs(1, plane_reads._CHUNK + 3)
  (g,) = checks.normal((1, positions.shape[2], 4), seed=2)
  both = (plane_reads._to_planes_on_cpu, plane_reads._to_planes)
  exact = checks.wide(both[1], planes, positions, g)
  for function in both:
    assert checks.error(jax.jit(function)(planes, positions, g), exact) < 1e-6


def test_each_reads_linear_features_exactly():
  row, column = np.meshgrid(*(np.arange(8.0),) * 2, indexing='ij')
  plane = jnp.asarray(10 * column + row, jnp.float32)[None, None, :, :, None]
  planes = jnp.broadcast_to(plane, (1, 3, 8, 8, 1))
  positions = jnp.asarray([[[[1.25, 4.5], [0.0, 7.0]]] * 3])
  found = plane_reads.each(planes, positions)
  # Quarters and halves of small whole numbers: exact in float32.
  np.testing.assert_array_equal(found[0, :, :, 0], [[17.0, 7.0]] * 3)


@pytest.mark.parametrize('place', [-1.0, 4.0, 100.0])
def test_each_is_zero_outside_with_zero_gradient(place):
  planes = jnp.ones((1, 3, 4, 4, 2))
  total = lambda positions: plane_reads.each(planes, positions).sum()
  value, slope = jax.jit(jax.value_and_grad(total))(
    jnp.full((1, 3, 1, 2), place)
  )
  assert float(value) == 0
  np.testing.assert_array_equal(slope, np.zeros((1, 3, 1, 2)))


def test_nearest_takes_one_pixel():
  planes, positions = inputs()
  inside = jnp.clip(positions, 0, SIDE - 1)
  found = plane_reads.each(planes, inside, nearest=True)
  column, row = np.round(np.asarray(inside)).astype(int).transpose(3, 0, 1, 2)
  for b in range(2):
    for p in range(3):
      expected = np.asarray(planes)[b, p, row[b, p], column[b, p]]
      np.testing.assert_array_equal(found[b, p], expected)
