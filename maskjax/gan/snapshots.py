"""Files of the reference: snapshots and plain states, read and written.

Snapshots (`.pkl`, `.pt`) are read by `weights.persistence`, which runs nothing
of them; plain states (`.npz`, `.safetensors`) hold arrays under the
reference's key names.

Raises one-line ValueErrors throughout.
"""

from collections.abc import Iterator, Mapping
import contextlib
import os
import pathlib
from typing import Any

import jax
import numpy as np
import safetensors.numpy

from maskjax.gan import model as model_lib, restore, state_configs
from maskjax.training import files, settings
from maskjax.weights import archives, persistence, pointers

# Order of preference where a file holds several generators.
GENERATORS = ('G_ema', 'G')
NETWORKS = (*GENERATORS, 'D')
_AXES = {
  'eg3d': [[0, 0, 1], [1, 0, 0], [0, 1, 0]],
  'fixed': [[0, 0, 1], [0, 1, 0], [1, 0, 0]],
}
# What a plain state does not say, for the data sets of the released models.
_COMMON = {
  'c_scale': 1.0,
  'c_gen_conditioning_zero': False,
  'depth_resolution': 48,
  'depth_resolution_importance': 48,
}
PRESETS: dict[str, dict[str, Any]] = {
  'ffhq': {
    **_COMMON,
    'superresolution_module': 'SuperresolutionHybrid8XDC',
    'ray_start': 2.25,
    'ray_end': 3.3,
    'box_warp': 1,
  },
  'shapenet': {
    **_COMMON,
    'superresolution_module': 'SuperresolutionHybrid2X',
    'depth_resolution': 64,
    'depth_resolution_importance': 64,
    'ray_start': 0.1,
    'ray_end': 2.6,
    'box_warp': 1.6,
    'white_back': True,
  },
}
PRESETS['afhq'] = PRESETS['ffhq']


def _clamp(network: persistence.Network, path: str, default: Any) -> Any:
  """Return the clamp of a layer, or a default where none is recorded."""
  layer = network.find(path)
  if layer is None or 'conv_clamp' not in layer.values:
    return default
  return layer.values['conv_clamp']


def _plane_axes(network: persistence.Network) -> Any:
  """Return the plane axes of a generator."""
  renderer = network.find('renderer')
  axes = None if renderer is None else renderer.values.get('plane_axes')
  if axes is None:
    return 'eg3d'
  for name, last in _AXES.items():
    if np.array_equal(np.asarray(axes)[-1], last):
      return name
  raise ValueError('the planes of the renderer have axes that are not known')


def _config_of(network: persistence.Network, state: Mapping[str, Any]) -> Any:
  """Return our config of a network in a snapshot."""
  if any(key.startswith('backbone.') for key in state):
    options = dict(network.values.get('rendering_kwargs') or {})
    final = network.find('superresolution')
    if final is not None and 'superresolution_module' not in options:
      options['superresolution_module'] = final.name
    if not options:
      raise ValueError('the generator has no rendering_kwargs')
    return state_configs.eg3d_config(
      state,
      options,
      rendering_resolution=int(
        network.values.get('neural_rendering_resolution', 64)
      ),
      plane_axes=_plane_axes(network),
      backbone_clamp=_clamp(network, 'backbone.synthesis.b4.conv1', None),
      superresolution_clamp=_clamp(
        network, 'superresolution.block0.conv1', 256.0
      ),
    )
  if any(key.startswith('synthesis.') for key in state):
    clamp = _clamp(network, 'synthesis.b4.conv1', None)
    return state_configs.stylegan2_config(state, clamp=clamp)
  deviation = network.find('b4.mbstd')
  group = 4 if deviation is None else deviation.values.get('group_size', 4)
  clamp = _clamp(network, 'b4.conv', 256.0)
  return state_configs.discriminator_config(
    state, clamp=clamp, group_size=group
  )


def _plain_config(
  state: Mapping[str, Any], options: Mapping[str, Any] | None
) -> Any:
  """Return our config of a plain state."""
  if any(key.startswith('backbone.') for key in state):
    if options is None:
      raise ValueError(
        'a plain state of EG3D does not say how it is rendered; give '
        f'rendering_kwargs, or one of the presets {sorted(PRESETS)}'
      )
    options = dict(options)
    resolution = options.pop('neural_rendering_resolution', 64)
    return state_configs.eg3d_config(
      state, options, rendering_resolution=int(resolution)
    )
  if any(key.startswith('synthesis.') for key in state):
    return state_configs.stylegan2_config(state)
  return state_configs.discriminator_config(state)


def read_state(path: pathlib.Path) -> dict[str, np.ndarray]:
  """Read a plain state.

  Args:
    path: `.npz` or `.safetensors`.

  Raises:
    ValueError: a file that is damaged or holds anything but arrays.
  """
  pointers.refuse(path)
  try:
    if path.suffix == '.safetensors':
      return safetensors.numpy.load_file(path)
  # Damage shows as an error of any type.
  except Exception as error:
    reason = ' '.join(str(error).split())[:200]
    reason += '; it is damaged, copy it again'
    raise ValueError(f'cannot read {path}: {reason}') from error
  return archives.read_npz(path)


def _split(state: dict[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
  """Sort a plain state by network, where its keys begin with one."""
  parts: dict[str, dict[str, np.ndarray]] = {}
  for key, value in state.items():
    head, _, rest = key.partition('.')
    name = head if head in NETWORKS and rest else ''
    parts.setdefault(name, {})[rest if name else key] = value
  if '' in parts:
    own = parts.pop('')
    generates = any(k.startswith(('backbone.', 'synthesis.')) for k in own)
    parts['G_ema' if generates else 'D'] = own
  return parts


def _restore(
  config: model_lib.Config, state: Mapping[str, Any]
) -> model_lib.Model:
  """Fill a network, and refuse weights that training has lost."""
  for key, value in state.items():
    value = np.asarray(value)
    if value.dtype.kind == 'f' and not np.isfinite(value).all():
      raise ValueError(f'{key} holds numbers that are not finite')
  # A file of others may say anything of how it is rendered.
  return restore.restore(settings.changed(config, {}), state)


@contextlib.contextmanager
def located(path: pathlib.Path, name: str) -> Iterator[None]:
  """Name file and network in the errors of a block.

  Args:
    path: of the file.
    name: of the network in it.
  """
  try:
    yield
  except (TypeError, ValueError) as error:
    raise ValueError(f'{path}: {name}: {error}') from error


def read_reference(
  path: str | os.PathLike[str], *, options: Mapping[str, Any] | None = None
) -> dict[str, model_lib.Model]:
  """Read the networks of a reference file, every key and shape checked.

  Args:
    path: a snapshot, or a plain state (`.npz`, `.safetensors`) whose keys may
      begin with 'G_ema.', 'G.' or 'D.'.
    options: rendering_kwargs (and neural_rendering_resolution) of a plain
      state of EG3D, e.g. of `PRESETS`; a snapshot has its own.

  Raises:
    FileNotFoundError: no such file.
    ValueError: what is wrong with the file, and where.
  """
  path = pathlib.Path(path)
  if not path.is_file():
    raise FileNotFoundError(f'no file {path}')
  models = {}
  if path.suffix in ('.npz', '.safetensors'):
    for name, state in _split(read_state(path)).items():
      with located(path, name):
        config = _plain_config(state, options)
        models[name] = _restore(config, state)
  else:
    content = persistence.read(path)
    for name in NETWORKS:
      network = content.get(name)
      if not isinstance(network, persistence.Network):
        continue
      with located(path, name):
        state = network.state()
        models[name] = _restore(_config_of(network, state), state)
  if not models:
    raise ValueError(f'{path} holds none of the networks {list(NETWORKS)}')
  return models


def write_reference(
  path: str | os.PathLike[str], models: Mapping[str, model_lib.Model]
) -> None:
  """Write networks as one plain state under the reference's key names.

  Args:
    path: `.npz` or `.safetensors`.
    models: by name; keys begin with the names if there are several.

  Raises:
    ValueError: another suffix.
  """
  path = pathlib.Path(path)
  if path.suffix not in ('.npz', '.safetensors'):
    raise ValueError(f'{path} ends in neither .npz nor .safetensors')
  state = {}
  for name, model in models.items():
    prefix = f'{name}.' if len(models) > 1 else ''
    for key, value in restore.export(model).items():
      state[prefix + key] = np.ascontiguousarray(jax.device_get(value)).reshape(
        value.shape
      )
  with files.replacing(path) as temporary:
    if path.suffix == '.npz':
      np.savez(temporary, **state)  # type: ignore[arg-type]
    else:
      safetensors.numpy.save_file(state, temporary)
