"""Bilinear reads against one corner after the other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.kernels import bilinear
from tests.kernels import checks

SIZE = (5, 7)


def inputs():
  (images,) = checks.normal((2, *SIZE, 3))
  # Some of the positions lie on the fading border or far outside.
  rng = np.random.default_rng(1)
  positions = rng.uniform((-4, -4), (SIZE[1] + 3, SIZE[0] + 3), (2, 60, 2))
  return images, jnp.asarray(positions, jnp.float32)


def test_value_and_gradient_equal_the_formula():
  checks.assert_equal(bilinear.read, bilinear.read_plain, inputs())


@pytest.mark.parametrize('read', [bilinear.read, bilinear.read_plain])
def test_linear_values_are_read_exactly(read):
  row, column = np.meshgrid(*(np.arange(8.0),) * 2, indexing='ij')
  image = jnp.asarray(10 * column + row, jnp.float32)[None, :, :, None]
  found = read(image, jnp.asarray([[[1.25, 4.5], [0.0, 7.0], [7.0, 0.0]]]))
  # Quarters and halves of small whole numbers: exact in float32.
  np.testing.assert_array_equal(found[0, :, 0], [17.0, 7.0, 70.0])


@pytest.mark.parametrize('read', [bilinear.read, bilinear.read_plain])
@pytest.mark.parametrize('place', [-1.0, 4.0, 100.0])
def test_outside_is_zero_with_zero_gradient(read, place):
  total = lambda positions: read(jnp.ones((1, 4, 4, 2)), positions).sum()
  positions = jnp.full((1, 1, 2), place)
  value, slope = jax.jit(jax.value_and_grad(total))(positions)
  assert float(value) == 0
  np.testing.assert_array_equal(slope, np.zeros((1, 1, 2)))


def test_nearest_takes_one_pixel():
  images, positions = inputs()
  inside = jnp.clip(
    positions, 0, jnp.asarray([SIZE[1] - 1, SIZE[0] - 1])[None, None]
  )
  found = bilinear.read_plain(images, inside, nearest=True)
  column, row = np.round(np.asarray(inside)).astype(int).transpose(2, 0, 1)
  for b in range(2):
    np.testing.assert_array_equal(
      found[b], np.asarray(images)[b, row[b], column[b]]
    )
