"""Compares single operations and layers with goldens of the reference.

In a file `units_*.npz`, `meta` maps each case to its parameters, and the
arrays of a case lie below its name: the weights under `state/`, inputs under
`in/`, results under `out/` or as `y`. The first part of a case's name says
what is computed.
"""

from collections.abc import Callable, Iterator, Mapping
import dataclasses
import itertools
import re
from typing import Any

import jax.numpy as jnp
import numpy as np

from maskjax.gan import (
  convolution,
  discriminator,
  fir,
  layers,
  mapping,
  resize,
  synthesis,
)
from maskjax.training import state as state_lib
from maskjax.weights import eg3d_keys
from tests.gan.parity import rows as golden_rows, scenes
from tests.gan.parity.rows import channels_first, channels_last

Row = golden_rows.Row
Golden = golden_rows.Golden
Options = Mapping[str, Any]
# Results of a case by name, in the golden's layout.
Results = dict[str, Any]

KINDS = ('ops', 'disc', 'render', 'camera')
# Of the one result of a layer that is scaled after its activation.
_STYLE_GAIN = 'gain_in_const_gain'


def _pairs(value: Any) -> Any:
  """Turn [x, y] into (y, x), and a number into itself."""
  return value if isinstance(value, int) else (value[1], value[0])


def _sides(value: Any) -> fir.Padding:
  """Turn [left, right, top, bottom] into rows and columns."""
  if isinstance(value, int):
    return value
  left, right, top, bottom = value
  return (top, bottom), (left, right)


def _apply(module: Any, golden: Golden, case: str, *inputs: Any, **options):
  """Run a layer on the weights of a case."""
  variables = eg3d_keys.from_state(golden.under(f'{case}/state/'))
  options = {name: x for name, x in options.items() if x is not None}
  return module.apply(variables, *inputs, **options)


def _images(golden: Golden, *names: str) -> list[Any]:
  """Return images with their channels last; None for those not there."""
  return [
    jnp.asarray(channels_last(golden[name])) if name in golden else None
    for name in names
  ]


def _kernel(golden: Golden, case: str) -> Any:
  """Return a convolution's weights in our layout."""
  return jnp.asarray(golden[f'{case}/w'].transpose(2, 3, 1, 0))


def _setup_filter(golden: Golden, case: str, options: Options) -> Results:
  taps = golden.arrays.get(f'{case}/f')
  names = {'flip_filter': 'flip'}
  renamed = {names.get(key, key): value for key, value in options.items()}
  return {'y': fir.setup_filter(taps, **renamed)}


def _upfirdn(golden: Golden, case: str, options: Options) -> Results:
  (x,) = _images(golden, 'upfirdn2d/x')
  function = {
    'upfirdn2d': fir.upfirdn,
    'filter2d': fir.filter2d,
    'upsample2d': fir.upsample,
    'downsample2d': fir.downsample,
  }[case.split('/')[0]]
  renamed: dict[str, Any] = {
    'padding': _sides(options.get('padding', 0)),
    'flip': options.get('flip_filter', False),
    'gain': options.get('gain', 1),
  }
  for name in ('up', 'down'):
    if name in options:
      renamed[name] = _pairs(options[name])
  taps = golden[f'upfirdn2d/f/{options["f"]}']
  return {'y': channels_first(function(x, taps, **renamed))}


def _convolve(x: Any, kernel: Any, options: Options) -> Any:
  """Run a convolution of the reference, which has a flag for turning."""
  taps = fir.setup_filter(fir.BINOMIAL)
  up, down = options.get('up', 1), options.get('down', 1)
  # Our enlarging convolution turns its kernel, the others do not.
  turns = options.get('flip_weight', True) == (up > 1)
  kernel = kernel[::-1, ::-1] if turns else kernel
  if up > 1:
    return convolution.up_conv(x, kernel, taps)
  if down > 1:
    return convolution.down_conv(x, kernel, taps)
  return convolution.conv(x, kernel)


def _conv2d_resample(golden: Golden, case: str, options: Options) -> Results:
  (x,) = _images(golden, 'conv2d_resample/x')
  groups = options.get('groups', 1)
  kernels = jnp.split(_kernel(golden, case), groups, -1)
  parts = [
    _convolve(part, kernel, options)
    for part, kernel in zip(jnp.split(x, groups, -1), kernels)
  ]
  return {'y': channels_first(jnp.concatenate(parts, -1))}


def _modulated_conv2d(golden: Golden, case: str, options: Options) -> Results:
  x, noise = _images(golden, 'modulated_conv2d/x', f'{case}/noise')
  y = convolution.modulated_conv(
    x,
    _kernel(golden, case),
    golden['modulated_conv2d/styles'],
    up=options.get('up', 1),
    taps=fir.setup_filter(fir.BINOMIAL),
    demodulate=options['demodulate'],
  )
  return {'y': channels_first(y if noise is None else y + noise)}


def _bias_act(golden: Golden, case: str, options: Options) -> Results:
  axis = options.get('dim', 1)
  bias = None if case.endswith('_nobias') else golden['bias_act/b']
  y = layers.bias_act(
    jnp.moveaxis(golden['bias_act/x'], axis, -1),
    bias,
    activation=options['act'],
    slope=options.get('alpha', 0.2),
    gain=options.get('gain'),
    clamp=options.get('clamp'),
  )
  return {'y': jnp.moveaxis(y, -1, axis)}


def _normalize(golden: Golden, case: str, options: Options) -> Results:
  del case, options
  return {'y': layers.normalize_second_moment(golden['normalize_2nd_moment/x'])}


def _fc(golden: Golden, case: str, options: Options) -> Results:
  weight = golden[f'{case}/state/weight']
  module = layers.Dense(
    weight.shape[0],
    options['activation'],
    options['lr_multiplier'],
    use_bias=f'{case}/state/bias' in golden,
  )
  return {'out/y': _apply(module, golden, case, golden[f'{case}/in/x'])}


def _conv2d_layer(golden: Golden, case: str, options: Options) -> Results:
  (x,) = _images(golden, f'{case}/in/x')
  module = layers.Conv(
    golden[f'{case}/state/weight'].shape[0],
    options['kernel_size'],
    options.get('activation', 'linear'),
    up=options.get('up', 1),
    down=options.get('down', 1),
    use_bias=options.get('bias', True),
    clamp=options.get('conv_clamp'),
  )
  y = _apply(module, golden, case, x, gain=options.get('gain', 1.0))
  return {'out/y': channels_first(y)}


def _mapping(golden: Golden, case: str, options: Options) -> Results:
  module = mapping.Mapping(
    z_dim=options['z_dim'],
    c_dim=options['c_dim'],
    w_dim=options['w_dim'],
    num_ws=options['num_ws'],
    num_layers=options.get('num_layers', 8),
    embed_features=options.get('embed_features'),
    layer_features=options.get('layer_features'),
  )
  inputs = [golden.arrays.get(f'{case}/in/{name}') for name in 'zc']
  ws = _apply(module, golden, case, *inputs)
  results = {'out/psi1': ws}
  if options['num_ws'] is None:
    return results
  for name in golden.under(f'{case}/out/'):
    match = re.fullmatch(r'psi([\d.]+)(?:_cut(\d+))?', name)
    if match and name != 'psi1':
      results[f'out/{name}'] = _apply(
        module,
        golden,
        case,
        *inputs,
        truncation_psi=float(match[1]),
        truncation_cutoff=int(match[2]) if match[2] else None,
      )
  decay = options.get('w_avg_beta', 0.998)
  results['out/w_avg_after_update'] = state_lib.update_average(
    jnp.asarray(golden[f'{case}/state/w_avg']), ws[:, 0].mean(0), decay=decay
  )
  return results


def _synthesis_layer(golden: Golden, case: str, options: Options) -> Results:
  (x,) = _images(golden, f'{case}/in/x')
  outputs, inputs = golden[f'{case}/state/weight'].shape[:2]
  module = synthesis.StyledConv(
    in_features=inputs,
    features=outputs,
    resolution=options['resolution'],
    up=options.get('up', 1),
    clamp=options.get('conv_clamp'),
    use_noise=options.get('use_noise', True),
  )
  styles = _apply(
    module, golden, case, golden[f'{case}/in/w'], method=module.style
  )
  results = {}
  for name, noise, gain in (
    ('const', 'const', 1.0),
    ('none', 'none', 1.0),
    ('const_gain', 'const', options.get(_STYLE_GAIN, 1.0)),
  ):
    y = _apply(module, golden, case, x, styles, noise=noise, gain=gain)
    results[f'out/{name}'] = channels_first(y)
  return results


def _torgb(golden: Golden, case: str, options: Options) -> Results:
  (x,) = _images(golden, f'{case}/in/x')
  outputs, inputs = golden[f'{case}/state/weight'].shape[:2]
  module = synthesis.ToImage(inputs, outputs, options.get('conv_clamp'))
  styles = _apply(
    module, golden, case, golden[f'{case}/in/w'], method=module.style
  )
  return {'out/y': channels_first(_apply(module, golden, case, x, styles))}


def _pair(golden: Golden, case: str, pair: Any) -> Results:
  """Name maps and image, where the golden has them."""
  return {
    f'out/{name}': channels_first(value)
    for name, value in zip(('x', 'img'), pair)
    if f'{case}/out/{name}' in golden
  }


def _synthesis_block(golden: Golden, case: str, options: Options) -> Results:
  x, image = _images(golden, f'{case}/in/x', f'{case}/in/img')
  outputs = golden[f'{case}/state/conv1.weight'].shape[0]
  to_image = golden.arrays.get(f'{case}/state/torgb.weight')
  side = golden[f'{case}/out/x'].shape[-1]
  module = synthesis.SynthesisBlock(
    in_features=0 if x is None else x.shape[-1],
    features=outputs,
    image_channels=3 if to_image is None else to_image.shape[0],
    resolution=side,
    architecture=options.get('architecture', 'skip'),
    is_last=options.get('is_last', False),
    up=1 if x is not None and x.shape[1] == side else 2,
    clamp=options.get('conv_clamp'),
  )
  ws = golden[f'{case}/in/ws']
  styles = _apply(module, golden, case, ws, method=module.styles)
  return _pair(golden, case, _apply(module, golden, case, x, image, styles))


def _minibatch_std(golden: Golden, case: str, options: Options) -> Results:
  (x,) = _images(golden, f'{case}/x')
  y = discriminator.minibatch_deviation(
    x, options['group_size'], options['num_channels']
  )
  return {'y': channels_first(y)}


def _disc_block(golden: Golden, case: str, options: Options) -> Results:
  x, image = _images(golden, f'{case}/in/x', f'{case}/in/img')
  hidden = golden[f'{case}/state/conv0.weight'].shape[0]
  features = golden[f'{case}/state/conv1.weight'].shape[0]
  inputs = 0 if x is None else x.shape[-1]
  module = discriminator.DiscriminatorBlock(
    in_features=inputs,
    hidden=hidden,
    features=features,
    architecture=options['architecture'],
  )
  results = _pair(golden, case, _apply(module, golden, case, x, image))
  if inputs and options['architecture'] != 'skip':
    # The reference hands the image through; here nothing needs it.
    results['out/img'] = golden[f'{case}/in/img']
  return results


def _disc_epilogue(golden: Golden, case: str, options: Options) -> Results:
  x, image = _images(golden, f'{case}/in/x', f'{case}/in/img')
  module = discriminator.Epilogue(
    features=x.shape[-1],
    projection=options['cmap_dim'],
    architecture=options['architecture'],
  )
  cmap = golden.arrays.get(f'{case}/in/cmap')
  return {'out/y': _apply(module, golden, case, x, image, cmap)}


def _resize(golden: Golden, case: str, options: Options) -> Results:
  (x,) = _images(golden, 'resize/x')
  if 'filter_mode' in options:
    y = resize.resize_filtered(
      x, options['size'], method=options['filter_mode']
    )
  else:
    y = resize.resize(x, tuple(options['size']), antialias=options['antialias'])
  return {'y': channels_first(y)}


def _blur(golden: Golden, case: str, options: Options) -> Results:
  del case
  (x,) = _images(golden, 'resize/x')
  taps = fir.gaussian_filter(options['sigma'])
  return {'f': taps, 'y': channels_first(fir.filter2d(x, taps))}


_CASES: dict[str, Callable[[Golden, str, Options], Results]] = {
  'setup_filter': _setup_filter,
  'upfirdn2d': _upfirdn,
  'filter2d': _upfirdn,
  'upsample2d': _upfirdn,
  'downsample2d': _upfirdn,
  'conv2d_resample': _conv2d_resample,
  'modulated_conv2d': _modulated_conv2d,
  'bias_act': _bias_act,
  'normalize_2nd_moment': _normalize,
  'fc': _fc,
  'conv2d_layer': _conv2d_layer,
  'mapping': _mapping,
  'synthesis_layer': _synthesis_layer,
  'torgb': _torgb,
  'synthesis_block': _synthesis_block,
  'minibatch_std': _minibatch_std,
  'disc_block': _disc_block,
  'disc_epilogue': _disc_epilogue,
  'resize': _resize,
  'blur_sigma10': _blur,
  **scenes.CASES,
}
_FILTERS = r'.*resample_filter|(setup_filter|upfirdn2d)/(.*/)?f(/.*)?'
# Arrays that are not results: weights, inputs, and what cases share.
_INPUTS = (
  r'.*/(state|in|decoder_state)/.*|(setup_filter|upfirdn2d)/.*/?f(/.*)?|'
  r'.*/(w|noise)|(upfirdn2d|conv2d_resample|modulated_conv2d|bias_act|'
  r'normalize_2nd_moment|resize)/x|modulated_conv2d/styles|bias_act/b|'
  r'minibatch_std/.*/x|' + scenes.INPUTS
)


def _compute(golden: Golden, cases: list[str]) -> dict[str, np.ndarray]:
  """Return the results of cases, compiled together.

  Filters stay constants of the program; what else a file holds is handed in,
  so that nothing is computed while compiling.
  """
  moving = {
    name: value
    for name, value in golden.arrays.items()
    if not re.fullmatch(_FILTERS, name)
  }

  def run(arrays):
    own = dataclasses.replace(golden, arrays={**golden.arrays, **arrays})
    return {
      f'{case}/{name}': value
      for case in cases
      for name, value in _CASES[case.split('/')[0]](
        own, case, golden.meta[case]
      ).items()
    }

  return golden_rows.exact_jit(run)(moving)


def check(golden: Golden) -> Iterator[Row]:
  """Compare every case of a file.

  Args:
    golden: units_*.npz.

  Yields:
    A row for each result, failing rows for those of unknown cases.
  """
  rows = []
  kind = lambda case: case.split('/')[0]
  cases_by_kind = itertools.groupby(sorted(golden.meta, key=kind), kind)
  for name, cases in cases_by_kind:
    if name not in _CASES:
      continue
    for result, value in _compute(golden, list(cases)).items():
      for row in golden_rows.compare_known(golden, {result: value}):
        least = scenes.rounding(result)
        row = row._replace(tolerance=max(row.tolerance, least))
        rows.append(row)
        yield row
  yield from golden_rows.left_out(golden, rows, _INPUTS)
