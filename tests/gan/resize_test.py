"""Bilinear resizing against sums written out."""

import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.gan import resize

IMAGE = np.random.default_rng(0).normal(size=(1, 8, 8, 2)).astype(np.float32)


def tent(size, count):
  """Return the weights of an antialiased bilinear resize, [count, size]."""
  scale = size / count
  centre = (np.arange(count)[:, None] + 0.5) * scale - 0.5
  apart = np.abs(np.arange(size)[None] - centre) / max(scale, 1.0)
  weights = np.maximum(1 - apart, 0)
  return weights / weights.sum(1, keepdims=True)


@pytest.mark.parametrize('size', [4, (4, 8), 16, 5])
def test_resize_is_a_tent(size):
  rows, columns = (size, size) if isinstance(size, int) else size
  expected = np.einsum(
    'ih,jw,bhwc->bijc', tent(8, rows), tent(8, columns), IMAGE
  )
  found = resize.resize(jnp.asarray(IMAGE), size)
  np.testing.assert_allclose(found, expected, atol=1e-5)


def test_plain_interpolation_reads_two_neighbours():
  found = resize.resize(jnp.asarray(IMAGE), 4, antialias=False)
  rows = (IMAGE[:, ::2] + IMAGE[:, 1::2]) / 2
  expected = (rows[:, :, ::2] + rows[:, :, 1::2]) / 2
  np.testing.assert_allclose(found, expected, atol=1e-6)


def test_the_same_size_is_the_same_image():
  image = jnp.asarray(IMAGE)
  assert resize.resize(image, 8) is image


def test_a_number_mixes_both_ways():
  image = jnp.asarray(IMAGE)
  sharp, plain = (
    resize.resize_filtered(image, 3, method=method)
    for method in ('antialiased', 'none')
  )
  mixed = resize.resize_filtered(image, 3, method=0.25)
  np.testing.assert_allclose(mixed, 0.75 * plain + 0.25 * sharp, atol=1e-6)
  classic = resize.resize_filtered(
    jnp.full((1, 8, 8, 1), 0.5), 4, method='classic'
  )
  assert classic.shape == (1, 4, 4, 1)
  np.testing.assert_allclose(classic[:, 1:3, 1:3], 0.5, atol=1e-5)
  with pytest.raises(ValueError, match="resizing by 'best'"):
    resize.resize_filtered(image, 3, method='best')
