"""The pixels that see something, tile by tile.

Images of the hard mode are mostly background, which costs nothing to shade if
it is left out. Why tiles: listing single pixels would cost more than it saves
(a gather and a scatter for each), and lines are contiguous in memory. So pixels
are taken in tiles, pieces of lines; those with a face in them
are listed, and walked through a chunk at a time. The list is as long as there
are tiles, so it cannot overflow.

Shapes: `P` pixels of all views, `T` tiles of all views, `L` >= T, `q` = 16
pixels of a tile, `G` tiles of a chunk, `Q` = G * q; leading `...` channels.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from jax import lax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Shaped
import numpy as np

from maskjax.render.mesh import windows

_PIXELS = 16
# Tiles of a chunk, on a CPU and on other devices.
_CHUNKS = 256, 16384


class Tiles(NamedTuple):
  """Which tiles see something.

  Attributes:
    faces: number of the face that each pixel sees, and of all faces where it
      sees none; the last tile stands for nothing.
    order: numbers of tiles, those that see something first, T for none.
    count: how many of them see something.
  """

  faces: Int[Array, 't+1 q']
  order: Int[Array, 'l']
  count: Int[Array, '']


class Chunk(NamedTuple):
  """Some pixels.

  Attributes:
    tile: numbers of the tiles.
    face: that pixels see.
    column: columns of the pixels in their images.
    row: rows of the pixels in their images.
    run: true when running, see `fragments.staged`.
  """

  tile: Int[Array, 'g']
  face: Int[Array, 'q']
  column: Int[Array, 'q']
  row: Int[Array, 'q']
  run: Bool[Array, '']


def _across(grid: windows.Grid) -> int:
  """Return how many tiles a line of pixels has."""
  return -(-grid.size // _PIXELS)


def _length(grid: windows.Grid) -> int:
  """Return the number of tiles of a chunk."""
  count = grid.views * grid.size * _across(grid)
  largest = _CHUNKS[jax.default_backend() != 'cpu']
  return int(min(largest, max(count // 4, 1)))


def cut(
  images: Shaped[Array, '*k p'], grid: windows.Grid, *, fill: float = 0
) -> Shaped[Array, '*k t q']:
  """Cut images into tiles.

  Args:
    images: of all views one after the other, channels first.
    grid: sizes of images, windows and chunks (static).
    fill: what lies beyond the images.
  """
  lead, margin = images.shape[:-1], _across(grid) * _PIXELS - grid.size
  if margin:
    images = images.reshape(*lead, -1, grid.size)
    widths = [(0, 0)] * (len(lead) + 1) + [(0, margin)]
    images = jnp.pad(images, widths, constant_values=fill)
  return images.reshape(*lead, -1, _PIXELS)


def _join(
  tiled: Shaped[Array, '*k t q'], grid: windows.Grid
) -> Shaped[Array, '*k p']:
  """Join tiles into images; the inverse of `cut`."""
  lead = tiled.shape[:-2]
  images = tiled.reshape(*lead, -1, _across(grid) * _PIXELS)
  return images[..., : grid.size].reshape(*lead, -1)


def visible(faces: Int[Array, 'p'], none: int, grid: windows.Grid) -> Tiles:
  """List the tiles that see something.

  Args:
    faces: number of the face that each pixel sees, or `none`.
    none: stands for no face.
    grid: sizes of images, windows and chunks (static).
  """
  tiled = cut(faces, grid, fill=none)
  seen = jnp.any(tiled < none, -1)
  whole = -(-len(tiled) // _length(grid)) * _length(grid)
  (order,) = jnp.nonzero(seen, size=whole, fill_value=len(tiled))
  tiled = jnp.pad(tiled, ((0, 1), (0, 0)), constant_values=none)
  return Tiles(tiled, order.astype(jnp.int32), jnp.sum(seen, dtype=jnp.int32))


def walk(
  tiles: Tiles,
  grid: windows.Grid,
  state: Float[Array, '*s'],
  step: Callable[[Float[Array, '*s'], Chunk], Float[Array, '*s']],
) -> Float[Array, '*s']:
  """Walk once through all pixels that see something, and their neighbours.

  Args:
    tiles: the tiles that see something, from `visible`.
    grid: sizes of images, windows and chunks (static).
    state: what is accumulated, at the start.
    step: maps state and `Chunk` to the next state.

  Returns:
    The final state.
  """
  size, across = _length(grid), np.int32(_across(grid))
  inner = np.arange(_PIXELS, dtype=np.int32)
  # Zeros that vary over devices as the data does, which shard_map requires.
  state = state + (0 * tiles.count).astype(state.dtype)

  Carry = tuple[Int[Array, ''], Float[Array, '*s']]

  def body(carry: Carry) -> Carry:
    start, state = carry
    tile = lax.dynamic_slice(tiles.order, (start,), (size,))
    left = lax.rem(tile, across) * _PIXELS
    row = lax.rem(lax.div(tile, across), np.int32(grid.size))
    chunk = Chunk(
      tile=tile,
      face=tiles.faces[tile].reshape(-1),
      column=(left[:, None] + inner[None]).reshape(-1),
      row=jnp.repeat(row, _PIXELS),
      run=tiles.count > 0,
    )
    return start + size, step(state, chunk)

  start = 0 * tiles.count
  return lax.while_loop(
    lambda carry: carry[0] < tiles.count, body, (start, state)
  )[1]


def compute(
  tiles: Tiles,
  grid: windows.Grid,
  channels: int,
  function: Callable[[Chunk], Float[Array, 'c q']],
  *,
  dtype: Any,
) -> Float[Array, 'c p']:
  """Compute images of what is seen.

  Args:
    tiles: the tiles that see something, from `visible`.
    grid: sizes of images, windows and chunks (static).
    channels: how many channels the images have.
    function: maps `Chunk` to values [C, Q].
    dtype: that of the values.

  Returns:
    The images; 0 in tiles that see nothing.
  """

  def step(
    images: Float[Array, 'c t q'], chunk: Chunk
  ) -> Float[Array, 'c t q']:
    values = function(chunk)
    values = values.reshape(channels, *chunk.tile.shape, _PIXELS)
    return images.at[:, chunk.tile].set(values, mode='drop')

  count = tiles.faces.shape[0] - 1
  images = jnp.zeros((channels, count, _PIXELS), dtype)
  return _join(walk(tiles, grid, images, step), grid)
