"""The commands that pages and files show, as somebody would type them."""

import contextlib
import importlib
import itertools
import pathlib
import re
import shlex
import sys
from typing import NamedTuple

from absl import flags

from maskjax.training import flags as flags_lib

ROOT = pathlib.Path(__file__).parents[2]
PAGES = [
  ROOT / 'README.md',
  ROOT / 'CONTRIBUTING.md',
  *sorted((ROOT / 'docs').rglob('*.md')),
]
FILES = [
  *sorted((ROOT / 'experiments').glob('[a-z]*.py')),
  *sorted((ROOT / 'configs').glob('[a-z]*.py')),
  *sorted((ROOT / 'benchmarks').glob('[a-z]*.py')),
]
# Additions to a page's first command, e.g. '... --config.template=face'.
_MORE = '... --'
_PROGRAM = re.compile(r'python -m ((?:experiments|benchmarks)\.(\w+))(.*)')
_FENCED = re.compile(r'^```.*?^```$', re.DOTALL | re.MULTILINE)


class Command(NamedTuple):
  """A command and where it stands."""

  where: str
  module: str  # experiments.generate_mask
  words: tuple[str, ...]

  def __str__(self):
    return f'{self.where}: {self.module} {shlex.join(self.words)}'


def _variants(text):
  """Return a command without what stands in brackets, and with each choice."""
  parts = re.split(r'\[(--[^\]]*)\]', text)
  plain = ' '.join(parts[::2])
  if len(parts) == 1:
    return [plain]
  choices = []
  for part in parts[1::2]:
    first, *others = (word.strip() for word in part.split('|'))
    name = first.partition('=')[0]
    # '--a=1 | --b=2', or '--a=1|2'.
    others = [x if x.startswith('--') else f'{name}={x}' for x in others]
    choices.append([first, *others])
  most = max(map(len, choices))
  full = []
  for number in range(most):
    given = [choice[number % len(choice)] for choice in choices]
    pairs = itertools.zip_longest(parts[::2], given, fillvalue='')
    full.append(' '.join(itertools.chain.from_iterable(pairs)))
  return [plain, *full]


def _lines(text):
  """Return logical lines: code in a line of prose is a line of its own."""
  text = re.sub(r' *\\\n *', ' ', _FENCED.sub('', text))
  inline = re.findall(r'`(python -m [^`]*)`', text)
  return [re.sub(r'`python -m [^`]*`', '', x) for x in text.splitlines()] + [
    re.sub(r'\s+', ' ', code) for code in inline
  ]


def read(path):
  """Return the commands of a page or a file, in their order."""
  text = path.read_text(encoding='utf-8')
  where = str(path.relative_to(ROOT))
  if path.suffix == '.py':
    found = re.match(r'(?:"""[^"]*"""\n)?r?"""(.*?)"""', text, re.DOTALL)
    text = found[1] if found else ''
  commands = []
  for line in _lines(text):
    line = line.partition(' # ')[0].strip()
    if line.startswith(_MORE):
      first = commands[0]
      commands.append(first._replace(words=first.words + _split(line[3:])))
      continue
    match = _PROGRAM.search(line)
    # 'python -m experiments.NAME' stands for all of them.
    if match is None or match[2].isupper() or '...' in match[3]:
      continue
    for variant in _variants(match[3]):
      commands.append(Command(where, match[1], _split(variant)))
  return commands


def _split(text):
  return tuple(shlex.split(text))


@contextlib.contextmanager
def imported(module):
  """Import an experiment, whose flags are forgotten at the end."""
  known = set(flags.FLAGS)
  sys.modules.pop(module, None)
  try:
    yield importlib.import_module(module)
  finally:
    sys.modules.pop(module, None)
    for name in set(flags.FLAGS) - known:
      delattr(flags.FLAGS, name)


def parse(command, monkeypatch):
  """Read the flags of a command, as its program does at its start."""
  words = [command.module, *command.words]
  monkeypatch.setattr(sys, 'argv', words)
  return flags_lib._parse(words)
