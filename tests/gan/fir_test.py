"""FIR filters against brute force, and their transposes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.gan import fir
from tests.kernels import checks


def brute_force(x, taps, up, down, pads, flip):
  """Insert zeros, pad, convolve and decimate, pixel by pixel."""
  (top, bottom), (left, right) = pads
  batch, height, width, channels = x.shape
  wide = np.zeros((batch, height * up, width * up, channels))
  wide[:, ::up, ::up] = x
  wide = np.pad(wide, ((0, 0), (top, bottom), (left, right), (0, 0)))
  taps = taps if flip else taps[::-1, ::-1]
  rows = range(0, wide.shape[1] - taps.shape[0] + 1, down)
  columns = range(0, wide.shape[2] - taps.shape[1] + 1, down)
  out = np.zeros((batch, len(rows), len(columns), channels))
  for i, row in enumerate(rows):
    for j, column in enumerate(columns):
      part = wide[:, row : row + taps.shape[0], column : column + taps.shape[1]]
      out[:, i, j] = (part * taps[None, :, :, None]).sum((1, 2))
  return out


@pytest.mark.parametrize(
  ('up', 'down', 'flip'), [(1, 1, False), (2, 1, True), (1, 2, False)]
)
def test_equals_brute_force(up, down, flip):
  rng = np.random.default_rng(0)
  x = rng.standard_normal((2, 5, 6, 3)).astype(np.float32)
  taps = rng.standard_normal((3, 4)).astype(np.float32)
  pads = ((2, 1), (1, 3))
  ours = jax.jit(
    lambda x: fir.upfirdn(x, taps, up=up, down=down, padding=pads, flip=flip)
  )(x)
  theirs = brute_force(x, taps, up, down, pads, flip)
  # 12 products, through three pairs of passes: see `checks`.
  assert checks.error(ours, theirs) < 4 * 36**0.5 * checks.SPACING


def test_transpose_of_upsampling():
  # <up(x), y> = <x, up'(y)>, and up' is downsampling with the turned filter.
  rng = np.random.default_rng(1)
  x = jnp.asarray(rng.standard_normal((1, 4, 4, 2)), jnp.float32)
  y = jnp.asarray(rng.standard_normal((1, 8, 8, 2)), jnp.float32)
  taps = fir.setup_filter(fir.BINOMIAL)
  grow = lambda x: fir.upsample(x, taps)
  _, pull = jax.vjp(grow, x)
  (back,) = jax.jit(pull)(y)
  expected = 4 * fir.downsample(y, taps, flip=True)
  assert checks.error(back, expected) < 4 * 8**0.5 * checks.SPACING


def test_one_filter_is_one_pair_of_passes():
  assert len(fir._passes(fir.setup_filter(fir.BINOMIAL))) == 1


def test_filter_with_three_axes_is_an_error():
  with pytest.raises(ValueError, match='one or two axes'):
    fir.setup_filter(np.zeros((2, 2, 2)))


@pytest.mark.parametrize(
  ('up', 'down', 'padding'),
  [(1, 1, ((2, 1), (1, 3))), (2, 1, ((-1, 2), (0, -1))), (3, 2, 4)],
)
def test_gradients_are_the_transposed_filter(up, down, padding):
  taps = fir.setup_filter([1, 2, 3, 4, 5])
  run = lambda x: fir.upfirdn(x, taps, up=up, down=down, padding=padding)
  x = jax.random.normal(jax.random.key(0), (1, 7, 6, 2))
  g = jax.random.normal(jax.random.key(1), jax.eval_shape(run, x).shape)

  @jax.jit
  def both(x, g):
    back = lambda g: jax.vjp(run, x)[1](g)[0]
    # And the gradient of the gradient is the filter again.
    return run(x), back(g), jax.vjp(back, g)[1](x)[0]

  out, back, again = both(x, g)
  # 5 taps on each axis round 10 times; the sums are exact in float64.
  rounding = 4 * 10**0.5 * checks.SPACING
  inner = lambda a, b: float(np.vdot(*(np.asarray(x, float) for x in (a, b))))
  size = (inner(out, out) * inner(g, g)) ** 0.5
  assert abs(inner(out, g) - inner(x, back)) < rounding * size
  assert checks.error(again, out) < rounding
