"""The command `maskjax`, and what the package shows of itself."""

import ast
import pathlib

import pytest

import maskjax
from maskjax import __main__ as command

_ROOT = pathlib.Path(__file__).parents[1]


def test_every_experiment_is_a_command():
  known = command.commands()
  files = {path.stem for path in (_ROOT / 'experiments').glob('[!_]*.py')}
  assert known.keys() == files
  assert known['generate_mask'] == 'Make a 3D mask from words.'
  assert all(known.values())


def test_commands_are_listed_and_wrong_ones_refused(monkeypatch, capsys):
  for arguments in ((), ('--help',)):
    monkeypatch.setattr('sys.argv', ['maskjax', *arguments])
    command.main()
    assert 'generate_mask      Make a 3D mask' in capsys.readouterr().out
  monkeypatch.setattr('sys.argv', ['maskjax', 'generate_msk'])
  with pytest.raises(SystemExit, match='did you mean generate_mask'):
    command.main()


def test_the_rooms_of_the_package_are_shown():
  rooms = {
    path.parent.name for path in (_ROOT / 'maskjax').glob('*/__init__.py')
  }
  assert rooms == set(maskjax._ROOMS)
  assert rooms <= set(dir(maskjax))
  assert maskjax.mask.__name__ == 'maskjax.mask'
  for room in rooms:
    assert f'\n  {room} ' in maskjax.__doc__
  with pytest.raises(AttributeError, match='no attribute'):
    getattr(maskjax, 'nothing')  # noqa: B009


def test_commands_import_nothing_that_a_wheel_has_elsewhere():
  """An installed `maskjax.experiments` finds no `configs` or `experiments`."""
  for folder in ('experiments', 'configs'):
    for path in (_ROOT / folder).glob('*.py'):
      for node in ast.walk(ast.parse(path.read_text())):
        names = [a.name for a in getattr(node, 'names', ())]
        names.append(getattr(node, 'module', None) or '')
        assert not {n.split('.')[0] for n in names if isinstance(n, str)} & {
          'experiments',
          'configs',
        }, path
