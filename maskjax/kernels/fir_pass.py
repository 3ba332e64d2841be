"""One-dimensional filter passes: zero insertion, padding, taps, decimation.

A pass is a weighted sum of shifted slices, and a pass that enlarges computes
each phase of the output from the taps that meet samples, never from inserted
zeros. On a CPU this beats a depthwise convolution, which XLA runs channel by
channel. Left to jax, the gradient of a sum of slices is a sum of padded maps,
with a test at every pixel; as a pass of its own it costs what the pass costs.

Shapes: any axes; one of them is filtered.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
import numpy as np


class Pass(NamedTuple):
  """A one-dimensional pass over maps of a known size, a linear function.

  Attributes:
    taps: weights, which correlate: the first one meets the first sample.
    axis: that is filtered.
    up: zeros plus one after each sample.
    down: keep one of so many samples.
    pads: zeros before and after; negative numbers crop.
    size: samples of the input.
  """

  taps: tuple[float, ...]
  axis: int
  up: int
  down: int
  pads: tuple[int, int]
  size: int

  @property
  def transposed(self) -> 'Pass':
    """The pass that takes gradients back."""
    count = len(self.taps)
    made = (self.size * self.up + sum(self.pads) - count) // self.down + 1
    low = count - 1 - self.pads[0]
    # What decimation left over at the end has gradient zero, too.
    high = (self.size - 1) * self.up + count - made * self.down - low
    return Pass(
      taps=self.taps[::-1],
      axis=self.axis,
      up=self.down,
      down=self.up,
      pads=(low, high),
      size=made,
    )


def apply_plain(x: Float[Array, '...'], step: Pass) -> Float[Array, '...']:
  """Return the formula of `apply`, a convolution between inserted zeros."""
  rows = jnp.moveaxis(x, step.axis, -1)
  taps = np.asarray(step.taps, np.float32).astype(x.dtype)[None, None]
  low, high = step.pads
  out = jax.lax.conv_general_dilated(
    rows.reshape(-1, 1, rows.shape[-1]),
    taps,
    window_strides=(step.down,),
    # Zeros after the last sample too.
    padding=((low, high + step.up - 1),),
    lhs_dilation=(step.up,),
    precision=jax.lax.Precision.HIGHEST,
  )
  return jnp.moveaxis(out.reshape(*rows.shape[:-1], -1), -1, step.axis)


def _pad(x: Array, axis: int, low: int, high: int, inner: int = 0) -> Array:
  """Pad (or, where negative, crop) one axis."""
  config = [(0, 0, 0)] * x.ndim
  config[axis] = (low, high, inner)
  return jax.lax.pad(x, jnp.zeros((), x.dtype), config)


def _weighted(x, axis, parts, count, step):
  """Sum slices of `count` samples, `step` apart, by weight and start."""
  total = 0.0
  for weight, start in parts:
    stop = start + (count - 1) * step + 1
    part = jax.lax.slice_in_dim(x, start, stop, step, axis)
    total = total + np.float32(weight) * part
  return total


def _enlarge(x: Array, step: Pass) -> Array:
  """Insert zeros and correlate, phase by phase; `step` does not decimate."""
  axis, up, (low, high) = step.axis, step.up, step.pads
  size = x.shape[axis] * up + low + high - len(step.taps) + 1
  count = -(-size // up)
  phases = []
  for phase in range(up):
    # Tap k meets sample (phase + k - low) / up, if that is whole.
    shifts = [(w, phase + k - low) for k, w in enumerate(step.taps)]
    phases.append([(w, s // up) for w, s in shifts if s % up == 0])
  first = min(s for parts in phases for _, s in parts)
  last = max(s for parts in phases for _, s in parts) + count
  x = _pad(x, axis, -first, last - x.shape[axis])
  sums = [
    _weighted(x, axis, [(w, s - first) for w, s in parts], count, 1)
    for parts in phases
  ]
  joined = jnp.stack(sums, axis + 1)
  shape = (*x.shape[:axis], count * up, *x.shape[axis + 1 :])
  return jax.lax.slice_in_dim(joined.reshape(shape), 0, size, 1, axis)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def apply(x: Float[Array, '...'], step: Pass) -> Float[Array, '...']:
  """Apply a pass; differentiable any number of times.

  Args:
    x: maps, with `step.size` samples along `step.axis`.
    step: what is done along which axis.

  Returns:
    Maps of (size up + pads - taps) / down + 1 samples, rounded down.
  """
  axis, taps, up = step.axis, step.taps, step.up
  low, high = step.pads
  if up > 1 and step.down == 1 and len(taps) >= up:
    return _enlarge(x, step)
  if up > 1:  # Zeros after the last sample too.
    x = _pad(x, axis, 0, up - 1, up - 1)
  x = _pad(x, axis, low, high)
  count = (x.shape[axis] - len(taps)) // step.down + 1
  parts = [(weight, k) for k, weight in enumerate(taps)]
  return _weighted(x, axis, parts, count, step.down)


def _forward(x, step):
  return apply(x, step), None


def _backward(step, _, gradient):
  return (apply(gradient, step.transposed),)


apply.defvjp(_forward, _backward)
