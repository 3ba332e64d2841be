"""Skin: colour, lips, brows, beard, make-up and age, painted in a texture.

The texture is a cylinder around the rest head (`head_model.rest`), finer in
front: a point of any head has the texture coordinates of its position at rest,
so features stay on their landmarks whatever the shape. Features are soft
functions of the distance from curves through landmarks.

Colours are multiplied with images throughout: these functions allow arrays of
unequal rank.

Shapes: `s` texels a side, `n` points of a curve, `c` channels.
"""

from collections.abc import Sequence
import functools
import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int
import numpy as np
import scipy.ndimage

from maskjax.data.people import head_model

Maps = dict[str, Float[Array, 's s']]  # {what: one number a texel}

SIZE = 512
# The axis of the cylinder, its radius in front, and its ends, cm.
_AXIS_Z = -4.0
_RADIUS = 8.5
_LOW, _HIGH = -12.0, 14.5
# Tones from the fairest to the darkest skin, sRGB bytes.
_TONES = (
  (246, 214, 196), (235, 194, 170), (220, 170, 140), (196, 143, 110),
  (163, 111, 80), (124, 81, 57), (88, 57, 42), (62, 42, 34),
)  # fmt: skip
_LIPS = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375,
         291, 409, 270, 269, 267, 0, 37, 39, 40, 185)  # fmt: skip
_SEAM = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
_BROW = ((285, 336), (295, 296), (282, 334), (283, 293), (276, 300))
_UPPER_LID = (362, 398, 384, 385, 386, 387, 388, 466, 263)
_LOWER_LID = (362, 382, 381, 380, 374, 373, 390, 249, 263)
_LAUGH_LINE = (358, 423, 426, 436, 432)


class Skin(NamedTuple):
  """How a skin looks; colours are linear RGB in [0, 1].

  Attributes:
    tone: melanin, 0 fair to 1 dark.
    blood: redness of cheeks, nose, ears and lips, about 1.
    warmth: undertone, -1 pink to 1 yellow.
    uneven: strength of blotches, about 1.
    freckles: their strength, 0 to 1.
    wrinkles: 0 to 1.
    lips: colour that lipstick blends to.
    lipstick: 0 to 1.
    blush: 0 to 1.
    shadow: colour of the eyelids' make-up.
    eyeshadow: 0 to 1.
    liner: dark line around the eyes, 0 to 1.
    brow: colour of the brows.
    brow_width: half of their width in cm, about 0.35.
    brow_lift: cm that they lie above their landmarks.
    brow_arch: cm that their middle lies above that.
    brow_strength: 0 to 1.
    hair: colour of scalp and beard.
    scalp: how thick hair grows on the scalp, 0 bald to 1.
    recede: cm that the hairline lies higher than usual.
    beard: how thick the beard is, 0 to 1.
    moustache: likewise, above the mouth.
    goatee: 0 for a full beard, 1 for one on the chin only.
    shift: offset of all noise, in texels.
  """

  tone: float
  blood: float
  warmth: float
  uneven: float
  freckles: float
  wrinkles: float
  lips: tuple[float, float, float]
  lipstick: float
  blush: float
  shadow: tuple[float, float, float]
  eyeshadow: float
  liner: float
  brow: tuple[float, float, float]
  brow_width: float
  brow_lift: float
  brow_arch: float
  brow_strength: float
  hair: tuple[float, float, float]
  scalp: float
  recede: float
  beard: float
  moustache: float
  goatee: float
  shift: tuple[int, int]


def unroll(
  points: Float[Array | np.ndarray, '*shape 3'],
) -> Float[Array, '*shape 2']:
  """Return where points lie in the plane of the cylinder.

  Args:
    points: at rest, cm.

  Returns:
    The angle from the front times the radius, and the height; cm.
  """
  angle = jnp.arctan2(points[..., 0], points[..., 2] - _AXIS_Z)
  return jnp.stack([angle * _RADIUS, points[..., 1]], -1)


@jax.numpy_rank_promotion('allow')
def texture_coordinates(
  points: Float[Array, '*shape 3'],
) -> Float[Array, '*shape 2']:
  """Return where points lie in the texture.

  Args:
    points: at rest, cm.

  Returns:
    Column and row in [0, 1].
  """
  plane = unroll(points)
  turn = plane[..., 0] / (jnp.pi * _RADIUS)
  column = 0.5 + 0.5 * turn * (1.6 - 0.6 * jnp.abs(turn))
  row = (_HIGH - plane[..., 1]) / (_HIGH - _LOW)
  return jnp.clip(jnp.stack([column, row], -1), 0.0, 1.0)


def _grid() -> Float[np.ndarray, 's s 2']:
  """Return every texel's position in the plane of the cylinder, cm."""
  centres = (np.arange(SIZE) + 0.5) / SIZE
  half = np.abs(2 * centres - 1)
  # The inverse of the parabola in `texture_coordinates`.
  turn = (1.6 - np.sqrt(1.6**2 - 4 * 0.6 * half)) / (2 * 0.6)
  x = np.sign(centres - 0.5) * turn * np.pi * _RADIUS
  y = _HIGH - centres * (_HIGH - _LOW)
  return np.stack(np.meshgrid(x, y), -1)


def _along(
  points: Float[np.ndarray, '*shape 2'], curve: Float[np.ndarray, 'n 2']
) -> tuple[Float[np.ndarray, '*shape'], Float[np.ndarray, '*shape']]:
  """Find the nearest point of a curve.

  Returns:
    The distance (positive above or left of the curve's direction), and the
    part of the curve's length, in [0, 1], up to the nearest point.
  """
  steps = np.linalg.norm(np.diff(curve, axis=0), axis=1)
  starts = np.concatenate([[0], np.cumsum(steps)]) / steps.sum()
  best = np.full(points.shape[:-1], np.inf)
  signed, part = np.zeros_like(best), np.zeros_like(best)
  for k, (a, b) in enumerate(itertools.pairwise(curve)):
    edge, offset = b - a, points - a
    t = np.clip(offset @ edge / (edge @ edge), 0, 1)
    gap = np.linalg.norm(offset - t[..., None] * edge, axis=-1)
    side = edge[0] * offset[..., 1] - edge[1] * offset[..., 0]
    nearer = gap < best
    best = np.where(nearer, gap, best)
    signed = np.where(nearer, np.where(side < 0, -gap, gap), signed)
    along = starts[k] + t * (starts[k + 1] - starts[k])
    part = np.where(nearer, along, part)
  return signed, part


def _inside(
  points: Float[np.ndarray, '*shape 2'], loop: Float[np.ndarray, 'n 2']
) -> Float[np.ndarray, '*shape']:
  """Return the signed distance from a closed loop, positive inside."""
  closed = np.concatenate([loop, loop[:1]])
  gap, _ = _along(points, closed)
  x, y = points[..., 0], points[..., 1]
  # Even-odd rule: a ray to the right crosses the loop an odd number of times.
  odd = np.zeros(x.shape, bool)
  for a, b in itertools.pairwise(closed):
    crosses = (a[1] > y) != (b[1] > y)
    rise = b[1] - a[1] if b[1] != a[1] else 1e-9
    odd ^= crosses & (x < a[0] + (y - a[1]) * (b[0] - a[0]) / rise)
  return np.where(odd, np.abs(gap), -np.abs(gap))


def _noise(scale: float, seed: int) -> Float[np.ndarray, 's s']:
  """Return tileable smooth noise of standard deviation 1.

  Args:
    scale: standard deviation of the blur, texels.
    seed: which of many.
  """
  white = np.random.default_rng(seed).normal(size=(SIZE, SIZE))
  smooth = scipy.ndimage.gaussian_filter(white, scale, mode='wrap')
  return (smooth / smooth.std()).astype(np.float32)


@jax.numpy_rank_promotion('allow')
def hairline(
  plane: Float[Array | np.ndarray, '*shape 2'],
) -> Float[Array, '*shape']:
  """Return how far points lie above the hairline, cm.

  Args:
    plane: of `unroll`, cm.
  """
  degrees = jnp.abs(plane[..., 0]) / _RADIUS * (180 / np.pi)
  line = jnp.interp(
    degrees,
    jnp.asarray([0, 15, 30, 42, 52, 62, 70, 76, 84, 100, 112, 125, 180.0]),
    jnp.asarray(
      [8.3, 8.4, 8.2, 7.2, 5.8, 5.0, 3.4, 1.2, 2.6, 2.8, 0.0, -3.2, -4.6]
    ),
  )
  return plane[..., 1] - line


@functools.cache
def _maps() -> dict[str, Float[Array, 's s']]:
  """Return everything about the texture that no person changes."""
  plane = _grid()
  mirrored = np.stack([np.abs(plane[..., 0]), plane[..., 1]], -1)
  points = np.asarray(unroll(head_model.landmarks(head_model.rest())))
  x, y = np.moveaxis(mirrored, -1, 0)
  maps = {}
  maps['lips'] = _inside(plane, points[list(_LIPS)])
  maps['seam'] = np.abs(_along(plane, points[list(_SEAM)])[0])
  brow = np.array([points[list(pair)].mean(0) for pair in _BROW])
  maps['brow_gap'], maps['brow_place'] = _along(mirrored, brow)
  maps['brow_x'] = (x - brow[0, 0]) / (brow[-1, 0] - brow[0, 0])
  upper, lower = points[list(_UPPER_LID)], points[list(_LOWER_LID)]
  maps['upper_lid'], maps['lid_place'] = _along(mirrored, upper)
  maps['lower_lid'] = _along(mirrored, lower)[0]
  maps['laugh'] = np.abs(_along(mirrored, points[list(_LAUGH_LINE)])[0])
  maps['crow'] = np.hypot(x - upper[-1, 0] - 0.9, y - upper[-1, 1])
  cheek, tip, chin = points[425], points[4], points[199]
  maps['cheek'] = np.exp(
    -(((x - cheek[0]) / 2.2) ** 2 + ((y - cheek[1] - 0.4) / 1.7) ** 2)
  )
  maps['nose'] = np.exp(-((x / 1.3) ** 2 + ((y - tip[1]) / 1.3) ** 2))
  maps['chin'] = np.exp(-((x / 1.6) ** 2 + ((y - chin[1]) / 1.4) ** 2))
  degrees = x / _RADIUS * (180 / np.pi)
  maps['ear'] = np.exp(-(((degrees - 98) / 14) ** 2 + ((y - 1) / 3.5) ** 2))
  maps['nostril'] = np.exp(-(((x - 0.62) / 0.3) ** 2 + ((y + 1.05) / 0.2) ** 2))
  # The upper edge of a beard, from the sideburn to the corner of the mouth.
  edge = np.interp(
    degrees,
    [0, 18, 30, 45, 62, 70, 78, 84, 90],
    [-1.6, -1.9, -3.3, -3.4, -1.6, 0.6, 2.0, 1.0, -2],
  )
  maps['beard'] = np.minimum(
    edge - y, np.minimum((87 - degrees) * 0.12, y + 9.5)
  )
  maps['above_lip'] = np.minimum(
    np.minimum(-1.35 - y, 2.9 - x - 0.25 * (y + 3)), y + 3.8
  )
  maps['goatee'] = np.minimum(2.3 - x, y + 8.5)
  maps['hairline'] = np.asarray(hairline(jnp.asarray(plane)))
  maps['x'], maps['y'] = plane[..., 0], y
  maps['fine'], maps['middle'] = _noise(0.8, 1), _noise(5, 2)
  maps['broad'], maps['blotch'] = _noise(22, 3), _noise(10, 4)
  maps['spots'] = _noise(1.6, 5)
  # Hairs: noise drawn out downwards.
  rng = np.random.default_rng(6)
  strands = scipy.ndimage.gaussian_filter(
    rng.normal(size=(SIZE, SIZE)), (5, 0.7), mode='wrap'
  )
  maps['strands'] = strands / strands.std()
  return {name: jnp.asarray(value, jnp.float32) for name, value in maps.items()}


def _step(
  value: Float[Array, '*shape'],
  low: Float[Array, ''] | float,
  high: Float[Array, ''] | float,
) -> Float[Array, '*shape']:
  """Return a smooth step from 0 at `low` to 1 at `high`."""
  t = jnp.clip((value - low) / (high - low), 0.0, 1.0)
  return t * t * (3 - 2 * t)


def _blend(
  color: Float[Array, 's s 3'],
  other: Float[Array, 's s 3'] | Sequence[Float[Array, '']],
  amount: Float[Array, 's s'],
) -> Float[Array, 's s 3']:
  """Return `amount` of another colour over a colour."""
  return color + (jnp.asarray(other) - color) * amount[..., None]


def _rolled(maps: Maps, shift: Int[Array, '2']) -> Maps:
  """Move the noises, so that no two people have the same."""
  names = ('fine', 'middle', 'broad', 'blotch', 'spots', 'strands')
  return maps | {n: jnp.roll(maps[n], shift, (0, 1)) for n in names}


def _complexion(skin: Skin, maps: Maps) -> Float[Array, 's s 3']:
  """Paint the bare skin: melanin, blood, freckles, wrinkles."""
  tones = (jnp.asarray(_TONES) / 255.0) ** 2.2
  tone = jnp.clip(
    skin.tone + skin.uneven * (0.012 * maps['broad'] + 0.008 * maps['middle']),
    0.0,
    1.0,
  )
  position = tone * (len(_TONES) - 1)
  knots = jnp.arange(len(_TONES), dtype=jnp.float32)
  color = jnp.stack(
    [jnp.interp(position, knots, tones[:, c]) for c in range(3)], -1
  )
  blood = 0.5 * maps['cheek'] + 0.55 * maps['nose'] + 0.25 * maps['chin']
  blood = blood + 0.5 * maps['ear'] + 0.1 * maps['blotch'] * skin.uneven
  blood = skin.blood * blood
  color = color * jnp.exp(-blood[..., None] * jnp.asarray([0.03, 0.24, 0.2]))
  warm = skin.warmth * jnp.asarray([0.0, 0.03, -0.12])
  fine = 0.025 * skin.uneven * maps['fine'][..., None]
  color = color * (1 + warm + fine)
  freckles = _step(maps['spots'], 1.0, 1.9) * (maps['cheek'] + maps['nose'])
  color = color * jnp.exp(
    -(skin.freckles * freckles)[..., None] * jnp.asarray([0.35, 0.6, 0.75])
  )
  # Lines of age: forehead, laugh lines, corners and bags of the eyes.
  y = maps['y']
  waves = jnp.sin(y * 5.5 + 0.5 * maps['broad'] + 0.05 * maps['x'] ** 2)
  forehead = _step(waves, 0.6, 1.0) * _step(y, 4.6, 5.4) * _step(-y, -8, -7)
  forehead = forehead * _step(-jnp.abs(maps['x']), -6, -3.5)
  lines = 0.5 * forehead + 0.9 * jnp.exp(-((maps['laugh'] / 0.16) ** 2))
  rays = _step(jnp.sin(maps['y'] * 9 + maps['middle']), 0.5, 1.0)
  lines = lines + 0.5 * rays * jnp.exp(-((maps['crow'] / 0.8) ** 2))
  bags = jnp.exp(-(((-maps['lower_lid'] - 0.55) / 0.3) ** 2))
  bags = bags * _step(maps['lid_place'], 0.02, 0.2)
  dark = skin.wrinkles * (0.3 * lines + 0.22 * bags) + 0.06 * bags
  return color * jnp.exp(-dark[..., None] * jnp.asarray([0.8, 1.0, 1.0]))


def _mouth(
  skin: Skin, maps: Maps, color: Float[Array, 's s 3']
) -> tuple[Float[Array, 's s 3'], Float[Array, 's s']]:
  """Paint the lips; return also where they are, in [0, 1]."""
  natural = color * jnp.exp(
    -(0.7 + 0.5 * skin.blood) * jnp.asarray([0.18, 0.62, 0.5])
  )
  edge = _step(maps['lips'], -0.06 - 0.1 * (1 - skin.lipstick), 0.08)
  lips = _blend(natural, skin.lips, skin.lipstick * 0.85 * jnp.ones_like(edge))
  lips = lips * (1 + 0.05 * maps['strands'][..., None])
  color = _blend(color, lips, edge * 0.92)
  seam = 0.55 * jnp.exp(-((maps['seam'] / 0.09) ** 2))
  return color * (1 - seam)[..., None], edge


def _eyes(
  skin: Skin, maps: Maps, color: Float[Array, 's s 3']
) -> Float[Array, 's s 3']:
  """Paint make-up and the shade that lashes leave."""
  above = maps['upper_lid']
  lid = _step(above, -0.25, 0.0) * _step(-above, -0.95, -0.35)
  lid = (
    lid * _step(maps['lid_place'], 0.0, 0.12) * _step(-maps['crow'], -3.6, -3.0)
  )
  color = _blend(color, skin.shadow, skin.eyeshadow * 0.6 * lid)
  line = jnp.exp(-((above / 0.1) ** 2))
  lower = 0.5 * jnp.exp(-((maps['lower_lid'] / 0.07) ** 2))
  dark = (0.3 + 0.5 * skin.liner) * line + (0.12 + 0.4 * skin.liner) * lower
  return color * (1 - jnp.clip(dark, 0, 0.93))[..., None]


def _brows(
  skin: Skin, maps: Maps, color: Float[Array, 's s 3']
) -> Float[Array, 's s 3']:
  """Paint the brows."""
  along = maps['brow_place']
  gap = maps['brow_gap'] - skin.brow_lift
  gap = gap - skin.brow_arch * jnp.sin(jnp.pi * jnp.clip(along, 0, 1) ** 1.3)
  width = skin.brow_width * (1.0 - 0.65 * along**1.6)
  body = _step(width - jnp.abs(gap), -0.16, 0.16)
  ends = _step(maps['brow_x'], -0.12, 0.08) * _step(
    -maps['brow_x'], -1.15, -0.95
  )
  hairs = 0.8 + 0.22 * maps['strands']
  amount = jnp.clip(body * ends * hairs * skin.brow_strength, 0.0, 0.96)
  return _blend(color, skin.brow, amount)


def _hairs(
  skin: Skin, maps: Maps, color: Float[Array, 's s 3']
) -> tuple[Float[Array, 's s 3'], Float[Array, 's s']]:
  """Paint beard, moustache and scalp; return also how much of it is hair."""
  ragged = 0.25 * maps['middle'] + 0.12 * maps['strands']
  full = _step(maps['beard'] + ragged, -0.2, 0.7)
  chin = full * _step(maps['goatee'] + ragged, -0.2, 0.5)
  beard = skin.beard * (full + (chin - full) * skin.goatee)
  above = _step(maps['above_lip'] + 0.4 * ragged, -0.15, 0.3)
  beard = jnp.maximum(beard, skin.moustache * above)
  beard = beard * _step(-maps['lips'], -0.02, 0.12)
  thick = jnp.clip(beard * (0.92 + 0.14 * maps['strands']), 0, 0.93)
  color = _blend(color, skin.hair, thick)
  scalp = _step(
    maps['hairline']
    - skin.recede * _step(-jnp.abs(maps['x']), -13, -9)
    + 1.2 * ragged,
    -0.15,
    0.75,
  )
  scalp = jnp.clip(
    skin.scalp * scalp * (0.94 + 0.08 * maps['strands']), 0, 0.97
  )
  return _blend(color, skin.hair, scalp), jnp.maximum(thick, scalp)


@jax.jit
@jax.numpy_rank_promotion('allow')
def _paint(skin: Skin, maps: Maps) -> Float[Array, 's s 5']:
  """Paint a skin whose numbers are arrays."""
  maps = _rolled(maps, skin.shift)
  color = _complexion(skin, maps)
  color, lips = _mouth(skin, maps, color)
  color = _blend(color, skin.lips, skin.blush * 0.28 * maps['cheek'])
  color = _eyes(skin, maps, color)
  color = _brows(skin, maps, color)
  color, hair = _hairs(skin, maps, color)
  color = color * (1 - 0.75 * maps['nostril'])[..., None]
  return jnp.concatenate(
    [jnp.clip(color, 0, 1), hair[..., None], lips[..., None]], -1
  )


def paint(skin: Skin) -> Float[Array, 's s 5']:
  """Paint the texture of a skin.

  Args:
    skin: see `Skin`.

  Returns:
    Linear RGB, how much of it is hair, how much of it is lips, all in
    [0, 1].
  """
  numbers = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), skin)
  shift = jnp.asarray(skin.shift, jnp.int32)
  return _paint(numbers._replace(shift=shift), _maps())


@jax.numpy_rank_promotion('allow')
def sample(
  texture: Float[Array, 's s c'], points: Float[Array, '*shape 3']
) -> Float[Array, '*shape c']:
  """Look points up in a texture, bilinearly.

  Args:
    texture: of `paint`.
    points: at rest, cm.
  """
  size = texture.shape[0]
  position = texture_coordinates(points) * size - 0.5
  low = jnp.floor(position)
  part = position - low
  low = low.astype(jnp.int32)

  def at(dx: int, dy: int) -> Float[Array, '*shape c']:
    column = jnp.clip(low[..., 0] + dx, 0, size - 1)
    row = jnp.clip(low[..., 1] + dy, 0, size - 1)
    return texture[row, column]

  right, below = part[..., :1], part[..., 1:]
  upper = at(0, 0) * (1 - right) + at(1, 0) * right
  lower = at(0, 1) * (1 - right) + at(1, 1) * right
  return upper * (1 - below) + lower * below
