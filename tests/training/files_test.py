import pytest

from maskjax.training import files


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
