import dataclasses

import ml_collections
import pytest

from maskjax.training import workdir


def _config(**changes):
  config = ml_collections.ConfigDict(
    {'prompt': 'a lion', 'steps': 600, 'resume': False, 'size': (64, 64)}
  )
  config.rates = ml_collections.ConfigDict({'color': 0.1, 'vertex': 0.2})
  config.update_from_flattened_dict(changes)
  return config


@pytest.fixture
def begun(tmp_path):
  """Return a folder with something of a run in it."""
  (tmp_path / 'metrics.jsonl').write_text('')
  return tmp_path


def test_new_folder_gets_its_config(tmp_path):
  folder = workdir.prepare(tmp_path / 'a' / 'b', _config())
  assert workdir.read_config(folder) == {
    'prompt': 'a lion',
    'steps': 600,
    'size': [64, 64],
    'rates': {'color': 0.1, 'vertex': 0.2},
  }
  # The same config may start over.
  workdir.prepare(folder, _config())


def test_a_run_that_never_began_makes_room(tmp_path):
  workdir.prepare(tmp_path, _config())
  workdir.prepare(tmp_path, _config(prompt='x'))
  assert workdir.read_config(tmp_path)['prompt'] == 'x'


def test_other_config_is_refused_by_name(begun):
  workdir.prepare(begun, _config())
  with pytest.raises(ValueError, match=r'another config') as caught:
    workdir.prepare(begun, _config(**{'rates.color': 0.3, 'prompt': 'x'}))
  message = str(caught.value)
  assert "prompt 'a lion' -> 'x', rates.color 0.1 -> 0.3" in message
  assert '\n' not in message and 'resume' not in message


def test_resume_may_change_what_is_listed(begun):
  workdir.prepare(begun, _config())
  with pytest.raises(ValueError, match='or resume=true to continue'):
    workdir.prepare(begun, _config(steps=800))
  changed = _config(steps=800, resume=True)
  workdir.prepare(begun, changed, resume=True)
  assert workdir.read_config(begun)['steps'] == 800
  with pytest.raises(ValueError, match="prompt 'a lion' -> 'x'"):
    workdir.prepare(begun, _config(steps=800, prompt='x'), resume=True)
  with pytest.raises(ValueError, match='rates'):
    workdir.prepare(begun, _config(**{'rates.color': 9.0}), resume=True)
  other = _config(steps=800, **{'rates.color': 9.0})
  workdir.prepare(begun, other, resume=True, may_change=['rates'])


def test_resume_needs_a_run(tmp_path):
  with pytest.raises(FileNotFoundError, match='holds no run'):
    workdir.prepare(tmp_path / 'x', _config(), resume=True)
  assert not (tmp_path / 'x').exists()


def test_a_file_is_no_folder(tmp_path):
  path = tmp_path / 'file'
  path.write_text('')
  with pytest.raises(ValueError, match='is a file'):
    workdir.prepare(path, _config())
  with pytest.raises(ValueError, match=r'cannot be written to \(Not a dir'):
    workdir.prepare(path / 'below', _config())


def test_differences_between_kinds_of_config():
  @dataclasses.dataclass(frozen=True)
  class Config:
    a: int = 1
    b: tuple[int, ...] = (1, 2)

  assert workdir.differences(Config(), {'a': 1, 'b': [1, 2]}) == {}
  assert workdir.differences({'a': None}, {}) == {'a': (None, None)}
  assert workdir.differences(Config(), {'a': 2, 'b': [1, 2], 'c': {}}) == {
    'a': (1, 2),
    'c': (None, {}),
  }
