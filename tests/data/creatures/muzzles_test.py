"""Muzzles, beaks and horns: where they end, and what traits do to them."""

import dataclasses

import numpy as np
import pytest

from maskjax.data.creatures import muzzles, sculpt, solids, traits

_PALETTE = {
  'base': '#808080', 'light': '#c0c0c0', 'inner': '#c08080', 'beak': '#f0a820',
  'horn': '#e0d0b0',
}  # fmt: skip


@pytest.fixture(scope='module')
def mean():
  return traits.mean('cat', _PALETTE)


@pytest.fixture(scope='module')
def clay():
  return [sculpt.add(solids.ellipsoid((0, 0, 0), 6.0), np.ones(3))]


def _reach(strokes):
  """How far strokes that add reach to the front."""
  return max(s.solid.high[2] for s in strokes if s.act == 'add')


@pytest.mark.parametrize(
  'model',
  [
    lambda t: muzzles.cat_muzzle(t)[0],
    lambda t: muzzles.snout(t, 5.0)[0],
  ],
)
def test_muzzles_grow_with_their_factor(mean, model):
  long = dataclasses.replace(mean, muzzle=1.4)
  assert _reach(model(long)) > _reach(model(mean)) + 0.2


def test_the_nose_is_at_the_tip_of_the_snout(mean):
  strokes, tip = muzzles.snout(mean, 4.0, tip=1.5)
  field, _ = sculpt.field_and_color(strokes, np.float32([tip]))
  assert abs(field[0]) < 0.7
  np.testing.assert_allclose(tip[2], 5 + 4 + 0.62 * 1.5, atol=1e-5)


def test_mouths_open_with_gape(clay, mean):
  wide = dataclasses.replace(mean, gape=0.8)
  for model in (
    lambda t: muzzles.cat_mouth(t, clay, -2.0),
    lambda t: muzzles.snout_mouth(t, clay, -2.0, 2.0),
  ):
    assert 'carve' in {s.act for s in model(wide)}
    assert {s.act for s in model(mean)} == {'paint'}
  # Angry dogs show their fangs even so.
  angry = dataclasses.replace(mean, tilt=0.9)
  shown = muzzles.snout_mouth(angry, clay, -2.0, 2.0)
  assert 'add' in {s.act for s in shown}


def test_tusks_point_up_and_fangs_down(clay, mean):
  (fang,) = muzzles.tusks(clay, mean, 1.0, -2.0, 1.5)
  (tusk,) = muzzles.tusks(clay, mean, 1.0, -2.0, 1.5, up=True)
  assert fang.solid.low[1] < -3.4 and fang.solid.high[1] < -1.4
  assert tusk.solid.high[1] > -0.6 and tusk.solid.low[1] > -2.6


def test_beaks_and_horns_grow_from_their_base(mean):
  options = {'width': 1.0, 'height': 0.5}
  points = ((0, 0, 5), (0, 0, 9), (0, -2, 9))
  large = dataclasses.replace(mean, feature=1.5)
  small = muzzles.beak(mean, *points, **options)
  grown = muzzles.beak(large, *points, **options)
  assert len(small) == 3
  assert len(muzzles.beak(mean, *points, split=False, **options)) == 2
  np.testing.assert_allclose(
    _reach(grown) - 5, 1.5 * (_reach(small) - 5), rtol=0.2
  )
  (horn,) = muzzles.horns(large, ((2, 6, 0), (4, 10, 0)), (1.0, 0.2))
  np.testing.assert_allclose(horn.solid.high[1], 6 + 1.5 * 4 + 0.2, atol=1e-4)
  (ring,) = muzzles.horns(mean, ((2, 6, 0), (4, 10, 0)), (1, 0.2), bands=0.3)
  assert np.isclose(ring.solid.high[1], 10.2 + 0.3)


def test_teeth_hang_from_their_height(clay):
  body, gap = muzzles.buck_teeth(clay, -2.0, height=0.8)
  np.testing.assert_allclose(body.solid.high[1], -2 + 0.4, atol=1e-5)
  assert gap.act == 'paint' and gap.solid.low[0] < 0 < gap.solid.high[0]


def test_ears_at_the_sides_and_noses_in_the_middle(clay, mean):
  outer, _ = muzzles.side_ear(mean, (5, 3, 0), (11, 3, 0))
  assert outer.solid.high[0] > 11 and outer.solid.low[1] < 3
  large = dataclasses.replace(mean, nose=1.5)
  nose = muzzles.face_nose(mean, clay, -1.0, 1.0)
  assert _reach(muzzles.face_nose(large, clay, -1.0, 1.0)) > _reach(nose)
