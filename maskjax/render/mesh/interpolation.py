"""Interpolation of attributes on the faces that pixels see, and its derivative.

With (x_i, y_i) the homogeneous corners relative to a pixel's centre (see
`visibility`), e_0 = x_1 y_2 - y_1 x_2 (and so on) the areas opposite to the
corners, s their sum, b_i = e_i / s the perspective-correct barycentric
coordinates, a_i the corners' channels and u the upstream gradient:

  dL/da_i = b_i u
  dL/de_i = (h_i - sum_j b_j h_j) / s,  where h_i = u . a_i
  dL/dx_1 = dL/de_0 y_2 - dL/de_2 y_0 (and so on)
  dL/dW_i = -(px dL/dx_i + py dL/dy_i)

Only face numbers are kept for the backward pass, which gathers one row of
numbers per pixel again. Where nothing is seen nothing is computed (`tiles`).

Shapes: `N` faces of all views, `R` = 3 * (4 + C) numbers per face: X, Y, W
(see `visibility`), depth and `C` attributes of the first corner, and so on;
`P` pixels of all views, `Q` pixels of a chunk, `K` = 4 + C numbers of a
corner, `U` = 1 + C upstream channels.
"""

import functools
from typing import NamedTuple

import jax
from jax import lax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int
import numpy as np

from maskjax.render.mesh import fragments, tiles, windows

_Residuals = tuple[Float[Array, 'n r'], Bool[Array, 'n'], tiles.Tiles]


class _Gathered(NamedTuple):
  """What the pixels of a chunk see, see `_areas`."""

  rows: Float[Array, '3 k q']
  place: Float[Array, '2 q']
  relative: Float[Array, '2 3 q']
  areas: Float[Array, '3 q']
  total: Float[Array, 'q']


def _areas(
  numbers: Float[Array, 'r n'], chunk: tiles.Chunk, grid: windows.Grid
) -> _Gathered:
  """Gather what pixels see from the numbers of faces [R, N].

  Returns:
    Rows, coordinates of the pixels, those of the corners relative to them, the
    areas opposite to the corners, clipped to the sign of their sum, and their
    sum (0: nothing is seen).
  """
  # Number by number, which stays in the fastest cache.
  count = numbers.shape[1]

  def gather(face: Int[Array, 'q']) -> Float[Array, '3 k q']:
    gathered = numbers[:, jnp.minimum(face, count - 1)]
    # Where no face is seen, the last one may be nan.
    gathered = jnp.where((face < count)[None], gathered, 0.0)
    return gathered.reshape(3, numbers.shape[0] // 3, -1)

  gathered = fragments.staged(chunk.run, gather, chunk.face)

  def compute(
    rows: Float[Array, '3 k q'],
    face: Int[Array, 'q'],
    column: Int[Array, 'q'],
    row: Int[Array, 'q'],
  ) -> tuple[
    Float[Array, '2 q'],
    Float[Array, '2 3 q'],
    Float[Array, '3 q'],
    Float[Array, 'q'],
  ]:
    place = jnp.stack([column, row]).astype(rows.dtype) - (grid.size - 1) / 2
    x, y = (rows[:, i] - place[i][None] * rows[:, 2] for i in range(2))
    areas = jnp.stack(
      [
        x[(i + 1) % 3] * y[(i + 2) % 3] - y[(i + 1) % 3] * x[(i + 2) % 3]
        for i in range(3)
      ]
    )
    # e_i of the docstring. Inside all have one sign, but for rounding.
    sign = jnp.sign(areas[0] + areas[1] + areas[2])
    areas = jnp.where((face < count)[None], areas * sign[None], 0.0)
    clipped = jnp.maximum(areas, 0.0)
    total = clipped[0] + clipped[1] + clipped[2]
    return place, jnp.stack([x, y]), clipped * sign[None], total * sign

  place, relative, areas, total = fragments.staged(
    chunk.run, compute, gathered, chunk.face, chunk.column, chunk.row
  )
  return _Gathered(
    rows=gathered, place=place, relative=relative, areas=areas, total=total
  )


def _shares(
  areas: Float[Array, '3 q'], total: Float[Array, 'q']
) -> Float[Array, '3 q']:
  """Return barycentric coordinates, 0 where nothing is seen."""
  seen = total != 0
  return jnp.where(seen[None], areas / jnp.where(seen, total, 1.0)[None], 0.0)


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def interpolate(
  rows: Float[Array, 'n r'],
  steady: Bool[Array, 'n'],
  seen: tiles.Tiles,
  grid: windows.Grid,
) -> Float[Array, 'c p']:
  """Interpolate depth and attributes at the centres of pixels.

  Args:
    rows: numbers of all faces, as the module's docstring says.
    steady: which faces are not seen edge-on, from `visibility.steady`; the
      others get no gradient by the places of their corners.
    seen: the tiles that see something, from `tiles.visible`.
    grid: sizes of images, windows and chunks (static).

  Returns:
    1, depth and attributes; 0 where no face is.
  """
  del steady
  count = rows.shape[0]

  def mix(
    face: Int[Array, 'q'],
    gathered: Float[Array, '3 k q'],
    areas: Float[Array, '3 q'],
    total: Float[Array, 'q'],
  ) -> Float[Array, 'c q']:
    shares = _shares(areas, total)
    values = sum(shares[i][None] * gathered[i, 3:] for i in range(3))
    covered = (face < count)[None].astype(values.dtype)
    return jnp.concatenate([covered, values])

  numbers = rows.T

  def shade(chunk: tiles.Chunk) -> Float[Array, 'c q']:
    seen = _areas(numbers, chunk, grid)
    return fragments.staged(
      chunk.run, mix, chunk.face, seen.rows, seen.areas, seen.total
    )

  return tiles.compute(
    seen, grid, rows.shape[1] // 3 - 2, shade, dtype=rows.dtype
  )


def _pull(
  seen: _Gathered, upstream: Float[Array, 'u q'], steady: Bool[Array, 'q']
) -> tuple[Float[Array, '3 q'], Float[Array, '3 q']]:
  """Return derivatives by the areas, and the barycentric coordinates."""
  rows, areas, total = seen.rows, seen.areas, seen.total
  shares = _shares(areas, total)
  worth = [
    sum(u * value for u, value in zip(upstream, rows[i, 3:])) for i in range(3)
  ]
  # dL/de_i = (h_i - sum_j b_j h_j) / s
  mean = sum(share * h for share, h in zip(shares, worth))
  usable = (total != 0) & steady
  scale = jnp.where(usable, 1.0 / jnp.where(usable, total, 1.0), 0.0)
  by_area = [
    jnp.where(areas[i] != 0, (worth[i] - mean) * scale, 0.0) for i in range(3)
  ]
  return jnp.stack(by_area), shares


def _to_rows(
  seen: _Gathered,
  by_area: Float[Array, '3 q'],
  shares: Float[Array, '3 q'],
  upstream: Float[Array, 'u q'],
) -> Float[Array, 'q r']:
  """Spread the derivatives over the numbers of the rows."""
  (x, y), place, columns = seen.relative, seen.place, []
  for i in range(3):
    # dL/dx_i and dL/dy_i of the docstring; W_i moves both by the pixel's place.
    after, before = (i + 1) % 3, (i + 2) % 3
    by_x = by_area[before] * y[after] - by_area[after] * y[before]
    by_y = by_area[after] * x[before] - by_area[before] * x[after]
    columns += [by_x, by_y, -(place[0] * by_x + place[1] * by_y)]
    columns += [shares[i] * u for u in upstream]
  return jnp.stack(columns, -1)


def _forward(
  rows: Float[Array, 'n r'],
  steady: Bool[Array, 'n'],
  seen: tiles.Tiles,
  grid: windows.Grid,
) -> tuple[Float[Array, 'c p'], _Residuals]:
  """Forward pass; nothing but its inputs is kept."""
  return interpolate(rows, steady, seen, grid), (rows, steady, seen)


def _backward(
  grid: windows.Grid, residuals: _Residuals, upstream: Float[Array, 'c p']
) -> tuple[Float[Array, 'n r'], None, None]:
  """Backward pass: gathers again, and scatters one row per pixel."""
  rows, steady, seen = residuals
  count = rows.shape[0]
  # The first channel, whether there is a face, has no gradient.
  tiled = tiles.cut(upstream[1:], grid)
  last = tiled.shape[1] - 1
  numbers = rows.T

  def step(
    gradient: Float[Array, 'n r'], chunk: tiles.Chunk
  ) -> Float[Array, 'n r']:
    gathered = _areas(numbers, chunk, grid)

    def pick(tile: Int[Array, 'g']) -> Float[Array, 'u q']:
      picked = tiled[:, jnp.minimum(tile, last)]
      return picked.reshape(tiled.shape[0], -1)

    known = steady[jnp.minimum(chunk.face, count - 1)]
    above = fragments.staged(chunk.run, pick, chunk.tile)
    by_area, shares = fragments.staged(chunk.run, _pull, gathered, above, known)
    changes = fragments.staged(
      chunk.run, _to_rows, gathered, by_area, shares, above
    )
    return gradient.at[chunk.face].add(changes, mode='drop')

  return tiles.walk(seen, grid, jnp.zeros_like(rows), step), None, None


interpolate.defvjp(_forward, _backward)


def slopes(
  rows: Float[Array, 'n r'], seen: tiles.Tiles, grid: windows.Grid
) -> Float[Array, 'p c 2']:
  """Compute how fast attributes change over the image, without gradients.

  As barycentric coordinates are b_i = e_i / s, they change by (de_i - b_i ds)
  / s; de_i follows from dx_i = -W_i a pixel.

  Args:
    rows: numbers of all faces, as the module's docstring says.
    seen: the tiles that see something, from `tiles.visible`.
    grid: sizes of images, windows and chunks (static).

  Returns:
    Change of each attribute per pixel to the right, and down, on the face
    that is seen, perspective-correct; 0 where nothing is.
  """
  numbers = lax.stop_gradient(rows).T
  count = rows.shape[1] // 3 - 4
  after, before = np.array([1, 2, 0]), np.array([2, 0, 1])

  def compute(
    rows: Float[Array, '3 k q'],
    relative: Float[Array, '2 3 q'],
    areas: Float[Array, '3 q'],
    total: Float[Array, 'q'],
  ) -> Float[Array, 'c q']:
    (x, y), w = relative, rows[:, 2]
    shares = _shares(areas, total)
    # de_i by one pixel to the right (dx_j = -W_j), and down (dy_j = -W_j).
    right = y[after] * w[before] - w[after] * y[before]
    down = w[after] * x[before] - x[after] * w[before]
    there = total != 0
    inverse = jnp.where(there, 1.0 / jnp.where(there, total, 1.0), 0.0)
    changes = [
      (d - shares * (d[0] + d[1] + d[2])[None]) * inverse[None]
      for d in (right, down)
    ]
    return jnp.concatenate(
      [sum(rows[i, 4:] * d[i][None] for i in range(3)) for d in changes]
    )

  def change(chunk: tiles.Chunk) -> Float[Array, 'c q']:
    found = _areas(numbers, chunk, grid)
    return fragments.staged(
      chunk.run, compute, found.rows, found.relative, found.areas, found.total
    )

  if not count:
    return jnp.zeros((grid.pixels, 0, 2), rows.dtype)
  images = tiles.compute(seen, grid, 2 * count, change, dtype=rows.dtype)
  return images.reshape(2, count, -1).transpose(2, 1, 0)
