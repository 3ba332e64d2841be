"""The picture of the house shows every room, and the page names it."""

import pathlib
import re
import xml.etree.ElementTree as ET

from docs import draw_architecture
from tests import architecture_test as house

_PAGE = pathlib.Path(__file__).parents[2] / 'docs' / 'architecture.md'
_ROOMS = [room for rooms in house.FLOORS for room in rooms]


def _texts(picture):
  return [
    e.text for e in ET.fromstring(picture).iter() if e.tag.endswith('text')
  ]


def test_arrows_that_follow_from_others_are_left_out():
  pairs = {('a', 'b'), ('b', 'c'), ('a', 'c'), ('a', 'd'), ('c', 'd')}
  assert draw_architecture.reduced(pairs) == [
    ('a', 'b'),
    ('b', 'c'),
    ('c', 'd'),
  ]


def test_picture_shows_every_room_and_is_the_same_again():
  picture = draw_architecture.draw()
  assert picture == draw_architecture.draw()
  assert {room.replace('.', '/') for room in _ROOMS} <= set(_texts(picture))


def test_every_room_says_what_it_is_for_and_lines_are_counted_once():
  rooms = [draw_architecture.room(name) for name in _ROOMS]
  assert not [room.name for room in rooms if not room.sentence.endswith('.')]
  root = _PAGE.parents[1]
  files = [
    path
    for folder in ('maskjax', 'experiments', 'configs', 'benchmarks')
    for path in (root / folder).rglob('*.py')
    if path.name not in ('__init__.py', '__main__.py')
  ]
  assert sum(room.modules for room in rooms) == len(files)
  lines = sum(len(p.read_text('utf-8').splitlines()) for p in files)
  assert sum(room.lines for room in rooms) == lines


def test_page_names_every_room_and_no_other():
  table = _PAGE.read_text('utf-8').split('## Floors')[1].split('\n## ')[0]
  named = re.findall(r'^\| `([a-z_/]+)/` \|', table, flags=re.MULTILINE)
  assert sorted(named) == sorted(room.replace('.', '/') for room in _ROOMS)
