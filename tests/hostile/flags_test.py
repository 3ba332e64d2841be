"""Wrong flags and fields of every command: one line, and nothing is written.

Commands run in this process: what is refused is refused before anything is
loaded, so that two hundred of them take seconds.
"""

import pathlib

import pytest

from maskjax.training import flags as flags_lib
from tests.docs import commands

_BAD = ('0', '-1', 'nan', 'inf', '1e30', '9999999999999999', 'x', '')
_SEEDS = ('-1', '4294967296', '0.5', 'x')


def numbers(name, *besides):
  """Return a flag with every bad number but some that it allows."""
  return [f'--{name}={bad}' for bad in _BAD if bad not in besides]


def fields(*names, besides=('0',)):
  """Return fields of a config with every bad number but some."""
  return [x for name in names for x in numbers(f'config.{name}', *besides)]


def seeds(name):
  return [f'--{name}={bad}' for bad in _SEEDS]


# What a command needs, and arguments each of which is wrong beside it.
CASES = {
  'build_prior_data': (
    ('--workdir=out', '--config=configs/prior.py:tiny'),
    (
      *(f'--part={x}' for x in ('', 'x', '1', '1/1', '2/1', '0/0', '-1/2')),
      *fields('heads.shards', 'heads.views', 'heads.size', besides=()),
      *seeds('config.seed'),
      '--workdir=',
      '--config.heads.colour=1',
      '--config=configs/mask.py',
    ),
  ),
  'bundle_source': (
    ('--runs=nowhere', '--results=nowhere.json', '--out=out'),
    (
      '--runs=nowhere',
      '--runs=',
      '--results=',
      '--out=',
      '--others=x',
      '--others=a=b=c',
      '--nothing=1',
      'nothing',
    ),
  ),
  'check_parity': (
    ('--diffusers=nowhere',),
    (
      '--diffusers=nowhere',
      '--diffusers=',
      '--diffusers=a/b/c',
      '--diffusers=v1.ckpt',
      '--parts=nothing',
      '--parts=unet,nothing',
      *(f'--tolerance={x}' for x in ('-1', 'nan', 'inf', 'x', '')),
      *seeds('seed'),
      '--seed=1e3',
    ),
  ),
  'evaluate_faces': (
    ('--workdir=out',),
    (
      *numbers('count'),
      *seeds('seed'),
      '--photos=nowhere',
      '--photos=configs',
      '--workdir=',
    ),
  ),
  'evaluate_masks': (
    ('--workdir=out', '--config=configs/mask.py:tiny'),
    (
      '--kinds=nothing',
      '--kinds=tiger,nothing',
      '--kinds=tiger,',
      *numbers('ablation_steps'),
      '--matcher=nowhere',
      '--ablation=maybe',
      *fields('steps', 'views.count', besides=()),
      '--config.nothing=1',
      '--config=configs/faces.py',
      '--workdir=',
    ),
  ),
  'evaluate_prior': (
    ('--workdir=out',),
    (
      *numbers('samples'),
      *numbers('steps'),
      *numbers('batch'),
      *numbers('guidance', '0'),
      *numbers('rescale', '0'),
      *seeds('seed'),
      '--sampler=nothing',
      '--prior=nowhere',
      '--matcher=nowhere',
      '--real=nowhere',
      '--workdir=',
    ),
  ),
  'evaluate_source': (
    ('--workdir=out',),
    (
      *numbers('pictures'),
      *numbers('scenes'),
      *numbers('identities'),
      *numbers('psi', '0', '-1', '1e30', '9999999999999999'),
      *seeds('seed'),
      '--checkpoint=nowhere',
      '--data=nowhere',
      '--inception=nowhere.pth',
      '--preprocessing=nothing',
      '--beside=nowhere',
      '--workdir=',
    ),
  ),
  'fit_mesh': (
    ('--workdir=out',),
    (
      '--task=nothing',
      *numbers('size'),
      *numbers('steps'),
      '--workdir=',
      '--image=nowhere.jpg',
      '--image=configs/mask.py',
    ),
  ),
  'import_checkpoint': (
    ('--source=nowhere.pkl', '--target=out'),
    (
      '--source=nowhere.pkl',
      '--source=',
      '--source=configs',
      '--source=configs/mask.py',
      '--target=',
      '--preset=nothing',
      '--options=nowhere.json',
      '--options=configs/mask.py',
      '--networks=nothing',
    ),
  ),
  'make_faces': (
    ('--workdir=out', '--config=configs/faces.py:tiny', '--workers=1'),
    (
      *fields(
        *('shards', 'people', 'moments', 'views', 'size', 'samples'),
        besides=(),
      ),
      *fields('yaw', 'pitch'),
      *seeds('config.seed'),
      '--config.expression=nothing',
      '--config.backdrop=nothing',
      '--config.limit=(1,)',
      '--config.limit=(1,2,3)',
      '--config.limit=(-1,-1)',
      '--config.limit=1',
      '--config=configs/faces.py:nothing',
      *(f'--workers={x}' for x in ('-1', 'x', '', '99999')),
      '--workdir=',
    ),
  ),
  'make_styles': (
    ('--workdir=out', '--config=configs/styles.py:comic-tiny', '--workers=1'),
    (
      *fields('shards', 'count', 'size', besides=()),
      *seeds('config.seed'),
      '--config.style=nothing',
      '--config.style=',
      '--config=configs/styles.py:nothing',
      '--config=configs/styles.py:comic-large',
      '--config.dicebear=maybe',
      *(f'--workers={x}' for x in ('-1', 'x', '', '99999')),
      '--workdir=',
    ),
  ),
  'show_faces': (
    ('--out=out/a.png',),
    (
      '--what=nothing',
      *numbers('count'),
      *numbers('views'),
      *numbers('size'),
      *seeds('seed'),
      *numbers('fovy'),
      '--out=',
    ),
  ),
  'train_matcher': (
    (
      '--workdir=out',
      '--config=configs/matcher.py:tiny',
      '--config.data=nowhere',
    ),
    (
      '--config.data=nowhere',
      '--config.data=',
      *fields('steps', 'batch_size', 'held_out', 'features', besides=()),
      *fields('learning_rate', 'ema_decay', 'weight_decay'),
      *seeds('config.seed'),
      '--config.channels=()',
      '--config.channels=(0,8,8,8)',
      '--config.resume=maybe',
      '--workdir=',
    ),
  ),
  'train_prior': (
    (
      '--workdir=out',
      '--config=configs/prior.py:tiny',
      '--config.data=nowhere',
    ),
    (
      '--config.data=nowhere',
      *fields(
        *('steps', 'batch_size', 'sample_size', 'vocabulary', 'tokens'),
        *('text_features', 'text_layers', 'attention_heads', 'norm_groups'),
        besides=(),
      ),
      *fields('learning_rate', 'ema_decay', 'warmup_steps', 'decay_steps'),
      *seeds('config.seed'),
      '--config.channels=()',
      '--config.channels=(0,)',
      '--config.trained=()',
      "--config.trained=('nothing',)",
      '--config.dtype=int8',
      '--config=configs/prior.py:nothing',
      '--workdir=',
    ),
  ),
  'wear_mask': (
    ('--workdir=out', '--mask=nowhere.glb', '--image=nowhere.jpg'),
    (
      '--video=nowhere.mp4',
      '--prompt=a tiger',
      '--mask=',
      '--image=',
      *fields('track.faces'),
      *fields('mask.scale', 'mask.opacity', 'output.quality'),
      *fields('track.steadiness', 'track.hold', 'track.fade', 'light.tint'),
      '--config.place.box=(1.,2.,3.)',
      '--config.place.pose=(1.,2.)',
      '--config.nothing=1',
      '--config=configs/faces.py',
      '--workdir=',
    ),
  ),
}


def _files(folder):
  return sorted(p for p in folder.rglob('*') if 'configs' not in p.parts)


def _answer(name, arguments, monkeypatch):
  """Carry a command out; return the line it ends with, None without one."""
  command = commands.Command('', f'experiments.{name}', arguments)
  with (
    commands.imported(command.module) as module,
    monkeypatch.context() as patch,
  ):
    try:
      with flags_lib._one_line():
        module.main(commands.parse(command, patch))
    except SystemExit as end:
      return str(end.code)
    except Exception as error:
      return f'{type(error).__name__}: {error}'
  return None


@pytest.mark.filterwarnings('ignore:the load_module:DeprecationWarning')
@pytest.mark.parametrize('name', CASES)
def test_bad_flags_are_one_line_and_nothing_is_written(
  name, tmp_path, monkeypatch, capfd
):
  (tmp_path / 'configs').symlink_to(commands.ROOT / 'configs')
  monkeypatch.chdir(tmp_path)
  good, bad = CASES[name]
  # Of a command that lacks what it reads, each wrong flag is told before that.
  plain = None
  if any('nowhere' in word for word in good):
    plain = _answer(name, good, monkeypatch)
  for argument in bad:
    words = _answer(name, (*good, argument), monkeypatch)
    assert words is not None, f'{argument}: it is carried out'
    assert words.startswith('error: '), f'{argument}: {words}'
    assert '\n' not in words and len(words) < 700, f'{argument}: {words}'
    assert words != plain or argument in good, f'{argument}: {words}'
    assert capfd.readouterr() == ('', ''), argument
    assert not _files(tmp_path), argument


def test_every_command_has_bad_flags():
  from tests.training import bad_flags_test

  others = {name.partition('.')[2] for name in bad_flags_test.CASES}
  every = {
    path.stem for path in pathlib.Path(commands.ROOT).glob('experiments/[a-z]*')
  }
  assert others | set(CASES) == every
  tables = (CASES, bad_flags_test.CASES)
  count = sum(len(bad) for table in tables for _, bad in table.values())
  assert count >= 200
