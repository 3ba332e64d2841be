"""Tests of maskjax.geometry.chamfer."""

import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.geometry import chamfer, mesh as mesh_lib


def square(z=0.0, side=10.0, up=1):
  """Return a square in the plane z, facing +z (or -z)."""
  corners = np.array([[0, 0, z], [side, 0, z], [side, side, z], [0, side, z]])
  faces = np.array([[0, 1, 2], [0, 2, 3]])[:, ::up]
  return mesh_lib.Mesh(
    jnp.asarray(corners, jnp.float32), jnp.asarray(faces, jnp.int32)
  )


def join(*meshes):
  starts = np.cumsum([0] + [len(m.vertices) for m in meshes[:-1]])
  return mesh_lib.Mesh(
    jnp.concatenate([m.vertices for m in meshes]),
    jnp.concatenate([m.faces + int(s) for m, s in zip(meshes, starts)]),
  )


def rng():
  return np.random.default_rng(0)


def test_samples_are_even_by_area():
  uneven = join(square(side=1.0), square(z=5.0, side=3.0))
  points, normals = chamfer.sample_surface(uneven, 10_000, rng())
  # Stratified: the share of each square is exact to one sample.
  assert abs(np.sum(points[:, 2] < 1.0) - 1000) <= 2
  np.testing.assert_allclose(normals, [[0, 0, 1]] * 10_000, atol=1e-12)
  large = points[points[:, 2] > 1.0, :2]
  counts, _, _ = np.histogram2d(*large.T, bins=3, range=[[0, 3], [0, 3]])
  # 1,000 expected per cell, 5 standard deviations of a Poisson count.
  np.testing.assert_allclose(counts, 1000, atol=160)


def test_point_distance_agrees_with_all_pairs():
  first, second = rng().normal(size=(40, 3)), rng().normal(size=(50, 3)) + 0.3
  pairs = np.linalg.norm(first[:, None] - second[None], axis=-1)
  expected = 0.5 * (pairs.min(1).mean() + pairs.min(0).mean())
  np.testing.assert_allclose(chamfer.point_distance(first, second), expected)


def test_distance_of_parallel_squares():
  for gap in (1.0, 4.0):
    # 200 points per cm^2: sampling adds less than 0.1 % at these gaps.
    value = chamfer.distance(square(), square(gap))
    np.testing.assert_allclose(value, gap, rtol=2e-3)


def test_distance_is_symmetric_and_repeatable():
  first, second = square(), square(2.0, side=8.0)
  value = chamfer.distance(first, second)
  assert value == chamfer.distance(first, second)
  other = chamfer.distance(second, first)
  np.testing.assert_allclose(value, other, rtol=1e-2)


def test_the_same_surface_is_close_to_itself():
  spacing = np.sqrt(100.0 / 20_000)
  assert chamfer.distance(square(), square(), rng=rng()) < spacing


def test_surface_leaves_out_back_and_inside():
  shell = join(square(2.0), square(-3.0, up=-1))  # front, and a back
  inner = join(shell, square(-1.0))  # and something behind the front
  assert chamfer.distance(square(2.0), shell) > 1.0
  front = chamfer.distance(square(2.0), shell, surface='front')
  assert front < 0.1
  assert chamfer.distance(square(2.0), inner, surface='front') > 0.5
  assert chamfer.distance(square(2.0), inner, surface='visible') < 0.1


def test_bad_input():
  with pytest.raises(ValueError, match='expected one of'):
    chamfer.distance(square(), square(), surface='back')
  with pytest.raises(ValueError, match='turned away'):
    chamfer.distance(square(), square(up=-1), surface='front')
  with pytest.raises(ValueError, match='without'):
    chamfer.distance(square(side=0.0), square())
