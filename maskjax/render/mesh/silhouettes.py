"""Antialiasing of silhouettes, which gives hard images gradients by shape.

A z-buffer jumps where a silhouette passes a pixel's centre, and is constant
elsewhere: it has no gradient by the outline. Here every silhouette edge is
followed along its longer axis, line by line of the image. Where it crosses
the line between the centres of two pixels, it divides them at some place; the
pixel that it cuts takes a part of its neighbour's colour, as much as the
neighbour's side covers of it. A straight edge is so blended exactly as by the
area of pixels, and the places carry the gradient: a midpoint rule for the
integral of the colours' jump over the edge.

Which edges are silhouettes is found in `outline`. A crossing counts if the
edge is nearer than what the pixel outside of it sees, but not than what the one
inside does; of several in one pair of pixels, the outermost.
Where faces pierce each other there is no edge, and no blending.

After Laine et al., "Modular Primitives for High-Performance Differentiable
Rendering" (2020), section 3.6, which goes by pixels in place of edges and so
misses the edges of faces that no pixel's centre sees.

Shapes: `N` faces of all views, `R` numbers per face (see `interpolation`), `E`
= 3 N edges, each from the side of one face: edge i N + f of face f lies
opposite to its corner i; `P` pixels of all views, `K` channels, `G` crossings
of a chunk.
"""

from collections.abc import Callable
import functools
from typing import Any, NamedTuple

import jax
from jax import lax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int
import numpy as np

from maskjax.render.mesh import fragments, outline as outlines, windows

# Crossings worked on at once on a CPU, at most and at least.
_CHUNKS = 2**11, 2**8
# Places, in pixels, between which rounding cannot decide.
_SAME_PLACE = 1e-4
# An edge without a neighbour does not end a surface where what is seen beside
# it lies in one plane with it, to this part of the depth: it is a seam.
_SEAM = 1e-4
# What is seen inside of an edge is its own surface unless its plane lies
# behind the edge by more than this part of the depth: then the surface is too
# thin to be seen.
_BEHIND = 1e-2


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


def _corner_numbers(edge: Int[Array, 'g'], count: int) -> Int[Array, '2 g']:
  """Return where the ends of edges are in a list of corners."""
  corner = lax.div(edge, np.int32(count))
  first = 3 * (edge - corner * np.int32(count))
  turns = np.array([[1], [2]], np.int32)
  return first[None] + lax.rem(corner[None] + turns, np.int32(3))


def _cross(
  ends: Float[Array, '2 g 4'], steep: Bool[Array, 'g'], line: Float[Array, 'g']
) -> tuple[Float[Array, 'g'], Float[Array, 'g']]:
  """Intersect edges with lines: place on the line, and depth."""
  x, y, w, z = jnp.moveaxis(ends, -1, 0)
  along = jnp.where(steep[None], y, x) - line[None] * w
  across = jnp.where(steep[None], x, y)
  # In homogeneous coordinates: no division by W before the edge is cut, so the
  # depth that comes along is perspective-correct.
  length = jnp.where(along[0] == along[1], 1.0, along[0] - along[1])
  part = jnp.clip(along[0] / length, 0.0, 1.0)
  w, across, z = (v[0] + part * (v[1] - v[0]) for v in (w, across, z))
  return across / jnp.where(w > 0, w, 1.0), z


def _crossings(
  outline: outlines.Outline,
  places: Float[Array, 'e 4'],
  start: Int[Array, ''],
  grid: windows.Grid,
  length: int,
) -> tuple[Crossings, Float[Array, 'g'], Float[Array, 'g']]:
  """Find the crossings from number `start` on; and their place and depth."""
  number = start + jnp.arange(length, dtype=jnp.int32)
  count = outline.ends.shape[0]
  edge = fragments.staged(
    outline.ends[-1] > 0,
    lambda start: windows.owners(outline.ends, start, length),
    start,
  )
  before = jnp.where(edge > 0, outline.ends[edge - 1], 0)
  line = outline.first[edge] + number - before
  half = (grid.size - 1) / 2
  centred = line.astype(places.dtype) - half
  steep, upward = outline.steep[edge], outline.upward[edge]
  ends = places[_corner_numbers(edge, count // 3)]
  place, depth = _cross(ends, steep, centred)
  shifted = place + half
  valid = (number < outline.ends[-1]) & (shifted >= 0)
  valid &= shifted < grid.size - 1
  lower = jnp.floor(jnp.where(valid, shifted, 0.0))
  offset = shifted - lower
  lower = lower.astype(jnp.int32)
  size = np.int32(grid.size)
  face = lax.rem(edge, np.int32(count // 3))
  view = lax.div(face, np.int32(count // 3 // grid.views))
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


def _walk(
  outline: outlines.Outline,
  places: Float[Array, 'e 4'],
  grid: windows.Grid,
  state: Any,
  examine: Callable[..., Bool[Array, 'g']],
  step: Callable[..., Any],
  *,
  times: int = 1,
) -> Any:
  """Walk through all crossings, once or several times.

  Args:
    outline: the silhouette edges.
    places: X, Y, W and depth of the corners of all faces.
    grid: sizes of images, windows and chunks (static).
    state: what is accumulated, at the start.
    examine: maps crossings, their places and depths to a mask of them.
    step: maps state, crossings, mask and the number of the time to the next
      state.
    times: how often to walk.

  Returns:
    The final state.
  """
  total = outline.ends[-1]
  most, least = _CHUNKS
  length = min(most, max(least, 4 * grid.size))
  if jax.default_backend() != 'cpu':
    length = 32 * most
  chunks = lax.div(total + np.int32(length - 1), np.int32(length))
  # Zeros that vary over devices as the data does, which shard_map requires.
  vary = functools.partial(
    jax.tree.map, lambda x: x + (0 * total).astype(x.dtype)
  )

  def find(number: Int[Array, '']) -> tuple[Crossings, Bool[Array, 'g']]:
    start = lax.rem(number, chunks) * length
    found, place, depth = _crossings(outline, places, start, grid, length)
    return found, examine(found, place, depth)

  Carry = tuple[Int[Array, ''], tuple[Crossings, Bool[Array, 'g']], Any]

  def body(carry: Carry) -> Carry:
    number, known, state = carry
    # Mostly there is one chunk, and it stays as it is.
    known = lax.cond(
      (chunks > 1) | (number == 0), find, lambda _: known, number
    )
    return number + 1, known, step(state, *known, lax.div(number, chunks))

  empty = jax.tree.map(
    lambda s: jnp.zeros(s.shape, s.dtype), jax.eval_shape(find, 0 * total)
  )
  empty = jax.tree.map(
    lambda x: x ^ (total < 0) if x.dtype == bool else vary(x), empty
  )
  return lax.while_loop(
    lambda carry: carry[0] < times * chunks,
    body,
    (0 * total, empty, vary(state)),
  )[2]


def _plane_depth(
  places: Float[Array, 'e 4'],
  face: Int[Array, 'g'],
  x: Float[Array, 'g'],
  y: Float[Array, 'g'],
) -> Float[Array, 'g']:
  """Return the depth of the planes of faces at places on the screen."""
  rows = places.reshape(-1, 12)
  rows = rows[jnp.minimum(face, rows.shape[0] - 1)].T.reshape(3, 4, -1)
  w = rows[:, 2]
  x, y = rows[:, 0] - x[None] * w, rows[:, 1] - y[None] * w
  areas = jnp.roll(x, -1, 0) * jnp.roll(y, -2, 0)
  areas = areas - jnp.roll(y, -1, 0) * jnp.roll(x, -2, 0)
  total = areas[0] + areas[1] + areas[2]
  depth = sum(area * z for area, z in zip(areas, rows[:, 3]))
  return depth / jnp.where(total == 0, 1.0, total)


def _counts(
  outline: outlines.Outline,
  places: Float[Array, 'e 4'],
  nearest: tuple[Int[Array, 'p'], Float[Array, 'p']],
  found: Crossings,
  place: Float[Array, 'g'],
  depth: Float[Array, 'g'],
) -> Bool[Array, 'g']:
  """Tell which crossings are seen; `nearest` has the pixels' faces, depths."""
  faces, depths = nearest
  none = places.shape[0] // 3
  steep = outline.steep[found.edge]
  x = jnp.where(steep, place, found.line)
  y = jnp.where(steep, found.line, place)
  own, beside = faces[found.inner], faces[found.outer]
  gap = _plane_depth(places, beside, x, y) - depth
  seam = outline.open[found.edge] & (jnp.abs(gap) < _SEAM * depth)
  seam &= beside < none
  within = _plane_depth(places, own, x, y) < (1 + _BEHIND) * depth
  within &= own < none
  nearer = depth < depths[found.outer]
  return found.valid & nearer & within & ~seam & (own != beside)


def _transfer(
  found: Crossings, counts: Bool[Array, 'g']
) -> tuple[Int[Array, 'g'], Int[Array, 'g'], Float[Array, 'g']]:
  """Return which pixel takes how much of the colour of which other."""
  # A pixel reaches half a pixel from its centre. An edge beyond that cuts the
  # outer pixel, of which it covers extent - 1/2; one before it uncovers
  # 1/2 - extent of the inner one.
  outward = found.extent > 0.5
  target = jnp.where(outward, found.outer, found.inner)
  source = jnp.where(outward, found.inner, found.outer)
  amount = jnp.where(counts, jnp.abs(found.extent - 0.5), 0.0)
  return target, source, amount


def _mix(
  images: Float[Array, 'k g'], sums: Float[Array, 'k1 g']
) -> Float[Array, 'k g']:
  """Blend pixels with what they take, amount first; divide by alpha."""
  amount, colors = sums[:1], sums[1:]
  # What covers a narrow gap from both sides may add up to more than it.
  mixed = images + (colors - amount * images) / jnp.maximum(amount, 1.0)
  alpha, rest = mixed[:1], mixed[1:]
  covered = alpha > 1e-6
  rest = jnp.where(covered, rest / jnp.where(covered, alpha, 1.0), 0.0)
  return jnp.concatenate([jnp.where(alpha > 1.0, 1.0, alpha), rest])


def _draw(
  places: Float[Array, 'e 4'],
  images: Float[Array, 'k p'],
  outline: outlines.Outline,
  nearest: tuple[Int[Array, 'p'], Float[Array, 'p']],
  grid: windows.Grid,
) -> tuple[
  Float[Array, 'k p'], tuple[Int[Array, 'slots'], Float[Array, 'k+1 p']]
]:
  """Return the blended images, and what the backward pass needs to know.

  The first walk finds the outermost extent of each slot, the second the first
  edge that reaches it; the third adds up what pixels take of their
  neighbours, and the fourth blends. One loop, to be compiled once.
  """
  none, last = places.shape[0], 4 * grid.pixels

  def step(
    state: tuple[Array, Array, Array, Array],
    found: Crossings,
    seen: Bool[Array, 'g'],
    time: Int[Array, ''],
  ) -> tuple[Array, Array, Array, Array]:
    extents, winners, sums, blended = state
    extents = extents.at[found.slot].max(jnp.where(seen, found.extent, -1.0))
    outermost = found.extent >= extents[found.slot] - _SAME_PLACE
    outermost &= seen & (time == 1)
    edge = jnp.where(outermost, found.edge, none)
    winners = winners.at[found.slot].min(edge)
    wins = found.valid & (winners[found.slot] == found.edge)
    target, source, amount = _transfer(found, wins & (time == 2))
    amount = amount[None]
    rows = jnp.concatenate([amount, amount * images[:, source]])
    sums = sums.at[:, target].add(rows)
    mixed = _mix(images[:, target], sums[:, target])
    target = jnp.where(wins & (time == 3), target, grid.pixels)
    blended = blended.at[:, target].set(mixed, mode='drop')
    return extents, winners, sums, blended

  state = (
    jnp.full(last + 1, -1.0, places.dtype),
    jnp.full(last + 1, none, jnp.int32),
    jnp.zeros((images.shape[0] + 1, images.shape[1]), images.dtype),
    images,
  )
  examine = functools.partial(_counts, outline, places, nearest)
  state = _walk(outline, places, grid, state, examine, step, times=4)
  _, winners, sums, blended = state
  return blended, (winners, sums)


_Residuals = tuple[
  Float[Array, 'e 4'],
  Float[Array, 'k p'],
  outlines.Outline,
  Int[Array, 'slots'],
  Float[Array, 'k1 p'],
]


@functools.partial(jax.custom_vjp, nondiff_argnums=(4,))
def _blend(
  places: Float[Array, 'e 4'],
  images: Float[Array, 'k p'],
  outline: outlines.Outline,
  nearest: tuple[Int[Array, 'p'], Float[Array, 'p']],
  grid: windows.Grid,
) -> Float[Array, 'k p']:
  """Blend images; alpha, the first channel, is 0 or 1 and has no gradient."""
  return _draw(places, images, outline, nearest, grid)[0]


def _blend_forward(
  places: Float[Array, 'e 4'],
  images: Float[Array, 'k p'],
  outline: outlines.Outline,
  nearest: tuple[Int[Array, 'p'], Float[Array, 'p']],
  grid: windows.Grid,
) -> tuple[Float[Array, 'k p'], _Residuals]:
  """Forward pass; its inputs are kept, what pixels took, and of which edges."""
  blended, kept = _draw(places, images, outline, nearest, grid)
  winners, sums = kept
  return blended, (places, images, outline, winners, sums)


def _blend_backward(
  grid: windows.Grid, residuals: _Residuals, upstream: Float[Array, 'k p']
) -> tuple[Float[Array, 'e 4'], Float[Array, 'k p'], None, None]:
  """Backward pass.

  Pixels that no edge cuts pass their gradients on as they are. The first walk
  replaces those of the others, the second adds those of their neighbours.
  """
  places, images, outline, winners, sums = residuals

  def examine(found: Crossings, *_: Float[Array, 'g']) -> Bool[Array, 'g']:
    return found.valid & (winners[found.slot] == found.edge)

  def step(
    state: tuple[Float[Array, 'e 4'], Float[Array, 'k p']],
    found: Crossings,
    counts: Bool[Array, 'g'],
    time: Int[Array, ''],
  ) -> tuple[Float[Array, 'e 4'], Float[Array, 'k p']]:
    by_corners, by_images = state
    target, source, amount = _transfer(found, counts & (time == 1))
    _, pull = jax.vjp(_mix, images[:, target], sums[:, target])
    own, taken = pull(upstream[:, target])
    cut = jnp.where(counts & (time == 0), target, grid.pixels)
    by_images = by_images.at[:, cut].set(own, mode='drop')
    by_images = by_images.at[:, source].add(amount[None] * taken[1:])
    values = images[:, source]
    by_amount = taken[0] + sum(a * b for a, b in zip(taken[1:], values))
    # d amount / d extent is 1 in the outer pixel and -1 in the inner one, and
    # d extent / d place is 1 downward and -1 upward.
    by_place = jnp.where(
      (found.extent > 0.5) == found.upward, -by_amount, by_amount
    )
    numbers = _corner_numbers(found.edge, places.shape[0] // 3)
    steep = outline.steep[found.edge]
    _, pull = jax.vjp(
      lambda ends: _cross(ends, steep, found.line)[0], places[numbers]
    )
    (by_ends,) = pull(by_place)
    by_ends = jnp.where((counts & (time == 1))[None, :, None], by_ends, 0.0)
    return by_corners.at[numbers].add(by_ends), by_images

  state = jnp.zeros_like(places), upstream
  state = _walk(outline, places, grid, state, examine, step, times=2)
  by_corners, by_images = state
  return by_corners, by_images, None, None


_blend.defvjp(_blend_forward, _blend_backward)


def antialias(
  images: Float[Array, 'k p'],
  rows: Float[Array, 'n r'],
  corners: Float[Array, '4 3 n'],
  faces: Int[Array, 'p'],
  depths: Float[Array, 'p'],
  *,
  drawn: Bool[Array, 'n'],
  twin: outlines.Twins,
  grid: windows.Grid,
  near: float,
) -> Float[Array, 'k p']:
  """Blend pixels with their neighbours across silhouettes.

  Args:
    images: alpha, depth and colours as the z-buffer sees them. Gradients by
      them mean nothing where no face is, and by alpha.
    rows: numbers of the corners of faces, see `interpolation`.
    corners: the places among them, constant; see `visibility`.
    faces: number of the face that each pixel sees, from
      `visibility.nearest_faces`.
    depths: depths of those, cm, from the same.
    drawn: which faces are drawn and not seen edge-on.
    twin: the neighbours of all edges, from `outline.twins`.
    grid: sizes of images, windows and chunks (static).
    near: depth of the near plane, cm; what lies before it is not drawn.

  Returns:
    The images, blended: sums of neighbours weighted by their parts of a
    pixel, divided by the sum of those parts, which is alpha.
  """
  # Always true, but only known when running: see `fragments.staged`.
  run = jnp.min(faces) >= 0
  edges = outlines.find(corners, drawn, twin, grid, near, run)
  places = rows.reshape(3 * rows.shape[0], -1)[:, :4]
  return _blend(places, images, edges, (faces, depths), grid)
