"""The changes that pages show, as patches of the tree."""

import pathlib
import re
import shutil
import subprocess

ROOT = pathlib.Path(__file__).parents[2]


def read(page):
  """Return the change that a page shows."""
  text = page.read_text(encoding='utf-8')
  change = re.search(r'```diff\n(.*?)```', text, re.DOTALL)[1]
  # Of a new file pages leave out that there was none, and an empty line stands
  # for a blank.
  new = re.compile(r'^(\+\+\+ b/.*\n@@ -0,0)', re.MULTILINE)
  change = new.sub(r'--- /dev/null\n\1', change)
  return re.sub(r'^$', ' ', change.rstrip('\n'), flags=re.MULTILINE) + '\n'


def apply(change, folder):
  """Change a folder, into which files that it lacks are copied before."""
  for name in re.findall(r'^--- a/(.*)$', change, re.MULTILINE):
    if not (folder / name).exists():
      (folder / name).parent.mkdir(parents=True, exist_ok=True)
      shutil.copyfile(ROOT / name, folder / name)
  result = subprocess.run(
    ['git', 'apply', '-'],
    input=change,
    text=True,
    cwd=folder,
    check=False,
    capture_output=True,
  )
  assert result.returncode == 0, result.stderr
