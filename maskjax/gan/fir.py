"""FIR filters with zero insertion, padding and decimation, as in StyleGAN2.

Filters are constants of the program (NumPy arrays), so a two-dimensional one
is split into one-dimensional passes once, when the program is traced: a
singular value decomposition gives one pair of passes for an outer product
(every filter StyleGAN2 has) and a few for any other. The passes themselves are
`kernels.fir_pass`.

Shapes: B batch, H W pixels, C channels, K L taps. Follows Karras et al.,
"Analyzing and Improving the Image Quality of StyleGAN", CVPR 2020, appendix B,
and the code of StyleGAN2-ADA for paddings and gains.
"""

from collections.abc import Sequence
import math
from typing import Any

from jaxtyping import Array, Float
import numpy as np

from maskjax.kernels import fir_pass

# The filter of every StyleGAN2, before normalisation.
BINOMIAL = (1.0, 3.0, 3.0, 1.0)

Filter = Float[np.ndarray, 'tall wide'] | Float[np.ndarray, 'tall']
# Rows first: one number for all sides, or ((top, bottom), (left, right)).
Padding = int | tuple[tuple[int, int], tuple[int, int]]


def setup_filter(
  taps: Any,
  *,
  normalize: bool = True,
  flip: bool = False,
  gain: float = 1.0,
  separable: bool | None = None,
) -> Filter:
  """Prepare a filter.

  Args:
    taps: one- or two-dimensional taps; None for no filter.
    normalize: scale the taps to the sum 1.
    flip: turn the taps by 180 degrees.
    gain: factor on the whole, shared between the passes of a separable one.
    separable: keep one-dimensional taps as they are, to be applied along both
      axes; the default does so from 8 taps on.

  Returns:
    Two-dimensional taps, or one-dimensional ones if separable; float32.

  Raises:
    ValueError: more than two axes, or none.
  """
  taps = np.asarray([1.0] if taps is None else taps, np.float64)
  if taps.ndim not in (1, 2) or taps.size == 0:
    raise ValueError(
      f'a filter has one or two axes, got taps of shape {taps.shape}'
    )
  if separable is None:
    separable = taps.ndim == 1 and taps.size >= 8
  if taps.ndim == 1 and not separable:
    taps = np.outer(taps, taps)
  if normalize:
    taps = taps / taps.sum()
  if flip:
    taps = np.flip(taps)
  return (taps * gain ** (taps.ndim / 2)).astype(np.float32)


def gaussian_filter(sigma: float) -> Filter:
  """Return the one-dimensional blur 2^-(x / sigma)^2, cut at 3 sigma."""
  radius = math.floor(3 * sigma)
  x = np.arange(-radius, radius + 1) / sigma
  return setup_filter(np.exp2(-(x**2)), separable=True)


def _passes(taps: Filter) -> list[tuple[np.ndarray, np.ndarray]]:
  """Split a filter into pairs of a vertical and a horizontal pass."""
  if taps.ndim == 1:
    return [(np.asarray(taps, np.float64),) * 2]
  left, sizes, right = np.linalg.svd(np.asarray(taps, np.float64))
  kept = sizes > 1e-7 * sizes[0]
  return [
    (left[:, i] * size, right[i]) for i, size in enumerate(sizes) if kept[i]
  ]


def _pair(value: int | Sequence[int]) -> tuple[int, int]:
  """Return a value for rows and one for columns."""
  return (value, value) if isinstance(value, int) else (value[0], value[1])


def _sides(padding: Padding) -> tuple[tuple[int, int], tuple[int, int]]:
  """Return the padding of each side."""
  if isinstance(padding, int):
    return (padding, padding), (padding, padding)
  return padding


def upfirdn(
  x: Float[Array, 'b h w c'],
  taps: Filter,
  *,
  up: int | tuple[int, int] = 1,
  down: int | tuple[int, int] = 1,
  padding: Padding = 0,
  flip: bool = False,
  gain: float = 1.0,
) -> Float[Array, 'b i j c']:
  """Insert zeros, pad, filter and keep every n-th sample.

  Args:
    x: maps of any values.
    taps: filter that `setup_filter` made.
    up: zeros plus one after each sample, for rows and columns.
    down: keep one of so many samples.
    padding: zeros around the enlarged map; negative numbers crop.
    flip: correlate with the taps; convolve otherwise.
    gain: factor on the whole.

  Returns:
    Maps of (size * up + padding - taps) / down + 1 pixels, rounded down.
  """
  up, down, sides = _pair(up), _pair(down), _sides(padding)
  total = 0.0
  for vertical, horizontal in _passes(taps):
    y = x
    for axis, part in ((1, vertical * gain), (2, horizontal)):
      step = fir_pass.Pass(
        taps=tuple((part if flip else part[::-1]).tolist()),
        axis=axis,
        up=up[axis - 1],
        down=down[axis - 1],
        pads=sides[axis - 1],
        size=y.shape[axis],
      )
      y = fir_pass.apply(y, step)
    total = total + y
  return total


def _widened(padding: Padding, taps: Filter, low: int, high: int) -> Padding:
  """Add (taps + low) // 2 and (taps + high) // 2 to the two ends of axes."""
  counts = (taps.shape[0], taps.shape[-1])
  (top, bottom), (left, right) = (
    (a + (count + low) // 2, b + (count + high) // 2)
    for (a, b), count in zip(_sides(padding), counts)
  )
  return (top, bottom), (left, right)


def filter2d(
  x: Float[Array, 'b h w c'],
  taps: Filter,
  *,
  padding: Padding = 0,
  flip: bool = False,
  gain: float = 1.0,
) -> Float[Array, 'b i j c']:
  """Filter at the same size.

  Args:
    x: maps of any values.
    taps: filter that `setup_filter` made.
    padding: further zeros around the maps; negative numbers crop.
    flip: correlate with the taps; convolve otherwise.
    gain: factor on the whole.

  Returns:
    Maps of the size of `x` plus `padding` on each side.
  """
  padding = _widened(padding, taps, 0, -1)
  return upfirdn(x, taps, padding=padding, flip=flip, gain=gain)


def upsample(
  x: Float[Array, 'b h w c'],
  taps: Filter,
  *,
  factor: int = 2,
  padding: Padding = 0,
  flip: bool = False,
  gain: float = 1.0,
) -> Float[Array, 'b i j c']:
  """Enlarge; a filter of sum 1 keeps the mean.

  Args:
    x: maps of any values.
    taps: filter that `setup_filter` made.
    factor: of the size, on both axes.
    padding: further zeros around the enlarged maps; negative numbers crop.
    flip: correlate with the taps; convolve otherwise.
    gain: factor on the whole.

  Returns:
    Maps of `factor` times the size, plus `padding` on each side.
  """
  padding = _widened(padding, taps, factor - 1, -factor)
  gain = gain * factor**2
  return upfirdn(x, taps, up=factor, padding=padding, flip=flip, gain=gain)


def downsample(
  x: Float[Array, 'b h w c'],
  taps: Filter,
  *,
  factor: int = 2,
  padding: Padding = 0,
  flip: bool = False,
  gain: float = 1.0,
) -> Float[Array, 'b i j c']:
  """Filter, then keep one of `factor` pixels.

  Args:
    x: maps of any values.
    taps: filter that `setup_filter` made.
    factor: of the size, on both axes.
    padding: further zeros around the maps; negative numbers crop.
    flip: correlate with the taps; convolve otherwise.
    gain: factor on the whole.

  Returns:
    Maps of (size + padding) / factor pixels.
  """
  padding = _widened(padding, taps, 1 - factor, -factor)
  return upfirdn(x, taps, down=factor, padding=padding, flip=flip, gain=gain)
