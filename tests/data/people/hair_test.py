"""Cuts of hair on a ball: outside of it, as long as asked, the same again."""

import dataclasses

import numpy as np
import pytest

from maskjax.data.people import hair as hair_lib, head_model, heads


@pytest.fixture(scope='module')
def scalp():
  """Return the skin of the mean head, which is its own rest."""
  vertices, model = head_model.rest(), head_model.load()
  zeros = np.zeros(len(vertices))
  table = heads._Table(
    vertices=vertices,
    normals=head_model.vertex_normals(vertices, model.faces),
    tangents=0 * vertices,
    coordinates=vertices,
    materials=zeros,
    cavity=zeros,
  )
  return heads._scalp(table)


def _grow(scalp, cut, **changes):
  options = {'length': 8.0, 'wave': 0.2, 'curl': 0.1, 'seed': 3} | changes
  return hair_lib.grow(hair_lib.Hair(cut=cut, **options), scalp)


def test_the_hairline_is_above_the_brows_and_recedes_in_front():
  brow, crown, nape = [0.0, 4.5, 5.5], [0.0, 12.0, -4.0], [0.0, 3.0, -13.0]
  rest = np.array([brow, crown, nape])
  height = hair_lib.height_above_hairline(rest, 0.0)
  assert height[0] < 0 < height[1] and height[2] > 0
  receded = hair_lib.height_above_hairline(rest, 2.0)
  np.testing.assert_allclose(height - receded, [2, 2, 0], atol=1e-5)


@pytest.mark.parametrize('cut', ['short', 'long', 'bun', 'afro'])
def test_locks_grow_from_the_scalp_and_stay_outside(scalp, cut):
  locks = _grow(scalp, cut)
  roots = locks.vertices[locks.coordinates[:, 0] == 0]
  gaps = np.linalg.norm(roots[:300, None] - scalp.vertices[None, ::2], axis=-1)
  assert np.median(gaps.min(1)) < 1.0
  # Points of locks lie over the nearest vertex of the skin, not below it.
  some = locks.vertices[::97]
  near = np.linalg.norm(some[:, None] - scalp.vertices[None], axis=-1).argmin(1)
  height = np.sum((some - scalp.vertices[near]) * scalp.normals[near], -1)
  assert np.mean(height > -0.5) > 0.98


def test_hair_is_a_function_of_its_numbers(scalp):
  first, again = _grow(scalp, 'curly'), _grow(scalp, 'curly')
  for a, b in zip(first, again):
    np.testing.assert_array_equal(a, b)
  assert np.any(_grow(scalp, 'curly', seed=4).vertices != first.vertices)


def test_longer_hair_hangs_lower(scalp):
  short, long = (
    _grow(scalp, 'long', length=n).vertices[:, 1].min() for n in (10.0, 30.0)
  )
  assert long < short - 10


def test_thick_locks_are_wider(scalp):
  hair = hair_lib.Hair(cut='short', seed=3)
  thin, thick = (hair_lib.grow(hair, scalp, thick=t) for t in (1.0, 2.0))

  def width(locks):
    pairs = locks.vertices.reshape(-1, 2, 3)
    return np.linalg.norm(pairs[:, 1] - pairs[:, 0], axis=-1)

  np.testing.assert_allclose(width(thick), 2 * width(thin), rtol=1e-9)


def test_bald_heads_have_none_and_unknown_cuts_are_named(scalp):
  assert _grow(scalp, 'bald') is None and _grow(scalp, 'buzz cut') is None
  with pytest.raises(ValueError, match="unknown cut 'mullet': use one of"):
    hair_lib.grow(dataclasses.replace(hair_lib.Hair(), cut='mullet'), scalp)
