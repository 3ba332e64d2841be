"""The formula of one fragment: a face at a pixel.

A fragment's inputs are a face, in screen coordinates relative to the corner
of a small window of pixels, and a pixel's offset inside that window: small
numbers, which is what keeps float32 accurate at high resolution. Everything
is elementwise over `T G`: the pixels of a window first, the windows last, so
that neighbours in memory share the pixel and differ in the face.

Written in stages, because XLA on a CPU recomputes a long chain of elementwise
operations for each of its outputs; `staged` ends such a chain. The derivative
is in `fragment_gradients`.

Source: Liu et al., "Soft Rasterizer" (2019), equations 1 to 4. Barycentric
coordinates are clipped, then corrected for perspective, as in its code; the
other order is the same but for faces so edge-on that their horizon lies
within the blur radius, where it is discontinuous.

Shapes: `T` pixels of a window, `G` windows, `C` channels, `U` = 2 + `C` sums.
Screen coordinates are x right, y down, the image height spanning [-1, 1].
"""

from collections.abc import Callable
import functools
from typing import Any, NamedTuple

import jax
from jax import lax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

# The score of a fragment that does not count: its probability is exactly 0.
OUTSIDE = -1e4


class Blend(NamedTuple):
  """Constants of the blending (static).

  Attributes:
    sigma: softness of the coverage, squared screen units.
    blur: faces count up to this distance from a pixel, screen units.
    depth_rate: decay of the weight with depth, 1 / (gamma * depth range),
      1 / cm.
    product: whether a pixel's coverage sums up -log(1 - probability) rather
      than the probability itself.
    perspective: whether distant things look smaller; if not, the camera is
      orthographic.
    keep: how many of the nearest fragments of a pixel count, or None: all.
  """

  sigma: float
  blur: float
  depth_rate: float
  product: bool
  perspective: bool = True
  keep: int | None = None


class Chunk(NamedTuple):
  """The faces and pixels of the windows that are worked on at once.

  Attributes:
    x: horizontal screen coordinates of the corners, relative to the window's
      first pixel.
    y: vertical screen coordinates of the corners, likewise.
    z: depths of the corners in cm, positive.
    channels: attributes of the corners.
    counted: false at pixels outside of the face's bounding box.
    offsets: x, y and 1 of the pixels of a window, screen units.
    run: true when running, see `staged`.
  """

  x: Float[Array, '3 g']
  y: Float[Array, '3 g']
  z: Float[Array, '3 g']
  channels: Float[Array, '3 c g']
  counted: Bool[Array, 't g']
  offsets: Float[Array, '3 t']
  run: Bool[Array, '']


class Coverage(NamedTuple):
  """Where pixels lie with respect to faces.

  Attributes:
    score: signed squared distance over sigma, positive inside; the logit of
      the probability. `OUTSIDE` where the fragment does not count.
    edge: the nearest edge of the face, by the number of the corner opposite.
    position: where on that edge the nearest point lies, in [0, 1].
  """

  score: Float[Array, 't g']
  edge: Int[Array, 't g']
  position: Float[Array, 't g']


def staged(
  run: Bool[Array, ''], function: Callable[..., Any], *args: Any
) -> Any:
  """Compute `function(*args)` such that XLA:CPU keeps the results in memory.

  A branch on a number that is only known when running is the one barrier the
  CPU compiler respects: it cannot fuse, and so recompute, across it. Other
  devices do better without.

  Args:
    run: true when running; if it were false the result would be 0.
    function: any function of arrays.
    *args: its arguments.

  Returns:
    The result.
  """
  if jax.default_backend() != 'cpu':
    return function(*args)
  shapes = jax.eval_shape(function, *args)

  def zeros(*_: Any) -> Any:
    # Made from `run`, so that it varies over devices as the result does.
    return jax.tree.map(
      lambda s: jnp.broadcast_to(run.astype(s.dtype), s.shape), shapes
    )

  return lax.cond(run, function, zeros, *args)


def barycentric_planes(
  x: Float[Array, '3 g'],
  y: Float[Array, '3 g'],
  z: Float[Array, '3 g'],
  *,
  perspective: bool = True,
) -> Float[Array, '3 3 g']:
  """Find the planes of the barycentric coordinates over depth.

  Args:
    x: horizontal screen coordinates of the corners, see `Chunk`.
    y: vertical screen coordinates of the corners, likewise.
    z: depths of the corners, cm.
    perspective: whether distant things look smaller; if not, all depths
      count as 1.

  Returns:
    Slope in x, slope in y and constant of (barycentric coordinate i) / z_i,
    which is linear on the screen.
  """
  if not perspective:
    z = jnp.ones_like(z)
  x1, x2 = jnp.roll(x, -1, 0), jnp.roll(x, -2, 0)
  y1, y2 = jnp.roll(y, -1, 0), jnp.roll(y, -2, 0)
  # On the screen not b_i is linear but b_i / z_i, in proportion: the area that
  # the pixel spans with the edge opposite, over z_i times the face's area.
  # Divided by their sum the three are the perspective-correct b_i.
  area = (x[1] - x[0]) * (y[2] - y[0]) - (x[2] - x[0]) * (y[1] - y[0])
  scale = 1.0 / (z * area[None])
  return jnp.stack(
    [(y1 - y2) * scale, (x2 - x1) * scale, (x1 * y2 - x2 * y1) * scale], 1
  )


def _evaluate(
  plane: Float[Array, '3 g'], offsets: Float[Array, '3 t']
) -> Float[Array, 't g']:
  """Evaluate one plane at the pixels of a window."""
  px, py, _ = offsets[..., None]
  return plane[0][None] * px + plane[1][None] * py + plane[2][None]


def clipped_weights(
  planes: Float[Array, '3 3 g'], offsets: Float[Array, '3 t']
) -> tuple[list[Float[Array, 't g']], Float[Array, 't g']]:
  """Evaluate barycentric coordinates over depth, clipped from below at 0.

  Args:
    planes: barycentric coordinates over depth, from `barycentric_planes`.
    offsets: x, y and 1 of the pixels of a window, see `Chunk`.

  Returns:
    The three clipped values, and one over their sum. The sum is at least one
    over the face's largest depth: the coordinates add up to 1 and clipping
    only adds.
  """
  values = [jnp.maximum(_evaluate(plane, offsets), 0.0) for plane in planes]
  return values, 1.0 / (values[0] + values[1] + values[2])


def _nearest_edge(
  chunk: Chunk,
) -> tuple[Float[Array, 't g'], Int[Array, 't g'], Float[Array, 't g']]:
  """Return squared distance to the outline, edge and position on it."""
  px, py, _ = chunk.offsets[..., None]
  x, y = chunk.x, chunk.y
  # The three edges one by one: a stack of all would be three times as much to
  # keep at once. Edge i runs from corner j to corner k.
  best = edge = position = None
  for i in range(3):
    j, k = (i + 1) % 3, (i + 2) % 3
    ex, ey = x[k] - x[j], y[k] - y[j]
    per_length = 1.0 / (ex * ex + ey * ey)
    dx, dy = px - x[j][None], py - y[j][None]
    along = dx * (ex * per_length)[None] + dy * (ey * per_length)[None]
    # Foot of the perpendicular, held to the edge's ends.
    along = jnp.clip(along, 0.0, 1.0)
    rx, ry = dx - along * ex[None], dy - along * ey[None]
    squared = rx * rx + ry * ry
    if best is None:
      best, position = squared, along
      edge = jnp.zeros(squared.shape, jnp.int32)
    else:
      nearer = squared < best
      best = jnp.where(nearer, squared, best)
      edge = jnp.where(nearer, jnp.int32(i), edge)
      position = jnp.where(nearer, along, position)
  return best, edge, position


def coverage(
  chunk: Chunk, planes: Float[Array, '3 3 g'], blend: Blend
) -> Coverage:
  """Score pixels by their distance to the outline of faces (equation 1).

  Args:
    chunk: the faces and pixels of some windows.
    planes: barycentric coordinates over depth, from `barycentric_planes`.
    blend: constants of the blending (static).

  Returns:
    Coverage.
  """
  # Equation 1: D = sigmoid(delta d^2 / sigma), delta 1 inside, -1 outside. The
  # sigmoid is taken later, by `weigh`.
  squared, edge, position = _nearest_edge(chunk)
  values = [_evaluate(plane, chunk.offsets) for plane in planes]
  inside = jnp.minimum(jnp.minimum(values[0], values[1]), values[2]) >= 0
  score = jnp.where(inside, squared, -squared) * (1.0 / blend.sigma)
  counted = chunk.counted & (inside | (squared <= blend.blur**2))
  return Coverage(jnp.where(counted, score, OUTSIDE), edge, position)


def depth(chunk: Chunk, planes: Float[Array, '3 3 g']) -> Float[Array, 't g']:
  """Interpolate depth, perspective-correct, clipped to the face.

  Args:
    chunk: the faces and pixels of some windows.
    planes: barycentric coordinates over depth, from `barycentric_planes`.

  Returns:
    Depths in cm, between the smallest and the largest of the corners.
  """
  values, inverse = clipped_weights(planes, chunk.offsets)
  z = [corner[None] for corner in chunk.z]
  return (values[0] * z[0] + values[1] * z[1] + values[2] * z[2]) * inverse


def nearest_depth(chunk: Chunk, blend: Blend) -> Float[Array, 't g']:
  """Compute the depths of fragments, for the sweep that finds the nearest.

  Args:
    chunk: the faces and pixels of some windows.
    blend: constants of the blending (static).

  Returns:
    Depths in cm, infinite where the fragment does not count.
  """
  planes = staged(
    chunk.run,
    functools.partial(barycentric_planes, perspective=blend.perspective),
    chunk.x,
    chunk.y,
    chunk.z,
  )

  def masked(planes: Float[Array, '3 3 g']) -> Float[Array, 't g']:
    score = coverage(chunk, planes, blend).score
    far = jnp.asarray(jnp.inf, score.dtype)
    return jnp.where(score > OUTSIDE, depth(chunk, planes), far)

  return staged(chunk.run, masked, planes)


class Weights(NamedTuple):
  """How much fragments count.

  Attributes:
    probability: that the face covers the pixel (equation 1).
    weight: probability times the decay with depth behind the nearest
      fragment (equation 3, not normalised).
    shares: perspective-correct clipped barycentric coordinates.
  """

  probability: Float[Array, 't g']
  weight: Float[Array, 't g']
  shares: list[Float[Array, 't g']]


def weigh(
  score: Float[Array, 't g'],
  planes: Float[Array, '3 3 g'],
  nearest: Float[Array, 't g'],
  chunk: Chunk,
  blend: Blend,
) -> Weights:
  """Turn scores and depths into weights.

  Args:
    score: signed squared distance over sigma, from `coverage`.
    planes: barycentric coordinates over depth, from `barycentric_planes`.
    nearest: smallest depth of any face at the pixel, cm.
    chunk: the faces and pixels of some windows.
    blend: constants of the blending (static).

  Returns:
    Weights.
  """
  # Equation 3 without its sum: D exp(z / gamma), z falling from 1 at the near
  # plane to 0 at the far one. Taken relative to the nearest fragment, which
  # cancels in the quotient and keeps the exponential from underflowing.
  behind = jnp.minimum(nearest - depth(chunk, planes), 0.0)
  probability = jax.nn.sigmoid(score)
  values, inverse = clipped_weights(planes, chunk.offsets)
  return Weights(
    probability=probability,
    weight=probability * jnp.exp(behind * blend.depth_rate),
    shares=[value * inverse for value in values],
  )


def contributions(
  chunk: Chunk, nearest: Float[Array, 't g'], blend: Blend
) -> Float[Array, 't g u']:
  """Compute what fragments add to the sums kept per pixel.

  Args:
    chunk: the faces and pixels of some windows.
    nearest: smallest depth of any face at the pixel, cm.
    blend: constants of the blending (static).

  Returns:
    What is summed over all faces: -log(1 - probability) or the probability
    (equation 4), the weight (the denominator of equation 3), and weight times
    each channel (the numerator of equation 2).
  """
  planes = staged(
    chunk.run,
    functools.partial(barycentric_planes, perspective=blend.perspective),
    chunk.x,
    chunk.y,
    chunk.z,
  )
  score = staged(
    chunk.run, lambda planes: coverage(chunk, planes, blend).score, planes
  )

  def parts(
    score: Float[Array, 't g'],
    planes: Float[Array, '3 3 g'],
    nearest: Float[Array, 't g'],
  ) -> tuple[
    Float[Array, 't g'], Float[Array, 't g'], list[Float[Array, 't g']]
  ]:
    probability, weight, shares = weigh(score, planes, nearest, chunk, blend)
    # Equation 4 as a sum: 1 - alpha = product(1 - D) = exp(-sum of softplus).
    opacity = jax.nn.softplus(score) if blend.product else probability
    return opacity, weight, [weight * share for share in shares]

  opacity, weight, shares = staged(chunk.run, parts, score, planes, nearest)
  # The numerator of equation 2, Sum w C, with C perspective-correct.
  channels = sum(
    share[..., None] * chunk.channels[i].T[None]
    for i, share in enumerate(shares)
  )
  return jnp.concatenate([opacity[..., None], weight[..., None], channels], -1)
