"""Cases of `units` about augmentation.

A case was run either with recorded random numbers, in the order in which the
reference draws them, or with every draw at the same percentile of its
distribution.
"""

from collections.abc import Iterator, Mapping
import dataclasses
import math
from typing import Any

import jax.numpy as jnp
import jax.scipy.special
import numpy as np

from maskjax.gan import augment, warp
from tests.gan.parity import rows as golden_rows
from tests.gan.parity.rows import channels_first, channels_last

Golden = golden_rows.Golden
Options = Mapping[str, Any]

INPUTS = r'buffers/\w+|images/\w+|.*/rng\d+_\w+'
# Names of our settings under which the reference's are.
_NAMES = {
  'xflip': 'flip',
  'rotate90': 'turn',
  'xint': 'shift',
  'scale': 'scale',
  'rotate': 'rotate',
  'aniso': 'stretch',
  'xfrac': 'fraction',
  'brightness': 'brightness',
  'contrast': 'contrast',
  'lumaflip': 'luma_flip',
  'hue': 'hue',
  'saturation': 'saturation',
  'imgfilter': 'bands',
  'noise': 'noise',
  'cutout': 'cutout',
}


def config_of(options: Options) -> augment.AugmentConfig:
  """Return the settings of a case."""
  off = dict.fromkeys(_NAMES.values(), 0.0)
  own = {_NAMES[key]: float(x) for key, x in options['kwargs'].items()}
  return augment.AugmentConfig(**{**off, **own})


class _Recorded:
  """Values of changes from recorded draws, in the reference's order."""

  def __init__(self, draws: Iterator[Any], probability: float):
    self.draws = draws
    self.probability = probability

  def take(self, width: int | None = None) -> Any:
    shape = (-1,) if width is None else (-1, width)
    return jnp.asarray(next(self.draws)).reshape(shape)

  def keep(self, value: Any, neutral: float, share: float, rule=None) -> Any:
    chance = share * self.probability
    chance = chance if rule is None else rule(chance)
    happens = self.take() < chance
    if value.ndim == 2:
      happens = happens[:, None]
    return jnp.where(happens, value, neutral)

  def whole(self, share: float, count: int) -> Any:
    return self.keep(jnp.floor(self.take() * count), 0.0, share)

  def even(self, share: float, scale: float, width=None, rule=None) -> Any:
    return self.keep((self.take(width) * 2 - 1) * scale, 0.0, share, rule)

  def normal(self, share: float, scale: float, width=None) -> Any:
    return self.keep(self.take(width) * scale, 0.0, share)

  def power(self, share: float, scale: float) -> Any:
    return self.keep(2 ** (self.take() * scale), 1.0, share)

  def noise(self, share: float, scale: float, shape: tuple[int, ...]) -> Any:
    size = self.keep(jnp.abs(self.take()) * scale, 0.0, share)
    image = channels_last(jnp.asarray(next(self.draws)))
    return image * size[:, None, None, None]

  def cutout(self, share: float, side: float) -> tuple[Any, Any]:
    happens = self.take() < share * self.probability
    size = jnp.where(happens[:, None], jnp.full((1, 2), side), 0.0)
    return size, self.take(2)


class _Percentile:
  """Values of changes at one percentile."""

  def __init__(self, percentile: float, samples: int):
    self.percentile = percentile
    self.samples = samples
    self.quantile = jax.scipy.special.erfinv(2 * percentile - 1)

  def fill(self, value: Any, width: int | None = None) -> Any:
    shape = (self.samples,) if width is None else (self.samples, width)
    return jnp.full(shape, value)

  def whole(self, share: float, count: int) -> Any:
    return self.fill(math.floor(self.percentile * count) * 1.0)

  def even(self, share: float, scale: float, width=None, rule=None) -> Any:
    return self.fill((self.percentile * 2 - 1) * scale, width)

  def normal(self, share: float, scale: float, width=None) -> Any:
    return self.fill(self.quantile * scale, width)

  def power(self, share: float, scale: float) -> Any:
    return self.fill(2 ** (self.quantile * scale))

  def noise(self, share: float, scale: float, shape: tuple[int, ...]) -> Any:
    raise ValueError('noise has no percentile')

  def cutout(self, share: float, side: float) -> tuple[Any, Any]:
    return self.fill(side, 2), self.fill(self.percentile, 2)


def _values(
  source: Any, config: augment.AugmentConfig, shape: tuple[int, ...]
) -> augment.Transform:
  """Read a transform from a source, in the reference's order."""
  values: dict[str, Any] = {}
  rule = augment.rotation_probability

  def add(name, method, *rest, setting=None, **options):
    share = getattr(config, setting or name)
    if share:
      values[name] = getattr(source, method)(share, *rest, **options)

  add('flip', 'whole', 2)
  add('turn', 'whole', 4)
  add('shift', 'even', 0.125, width=2)
  add('scale', 'power', 0.2)
  add('rotate_before', 'even', math.pi, setting='rotate', rule=rule)
  add('stretch', 'power', 0.2)
  add('rotate_after', 'even', math.pi, setting='rotate', rule=rule)
  if config.rotate and isinstance(source, _Percentile):
    values['rotate_after'] = source.fill(0.0)
  add('fraction', 'normal', 0.125, width=2)
  add('brightness', 'normal', 0.2)
  add('contrast', 'power', 0.5)
  add('luma_flip', 'whole', 2)
  if shape[-1] > 1:
    add('hue', 'even', math.pi)
    add('saturation', 'power', 1.0)
  if config.bands:
    bands = [source.power(config.bands, 1.0) for _ in range(4)]
    values['bands'] = jnp.stack(bands, 1)
  add('noise', 'noise', 0.1, shape)
  if config.cutout:
    size, center = source.cutout(config.cutout, 0.5)
    values['cutout_size'], values['cutout_center'] = size, center
  return augment.still(shape[0])._replace(**values)


def transform_of(
  golden: Golden, case: str, options: Options, shape: tuple[int, ...]
) -> augment.Transform:
  """Return what a case did to its images."""
  config = config_of(options)
  percentile = options.get('debug_percentile')
  if percentile is not None:
    return _values(_Percentile(percentile, shape[0]), config, shape)
  number = lambda name: int(name.rsplit('/rng', 1)[1].split('_')[0])
  names = sorted(
    (name for name in golden.arrays if name.startswith(f'{case}/rng')),
    key=number,
  )
  draws = (golden[name] for name in names)
  return _values(_Recorded(draws, options['p']), config, shape)


def compute(golden: Golden, case: str, options: Options) -> dict[str, Any]:
  """Return the results of a case."""
  images = jnp.asarray(channels_last(golden[f'images/c{options["channels"]}']))
  config, size = config_of(options), images.shape[1:3]
  transform = transform_of(golden, case, options, images.shape)
  results = {'y': channels_first(augment.apply(images, transform, config))}
  if f'{case}/theta' in golden:
    left, right, top, bottom = options['reflect_pad'][0]
    inverse = augment.geometry(transform, size)
    padding = (top, bottom), (left, right)
    theta = warp.sampling_matrix(inverse, size, padding)
    results['theta'] = theta[:, :2]
  return results


def filters(golden: Golden) -> dict[str, Any]:
  """Return the filters that a file has recorded."""
  own = {'Hz_geom': warp.FILTER, 'Hz_fbank': augment.octave_filters()}
  return {
    f'buffers/{name}': np.asarray(value, np.float32)
    for name, value in own.items()
    if f'buffers/{name}' in golden
  }


def check(golden: Golden) -> Iterator[golden_rows.Row]:
  """Compare every case of units_ada.npz.

  Args:
    golden: the file; `meta` maps each case to its settings.

  Yields:
    A row for each array.
  """
  rows = []
  found = filters(golden)
  for case, options in golden.meta.items():
    # Handed in, so that nothing is computed while compiling.
    moving = {
      name: value
      for name, value in golden.arrays.items()
      if name.startswith((f'{case}/rng', 'images/'))
    }

    def run(arrays, case=case, options=options):
      own = dataclasses.replace(golden, arrays={**golden.arrays, **arrays})
      return compute(own, case, options)

    results = golden_rows.exact_jit(run)(moving)
    found |= {f'{case}/{name}': value for name, value in results.items()}
  for row in golden_rows.compare_known(golden, found):
    rows.append(row)
    yield row
  yield from golden_rows.left_out(golden, rows, INPUTS)
