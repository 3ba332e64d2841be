import dataclasses
import os
import pathlib
import subprocess
import sys
from unittest import mock

from absl import flags
import pytest

from maskjax.training import flags as mj_flags, settings

_ROOT = pathlib.Path(__file__).parents[2]

_CONFIG = """
import ml_collections

def get_config(mode=''):
  if mode not in ('', 'tiny'):
    raise ValueError(f'no mode {mode!r}')
  config = ml_collections.ConfigDict()
  config.prompt = ''
  config.steps = 5
  config.resume = False
  config.rates = ml_collections.ConfigDict({'color': 0.1})
  config.mode = mode
  return config
"""

_EXPERIMENT = """
import os
from maskjax.training import flags as mj_flags

_CONFIG = mj_flags.define_config('config.py')
_WORKDIR = mj_flags.define_folder('workdir', None, 'Output folder.')

def main(argv):
  config = _CONFIG.value
  if not config.prompt:
    raise ValueError('the prompt is empty;\\n  give --config.prompt="a lion"')
  if config.prompt == 'defect':
    raise KeyError('a defect of ours')
  if config.prompt == 'stop':
    raise KeyboardInterrupt
  import jax
  print(config.prompt, config.steps, config.rates.color, config.resume,
        config.mode, _WORKDIR.value, jax.device_count(),
        os.environ['XLA_FLAGS'])

if __name__ == '__main__':
  mj_flags.run(main)
"""


@pytest.fixture(scope='module')
def experiment(tmp_path_factory):
  folder = tmp_path_factory.mktemp('experiment')
  (folder / 'config.py').write_text(_CONFIG)
  (folder / 'experiment.py').write_text(_EXPERIMENT)

  def run(*arguments):
    environment = os.environ | {'PYTHONPATH': str(_ROOT), 'XLA_FLAGS': ''}
    return subprocess.run(
      [sys.executable, 'experiment.py', *arguments],
      cwd=folder,
      env=environment,
      capture_output=True,
      text=True,
      check=False,
    )

  return run


def test_config_and_overrides(experiment):
  result = experiment(
    '--config=config.py:tiny',
    '--config.prompt=a Bengal tiger',
    '--config.rates.color=0.5',
    '--config.resume=true',
    '--config.steps',
    '8',
    '--workdir=out',
  )
  assert result.returncode == 0, result.stderr
  assert result.stdout.startswith('a Bengal tiger 8 0.5 True tiny out 1 ')
  assert result.stderr == ''


_GOOD = ('--workdir=out', '--config.prompt=a lion')


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    (('--workdir=out',), 'the prompt is empty; give --config.prompt="a lion"'),
    (
      (*_GOOD, '--config.stepz=8'),
      "has no field 'stepz'; did you mean 'steps'?",
    ),
    ((*_GOOD, '--config.rates.colour=1'), "did you mean 'rates.color'?"),
    (
      (*_GOOD, '--config.xyzzy=1'),
      "no field 'xyzzy'; it has mode, prompt, rates, ",
    ),
    ((*_GOOD, '--config.steps.x=1'), "no field 'steps.x'"),
    ((*_GOOD, '--config.steps=abc'), 'invalid literal for int'),
    ((*_GOOD, '--config=nope.py'), "no config file 'nope.py'"),
    ((*_GOOD, '--config=config.py:huge'), "no mode 'huge'"),
    ((*_GOOD, '--wrkdir=x'), "Unknown command line flag 'wrkdir'"),
    ((*_GOOD, 'stray'), "unexpected argument 'stray'"),
    (('--config.prompt=x',), '--workdir'),
    (('--config.prompt=x', '--workdir='), 'it is empty; give a place'),
  ],
)
def test_bad_input_is_one_line(experiment, arguments, message):
  result = experiment(*arguments)
  assert result.returncode == 1
  assert result.stdout == ''
  assert result.stderr.startswith('error: ')
  assert result.stderr.count('\n') == 1
  assert message in result.stderr


def test_debug_brings_the_traceback(experiment):
  result = experiment('--workdir=out', '--debug')
  assert result.returncode == 1
  assert 'Traceback' in result.stderr and 'ValueError' in result.stderr


def test_defects_keep_their_traceback(experiment):
  result = experiment('--workdir=out', '--config.prompt=defect')
  assert result.returncode == 1
  assert 'Traceback' in result.stderr and 'KeyError' in result.stderr


def test_interrupt(experiment):
  result = experiment('--workdir=out', '--config.prompt=stop')
  assert result.returncode == 130
  assert result.stderr == 'interrupted\n'


def test_numbers_are_read_from_text():
  assert mj_flags.numbers('1,0.5,-2e1') == (1.0, 0.5, -20.0)
  assert mj_flags.whole_numbers('0-3') == (0, 1, 2, 3)
  assert mj_flags.whole_numbers('1,5-6,9') == (1, 5, 6, 9)
  for read, text in (
    (mj_flags.numbers, '1,x'),
    (mj_flags.whole_numbers, '1.5'),
  ):
    with pytest.raises(ValueError, match='not'):
      read(text)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Request:
  test_count: int = settings.number(1, default=4)
  test_scales: tuple[float, ...] = (1.0,)
  other: str = 'as it is'


def test_settings_are_built_from_flags_of_their_names():
  values = flags.FlagValues()
  flags.DEFINE_integer('test_count', 7, 'Count.', flag_values=values)
  holder = mj_flags.define(
    'test_scales', (2.0,), 'Scales.', mj_flags.numbers, flag_values=values
  )
  values(['program'])
  with mock.patch.object(mj_flags, 'FLAGS', values):
    assert mj_flags.read(_Request) == _Request(test_count=7, test_scales=(2.0,))
    values(['program', '--test_scales=1,3', '--test_count=0'])
    assert holder.value == (1.0, 3.0)
    with pytest.raises(ValueError, match='test_count is 0; expected >= 1'):
      mj_flags.read(_Request)
    read = mj_flags.read(_Request, test_count=2, other='new')
  assert read == _Request(test_count=2, test_scales=(1.0, 3.0), other='new')
  with pytest.raises(flags.Error, match=r'test_scales=x.*not numbers'):
    values(['program', '--test_scales=x'])


def test_help_has_the_flags_and_the_fields_of_the_config(experiment):
  result = experiment('--help')
  assert result.returncode == 0 and result.stderr == ''
  assert '--workdir: Output folder.' in result.stdout
  assert '--config.rates.color=0.1' in result.stdout
  assert '--debug' in result.stdout and '--pdb' not in result.stdout


@pytest.mark.parametrize(
  'value', ['nan', 'inf', '-inf', '-0.1', '2.1', 'x', '']
)
def test_numbers_of_flags_are_finite_and_within_limits(value):
  parser = mj_flags._Finite(0, 2)
  assert parser.parse('0.5') == 0.5
  with pytest.raises(ValueError):
    parser.parse(value)


def test_configs_that_come_with_the_package_are_found(monkeypatch, tmp_path):
  monkeypatch.chdir(tmp_path)
  assert (
    mj_flags._config_file('configs/mask.py:tiny') == _ROOT / 'configs/mask.py'
  )
  (tmp_path / 'configs').mkdir()
  own = tmp_path / 'configs/mask.py'
  own.write_text('')
  assert mj_flags._config_file('configs/mask.py').resolve() == own
