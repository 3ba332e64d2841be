"""The list of all windows of all faces, walked in chunks of fixed size.

Why windows: a face may cover one pixel or all of them, but compiled programs
have fixed shapes. One box per face would have to be as large as the image, and
faces times pixels are too many to look at. So the dilated bounding box of each
visible face is cut into windows of WxW pixels, as many as it needs: the work
is proportional to the area that faces may touch. All windows of all faces form
one list, which is never stored: only the running count per face is, and a
window finds its face by bisection. So all shapes are static, however large the
faces are, and nothing overflows.

Shapes: `N` faces of all views, `R` numbers per face (x, y, z and further
channels of the three corners), `G` windows of a chunk, `T` = W * W.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from jax import lax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Shaped
import numpy as np

from maskjax.render.mesh import fragments


class Grid(NamedTuple):
  """Sizes (static).

  Attributes:
    views: number of images.
    size: side of the square images in pixels.
    window: side of the windows in pixels.
    chunk: number of windows that are worked on at once.
    axis_name: of the devices that take turns at the chunks, or None.
  """

  views: int
  size: int
  window: int
  chunk: int
  axis_name: str | None = None

  @property
  def pixels(self) -> int:
    """Number of pixels of all views."""
    return self.views * self.size**2


class Plan(NamedTuple):
  """Which windows there are.

  Attributes:
    ends: number of windows up to and including each face.
    boxes: first column, first row, last column, last row of each face.
  """

  ends: Int[Array, 'n']
  boxes: Int[Array, 'n 4']


class Place(NamedTuple):
  """Where the windows of a chunk are, and of which face.

  Attributes:
    live: false past the end of the list.
    face: number of the face.
    left: first column of the window.
    top: first row.
    columns: number of the window's last column inside the face's box.
    rows: number of its last row inside the box.
    pixel: index of the first pixel among those of all views.
  """

  live: Bool[Array, 'g']
  face: Int[Array, 'g']
  left: Int[Array, 'g']
  top: Int[Array, 'g']
  columns: Int[Array, 'g']
  rows: Int[Array, 'g']
  pixel: Int[Array, 'g']


def _counts(
  boxes: Int[Array, 'n 4'], grid: Grid
) -> tuple[Int[Array, 'n'], Int[Array, 'n']]:
  """Return how many windows boxes need across and down."""
  window = np.int32(grid.window)
  across = lax.div(boxes[..., 2] - boxes[..., 0], window) + 1
  return across, lax.div(boxes[..., 3] - boxes[..., 1], window) + 1


def count_windows(
  boxes: Int[Array, 'n 4'], visible: Bool[Array, 'n'], grid: Grid
) -> Plan:
  """Count the windows that boxes of pixels need.

  Args:
    boxes: first column, first row, last column, last row of each face.
    visible: whether to draw each face.
    grid: sizes of images, windows and chunks (static).

  Returns:
    Plan.
  """
  drawn = visible & (boxes[:, 2] >= boxes[:, 0]) & (boxes[:, 3] >= boxes[:, 1])
  across, down = _counts(boxes, grid)
  ends = jnp.cumsum(jnp.where(drawn, across * down, 0), dtype=jnp.int32)
  return Plan(ends, boxes)


def plan(
  corners: Float[Array, 'n r'],
  visible: Bool[Array, 'n'],
  grid: Grid,
  blur: float,
) -> Plan:
  """Count the windows that each visible face needs.

  Args:
    corners: x of the three corners, y, and so on, screen units (half image
      heights).
    visible: whether to draw each face.
    grid: sizes of images, windows and chunks (static).
    blur: margin around the faces, screen units (half image heights).

  Returns:
    Plan.
  """

  def span(
    values: Float[Array, 'n 3'],
  ) -> tuple[Int[Array, 'n'], Int[Array, 'n']]:
    # Pixel j has its centre at (2 j + 1) / size - 1; boxes hold centres.
    low, high = jnp.min(values, -1) - blur, jnp.max(values, -1) + blur
    first = jnp.ceil((low + 1) * (grid.size / 2) - 0.5)
    last = jnp.floor((high + 1) * (grid.size / 2) - 0.5)
    first = jnp.clip(first, 0, grid.size)
    last = jnp.clip(last, -1, grid.size - 1)
    return first.astype(jnp.int32), last.astype(jnp.int32)

  left, right = span(corners[:, 0:3])
  top, bottom = span(corners[:, 3:6])
  return count_windows(jnp.stack([left, top, right, bottom], -1), visible, grid)


def owners(
  ends: Int[Array, 'n'], start: Int[Array, ''], length: int
) -> Int[Array, 'g']:
  """Find who owns the things with the numbers from `start` on.

  It does what `jnp.searchsorted` does, in one piece instead of a loop.

  Args:
    ends: how many things there are up to and including each owner's.
    start: number of the first thing that is looked for.
    length: how many things in a row (static).

  Returns:
    Numbers of owners; the last one past the end.
  """
  # Bisection for the first owner whose end is beyond the number: bit by bit,
  # from the largest power of two that fits.
  number = start + jnp.arange(length, dtype=jnp.int32)
  count, before = ends.shape[0], jnp.zeros_like(number)
  step = 1 << (count.bit_length() - 1)
  while step:
    further = before + np.int32(step)
    last = ends[jnp.minimum(further, count) - 1]
    before = jnp.where((further <= count) & (last <= number), further, before)
    step >>= 1
  return jnp.minimum(before, count - 1)


def _places(
  windows: Plan, start: Int[Array, ''], face: Int[Array, 'g'], grid: Grid
) -> Place:
  """Say where the windows from number `start` on are, which faces own."""
  number = start + jnp.arange(grid.chunk, dtype=jnp.int32)
  count = windows.ends.shape[0]
  live = number < windows.ends[-1]
  box = windows.boxes[face]
  across, down = _counts(box, grid)
  # Number of the window within its face, then its row and column there.
  local = number - windows.ends[face] + across * down
  row = lax.div(local, across)
  left = box[:, 0] + (local - row * across) * grid.window
  top = box[:, 1] + row * grid.window
  view = lax.div(face, np.int32(count // grid.views))
  columns = jnp.where(live, box[:, 2] - left, -1)
  pixel = (view * grid.size + top) * grid.size + left
  return Place(
    live=live,
    face=face,
    left=left,
    top=top,
    columns=columns,
    rows=box[:, 3] - top,
    pixel=pixel,
  )


def pixels(
  place: Place, grid: Grid
) -> tuple[Bool[Array, 't g'], Int[Array, 't g']]:
  """List the pixels of windows.

  Args:
    place: where the windows of a chunk are.
    grid: sizes of images, windows and chunks (static).

  Returns:
    Whether a pixel lies inside of the face's box, and its index among those
    of all views (`grid.pixels` for those outside of the box).
  """
  row, column = np.divmod(np.arange(grid.window**2), grid.window)
  inner = jnp.asarray(row * grid.size + column, jnp.int32)[:, None]
  row, column = (jnp.asarray(x, jnp.int32)[:, None] for x in (row, column))
  counted = (row <= place.rows[None]) & (column <= place.columns[None])
  return counted, jnp.where(counted, place.pixel[None] + inner, grid.pixels)


def _chunk(
  place: Place, corners: Float[Array, 'n r'], grid: Grid, run: Bool[Array, '']
) -> tuple[fragments.Chunk, Int[Array, 't g']]:
  """Gather the fragments' input of windows."""
  counted, pixel = pixels(place, grid)
  row, column = np.divmod(np.arange(grid.window**2), grid.window)
  step = 2 / grid.size
  offsets = np.stack([column * step, row * step, np.ones(row.shape)])
  table = fragments.staged(run, lambda face: corners[face].T, place.face)
  table = table.reshape(-1, 3, grid.chunk)
  # Relative to the window's first pixel, whose place is exact: differences of
  # nearby numbers lose no digits, so float32 is enough at any resolution.
  x, y = (
    ((2 * first + 1).astype(corners.dtype) / grid.size - 1)[None]
    for first in (place.left, place.top)
  )
  chunk = fragments.Chunk(
    x=table[0] - x,
    y=table[1] - y,
    z=table[2],
    channels=jnp.moveaxis(table[2:], 0, 1),
    counted=counted,
    offsets=jnp.asarray(offsets, corners.dtype),
    run=run,
  )
  return chunk, pixel


def walk(
  windows: Plan,
  grid: Grid,
  state: Shaped[Array, '*s'],
  step: Callable[..., Shaped[Array, '*s']],
) -> Shaped[Array, '*s']:
  """Walk once through all windows, or this device's share, by chunks.

  Args:
    windows: which windows there are, from `plan` or `count_windows`.
    grid: sizes of images, windows and chunks (static).
    state: what is accumulated, at the start.
    step: maps state, places and a flag that is true when running (see
      `fragments.staged`) to the next state.

  Returns:
    The final state.
  """
  # The first chunk and all zeros vary over devices as the data and the work
  # do, which shard_map requires.
  total = windows.ends[-1]
  start, stride = 0 * total, grid.chunk
  if grid.axis_name is not None:
    start += lax.axis_index(grid.axis_name) * grid.chunk
    stride *= lax.axis_size(grid.axis_name)
  run = total + 0 * start > 0
  state = state + (0 * start).astype(state.dtype)

  Carry = tuple[Int[Array, ''], Shaped[Array, '*s']]

  def body(carry: Carry) -> Carry:
    start, state = carry
    face = fragments.staged(
      run, lambda start: owners(windows.ends, start, grid.chunk), start
    )
    place = fragments.staged(
      run, lambda start, face: _places(windows, start, face, grid), start, face
    )
    return start + stride, step(state, place, run)

  _, state = lax.while_loop(
    lambda carry: carry[0] < total, body, (start, state)
  )
  return state


def sweep(
  windows: Plan,
  corners: Float[Array, 'n r'],
  grid: Grid,
  state: Shaped[Array, '*s'],
  step: Callable[..., Shaped[Array, '*s']],
  combine: Callable[..., Any] = lax.psum,
) -> Shaped[Array, '*s']:
  """Walk once through all fragments of the windows.

  Args:
    windows: which windows there are, from `plan` or `count_windows`.
    corners: as `plan`; the depths are also the first channel.
    grid: sizes of images, windows and chunks (static).
    state: what is accumulated, at the start.
    step: maps state, chunk, index of each pixel [T, G] (`grid.pixels` where
      not counted) and places to the next state.
    combine: makes one of the states of the devices that share the windows.

  Returns:
    The final state, the same on all devices.
  """

  def enter(
    state: Shaped[Array, '*s'], place: Place, run: Bool[Array, '']
  ) -> Shaped[Array, '*s']:
    chunk, pixel = _chunk(place, corners, grid, run)
    return step(state, chunk, pixel, place)

  state = walk(windows, grid, state, enter)
  return state if grid.axis_name is None else combine(state, grid.axis_name)
