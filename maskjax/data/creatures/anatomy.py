"""Anatomy: the features that heads share, each a few strokes.

Every function takes the traits of the head, and those that must sit on the
surface take the strokes so far (`clay`); all return a list of new strokes.
Positions are of the right half (x > 0), centimetres, head frame.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from jaxtyping import Float
import numpy as np

from maskjax.data.creatures import coats, sculpt, solids, traits

Strokes = list[sculpt.Stroke]
Clay = Sequence[sculpt.Stroke]  # what is there so far
Number = solids.Number
Vector = solids.Vector


def surface(
  clay: Clay, x: Number, y: Number, out: Number = 0.0
) -> Float[np.ndarray, '3']:
  """Return the point of the surface at (x, y), moved `out` cm to +z."""
  return np.array([x, y, sculpt.front(clay, x, y) + out], np.float32)


def _bags(
  t: traits.Traits, center: Float[np.ndarray, '3'], radius: Number, lid: str
) -> Strokes:
  """Paint the folds under and beside old eyes."""
  dark = t.colors[lid] * 0.45
  x, y, z = center
  arcs = (
    ((x - 1.1, y - 1.5, z), (x + 0.1, y - 1.95, z), (x + 1.3, y - 1.4, z)),
    ((x - 0.8, y - 2.2, z), (x + 0.3, y - 2.55, z), (x + 1.3, y - 2.1, z)),
    ((x + 1.5, y + 0.2, z), (x + 2.1, y + 0.4, z), (x + 2.6, y + 0.8, z)),
    ((x + 1.5, y - 0.3, z), (x + 2.1, y - 0.5, z), (x + 2.6, y - 1.0, z)),
  )
  strokes = []
  for arc in arcs:
    arc = center + (np.array(arc) - center) * radius * 0.85
    deep = solids.extruded(arc[:, :2], (0.1, 0.17, 0.1), z - 3)
    strokes.append(sculpt.paint(deep, dark, soft=0.3))
  return strokes


def eyes(
  clay: Clay,
  t: traits.Traits,
  x: float,
  y: float,
  radius: float,
  *,
  sink: float = 0.55,
  lid: str = 'base',
  slit: float = 1.0,
  iris_size: float = 0.66,
  pupil_size: float = 0.36,
  upper: float = 46.0,
  lower: float = -52.0,
  patch: str | None = None,
  patch_size: float = 1.5,
  gaze: Vector = (0.08, -0.02, 1.0),
) -> tuple[Strokes, Float[np.ndarray, '3']]:
  """Model a pair of eyes with lids.

  Args:
    clay: strokes so far.
    t: traits; `eye`, `spacing`, `lid`, `tilt`, `age` and colours count.
    x: position on the face, cm to the side.
    y: and its height, cm.
    radius: of the ball, cm.
    sink: how deep the centre lies, in radii.
    lid: role of the lids' colour.
    slit: width of the pupil over its height, as of `coats.eye`.
    iris_size: radius as a fraction of the ball's.
    pupil_size: the same of the pupil.
    gaze: direction of the right eye.
    upper: elevation of the upper lid's edge in degrees, eyes at rest.
    lower: the same of the lower lid's.
    patch: role of a patch of colour around the eye, or None.
    patch_size: its radius, in radii.

  Returns:
    Strokes and the centre of the right eye.
  """
  radius = 1.12 * radius * t.eye
  x = x * t.spacing
  center = surface(clay, x, y, -sink * radius)
  strokes = []
  if t.age > 0.3:
    strokes += _bags(t, center, radius, lid)
  if patch is not None:
    size = patch_size * radius
    body = solids.ellipsoid(center, (size, size * 1.1, size * 1.3))
    strokes.append(sculpt.paint(body, t.colors[patch], soft=0.5))
  tilt = np.radians(24 * t.tilt)
  for edge, side in ((upper - 48 * t.lid, 1), (lower, -1)):
    a = np.radians(edge)
    slope = tilt if side > 0 else 0.3 * tilt
    down = np.array([np.sin(slope), -np.cos(slope), 0]) * np.cos(a) * side
    outward = down + np.array([0, 0, np.sin(a) * side])
    shell = solids.ellipsoid(center, radius * 1.17)
    body = solids.common(shell, solids.half_space(center, outward))
    color = t.colors[lid] * (0.86 if side > 0 else 0.94)
    strokes.append(sculpt.add(body, color, blend=0.35, soft=0.2))
  ball = solids.ellipsoid(center, radius)
  paint = coats.eye(
    center,
    radius,
    white=t.colors.get('white', coats.hex_color('#fbfbf8')),
    iris=t.colors['iris'],
    pupil=t.colors.get('pupil', coats.hex_color('#070709')),
    iris_size=iris_size,
    pupil_size=pupil_size,
    slit=slit,
    gaze=gaze,
  )
  strokes.append(sculpt.add(ball, paint, blend=0.02, soft=0.12))
  return strokes, center


def brows(
  clay: Clay,
  t: traits.Traits,
  x: float,
  y: float,
  *,
  length: float = 3.4,
  thickness: float = 0.6,
  color: str = 'hair',
  arch: float = 0.5,
  rest: float = 0.0,
) -> Strokes:
  """Model brows centred at (x, y); `rest` is their tilt at a calm mood."""
  x, thickness = x * t.spacing, thickness * t.brow
  slope = 0.38 * (t.tilt + rest)
  inner, outer = x - length / 2, x + length / 2
  drop = -0.25 * abs(t.tilt)
  points = [
    surface(clay, inner, y - slope * length / 2 + drop, 0.1),
    surface(clay, x, y + drop + 1.6 * arch, 0.1),
    surface(clay, outer, y + slope * length / 2 + drop - 0.2, 0.1),
  ]
  body = solids.tube(points, (thickness, thickness * 1.05, thickness * 0.5))
  tone = coats.mix(
    t.colors[color], coats.hex_color('#dcdad5'), 0.75 * max(t.age, 0)
  )
  return [sculpt.add(body, tone, blend=0.25, soft=0.15)]


def mood_brows(
  clay: Clay,
  t: traits.Traits,
  x: float,
  y: float,
  *,
  color: str = 'hair',
  arch: float = 0.5,
) -> Strokes:
  """Model brows only where a mood or age asks for them."""
  if abs(t.tilt) < 0.4 and t.age < 0.3:
    return []
  return brows(clay, t, x, y, color=color, arch=arch)


def _line(
  bend: Callable[[np.ndarray | float], np.ndarray | float],
  *,
  y: float,
  width: float,
  thickness: float,
  back: float,
  top: float = 17.0,
) -> solids.Solid:
  """Return a band along the curve y + bend(x / width).

  Args:
    bend: of x over the half width, in [0, 1]; cm.
    y: height of the middle, cm.
    width: half width, cm.
    thickness: half thickness, cm.
    back: z behind which it does not reach, cm.
    top: z before which it does not reach, cm.
  """

  def distance(x: np.ndarray, yy: np.ndarray, z: np.ndarray) -> np.ndarray:
    u = np.clip(x / width, 0, 1)
    away = np.hypot(np.maximum(x - width, 0), yy - y - bend(u))
    return np.maximum(away - thickness, back - z)

  bends = [float(bend(u)) for u in np.linspace(0, 1, 9)]
  low = np.array([0, y + min(bends) - thickness, back], np.float32)
  high = np.array([width + thickness, y + max(bends) + thickness, top])
  return solids.Solid(distance, low, high.astype(np.float32))


def mouth_line(
  t: traits.Traits,
  y: float,
  width: float,
  *,
  color: coats.Color | None = None,
  thickness: float = 0.26,
  curve: float = 1.3,
  rest: float = 0.35,
  wave: float = 0.0,
  back: float = 0.0,
) -> Strokes:
  """Paint a closed mouth.

  Args:
    t: traits; `smile` bends the mouth, `rest` being its calm bend.
    y: height of its middle, cm.
    width: half width, cm.
    color: f[3], dark if None.
    thickness: half thickness, cm.
    curve: rise of the corners at smile 1, cm.
    rest: smile of a calm mouth.
    wave: depth (cm) of the two arcs under a cat's nose.
    back: z behind which nothing is painted.
  """
  color = coats.hex_color('#2a1413') if color is None else color
  rise = curve * np.clip(t.smile + rest, -1, 1.2)

  def bend(u: np.ndarray | float) -> np.ndarray | float:
    return rise * u * u - wave * np.sin(np.pi * np.minimum(u * 1.3, 1))

  band = _line(bend, y=y, width=width, thickness=thickness, back=back)
  return [sculpt.paint(band, color, soft=0.2)]


def mouth_open(
  clay: Clay,
  t: traits.Traits,
  y: float,
  width: float,
  height: float,
  *,
  teeth: float = 0.24,
  lower_teeth: float = 0.0,
  fangs: float = 0.0,
  depth: float = 1.5,
  rest: float = 0.25,
) -> Strokes:
  """Carve an open mouth with tongue and teeth.

  Args:
    clay: strokes so far.
    t: traits; `smile` > 0 cuts a laughing mouth, < 0 a wailing one.
    y: height of its middle, cm.
    width: half of it, cm.
    height: half of it, cm.
    teeth: height of the upper row of teeth over the mouth's.
    lower_teeth: the same of the lower row.
    fangs: length of fangs, cm; 0 for none.
    depth: of the hollow, cm.
    rest: smile of a calm mouth.
  """
  z = sculpt.front(clay, 0.0, y)
  center = np.array([0, y, z - 0.1 * depth], np.float32)
  hollow = solids.ellipsoid(center, (width, height, depth + 0.15 * width))
  smile = float(np.clip(t.smile + rest, -1, 1.1))

  def bent(x: np.ndarray, yy: np.ndarray, zz: np.ndarray) -> np.ndarray:
    rise = smile * 0.55 * height * ((x / width) ** 2 - 0.25)
    return hollow.distance(x, yy - rise, zz)

  extra = np.array([0, height, 0], np.float32)
  body = solids.Solid(bent, hollow.low - extra, hollow.high + extra)
  dark = coats.hex_color('#4a0d12')
  tongue = t.colors.get('tongue', coats.hex_color('#d8525c'))
  tooth = t.colors.get('tooth', coats.hex_color('#fbf7ea'))

  def inside(points: coats.Points, so_far: coats.Points) -> coats.Points:
    u = points[:, 0] / width
    rise = smile * 0.55 * (u * u - 0.25)
    v = (points[:, 1] - y) / height - rise
    arc = np.sqrt(np.clip(1 - u * u, 0, 1))

    def cover(value: np.ndarray, soft: float = 0.14) -> np.ndarray:
      return np.clip(0.5 + value / soft, 0, 1)[:, None]

    round_tongue = 0.62 - np.hypot(u * 0.95, v + 0.85)
    result = coats.mix(dark[None], tongue, cover(round_tongue))
    if teeth:
      result = coats.mix(result, tooth, cover(v - arc + 2 * teeth))
    if lower_teeth:
      row = cover(-v - arc + 2 * lower_teeth)
      result = coats.mix(result, tooth, row)
    return result

  strokes = [sculpt.carve(body, inside, blend=0.25, soft=0.15)]
  if fangs:
    x = 0.52 * width
    top = y + 0.72 * height + smile * 0.55 * height * (0.27 - 0.25)
    start = np.array([x, top, z - 0.35])
    end = np.array([x * 0.96, top - fangs, z - 0.1])
    fang = solids.cone(start, end, 0.5, 0.14)
    strokes.append(sculpt.add(fang, tooth, blend=0.1, soft=0.12))
  return strokes


def pointed_ear(
  t: traits.Traits,
  base: Vector,
  tip: Vector,
  width: Number,
  *,
  color: str = 'base',
  inner: str = 'inner',
  thickness: Number = 0.75,
  facing: Vector = (0.15, 0.0, 1.0),
  point: Number = 0.12,
  peak: Number = 0.3,
  tip_color: str | None = None,
  hollow: Number = 0.6,
) -> Strokes:
  """Model upright ears from base to tip (cm), hollow in front."""
  base = np.asarray(base, np.float32)
  tip = base + (np.asarray(tip, np.float32) - base) * t.ear
  width = width * (0.5 + 0.5 * t.ear)
  facing = np.asarray(facing, np.float32) / np.linalg.norm(facing)
  shape = dict(peak=peak, point=point)
  outer = solids.leaf(base, tip, width, thickness, facing, **shape)
  strokes = [sculpt.add(outer, t.colors[color], blend=0.9, soft=0.3)]
  if tip_color is not None:
    plane = solids.half_space(base + (tip - base) * 0.62, base - tip)
    dark = solids.common(solids.swollen(outer, 0.3), plane)
    strokes.append(sculpt.paint(dark, t.colors[tip_color], soft=0.4))
  shift = facing * thickness * 1.05
  low = base + (tip - base) * 0.12 + shift
  high = base + (tip - base) * 0.82 + shift
  cup = solids.leaf(low, high, width * hollow, thickness, facing, **shape)
  strokes.append(sculpt.carve(cup, t.colors[inner], blend=0.3, soft=0.25))
  return strokes


def round_ear(
  t: traits.Traits,
  center: Vector,
  radius: Number,
  *,
  color: str = 'base',
  inner: str = 'inner',
  thickness: float = 0.9,
  stretch: float = 1.0,
  turn: float = 18.0,
  roll: float = 0.0,
  hollow: float = 0.62,
) -> Strokes:
  """Model round ears: discs of a radius (cm), hollow in front."""
  center = np.asarray(center, np.float32)
  radius = radius * t.ear
  matrix = solids.rotation(turn, 0, roll)
  disc = solids.ellipsoid(center, (radius, radius * stretch, thickness), matrix)
  front = center + matrix[:, 2] * thickness * 0.95
  cup = solids.ellipsoid(
    front,
    (radius * hollow, radius * stretch * hollow, thickness * 0.8),
    matrix,
  )
  return [
    sculpt.add(disc, t.colors[color], blend=0.8, soft=0.3),
    sculpt.carve(cup, t.colors[inner], blend=0.3, soft=0.3),
  ]


def tuft(
  points: Float[np.ndarray, 'n 3'] | Sequence[Vector],
  radii: Sequence[Number],
  color: sculpt.Color,
  *,
  blend: Number = 0.5,
  soft: Number = 0.3,
  count: int = 4,
) -> Strokes:
  """Model a lock of hair, a quill, a spike: a bent cone, as `solids.tube`."""
  body = solids.tube(points, radii, count=count)
  return [sculpt.add(body, color, blend=blend, soft=soft)]


def stripe(
  points: Float[np.ndarray, 'n 2'] | Sequence[Sequence[Any]],
  radii: Sequence[Number],
  color: sculpt.Color,
  *,
  back: Number = 0.0,
  soft: Number = 0.25,
) -> sculpt.Stroke:
  """Paint a curved stroke on the front, given in (x, y) (cm)."""
  return sculpt.paint(solids.extruded(points, radii, back), color, soft=soft)


def nostrils(
  clay: Clay,
  x: Number,
  y: Number,
  radius: Number,
  *,
  color: sculpt.Color | None = None,
  stretch: Number = 1.0,
  roll: Number = 0.0,
) -> Strokes:
  """Carve a pair of nostrils of a radius (cm) at (x, y)."""
  color = coats.hex_color('#120a0b') if color is None else color
  center = surface(clay, x, y, 0.1)
  body = solids.ellipsoid(
    center,
    (radius, radius * stretch, radius * 1.2),
    solids.rotation(0, 0, roll),
  )
  return [sculpt.carve(body, color, blend=0.15, soft=0.2)]


def pad(
  t: traits.Traits,
  center: Vector,
  radii: Vector,
  *,
  color: str = 'nose',
  nod: Number = 0.0,
) -> Strokes:
  """Model a nose pad with two nostrils (cm)."""
  center = np.asarray(center, np.float32)
  radii = np.asarray(radii, np.float32) * t.nose
  body = solids.ellipsoid(center, radii, solids.rotation(0, nod))
  hole = center + np.array([0.48, -0.22, 0.86]) * radii
  dark = t.colors[color] * 0.25
  return [
    sculpt.add(body, t.colors[color], blend=0.3, soft=0.15),
    sculpt.paint(
      solids.ellipsoid(hole, radii * (0.28, 0.3, 0.5)), dark, soft=0.15
    ),
  ]


class Head(NamedTuple):
  """A modelled head.

  Attributes:
    strokes: what `sculpt.mesh_arrays` turns into a mesh.
    eye: centre of the right eye (x > 0), cm.
    mouth: centre of the mouth, cm.
  """

  strokes: Strokes
  eye: Float[np.ndarray, '3']
  mouth: Float[np.ndarray, '3']


def ball(
  t: traits.Traits,
  center: Vector,
  radii: Vector | Number,
  color: str | sculpt.Color = 'base',
  *,
  blend: Number = 1.5,
  soft: Number = 0.8,
  axes: solids.Matrix | None = None,
) -> sculpt.Stroke:
  """Return one stroke that adds an ellipsoid of a role's colour (cm)."""
  tone = t.colors[color] if isinstance(color, str) else color
  body = solids.ellipsoid(center, radii, axes)
  return sculpt.add(body, tone, blend=blend, soft=soft)


def dab(
  t: traits.Traits,
  center: Vector,
  radii: Vector | Number,
  color: str | sculpt.Color,
  *,
  soft: Number = 0.8,
  axes: solids.Matrix | None = None,
) -> sculpt.Stroke:
  """Return one stroke that paints an ellipsoid of a role's colour (cm)."""
  tone = t.colors[color] if isinstance(color, str) else color
  return sculpt.paint(solids.ellipsoid(center, radii, axes), tone, soft=soft)


def everywhere(pattern: sculpt.Pattern) -> sculpt.Stroke:
  """Return one stroke that paints a pattern on all that is there."""
  return sculpt.paint(solids.ellipsoid((0, 0, 0), 60.0), pattern)
