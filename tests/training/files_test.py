import errno
import hashlib
import os
import subprocess
import sys

import pytest

from maskjax.training import files


@pytest.fixture
def gone():
  """Return the number of a process that has ended."""
  process = subprocess.Popen([sys.executable, '-c', ''])
  process.wait()
  return process.pid


def test_writes_and_makes_folders(tmp_path):
  path = tmp_path / 'a' / 'b.json'
  files.write_json(path, {'x': [1, 2.5]})
  assert path.read_text() == '{\n  "x": [\n    1,\n    2.5\n  ]\n}\n'
  files.write_text(path, 'ü')
  assert path.read_bytes() == b'\xc3\xbc'


def test_failure_leaves_the_old_file_and_no_litter(tmp_path):
  path = tmp_path / 'image.png'
  files.write_bytes(path, b'old')
  with pytest.raises(RuntimeError), files.replacing(path) as temporary:
    assert temporary.suffix == '.png'
    temporary.write_bytes(b'half')
    raise RuntimeError
  assert path.read_bytes() == b'old'
  assert list(tmp_path.iterdir()) == [path]


def test_json_refuses_nan(tmp_path):
  with pytest.raises(ValueError, match='JSON'):
    files.write_json(tmp_path / 'x.json', {'x': float('nan')})


def test_a_folder_is_replaced_as_a_whole(tmp_path):
  folder = tmp_path / 'a' / 'model'
  for number in range(2):
    with files.replacing_folder(folder) as new:
      files.write_text(new / f'{number}', 'x')
      (new / 'below').mkdir()
  assert sorted(p.name for p in folder.iterdir()) == ['1', 'below']
  with pytest.raises(RuntimeError), files.replacing_folder(folder) as new:
    files.write_text(new / 'half', 'x')
    raise RuntimeError
  assert sorted(p.name for p in folder.iterdir()) == ['1', 'below']
  assert list(folder.parent.iterdir()) == [folder]


def test_what_a_killed_process_left_is_taken_away_or_put_back(tmp_path, gone):
  (tmp_path / 'model').mkdir()
  litter = [f'.new-{gone}-a.json', f'.gone-{gone}-c', f'model/.new-{gone}-x']
  for name in litter:
    (tmp_path / name).write_text('half')
  # Killed between its two renames, or after the second one.
  for name in ('model', 'lost'):
    (tmp_path / f'.old-{gone}-{name}').mkdir()
    (tmp_path / f'.old-{gone}-{name}' / 'w').write_text('old')
  running = tmp_path / f'.new-{os.getppid()}-b.json'
  running.write_text('another process writes it')
  files.sweep(tmp_path)
  left = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob('*')}
  assert left == {'model', 'lost', 'lost/w', running.name}


def test_the_next_writer_of_a_file_takes_away_what_is_left_of_it(
  tmp_path, gone
):
  for name in ('a.json', 'b.json'):
    (tmp_path / f'.new-{gone}-{name}').write_text('half')
  files.write_json(tmp_path / 'a.json', {})
  left = {p.name for p in tmp_path.iterdir()}
  assert left == {'a.json', f'.new-{gone}-b.json'}


def test_a_full_disk_is_told_in_one_line_and_leaves_nothing(
  tmp_path, full_disk
):
  path = tmp_path / 'x.bin'
  files.write_bytes(path, b'old')
  with pytest.raises(OSError, match=r'cannot write .*x\.bin: File too large'):
    files.write_bytes(path, bytes(200_000))
  assert path.read_bytes() == b'old' and list(tmp_path.iterdir()) == [path]
  folder = tmp_path / 'model'
  with (
    pytest.raises(OSError, match='cannot write'),
    files.replacing_folder(folder) as new,
  ):
    (new / 'w').write_bytes(bytes(200_000))
  assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
  'words',
  [
    os.strerror(errno.ENOSPC),
    f'I/O error: something (os error {errno.ENOSPC})',
    'RESOURCE: Read-only file system [tensorstore/...]\nsecond line',
  ],
)
def test_other_libraries_words_for_a_disk_that_refuses(words):
  with (
    pytest.raises(OSError, match=r'^cannot write x: [^\n]*$'),
    files.explained('x'),
  ):
    raise RuntimeError(words)
  with pytest.raises(RuntimeError, match='no such'), files.explained('x'):
    raise RuntimeError('no such thing (os error 2800)')


def test_hash_of_a_file(tmp_path):
  (tmp_path / 'x').write_bytes(b'abc' * 99)
  expected = hashlib.sha256(b'abc' * 99).hexdigest()
  assert files.sha256(tmp_path / 'x') == expected
