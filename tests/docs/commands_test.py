"""Every command that a page or a file shows is right.

Here each is read from its page, and carried out up to the calls into the
package, whose arguments are held against their signatures. What the calls do
is in `tests/docs/programs_test.py`, at tiny size.
"""

import inspect
import types
from unittest import mock

import numpy as np
import pytest

from tests.docs import commands

# These pages show a change of the code, and commands for what it adds.
_CHANGES = ('residual.md', 'style.md')
_PATHS = [
  path
  for path in (*commands.PAGES, *commands.FILES)
  if path.name not in _CHANGES
]
# What is called at the end of a command returns something to be printed.
_REPORT = {
  'prompt': 'a tiger',
  'steps': 3,
  'seconds': {'loop': 1.0},
  'held_out': {'pictures': 1, 'kind': 0.5, 'view': 0.5, 'light': 0.5},
}
_PICTURE = np.zeros((4, 4, 3), np.uint8)
_RESULTS = {
  'generate.run': _REPORT,
  'matcher_training.train': _REPORT,
  'paint.run': {'seconds': 1.0},
  'people_metrics.measure': {'flatness': 0.1},
  'people_metrics.alike': {'alike': 0.1},
  'flat_pictures.pairs': (np.zeros((8, 4, 4, 3)), np.zeros((8, 4, 4, 3))),
  'silhouettes.fit': mock.Mock(numbers={'iou': 0.9}, sheet=_PICTURE),
  'portrait.fit': mock.Mock(numbers={'error': 0.9}, sheet=_PICTURE),
  'photo.look': mock.Mock(others=1),
  'snapshots.read_reference': {'G_ema': mock.MagicMock()},
  'model_lib.parameter_count': 5,
  'faces.evaluate_photos': {},
  'people_sheets.people_sheet': _PICTURE,
  'style_sheets.style_sheet': _PICTURE,
  'checkpoints.load_all': {},
  'networks.check': [],
}
# Of these the experiments need what they do.
_REAL = (
  'maskjax.training',
  'maskjax.weights.bundled',
  'maskjax.geometry.color',
)


def _stand_ins(module, monkeypatch):
  """Replace what an experiment calls, and return what stands there."""
  stubs = {}
  for name, room in vars(module).items():
    if not isinstance(room, types.ModuleType):
      continue
    if not room.__name__.startswith('maskjax.') or room.__name__.startswith(
      _REAL
    ):
      continue
    for word, function in list(vars(room).items()):
      if word.startswith('_') or not inspect.isfunction(function):
        continue
      if function.__module__ != room.__name__:
        continue
      result = _RESULTS.get(f'{name}.{word}', mock.MagicMock())
      stub = mock.create_autospec(function, return_value=result)
      monkeypatch.setattr(room, word, stub)
      stubs[f'{name}.{word}'] = stub
    for table in vars(room).values():  # of functions by name
      if isinstance(table, dict) and all(
        map(inspect.isfunction, table.values())
      ):
        for word, function in table.items():
          stub = mock.create_autospec(function, return_value=_PICTURE)
          monkeypatch.setitem(table, word, stub)
          stubs[f'{name}[{word}]'] = stub
  return stubs


def test_the_commands_are_found():
  found = {path.name: commands.read(path) for path in _PATHS}
  assert len(found['README.md']) >= 8
  assert len(found['source.md']) >= 10
  more = [
    c for c in found['masks.md'] if '--config.template=head.obj' in c.words
  ]
  assert more and more[0].module == 'experiments.generate_mask'
  # Continued lines, and choices in brackets.
  words = [c.words for c in found['import_checkpoint.py']]
  assert ('--source=state.npz', '--target=DIR', '--preset=ffhq') in words
  assert ('--source=state.npz', '--target=DIR', '--options=rendering.json') in (
    words
  )
  programs = {c.module.partition('.')[2] for cs in found.values() for c in cs}
  every = {p.stem for p in (commands.ROOT / 'experiments').glob('[a-z]*.py')}
  assert every <= programs


@pytest.mark.filterwarnings('ignore:the load_module:DeprecationWarning')
@pytest.mark.parametrize('path', _PATHS, ids=lambda path: path.name)
def test_every_command_is_right(path, monkeypatch, tmp_path):
  for name in ('configs', 'maskjax'):
    (tmp_path / name).symlink_to(commands.ROOT / name)
  monkeypatch.chdir(tmp_path)
  for command in commands.read(path):
    with (
      commands.imported(command.module) as module,
      monkeypatch.context() as patch,
    ):
      try:
        rest = commands.parse(command, patch)
        if command.module.startswith('benchmarks.'):
          continue
        (tmp_path / 'rendering.json').write_text('{}')
        stubs = _stand_ins(module, patch)
        patch.setattr(module, 'print', lambda *_, **__: None, raising=False)
        module.main(rest)
        assert any(stub.called for stub in stubs.values())
      except Exception as error:
        pytest.fail(f'{command}: {type(error).__name__}: {error}')
