"""Every field of the config is looked at before anything is loaded."""

import math
import typing

import pytest

from configs import mask as mask_config
from maskjax.mask import settings as settings_lib
from maskjax.training import settings as read_lib
from tests.mask import small

_FIELDS = read_lib.fields(settings_lib.MaskSettings)
_LIMITS = {
  name: field.metadata[read_lib.LIMITS]
  for name, field in _FIELDS.items()
  if read_lib.LIMITS in field.metadata
}


def _value(name):
  """Return what the config has in a field."""
  value = mask_config.get_config('tiny')
  for part in name.split('.'):
    value = value[part]
  return value


@pytest.mark.parametrize('mode', ['default', 'sd15', 'tiny'])
def test_what_the_config_file_holds_is_right(mode):
  small.settings(mode)
  variants = []
  mask_config.sweep(lambda **changes: variants.append(changes))
  for changes in variants:
    changed = read_lib.changed(small.settings(mode), changes)
    for name, value in changes.items():
      part, field = name.split('.')
      assert getattr(getattr(changed, part), field) == value
  assert len(variants) == 17


def test_every_number_has_limits():
  numbers = {
    name
    for name, field in _FIELDS.items()
    if field.type in (int, float) or typing.get_origin(field.type) is tuple
  }
  elsewhere = {'resume', 'edge_length', 'texture_size', 'baked_size'}
  elsewhere |= {'views.light_colors', 'formats'}
  assert numbers - elsewhere == set(_LIMITS)


@pytest.mark.parametrize('name', sorted(_LIMITS))
def test_numbers_out_of_their_limits_are_refused(name):
  low, high = _LIMITS[name]
  for number in (low - 1, high + 1, math.nan):
    value, usual = number, _value(name)
    if isinstance(usual, tuple):
      value = (number,) * len(usual)
    elif isinstance(usual, int):
      value = 0 if math.isnan(number) and low > 0 else low - 1
    with pytest.raises(ValueError, match=f'{name} is .*; expected') as caught:
      read_lib.changed(small.settings(), {name: value})
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
  'fields, words',
  [
    ({'prompt': '  '}, 'prompt is empty'),
    ({'distill.residual': 'noize'}, 'not one of noise, noised_image'),
    ({'distill.weight': 'w'}, 'not one of sigma2, '),
    ({'distill.timesteps': 'up'}, 'not one of uniform, anneal, increase'),
    ({'first_image.sampler': 'euler5'}, 'not one of auto, ddim'),
    ({'views.prompt_form': 'verse'}, 'not one of words, numbers, plain'),
    ({'views.light_colors': ('pinkish',)}, "no light is called 'pinkish'"),
    ({'views.azimuth': (30.0, -30.0)}, r'azimuth is \(30.0, -30.0\)'),
    ({'views.fovy': (30.0,)}, 'give 2 values'),
    ({'views.material_color': (1.0, 0.0)}, 'give 3 values'),
    ({'distill.t_min': 0.99}, 'above distill.t_max'),
    ({'sdf.cell': 5.0}, 'sdf.margin is 9.0; give at least two cells, 10.0 cm'),
    ({'formats': ('stl',)}, r"formats is \('stl',\); .*glb, obj, ply"),
    ({'formats': ()}, r'formats is \(\); give one or more of glb'),
    ({'baked_size': 1000}, 'power of two'),
  ],
)
def test_what_cannot_be_run_is_refused(fields, words):
  with pytest.raises(ValueError, match=words) as caught:
    read_lib.changed(small.settings(), fields)
  assert '\n' not in str(caught.value)


def test_more_training_may_change_how_long_and_what_is_written():
  assert set(read_lib.changeable(settings_lib.MaskSettings)) == {
    'steps',
    'seconds',
    'loss_threshold',
    'log_every',
    'checkpoint_every',
    'formats',
    'preview_size',
    'turntable_frames',
    'baked_size',
    'sdf.headroom',
  }
  assert read_lib.commands(settings_lib.MaskSettings) == ('resume', 'back')
