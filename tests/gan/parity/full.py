"""Compares models of full size with goldens of the reference.

`X_golden.npz` holds statistics and cuts of what is too large to keep, and
`X_keys.json` beside it the shapes of the weights, which `recipe` makes.
Runs are named by the side of their rendering, `n128`.
"""

from collections.abc import Iterator
import json
import pathlib
import re
from typing import Any

import numpy as np

from maskjax.gan import (
  discriminator,
  model as model_lib,
  restore,
  state_configs,
)
from tests.gan.parity import recipe, rows as golden_rows
from tests.gan.parity.rows import channels_first, channels_last

Row = golden_rows.Row
Golden = golden_rows.Golden

_CUTOFF = 14
_INPUTS = r'z|c|D/c'


def load_shapes(path: pathlib.Path) -> dict[str, Any]:
  """Return the shapes of G and D that lie beside a golden file."""
  name = path.name.removesuffix('_golden.npz')
  keys = path.with_name(f'{name}_keys.json')
  if not keys.is_file():
    raise ValueError(f'{path} needs {keys.name} beside it')
  return json.loads(keys.read_text('utf-8'))


def load_models(
  path: pathlib.Path, golden: Golden
) -> tuple[model_lib.Model, model_lib.Model]:
  """Build generator and discriminator from the recipe."""
  shapes, meta = load_shapes(path), golden.meta
  kwargs = meta['rendering_kwargs']
  state = recipe.make_state(
    meta['seed_G'],
    shapes['G'],
    decoder_lr_multiplier=kwargs.get('decoder_lr_mul', 1),
  )
  config = state_configs.eg3d_config(state, kwargs)
  generator = restore.restore(config, state)
  state = recipe.make_state(meta['seed_D'], shapes['D'])
  own = state_configs.discriminator_config(state)
  return generator, restore.restore(own, state)


def _cut(name: str, image: np.ndarray, count: tuple[int, ...]) -> np.ndarray:
  """Return the cut of [1, C, H, W] that a golden has."""
  if name == 'mean':
    return image.mean((2, 3), dtype=np.float64)
  if name == 'std':
    return image.astype(np.float64).std((2, 3))
  height, width = count[-2:]
  step = -(-image.shape[1] // count[1])
  image = image[:, ::step]
  if name == 'crop':
    top, left = (image.shape[2] - height) // 2, (image.shape[3] - width) // 2
    return image[:, :, top : top + height, left : left + width]
  if name == 'corner':
    return image[:, :, :height, -width:]
  rows, columns = image.shape[2] // height, image.shape[3] // width
  return image[:, :, ::rows, ::columns]


def _tolerance(golden: Golden, kind: str, name: str) -> float | None:
  """Return ten times the noise that `meta` gives for a kind of array."""
  for key, noise in golden.meta.items():
    if key.startswith('float_error_n') and kind in noise:
      scale = float(np.abs(golden[name]).max(initial=0.0))
      return golden_rows.tolerance_of(noise[kind][0], scale)
  return None


def _compare_cuts(
  golden: Golden, prefix: str, image: np.ndarray
) -> Iterator[Row]:
  """Compare every cut of an image."""
  kind = prefix.split('/')[-1]
  for name, value in golden.under(f'{prefix}/').items():
    ours = _cut(name, image, value.shape)
    full = f'{prefix}/{name}'
    tolerance = None
    if name not in ('mean', 'std'):
      tolerance = _tolerance(golden, kind, full)
    yield golden_rows.compare(golden, full, ours, tolerance=tolerance)


def _check_run(
  golden: Golden,
  generator: model_lib.Model,
  judge: model_lib.Model,
  scene: Any,
  side: int,
) -> Iterator[Row]:
  """Compare the images of one side of the rendering."""
  run, (styles, planes) = f'n{side}', scene
  render = golden_rows.exact_jit(
    lambda variables, planes, styles, c: model_lib.run(
      variables,
      generator.module.render,
      planes,
      styles,
      c,
      resolution=side,
    )
  )
  picture = render(generator.variables, planes, styles, golden['c'])
  for name, value in (
    ('image', picture.image),
    ('image_raw', picture.features[..., :3]),
    ('image_depth', picture.depth),
  ):
    yield from _compare_cuts(golden, f'{run}/{name}', channels_first(value))
  for name, value, last in (
    ('feature_stride', picture.features, None),
    ('weights_sum_stride', picture.weights, 0),
  ):
    if f'{run}/{name}' in golden:
      step = side // golden[f'{run}/{name}'].shape[1]
      ours = value[:, ::step, ::step]
      ours = ours if last is None else ours[..., last]
      yield golden_rows.compare(golden, f'{run}/{name}', ours)
  if f'{run}/logits' in golden:
    seen = picture.image, picture.features[..., :3]
    logits = _judge(judge, *seen, golden['c'])
    yield golden_rows.compare(golden, f'{run}/logits', logits)


def _judge(judge: model_lib.Model, image: Any, raw: Any, c: Any) -> Any:
  """Return logits of a pair of images."""
  run = golden_rows.exact_jit(
    lambda variables, image, raw, c: judge.module.apply(
      variables, discriminator.pair_images(image, raw), c
    )
  )
  return run(judge.variables, image, raw, c)


def _check_latents(golden: Golden, generator: model_lib.Model) -> Iterator[Row]:
  """Compare one copy of w, truncated and not."""
  for name in golden.arrays:
    match = re.fullmatch(r'ws(?:_trunc([\d.]+))?', name)
    if not match:
      continue
    psi = float(match[1]) if match[1] else None
    run = golden_rows.exact_jit(
      lambda variables, z, c, psi=psi: model_lib.run(
        variables,
        generator.module.map,
        z,
        c,
        truncation_psi=psi,
        truncation_cutoff=_CUTOFF,
      )
    )
    ws = run(generator.variables, golden['z'], golden['c'])
    ours = ws[:, 0] if golden[name].ndim == 2 else ws
    tolerance = None
    if 'float_error_ws' in golden.meta:
      tolerance = golden_rows.tolerance_of(
        golden.meta['float_error_ws'][0], float(np.abs(golden[name]).max())
      )
    yield golden_rows.compare(golden, name, ours, tolerance=tolerance)


def check(path: pathlib.Path) -> Iterator[Row]:
  """Compare a model of full size.

  Args:
    path: of X_golden.npz.

  Yields:
    A row for each array.
  """
  golden = golden_rows.load(path)
  generator, judge = load_models(path, golden)
  rows = []

  def keep(some):
    for row in some:
      rows.append(row)
      yield row

  yield from keep(_check_latents(golden, generator))

  def scene_of(variables, z, c):
    module = generator.module
    ws = model_lib.run(variables, module.map, z, c)
    styles = model_lib.run(variables, module.styles, ws)
    return styles, model_lib.run(variables, module.planes, styles)

  scene = golden_rows.exact_jit(scene_of)(
    generator.variables, golden['z'], golden['c']
  )
  flat = np.concatenate(np.moveaxis(scene[1], 1, 0), -1)
  yield from keep(_compare_cuts(golden, 'planes', channels_first(flat)))
  sides = {name.split('/')[0] for name in golden.arrays if name[0] == 'n'}
  for run in sorted(sides):
    side = int(run[1:])
    yield from keep(_check_run(golden, generator, judge, scene, side))
  if 'D/logits' in golden:
    count, size = len(golden['D/c']), judge.module.config.resolution
    raw = max(int(run[1:]) for run in sides)
    image, raw_image = (
      np.tanh(recipe.normal(golden.meta['seed_G'], name, shape))
      for name, shape in (
        ('d_img', (count, 3, size, size)),
        ('d_raw', (count, 3, raw, raw)),
      )
    )
    logits = _judge(
      judge, channels_last(image), channels_last(raw_image), golden['D/c']
    )
    yield from keep([golden_rows.compare(golden, 'D/logits', logits)])
  yield from golden_rows.left_out(golden, rows, _INPUTS)
