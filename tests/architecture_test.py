"""The house: who may import whom, and that each module has its test.

A room is a folder of maskjax/ or, where a folder holds rooms of its own, one
of those. It imports from floors below; arrows between rooms of one floor are
listed, and nothing points up.
"""

import ast
import pathlib

import pytest

_ROOT = pathlib.Path(__file__).parents[1]

# From the top down.
FLOORS = (
  ('experiments', 'configs', 'benchmarks'),
  ('mask', 'avatar', 'fitting', 'wear'),
  ('prior', 'matcher', 'people_gan'),
  (
    'data',
    'data.creatures',
    'data.people',
    'data.styles',
    'face',
    'evaluation',
    'parity',
  ),
  ('diffusion', 'gan', 'render', 'render.mesh', 'render.volume', 'studio'),
  ('geometry', 'weights', 'training', 'kernels'),
)
# Arrows within a floor; each says what it is for.
PEERS = {
  ('prior', 'matcher'): 'samples are judged by the matcher',
  ('data.creatures', 'data'): 'shards of a data set',
  ('data.people', 'data'): 'shards of a data set',
  ('data.styles', 'data'): 'shards of a data set',
  ('data.styles', 'data.people'): 'the people who are drawn',
  ('evaluation', 'data.people'): 'rendered people whose truth is known',
  ('evaluation', 'face'): 'faces are measured as they are seen',
  ('gan', 'render.volume'): 'EG3D is rendered by rays',
  ('render', 'render.mesh'): 'one rasterizer pass below the renderer',
  ('studio', 'render'): 'lights of the studio',
  ('geometry', 'weights'): 'bundled meshes',
  ('geometry', 'training'): 'files that are whole',
  ('weights', 'training'): 'files that are whole',
}
# Arrows that point up still; this list only shrinks.
DEBTS: set[tuple[str, str]] = set()
# Modules whose tests stand elsewhere, and where.
TESTED_ELSEWHERE = {
  'data.creatures.kind': 'data/creatures/table_test.py',
  'data.creatures.kinds.cats': 'data/creatures/table_test.py',
  'data.creatures.kinds.climbers': 'data/creatures/table_test.py',
  'data.creatures.kinds.fables': 'data/creatures/table_test.py',
  'data.creatures.kinds.farm': 'data/creatures/table_test.py',
  'data.creatures.kinds.giants': 'data/creatures/table_test.py',
  'data.creatures.kinds.humans': 'data/creatures/table_test.py',
  'data.creatures.kinds.hunters': 'data/creatures/table_test.py',
  'data.styles.caricature': 'data/styles/drawn_people_test.py',
  'data.styles.cartoon': 'data/styles/drawn_people_test.py',
  'data.styles.comic': 'data/styles/drawn_people_test.py',
  'data.styles.pixar': 'data/styles/drawn_people_test.py',
  'data.styles.sheets': 'data/styles/styles_test.py',
  'data.styles.style': 'data/styles/styles_test.py',
  'mask.color_field': 'mask/appearances_test.py',
  'mask.geometries': 'mask/surface_test.py',
  'mask.vertex_colors': 'mask/appearances_test.py',
}


def _modules() -> list[pathlib.Path]:
  files = (_ROOT / 'maskjax').rglob('*.py')
  return sorted(p for p in files if p.name != '__init__.py')


def _name(path: pathlib.Path) -> str:
  """Return the dotted name of a module below maskjax/, 'mask.generate'."""
  return '.'.join(path.relative_to(_ROOT / 'maskjax').with_suffix('').parts)


def _rooms() -> dict[str, int]:
  """Return the floor of each room, 0 at the top."""
  return {room: i for i, rooms in enumerate(FLOORS) for room in rooms}


def room_of(name: str) -> str:
  """Return the room of a module or package below maskjax/."""
  parts = name.split('.')
  rooms = _rooms()
  for count in range(len(parts), 0, -1):
    if (room := '.'.join(parts[:count])) in rooms:
      return room
  raise ValueError(f'{name} is in no room; give its room a floor')


def imports(path: pathlib.Path) -> set[str]:
  """Return what a file imports of maskjax, as dotted names below maskjax/."""
  found = set()
  for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
    if isinstance(node, ast.ImportFrom) and node.module:
      found |= {f'{node.module}.{alias.name}' for alias in node.names}
    elif isinstance(node, ast.Import):
      found |= {alias.name for alias in node.names}
  inside = {name.removeprefix('maskjax.') for name in found
            if name.startswith('maskjax.')}  # fmt: skip
  return inside - {'__version__'}


def arrows() -> dict[tuple[str, str], list[str]]:
  """Return which modules draw an arrow from one room to another."""
  found: dict[tuple[str, str], list[str]] = {}
  for path in _modules():
    name = _name(path)
    if '.' not in name:
      continue
    for target in imports(path):
      pair = room_of(name), room_of(target)
      if pair[0] != pair[1]:
        found.setdefault(pair, []).append(f'{name} -> {target}')
  return found


def test_every_room_has_a_floor():
  folders = {
    '.'.join(p.parent.relative_to(_ROOT / 'maskjax').parts)
    for p in (_ROOT / 'maskjax').rglob('__init__.py')
  } - {''}
  for folder in folders:
    room_of(folder)
  missing = {r for r in _rooms() if r not in folders} - set(FLOORS[0])
  assert not missing


def test_nothing_imports_from_above():
  floor = _rooms()
  up = {
    f'{a} -> {b}': names
    for (a, b), names in arrows().items()
    if floor[b] < floor[a] and (a, b) not in DEBTS
  }
  assert not up
  assert arrows().keys() >= DEBTS


def test_arrows_within_a_floor_are_listed():
  floor = _rooms()
  level = {pair: names for pair, names in arrows().items()
           if floor[pair[0]] == floor[pair[1]]}  # fmt: skip
  assert not {
    pair: level[pair] for pair in level if pair not in PEERS.keys() | DEBTS
  }
  # An arrow that is gone leaves the list.
  listed = {pair for pair in PEERS if pair[0] not in FLOORS[0]}
  assert listed <= level.keys()


def test_rooms_of_a_floor_do_not_import_each_other_in_a_circle():
  pairs = arrows().keys()
  assert not {(a, b) for a, b in pairs if (b, a) in pairs}


def test_modules_do_not_import_each_other_in_a_circle():
  names = {_name(path): imports(path) for path in _modules()}
  done, open_ = set(), []

  def visit(name):
    if name in open_:
      pytest.fail(' -> '.join([*open_[open_.index(name) :], name]))
    if name in done or name not in names:
      return
    open_.append(name)
    for target in names[name]:
      visit(target)
    open_.pop()
    done.add(name)

  for name in names:
    visit(name)


def test_nothing_below_the_experiments_imports_them_or_reads_flags():
  for path in _modules():
    text = path.read_text(encoding='utf-8')
    assert 'from experiments' not in text, path
    if _name(path) != 'training.flags':
      assert 'absl import flags' not in text, path


def test_every_module_has_its_test():
  missing = []
  for path in _modules():
    name = _name(path)
    if '.' not in name:
      continue
    mirror = _ROOT / 'tests' / f'{name.replace(".", "/")}_test.py'
    if mirror.exists() == (name in TESTED_ELSEWHERE):
      missing.append(name)
  assert not missing
  for name, place in TESTED_ELSEWHERE.items():
    assert (_ROOT / 'tests' / place).exists(), (name, place)
