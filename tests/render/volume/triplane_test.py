import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.kernels import plane_reads
from maskjax.render.volume import triplane


def sample(planes, points, *, box=1.0, plane_axes='eg3d'):
  """Read each plane by its own, corner by corner."""
  positions = triplane.plane_positions(
    points, planes.shape[2], box=box, plane_axes=plane_axes
  )
  return plane_reads.each(planes, positions)


def test_linear_features_are_read_exactly():
  # Plane values are 10 column + row; between pixel centres they are linear.
  side = 8
  row, column = np.meshgrid(np.arange(side), np.arange(side), indexing='ij')
  plane = (10 * column + row).astype(np.float32)
  planes = jnp.asarray(
    np.broadcast_to(plane[None, None, :, :, None], (1, 3, 8, 8, 1))
  )
  points = np.array([[[0.1, -0.2, 0.3], [0.0, 0.25, -0.4]]], np.float32)
  for name, pairs in triplane.PLANE_AXES.items():
    read = functools.partial(sample, plane_axes=name)
    ours = np.asarray(jax.jit(read)(planes, points))
    for i, (first, second) in enumerate(pairs):
      at = lambda axis: (2 * points[0, :, axis] + 1) * side / 2 - 0.5
      expected = 10 * at(first) + at(second)
      np.testing.assert_allclose(ours[0, i, :, 0], expected, atol=1e-4)


def test_outside_is_zero_with_zero_gradient():
  planes = jnp.ones((1, 3, 4, 4, 2))
  points = jnp.array([[[0.9, 0.9, 0.9]]])
  total = lambda p: sample(planes, p).sum()
  value, slope = jax.jit(jax.value_and_grad(total))(points)
  assert float(value) == 0
  np.testing.assert_array_equal(slope, np.zeros((1, 1, 3)))


def test_height_enters_the_released_layout_by_the_front_plane_alone():
  planes = jax.random.normal(jax.random.key(0), (1, 3, 8, 8, 2))
  points = jnp.array([[[0.12, 0.07, -0.21]]])

  def slope(name):
    read = functools.partial(sample, planes, plane_axes=name)
    by_height = jax.jit(jax.jacfwd(read))(points)
    return np.asarray(by_height)[0, :, 0, :, 0, 0, 1]

  assert np.abs(slope('eg3d')[1:]).max() == 0
  assert np.abs(slope('fixed')[2]).max() > 0


def test_unknown_axes_are_an_error(unchecked):
  del unchecked
  with pytest.raises(ValueError, match='plane_axes'):
    triplane.project(jnp.zeros((1, 1, 3)), 'zyx')


def test_mean_features_is_the_mean_of_samples():
  planes = jax.random.normal(jax.random.key(3), (2, 3, 6, 6, 4))
  # Some of the points lie outside of the planes, on the fading border or far.
  points = jax.random.uniform(jax.random.key(4), (2, 50, 3), minval=-1.0)
  weights = jax.random.normal(jax.random.key(5), (2, 50, 4))

  def total(read, planes, points):
    return (read(planes, points, box=1.4) * weights).sum()

  plain = lambda *x, **options: sample(*x, **options).mean(1)
  expected, found = (
    jax.jit(jax.value_and_grad(functools.partial(total, read), (0, 1)))(
      planes, points
    )
    for read in (plain, triplane.mean_features)
  )
  np.testing.assert_allclose(found[0], expected[0], rtol=1e-5)
  for slope, expected_slope in zip(found[1], expected[1]):
    np.testing.assert_allclose(slope, expected_slope, atol=2e-5)
