"""What is wrong with a JSON file is said in one line."""

import pytest

from maskjax.weights import json_files
from tests.weights.pointers_test import POINTER


def test_objects_are_read(tmp_path):
  path = tmp_path / 'config.json'
  path.write_text('{"a": [1, "\u00e4"]}', encoding='utf-8')
  assert json_files.read(path) == {'a': [1, '\u00e4']}


@pytest.mark.parametrize(
  'content, words',
  [
    (b'{"a": ', 'not valid JSON'),
    (b'\xff\xfe\x00', 'not valid JSON'),
    (b'[1]', 'holds no JSON object'),
    (b'null', 'holds no JSON object'),
    (b'[' * 100_000, 'nested too deeply'),
    (b'{"a": ' * 100_000, 'nested too deeply'),
    (b'{"a": ' * 50 + b'1' + b'}' * 50, 'nested too deeply'),
    (b'{"a": ' + b'1' * 5000 + b'}', 'not valid JSON'),
    (POINTER.encode(), 'Git LFS'),
  ],
)
def test_other_content_is_one_line(tmp_path, content, words):
  path = tmp_path / 'config.json'
  path.write_bytes(content)
  with pytest.raises(ValueError, match=words) as error:
    json_files.read(path)
  assert str(path) in str(error.value)
  assert '\n' not in str(error.value)


def test_missing_and_huge_files(tmp_path):
  path = tmp_path / 'config.json'
  with pytest.raises(FileNotFoundError, match=r'config\.json: no such file'):
    json_files.read(path)
  with open(path, 'wb') as file:
    file.truncate(2**30)  # a hole
  with pytest.raises(ValueError, match='1,073,741,824 bytes'):
    json_files.read(path)
