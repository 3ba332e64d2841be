"""The table of kinds: each is whole, and keeps its number."""

import importlib
import pathlib
import re

import numpy as np
import pytest

from maskjax.data.creatures import anatomy, kinds, sculpt, table, traits

# Data sets and trained networks hold the numbers of these.
_NUMBERED = (
  'tiger', 'lion', 'leopard', 'cat', 'fox', 'wolf', 'dog', 'bear', 'panda',
  'raccoon', 'elephant', 'hippo', 'rhinoceros', 'deer', 'koala', 'rabbit',
  'pig', 'cow', 'mouse', 'sheep', 'horse', 'zebra', 'rooster', 'gorilla',
  'monkey', 'frog', 'owl', 'eagle', 'parrot', 'penguin', 'crocodile', 'clown',
  'ogre', 'cartoon character', 'demon', 'pirate', 'dragon', 'unicorn', 'robot',
  'alien', 'skull',
)  # fmt: skip
_HEX = re.compile('#[0-9a-f]{6}')


def test_kinds_keep_their_numbers():
  assert tuple(table.KINDS)[: len(_NUMBERED)] == _NUMBERED


def test_every_file_of_kinds_is_in_the_table():
  rows = []
  for path in sorted(pathlib.Path(kinds.__file__).parent.glob('[a-z]*.py')):
    module = importlib.import_module(f'{kinds.__name__}.{path.stem}')
    rows += module.KINDS
  assert len(rows) == len(table.KINDS)
  assert {row.name for row in rows} == set(table.KINDS)
  assert len({row.model for row in rows}) == len(rows)


@pytest.mark.parametrize('name', table.KINDS)
def test_kinds_are_whole(name):
  kind = table.get(name)
  assert kind.names[0] == name
  for colors in (kind.palette, *kind.breeds):
    assert colors and all(_HEX.fullmatch(code) for code in colors.values())
  # Breeds and clashes speak of what is there.
  for breed in kind.breeds:
    assert breed.keys() <= kind.palette.keys()
  assert kind.clashes.keys() <= set(kind.names)
  for words in kind.clashes.values():
    assert words and set(words) <= set(traits.MODIFIERS)


@pytest.mark.parametrize('name', table.KINDS)
def test_mean_heads_have_eyes_and_mouth_on_their_surface(name):
  kind = table.get(name)
  head = kind.model(traits.mean(name, kind.palette))
  assert isinstance(head, anatomy.Head)
  assert {stroke.act for stroke in head.strokes} >= {'add', 'paint'}
  points = np.stack([head.eye, head.mouth])
  field, _ = sculpt.field_and_color(head.strokes, points)
  # An eye is a ball, its centre inside; the skull's lies in its socket.
  assert head.eye[0] > 1 and field[0] < 0.1
  assert head.mouth[0] == 0 and head.mouth[1] < head.eye[1]
  assert np.abs(field[1]) < 1.5


def test_unknown_kinds_are_named():
  with pytest.raises(ValueError, match="unknown kind 'griffin': use one of"):
    table.get('griffin')
