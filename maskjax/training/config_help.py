"""Help on a config file: its fields with their values and comments.

Comments are read from the source: those on the lines of `config.field = value`
or, where there are none, those right above it.
"""

import ast
from collections.abc import Iterator, Mapping
import io
import pathlib
import textwrap
import tokenize
from typing import Any

_WIDTH = 80


def _comments(source: str) -> tuple[dict[int, str], set[int]]:
  """Return comments by line, and the lines that hold nothing else."""
  comments, alone = {}, set()
  for token in tokenize.generate_tokens(io.StringIO(source).readline):
    if token.type == tokenize.COMMENT:
      comments[token.start[0]] = token.string.lstrip('#').strip()
      if not token.line[: token.start[1]].strip():
        alone.add(token.start[0])
  return comments, alone


def _field(node: ast.AST) -> str | None:
  """Return 'a.b' of an assignment to `config.a.b`."""
  if not isinstance(node, ast.Assign) or len(node.targets) != 1:
    return None
  words = ast.unparse(node.targets[0])
  start, _, name = words.partition('.')
  parts = name.split('.')
  is_field = start == 'config' and all(part.isidentifier() for part in parts)
  return name if is_field else None


def comments(path: pathlib.Path) -> dict[str, str]:
  """Return what a config file says of its fields, by dotted name.

  Args:
    path: of the file.
  """
  source = path.read_text(encoding='utf-8')
  by_line, alone = _comments(source)
  found: dict[str, str] = {}
  for node in ast.walk(ast.parse(source)):
    name = _field(node)
    if name is None or not isinstance(node, ast.stmt):
      continue
    last = node.end_lineno or node.lineno
    lines = [n for n in range(node.lineno, last + 1) if n in by_line]
    if not lines:
      line = node.lineno - 1
      while line in alone:
        lines.insert(0, line)
        line -= 1
    if lines:
      found.setdefault(name, ' '.join(by_line[n] for n in lines))
  return found


def _lines(
  values: Mapping[str, Any], words: Mapping[str, str], prefix: str = ''
) -> Iterator[str]:
  """Yield the lines on every field, groups opened."""
  for name, value in values.items():
    full = prefix + name
    if isinstance(value, Mapping):
      yield from _lines(value, words, f'{full}.')
      continue
    yield f'  --config.{full}={value}'
    yield from textwrap.wrap(
      words.get(full, ''),
      _WIDTH,
      initial_indent=' ' * 6,
      subsequent_indent=' ' * 6,
    )


def text(path: pathlib.Path, values: Mapping[str, Any]) -> str:
  """Return help on the fields of a config.

  Args:
    path: of its file.
    values: of its fields, groups as mappings.
  """
  return '\n'.join(_lines(values, comments(path)))
