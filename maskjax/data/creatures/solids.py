"""Solids: signed distances of the few bodies that heads are modelled from.

Every solid lives in the half space x >= 0 of a head that is mirrored at
x = 0: it is asked with (|x|, y, z). Distances are negative inside, in
centimetres, exact for spheres and capsules and first-order close for the
rest, which is all that blending and meshing need.

Shapes: ... any broadcastable shape of points.
Source: the usual distance bounds of constructive implicit surfaces (Hart,
"Sphere tracing", 1996); the ellipsoid's is |p/r| (|p/r| - 1) / |p/r^2|.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from jaxtyping import Float, Shaped
import numpy as np

Axes = tuple[np.ndarray, np.ndarray, np.ndarray]
Number = float | np.floating
# Three numbers, cm or a direction.
Vector = Shaped[np.ndarray, '3'] | Sequence[Any]
Matrix = Float[np.ndarray, '3 3']
Distance = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


class Solid(NamedTuple):
  """A body: its signed distance and a box that holds it.

  Attributes:
    distance: maps (x, y, z) arrays (cm) to signed distances (cm).
    low: lower corner of the box, cm.
    high: upper corner of the box, cm.
  """

  distance: Distance
  low: Float[np.ndarray, '3']
  high: Float[np.ndarray, '3']


def _vector(values: Any) -> Float[np.ndarray, '*shape']:
  return np.asarray(values, np.float32)


def rotation(
  turn: Number = 0.0, nod: Number = 0.0, roll: Number = 0.0
) -> Matrix:
  """Return the 3x3 matrix of a rotation given in degrees.

  Args:
    turn: about y; positive turns the front (+z) toward +x.
    nod: about x; positive turns the front (+z) down (toward -y).
    roll: about z; positive turns +x toward +y.

  Returns:
    Columns are the axes of the body in the head frame. Roll acts first, then
    nod, then turn.
  """
  a, b, c = np.radians(np.array([turn, nod, roll]))
  about_y = [[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]]
  about_x = [[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]]
  about_z = [[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]]
  return _vector(np.array(about_y) @ np.array(about_x) @ np.array(about_z))


def _local(
  center: Float[np.ndarray, '3'],
  matrix: Matrix | None,
  x: np.ndarray,
  y: np.ndarray,
  z: np.ndarray,
) -> Axes:
  """Return coordinates of points along the axes (columns) of a placed body."""
  dx, dy, dz = x - center[0], y - center[1], z - center[2]
  if matrix is None:
    return dx, dy, dz
  u, v, w = (
    dx * matrix[0, i] + dy * matrix[1, i] + dz * matrix[2, i] for i in range(3)
  )
  return u, v, w


def _box_of(
  center: Float[np.ndarray, '3'],
  radii: Float[np.ndarray, '3'],
  matrix: Matrix | None,
) -> tuple[Float[np.ndarray, '3'], Float[np.ndarray, '3']]:
  """Return the corners of the box around a turned box of half sizes."""
  half = radii if matrix is None else np.abs(matrix) @ radii
  return center - half, center + half


def ellipsoid(
  center: Vector, radii: Vector | Number, matrix: Matrix | None = None
) -> Solid:
  """Return an ellipsoid.

  Args:
    center: cm.
    radii: along its axes, cm; one number for a ball.
    matrix: its axes, of `rotation`; None: those of the head.
  """
  center = _vector(center)
  radii = np.broadcast_to(_vector(radii), (3,))

  def distance(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    u, v, w = _local(center, matrix, x, y, z)
    u, v, w = u / radii[0], v / radii[1], w / radii[2]
    length = np.sqrt(u * u + v * v + w * w)
    slope = np.sqrt(
      (u / radii[0]) ** 2 + (v / radii[1]) ** 2 + (w / radii[2]) ** 2
    )
    return length * (length - 1.0) / np.maximum(slope, 1e-6)

  if np.ptp(radii) == 0:

    def distance(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
      dx, dy, dz = x - center[0], y - center[1], z - center[2]
      return np.sqrt(dx * dx + dy * dy + dz * dz) - radii[0]

  return Solid(distance, *_box_of(center, radii, matrix))


def block(
  center: Vector,
  radii: Vector,
  matrix: Matrix | None = None,
  *,
  rounding: Number = 0.5,
) -> Solid:
  """Return a rounded box.

  Args:
    center: cm.
    radii: half sizes, the rounding included, cm.
    matrix: its axes, of `rotation`; None: those of the head.
    rounding: radius of edges and corners, cm.
  """
  center, radii = _vector(center), _vector(radii)
  inner = radii - rounding

  def distance(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    u, v, w = _local(center, matrix, x, y, z)
    u, v, w = np.abs(u) - inner[0], np.abs(v) - inner[1], np.abs(w) - inner[2]
    outside = np.sqrt(
      np.maximum(u, 0) ** 2 + np.maximum(v, 0) ** 2 + np.maximum(w, 0) ** 2
    )
    return outside + np.minimum(np.maximum(np.maximum(u, v), w), 0) - rounding

  return Solid(distance, *_box_of(center, radii, matrix))


def cone(
  start: Vector, end: Vector, start_radius: Number, end_radius: Number
) -> Solid:
  """Return a capsule whose radius runs from one end's to the other's (cm)."""
  start, end = _vector(start), _vector(end)
  axis = end - start
  scale = 1.0 / max(float(axis @ axis), 1e-8)

  def distance(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    dx, dy, dz = x - start[0], y - start[1], z - start[2]
    t = np.clip((dx * axis[0] + dy * axis[1] + dz * axis[2]) * scale, 0, 1)
    dx, dy, dz = dx - t * axis[0], dy - t * axis[1], dz - t * axis[2]
    radius = start_radius + t * (end_radius - start_radius)
    return np.sqrt(dx * dx + dy * dy + dz * dz) - radius

  low = np.minimum(start - start_radius, end - end_radius)
  high = np.maximum(start + start_radius, end + end_radius)
  return Solid(distance, low, high)


def bezier(
  points: Shaped[np.ndarray, 'n 3'] | Sequence[Vector], count: int = 6
) -> Float[np.ndarray, 'm 3']:
  """Return `count` points of the Bezier curve of control points, cm.

  They are found by de Casteljau's halving of the control polygon, at all
  steps at once.
  """
  points = np.asarray(points, np.float32)
  t = np.linspace(0, 1, count, dtype=np.float32)[:, None, None]
  layers = np.broadcast_to(points, (count, *points.shape))
  while layers.shape[1] > 1:
    layers = layers[:, :-1] * (1 - t) + layers[:, 1:] * t
  return layers[:, 0]


def tube(
  points: Shaped[np.ndarray, 'n 3'] | Sequence[Vector],
  radii: Sequence[Number],
  *,
  count: int = 6,
) -> Solid:
  """Return a bent cone along the Bezier curve of control points.

  Args:
    points: control points, cm.
    radii: radii (cm) at equal steps along the curve, at least two.
    count: points on the curve; count - 1 straight cones are joined.
  """
  path = bezier(points, count)
  steps = np.linspace(0, 1, len(radii))
  sizes = np.interp(np.linspace(0, 1, count), steps, np.asarray(radii))
  pieces = [
    cone(path[i], path[i + 1], sizes[i], sizes[i + 1]) for i in range(count - 1)
  ]
  return union(*pieces)


def leaf(
  base: Vector,
  tip: Vector,
  width: Number,
  thickness: Number,
  facing: Vector,
  *,
  peak: Number = 0.35,
  point: Number = 0.15,
) -> Solid:
  """Return a flat leaf or petal: an ear, a feather, a fin.

  Args:
    base: one end of its middle line, cm.
    tip: the other, cm.
    width: greatest half width, cm.
    thickness: greatest half thickness, cm.
    facing: direction that its flat side looks to.
    peak: where along the middle line it is widest, in (0, 1).
    point: half width at the tip as a fraction of `width`: 0 is sharp, near
      1 is round.
  """
  base, tip, facing = _vector(base), _vector(tip), _vector(facing)
  length = float(np.linalg.norm(tip - base))
  along = (tip - base) / length
  normal = facing - along * float(facing @ along)
  normal /= np.linalg.norm(normal)
  side = np.cross(along, normal)
  matrix = np.stack([side, along, normal], 1)
  stretch = width / thickness

  def distance(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    u, v, w = _local(base, matrix, x, y, z)
    t = np.clip(v / length, 0, 1)
    rising = 0.6 + 0.4 * np.sin(np.pi / 2 * np.clip(t / peak, 0, 1))
    falling = np.clip((t - peak) / (1 - peak), 0, 1)
    bend = 1 - (1 - point) * falling ** (1.15 + point)
    radius = width * rising * bend
    beyond = v - t * length
    flat = w * stretch
    reach = np.sqrt(u * u + flat * flat + beyond * beyond) - radius
    slope = np.sqrt(u * u + (flat * stretch) ** 2 + beyond * beyond)
    slope = slope / np.maximum(
      np.sqrt(u * u + flat * flat + beyond * beyond), 1e-4
    )
    return reach / np.maximum(slope, 1.0)

  corners = np.stack([base, tip])
  reach = np.abs(side) * width + np.abs(normal) * thickness + width * 0.3
  return Solid(distance, corners.min(0) - reach, corners.max(0) + reach)


def union(*pieces: Solid) -> Solid:
  """Return the sharp union of solids."""

  def distance(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    result = pieces[0].distance(x, y, z)
    for piece in pieces[1:]:
      result = np.minimum(result, piece.distance(x, y, z))
    return result

  low = np.min([piece.low for piece in pieces], 0)
  high = np.max([piece.high for piece in pieces], 0)
  return Solid(distance, low, high)


def common(first: Solid, *others: Solid) -> Solid:
  """Return the part of the first solid that lies inside all others."""

  def distance(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    result = first.distance(x, y, z)
    for other in others:
      result = np.maximum(result, other.distance(x, y, z))
    return result

  return Solid(distance, first.low, first.high)


def half_space(point: Vector, outward: Vector) -> Solid:
  """Return everything behind a plane through `point` with normal `outward`."""
  point, outward = _vector(point), _vector(outward)
  outward = outward / np.linalg.norm(outward)

  def distance(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    return (
      (x - point[0]) * outward[0]
      + (y - point[1]) * outward[1]
      + (z - point[2]) * outward[2]
    )

  far = np.full(3, 1e3, np.float32)
  return Solid(distance, -far, far)


def extruded(
  points: Shaped[np.ndarray, 'n 2'] | Sequence[Sequence[Any]],
  radii: Sequence[Number],
  back: Number = 0.0,
  *,
  count: int = 5,
) -> Solid:
  """Return a stroke of a brush on the front, drawn in (x, y) along +z.

  Args:
    points: control points of its Bezier curve, cm.
    radii: half widths (cm) at equal steps along it, at least two.
    back: z (cm) behind which it does not reach.
    count: points on the curve.
  """
  flat = np.concatenate([points, np.zeros((len(points), 1))], 1)
  line = tube(flat, radii, count=count)
  plane = np.zeros((), np.float32)

  def distance(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    return np.maximum(line.distance(x, y, plane), back - z)

  low, high = line.low.copy(), line.high.copy()
  low[2], high[2] = back, 20.0
  return Solid(distance, low, high)


def swollen(
  solid: Solid, amount: Distance | Number, bound: Number = 0.0
) -> Solid:
  """Return a solid pushed outward by `amount` (cm, or a function of x, y, z).

  Args:
    solid: the solid.
    amount: a number, or a function (x, y, z) -> cm.
    bound: the greatest value of `amount` where it is a function.
  """
  if not callable(amount):
    bound = max(float(amount), 0.0)

  def distance(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    push = amount(x, y, z) if callable(amount) else amount
    return solid.distance(x, y, z) - push

  return Solid(distance, solid.low - bound, solid.high + bound)
