"""Antialiasing of silhouettes, which gives hard images gradients by shape.

A z-buffer jumps where a silhouette passes a pixel's centre, and is constant
elsewhere: it has no gradient by the outline. Here every silhouette edge is
followed along its longer axis, line by line of the image. Where it crosses
the line between the centres of two pixels, it divides them at some place; the
pixel that it cuts takes a part of its neighbour's colour, as much as the
neighbour's side covers of it. A straight edge is so blended exactly as by the
area of pixels, and the places carry the gradient: a midpoint rule for the
integral of the colours' jump over the edge.

An edge is a silhouette if it has one face only, or two that lie on the same
side of it on the screen. A crossing counts if the edge is nearer than what the
pixel outside of it sees, but not than what the one inside does; of several in
one pair of pixels, the outermost.
Where faces pierce each other there is no edge, and no blending.

After Laine et al., "Modular Primitives for High-Performance Differentiable
Rendering" (2020), section 3.6, which goes by pixels in place of edges and so
misses the edges of faces that no pixel's centre sees.

Shapes: `N` faces of all views, `R` numbers per face (see `visibility`), `E` =
3 N edges, each from the side of one face: edge i of a face lies opposite to
its corner i; `P` pixels of all views, `K` channels, `G` crossings of a chunk.
"""

import functools
from typing import NamedTuple

import jax
from jax import Array, lax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int
import numpy as np

from maskjax.render import fragments, visibility, windows

# Crossings worked on at once, at most.
_CHUNK = 2**11
# Places, in pixels, between which rounding cannot decide.
_SAME_PLACE = 1e-4
# An edge without a neighbour does not end a surface where what is seen beside
# it lies in one plane with it, to this part of the depth: it is a seam.
_SEAM = 1e-4
# What is seen inside of an edge is its own surface unless its plane lies
# behind the edge by more than this part of the depth: then the surface is too
# thin to be seen.
_BEHIND = 1e-2


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


class Crossings(NamedTuple):
  """Where edges pass between two pixels.

  Attributes:
    edge: number of the edge.
    line: coordinate of the line, pixels from the image's centre.
    inner: the pixel on the side of the edge's face.
    outer: the pixel on the other side.
    upward: whether `inner` is the one of larger column (or row).
    extent: distance from the centre of `inner`, in [0, 1].
    slot: number of the pair of pixels, as seen from `inner`.
    valid: whether the edge is seen there.
  """

  edge: Int[Array, 'g']
  line: Float[Array, 'g']
  inner: Int[Array, 'g']
  outer: Int[Array, 'g']
  upward: Bool[Array, 'g']
  extent: Float[Array, 'g']
  slot: Int[Array, 'g']
  valid: Bool[Array, 'g']


def twins(faces: Int[Array, 'f 3']) -> Twins:
  """Finds the neighbours of all faces.

  Args:
    faces: vertex indices.

  Returns:
    Twins.
  """
  start = jnp.roll(faces, -1, 1).reshape(-1)
  end = jnp.roll(faces, -2, 1).reshape(-1)
  low, high = jnp.minimum(start, end), jnp.maximum(start, end)
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


def _silhouettes(facing, drawn, twin, views):
  """Tells which edges [N, 3] are silhouettes; each is kept once."""
  count = twin.edge.shape[0]
  facing, drawn = facing.reshape(views, -1), drawn.reshape(views, -1)
  neighbour = jnp.maximum(lax.div(twin.edge, np.int32(3)), 0)
  own = jnp.repeat(facing, 3, -1)
  turned = own * facing[:, neighbour] * jnp.where(twin.aligned, -1.0, 1.0)[None]
  lower = jnp.arange(count, dtype=jnp.int32) < twin.edge
  kept = lower[None] | ~drawn[:, neighbour]
  alone = (twin.edge < 0)[None]
  return jnp.repeat(drawn, 3, -1) & (alone | (kept & (turned <= 0)))


def _edge_table(corners, steep):
  """Returns the ends of edges [E, 8]: across, along, W, depth; twice."""
  values = []
  for turn in (-1, -2):
    x, y, w, z = (jnp.roll(v, turn, -1) for v in visibility.columns(corners))
    values += [jnp.where(steep, x, y), jnp.where(steep, y, x), w, z]
  return jnp.stack(values, -1).reshape(-1, 8)


def _outline(corners, facing, drawn, twin, grid, near):
  """Lists the silhouette edges and counts the lines they cross."""
  places = visibility.columns(corners)
  starts = [jnp.roll(v, -1, -1) for v in places]
  ends = [jnp.roll(v, -2, -1) for v in places]
  usable = jnp.maximum(starts[3], ends[3]) > near
  screen = []
  for a, b in ((starts, ends), (ends, starts)):
    x, y, w = visibility.cut(a, b, near)
    w = jnp.where(usable, w, 1.0)
    screen.append((x / w, y / w))
  (x0, y0), (x1, y1) = screen
  steep = jnp.abs(y1 - y0) >= jnp.abs(x1 - x0)
  low = jnp.where(steep, jnp.minimum(y0, y1), jnp.minimum(x0, x1))
  high = jnp.where(steep, jnp.maximum(y0, y1), jnp.maximum(x0, x1))
  half = (grid.size - 1) / 2
  # Half open: a line through a vertex crosses one of its two edges.
  first = jnp.clip(jnp.ceil(low + half), 0, grid.size).astype(jnp.int32)
  last = jnp.clip(jnp.ceil(high + half) - 1, -1, grid.size - 1)
  lines = jnp.maximum(last.astype(jnp.int32) - first + 1, 0)
  chosen = _silhouettes(facing, drawn, twin, grid.views)
  lines = jnp.where(chosen.reshape(lines.shape) & usable, lines, 0)
  inside = facing[:, None] * jnp.where(steep, y0 - y1, x1 - x0) > 0
  return Outline(
    ends=jnp.cumsum(lines.reshape(-1), dtype=jnp.int32),
    first=first.reshape(-1),
    steep=steep.reshape(-1),
    upward=inside.reshape(-1),
    open=jnp.tile(twin.edge < 0, grid.views),
  )


def _cross(edge, line):
  """Intersects edges [8, G] with lines: place on the line, and depth."""
  (across, along, w, z), (across_1, along_1, w_1, z_1) = edge[:4], edge[4:]
  start, end = along - line * w, along_1 - line * w_1
  length = jnp.where(start == end, 1.0, start - end)
  part = jnp.clip(start / length, 0.0, 1.0)
  w = w + part * (w_1 - w)
  across = across + part * (across_1 - across)
  return across / jnp.where(w > 0, w, 1.0), z + part * (z_1 - z)


def _crossings(outline, edges, start, grid, length):
  """Finds the crossings from number `start` on; and their place and depth."""
  number = start + jnp.arange(length, dtype=jnp.int32)
  count = edges.shape[0]
  edge = jnp.searchsorted(outline.ends, number, side='right')
  edge = jnp.minimum(edge, count - 1).astype(jnp.int32)
  before = jnp.where(edge > 0, outline.ends[edge - 1], 0)
  line = outline.first[edge] + number - before
  half = (grid.size - 1) / 2
  centred = line.astype(edges.dtype) - half
  place, depth = _cross(edges[edge].T, centred)
  shifted = place + half
  valid = (number < outline.ends[-1]) & (shifted >= 0)
  valid &= shifted < grid.size - 1
  lower = jnp.floor(jnp.where(valid, shifted, 0.0))
  offset = shifted - lower
  lower = lower.astype(jnp.int32)
  steep, upward = outline.steep[edge], outline.upward[edge]
  size = np.int32(grid.size)
  view = lax.div(edge, np.int32(count // grid.views))
  pixel = jnp.where(steep, line * size + lower, lower * size + line)
  pixel = jnp.where(valid, view * size * size + pixel, 0)
  beyond = pixel + jnp.where(valid, jnp.where(steep, 1, size), 0)
  inner = jnp.where(upward, beyond, pixel)
  slot = 4 * inner + 2 * steep.astype(jnp.int32) + upward.astype(jnp.int32)
  found = Crossings(
    edge=edge,
    line=centred,
    inner=inner,
    outer=jnp.where(upward, pixel, beyond),
    upward=upward,
    extent=jnp.where(upward, 1.0 - offset, offset),
    slot=jnp.where(valid, slot, 4 * grid.pixels),
    valid=valid,
  )
  return found, place, depth


def _walk(outline, edges, grid, state, step):
  """Walks once through all crossings; `step` maps state and crossings."""
  total = outline.ends[-1]
  run = total > 0
  length = _CHUNK if jax.default_backend() == 'cpu' else 32 * _CHUNK
  # Zeros that vary over devices as the data does, which shard_map requires.
  state = jax.tree.map(lambda x: x + (0 * total).astype(x.dtype), state)

  def body(carry):
    start, state = carry
    found = fragments.staged(
      run,
      lambda start: _crossings(outline, edges, start, grid, length),
      start,
    )
    return start + length, step(state, *found)

  _, state = lax.while_loop(
    lambda carry: carry[0] < total, body, (0 * total, state)
  )
  return state


def _plane_depth(corners, face, x, y):
  """Returns the depth of the planes of faces at places on the screen."""
  rows = corners[jnp.minimum(face, corners.shape[0] - 1), :12].T
  x, y = rows[0:3] - x[None] * rows[6:9], rows[3:6] - y[None] * rows[6:9]
  areas = jnp.roll(x, -1, 0) * jnp.roll(y, -2, 0)
  areas = areas - jnp.roll(y, -1, 0) * jnp.roll(x, -2, 0)
  total = jnp.sum(areas, 0)
  return jnp.sum(areas * rows[9:12], 0) / jnp.where(total == 0, 1.0, total)


def _winners(outline, edges, corners, faces, depths, grid):
  """Picks the edge that counts in each pair of pixels, E where none does.

  Returns:
    One number per pixel, axis and direction, [4 * P + 1].
  """
  none = edges.shape[0]

  def seen(found, place, depth):
    steep = outline.steep[found.edge]
    x = jnp.where(steep, place, found.line)
    y = jnp.where(steep, found.line, place)
    own, beside = faces[found.inner], faces[found.outer]
    gap = _plane_depth(corners, beside, x, y) - depth
    seam = outline.open[found.edge] & (jnp.abs(gap) < _SEAM * depth)
    seam &= beside < corners.shape[0]
    within = _plane_depth(corners, own, x, y) < (1 + _BEHIND) * depth
    within &= own < corners.shape[0]
    nearer = depth < depths[found.outer]
    return found.valid & nearer & within & ~seam & (own != beside)

  def to_extents(extents, found, place, depth):
    extent = jnp.where(seen(found, place, depth), found.extent, -1.0)
    return extents.at[found.slot].max(extent)

  extents = jnp.full((4 * grid.pixels + 1,), -1.0, edges.dtype)
  extents = _walk(outline, edges, grid, extents, to_extents)

  def to_edges(winners, found, place, depth):
    outermost = found.extent >= extents[found.slot] - _SAME_PLACE
    outermost &= seen(found, place, depth)
    return winners.at[found.slot].min(jnp.where(outermost, found.edge, none))

  winners = jnp.full((4 * grid.pixels + 1,), none, jnp.int32)
  return _walk(outline, edges, grid, winners, to_edges)


def _transfer(found, winners):
  """Returns which pixel takes how much of the colour of which other."""
  counts = found.valid & (winners[found.slot] == found.edge)
  outward = found.extent > 0.5
  target = jnp.where(outward, found.outer, found.inner)
  source = jnp.where(outward, found.inner, found.outer)
  amount = jnp.where(counts, jnp.abs(found.extent - 0.5), 0.0)
  return counts, target, source, amount


@functools.partial(jax.custom_vjp, nondiff_argnums=(4,))
def _spill(
  edges: Float[Array, 'e 8'],
  images: Float[Array, 'p k'],
  outline: Outline,
  winners: Int[Array, '4p+1'],
  grid: windows.Grid,
) -> Float[Array, 'p 1+k']:
  """Adds up what pixels take of their neighbours: amounts, and colours."""

  def step(sums, found, *_):
    _, target, source, amount = _transfer(found, winners)
    amount = amount[:, None]
    rows = jnp.concatenate([amount, amount * images[source]], -1)
    return sums.at[target].add(rows)

  sums = jnp.zeros((images.shape[0], images.shape[1] + 1), images.dtype)
  return _walk(outline, edges, grid, sums, step)


def _spill_forward(edges, images, outline, winners, grid):
  """Forward pass; nothing but its inputs is kept."""
  spilled = _spill(edges, images, outline, winners, grid)
  return spilled, (edges, images, outline, winners)


def _spill_backward(grid, residuals, upstream):
  """Backward pass: the same walk again."""
  edges, images, outline, winners = residuals

  def step(state, found, *_):
    by_edges, by_images = state
    counts, target, source, amount = _transfer(found, winners)
    rows = upstream[target]
    by_images = by_images.at[source].add(amount[:, None] * rows[:, 1:])
    by_amount = rows[:, 0] + jnp.sum(rows[:, 1:] * images[source], -1)
    by_place = jnp.where(
      (found.extent > 0.5) == found.upward, -by_amount, by_amount
    )
    _, pull = jax.vjp(
      lambda ends: _cross(ends, found.line)[0], edges[found.edge].T
    )
    (by_ends,) = pull(by_place)
    by_ends = jnp.where(counts[None], by_ends, 0.0)
    return by_edges.at[found.edge].add(by_ends.T), by_images

  state = jnp.zeros_like(edges), jnp.zeros_like(images)
  return *_walk(outline, edges, grid, state, step), None, None


_spill.defvjp(_spill_forward, _spill_backward)


def antialias(
  images: Float[Array, 'p k'],
  corners: Float[Array, 'n r'],
  faces: Int[Array, 'p'],
  depths: Float[Array, 'p'],
  drawn: Bool[Array, 'n'],
  twin: Twins,
  grid: windows.Grid,
  near: float,
) -> Float[Array, 'p k']:
  """Blends pixels with their neighbours across silhouettes.

  Args:
    images: colours as the z-buffer sees them, 0 where no face is.
    corners: see `visibility`.
    faces: of `visibility.nearest_faces`.
    depths: of the same.
    drawn: which faces are.
    twin: of `twins`.
    grid: sizes.
    near: depth of the near plane, cm.

  Returns:
    The images, blended; pixels are convex combinations of their neighbours.
  """
  constant = lax.stop_gradient(corners)
  facing = visibility.facing(constant)
  drawn &= visibility.steady(constant)
  outline = _outline(constant, facing, drawn, twin, grid, near)
  edges = _edge_table(corners, outline.steep.reshape(-1, 3))
  winners = _winners(
    outline, lax.stop_gradient(edges), constant, faces, depths, grid
  )
  spilled = _spill(edges, images, outline, winners, grid)
  amount, colors = spilled[:, :1], spilled[:, 1:]
  # What covers a narrow gap from both sides may add up to more than it.
  scale = 1.0 / jnp.maximum(amount, 1.0)
  return images + (colors - amount * images) * scale
