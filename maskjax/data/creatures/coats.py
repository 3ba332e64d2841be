"""Coats: colours, patterns and materials of heads.

Colours are linear RGB; a pattern is a function (points f[n, 3] in cm, colours
so far f[n, 3]) -> colours f[n, 3], as `sculpt.Stroke` takes it.

Shapes: `n` points.
"""

from collections.abc import Callable

from jaxtyping import Float, Int
import numpy as np

from maskjax.data.creatures import solids

Pattern = Callable[[np.ndarray, np.ndarray], np.ndarray]
Finish = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
Points = Float[np.ndarray, 'n 3']
Color = Float[np.ndarray, '3']

# Words of colour that may be asked for: base and a lighter companion (sRGB).
TINTS = {
  'white': ('#f1efe9', '#ffffff'),
  'black': ('#2b2a30', '#5a5862'),
  'grey': ('#85878c', '#c4c6ca'),
  'red': ('#c8281e', '#f09a80'),
  'orange': ('#ea7a17', '#fbd9a2'),
  'yellow': ('#f2c01e', '#fdeea8'),
  'green': ('#4aa636', '#c2e59a'),
  'blue': ('#2b66cf', '#a5cdf5'),
  'purple': ('#7d3fc0', '#d5b4f0'),
  'pink': ('#ee7fa9', '#fcd3e0'),
  'brown': ('#7b4a26', '#d2ab80'),
}

# Materials: dark, middle and light tone (sRGB) of the ramp they are shaded in.
MATERIALS = {
  'stone': ('#3d3f42', '#8b8c8a', '#c4c2bb'),
  'wooden': ('#3a1d0c', '#96602f', '#d3a063'),
  'metal': ('#23282f', '#7f8b97', '#e6edf2'),
  'clay': ('#57210f', '#b6603a', '#e2a07a'),
  'bronze': ('#2c1a0a', '#96682d', '#ecc983'),
  'golden': ('#6b3f06', '#dc9a14', '#fff2a0'),
  'ice': ('#2c6a98', '#8ccdec', '#eefaff'),
}


def hex_color(text: str) -> Float[np.ndarray, '3']:
  """Return the linear RGB of an sRGB colour such as '#ff8000'."""
  values = np.array([int(text[i : i + 2], 16) for i in (1, 3, 5)]) / 255.0
  linear = np.where(
    values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4
  )
  return linear.astype(np.float32)


def mix(
  a: np.ndarray, b: np.ndarray, weight: np.ndarray | solids.Number
) -> np.ndarray:
  """Return a + weight (b - a) of colours of any shapes that broadcast."""
  return np.asarray(a) + weight * (np.asarray(b) - np.asarray(a))


def luminance(
  colors: Float[np.ndarray, '*shape 3'],
) -> Float[np.ndarray, '*shape'] | np.floating:
  """Return the linear luminance of colours."""
  return colors @ np.array([0.2126, 0.7152, 0.0722], np.float32)


def vary(
  color: Color, hue: float, saturation: float, lightness: float
) -> Color:
  """Return a colour shifted a little.

  Args:
    color: linear RGB.
    hue: turn of the hue in radians, about the grey axis.
    saturation: factor on the distance from grey.
    lightness: factor.
  """
  grey = luminance(color)
  offset = (color - grey) * saturation
  axis = np.full(3, 1 / np.sqrt(3))
  turned = (
    offset * np.cos(hue)
    + np.cross(axis, offset) * np.sin(hue)
    + axis * (axis @ offset) * (1 - np.cos(hue))
  )
  return np.clip((grey + turned) * lightness, 0.004, 1).astype(np.float32)


def _hash(cells: Int[np.ndarray, 'n 3'], seed: int) -> Float[np.ndarray, 'n']:
  """Return pseudo-random numbers in [0, 1) of lattice points."""
  a, b, c = cells.astype(np.uint32).T
  value = a * np.uint32(73856093) ^ b * np.uint32(19349663)
  value = value ^ c * np.uint32(83492791) ^ np.uint32(seed * 2654435761 % 2**32)
  value = (value ^ (value >> np.uint32(13))) * np.uint32(1274126177)
  value = (value ^ (value >> np.uint32(16))) * np.uint32(2246822519)
  return ((value >> np.uint32(8)) & np.uint32(0xFFFF)) / np.float32(65536)


def noise(points: Points, seed: int = 0) -> Float[np.ndarray, 'n']:
  """Return smooth value noise in [-1, 1]; one lattice step is 1."""
  base = np.floor(points).astype(np.int64)
  t = points - base
  t = t * t * (3 - 2 * t)
  result = np.zeros(len(points), np.float32)
  for i in (0, 1):
    for j in (0, 1):
      for k in (0, 1):
        corner = np.array([i, j, k])
        weight = np.prod(np.where(corner, t, 1 - t), axis=1)
        result += weight * _hash((base + corner) & 0xFFFFFFFF, seed)
  return 2 * result - 1


def _smooth(values: np.ndarray) -> np.ndarray:
  """Return a smooth step from 0 at 0 to 1 at 1."""
  values = np.clip(values, 0, 1)
  return values * values * (3 - 2 * values)


def fur(amount: float = 0.12, scale: float = 1.0, seed: int = 0) -> Pattern:
  """Return fine streaks: a factor 1 +- amount on the colour so far."""

  def pattern(points: Points, so_far: Points) -> Points:
    fine = points * np.array([1.9, 0.75, 1.2], np.float32) * scale
    streaks = 0.7 * noise(fine, seed) + 0.3 * noise(fine * 2.3, seed + 1)
    return so_far * (1 + amount * streaks)[:, None]

  return pattern


def blotches(
  color: Color, cover: float, scale: float, seed: int = 0
) -> Pattern:
  """Return round-edged patches of a colour over the colour so far.

  Args:
    color: of the patches.
    cover: about the share that is covered, in [0, 1].
    scale: size of a patch in cm.
    seed: which of many.
  """

  def pattern(points: Points, so_far: Points) -> Points:
    value = noise(points / scale, seed)
    weight = _smooth(0.5 + (value + 1.2 * (cover - 0.5)) * 6)
    return mix(so_far, color, weight[:, None])

  return pattern


def spots(
  color: Color,
  size: float,
  gap: float,
  seed: int = 0,
  ring: Color | None = None,
) -> Pattern:
  """Return round spots of a colour, one per lattice cell.

  Args:
    color: of the spots.
    size: radius in cm.
    gap: distance between spots in cm.
    seed: which of many.
    ring: colour of the middle, which makes rosettes, or None.
  """

  def pattern(points: Points, so_far: Points) -> Points:
    cells = points / gap
    base = np.floor(cells).astype(np.int64)
    nearest = np.full(len(points), 9.0, np.float32)
    for i in (-1, 0, 1):
      for j in (-1, 0, 1):
        for k in (-1, 0, 1):
          cell = (base + np.array([i, j, k])) & 0xFFFFFFFF
          jitter = np.stack([_hash(cell, seed + s) for s in range(3)], 1)
          center = base + np.array([i, j, k]) + 0.2 + 0.6 * jitter
          away = np.linalg.norm(cells - center, axis=1)
          nearest = np.minimum(nearest, away)
    distance = nearest * gap
    weight = _smooth(0.5 + (size - distance) / 0.3)
    result = mix(so_far, color, weight[:, None])
    if ring is not None:
      weight = _smooth(0.5 + (0.5 * size - distance) / 0.3)
      result = mix(result, ring, weight[:, None])
    return result

  return pattern


def gradient(
  low: Color, high: Color, start: float, end: float, axis: int = 1
) -> Pattern:
  """Return a ramp of colour along an axis, from `start` to `end` (cm)."""

  def pattern(points: Points, so_far: Points) -> Points:
    weight = _smooth((points[:, axis] - start) / (end - start))
    return mix(low, high, weight[:, None])

  return pattern


def eye(
  center: Float[np.ndarray, '3'],
  radius: float,
  *,
  white: Color,
  iris: Color,
  pupil: Color,
  iris_size: float = 0.62,
  pupil_size: float = 0.34,
  slit: float = 1.0,
  gaze: solids.Vector = (0.0, 0.0, 1.0),
) -> Pattern:
  """Return the paint of an eyeball: white, iris, pupil and highlights.

  Args:
    center: of the right eye (x > 0), cm; the left one is its mirror.
    radius: of the ball, cm.
    white: f[3] colour of the ball.
    iris: f[3] colour.
    pupil: f[3] colour.
    iris_size: radius as a fraction of the ball's.
    pupil_size: radius as a fraction of the ball's.
    slit: width of the pupil over its height; under 1 is a cat's.
    gaze: direction of the right eye.
  """
  gaze = np.asarray(gaze, np.float32) / np.linalg.norm(gaze)
  side = np.cross([0, 1, 0], gaze)
  side /= np.linalg.norm(side)
  up = np.cross(gaze, side)
  dark = np.asarray(iris) * 0.25

  def pattern(points: Points, so_far: Points) -> Points:
    sign = np.where(points[:, 0] < 0, -1, 1)[:, None]
    local = points * np.concatenate([sign, sign * sign, sign * sign], 1)
    local = (local - center) / radius
    u, v, w = local @ side, local @ up, local @ gaze
    away = np.sqrt(u * u + v * v) + np.where(w < 0, 2, 0)
    edge = 0.13

    def cover(distance: np.ndarray, size: float) -> np.ndarray:
      return _smooth(0.5 + (size - distance) / edge)[:, None]

    result = np.broadcast_to(np.asarray(white, np.float32), points.shape)
    result = mix(result, dark, cover(away, iris_size))
    glow = mix(iris, np.minimum(np.asarray(iris) * 1.9 + 0.04, 1), 0.5)
    shade = _smooth(0.5 - v / iris_size)[:, None]
    result = mix(result, mix(iris, glow, shade), cover(away, iris_size - 0.1))
    oval = np.sqrt((u / slit) ** 2 + v * v) + np.where(w < 0, 2, 0)
    result = mix(result, pupil, cover(oval, pupil_size))
    for du, dv, size in ((-0.24, 0.27, 0.2), (0.2, -0.25, 0.09)):
      spot = np.hypot(u * sign[:, 0] - du, v - dv) + np.where(w < 0, 2, 0)
      result = mix(result, np.ones(3), cover(spot, size))
    return result

  return pattern


def material(name: str, seed: int = 0) -> Finish:
  """Return how a material recolours a finished head.

  Args:
    name: one of `MATERIALS`.
    seed: which of many grains.

  Returns:
    Function (points f[n, 3], unit normals f[n, 3], colours f[n, 3]) -> f[n, 3].
  """
  dark, middle, light = (hex_color(tone) for tone in MATERIALS[name])

  def recolor(points: Points, normals: Points, colors: Points) -> Points:
    tone = 0.12 + 0.8 * np.sqrt(luminance(np.clip(colors, 0, 1)))
    if name == 'wooden':
      grain = points * np.array([0.9, 0.16, 0.9], np.float32)
      rings = np.sin(9 * noise(grain * 0.55, seed) + 1.4 * points[:, 0])
      tone = tone + 0.10 * rings + 0.05 * noise(points * 2, seed + 1)
    elif name == 'stone':
      speck = noise(points * 2.1, seed) + 0.6 * noise(points * 0.7, seed + 1)
      tone = tone + 0.11 * speck
    elif name in ('metal', 'bronze', 'golden'):
      sky = np.sin(4.2 * normals[:, 1] + 1.6 * normals[:, 0] + 0.6)
      tone = 0.75 * tone + 0.16 + 0.2 * sky
    elif name == 'ice':
      tone = 0.25 + 0.65 * tone + 0.16 * normals[:, 1]
      tone = tone + 0.08 * noise(points * 0.6, seed)
    else:
      tone = tone + 0.05 * noise(points * 1.1, seed)
    tone = np.clip(tone, 0, 1)[:, None]
    low = mix(dark, middle, np.minimum(2 * tone, 1))
    return mix(low, light, np.maximum(2 * tone - 1, 0))

  return recolor
