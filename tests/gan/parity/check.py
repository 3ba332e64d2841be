"""Compares generators and discriminators with goldens of the reference.

A folder of goldens holds, for each set X, `X_forward.npz` (inputs, results
and, in `meta`, configuration and seed), `X_grads.npz`, and the weights, either
as `X_state_G.npz` and `X_state_D.npz` or by `recipe` from the seed;
`X_loss.npz` (`losses`); `X_golden.npz` for a model of full size
(`full`), also in a folder below; further `sg2_*.npz` for plain
StyleGAN2 and `units_*.npz` for single operations (`units`).
`float_error.json` has the reference's own float32 noise, which sets the
tolerances.

Shapes: goldens are in the reference's layouts (channels first), ours have
their channels last; see `rows`.
"""

from collections.abc import Callable, Iterator
import dataclasses
import functools
import json
import os
import pathlib
from typing import Any

import numpy as np

from maskjax.gan import (
  model as model_lib,
  restore,
  state_configs,
)
from maskjax.geometry import camera as camera_lib
from maskjax.render.volume import rays as rays_lib
from tests.gan.parity import (
  augmentation,
  full,
  gradients,
  losses,
  recipe,
  rows as golden_rows,
  units,
)
from tests.gan.parity.rows import channels_first, channels_last

Row = golden_rows.Row
Golden = golden_rows.Golden

# Names of X_forward.npz that are not results.
_INPUTS = r'z|c|.*/rng\d+_\w+|sample/xyz'
# Super-resolution modules that behave as the word in `meta` says.
_FINAL = {'up2': '8XDC', 'noup': '2X', 'noup4x': '4X'}


def load_state(
  folder: pathlib.Path, golden: Golden, part: str, seed_offset: int = 0
) -> dict[str, np.ndarray]:
  """Return the weights of a network, stored or made from the seed.

  Args:
    folder: of the goldens.
    golden: X_forward.npz.
    part: 'G' or 'D'.
    seed_offset: of the recipe.
  """
  name = golden.name.removesuffix('_forward.npz')
  stored = folder / f'{name}_state_{part}.npz'
  if stored.exists():
    return dict(golden_rows.load(stored).arrays)
  options = golden.meta.get('rendering_kwargs', {})
  return recipe.make_state(
    golden.meta['seed'] + seed_offset,
    golden.meta[f'{part}_keys'],
    decoder_lr_multiplier=options.get('decoder_lr_mul', 1),
  )


def load_generator(folder: pathlib.Path, golden: Golden) -> model_lib.Model:
  """Build the generator of a set."""
  state = load_state(folder, golden, 'G')
  options = dict(golden.meta['rendering_kwargs'])
  if golden.meta.get('sr') in _FINAL:
    options['superresolution_module'] = _FINAL[golden.meta['sr']]
  config = state_configs.eg3d_config(
    state,
    options,
    rendering_resolution=golden.meta['neural'],
  )
  return restore.restore(config, state)


def _apply(
  model: model_lib.Model, method: Callable, **options: Any
) -> Callable:
  """Return a compiled method of a model's network."""
  compiled = golden_rows.exact_jit(
    lambda variables, *inputs: model.module.apply(
      variables, *inputs, method=method, **options
    )
  )
  return functools.partial(compiled, model.variables)


def _strided(planes: Any, count: int) -> np.ndarray:
  """Return planes as channels first, every n-th channel so that count is."""
  flat = np.concatenate(np.moveaxis(np.asarray(planes), 1, 0), -1)
  channels = channels_first(flat)
  stride = next(
    n
    for n in range(1, channels.shape[1] + 1)
    if -(-channels.shape[1] // n) == count
  )
  return channels[:, ::stride]


def _check_latents(golden: Golden, model: model_lib.Model) -> Iterator[Row]:
  """Compare the mapping network."""
  z, c = golden['z'], golden['c']
  ours = {'ws': _apply(model, model.module.map)(z, c)}
  yield from golden_rows.compare_known(golden, ours)
  if 'ws_trunc' in golden:
    psi, cutoff = golden.meta['psi']
    map_ = _apply(
      model, model.module.map, truncation_psi=psi, truncation_cutoff=cutoff
    )
    yield golden_rows.compare(golden, 'ws_trunc', map_(z, c))


def _check_planes(
  golden: Golden, model: model_lib.Model, styles: Any
) -> Iterator[Row]:
  """Compare the backbone, and its blocks where they are recorded."""
  plane = _apply(model, model.module.planes, capture_intermediates=True)
  planes, captured = plane(styles)
  if 'planes' in golden:
    ours = _strided(planes, golden['planes'].shape[1])
    yield golden_rows.compare(golden, 'planes', ours)
  blocks = captured['intermediates']['backbone']['synthesis']
  for name in golden.arrays:
    parts = name.split('/')
    if parts[0] == 'block':
      value = blocks[parts[1]]['__call__'][0][parts[2] == 'img']
      yield golden_rows.compare(golden, name, channels_first(value))
  if 'planes_nonoise' in golden:
    silent = _apply(model, model.module.planes, noise='none')(styles)
    ours = _strided(silent, golden['planes_nonoise'].shape[1])
    yield golden_rows.compare(golden, 'planes_nonoise', ours)


def uniforms_of(
  golden: Golden, run: str, model: model_lib.Model, resolution: int
) -> rays_lib.Uniforms:
  """Return the random numbers of a run, recorded or the middles."""
  sampling = model.module.config.volume
  batch = golden['z'].shape[0]
  if f'{run}/rng0_rand_like' not in golden:
    return rays_lib.centred_uniforms(
      batch, resolution**2, sampling.coarse, sampling.fine
    )
  return rays_lib.Uniforms(
    golden[f'{run}/rng0_rand_like'][..., 0],
    golden[f'{run}/rng1_rand'].reshape(batch, resolution**2, -1),
  )


def _details(rendering: Any, rays: Any, name: str, length: int) -> Any:
  """Return one array below 'render/' in the golden's layout, or None.

  Features are recorded for the first rays alone: `length` counts samples.
  """
  coarse, fine = rendering.coarse, rendering.fine
  column = lambda x: x.reshape(x.shape[0], -1, 1)
  rows = lambda x: x.reshape(x.shape[0], -1, x.shape[-1])[:, :length]
  depths = np.concatenate([coarse.depths, fine.depths], -1)
  order = np.argsort(depths, -1)
  in_order = lambda x: np.take_along_axis(x, order, -1)[..., None]
  points = lambda depths: rows(
    rays.origins[:, :, None] + depths[..., None] * rays.directions[:, :, None]
  )
  values = {
    'ray_origins': lambda: rays.origins,
    'ray_directions': lambda: rays.directions,
    'xyz_coarse': lambda: points(coarse.depths),
    'xyz_fine': lambda: points(fine.depths),
    'depths_coarse': lambda: coarse.depths[..., None],
    'depths_fine': lambda: fine.depths[..., None],
    'rgb_coarse': lambda: rows(coarse.features),
    'rgb_fine': lambda: rows(fine.features),
    'sigma_coarse': lambda: column(coarse.densities),
    'sigma_fine': lambda: column(fine.densities),
    'weights_coarse': lambda: rendering.coarse_weights[..., None],
    'weights_final': lambda: rendering.weights[..., None],
    'rgb_final': lambda: rendering.features,
    'depth_final': lambda: rendering.depth,
    'depths_all': lambda: in_order(depths),
    'sigma_all': lambda: in_order(
      np.concatenate([coarse.densities, fine.densities], -1)
    ),
  }
  return values[name]() if name in values else None


def _check_details(
  golden: Golden,
  run: str,
  model: model_lib.Model,
  planes: Any,
  uniforms: Any,
  resolution: int,
) -> Iterator[Row]:
  """Compare the steps of volume rendering."""
  names = golden.under(f'{run}/render/')
  if not names:
    return
  trace = _apply(model, model.module.trace, resolution=resolution)
  rendering = trace(planes, golden['c'], uniforms)
  rays = golden_rows.exact_jit(
    lambda c: rays_lib.camera_rays(camera_lib.from_vector25(c), resolution)
  )(golden['c'])
  for name in names:
    length = golden[f'{run}/render/{name}'].shape[1]
    value = _details(rendering, rays, name, length)
    if value is not None:
      yield golden_rows.compare(golden, f'{run}/render/{name}', value)


def _check_run(
  golden: Golden, run: str, model: model_lib.Model, render: Any, scene: Any
) -> Iterator[Row]:
  """Compare the images of one run."""
  styles, planes = scene
  resolution = golden[f'{run}/image_raw'].shape[-1]
  uniforms = uniforms_of(golden, run, model, resolution)
  picture = render(resolution)(planes, styles, golden['c'], uniforms)
  ours = {
    'image': picture.image,
    'image_raw': picture.image_raw,
    'image_depth': picture.depth,
    'image_raw_rendered': picture.features[..., :3],
  }
  yield from golden_rows.compare_known(
    golden,
    {f'{run}/{name}': channels_first(value) for name, value in ours.items()},
  )
  yield from _check_details(golden, run, model, planes, uniforms, resolution)


def _runs(golden: Golden) -> list[str]:
  """Return the names of the recorded runs."""
  return [
    name.removesuffix('/image')
    for name in golden.arrays
    if name.endswith('/image') and name.count('/') == 1
  ]


def _with_axes(model: model_lib.Model, plane_axes: str) -> model_lib.Model:
  """Return the model with other plane axes."""
  config = dataclasses.replace(model.module.config, plane_axes=plane_axes)
  return model._replace(module=config.build())


def _renderers(model: model_lib.Model) -> Callable[[int], Callable]:
  """Return a compiled renderer for each resolution, made once."""
  made: dict[int, Callable] = {}

  def get(resolution):
    if resolution not in made:
      made[resolution] = _apply(
        model, model.module.render, resolution=resolution
      )
    return made[resolution]

  return get


def check_forward(golden: Golden, model: model_lib.Model) -> Iterator[Row]:
  """Compare every result of an EG3D generator.

  Args:
    golden: X_forward.npz.
    model: its generator.

  Yields:
    A row for each array.
  """
  rows = list(_check_latents(golden, model))
  style, plane = (
    _apply(model, model.module.styles),
    _apply(model, model.module.planes),
  )
  ws = golden.arrays.get('ws')
  if ws is None:
    ws = _apply(model, model.module.map)(golden['z'], golden['c'])
  styles = style(ws)
  rows += _check_planes(golden, model, styles)
  yield from rows
  scene = styles, plane(styles)
  render = _renderers(model)
  for run in _runs(golden):
    own, own_scene, own_render = model, scene, render
    if run.startswith('trunc'):
      cut = style(golden['ws_trunc'])
      own_scene = cut, plane(cut)
    if run.startswith('fixed_axes'):
      own = _with_axes(model, 'fixed')
      own_render = _renderers(own)
    for row in _check_run(golden, run, own, own_render, own_scene):
      rows.append(row)
      yield row
  if 'sample/xyz' in golden:
    field = _apply(model, model.module.field)(scene[1], golden['sample/xyz'])
    values = {'sample/sigma': field[0][..., None], 'sample/rgb': field[1]}
    for row in golden_rows.compare_known(golden, values):
      rows.append(row)
      yield row
  yield from golden_rows.left_out(golden, rows, _INPUTS)


def check_stylegan2(golden: Golden) -> Iterator[Row]:
  """Compare plain StyleGAN2 networks with goldens.

  Args:
    golden: sg2_*.npz; `meta` maps each variant to its configuration.

  Yields:
    A row for each array.
  """
  rows = []
  for name, case in golden.meta.items():
    state = recipe.make_state(case['seed_G'], case['G_keys'])
    generator = restore.restore(state_configs.stylegan2_config(state), state)
    z = golden['z'][:, : case['z_dim']]
    c = np.zeros((len(z), 0), np.float32)
    if case['c_dim']:
      c = golden['c'][:, : case['c_dim']]
    ws = _apply(generator, generator.module.map)(z, c)
    image = _apply(generator, generator.module.synthesize)(ws).image
    state = recipe.make_state(case['seed_D'], case['D_keys'])
    config = state_configs.discriminator_config(
      state, group_size=case.get('mbstd_group', 4)
    )
    judge = restore.restore(config, state)
    judged = golden.arrays.get(f'{name}/image', channels_first(image))
    given = channels_last(judged)
    ours = {
      'ws': ws,
      'image': channels_first(image),
      'logits': _apply(judge, judge.module.__call__)(given, c),
    }
    for key in golden.under(f'{name}/image_psi'):
      low = _apply(generator, generator.module.map, truncation_psi=float(key))(
        z, c
      )
      silent = _apply(generator, generator.module.synthesize, noise='none')(
        low
      ).image
      ours[f'image_psi{key}'] = channels_first(silent)
    values = {f'{name}/{key}': value for key, value in ours.items()}
    for row in golden_rows.compare_known(golden, values):
      rows.append(row)
      yield row
  yield from golden_rows.left_out(golden, rows, 'z|c')


def _noise(folder: pathlib.Path) -> dict[str, Any]:
  """Return the measured noise by set, kind and array."""
  path = folder / 'float_error.json'
  return json.loads(path.read_text()) if path.exists() else {}


def check_file(path: pathlib.Path) -> Iterator[Row]:
  """Compare one golden file.

  Args:
    path: of a file in a folder of goldens.

  Raises:
    ValueError: something that the file needs is missing.
    KeyError: the same, of its `meta`.
  """
  name, folder = path.stem, path.parent
  group, _, kind = name.partition('_')
  noise = _noise(folder).get(group, {}).get(kind, {})
  golden = golden_rows.load(path, noise)
  if kind == 'forward':
    yield from check_forward(golden, load_generator(folder, golden))
  elif kind in ('grads', 'loss'):
    forward = golden_rows.load(folder / f'{group}_forward.npz')
    generator = load_generator(folder, forward)
    state = load_state(folder, forward, 'D', 50)
    part = losses if kind == 'loss' else gradients
    yield from part.check(golden, forward, generator, state)
  elif kind == 'golden':
    yield from full.check(path)
  elif group == 'sg2':
    yield from check_stylegan2(golden)
  elif group == 'units' and kind == 'ada':
    yield from augmentation.check(golden)
  elif group == 'units' and kind in units.KINDS:
    yield from units.check(golden)
  else:
    yield from golden_rows.left_out(golden, (), '')


def paths_in(
  folder: str | os.PathLike[str],
) -> list[pathlib.Path]:
  """Return the golden files of a folder, those of full size below it last.

  Args:
    folder: of goldens.

  Raises:
    ValueError: there are none.
  """
  own = pathlib.Path(folder)
  paths = [*sorted(own.glob('*.npz')), *sorted(own.glob('*/*_golden.npz'))]
  paths = [path for path in paths if '_state_' not in path.stem]
  if not paths:
    raise ValueError(f'{os.fspath(folder)} holds no goldens (*.npz)')
  return paths


def check_path(path: pathlib.Path) -> Iterator[Row]:
  """Compare one golden file, whatever is wrong with it.

  Args:
    path: of the file, in its folder.

  Yields:
    A row for each array, failing rows for arrays that are not known and for a
    file that lacks what it needs.
  """
  try:
    yield from check_file(path)
  except KeyError as error:
    yield golden_rows.unusable(path, f'meta has no {error}')
  except (OSError, ValueError) as error:
    yield golden_rows.unusable(path, str(error))
