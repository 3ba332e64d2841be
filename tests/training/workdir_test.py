import dataclasses
import subprocess
import sys

import ml_collections
import numpy as np
import pytest

from maskjax.training import checkpoint, workdir


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


def _save(folder, step):
  checkpoint.save(folder / 'checkpoints', step, {'w': np.float32(step)})


def test_a_run_that_begins_anew_leaves_no_checkpoint_of_the_one_before(
  tmp_path,
):
  with workdir.opened(tmp_path, _config()) as folder:
    _save(folder, 3)
  with workdir.opened(tmp_path, _config(), resume=True) as folder:
    assert checkpoint.latest_step(folder / 'checkpoints') == 3
  with workdir.opened(tmp_path, _config()) as folder:
    assert not (folder / 'checkpoints').exists()
  # Such as one that was killed before its first checkpoint.
  resumed = workdir.opened(tmp_path, _config(), resume=True)
  with (
    pytest.raises(FileNotFoundError, match='no checkpoint to resume from'),
    resumed,
  ):
    pass


def test_another_config_deletes_nothing(tmp_path):
  with workdir.opened(tmp_path, _config()) as folder:
    _save(folder, 3)
  other = workdir.opened(tmp_path, _config(prompt='x'))
  with pytest.raises(ValueError, match='another config'), other:
    pass
  assert checkpoint.latest_step(tmp_path / 'checkpoints') == 3


def test_opening_takes_away_what_was_left_half_written(tmp_path):
  gone = subprocess.Popen([sys.executable, '-c', ''])
  gone.wait()
  with workdir.opened(tmp_path, _config()) as folder:
    _save(folder, 1)
  (tmp_path / f'.new-{gone.pid}-model').mkdir()
  with workdir.opened(tmp_path, _config(), resume=True):
    names = sorted(path.name for path in tmp_path.iterdir())
  assert names == ['checkpoints', 'config.json']


def test_two_runs_do_not_share_a_folder(tmp_path):
  code = (
    'from maskjax.training import workdir\n'
    f'with workdir.locked({str(tmp_path)!r}): print("locked")'
  )

  def other():
    command = [sys.executable, '-c', code]
    return subprocess.run(command, capture_output=True, text=True, check=False)

  opened = workdir.opened(tmp_path, _config())
  with opened:
    again = workdir.opened(tmp_path, _config())
    with pytest.raises(ValueError, match=r'in use by another run; wait'), again:
      pass
    assert 'in use by another run' in other().stderr
  assert other().stdout == 'locked\n'


def test_resuming_makes_no_folder(tmp_path):
  opened = workdir.opened(tmp_path / 'x', _config(), resume=True)
  with pytest.raises(FileNotFoundError, match='holds no run'), opened:
    pass
  assert not (tmp_path / 'x').exists()


def test_an_empty_name_is_refused():
  for name in ('', ' '):
    with pytest.raises(ValueError, match='workdir is empty'):
      workdir.prepare(name, _config())


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
