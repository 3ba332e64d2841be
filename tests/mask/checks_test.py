"""Every field of the config is looked at before anything is loaded."""

import math

import ml_collections
import pytest

from configs import mask as mask_config
from maskjax.mask import checks


def _config(**fields):
  config = mask_config.get_config('tiny')
  config.update_from_flattened_dict(fields)
  return config


@pytest.mark.parametrize('mode', ['default', 'sd15', 'tiny'])
def test_what_the_config_file_holds_is_right(mode):
  config = mask_config.get_config(mode)
  checks.check(config)
  variants = []
  mask_config.sweep(lambda **changes: variants.append(changes))
  for changes in variants:
    checks.check(_config(**changes))
  assert len(variants) == 12


def test_every_number_has_limits():
  def names(config, prefix=''):
    for name, value in config.items():
      if isinstance(value, ml_collections.ConfigDict):
        yield from names(value, f'{prefix}{name}.')
      elif isinstance(value, int | float | tuple):
        yield prefix + name

  elsewhere = {'seed', 'resume', 'edge_length', 'texture_size', 'baked_size'}
  elsewhere |= {'diffusion.remat', 'views.light_colors', 'formats'}
  elsewhere |= {f'condition.{name}' for name in ('mask', 'height', 'normals')}
  elsewhere |= {'optimizer.pin_rim'}
  assert set(names(_config())) - elsewhere == set(checks._LIMITS)


@pytest.mark.parametrize('name', sorted(checks._LIMITS))
def test_numbers_out_of_their_limits_are_refused(name):
  low, high = checks._LIMITS[name]
  for number in (low - 1, high + 1, math.nan):
    value = number
    if isinstance(checks._field(_config(), name), tuple):
      value = (number,) * checks._LENGTHS.get(name, 1)
    elif isinstance(checks._field(_config(), name), int):
      value = 0 if math.isnan(number) and low > 0 else low - 1
    with pytest.raises(ValueError, match=f'{name} is .*; expected') as caught:
      checks.check(_config(**{name: value}))
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
  'fields, words',
  [
    ({'prompt': '  '}, 'prompt is empty'),
    ({'geometry': 'voxels'}, 'not one of vertices, sdf'),
    ({'texture': 'paint'}, 'not one of vertex, uv, hashgrid'),
    ({'distill.residual': 'noize'}, 'not one of noise, noised_image'),
    ({'distill.weight': 'w'}, 'not one of sigma2, '),
    ({'distill.timesteps': 'up'}, 'not one of uniform, anneal, increase'),
    ({'first_image.sampler': 'euler5'}, 'not one of auto, ddim'),
    ({'views.prompt_form': 'verse'}, 'not one of words, numbers, plain'),
    ({'views.light_colors': ('pinkish',)}, "no light is called 'pinkish'"),
    ({'views.azimuth': (30.0, -30.0)}, r'azimuth is \(30.0, -30.0\)'),
    ({'views.fovy': (30.0,)}, 'give 2 numbers'),
    ({'views.material_color': (1.0, 0.0)}, 'give 3 numbers'),
    ({'distill.t_min': 0.99}, 'above distill.t_max'),
    ({'formats': ('stl',)}, "formats has 'stl'"),
    ({'formats': ()}, 'formats is empty'),
    ({'baked_size': 1000}, 'power of two'),
    ({'geometry': 'sdf', 'texture': 'uv'}, 'stays the same'),
  ],
)
def test_what_cannot_be_run_is_refused(fields, words):
  with pytest.raises(ValueError, match=words) as caught:
    checks.check(_config(**fields))
  assert '\n' not in str(caught.value)


def test_a_missing_package_is_named(monkeypatch):
  monkeypatch.setattr(checks.importlib.util, 'find_spec', lambda name: None)
  config = _config(geometry='sdf', texture='hashgrid')
  with pytest.raises(ValueError, match=r"pip install 'maskjax\[atlas\]'"):
    checks.check(config)
