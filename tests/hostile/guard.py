"""What a hostile file may not do: run anything, write, take memory or time.

Audit hooks cannot be taken away again: there is one, which listens only while
a file is read.
"""

import contextlib
import os
import resource
import sys
import time

import pytest

# Above what the process has already.
MOST_BYTES = 2 * 2**30
MOST_SECONDS = 10
MOST_LETTERS = 700
_RUN = (
  *('os.system', 'os.exec', 'os.posix_spawn', 'os.spawn', 'os.fork'),
  *('subprocess.Popen', 'socket.connect', 'os.mkdir', 'os.remove'),
  *('os.rename', 'os.symlink', 'os.link', 'shutil.rmtree'),
)
_WRITE = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_CACHES = ('__pycache__', 'maskjax-test-cache')
_heard: list[str] = []
_listening = [False]


def _listen(event, arguments):
  if not _listening[0]:
    return
  # Modules that are imported late may be compiled, and so may programs of JAX.
  writes = (
    event == 'open'
    and isinstance(arguments[2], int)
    and arguments[2] & _WRITE
    and not any(cache in str(arguments[0]) for cache in _CACHES)
  )
  if event in _RUN or writes:
    _heard.append(f'{event} {arguments}')


sys.addaudithook(_listen)


def _virtual_bytes():
  with open('/proc/self/statm', encoding='ascii') as file:
    return int(file.read().split()[0]) * resource.getpagesize()


@contextlib.contextmanager
def _limited():
  """Let the process have so much memory more, and no more."""
  if not os.path.exists('/proc/self/statm'):
    yield
    return
  old, hard = resource.getrlimit(resource.RLIMIT_AS)
  most = _virtual_bytes() + MOST_BYTES
  resource.setrlimit(resource.RLIMIT_AS, (most, hard))
  try:
    yield
  finally:
    resource.setrlimit(resource.RLIMIT_AS, (old, hard))


def read(reader, path):
  """Return what a reader says of a file, or None where it can read it.

  Args:
    reader: function of a path, which may raise ValueError.
    path: of the file.
  """
  _heard.clear()
  _listening[0] = True
  began = time.process_time()
  words = None
  try:
    with _limited():
      reader(path)
  except ValueError as error:
    words = str(error)
  finally:
    _listening[0] = False
  seconds = time.process_time() - began
  assert not _heard, _heard
  assert seconds < MOST_SECONDS, f'{seconds:.1f} s'
  return words


def check(reader, path, expected):
  """Check that a hostile file is answered in one line, or is harmless.

  Args:
    reader: see `read`.
    path: of the file.
    expected: part of the line; None where the file is read.
  """
  words = read(reader, path)
  if expected is None:
    assert words is None, words
    return
  assert words is not None, 'it was read'
  assert '\n' not in words and len(words) < MOST_LETTERS, words
  assert path.name in words and 'MemoryError' not in words, words
  assert expected in words, words


def table(cases):
  """Return pytest's parameters of a table {name: (make, expected)}."""
  return pytest.mark.parametrize(
    ('make', 'expected'), list(cases.values()), ids=list(cases)
  )
