"""Muzzles: snouts, beaks, noses, teeth and horns that several kinds share.

Frame and units are those of `anatomy`; `t` holds the head's traits.
"""

from collections.abc import Sequence

from jaxtyping import Float
import numpy as np

from maskjax.data.creatures import anatomy, coats, sculpt, solids, traits


def tusks(
  clay: anatomy.Clay,
  t: traits.Traits,
  x: solids.Number,
  y: solids.Number,
  length: solids.Number,
  *,
  width: solids.Number = 0.5,
  up: bool = False,
) -> anatomy.Strokes:
  """Model a pair of fangs on the surface at (x, y), down or up (cm)."""
  start = anatomy.surface(clay, x, y, -0.1)
  end = start + np.array([0, length if up else -length, 0.35])
  tooth = t.colors.get('tooth', coats.hex_color('#fbf7ea'))
  body = solids.cone(start, end, width, 0.15)
  return [sculpt.add(body, tooth, blend=0.1, soft=0.12)]


def cat_muzzle(
  t: traits.Traits,
  *,
  y: float = -3.0,
  z: float = 6.4,
  puff: float = 2.5,
  light: str = 'light',
) -> tuple[anatomy.Strokes, anatomy.Vector, float]:
  """Model a cat's bridge, two puffs and chin at a height and depth (cm).

  Returns:
    Strokes, the position of the nose, and the z of the puffs.
  """
  out = z + 1.6 * (t.muzzle - 1)
  reach = puff * (0.6 + 0.4 * t.muzzle)
  strokes = [
    sculpt.add(
      solids.cone((0, 3.2, 5.2), (0, y + 1.8, out + 0.9), 1.9, 1.5),
      t.colors['base'],
      blend=1.5,
    ),
    anatomy.ball(t, (0, y - 2.4, out - 0.7), (2.2, 1.9, 2.1), light, blend=1.2),
    anatomy.ball(
      t, (1.75, y - 0.2, out), (reach, puff * 0.8, reach * 0.92), light,
      blend=0.6, soft=0.5,
    ),
  ]  # fmt: skip
  tip = (0, y + 1.35, out + 1.95 + 0.3 * (t.muzzle - 1))
  return strokes, tip, out


def cat_mouth(
  t: traits.Traits,
  clay: anatomy.Clay,
  y: float,
  width: float = 2.5,
  fangs: float = 1.2,
) -> anatomy.Strokes:
  """Model a cat's mouth under a muzzle at height y, open or closed."""
  if t.gape > 0.12:
    strokes = anatomy.mouth_open(
      clay, t, y - 1.9, width, 0.7 + 1.4 * t.gape, fangs=fangs, teeth=0.2
    )
  else:
    strokes = anatomy.mouth_line(
      t, y - 0.75, width + 0.9, wave=0.75, curve=0.9, rest=0.5, back=4.0
    )
    groove = solids.block((0, y + 0.1, 9), (0.2, 0.9, 4), rounding=0.1)
    dark = coats.hex_color('#2a1413')
    strokes.append(sculpt.paint(groove, dark, soft=0.2))
  return strokes


def snout_mouth(
  t: traits.Traits,
  clay: anatomy.Clay,
  y: float,
  width: float,
  *,
  fangs: float = 1.3,
  back: float = 3.5,
) -> anatomy.Strokes:
  """Model a dog's or bear's mouth at height y, open or closed."""
  if t.gape > 0.15:
    return anatomy.mouth_open(
      clay, t, y - 0.5, width, 0.8 + 1.2 * t.gape, fangs=fangs, teeth=0.2
    )
  strokes = anatomy.mouth_line(
    t, y, width + 1.4, wave=0.35, curve=1.0, rest=0.5, back=back
  )
  if fangs and t.tilt > 0.5:
    strokes += tusks(clay, t, width * 0.6, y, fangs, width=0.42)
  return strokes


def snout(
  t: traits.Traits,
  length: float,
  *,
  y: float = -2.4,
  width: float = 2.2,
  tip: float = 1.5,
  light: str = 'light',
  drop: float = 0.7,
) -> tuple[anatomy.Strokes, Float[np.ndarray, '3']]:
  """Model a dog's snout of a length (cm); return strokes and nose tip."""
  reach = 5.0 + length * t.muzzle
  end = np.array([0, y - drop, reach])
  upper = solids.tube(((0, y + 1.4, 3.0), end), (width * 1.35, tip), count=4)
  lower = solids.tube(
    ((0, y - 2.0, 2.6), (0, y - drop - tip * 1.05, reach - 1.2)),
    (width, tip * 0.72),
    count=4,
  )
  strokes = [
    sculpt.add(lower, t.colors[light], blend=1.0, soft=0.6),
    sculpt.add(upper, t.colors['base'], blend=1.2, soft=0.6),
    sculpt.paint(
      solids.ellipsoid(
        (0, y - 2.2, reach - 0.5), (width * 1.5, 2.4, length + 1.5)
      ),
      t.colors[light],
      soft=0.8,
    ),
  ]
  return strokes, end + np.array([0, 0.75 * tip, 0.62 * tip])


def beak(
  t: traits.Traits,
  base: anatomy.Vector,
  tip: anatomy.Vector,
  hook: anatomy.Vector,
  *,
  width: float,
  height: float,
  color: str = 'beak',
  split: bool = True,
) -> anatomy.Strokes:
  """Model a bent beak from base over tip to hook (cm), with a lower bill."""
  reach = t.feature
  start, tip, hook = (np.asarray(p, np.float32) for p in (base, tip, hook))
  tip = start + (tip - start) * reach
  hook = start + (hook - start) * reach
  upper = solids.tube((start, tip, hook), (width, width * 0.72, 0.2), count=8)
  low = start - np.array([0, height, 0.3])
  lower = solids.cone(
    low, low + (tip - start) * 0.62 + [0, -0.1, 0], width * 0.78, 0.3
  )
  dark = t.colors[color] * 0.7
  strokes = [sculpt.add(lower, dark, blend=0.2, soft=0.15)] if split else []
  strokes.append(sculpt.add(upper, t.colors[color], blend=0.2, soft=0.15))
  strokes.append(
    sculpt.paint(
      solids.ellipsoid(
        start + np.array([0.55, 0.75 * width, 0.55]), (0.3, 0.25, 0.6)
      ),
      t.colors[color] * 0.25,
      soft=0.2,
    )
  )
  return strokes


def buck_teeth(
  clay: anatomy.Clay, y: float, width: float = 0.62, height: float = 0.9
) -> anatomy.Strokes:
  """Model two front teeth that hang from height y (cm)."""
  z = sculpt.front(clay, 0.0, y) + 0.05
  body = solids.block(
    (width * 0.98, y - height * 0.5, z), (width, height, 0.4), rounding=0.25
  )
  tooth = coats.hex_color('#fdfaf0')
  gap = solids.block(
    (0, y - height, z + 0.3), (0.1, height, 0.6), rounding=0.05
  )
  return [
    sculpt.add(body, tooth, blend=0.05, soft=0.1),
    sculpt.paint(gap, coats.hex_color('#8a7a70'), soft=0.12),
  ]


def horns(
  t: traits.Traits,
  points: Sequence[anatomy.Vector],
  radii: Sequence[float],
  *,
  color: str = 'horn',
  blend: float = 0.4,
  bands: float = 0.0,
) -> anatomy.Strokes:
  """Model horns along control points (cm), their length by `feature`."""
  path = np.asarray(points, np.float32)
  path = path[0] + (path - path[0]) * t.feature
  body = solids.tube(path, radii, count=8)
  if bands:
    body = solids.swollen(
      body,
      lambda x, y, z: bands * np.sin(3.6 * np.hypot(x - 3, y - 6)),
      bands,
    )
  return [sculpt.add(body, t.colors[color], blend=blend, soft=0.2)]


def side_ear(
  t: traits.Traits,
  base: anatomy.Vector,
  tip: anatomy.Vector,
  width: float = 2.0,
  *,
  color: str = 'base',
  facing: anatomy.Vector = (0.1, -0.3, 1.0),
) -> anatomy.Strokes:
  """Model ears that stick out to the sides, from base to tip (cm)."""
  return anatomy.pointed_ear(
    t, base, tip, width, color=color, facing=facing, point=0.35, peak=0.5,
    thickness=0.8,
  )  # fmt: skip


def face_nose(
  t: traits.Traits,
  clay: anatomy.Clay,
  y: float,
  size: float,
  *,
  color: str = 'base',
  wings: float = 0.7,
) -> anatomy.Strokes:
  """Model a human nose with its tip at height y."""
  tip = anatomy.surface(clay, 0, y, 0.9 * size * t.nose)
  bridge = solids.cone(
    anatomy.surface(clay, 0, y + 3.0, -0.5),
    tip,
    0.6 * size,
    0.95 * size * t.nose,
  )
  wing = solids.ellipsoid(
    tip + np.array([wings, -0.2, -0.5]) * size * t.nose,
    np.array([0.75, 0.65, 0.75]) * size * t.nose,
  )
  tone = coats.mix(t.colors[color], t.colors['inner'], 0.35)
  return [
    sculpt.add(bridge, t.colors[color], blend=0.7),
    sculpt.add(wing, t.colors[color], blend=0.4),
    sculpt.paint(
      solids.ellipsoid(tip + np.array([0, 0, 0.5]), 1.1 * size * t.nose),
      tone,
      soft=1.0,
    ),
  ]
