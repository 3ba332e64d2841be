"""Draw the house: docs/architecture.svg, from what the files import.

  python -m docs.draw_architecture

Floors and rooms are those of tests/architecture_test.py, their sentences the
docstrings of the rooms, lines and arrows what stands in the files. Equal code
gives an equal picture.
"""

import ast
import functools
import html
import itertools
import pathlib
import textwrap
from typing import NamedTuple

from tests import architecture_test as house

_ROOT = pathlib.Path(__file__).parents[1]
OUT = _ROOT / 'docs' / 'architecture.svg'

# Pixels of the picture.
_WIDTH, _LEFT, _RIGHT, _TOP = 1320, 124, 20, 62
_BOX, _GAP, _BETWEEN, _PAD = 112, 16, 58, 14
_WIDEST = 250
_FONT = "Helvetica, Arial, 'DejaVu Sans', sans-serif"
_INK, _MUTED = '#1f2937', '#6b7280'
# Of each floor from the top: its name and its colour.
_FLOORS = (
  ('command lines', '#475569'),
  ('products', '#b4436c'),
  ('trained here', '#c2701c'),
  ('data, measures', '#8a7a12'),
  ('engines', '#2f7d4f'),
  ('ground', '#2563a8'),
)


class Room(NamedTuple):
  """A room as it is drawn.

  Attributes:
    name: dotted, 'render.mesh'.
    sentence: what it is for.
    modules: how many files of code it has.
    lines: of all of them.
  """

  name: str
  sentence: str
  modules: int
  lines: int


class Box(NamedTuple):
  """Where a room stands, in pixels: left, top, width; and its floor."""

  x: float
  y: float
  width: float
  floor: int


def _folder(name: str) -> pathlib.Path:
  top = _ROOT if name in house.FLOORS[0] else _ROOT / 'maskjax'
  return top.joinpath(*name.split('.'))


def _files(name: str) -> list[pathlib.Path]:
  """Return the modules of a room, without those of the rooms in it."""
  found = sorted(_folder(name).rglob('*.py'))
  found = [path for path in found if path.name != '__init__.py']
  if name in house.FLOORS[0]:
    return found
  inside = (_ROOT / 'maskjax').joinpath
  return [
    path
    for path in found
    if house.room_of('.'.join(path.relative_to(inside()).with_suffix('').parts))
    == name
  ]


def room(name: str) -> Room:
  """Return a room by its dotted name."""
  first = (_folder(name) / '__init__.py').read_text(encoding='utf-8')
  files = _files(name)
  return Room(
    name=name,
    sentence=(ast.get_docstring(ast.parse(first)) or '').split('\n')[0],
    modules=len(files),
    lines=sum(len(path.read_text('utf-8').splitlines()) for path in files),
  )


def reduced(pairs: set[tuple[str, str]]) -> list[tuple[str, str]]:
  """Return the arrows that do not follow from others, sorted.

  Args:
    pairs: who imports whom, without a circle.
  """
  after: dict[str, set[str]] = {}
  for a, b in pairs:
    after.setdefault(a, set()).add(b)

  @functools.cache
  def below(a: str) -> frozenset[str]:
    direct = after.get(a, set())
    return frozenset(direct.union(*(below(b) for b in direct)))

  return sorted(
    (a, b) for a, b in pairs if not any(b in below(c) for c in after[a] - {b})
  )


def _width(count: int) -> float:
  room_for = _WIDTH - _LEFT - _RIGHT - 2 * _PAD - (count - 1) * _GAP
  return min(_WIDEST, room_for / count)


def _centers(count: int) -> list[float]:
  """Return the middle of each box of a floor, centred in the picture."""
  middle, step = (_LEFT + _WIDTH - _RIGHT) / 2, _width(count) + _GAP
  return [middle + (i - (count - 1) / 2) * step for i in range(count)]


def _order(pairs: list[tuple[str, str]]) -> list[list[str]]:
  """Return the rooms of each floor, so that arrows are short.

  Floor by floor, the best order is tried out while the others stand; two
  sweeps suffice. Ties go to the order of the table.
  """
  floors = [list(rooms) for rooms in house.FLOORS]
  for i in [*range(1, len(floors)), *reversed(range(1, len(floors)))] * 2:
    at = {r: x for f in floors for r, x in zip(f, _centers(len(f)))}
    centers = _centers(len(floors[i]))
    step = _width(len(floors[i])) + 2 * _GAP
    ends = [(a, b) for a, b in pairs if a in floors[i] or b in floors[i]]

    def length(order, at=at, centers=centers, ends=ends, step=step):
      now = at | dict(zip(order, centers))
      far = centers[-1] - centers[0]
      total = 0.0
      for a, b in ends:
        # Neighbours stand side by side if they can.
        apart = a in order and b in order and abs(now[a] - now[b]) > step
        total += abs(now[a] - now[b]) + far * apart
      return round(total)

    floors[i] = list(min(itertools.permutations(floors[i]), key=length))
  return floors


def _boxes(floors: list[list[str]]) -> dict[str, Box]:
  found = {}
  for i, rooms in enumerate(floors):
    width = _width(len(rooms))
    for name, x in zip(rooms, _centers(len(rooms))):
      y = _TOP + i * (_BOX + _BETWEEN)
      found[name] = Box(x - width / 2, y, width, i)
  return found


def _text(x, y, words, size, color, *, weight='normal', anchor='start') -> str:
  return (
    f'<text x="{x:.0f}" y="{y:.0f}" font-size="{size}" fill="{color}" '
    f'font-weight="{weight}" text-anchor="{anchor}">{html.escape(words)}</text>'
  )


def _band(i: int) -> str:
  """Return the stripe of a floor and its name."""
  name, color = _FLOORS[i]
  y, height = _TOP + i * (_BOX + _BETWEEN) - _PAD, _BOX + 2 * _PAD
  width = _WIDTH - _LEFT - _RIGHT
  return (
    f'<rect x="{_LEFT}" y="{y}" width="{width}" height="{height}" rx="12" '
    f'fill="{color}" opacity="0.09"/>'
    + _text(
      _LEFT - 12,
      y + height / 2 - 2,
      f'floor {len(_FLOORS) - i}',
      15,
      color,
      weight='bold',
      anchor='end',
    )
    + _text(_LEFT - 12, y + height / 2 + 16, name, 12, _MUTED, anchor='end')
  )


def _drawn_room(box: Box, this: Room, longest: int) -> str:
  """Return a box with name, sentence, size, and a bar as long as its code."""
  color = _FLOORS[box.floor][1]
  bar = max(2.0, (box.width - 20) * this.lines / longest)
  letters = int((box.width - 20) / 5.9)
  parts = [
    f'<rect x="{box.x:.1f}" y="{box.y}" width="{box.width:.1f}" '
    f'height="{_BOX}" rx="8" fill="#ffffff" stroke="{color}" '
    'stroke-width="1.3"/>',
    _text(
      box.x + 10,
      box.y + 22,
      this.name.replace('.', '/'),
      15,
      color,
      weight='bold',
    ),
  ]
  sentence = textwrap.wrap(this.sentence.rstrip('.'), letters)
  parts += [
    _text(box.x + 10, box.y + 40 + 14 * i, line, 11, _INK)
    for i, line in enumerate(sentence)
  ]
  files = '1 file' if this.modules == 1 else f'{this.modules} files'
  count = f'{files}, {this.lines:,} lines'
  parts += [
    _text(box.x + 10, box.y + _BOX - 13, count, 10, _MUTED),
    f'<rect x="{box.x + 10:.1f}" y="{box.y + _BOX - 8}" width="{bar:.1f}" '
    f'height="3" rx="1.5" fill="{color}" opacity="0.55"/>',
  ]
  return ''.join(parts)


def _ports(pairs, boxes, end: int) -> dict[tuple[str, str], float]:
  """Return where arrows leave (end 0) or meet (end 1) the edge of a box."""
  found = {}
  for name, box in boxes.items():
    mine = [pair for pair in pairs if pair[end] == name]
    mine.sort(key=lambda p: (boxes[p[1 - end]].x, boxes[p[1 - end]].floor))
    for i, pair in enumerate(mine):
      found[pair] = box.x + box.width * (i + 1) / (len(mine) + 1)
  return found


def _curve(points: str, color: str) -> str:
  return (
    f'<path d="{points}" fill="none" stroke="{color}" stroke-width="1.7" '
    f'opacity="0.75" marker-end="url(#{color[1:]})"/>'
  )


def _beside(a: Box, b: Box) -> str:
  """Return an arrow to the next box, or around below to one further off."""
  color = _FLOORS[a.floor][1]
  right = a.x < b.x
  if abs(a.x - b.x) < a.width + 2 * _GAP:
    x0, x1 = (a.x + a.width, b.x - 2) if right else (a.x, b.x + b.width + 2)
    y = a.y + _BOX / 2
    return _curve(f'M{x0:.1f} {y:.1f}L{x1:.1f} {y:.1f}', color)
  # From the near corner of the one to the near corner of the other.
  x0, x1 = (a.x + a.width, b.x) if right else (a.x, b.x + b.width)
  inward = 14 if right else -14
  x0, x1 = x0 - inward, x1 + inward
  y, sag = a.y + _BOX, a.y + _BOX + 30
  return _curve(
    f'M{x0:.1f} {y}C{x0:.1f} {sag},{x1:.1f} {sag},{x1:.1f} {y + 2}', color
  )


def _gaps(floor: int, boxes: dict[str, Box]) -> list[float]:
  """Return where an arrow can pass a floor: between boxes and outside."""
  mine = sorted(box for box in boxes.values() if box.floor == floor)
  between = [box.x + box.width + _GAP / 2 for box in mine]
  return [mine[0].x - _GAP / 2, *between]


class _Route(NamedTuple):
  """An arrow that goes down, and the gaps it passes: (floor, x of a gap)."""

  pair: tuple[str, str]
  passed: tuple[tuple[int, float], ...]


def _route(pair, boxes, start: float, end: float) -> _Route:
  """Return the gaps that lie nearest to the straight line."""
  a, b = boxes[pair[0]], boxes[pair[1]]
  passed = []
  for floor in range(a.floor + 1, b.floor):
    straight = start + (end - start) * (floor - a.floor) / (b.floor - a.floor)
    gaps = _gaps(floor, boxes)
    passed.append((floor, min(gaps, key=lambda x: abs(x - straight))))
  return _Route(pair, tuple(passed))


def _down(route: _Route, boxes, start: float, end: float, lanes) -> str:
  """Return an arrow to a floor below, through the gaps of those between.

  Args:
    route: whence, whither and the gaps passed.
    boxes: where rooms stand.
    start: x at the lower edge of the first.
    end: x at the upper edge of the last.
    lanes: the routes that share each gap, which it shows side by side.
  """
  a, b = boxes[route.pair[0]], boxes[route.pair[1]]
  stops = [(start, a.y + _BOX, a.y + _BOX)]
  for floor, x in route.passed:
    sharing = lanes[floor, x]
    x += 5 * (sharing.index(route.pair) - (len(sharing) - 1) / 2)
    top = _TOP + floor * (_BOX + _BETWEEN)
    stops.append((x, top, top + _BOX))
  stops.append((end, b.y - 2, b.y - 2))
  path = f'M{start:.1f} {a.y + _BOX}'
  for (x0, _, y0), (x1, y1, leave) in itertools.pairwise(stops):
    middle = (y0 + y1) / 2
    path += f'C{x0:.1f} {middle},{x1:.1f} {middle},{x1:.1f} {y1}'
    if leave != y1:
      path += f'V{leave}'
  return _curve(path, _FLOORS[a.floor][1])


def _arrows(pairs, boxes: dict[str, Box]) -> list[str]:
  beside = [(a, b) for a, b in pairs if boxes[a].floor == boxes[b].floor]
  pairs = [pair for pair in pairs if pair not in beside]
  starts, ends = _ports(pairs, boxes, 0), _ports(pairs, boxes, 1)
  routes = [_route(pair, boxes, starts[pair], ends[pair]) for pair in pairs]
  lanes: dict[tuple[int, float], list[tuple[str, str]]] = {}
  for route in sorted(routes, key=lambda r: starts[r.pair]):
    for gap in route.passed:
      lanes.setdefault(gap, []).append(route.pair)
  return [
    *(_down(r, boxes, starts[r.pair], ends[r.pair], lanes) for r in routes),
    *(_beside(boxes[a], boxes[b]) for a, b in beside),
  ]


def _defs() -> str:
  heads = ''.join(
    f'<marker id="{color[1:]}" viewBox="0 0 8 8" refX="6" refY="4" '
    'markerWidth="6" markerHeight="6" orient="auto">'
    f'<path d="M0 0L8 4L0 8z" fill="{color}"/></marker>'
    for _, color in _FLOORS
  )
  return f'<defs>{heads}</defs>'


def _ground(y: float) -> str:
  width = _WIDTH - _LEFT - _RIGHT
  words = (
    "third_party/: other people's data, each with origin, licence and the "
    'script that builds it.   maskjax/assets/: the models trained here.'
  )
  return (
    f'<rect x="{_LEFT}" y="{y}" width="{width}" height="34" rx="8" '
    f'fill="{_MUTED}" opacity="0.14"/>'
    + _text(
      _LEFT - 12, y + 22, 'floor 0', 15, _MUTED, weight='bold', anchor='end'
    )
    + _text(
      (_LEFT + _WIDTH - _RIGHT) / 2, y + 21, words, 12, _INK, anchor='middle'
    )
  )


def draw() -> str:
  """Return the picture, SVG."""
  downward = {(a, b) for a, b in house.arrows() if (a, b) not in house.DEBTS}
  pairs = reduced(downward)
  floors = _order(pairs)
  boxes = _boxes(floors)
  rooms = {name: room(name) for name in boxes}
  longest = max(each.lines for each in rooms.values())
  ground = _TOP + len(floors) * (_BOX + _BETWEEN) - _BETWEEN + _PAD + 12
  height = ground + 50
  total = sum(each.lines for each in rooms.values())
  title = (
    f'{len(rooms)} rooms, {total:,} lines. An arrow says "imports"; '
    'one that follows from others is left out. The command lines may import '
    'every room.'
  )
  return '\n'.join(
    [
      f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" '
      f'height="{height}" viewBox="0 0 {_WIDTH} {height}" '
      f'font-family="{_FONT}">',
      _defs(),
      f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
      _text(_LEFT, 30, 'The house of maskjax', 20, _INK, weight='bold'),
      _text(_WIDTH - _RIGHT, 30, title, 12, _MUTED, anchor='end'),
      *(_band(i) for i in range(len(floors))),
      *_arrows(pairs, boxes),
      *(_drawn_room(boxes[name], rooms[name], longest) for name in boxes),
      _ground(ground),
      '</svg>\n',
    ]
  )


if __name__ == '__main__':
  OUT.write_text(draw(), encoding='utf-8')
  print(OUT)
