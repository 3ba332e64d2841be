"""Features sit on the surface of the head, where and how traits say."""

import dataclasses

import numpy as np
import pytest

from maskjax.data.creatures import anatomy, sculpt, solids, traits

_PALETTE = {
  'base': '#808080', 'light': '#c0c0c0', 'inner': '#c08080', 'iris': '#2f7fd0',
  'hair': '#402010', 'nose': '#202020',
}  # fmt: skip


@pytest.fixture(scope='module')
def mean():
  return traits.mean('cat', _PALETTE)


@pytest.fixture(scope='module')
def clay():
  """Return a ball of radius 6 around the origin."""
  return [sculpt.add(solids.ellipsoid((0, 0, 0), 6.0), np.ones(3))]


def _field(strokes, *points):
  return sculpt.field_and_color(strokes, np.float32(points))[0]


def test_points_of_the_surface_lie_on_it(clay):
  point = anatomy.surface(clay, 2.0, 3.0)
  # Within the step that the surface is looked for by.
  np.testing.assert_allclose(point, [2, 3, np.sqrt(23)], atol=0.11)
  out = anatomy.surface(clay, 2.0, 3.0, 0.5)
  np.testing.assert_allclose(out - point, [0, 0, 0.5], atol=1e-5)


def test_eyes_are_balls_sunk_into_the_surface(clay, mean):
  strokes, center = anatomy.eyes(clay, mean, 2.0, 1.0, 1.5)
  radius = 1.12 * 1.5
  front = anatomy.surface(clay, 2.0, 1.0)
  np.testing.assert_allclose(center, front - [0, 0, 0.55 * radius], atol=1e-5)
  assert _field(strokes, center)[0] < -0.9 * radius
  # The last stroke paints the ball, so that lids do not cover it.
  assert strokes[-1].act == 'add' and callable(strokes[-1].color)
  wide = dataclasses.replace(mean, spacing=1.3, eye=1.5)
  _, moved = anatomy.eyes(clay, wide, 2.0, 1.0, 1.5)
  assert np.isclose(moved[0], 2.6)


def test_old_eyes_have_bags(clay, mean):
  plain, _ = anatomy.eyes(clay, mean, 2.0, 1.0, 1.5)
  aged = dataclasses.replace(mean, age=0.9)
  old, _ = anatomy.eyes(clay, aged, 2.0, 1.0, 1.5)
  assert len(old) == len(plain) + 4
  assert [s.act for s in old[:4]] == ['paint'] * 4


def test_angry_brows_fall_toward_the_nose(clay, mean):
  def ends(tilt):
    head = dataclasses.replace(mean, tilt=tilt)
    (stroke,) = anatomy.brows(clay, head, 2.5, 2.0, arch=0.0)
    axes = np.arange(0.5, 6), np.arange(-4, 9, 0.1), np.arange(0, 12, 0.2)
    x, y, z = (a.ravel().astype(np.float32) for a in np.meshgrid(*axes))
    inside = stroke.solid.distance(x, y, z) < 0
    columns = np.unique(x[inside])
    return (y[inside & (x == c)].mean() for c in (columns[0], columns[-1]))

  for tilt in (1.0, -1.0):
    inner, outer = ends(tilt)
    assert (outer > inner) == (tilt > 0)


def test_brows_of_a_mood_are_left_out_of_a_calm_face(clay, mean):
  assert anatomy.mood_brows(clay, mean, 2.5, 2.0) == []
  angry = dataclasses.replace(mean, tilt=0.9)
  assert len(anatomy.mood_brows(clay, angry, 2.5, 2.0)) == 1


def test_smiles_lift_the_corners_of_a_mouth(mean):
  def height(smile, x):
    head = dataclasses.replace(mean, smile=smile)
    (stroke,) = anatomy.mouth_line(head, -3.0, 2.0, rest=0.0, curve=1.0)
    y = np.arange(-6, 0, 0.01, dtype=np.float32)
    inside = stroke.solid.distance(np.full_like(y, x), y, np.ones_like(y)) < 0
    return y[inside].mean()

  np.testing.assert_allclose(height(0.8, 0.0), -3.0, atol=0.02)
  np.testing.assert_allclose(height(0.8, 1.9), -3 + 0.8 * 0.95**2, atol=0.05)
  assert height(-0.8, 1.9) < -3.5


def test_an_open_mouth_is_a_hollow_with_teeth(clay, mean):
  strokes = anatomy.mouth_open(clay, mean, -2.0, 2.0, 1.0, fangs=0.8)
  assert [s.act for s in strokes] == ['carve', 'add']
  hole = anatomy.surface(clay, 0.0, -2.0, -0.6)
  before, after = _field(clay, hole), _field([*clay, *strokes], hole)
  assert before[0] < 0 < after[0]


def test_ears_grow_with_their_factor(mean):
  large = dataclasses.replace(mean, ear=1.5)

  def top(head):
    ear = anatomy.pointed_ear(head, (4, 4, 0), (6, 9, 0), 2.0)[0]
    return ear.solid.high[1]

  assert top(large) > top(mean) + 2
  outer, cup = anatomy.round_ear(mean, (5, 5, 0), 2.0)
  assert (outer.act, cup.act) == ('add', 'carve')
  np.testing.assert_allclose(outer.solid.distance(*np.float32([[5], [7], [0]])),
                             0, atol=1e-4)  # fmt: skip


def test_roles_and_colours_paint_alike(mean):
  ball = anatomy.ball(mean, (0, 0, 0), 1.0, 'light')
  np.testing.assert_array_equal(ball.color, mean.colors['light'])
  red = np.float32([1, 0, 0])
  assert anatomy.dab(mean, (0, 0, 0), 1.0, red).color is red
  assert anatomy.dab(mean, (0, 0, 0), 1.0, 'hair').act == 'paint'


def test_pads_have_nostrils_darker_than_themselves(mean):
  body, hole = anatomy.pad(mean, (0, 0, 5), (1, 1, 1))
  assert hole.act == 'paint' and hole.color.max() < body.color.max()
  carved = anatomy.nostrils([body], 0.4, 0.0, 0.2)
  assert carved[0].act == 'carve'
