"""Hair: locks that grow on a scalp, follow a cut, fall, and stay outside.

A lock is a ribbon, bulged across and tapered to its tip, along a path that is
traced step by step: from its root in the direction that the cut combs it,
bent by gravity, waved or curled, and pushed out of the head where it would
enter. A few hundred locks make a cut; the scalp below is painted (`skin`).

Shapes: `N` locks, `K` steps of a path, `V` vertices, `F` faces.
"""

import dataclasses
from typing import NamedTuple

from jaxtyping import Bool, Float, Int
import numpy as np
import scipy.spatial

from maskjax.data.people import skin

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


class Locks(NamedTuple):
  """Ribbons.

  Attributes:
    vertices: f64[V, 3], cm.
    faces: i64[F, 3].
    coarse: i64[F', 3], every other step only: enough for shadows.
    normals: f64[V, 3], outward, rounded across a ribbon.
    tangents: f64[V, 3], from root to tip.
    places: f64[V, 3]: 0 at the root to 1 at the tip; -1 to 1 across; a number
      in [0, 1] of its own for each lock.
  """

  vertices: Float[np.ndarray, 'v 3']
  faces: Int[np.ndarray, 'f 3']
  coarse: Int[np.ndarray, 'g 3']
  normals: Float[np.ndarray, 'v 3']
  tangents: Float[np.ndarray, 'v 3']
  places: Float[np.ndarray, 'v 3']


class Scalp(NamedTuple):
  """The head that hair grows on: f64[V, 3] vertices, normals, rest places."""

  vertices: Float[np.ndarray, 'v 3']
  normals: Float[np.ndarray, 'v 3']
  rest: Float[np.ndarray, 'v 3']
  faces: Int[np.ndarray, 'f 3']


def _unit(vectors):
  length = np.linalg.norm(vectors, axis=-1, keepdims=True)
  return vectors / np.maximum(length, 1e-9)


def height_above_hairline(rest: Float[np.ndarray, '... 3'], recede: float):
  """Return how far places lie above the hairline, cm; negative is skin."""
  plane = np.asarray(skin.unroll(rest))
  line = np.asarray(skin.hairline(plane))
  front = np.clip((13 - np.abs(plane[..., 0])) / 4, 0, 1)
  return line - recede * front


def _roots(rng, scalp, count, recede, margin):
  """Draw points of the scalp evenly: places, normals, places at rest."""
  corners = scalp.vertices[scalp.faces]
  areas = np.linalg.norm(
    np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]),
    axis=-1,
  )
  middle = scalp.rest[scalp.faces].mean(1)
  areas = areas * (height_above_hairline(middle, recede) > margin)
  chosen = rng.choice(len(areas), count, p=areas / areas.sum())
  weights = rng.dirichlet([1, 1, 1], count)
  take = scalp.faces[chosen]

  def at(values):
    return np.einsum('nk,nkd->nd', weights, values[take])

  return at(scalp.vertices), _unit(at(scalp.normals)), at(scalp.rest)


def _comb(hair, rest):
  """Return the direction that each lock is combed in."""
  x, y, z = (rest[:, 0], rest[:, 1], rest[:, 2])
  down = np.tile([0.0, -1.0, 0.0], (len(rest), 1))
  side = np.sign(x - hair.part + 1e-6)[:, None] * np.array([1.0, -0.1, 0.0])
  top = np.clip((y - 5.5) / 4.5, 0, 1)[:, None]
  front = np.clip((z + 2) / 5, 0, 1)[:, None]
  back = np.array([0.0, 0.0, -1.0])
  if hair.cut in ('short', 'buzz cut', 'curly', 'afro'):
    away = rest - np.array([0.0, 12.5, -8.0])
    sweep = np.array([2.5 * np.sign(hair.part), 0.0, 1.0])
    return _unit(away) * 3 + 4 * down * (1 - top) + 2 * front * top * sweep
  if hair.cut == 'slicked back':
    return back + 0.9 * down * (1 - top) + 0.15 * side
  if hair.cut == 'long with a fringe':
    bangs = front * np.clip(1.4 - np.abs(x) / 4.0, 0, 1)[:, None]
    field = side * top + 0.4 * back + down * (1 - top)
    return field * (1 - bangs) + bangs * np.array([0.0, -0.25, 1.0])
  if hair.cut == 'side-parted':
    return side * top * 1.2 + down * (1 - top) + 0.35 * back
  return side * top + down * (1.1 - top) + (0.3 + 0.5 * front) * back


class _Trace(NamedTuple):
  paths: np.ndarray
  outward: np.ndarray


class _Roots(NamedTuple):
  """Where locks grow and how: `lengths` cm, `weight` of gravity, `bangs`."""

  points: np.ndarray
  normals: np.ndarray
  rest: np.ndarray
  lengths: np.ndarray
  weight: np.ndarray
  bangs: np.ndarray


def _beside_face(points, rest, part, free):
  """Move what hangs before the face to its side."""
  x, y, z = np.moveaxis(points, -1, 0)
  side = np.where(rest[:, 0] > part, 1.0, -1.0)
  edge = np.interp(y, [-20, -9, -2, 4, 7, 9], [5.6, 5.8, 6.6, 6.4, 3.5, 0.0])
  gap = np.maximum(edge - side * x, 0) * (z > -1.0) * (y < 9.0) * ~free
  moved = points.copy()
  moved[:, 0] += 0.55 * side * gap
  moved[:, 2] -= 0.25 * gap
  return moved


def _trace(rng, hair, scalp, tree, roots, steps):
  """Trace the paths of locks, [N, K + 1, 3]."""
  points, normals, rest, lengths, weight, bangs = roots
  count = len(points)
  direction = _unit(_comb(hair, rest))
  knot = _KNOTS.get(hair.cut)
  if knot is not None:
    index = np.argmin(np.linalg.norm(scalp.rest - knot, axis=-1))
    knot = scalp.vertices[index] + 0.4 * scalp.normals[index]
  mess = hair.mess * (0.5 if hair.cut in _HANGING else 1.0)
  direction = direction + mess * rng.normal(size=(count, 3))
  clearance = 0.1 + hair.volume * rng.uniform(0.2, 1.0, count)
  side = _unit(np.cross(normals, direction))
  phase = rng.uniform(0, 2 * np.pi, count)
  stand = {'afro': 2.5, 'curly': 0.9, 'short': 0.22}.get(hair.cut, 0.12)
  outward, travelled = normals, np.zeros(count)
  paths, outwards = [points], [normals]
  parts = np.linspace(0.6, 1.4, steps) / steps
  for k in range(steps):
    step = lengths * parts[k]
    if knot is not None:
      direction = _unit(knot - points) + 0.4 * hair.mess * rng.normal(
        size=(count, 3)
      )
    lift = stand if k == 0 or hair.cut == 'afro' else 0.0
    pull = np.minimum(weight * step * 0.5, 1.6)
    direction = direction + lift * outward
    direction = direction + pull[:, None] * np.array([0.0, -1.0, 0.0])
    into = np.sum(direction * outward, -1, keepdims=True)
    near = 1.0 if k < 3 else 0.6
    direction = _unit(direction - near * np.minimum(into, 0) * outward)
    travelled = travelled + step
    turn = 2 * np.pi * hair.curl * travelled + phase
    swing = hair.wave * np.cos(turn)
    heading = _unit(direction + swing[:, None] * side)
    if hair.cut in ('curly', 'afro'):
      heading = _unit(heading + (hair.wave * np.sin(turn))[:, None] * outward)
    points = points + step[:, None] * heading
    if hair.cut in _HANGING:
      points = _beside_face(points, rest, hair.part, bangs)
    reach = clearance * min(1.0, (k + 1) / 2)
    points, outward = _push_out(points, tree, scalp, reach)
    paths.append(points)
    outwards.append(outward)
  return _Trace(np.stack(paths, 1), np.stack(outwards, 1))


def _push_out(points, tree, scalp, clearance):
  """Move points that are less than `clearance` outside of the head."""
  _, nearest = tree.query(points)
  normals = scalp.normals[nearest]
  height = np.sum((points - scalp.vertices[nearest]) * normals, -1)
  lift = np.maximum(clearance - height, 0)
  return points + lift[:, None] * normals, normals


def _ribbons(rng, trace, widths):
  """Turn paths into ribbons of two vertices across, shaded as if round."""
  paths, outward = trace
  count, length, _ = paths.shape
  tangents = _unit(np.gradient(paths, axis=1))
  across = _unit(np.cross(tangents, outward))
  normals = _unit(np.cross(across, tangents))
  flip = np.sign(np.sum(normals * outward, -1, keepdims=True) + 1e-9)
  normals = normals * flip
  along = np.linspace(0, 1, length)
  taper = np.interp(along, [0, 0.15, 0.75, 1.0], [0.8, 1.0, 0.9, 0.12])
  width = widths[:, None, None] * taper[None, :, None]
  offsets = np.array([-1.0, 1.0])
  # Tilted ribbons overlap like tiles rather than merge into one surface.
  tilt = rng.uniform(-0.35, 0.35, (count, 1, 1))
  lean = _unit(across + tilt * normals)
  rows = [paths + width * offset * lean for offset in offsets]
  shades = [_unit(normals + 0.6 * offset * across) for offset in offsets]
  vertices = np.stack(rows, 2)
  places = np.zeros((count, length, 2, 3))
  places[..., 0] = along[None, :, None]
  places[..., 1] = offsets
  places[..., 2] = rng.random(count)[:, None, None]
  index = np.arange(count * length * 2).reshape(count, length, 2)
  a, b = index[:, :-1, 0], index[:, :-1, 1]
  c, d = index[:, 1:, 0], index[:, 1:, 1]
  faces = np.stack([a, b, c, b, d, c], -1).reshape(-1, 3)
  # Every other step, for shadows.
  stride = (
    index[:, ::2]
    if length % 2
    else np.concatenate([index[:, :-1:2], index[:, -1:]], 1)
  )
  a, b = stride[:, :-1, 0], stride[:, :-1, 1]
  c, d = stride[:, 1:, 0], stride[:, 1:, 1]
  coarse = np.stack([a, b, c, b, d, c], -1).reshape(-1, 3)
  spread = np.broadcast_to(tangents[:, :, None], vertices.shape)
  return Locks(
    vertices.reshape(-1, 3),
    faces,
    coarse,
    np.stack(shades, 2).reshape(-1, 3),
    spread.reshape(-1, 3),
    places.reshape(-1, 3),
  )


def _concatenate(parts):
  starts = np.cumsum([0] + [len(part.vertices) for part in parts])
  columns = {}
  for name in Locks._fields:
    values = [getattr(part, name) for part in parts]
    if name in ('faces', 'coarse'):
      values = [value + start for value, start in zip(values, starts)]
    columns[name] = np.concatenate(values)
  return Locks(**columns)


def keep(locks: Locks, kept: Bool[np.ndarray, 'v']) -> Locks | None:
  """Return the locks all of whose vertices are kept; None if none is left."""
  _, lock = np.unique(locks.places[:, 2], return_inverse=True)
  whole = np.bincount(lock, ~kept) == 0
  rows = whole[lock]
  if not rows.any():
    return None
  renumber = np.cumsum(rows) - 1
  columns = {}
  for name in Locks._fields:
    values = getattr(locks, name)
    if name in ('faces', 'coarse'):
      columns[name] = renumber[values[rows[values[:, 0]]]]
    else:
      columns[name] = values[rows]
  return Locks(**columns)


def _knot(rng, hair, scalp):
  """Return a bun: locks wound around a ball at the back of the head."""
  index = np.argmin(np.linalg.norm(scalp.rest - _KNOTS['bun'], axis=-1))
  radius = 2.6
  centre = scalp.vertices[index] + 1.8 * scalp.normals[index]
  count = 70
  turn = np.linspace(0, 1.4 * np.pi, 9)
  axis = _unit(rng.normal(size=(count, 3)))
  first = _unit(np.cross(axis, rng.normal(size=(count, 3))))
  second = np.cross(axis, first)
  outward = (
    np.cos(turn)[None, :, None] * first[:, None]
    + np.sin(turn)[None, :, None] * second[:, None]
  )
  return _ribbons(
    rng, _Trace(centre + radius * outward, outward), np.full(count, 0.6)
  )


def _tail(rng, hair, scalp):
  """Return a ponytail: locks that hang from a point at the head's back."""
  index = np.argmin(np.linalg.norm(scalp.rest - _KNOTS['ponytail'], axis=-1))
  start, out = scalp.vertices[index], scalp.normals[index]
  count = 90
  along = np.linspace(0, 1, 9)[None, :, None]
  spread = rng.normal(size=(count, 1, 3)) * [1.1, 0.8, 0.6]
  side = np.array([5.0 * np.sign(hair.part + 1e-6), 0.0, 4.0])
  path = start + out * 3.2 * np.sqrt(along) + spread * np.sqrt(along)
  path = path + hair.length * along**1.3 * np.array([0.0, -1.0, 0.0])
  path = path + side * along**2 * 0.5
  outward = np.broadcast_to(_unit(spread + 1.5 * out), path.shape)
  return _ribbons(rng, _Trace(path, outward), np.full(count, 0.5))


def _plan(rng, hair, scalp, count):
  """Draw roots and say how long and heavy each lock is."""
  points, normals, rest = _roots(rng, scalp, count, hair.recede, 0.1)
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
  return _Roots(points, normals, rest, lengths, weight, bangs)


def grow(hair: Hair, scalp: Scalp, *, thick: float = 1.0) -> Locks | None:
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
  trace = _trace(rng, hair, scalp, tree, roots, _STEPS.get(hair.cut, 11))
  base = {
    'curly': 0.55,
    'afro': 0.6,
    'short': 0.42,
    'bun': 0.4,
    'ponytail': 0.4,
  }
  widths = base.get(hair.cut, 0.75) * rng.uniform(0.6, 1.25, count)
  parts = [_ribbons(rng, trace, thick * widths)]
  if hair.cut == 'bun':
    parts.append(_knot(rng, hair, scalp))
  if hair.cut == 'ponytail':
    parts.append(_tail(rng, hair, scalp))
  return _concatenate(parts)
