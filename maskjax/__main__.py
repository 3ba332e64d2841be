"""The command `maskjax`: `maskjax generate_mask --config.prompt="a tiger" ...`.

Every file of `experiments/` is a command: in an installed package, where they
lie beside this file, and in a source tree, where they lie beside the package
and run as `python -m experiments.NAME`, too.
"""

import ast
import difflib
import importlib
import pathlib
import sys

_PACKAGE = pathlib.Path(__file__).parent


def _folder() -> pathlib.Path:
  """Return the folder of the commands."""
  inside = _PACKAGE / 'experiments'
  return inside if inside.is_dir() else _PACKAGE.parent / 'experiments'


def commands() -> dict[str, str]:
  """Return the first line on each command, by name, without importing any."""
  found = {}
  for path in sorted(_folder().glob('[!_]*.py')):
    text = ast.get_docstring(ast.parse(path.read_text(encoding='utf-8')))
    found[path.stem] = (text or '').split('\n', 1)[0]
  return found


def _module(name: str) -> str:
  """Return the name by which a command is imported."""
  if _folder().parent == _PACKAGE:
    return f'maskjax.experiments.{name}'
  sys.path.insert(0, str(_folder().parent))
  return f'experiments.{name}'


def main() -> None:
  """Run the command that is named, or list them all."""
  known = commands()
  name = sys.argv[1] if len(sys.argv) > 1 else '--help'
  if name in ('-h', '-help', '--help', 'help'):
    width = max(map(len, known))
    lines = ['maskjax COMMAND [--flag=value ...]; maskjax COMMAND --help', '']
    lines += [f'  {each:{width}}  {words}' for each, words in known.items()]
    print('\n'.join(lines))
    return
  if name not in known:
    near = difflib.get_close_matches(name, known, 1, 0.4)
    hint = f'did you mean {near[0]}?' if near else 'see maskjax --help'
    sys.exit(f'error: no command {name!r}; {hint}')
  sys.argv = [f'maskjax {name}', *sys.argv[2:]]
  module = importlib.import_module(_module(name))
  importlib.import_module('maskjax.training.flags').run(module.main)


if __name__ == '__main__':
  main()
