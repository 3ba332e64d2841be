"""The derivative of `fragments.contributions`, written by hand.

Fragments are computed anew, so the forward pass stores nothing but images.
With w the weight, p the probability, s_i the barycentric shares, a_i the
corners' channels, u the upstream gradient and r the vector from the nearest
point of the outline to the pixel:

  dL/dw     = u_w + sum_i s_i h_i,  where h_i = u . a_i
  dL/da_i   = w s_i u
  dL/ds_i   = w h_i + dL/dz z_i,    dL/dz = -depth_rate w dL/dw
  dL/dscore = u_coverage dcoverage/dscore + w (1 - p) dL/dw
  dL/dcorner = -+ 2 / sigma dL/dscore (its lever on the edge) r

The nearest point moves with the edge's corners in proportion to its position
between them; that it also slides along the edge does not matter, since its
distance is smallest there.

Shapes: as in `fragments`; `W` is the side of a window, `T` = W * W, `U` = 2 +
`C` contributions: coverage, weight, channels.
"""

from collections.abc import Callable
import functools
import math
import operator
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from maskjax.render.mesh import fragments

# Derivatives by x, y, z and channels of the corners.
_ByCorner = tuple[
  Float[Array, '3 g'],
  Float[Array, '3 g'],
  Float[Array, '3 g'],
  Float[Array, '3 c g'],
]


def _worth(
  upstream: Float[Array, 'c t g'], channels: Float[Array, '3 c g']
) -> list[Float[Array, 't g']]:
  """Return h_i: what the upstream gradient makes of each corner's channels."""
  return [
    sum(u * a[None] for u, a in zip(upstream, corner, strict=True))
    for corner in channels
  ]


def _pull_to_scores(
  weights: fragments.Weights,
  worth: list[Float[Array, 't g']],
  covered: fragments.Coverage,
  *,
  upstream: Float[Array, 'u t g'],
  blend: fragments.Blend,
) -> tuple[Float[Array, 't g'], Float[Array, 't g']]:
  """Pull back to w dL/dw and to the derivative by half the edge offsets."""
  probability, weight, shares = weights
  # dL/dw: the weight's own sum, and what it is worth in the channels' sums.
  by_weight = upstream[1] + sum(
    s * h for s, h in zip(shares, worth, strict=True)
  )
  by_weight = by_weight * weight
  # dsoftplus(score) = p, dsigmoid(score) = p (1 - p); and w = p exp(...), so
  # that dw/dscore = w (1 - p).
  complement = 1.0 - probability
  slope = probability if blend.product else probability * complement
  by_score = upstream[0] * slope + by_weight * complement
  # score = +-|r|^2 / sigma, and r points from the outline to the pixel: it
  # shrinks where the outline follows.
  outward = jnp.where(covered.score > 0, -2.0, 2.0) / blend.sigma
  by_offset = jnp.where(
    covered.score > fragments.OUTSIDE, by_score * outward, 0.0
  )
  return by_weight, by_offset


def _levers(covered: fragments.Coverage) -> list[Float[Array, 't g']]:
  """Return how far the nearest point follows each corner, in [0, 1]."""
  # Edge i runs from corner i + 1 to corner i + 2: the first has the lever
  # 1 - position, the second the position, the corner opposite none.
  edge, position = covered.edge, covered.position
  return [
    jnp.where(
      edge == (corner + 1) % 3,
      position,
      jnp.where(edge == (corner + 2) % 3, 1.0 - position, 0.0),
    )
    for corner in range(3)
  ]


def _force(
  coordinates: Float[Array, '3 g'],
  pixels: Float[Array, 't'],
  levers: list[Float[Array, 't g']],
  by_offset: Float[Array, 't g'],
) -> Float[Array, 't g']:
  """Return one coordinate of r, times the derivative by the edge offset."""
  point = sum(
    lever * corner[None]
    for lever, corner in zip(levers, coordinates, strict=True)
  )
  return (pixels[:, None] - point) * by_offset


def _pull_to_pixels(
  by_weight: Float[Array, 't g'],
  by_offset: Float[Array, 't g'],
  weights: fragments.Weights,
  worth: list[Float[Array, 't g']],
  covered: fragments.Coverage,
  planes: Float[Array, '3 3 g'],
  *,
  chunk: fragments.Chunk,
  blend: fragments.Blend,
) -> Float[Array, '14 t g']:
  """Compute per fragment what is left to be summed over each window.

  Returns:
    Of each corner w s_i, the derivatives by z and by the barycentric value
    over depth, and the lever (three each); then the forces in x and y.
  """
  # w falls by depth_rate w per cm of depth, and depth = sum_i s_i z_i.
  shares = weights.shares
  by_depth = -blend.depth_rate * by_weight
  by_share = [
    weights.weight * h + by_depth * z[None]
    for h, z in zip(worth, chunk.z, strict=True)
  ]
  mean = sum(s * b for s, b in zip(shares, by_share, strict=True))
  # s_i = v_i / sum_j v_j: the quotient rule; clipped values do not move.
  values, inverse = fragments.clipped_weights(planes, chunk.offsets)
  by_value = [
    jnp.where(value > 0, (b - mean) * inverse, 0.0)
    for value, b in zip(values, by_share, strict=True)
  ]
  levers = _levers(covered)
  return jnp.stack(
    [
      *[weights.weight * s for s in shares],
      *[by_depth * s for s in shares],
      *by_value,
      *levers,
      _force(chunk.x, chunk.offsets[0], levers, by_offset),
      _force(chunk.y, chunk.offsets[1], levers, by_offset),
    ]
  )


def _sum_columns(
  pulled: Float[Array, '14 w w g'],
  upstream: Float[Array, 'c w w g'],
  columns: Float[Array, 'w'],
) -> list[Float[Array, '...']]:
  """Sum over the columns of the windows: [..., W, W, G] to [..., W, G].

  XLA:CPU is slow at reducing what it has just computed and fast at adding up
  slices: so the products are formed slice by slice.
  """
  sums: list[Float[Array, '...']] = []
  for c, x in enumerate(columns):
    share, by_z, value, lever = (
      pulled[3 * i : 3 * i + 3, :, c] for i in range(4)
    )
    force = pulled[12:, :, c]
    terms = [
      share[:, None] * upstream[None, :, :, c],
      by_z,
      value * x,
      value,
      lever * force[:1],
      lever * force[1:],
    ]
    sums = list(map(operator.add, sums, terms)) if sums else terms
  return sums


def _sum_rows(
  sums: list[Float[Array, '...']],
  rows: Float[Array, 'w'],
  planes_vjp: Callable[..., Any],
) -> _ByCorner:
  """Sum over the rows of the windows and pull back to the corners."""

  def total(rows_of: Float[Array, '*k w g']) -> Float[Array, '*k g']:
    count = rows_of.shape[-2]
    return functools.reduce(
      operator.add, [rows_of[..., r, :] for r in range(count)]
    )

  to_channels, to_z, to_slope, to_constant, to_x, to_y = sums
  # v = slope_x px + slope_y py + constant.
  by_planes = [
    total(to_slope),
    total(to_constant * rows[None, :, None]),
    total(to_constant),
  ]
  dx, dy, dz = planes_vjp(jnp.stack(by_planes, 1))
  return (
    dx + total(to_x),
    dy + total(to_y),
    dz + total(to_z),
    total(to_channels),
  )


def gradients(
  chunk: fragments.Chunk,
  nearest: Float[Array, 't g'],
  upstream: Float[Array, 'u t g'],
  blend: fragments.Blend,
) -> _ByCorner:
  """Pull the gradient of `fragments.contributions` back to the corners.

  `nearest` is a constant: it scales all weights of a pixel alike and cancels
  when they are normalised.

  Args:
    chunk: the faces and pixels of some windows.
    nearest: smallest depth of any face at the pixel, cm.
    upstream: derivative of the loss by each of the contributions; 0 at pixels
      that are not counted.
    blend: constants of the blending (static).

  Returns:
    Derivatives by x, y, z and channels of the corners, summed per window.
  """
  stage = functools.partial(fragments.staged, chunk.run)
  planes, planes_vjp = jax.vjp(
    functools.partial(
      fragments.barycentric_planes, perspective=blend.perspective
    ),
    chunk.x,
    chunk.y,
    chunk.z,
  )
  planes = stage(lambda planes: planes, planes)
  covered = stage(
    lambda planes: fragments.coverage(chunk, planes, blend), planes
  )
  weights = stage(
    functools.partial(fragments.weigh, chunk=chunk, blend=blend),
    covered.score,
    planes,
    nearest,
  )
  worth = stage(_worth, upstream[2:], chunk.channels)
  by_weight, by_offset = stage(
    functools.partial(_pull_to_scores, upstream=upstream, blend=blend),
    weights,
    worth,
    covered,
  )
  pulled = stage(
    functools.partial(_pull_to_pixels, chunk=chunk, blend=blend),
    by_weight,
    by_offset,
    weights,
    worth,
    covered,
    planes,
  )
  side = math.isqrt(pulled.shape[1])
  square = (side, side, pulled.shape[2])
  columns = chunk.offsets[0, :side]
  sums = stage(
    lambda p, u: _sum_columns(
      p.reshape(-1, *square), u.reshape(-1, *square), columns
    ),
    pulled,
    upstream[2:],
  )
  rows = chunk.offsets[1, ::side]
  return stage(lambda s: _sum_rows(s, rows, planes_vjp), sums)
