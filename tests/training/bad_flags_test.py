"""Every wrong flag and field is one line, before anything is painted."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

_ROOT = pathlib.Path(__file__).parents[2]
_MASK = ('--workdir=out', '--config.prompt=a lion')
_BAD = ('0', '-1', 'nan', 'inf', '1e30', '9999999999999999', 'x', '')

_BROKEN = {
  'syntax.py': 'def get_config(:\n  pass\n',
  'none.py': 'x = 1\n',
  'wrong.py': 'def get_config():\n  return {"seed": 0}\n',
  'empty.py': 'def get_config():\n  pass\n',
  'name.py': 'def get_config():\n  return no_such_name\n',
  'module.py': 'import no_such_module\n',
  'file.py': 'def get_config():\n  return open("no_such_file")\n',
}


def run(module, cases, folder):
  """Return status, output and errors of a command for each of some cases."""
  for name, text in _BROKEN.items():
    (folder / name).write_text(text)
  path = os.pathsep.join((str(_ROOT), os.environ.get('PYTHONPATH', '')))
  result = subprocess.run(
    [sys.executable, '-m', 'tests.training.commands', module],
    cwd=folder,
    env=os.environ | {'PYTHONPATH': path, 'JAX_PLATFORMS': 'cpu'},
    input=json.dumps(cases),
    capture_output=True,
    text=True,
    check=True,
  )
  return json.loads(result.stdout)


def numbers(flag, *, besides=()):
  """Return a flag with every bad number that it does not allow."""
  return [f'{flag}={bad}' for bad in _BAD if bad not in besides]


# What a command needs, and arguments of which each is wrong beside it.
CASES = {
  'experiments.generate_mask': (
    _MASK,
    (
      *numbers('--config.steps'),
      *numbers('--config.seed', besides=('0',)),
      '--config.seed=4294967296',
      '--config.seed=-4294967296',
      *numbers('--config.views.count'),
      *numbers('--config.preview_size'),
      *numbers('--config.turntable_frames'),
      *numbers('--config.texture_size'),
      *numbers('--config.checkpoint_every'),
      *numbers('--config.render.sigma', besides=()),
      *numbers('--config.first_image.steps'),
      '--config.views.azimuth=(1,)',
      '--config.views.azimuth=(1,2,3)',
      '--config.views.azimuth=(80,-80)',
      "--config.views.azimuth=('a','b')",
      '--config.views.azimuth=(1',
      '--config.views.azimuth=5',
      '--config.views.azimuth=',
      '--config.views=5',
      '--config.views.light_colors=("mauve",)',
      '--config.formats=("exe",)',
      '--config.formats=()',
      '--config.prompt=',
      '--config.prompt= ',
      '--config.resume=maybe',
      '--config.distill.residual=nothing',
      '--config.distill.t_min=0.99',
      '--config.nothing=1',
      '--config.steps.x=1',
      '--config=configs/faces.py',
      '--config=configs/prior.py:tiny',
      '--config=configs/mask.py:nothing',
      '--config=configs/nothing.py',
      '--config=nothing',
      '--config=',
      *(f'--config={name}' for name in _BROKEN),
      '--nothing=1',
      'nothing',
    ),
  ),
  'experiments.generate_image': (
    ('--prompt=a lion', '--out=out'),
    (
      *numbers('--count'),
      *numbers('--steps'),
      *numbers('--seed', besides=('0',)),
      '--seed=4294967296',
      '--seed=4294967294',  # of four pictures, the third has too large a seed
      *numbers('--guidance_scale', besides=('0',)),
      '--controlnet_scale=nan',
      '--controlnet_scale=x',
      '--controlnet_scale=-1',
      '--sampler=nothing',
      '--dtype=int8',
      '--prompt=',
      '--init_image=a.png',
      '--controlnet=a',
      '--path=model.safetensors',
      '--path=/nowhere',
    ),
  ),
  'experiments.train_source': (
    ('--workdir=out', '--config=configs/source.py:tiny'),
    (
      *numbers('--config.measured'),
      *numbers('--config.walk_frames', besides=('0',)),
      *numbers('--config.batch'),
      *numbers('--config.raw_sides'),
      *numbers('--config.learning_rate', besides=('0',)),
      *numbers('--config.adversarial.r1_every'),
      *numbers(
        '--config.losses.depth', besides=('0', '1e30', '9999999999999999')
      ),
      '--config.losses.levels=0',
      '--config.start=9',
      '--config.raw_sides=()',
      '--config.raw_kimg=1',  # the first side is above the rendering's
      '--config.plane_axes=upside',
      '--config.stage=nothing',
      '--config=configs/mask.py',
    ),
  ),
  'experiments.render_avatar': (
    ('--out=out',),
    (
      '--seeds=x',
      '--seeds=-1',
      '--seeds=5-3',
      '--seeds=4294967296',
      '--seeds=0-4294967295',
      '--seeds=',
      *numbers('--psi', besides=('0', '-1')),
      *numbers('--radius'),
      *numbers('--rendering'),
      *numbers('--mesh_resolution'),
      *numbers('--frames'),
      *numbers('--cutoff', besides=('0',)),
      *numbers('--level', besides=('0', '-1', '1e30', '9999999999999999')),
      '--pivot=1,2',
      '--pivot=1,2,nan',
      '--what=nothing',
      '--format=exe',
      '--checkpoint=/nowhere',
    ),
  ),
}


@pytest.mark.parametrize('module', CASES)
def test_bad_flags_are_one_line(tmp_path, module):
  good, bad = CASES[module]
  # What is given twice counts as given last.
  results = run(module, [[*good, each] for each in bad], tmp_path)
  for argument, (status, out, err, *_) in zip(bad, results):
    assert status == 1, (argument, out, err)
    assert err.startswith('error: '), (argument, err)
    assert err.count('\n') == 1, (argument, err)
    assert not out, (argument, out)
    assert len(err) < 700, argument
  assert not (tmp_path / 'out').exists()
