"""Hair: locks that grow on a scalp, follow a cut, fall, and stay outside.

A lock (see `locks`) lies along a path that is traced step by step: from its
root in the direction that the cut combs it, bent by gravity, waved or curled,
and pushed out of the head where it would enter. A few hundred locks make a
cut; the scalp below is painted (`skin`).

Shapes: `n` locks, `k` points of a path, `v` vertices, `f` faces.
"""

import dataclasses
from typing import NamedTuple

from jaxtyping import Bool, Float, Int
import numpy as np
import scipy.spatial

from maskjax.data.people import locks as locks_lib, skin

CUTS = (
  'bald', 'buzz cut', 'short', 'side-parted', 'slicked back', 'curly', 'afro',
  'bob', 'long', 'long with a fringe', 'bun', 'ponytail', 'shoulder-length',
)  # fmt: skip
# Where hair is tied, at rest, and the cuts that hang beside the face.
_KNOTS = {
  'bun': np.array([0.0, 8.5, -13.0]),
  'ponytail': np.array([0.0, 6.5, -13.0]),
}
_HANGING = (
  'bob',
  'long',
  'long with a fringe',
  'shoulder-length',
  'side-parted',
)
# Steps of the paths, by cut.
_STEPS = {'short': 5, 'curly': 8, 'afro': 6, 'side-parted': 7,
          'slicked back': 7,
          'bun': 7, 'ponytail': 7, 'bob': 9}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Hair:
  """How hair is cut; lengths in cm.

  Attributes:
    cut: one of `CUTS`.
    length: of a lock.
    volume: how far locks stand off the scalp.
    part: x of the parting.
    wave: how far locks swing from side to side.
    curl: turns of a wave per cm.
    mess: how much locks differ in direction, about 0.15.
    recede: cm that the hairline lies higher than usual.
    seed: of the locks.
  """

  cut: str = 'short'
  length: float = 4.0
  volume: float = 0.6
  part: float = 0.0
  wave: float = 0.0
  curl: float = 0.3
  mess: float = 0.15
  recede: float = 0.0
  seed: int = 0


class Scalp(NamedTuple):
  """The head that hair grows on.

  Attributes:
    vertices: cm.
    normals: unit, outward.
    rest: the vertices' positions on the head at rest, cm.
    faces: counter-clockwise seen from outside.
  """

  vertices: Float[np.ndarray, 'v 3']
  normals: Float[np.ndarray, 'v 3']
  rest: Float[np.ndarray, 'v 3']
  faces: Int[np.ndarray, 'f 3']


def height_above_hairline(
  rest: Float[np.ndarray, '*shape 3'], recede: float
) -> Float[np.ndarray, '*shape']:
  """Return how far points lie above the hairline, cm; negative is skin.

  Args:
    rest: positions at rest, cm.
    recede: cm that the hairline lies higher than usual.
  """
  plane = np.asarray(skin.unroll(rest))
  line = np.asarray(skin.hairline(plane))
  # Hair recedes in front; the sides and the nape stay.
  front = np.clip((13 - np.abs(plane[..., 0])) / 4, 0, 1)
  return line - recede * front


def _roots(
  rng: np.random.Generator,
  scalp: Scalp,
  count: int,
  *,
  recede: float,
  margin: float,
) -> tuple[
  Float[np.ndarray, 'n 3'], Float[np.ndarray, 'n 3'], Float[np.ndarray, 'n 3']
]:
  """Draw points of the scalp evenly.

  Args:
    rng: advanced by the draw.
    scalp: what they lie on.
    count: how many points.
    recede: as in `Hair`.
    margin: cm that they lie above the hairline at least.

  Returns:
    Positions, normals, and positions at rest.
  """
  corners = scalp.vertices[scalp.faces]
  areas = np.linalg.norm(
    np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]),
    axis=-1,
  )
  middle = scalp.rest[scalp.faces].mean(1)
  # Drawn by area, or there were more locks where triangles are small.
  areas = areas * (height_above_hairline(middle, recede) > margin)
  chosen = rng.choice(len(areas), count, p=areas / areas.sum())
  weights = rng.dirichlet([1, 1, 1], count)
  take = scalp.faces[chosen]

  def at(values: Float[np.ndarray, 'v 3']) -> Float[np.ndarray, 'n 3']:
    return np.einsum('nk,nkd->nd', weights, values[take])

  return at(scalp.vertices), locks_lib.unit(at(scalp.normals)), at(scalp.rest)


def _comb(
  hair: Hair, rest: Float[np.ndarray, 'n 3']
) -> Float[np.ndarray, 'n 3']:
  """Return the direction that each lock is combed in, of any length."""
  x, y, z = (rest[:, 0], rest[:, 1], rest[:, 2])
  down = np.tile([0.0, -1.0, 0.0], (len(rest), 1))
  side = np.sign(x - hair.part + 1e-6)[:, None] * np.array([1.0, -0.1, 0.0])
  top = np.clip((y - 5.5) / 4.5, 0, 1)[:, None]
  front = np.clip((z + 2) / 5, 0, 1)[:, None]
  back = np.array([0.0, 0.0, -1.0])
  if hair.cut in ('short', 'buzz cut', 'curly', 'afro'):
    away = rest - np.array([0.0, 12.5, -8.0])
    sweep = np.array([2.5 * np.sign(hair.part), 0.0, 1.0])
    return (
      locks_lib.unit(away) * 3 + 4 * down * (1 - top) + 2 * front * top * sweep
    )
  if hair.cut == 'slicked back':
    return back + 0.9 * down * (1 - top) + 0.15 * side
  if hair.cut == 'long with a fringe':
    bangs = front * np.clip(1.4 - np.abs(x) / 4.0, 0, 1)[:, None]
    field = side * top + 0.4 * back + down * (1 - top)
    return field * (1 - bangs) + bangs * np.array([0.0, -0.25, 1.0])
  if hair.cut == 'side-parted':
    return side * top * 1.2 + down * (1 - top) + 0.35 * back
  return side * top + down * (1.1 - top) + (0.3 + 0.5 * front) * back


class _Roots(NamedTuple):
  """Where locks grow and how: `lengths` cm, `weight` of gravity, `bangs`."""

  points: Float[np.ndarray, 'n 3']
  normals: Float[np.ndarray, 'n 3']
  rest: Float[np.ndarray, 'n 3']
  lengths: Float[np.ndarray, 'n']
  weight: Float[np.ndarray, 'n']
  bangs: Bool[np.ndarray, 'n']


def _beside_face(
  points: Float[np.ndarray, 'n 3'],
  rest: Float[np.ndarray, 'n 3'],
  part: float,
  free: Bool[np.ndarray, 'n'],
) -> Float[np.ndarray, 'n 3']:
  """Move what hangs before the face to its side, but what is `free`."""
  x, y, z = np.moveaxis(points, -1, 0)
  side = np.where(rest[:, 0] > part, 1.0, -1.0)
  edge = np.interp(y, [-20, -9, -2, 4, 7, 9], [5.6, 5.8, 6.6, 6.4, 3.5, 0.0])
  gap = np.maximum(edge - side * x, 0) * (z > -1.0) * (y < 9.0) * ~free
  moved = points.copy()
  moved[:, 0] += 0.55 * side * gap
  moved[:, 2] -= 0.25 * gap
  return moved


def _trace(
  rng: np.random.Generator,
  hair: Hair,
  scalp: Scalp,
  roots: _Roots,
  *,
  tree: scipy.spatial.cKDTree,
  steps: int,
) -> locks_lib.Paths:
  """Trace the paths of locks, step by step from their roots.

  Args:
    rng: draws what locks differ in.
    hair: the cut.
    scalp: what they stay outside of.
    roots: where they begin, and how long they are.
    tree: of the scalp's vertices.
    steps: how many; a path has a point more.
  """
  points, normals, rest, lengths, weight, bangs = roots
  count = len(points)
  direction = locks_lib.unit(_comb(hair, rest))
  knot = _KNOTS.get(hair.cut)
  if knot is not None:
    index = np.argmin(np.linalg.norm(scalp.rest - knot, axis=-1))
    knot = scalp.vertices[index] + 0.4 * scalp.normals[index]
  mess = hair.mess * (0.5 if hair.cut in _HANGING else 1.0)
  direction = direction + mess * rng.normal(size=(count, 3))
  clearance = 0.1 + hair.volume * rng.uniform(0.2, 1.0, count)
  side = locks_lib.unit(np.cross(normals, direction))
  phase = rng.uniform(0, 2 * np.pi, count)
  stand = {'afro': 2.5, 'curly': 0.9, 'short': 0.22}.get(hair.cut, 0.12)
  outward, travelled = normals, np.zeros(count)
  paths, outwards = [points], [normals]
  # Short steps first: the scalp is bent most where hair leaves it.
  parts = np.linspace(0.6, 1.4, steps) / steps
  for k in range(steps):
    step = lengths * parts[k]
    if knot is not None:
      direction = locks_lib.unit(knot - points) + 0.4 * hair.mess * rng.normal(
        size=(count, 3)
      )
    lift = stand if k == 0 or hair.cut == 'afro' else 0.0
    pull = np.minimum(weight * step * 0.5, 1.6)
    direction = direction + lift * outward
    direction = direction + pull[:, None] * np.array([0.0, -1.0, 0.0])
    # What would go into the head slides along it.
    into = np.sum(direction * outward, -1, keepdims=True)
    near = 1.0 if k < 3 else 0.6
    direction = locks_lib.unit(direction - near * np.minimum(into, 0) * outward)
    travelled = travelled + step
    turn = 2 * np.pi * hair.curl * travelled + phase
    swing = hair.wave * np.cos(turn)
    heading = locks_lib.unit(direction + swing[:, None] * side)
    if hair.cut in ('curly', 'afro'):
      heading = locks_lib.unit(
        heading + (hair.wave * np.sin(turn))[:, None] * outward
      )
    points = points + step[:, None] * heading
    if hair.cut in _HANGING:
      points = _beside_face(points, rest, hair.part, bangs)
    reach = clearance * min(1.0, (k + 1) / 2)
    points, outward = _push_out(points, tree, scalp, reach)
    paths.append(points)
    outwards.append(outward)
  return locks_lib.Paths(np.stack(paths, 1), np.stack(outwards, 1))


def _push_out(
  points: Float[np.ndarray, 'n 3'],
  tree: scipy.spatial.cKDTree,
  scalp: Scalp,
  clearance: Float[np.ndarray, 'n'],
) -> tuple[Float[np.ndarray, 'n 3'], Float[np.ndarray, 'n 3']]:
  """Move points that are less than `clearance` (cm) outside of the head.

  Returns:
    The points, and the normals of the scalp nearest to them.
  """
  _, nearest = tree.query(points)
  normals = scalp.normals[nearest]
  height = np.sum((points - scalp.vertices[nearest]) * normals, -1)
  lift = np.maximum(clearance - height, 0)
  return points + lift[:, None] * normals, normals


def _knot(rng: np.random.Generator, scalp: Scalp) -> locks_lib.Locks:
  """Return a bun: locks wound around a ball at the back of the head."""
  index = np.argmin(np.linalg.norm(scalp.rest - _KNOTS['bun'], axis=-1))
  radius = 2.6
  centre = scalp.vertices[index] + 1.8 * scalp.normals[index]
  count = 70
  turn = np.linspace(0, 1.4 * np.pi, 9)
  axis = locks_lib.unit(rng.normal(size=(count, 3)))
  first = locks_lib.unit(np.cross(axis, rng.normal(size=(count, 3))))
  second = np.cross(axis, first)
  outward = (
    np.cos(turn)[None, :, None] * first[:, None]
    + np.sin(turn)[None, :, None] * second[:, None]
  )
  return locks_lib.ribbons(
    rng,
    locks_lib.Paths(centre + radius * outward, outward),
    np.full(count, 0.6),
  )


def _tail(
  rng: np.random.Generator, hair: Hair, scalp: Scalp
) -> locks_lib.Locks:
  """Return a ponytail: locks that hang from one point at the back."""
  index = np.argmin(np.linalg.norm(scalp.rest - _KNOTS['ponytail'], axis=-1))
  start, out = scalp.vertices[index], scalp.normals[index]
  count = 90
  along = np.linspace(0, 1, 9)[None, :, None]
  spread = rng.normal(size=(count, 1, 3)) * [1.1, 0.8, 0.6]
  side = np.array([5.0 * np.sign(hair.part + 1e-6), 0.0, 4.0])
  path = start + out * 3.2 * np.sqrt(along) + spread * np.sqrt(along)
  path = path + hair.length * along**1.3 * np.array([0.0, -1.0, 0.0])
  path = path + side * along**2 * 0.5
  outward = np.broadcast_to(locks_lib.unit(spread + 1.5 * out), path.shape)
  return locks_lib.ribbons(
    rng, locks_lib.Paths(path, outward), np.full(count, 0.5)
  )


def _plan(
  rng: np.random.Generator, hair: Hair, scalp: Scalp, count: int
) -> _Roots:
  """Draw roots and say how long and heavy each lock is."""
  points, normals, rest = _roots(
    rng, scalp, count, recede=hair.recede, margin=0.1
  )
  above = height_above_hairline(rest, hair.recede)
  lengths = hair.length * rng.uniform(0.8, 1.1, count)
  weight, bangs = np.ones(count), np.zeros(count, bool)
  if hair.cut in ('short', 'side-parted', 'slicked back', 'curly', 'afro'):
    # Short at the sides and at the nape.
    top = np.clip((rest[:, 1] - 3.5) / 6.0, 0, 1)
    even = {'afro': 0.85, 'curly': 0.6}.get(hair.cut, 0.28)
    lengths *= even + (1 - even) * top
    lengths *= np.clip(0.5 + above / 3.0, 0.5, 1)
    weight *= {'afro': 0.0, 'curly': 0.5}.get(hair.cut, 0.7)
  if hair.cut in _KNOTS:
    lengths = 0.97 * np.linalg.norm(rest - _KNOTS[hair.cut], axis=-1)
    weight *= 0.0
  if hair.cut == 'long with a fringe':
    bangs = (np.abs(rest[:, 0]) < 4.6) & (rest[:, 2] > 0.3) & (above < 4.5)
    reach = np.clip(above, 0, 9) + 3.6
    lengths = np.where(bangs, reach * rng.uniform(0.85, 1.05, count), lengths)
  if hair.cut == 'side-parted':
    bangs = rest[:, 1] < 5
  return _Roots(
    points=points,
    normals=normals,
    rest=rest,
    lengths=lengths,
    weight=weight,
    bangs=bangs,
  )


def grow(
  hair: Hair, scalp: Scalp, *, thick: float = 1.0
) -> locks_lib.Locks | None:
  """Grow the locks of a cut.

  Args:
    hair: the cut.
    scalp: the head: its skin only.
    thick: factor on the width of locks.

  Returns:
    Locks, or None where the cut has none (bald, buzz cut).

  Raises:
    ValueError: an unknown cut.
  """
  if hair.cut not in CUTS:
    raise ValueError(f'unknown cut {hair.cut!r}: use one of {", ".join(CUTS)}')
  if hair.cut in ('bald', 'buzz cut'):
    return None
  rng = np.random.default_rng(hair.seed)
  tree = scipy.spatial.cKDTree(scalp.vertices)
  count = {'short': 1000, 'curly': 800, 'afro': 1000}.get(hair.cut, 720)
  roots = _plan(rng, hair, scalp, count)
  steps = _STEPS.get(hair.cut, 11)
  trace = _trace(rng, hair, scalp, roots, tree=tree, steps=steps)
  base = {
    'curly': 0.55,
    'afro': 0.6,
    'short': 0.42,
    'bun': 0.4,
    'ponytail': 0.4,
  }
  widths = base.get(hair.cut, 0.75) * rng.uniform(0.6, 1.25, count)
  parts = [locks_lib.ribbons(rng, trace, thick * widths)]
  if hair.cut == 'bun':
    parts.append(_knot(rng, scalp))
  if hair.cut == 'ponytail':
    parts.append(_tail(rng, hair, scalp))
  return locks_lib.concatenate(parts)
