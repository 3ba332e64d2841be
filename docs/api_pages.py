"""A page of the API for each room, made while the site is built.

A hook of mkdocs: `on_config` adds the pages to the navigation, `on_files`
writes them. A page lists the modules of its room, for mkdocstrings to fill.
The start page is the README.
"""

import ast
import pathlib
import re

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

_ROOT = pathlib.Path(__file__).parents[1]
_PACKAGE = _ROOT / 'maskjax'


def rooms() -> list[str]:
  """Return the rooms that hold modules, dotted, 'render.mesh'."""
  folders = {p.parent for p in _PACKAGE.rglob('*.py')} - {_PACKAGE}
  names = ['.'.join(p.relative_to(_PACKAGE).parts) for p in folders]
  return sorted(name for name in names if _modules(name))


def _modules(room: str) -> list[str]:
  folder = _PACKAGE.joinpath(*room.split('.'))
  return sorted(p.stem for p in folder.glob('*.py') if p.stem != '__init__')


def page(room: str) -> str:
  """Return the Markdown of a room."""
  init = _PACKAGE.joinpath(*room.split('.'), '__init__.py')
  sentence = ast.get_docstring(ast.parse(init.read_text('utf-8'))) or ''
  parts = [f'# {room.replace(".", "/")}', sentence]
  for module in _modules(room):
    parts += [f'## {module}', f'::: maskjax.{room}.{module}']
  return '\n\n'.join(parts) + '\n'


def start() -> str:
  """Return the README with links as they are inside of docs/."""
  text = (_ROOT / 'README.md').read_text('utf-8')
  text = re.sub(r'\]\(docs/', '](', text)
  outside = r'\]\(((?:LICENSE|CONTRIBUTING|CHANGELOG|third_party)[^)]*)\)'
  repository = 'https://github.com/maskjax/maskjax/blob/main'
  return re.sub(outside, rf']({repository}/\1)', text)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
  """Add the pages of the rooms to the navigation."""
  pages = [{room.replace('.', '/'): f'api/{room}.md'} for room in rooms()]
  config.nav = [
    {'API': pages} if isinstance(entry, dict) and 'API' in entry else entry
    for entry in config.nav or []
  ]
  return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
  """Add the pages themselves."""
  files.append(File.generated(config, 'index.md', content=start()))
  for room in rooms():
    name = f'api/{room}.md'
    files.append(File.generated(config, name, content=page(room)))
  return files
