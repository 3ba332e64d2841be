"""People drawn at random: whole, alike again, as often as they should be."""

import dataclasses

import numpy as np
import pytest

from maskjax.data.people import (
  hair as hair_lib,
  head_model,
  people,
  wardrobe,
)


@pytest.fixture(scope='module')
def crowd():
  return [
    people.sample_person(np.random.default_rng([5, i])) for i in range(80)
  ]


def test_axes_of_shape_have_two_ends():
  axes = people.shape_axes()
  names = head_model.load().names
  assert len(axes) > 50
  for axis, (lower, upper) in axes.items():
    assert lower and upper and not set(lower) & set(upper), axis
    assert all(name in names for name in (*lower, *upper))
  # Left and right are one axis.
  assert not any('/l-' in axis or '/r-' in axis for axis in axes)


def test_numbers_are_within_their_ranges(crowd):
  names = head_model.load().names
  for person in crowd:
    assert sum(person.regions.values()) == pytest.approx(1)
    for value in (person.male, person.age, person.muscle, person.weight):
      assert 0 <= value <= 1
    assert person.shape.keys() <= set(names)
    assert max(person.shape.values()) <= 1.3
    assert person.hair.cut in hair_lib.CUTS
    assert person.wear.glasses in ('', *wardrobe.FRAMES)
    assert all(0 <= c <= 0.95 for c in (*person.iris, *person.wear.cloth))
    assert person.hair_color in people.HAIR_COLORS
    assert person.eye_color in people.EYE_COLORS


def test_what_does_not_go_together_is_not_drawn(crowd):
  for person in crowd:
    child = person.age <= 0.36
    if person.male < 0.5 or child:
      assert person.skin.beard == person.skin.moustache == 0
    if person.male >= 0.5 or child:
      assert person.skin.lipstick == person.skin.blush == 0
    if person.age < 0.62:
      assert person.hair_color not in ('grey', 'white')
  assert any(p.skin.beard > 0.5 for p in crowd)
  assert any(p.skin.lipstick > 0.3 for p in crowd)


def test_the_same_numbers_give_the_same_person(crowd):
  again = people.sample_person(np.random.default_rng([5, 7]))
  assert again == crowd[7] != crowd[8]
  named = people.sample_person(np.random.default_rng([5, 7]), identity=42)
  assert named == dataclasses.replace(again, identity=42)


def test_faces_differ_as_strongly_as_asked():
  def size(strength):
    rng = np.random.default_rng(3)
    drawn = people.sample_person(rng, strength=strength)
    axes = people.shape_axes()
    names = {n for pair in axes.values() for side in pair for n in side}
    return sum(v for n, v in drawn.shape.items() if n in names)

  assert size(0.0) == 0
  assert 0.4 < size(0.5) / size(1.0) < 0.6
