"""Which edges of a mesh are silhouettes, and how many lines they cross.

An edge is a silhouette if it has one face only, or two that lie on the same
side of it on the screen. `silhouettes` blends pixels along them.

Shapes: `N` faces of all views, `F` of one; `E` = 3 N edges, each from the side
of one face: edge i N + f of face f lies opposite to its corner i; `P` pixels
of all views.
"""

from typing import NamedTuple

from jax import lax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Shaped
import numpy as np

from maskjax.render.mesh import fragments, visibility, windows


class Twins(NamedTuple):
  """The other side of each edge of a mesh (F3 = 3 F).

  Attributes:
    edge: number of the same edge of the neighbouring face, -1 where there is
      none or more than one.
    aligned: whether both faces run along it in the same direction, so that
      one is inside out.
  """

  edge: Int[Array, 'f3']
  aligned: Bool[Array, 'f3']


class Outline(NamedTuple):
  """Which silhouette edges there are.

  Attributes:
    ends: number of crossings up to and including each edge.
    first: the first line an edge crosses: a row if it is steep, or a column.
    steep: whether the edge is followed down the rows.
    upward: whether its face lies on the side of larger columns (or rows).
    open: whether it has no neighbour.
  """

  ends: Int[Array, 'e']
  first: Int[Array, 'e']
  steep: Bool[Array, 'e']
  upward: Bool[Array, 'e']
  open: Bool[Array, 'e']


def twins(faces: Int[Array | np.ndarray, 'f 3']) -> Twins:
  """Find the neighbours of all faces.

  Args:
    faces: vertex indices; neighbours share the vertices of their edge.

  Returns:
    Twins.
  """
  start = jnp.roll(faces, -1, 1).reshape(-1)
  end = jnp.roll(faces, -2, 1).reshape(-1)
  low, high = jnp.minimum(start, end), jnp.maximum(start, end)
  # Sorted by their ends, the sides of one edge come one after the other.
  order = jnp.lexsort((high, low)).astype(jnp.int32)
  low, high = low[order], high[order]
  same = (low[1:] == low[:-1]) & (high[1:] == high[:-1])
  before, after = jnp.pad(same, (1, 0)), jnp.pad(same, (0, 1))
  # Edges of exactly two faces: one is followed, the other is preceded.
  first = after & ~before & ~jnp.roll(after, -1)
  second = before & ~after & jnp.roll(first, 1)
  other = jnp.where(first, jnp.roll(order, -1), jnp.roll(order, 1))
  other = jnp.where(first | second, other, -1)
  edge = jnp.zeros_like(order).at[order].set(other)
  return Twins(edge, start == start[edge])


def _silhouettes(
  facing: Float[Array, 'n'], drawn: Bool[Array, 'n'], twin: Twins, views: int
) -> Bool[Array, '3 n']:
  """Tell which edges are silhouettes; each is kept once."""

  def planar(
    values: Shaped[Array | np.ndarray, 'f3'],
  ) -> Shaped[Array | np.ndarray, '3 f']:
    return values.reshape(-1, 3).T

  edge = planar(twin.edge)
  number = planar(np.arange(edge.size, dtype=np.int32))
  neighbour = jnp.maximum(lax.div(edge, np.int32(3)), 0)
  direction = jnp.where(planar(twin.aligned), -1.0, 1.0)
  # One number tells which way a face looks, and whether it is drawn.
  facing = jnp.where(drawn, facing, 0.5 * facing).reshape(views, -1)
  own, other = facing[:, None], facing[:, neighbour]
  # Neighbours that run along the edge in opposite directions (as they should)
  # lie on the same side of it if one is seen from the front, one from behind.
  kept = (number < edge)[None] | (jnp.abs(other) != 1)
  outline = (edge < 0)[None] | (kept & (own * other * direction[None] <= 0))
  outline &= jnp.abs(own) == 1
  return jnp.swapaxes(outline, 0, 1).reshape(3, -1)


def _spans(
  corners: Float[Array, '4 3 n'],
  facing: Float[Array, 'n'],
  grid: windows.Grid,
  near: float,
) -> tuple[
  Int[Array, '3 n'], Int[Array, '3 n'], Bool[Array, '3 n'], Bool[Array, '3 n']
]:
  """Return number of lines, first line, steep and upward of all edges."""
  starts, ends = (jnp.roll(corners, -turn, 1) for turn in (1, 2))
  usable = jnp.maximum(starts[3], ends[3]) > near
  screen = []
  for a, b in ((starts, ends), (ends, starts)):
    x, y, w = visibility.cut(a, b, near)
    w = jnp.where(usable, w, 1.0)
    screen.append((x / w, y / w))
  (x0, y0), (x1, y1) = screen
  # Along its longer axis an edge crosses each line once.
  steep = jnp.abs(y1 - y0) >= jnp.abs(x1 - x0)
  low = jnp.where(steep, jnp.minimum(y0, y1), jnp.minimum(x0, x1))
  high = jnp.where(steep, jnp.maximum(y0, y1), jnp.maximum(x0, x1))
  half = (grid.size - 1) / 2
  # Half open: a line through a vertex crosses one of its two edges.
  first = jnp.clip(jnp.ceil(low + half), 0, grid.size).astype(jnp.int32)
  last = jnp.clip(jnp.ceil(high + half) - 1, -1, grid.size - 1)
  lines = jnp.maximum(last.astype(jnp.int32) - first + 1, 0)
  inside = facing[None] * jnp.where(steep, y0 - y1, x1 - x0) > 0
  return jnp.where(usable, lines, 0), first, steep, inside


def find(
  corners: Float[Array, '4 3 n'],
  drawn: Bool[Array, 'n'],
  twin: Twins,
  grid: windows.Grid,
  near: float,
  run: Bool[Array, ''],
) -> Outline:
  """List the silhouette edges and count the lines they cross.

  Args:
    corners: homogeneous pixels and depths, see `visibility`.
    drawn: which faces are drawn.
    twin: the neighbours of all edges, from `twins`.
    grid: sizes of images, windows and chunks (static).
    near: depth of the near plane, cm; what lies before it is not drawn.
    run: true when running, see `fragments.staged`.
  """
  facing = visibility.facing(corners)
  lines, first, steep, inside = fragments.staged(
    run,
    lambda corners, facing: _spans(corners, facing, grid, near),
    corners,
    facing,
  )
  chosen = fragments.staged(
    run,
    lambda facing, drawn: _silhouettes(facing, drawn, twin, grid.views),
    facing,
    drawn,
  )
  alone = jnp.tile((twin.edge < 0).reshape(-1, 3).T, (1, grid.views))
  lines = jnp.where(chosen, lines, 0).reshape(-1)
  return Outline(
    ends=jnp.cumsum(lines, dtype=jnp.int32),
    first=first.reshape(-1),
    steep=steep.reshape(-1),
    upward=inside.reshape(-1),
    open=alone.reshape(-1),
  )
