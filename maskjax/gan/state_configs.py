"""Configs of networks, read off the shapes of a reference state.

A state names its arrays but not the network; nearly all sizes can be read off
their shapes. What no array tells (super-resolution module, sampling, scales)
comes from the reference's `rendering_kwargs`.

Raises one-line ValueErrors that name the key that is wrong.
"""

from collections.abc import Mapping
import dataclasses
import re
from typing import Any, Literal

from maskjax.gan import discriminator, eg3d, stylegan2, superresolution
from maskjax.render.volume import triplane, volume
from maskjax.weights import eg3d_keys

# Keys of rendering_kwargs that steer training alone, or previews.
_OTHER_KEYS = frozenset(
  (
    'image_resolution',
    'gpc_reg_prob',
    'gpc_reg_fade_kimg',
    'density_reg',
    'density_reg_p_dist',
    'reg_type',
    'avg_camera_radius',
    'avg_camera_pivot',
  )
)
# Keys with the one value that is computed here.
_FIXED_KEYS = {'clamp_mode': 'softplus', 'density_noise': 0}
_OWN_KEYS = frozenset(
  (
    'disparity_space_sampling',
    'superresolution_module',
    'c_gen_conditioning_zero',
    'c_scale',
    'superresolution_noise_mode',
    'decoder_lr_mul',
    'sr_antialias',
    'depth_resolution',
    'depth_resolution_importance',
    'ray_start',
    'ray_end',
    'box_warp',
    'white_back',
  )
)
_SR_CLASS = re.compile(r'.*Superresolution(?:Hybrid)?(\w+)')


def _shape(state: Mapping[str, Any], key: str) -> tuple[int, ...]:
  """Return the shape of an array that must be there."""
  if key not in state:
    raise ValueError(f'the state has no {key}')
  return tuple(state[key].shape)


def _numbers(state: Mapping[str, Any], pattern: str) -> list[int]:
  """Return the numbers in keys that start like a pattern, sorted."""
  found = (re.match(pattern, key) for key in state)
  return sorted({int(match[1]) for match in found if match})


def _stylegan2_config(
  state: Mapping[str, Any], prefix: str, clamp: float | None
) -> stylegan2.StyleGAN2Config:
  """Read the config of a generator off its arrays."""
  synthesis, mapping = f'{prefix}synthesis.', f'{prefix}mapping.'
  sides = _numbers(state, re.escape(synthesis) + r'b(\d+)\.')
  if sides != [4 << i for i in range(len(sides))] or not sides:
    raise ValueError(f'{synthesis}b* are blocks {sides}, expected 4, 8, 16 ...')
  blocks = [f'{synthesis}b{side}.' for side in sides]
  layers = len(_numbers(state, re.escape(mapping) + r'fc(\d+)\.weight'))
  hidden, inputs = _shape(state, f'{mapping}fc0.weight')
  w_dim = _shape(state, f'{mapping}fc{layers - 1}.weight')[0]
  embedded, c_dim = 0, 0
  if f'{mapping}embed.weight' in state:
    embedded, c_dim = _shape(state, f'{mapping}embed.weight')
  architecture: Literal['skip', 'resnet', 'orig'] = 'orig'
  if f'{blocks[0]}torgb.weight' in state:
    architecture = 'skip'
  elif f'{blocks[-1]}skip.weight' in state:
    architecture = 'resnet'
  if len(blocks) == 1:
    architecture = 'skip'
  return stylegan2.StyleGAN2Config(
    z_dim=inputs - embedded,
    c_dim=c_dim,
    w_dim=w_dim,
    channels=tuple(_shape(state, f'{b}conv1.weight')[0] for b in blocks),
    image_channels=_shape(state, f'{blocks[-1]}torgb.weight')[0],
    mapping_layers=layers,
    embed_features=None if embedded in (0, w_dim) else embedded,
    layer_features=None if hidden == w_dim else hidden,
    architecture=architecture,
    clamp=clamp,
    use_noise=f'{blocks[0]}conv1.noise_strength' in state,
    filter_gain=eg3d_keys.filter_gain(state, prefix),
  )


def _superresolution_config(
  state: Mapping[str, Any], options: Mapping[str, Any], clamp: float | None
) -> superresolution.SuperResolutionConfig:
  """Read the config of the final network."""
  name = str(options.get('superresolution_module'))
  match = _SR_CLASS.fullmatch(name)
  config = superresolution.SuperResolutionConfig(
    kind=match[1] if match else name,
    antialias=bool(options.get('sr_antialias', True)),
    noise=options.get('superresolution_noise_mode', 'none'),
    clamp=clamp,
  )
  block = 'superresolution.block{}.conv1.weight'
  side = _shape(state, 'superresolution.block0.conv1.noise_const')[0]
  return dataclasses.replace(
    config,
    input_resolution=side // 2 if config.enlarges else side,
    filter_gain=eg3d_keys.filter_gain(state, 'superresolution.'),
    channels=(
      _shape(state, block.format(0))[0],
      _shape(state, block.format(1))[0],
    ),
  )


def _volume_config(
  options: Mapping[str, Any], mode: volume.Mode
) -> volume.VolumeConfig:
  """Read the sampling."""
  limits = [options.get('ray_start'), options.get('ray_end')]
  if limits == ['auto', 'auto']:
    limits = [None, None]
  elif not all(isinstance(limit, int | float) for limit in limits):
    raise ValueError(
      f'ray_start={limits[0]!r} and ray_end={limits[1]!r} are not two numbers, '
      "or twice 'auto'"
    )
  return volume.VolumeConfig(
    coarse=options['depth_resolution'],
    fine=options.get('depth_resolution_importance', 0),
    start=limits[0],
    end=limits[1],
    box=options['box_warp'],
    disparity=bool(options.get('disparity_space_sampling', False)),
    white_background=bool(options.get('white_back', False)),
    mode=mode,
  )


def volume_config(
  options: Mapping[str, Any], *, mode: volume.Mode = 'parity'
) -> volume.VolumeConfig:
  """Read the sampling from the reference's rendering_kwargs.

  Args:
    options: rendering_kwargs.
    mode: see `volume.VolumeConfig`.

  Raises:
    ValueError: a key that is missing, unknown, or has an unsupported value.
  """
  for key, value in options.items():
    if key in _FIXED_KEYS:
      if value != _FIXED_KEYS[key]:
        raise ValueError(
          f'{key}={value!r} is not supported, only {_FIXED_KEYS[key]!r} is'
        )
    elif key not in _OWN_KEYS and key not in _OTHER_KEYS:
      raise ValueError(f'rendering_kwargs: {key} is not a key that is known')
  for key in ('depth_resolution', 'box_warp', 'ray_start', 'ray_end'):
    if key not in options:
      raise ValueError(f'rendering_kwargs has no {key}')
  return _volume_config(options, mode)


def eg3d_config(
  state: Mapping[str, Any],
  options: Mapping[str, Any],
  *,
  rendering_resolution: int = 64,
  plane_axes: triplane.PlaneAxes = 'eg3d',
  mode: volume.Mode = 'parity',
  backbone_clamp: float | None = None,
  superresolution_clamp: float | None = 256.0,
) -> eg3d.EG3DConfig:
  """Read the config of an EG3D generator.

  Args:
    state: arrays, or anything with a shape, under the reference's keys.
    options: the reference's rendering_kwargs.
    rendering_resolution: the reference's neural_rendering_resolution.
    plane_axes: 'eg3d' for released models.
    mode: 'parity' or 'clean', see `volume.VolumeConfig`.
    backbone_clamp: largest magnitude in the backbone; None as released.
    superresolution_clamp: the same for super-resolution, 256 as released.

  Raises:
    ValueError: by the name of a key, what does not make a model.
  """
  sampling = volume_config(options, mode=mode)
  hidden, _ = _shape(state, 'decoder.net.0.weight')
  return eg3d.EG3DConfig(
    backbone=_stylegan2_config(state, 'backbone.', backbone_clamp),
    superresolution=_superresolution_config(
      state, options, superresolution_clamp
    ),
    volume=sampling,
    rendering_resolution=rendering_resolution,
    hidden_features=hidden,
    features=_shape(state, 'decoder.net.2.weight')[0] - 1,
    decoder_lr_multiplier=options.get('decoder_lr_mul', 1),
    plane_axes=plane_axes,
    condition_scale=options.get('c_scale', 0),
    zero_condition=bool(options.get('c_gen_conditioning_zero', False)),
  )


def discriminator_config(
  state: Mapping[str, Any],
  *,
  clamp: float | None = 256.0,
  group_size: int | None = 4,
) -> discriminator.DiscriminatorConfig:
  """Read the config of a discriminator; see `eg3d_config`."""
  sides = _numbers(state, r'b(\d+)\.')
  if sides != [4 << i for i in range(len(sides))] or len(sides) < 2:
    raise ValueError(f'b* are blocks {sides}, expected 4, 8, 16 ...')
  features = _shape(state, 'b4.conv.weight')
  outer = [_shape(state, f'b{side}.conv0.weight')[0] for side in sides[1:]]
  architecture = 'orig'
  if 'b4.fromrgb.weight' in state:
    architecture = 'skip'
  elif 'b8.skip.weight' in state:
    architecture = 'resnet'
  layers = len(_numbers(state, r'mapping\.fc(\d+)\.weight'))
  projection, c_dim = None, 0
  if layers:
    projection = _shape(state, 'b4.out.weight')[0]
    c_dim = _shape(state, 'mapping.embed.weight')[1]
  return discriminator.DiscriminatorConfig(
    image_channels=_shape(state, f'b{sides[-1]}.fromrgb.weight')[1],
    c_dim=c_dim,
    channels=(features[0], *outer),
    cmap_dim=None if projection == features[0] else projection,
    architecture=architecture,
    clamp=clamp,
    group_size=group_size,
    deviation_channels=features[1] - features[0],
    mapping_layers=layers or 8,
    filter_gain=eg3d_keys.filter_gain(state),
  )


def stylegan2_config(
  state: Mapping[str, Any], *, clamp: float | None = None
) -> stylegan2.StyleGAN2Config:
  """Read the config of a StyleGAN2 generator; see `eg3d_config`."""
  return _stylegan2_config(state, '', clamp)
