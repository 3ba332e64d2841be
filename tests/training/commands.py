"""Runs a command with many arguments in one process, a fork for each.

  python -m tests.training.commands NAME < arguments.json

reads a list of lists of arguments and prints a list of [status, stdout,
stderr, seconds, MiB]. Starting Python and importing jax takes seconds, a fork
a moment.
"""

import importlib
import json
import os
import resource
import sys
import tempfile
import time


def _child(module, arguments: list[str], out: str, err: str) -> None:
  """Be the command; never returns."""
  from maskjax.training import flags

  for path, number in ((out, 1), (err, 2)):
    os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
  sys.stdout, sys.stderr = (os.fdopen(n, 'w', closefd=False) for n in (1, 2))
  sys.argv = [f'{module.__name__}.py', *arguments]
  status = 70
  try:
    flags.run(module.main)
    status = 0
  except SystemExit as exit_:
    status = exit_.code if isinstance(exit_.code, int) else 1
    status = 0 if exit_.code is None else status
    if isinstance(exit_.code, str):
      print(exit_.code, file=sys.stderr)
  except BaseException:
    import traceback

    traceback.print_exc()
  finally:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _run(module, arguments: list[str]) -> list:
  """Run a command once."""
  with tempfile.TemporaryDirectory() as folder:
    out, err = os.path.join(folder, 'out'), os.path.join(folder, 'err')
    began = time.monotonic()
    child = os.fork()
    if not child:
      _child(module, arguments, out, err)
    _, status, usage = os.wait4(child, 0)
    seconds = time.monotonic() - began
    words = []
    for path in (out, err):
      with open(path, encoding='utf-8') as file:
        words.append(file.read())
  return [
    os.waitstatus_to_exitcode(status),
    *words,
    round(seconds, 2),
    usage.ru_maxrss // 1024,
  ]


def main() -> None:
  """Run all and print what came of them."""
  resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
  module = importlib.import_module(sys.argv[1])
  cases = json.load(sys.stdin)
  json.dump([_run(module, case) for case in cases], sys.stdout)


if __name__ == '__main__':
  main()
