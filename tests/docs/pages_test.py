"""What the README and the pages name is there, and the README stays short."""

import pathlib
import re
import shutil

import pytest

from tests.docs import changes

_ROOT = pathlib.Path(__file__).parents[2]
_README = _ROOT / 'README.md'
_PAGES = [
  _README,
  _ROOT / 'CONTRIBUTING.md',
  *sorted((_ROOT / 'docs').rglob('*.md')),
]
_PATH = re.compile(
  r'`((?:maskjax|configs|experiments|tests|docs|benchmarks)/[\w/]+\.(?:py|md))`'
)
_LINK = re.compile(r'\]\(([^)#:]+)(?:#[^)]*)?\)')


def _text(page):
  """Return a page without its fenced blocks, which hold changes."""
  text = page.read_text(encoding='utf-8')
  return re.sub(r'^```.*?^```$', '', text, flags=re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize(
  'page', _PAGES, ids=lambda page: str(page.relative_to(_ROOT))
)
def test_files_and_links_are_there(page):
  text = _text(page)
  missing = {p for p in _PATH.findall(text) if not (_ROOT / p).exists()}
  missing |= {
    link for link in _LINK.findall(text) if not (page.parent / link).exists()
  }
  assert not missing


def test_readme_is_short_and_names_every_command():
  text = _README.read_text(encoding='utf-8')
  assert len(text.split()) <= 900
  commands = {path.stem for path in (_ROOT / 'experiments').glob('[a-z]*.py')}
  named = set(re.findall(r'^\| `([a-z_]+)` \|', text, flags=re.MULTILINE))
  assert named == commands


def test_the_test_command_is_that_of_ci():
  """`.ci/run` runs the README's line, step by step."""
  text = _README.read_text(encoding='utf-8')
  line = next(x for x in text.splitlines() if 'python -m pytest -q' in x)
  steps = [step.strip() for step in line.split('&&')]
  ran = (_ROOT / '.ci' / 'run').read_text(encoding='utf-8')
  ran = ran.replace('--quiet ', '')
  assert len(steps) == 3 and all(step in ran for step in steps)


@pytest.mark.skipif(shutil.which('git') is None, reason='there is no git')
@pytest.mark.parametrize(
  'page',
  [page for page in _PAGES if '```diff' in page.read_text('utf-8')],
  ids=lambda page: page.name,
)
def test_the_change_that_a_page_shows_fits_the_tree(page, tmp_path):
  changes.apply(changes.read(page), tmp_path)
