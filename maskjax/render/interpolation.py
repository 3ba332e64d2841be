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
numbers per pixel again, in blocks of pixels that fit into a cache.

Shapes: `N` faces of all views, `R` = 3 * (4 + C) numbers per face (see
`visibility`), `P` pixels of all views, `Q` pixels of a block.
"""

import functools

import jax
from jax import Array, lax
import jax.numpy as jnp
from jaxtyping import Float, Int
import numpy as np

from maskjax.render import fragments, visibility, windows

# Pixels of a block on a CPU.
_BLOCK = 2**12


def _blocks(faces, none, grid):
  """Cuts pixels into blocks: face numbers and first pixels of each block."""
  length = _BLOCK if jax.default_backend() == 'cpu' else 64 * _BLOCK
  length = min(length, grid.pixels)
  count = -(-grid.pixels // length)
  padding = count * length - grid.pixels
  faces = jnp.pad(faces, (0, padding), constant_values=none)
  # Zeros that vary over devices as the data does, which shard_map requires.
  starts = jnp.arange(count, dtype=jnp.int32) * length + 0 * faces[:1]
  return faces.reshape(count, length), starts


def _areas(corners, face, start, grid, run):
  """Gathers what pixels see.

  Returns:
    Rows [R, Q], coordinates of the pixels [2, Q], those of the corners
    relative to them [2, 3, Q], the areas opposite to the corners, clipped to
    the sign of their sum [3, Q], and their sum (0: nothing is seen) [Q].
  """
  count = corners.shape[0]

  def gather(face):
    return corners[jnp.minimum(face, count - 1)].T

  rows = fragments.staged(run, gather, face)

  def compute(rows, face, start):
    pixel = start + jnp.arange(face.shape[0], dtype=jnp.int32)
    row = lax.rem(lax.div(pixel, np.int32(grid.size)), np.int32(grid.size))
    column = lax.rem(pixel, np.int32(grid.size))
    place = jnp.stack([column, row]).astype(rows.dtype) - (grid.size - 1) / 2
    x, y = (
      rows[3 * i : 3 * i + 3] - place[i][None] * rows[6:9] for i in range(2)
    )
    areas = jnp.stack(
      [
        x[(i + 1) % 3] * y[(i + 2) % 3] - y[(i + 1) % 3] * x[(i + 2) % 3]
        for i in range(3)
      ]
    )
    # Inside all areas have one sign, but for rounding.
    sign = jnp.sign(areas[0] + areas[1] + areas[2])
    areas = jnp.where((face < count)[None], areas * sign[None], 0.0)
    clipped = jnp.maximum(areas, 0.0)
    total = clipped[0] + clipped[1] + clipped[2]
    return place, jnp.stack([x, y]), clipped * sign[None], total * sign

  return rows, *fragments.staged(run, compute, rows, face, start)


def _shares(areas, total):
  """Returns barycentric coordinates, 0 where nothing is seen."""
  seen = total != 0
  return jnp.where(seen[None], areas / jnp.where(seen, total, 1.0)[None], 0.0)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def interpolate(
  corners: Float[Array, 'n r'], faces: Int[Array, 'p'], grid: windows.Grid
) -> Float[Array, 'p 1+c']:
  """Interpolates depth and attributes at the centres of pixels.

  Args:
    corners: see above.
    faces: of `visibility.nearest_faces`.
    grid: sizes.

  Returns:
    Depth and attributes; 0 where no face is.
  """
  run = corners.shape[0] > jnp.min(faces)

  def block(args):
    face, start = args
    rows, _, _, areas, total = _areas(corners, face, start, grid, run)
    channels = rows[9:].reshape(-1, 3, rows.shape[1])

    def mix(areas, total, channels):
      shares = _shares(areas, total)
      return sum(shares[i][None] * channels[:, i] for i in range(3)).T

    return fragments.staged(run, mix, areas, total, channels)

  images = lax.map(block, _blocks(faces, corners.shape[0], grid))
  return images.reshape(-1, images.shape[-1])[: grid.pixels]


def _pull(rows, place, relative, areas, total, upstream, steady):
  """Returns derivatives by rows [R, Q]; upstream is [1 + C, Q]."""
  channels = rows[9:].reshape(-1, 3, rows.shape[1])
  shares = _shares(areas, total)
  worth = [
    sum(u * a for u, a in zip(upstream, channels[:, i])) for i in range(3)
  ]
  mean = sum(share * h for share, h in zip(shares, worth))
  usable = (total != 0) & steady
  scale = jnp.where(usable, 1.0 / jnp.where(usable, total, 1.0), 0.0)
  by_area = [
    jnp.where(areas[i] != 0, (worth[i] - mean) * scale, 0.0) for i in range(3)
  ]
  return place, relative, jnp.stack(by_area), shares, upstream


def _to_rows(place, relative, by_area, shares, upstream):
  """Spreads the derivatives over the numbers of the rows [Q, R]."""
  (x, y), by_x, by_y = relative, [], []
  for i in range(3):
    after, before = (i + 1) % 3, (i + 2) % 3
    by_x.append(by_area[before] * y[after] - by_area[after] * y[before])
    by_y.append(by_area[after] * x[before] - by_area[before] * x[after])
  by_w = [-(place[0] * dx + place[1] * dy) for dx, dy in zip(by_x, by_y)]
  by_channel = [share * u for u in upstream for share in shares]
  return jnp.stack(by_x + by_y + by_w + by_channel, -1)


def _forward(corners, faces, grid):
  """Forward pass; nothing but its inputs is kept."""
  return interpolate(corners, faces, grid), (corners, faces)


def _backward(grid, residuals, upstream):
  """Backward pass: gathers again, and scatters one row per pixel."""
  corners, faces = residuals
  none = corners.shape[0]
  run = none > jnp.min(faces)
  # The colours of faces seen edge-on change too fast over the screen.
  steady = visibility.steady(corners)
  blocks, starts = _blocks(faces, none, grid)
  padding = blocks.size - grid.pixels
  upstream = jnp.pad(upstream, ((0, padding), (0, 0)))
  upstream = upstream.reshape(*blocks.shape, -1)

  def step(gradient, block):
    face, start, upstream = block
    gathered = _areas(corners, face, start, grid, run)
    upstream = fragments.staged(run, lambda u: u.T, upstream)
    known = steady[jnp.minimum(face, none - 1)]
    pulled = fragments.staged(run, _pull, *gathered, upstream, known)
    rows = fragments.staged(run, _to_rows, *pulled)
    return gradient.at[face].add(rows, mode='drop'), None

  # Zeros that vary over devices as the data does, which shard_map requires.
  zeros = jnp.zeros_like(corners) + (0 * blocks[0, 0]).astype(corners.dtype)
  gradient, _ = lax.scan(step, zeros, (blocks, starts, upstream))
  return gradient, None


interpolate.defvjp(_forward, _backward)


def slopes(
  corners: Float[Array, 'n r'], faces: Int[Array, 'p'], grid: windows.Grid
) -> Float[Array, 'p c 2']:
  """Computes how fast attributes change over the image, without gradients.

  As barycentric coordinates are b_i = e_i / s, they change by (de_i - b_i ds)
  / s; de_i follows from dx_i = -W_i a pixel.

  Args:
    corners: see above.
    faces: of `visibility.nearest_faces`.
    grid: sizes.

  Returns:
    Change of each attribute per pixel to the right, and down, on the face
    that is seen, perspective-correct; 0 where nothing is.
  """
  corners = lax.stop_gradient(corners)
  run = corners.shape[0] > jnp.min(faces)

  def block(args):
    face, start = args
    rows, _, relative, areas, total = _areas(corners, face, start, grid, run)

    def compute(rows, relative, areas, total):
      (x, y), w = relative, rows[6:9]
      channels = rows[12:].reshape(-1, 3, rows.shape[1])
      shares = _shares(areas, total)
      after, before = np.array([1, 2, 0]), np.array([2, 0, 1])
      right = y[after] * w[before] - w[after] * y[before]
      down = w[after] * x[before] - x[after] * w[before]
      seen = total != 0
      inverse = jnp.where(seen, 1.0 / jnp.where(seen, total, 1.0), 0.0)
      changes = [
        (d - shares * jnp.sum(d, 0)[None]) * inverse[None]
        for d in (right, down)
      ]
      return jnp.stack(
        [jnp.sum(channels * d[None], 1) for d in changes], -1
      ).swapaxes(0, 1)

    return fragments.staged(run, compute, rows, relative, areas, total)

  images = lax.map(block, _blocks(faces, corners.shape[0], grid))
  return images.reshape(-1, *images.shape[-2:])[: grid.pixels]
