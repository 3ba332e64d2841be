"""Words for people tell what holds of them, and nothing else."""

import dataclasses

import numpy as np
import pytest

from maskjax.data.people import people, words


@pytest.fixture
def plain():
  """Return a young woman with short brown hair and nothing else to tell."""
  drawn = people.sample_person(np.random.default_rng(0))
  skin = drawn.skin._replace(
    beard=0.0, moustache=0.0, freckles=0.0, lipstick=0.0, eyeshadow=0.0,
    liner=0.0, tone=0.4,
  )  # fmt: skip
  return dataclasses.replace(
    drawn,
    male=0.1,
    age=0.5,
    weight=0.5,
    skin=skin,
    hair=dataclasses.replace(drawn.hair, cut='short'),
    hair_color='brown',
    eye_color='grey',
    wear=dataclasses.replace(drawn.wear, glasses='', hat='', earrings=0.0),
    expression='neutral',
    units={},
  )


def _holding(person):
  told = words.attributes(person)
  assert tuple(told) == words.ATTRIBUTES
  return {name for name, holds in told.items() if holds}


def test_a_plain_person(plain):
  assert _holding(plain) == {'young', 'short hair', 'brown hair', 'blue eyes'}
  assert words.describe(plain) == 'a young woman with short brown hair'


@pytest.mark.parametrize(
  ('age', 'male', 'noun'),
  [
    (0.3, 0.9, 'a boy'), (0.3, 0.1, 'a girl'), (0.9, 0.9, 'an old man'),
    (0.65, 0.1, 'a woman'),
  ],
)  # fmt: skip
def test_age_and_sex_choose_the_noun(plain, age, male, noun):
  person = dataclasses.replace(plain, age=age, male=male)
  assert words.describe(person).startswith(f'{noun} with ')


def test_everything_worn_is_listed(plain):
  wear = dataclasses.replace(
    plain.wear, glasses='sunglasses', hat='cap', earrings=0.3
  )
  person = dataclasses.replace(
    plain,
    wear=wear,
    expression='smiling with teeth',
    hair=dataclasses.replace(plain.hair, cut='ponytail'),
    skin=plain.skin._replace(freckles=0.5, lipstick=0.8),
  )
  assert words.describe(person) == (
    'a smiling young woman with a brown ponytail, freckles, sunglasses, a cap,'
    ' earrings and lipstick'
  )
  assert _holding(person) >= {'glasses', 'sunglasses', 'hat', 'tied hair'}


def test_beards_by_their_thickness(plain):
  man = dataclasses.replace(plain, male=0.9)
  for beard, word in ((0.9, 'beard'), (0.3, 'stubble')):
    person = dataclasses.replace(man, skin=man.skin._replace(beard=beard))
    assert word in _holding(person) and word in words.describe(person)
  bald = dataclasses.replace(man.hair, cut='bald')
  told = _holding(dataclasses.replace(man, hair=bald))
  assert 'bald' in told and 'brown hair' not in told


def test_expressions_by_their_units(plain):
  units = {
    'mouthSmileLeft': 0.5, 'jawOpen': 0.2, 'eyeBlinkLeft': 1.0,
    'eyeBlinkRight': 1.0, 'browDownLeft': 0.8,
  }  # fmt: skip
  told = _holding(dataclasses.replace(plain, units=units))
  assert told >= {'smiling', 'mouth open', 'eyes closed', 'frowning'}
  # A wink closes no eyes.
  wink = dataclasses.replace(plain, units={'eyeBlinkLeft': 1.0})
  assert 'eyes closed' not in _holding(wink)
