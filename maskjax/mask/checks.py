"""What the fields of configs/mask.py may be.

All of it is asked before anything is loaded or written, so that a slip of the
hand costs a second and not a run.
"""

import functools
import importlib.util
import math
from typing import Any

import ml_collections

from maskjax.diffusion import distill, sampling
from maskjax.geometry import mesh_io
from maskjax.mask import albedo, surface, views

_CHOICES = {
  'geometry': surface.GEOMETRIES,
  'texture': albedo.KINDS,
  'first_image.sampler': ('auto', *sampling.METHODS),
  'views.prompt_form': views.PROMPT_FORMS,
  'distill.residual': distill.RESIDUALS,
  'distill.weight': distill.WEIGHTS,
  'distill.timesteps': distill.TIMESTEP_SCHEDULES,
}
_ANY = math.inf
# Least and most of a number, both included; of a pair (low, high), of each.
_LIMITS = {
  'steps': (1, _ANY),
  'seconds': (0, _ANY),
  'loss_threshold': (0, _ANY),
  'back': (0, _ANY),
  'log_every': (1, _ANY),
  'checkpoint_every': (1, _ANY),
  'preview_size': (16, 2048),
  'turntable_frames': (1, 10_000),
  'sdf.cell': (0.3, 5),
  'sdf.margin': (1, 20),
  'sdf.headroom': (1, 100),
  'sdf.passes': (0, 100),
  'first_image.steps': (1, 1000),
  'first_image.guidance_scale': (0, _ANY),
  'first_image.guidance_rescale': (0, 1),
  'first_image.mask_scale': (0, 10),
  'first_image.likeness': (0, _ANY),
  'views.count': (1, 1024),
  'views.azimuth': (-180, 180),
  'views.elevation': (-89, 89),
  'views.fovy': (5, 120),
  'views.distance': (0.3, 10),
  'views.uniform_light': (0, 1),
  'views.light_jitter': (0, 1),
  'views.textureless': (0, 1),
  'views.material_color': (0, 1),
  'render.sigma': (1e-10, 1),
  'render.gamma': (1e-10, 1),
  'condition.normal_percentage': (0, 1),
  'controlnet.scales': (0, 10),
  'distill.horizon': (1, _ANY),
  'distill.t_min': (0, 1),
  'distill.t_max': (0, 1),
  'distill.width': (0, 1),
  'distill.guidance_scale': (0, _ANY),
  'distill.guidance_rescale': (0, 1),
  'distill.perp_neg': (0, 10),
  'distill.clip_x0': (0, _ANY),
  'distill.image_weight': (0, _ANY),
  'optimizer.vertex_rate': (0, _ANY),
  'optimizer.distance_rate': (0, _ANY),
  'optimizer.color_rate': (0, _ANY),
  'optimizer.field_rate': (0, _ANY),
  'optimizer.final_rate': (0, 1),
  'optimizer.smoothing': (0, 1000),
  'optimizer.offset_bound': (0.001, 10),
  'regularizers.laplacian': (0, _ANY),
  'regularizers.normal_consistency': (0, _ANY),
  'regularizers.edge_length': (0, _ANY),
  'regularizers.symmetry': (0, _ANY),
  'regularizers.foldover': (0, _ANY),
}
# How many numbers there are in a row.
_LENGTHS = {
  'views.azimuth': 2,
  'views.elevation': 2,
  'views.fovy': 2,
  'views.distance': 2,
  'views.material_color': 3,
}


def _field(config: ml_collections.ConfigDict, name: str) -> Any:
  """Return a field by its dotted name."""
  return functools.reduce(getattr, name.split('.'), config)


def _check_choices(config: ml_collections.ConfigDict) -> None:
  for name, choices in _CHOICES.items():
    value = _field(config, name)
    if value not in choices:
      raise ValueError(f'{name} {value!r} is not one of {", ".join(choices)}')
  if not config.formats:
    raise ValueError("formats is empty; give e.g. ('glb',)")
  known = [suffix.lstrip('.') for suffix in mesh_io.WRITABLE]
  for name in config.formats:
    if name not in known:
      raise ValueError(
        f'formats has {name!r}, which is not one of {", ".join(known)}; give '
        "e.g. ('glb', 'obj')"
      )


def _check_numbers(config: ml_collections.ConfigDict) -> None:
  for name, (low, high) in _LIMITS.items():
    value = _field(config, name)
    numbers = value if isinstance(value, tuple) else (value,)
    if len(numbers) != _LENGTHS.get(name, len(numbers)):
      raise ValueError(f'{name} is {value}; give {_LENGTHS[name]} numbers')
    if all(low <= x <= high and math.isfinite(x) for x in numbers):
      continue
    wanted = f'{low:g} to {high:g}' if math.isfinite(high) else f'>= {low:g}'
    raise ValueError(f'{name} is {value}; expected {wanted}')
  for name in (name for name, length in _LENGTHS.items() if length == 2):
    first, last = _field(config, name)
    if first > last:
      raise ValueError(f'{name} is ({first}, {last}); give (low, high)')
  if config.distill.t_min > config.distill.t_max:
    raise ValueError(
      f'distill.t_min is {config.distill.t_min}, above distill.t_max, '
      f'{config.distill.t_max}'
    )
  for name in ('texture_size', 'baked_size'):
    if config[name] < 1 or config[name] & (config[name] - 1):
      raise ValueError(f'{name} is {config[name]}; give a power of two')


def _check_texture(config: ml_collections.ConfigDict) -> None:
  """Refuse a texture that the start shape cannot carry."""
  if config.geometry != 'sdf':
    return
  if config.texture == 'uv':
    raise ValueError(
      "texture 'uv' needs a surface that stays the same, which geometry=sdf "
      "has not; use 'hashgrid', which is baked to a uv map at the end"
    )
  baked = config.texture == 'hashgrid'
  if baked and importlib.util.find_spec('xatlas') is None:
    raise ValueError(
      "texture 'hashgrid' of this mask is baked over a uv map by xatlas: "
      "pip install 'maskjax[atlas]'"
    )


def check(config: ml_collections.ConfigDict) -> None:
  """Refuse what cannot be run.

  Args:
    config: configs/mask.py.

  Raises:
    ValueError: an empty prompt, an unknown name, a number that is out of
      range or not finite, or fields that exclude each other; one line.
  """
  if not config.prompt.strip():
    raise ValueError(
      'the prompt is empty; say what the mask should be, '
      'e.g. --config.prompt="a Bengal tiger"'
    )
  _check_choices(config)
  _check_numbers(config)
  views.lightings(config.views)
  _check_texture(config)
