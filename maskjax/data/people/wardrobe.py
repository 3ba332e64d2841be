"""What people wear: glasses, hats, earrings; solids made of swept curves.

Everything is placed by landmarks of the head that wears it, in its frame.

Shapes: `v` vertices, `f` faces, `n` points of a curve.
"""

from collections.abc import Sequence
import dataclasses
from typing import NamedTuple

from jaxtyping import Float, Int
import numpy as np

from maskjax.data.people import hair

FRAMES = ('round', 'square', 'wide', 'sunglasses')
HATS = ('beanie', 'cap')
_EYES = ((362, 263, 386, 374), (133, 33, 159, 145))
_EARS = (454, 234)


@dataclasses.dataclass(frozen=True)
class Wear:
  """What one person wears; colours are linear RGB.

  Attributes:
    glasses: one of `FRAMES`, or ''.
    frame: colour of the glasses.
    thickness: of their rims, cm.
    hat: one of `HATS`, or ''.
    hat_color: its colour.
    earrings: radius in cm, 0 for none.
    jewel: colour of the earrings.
    cloth: colour of the shirt.
    trim: its second colour.
    neckline: 0 crew neck, 1 V-neck, 2 turtleneck, 3 wide.
    stripes: per cm, 0 for plain cloth.
  """

  glasses: str = ''
  frame: tuple[float, float, float] = (0.02, 0.02, 0.02)
  thickness: float = 0.16
  hat: str = ''
  hat_color: tuple[float, float, float] = (0.1, 0.1, 0.3)
  earrings: float = 0.0
  jewel: tuple[float, float, float] = (0.8, 0.6, 0.2)
  cloth: tuple[float, float, float] = (0.2, 0.2, 0.25)
  trim: tuple[float, float, float] = (0.8, 0.8, 0.8)
  neckline: int = 0
  stripes: float = 0.0


class Solid(NamedTuple):
  """A coloured surface.

  Attributes:
    vertices: cm.
    faces: counter-clockwise seen from outside.
    kind: 'frame', 'lens', 'hat' or 'jewel'.
  """

  vertices: Float[np.ndarray, 'v 3']
  faces: Int[np.ndarray, 'f 3']
  kind: str


def _grid_faces(
  rows: int, columns: int, closed: bool
) -> Int[np.ndarray, 'f 3']:
  """Return the faces of a grid of vertices; `closed` joins its columns up."""
  index = np.arange(rows * columns).reshape(rows, columns)
  if closed:
    index = np.concatenate([index, index[:, :1]], 1)
  a, b = index[:-1, :-1].ravel(), index[:-1, 1:].ravel()
  c, d = index[1:, :-1].ravel(), index[1:, 1:].ravel()
  return np.concatenate([np.stack([a, b, d], -1), np.stack([a, d, c], -1)])


def _tube(
  path: Float[np.ndarray, 'n 3'] | Sequence[Float[np.ndarray, '3']],
  radius: float,
  kind: str,
  *,
  closed: bool = False,
  sides: int = 6,
  flat: float = 1.0,
) -> Solid:
  """Sweep a circle along a path.

  Args:
    path: points of the middle line, cm.
    radius: of the circle, cm.
    kind: of the solid.
    closed: whether the path returns to its beginning.
    sides: of the polygon that stands for the circle.
    flat: height of the circle over its width.
  """
  path = np.asarray(path, float)
  if closed:
    path = np.concatenate([path, path[:1]])
    ends = np.concatenate([path[-2:-1], path, path[1:2]])
    tangent = ends[2:] - ends[:-2]
  else:
    tangent = np.gradient(path, axis=0)
  tangent /= np.linalg.norm(tangent, axis=-1, keepdims=True)
  # Any direction that the path does not run along spans the circle.
  up = np.array([0.0, 0.0, 1.0])
  if np.mean(np.abs(tangent @ up)) > 0.7:
    up = np.array([0.0, 1.0, 0.0])
  first = np.cross(tangent, up)
  first /= np.linalg.norm(first, axis=-1, keepdims=True)
  second = np.cross(first, tangent)
  turn = np.linspace(0, 2 * np.pi, sides, endpoint=False)
  ring = (
    np.cos(turn)[None, :, None] * first[:, None]
    + flat * np.sin(turn)[None, :, None] * second[:, None]
  )
  vertices = path[:, None] + radius * ring
  faces = _grid_faces(len(path), sides, True)[:, ::-1]
  return Solid(vertices.reshape(-1, 3), faces, kind)


def _rim(
  shape: str, half_width: float, half_height: float, count: int = 28
) -> Float[np.ndarray, 'n 2']:
  """Return the outline of a lens in its plane, cm: a superellipse."""
  turn = np.linspace(0, 2 * np.pi, count, endpoint=False)
  power = {'round': 2.0, 'square': 4.5, 'wide': 3.2, 'sunglasses': 2.8}[shape]
  c, s = np.cos(turn), np.sin(turn)
  x = half_width * np.sign(c) * np.abs(c) ** (2 / power)
  y = half_height * np.sign(s) * np.abs(s) ** (2 / power)
  return np.stack([x, y * (1 + 0.08 * x / half_width)], -1)


def _glasses(wear: Wear, landmarks: Float[np.ndarray, '468 3']) -> list[Solid]:
  """Return two rims, a bridge, two temples, and lenses that are dark."""
  solids = []
  sizes = {
    'round': (2.35, 2.2), 'square': (2.6, 1.9), 'wide': (2.85, 1.75),
    'sunglasses': (2.95, 2.25),
  }  # fmt: skip
  half_width, half_height = sizes[wear.glasses]
  bridge = landmarks[168]
  rims = []
  for side, eye, ear in zip((1, -1), _EYES, _EARS):
    middle = landmarks[list(eye)].mean(0)
    brow = landmarks[[285, 295, 282] if side > 0 else [55, 65, 52]]
    front = max(middle[2] + 1.0, bridge[2] + 0.15, brow[:, 2].max() + 0.15)
    centre = np.array([middle[0] + side * 0.12, middle[1] - 0.3, front])
    outline = _rim(wear.glasses, half_width, half_height) * [side, 1]
    bend = -0.05 * (outline[:, 0] * side + half_width) ** 2 * 0.8
    rim = centre + np.concatenate([outline, bend[:, None]], -1)
    solids.append(_tube(rim, wear.thickness, 'frame', closed=True, flat=0.7))
    rims.append(rim)
    outer = rim[np.argmax(rim[:, 0] * side)] + [0, 0.35 * half_height, 0]
    end = landmarks[ear] + [side * 0.55, 1.2, -3.4]
    hinge = outer + np.array([side * 0.25, 0, -0.3])
    hinge[0] = side * max(abs(hinge[0]), abs(end[0]) - 1.3)
    temple = [
      outer,
      hinge,
      0.5 * (hinge + end),
      end,
      end + np.array([-side * 0.2, -1.6, -1.2]),
    ]
    solids.append(_tube(temple, wear.thickness * 0.9, 'frame', flat=1.3))
    if wear.glasses == 'sunglasses':
      middle = rim.mean(0) + np.array([0.0, 0.0, 0.12])
      fan = np.concatenate([middle[None], rim])
      n = len(rim)
      ring = np.arange(n)
      faces = np.stack([np.zeros(n, int), 1 + ring, 1 + (ring + 1) % n], -1)
      solids.append(Solid(fan, faces if side > 0 else faces[:, ::-1], 'lens'))
  inner = [rim[np.argmin(np.abs(rim[:, 0]))] for rim in rims]
  top = 0.5 * (inner[0] + inner[1]) + [0, 0.35, 0.25]
  solids.append(_tube([inner[0], top, inner[1]], wear.thickness, 'frame'))
  return solids


def _crown(
  scalp: hair.Scalp,
  above: Float[np.ndarray, 'v'],
  lift: Float[np.ndarray, 'v'],
) -> Solid:
  """Return the scalp above a line, lifted, as a solid by itself.

  Args:
    scalp: the skin of the head.
    above: how far its vertices lie above the line, cm.
    lift: how far they are lifted, cm.
  """
  kept = np.all(above[scalp.faces] > 0, axis=1)
  used, faces = np.unique(scalp.faces[kept], return_inverse=True)
  vertices = scalp.vertices[used] + lift[used, None] * scalp.normals[used]
  return Solid(vertices, faces.reshape(-1, 3), 'hat')


def _hat(wear: Wear, scalp: hair.Scalp, volume: float) -> list[Solid]:
  """Return a hat over hair of a volume (cm): crown, cuff, a cap's peak."""
  rest = scalp.rest
  back = np.clip((2 - rest[:, 2]) / 8, 0, 1)
  low = 7.2 - 3.8 * back if wear.hat == 'beanie' else 7.6 - 4.2 * back
  above = rest[:, 1] - low
  ears = (np.abs(rest[:, 0]) > 6.6) & (rest[:, 1] < 3.4)
  above = np.where(ears, -1.0, above)
  top = np.clip(above / 6, 0, 1)
  lift = 0.35 + volume + (0.9 if wear.hat == 'beanie' else 0.5) * top
  solids = [_crown(scalp, above + 1.3 * ~ears, lift)]
  edge = np.abs(above) < 0.9
  around = scalp.vertices[edge] + (lift[edge, None]) * scalp.normals[edge]
  centre = around.mean(0)
  angle = np.arctan2(around[:, 0] - centre[0], around[:, 2] - centre[2])
  order = np.argsort(angle)
  knots = np.linspace(-np.pi, np.pi, 37)[:-1]
  ring = np.stack(
    [
      np.interp(knots, angle[order], around[order, k], period=2 * np.pi)
      for k in range(3)
    ],
    -1,
  )
  # The edge is that of triangles: smoothed, or the cuff would zigzag.
  kernel = np.array([0.25, 0.5, 0.25])
  for _ in range(4):
    ring = sum(w * np.roll(ring, k - 1, 0) for k, w in enumerate(kernel))
  cuff = 0.75 if wear.hat == 'beanie' else 0.35
  solids.append(_tube(ring, cuff, 'hat', closed=True, sides=8, flat=1.3))
  if wear.hat == 'cap':
    front = np.abs(knots) < 1.05
    inner = ring[front]
    fan = np.sin(np.linspace(0, np.pi, len(inner)))[:, None]
    out = inner - centre
    out = out / np.linalg.norm(out, axis=-1, keepdims=True)
    rows = [
      inner
      + t
      * fan**0.6
      * (6.0 * (0.35 * out + [0, 0, 0.65]) + [0, -1.5, 0] * np.array(t))
      for t in (0.0, 0.35, 0.7, 1.0)
    ]
    upper = np.stack(rows)
    lower = upper - [0, 0.15, 0]
    count = upper.shape[1]
    faces = _grid_faces(4, count, False)
    solids.append(Solid(upper.reshape(-1, 3), faces[:, ::-1], 'hat'))
    solids.append(Solid(lower.reshape(-1, 3), faces, 'hat'))
  return solids


def _ball(centre: Float[np.ndarray, '3'], radius: float) -> Solid:
  """Return a bead; cm."""
  turn = np.linspace(0, 2 * np.pi, 10, endpoint=False)
  tilt = np.linspace(0.05, np.pi - 0.05, 7)
  rings = np.stack(
    [
      np.sin(tilt)[:, None] * np.cos(turn),
      np.broadcast_to(np.cos(tilt)[:, None], (7, 10)),
      np.sin(tilt)[:, None] * np.sin(turn),
    ],
    -1,
  )
  vertices = np.asarray(centre) + radius * rings.reshape(-1, 3)
  return Solid(vertices, _grid_faces(7, 10, True), 'jewel')


def dress(
  wear: Wear,
  landmarks: Float[np.ndarray, '468 3'],
  scalp: hair.Scalp,
  volume: float = 0.0,
) -> list[Solid]:
  """Make what a person wears on the head.

  Args:
    wear: what it is.
    landmarks: of the head, cm.
    scalp: its skin.
    volume: of the hair under a hat, cm.

  Returns:
    The solids, none for nothing.

  Raises:
    ValueError: unknown glasses or an unknown hat.
  """
  solids: list[Solid] = []
  if wear.glasses:
    if wear.glasses not in FRAMES:
      raise ValueError(
        f'unknown glasses {wear.glasses!r}: use one of {", ".join(FRAMES)}'
      )
    solids += _glasses(wear, landmarks)
  if wear.hat:
    if wear.hat not in HATS:
      raise ValueError(
        f'unknown hat {wear.hat!r}: use one of {", ".join(HATS)}'
      )
    solids += _hat(wear, scalp, volume)
  if wear.earrings:
    for side in (1, -1):
      lobe = np.argmin(
        np.linalg.norm(scalp.rest - [side * 7.0, -1.4, -4.2], axis=-1)
      )
      down = np.array([side * 0.1, -wear.earrings, 0.25])
      solids.append(_ball(scalp.vertices[lobe] + down, wear.earrings))
  return solids
