"""Cats: tiger, lion, leopard and house cat.

Each function models one kind's head. Frame and units are those of `anatomy`;
`t` holds the head's traits.
"""

import numpy as np

from maskjax.data.creatures import (
  anatomy,
  coats,
  kind,
  muzzles,
  sculpt,
  solids,
  traits,
)


def _stripes(t: traits.Traits, color: coats.Color) -> anatomy.Strokes:
  """Return a tiger's stripes: wedges from the rim inward."""

  def wedge(
    start: solids.Vector, end: solids.Vector, width: float
  ) -> sculpt.Stroke:
    body = solids.tube((start, end), (width, 0.12), count=2)
    return sculpt.paint(body, color, soft=0.3)

  size = 0.55 * t.pattern
  rows = [
    ((8.2, 3.4, 0.5), (5.3, 2.2, 5.0)),
    ((8.6, 0.8, 0.5), (5.0, 0.3, 5.0)),
    ((8.6, -1.8, 0.5), (5.2, -1.4, 4.8)),
    ((8.4, -4.2, 0.5), (5.4, -3.2, 4.2)),
    ((7.0, -6.6, 0.5), (4.6, -5.0, 4.2)),
    ((8.6, 0.6, -4), (8.2, 1.2, -0.5)),
    ((8.6, -3.0, -4), (8.4, -2.4, -0.5)),
  ]
  strokes = [wedge(a, b, size * 1.5) for a, b in rows]
  for points, width in (
    (((0, 9.0), (0, 5.9)), 0.62),
    (((1.6, 8.8), (1.7, 6.6)), 0.55),
    (((3.3, 8.2), (3.4, 6.9)), 0.5),
    (((0.2, 4.5), (1.1, 4.7), (1.9, 5.8)), 0.42),
    (((0.2, 3.2), (0.9, 3.2), (1.5, 4.0)), 0.34),
    (((5.3, 6.4), (4.9, 5.8), (5.0, 5.2)), 0.45),
  ):
    radii = (width * t.pattern, width * t.pattern, 0.12)
    strokes.append(anatomy.stripe(points, radii, color))
  return strokes


def tiger(t: traits.Traits) -> anatomy.Head:
  """Model a tiger: broad, ruffed cheeks, stripes, white brows and muzzle."""
  s = [
    anatomy.ball(t, (0, 0.2, -0.5), (7.6, 8.2, 6.6)),
    anatomy.ball(t, (0, 4.0, 1.2), (5.8, 4.2, 5.0)),
    anatomy.ball(
      t, (5.0, -2.8, 0.2), np.array([3.5, 3.3, 3.6]) * t.cheek, 'light',
      blend=1.6, soft=1.5,
    ),
  ]  # fmt: skip
  for y, length in ((-1.2, 8.9), (-3.6, 9.3), (-5.8, 8.4)):
    end = (length * t.cheek, y - 1.1, -0.8)
    s += anatomy.tuft(((5.0, y, 0), end), (2.2, 0.35), t.colors['light'])
  s += anatomy.round_ear(t, (5.6, 7.7, -0.6), 2.7, turn=16, color='mark')
  s.append(anatomy.dab(t, (5.6, 7.2, 0.4), (2.2, 2.2, 2.0), 'inner', soft=0.9))
  muzzle, tip, _ = muzzles.cat_muzzle(t)
  s.append(anatomy.everywhere(coats.fur(0.1, seed=t.seed)))
  s += muzzle
  s += _stripes(t, t.colors['mark'])
  s.append(anatomy.dab(t, (3.3, 5.3, 6), (1.7, 1.0, 3), 'light', soft=0.7))
  s += anatomy.pad(t, tip, (1.35, 0.85, 0.9))
  s += muzzles.cat_mouth(t, s, -3.0)
  eye, center = anatomy.eyes(
    s, t, 3.4, 2.8, 1.75, lid='mark', pupil_size=0.32, patch='light'
  )
  s += eye
  s += anatomy.mood_brows(s, t, 3.4, 5.1, color='mark')
  return anatomy.Head(s, center, anatomy.surface(s, 0, -4.9))


def lion(t: traits.Traits) -> anatomy.Head:
  """Model a lion: a wreath of tufted mane around a long square face."""
  mane = t.colors['hair']
  s = [anatomy.ball(t, (0, 0.2, -3.2), (8.8, 9.2, 4.2), 'hair')]
  size = 0.55 + 0.45 * t.feature
  rng = np.random.default_rng(7)
  rings = ((12.2, -3.6, 8, 0.62), (10.4, -1.2, 8, 1.0), (8.4, 1.4, 7, 1.4))
  for ring, (radius, z, count, tone) in enumerate(rings):
    for i in range(count):
      step = (i + (0.5 if ring % 2 else 0.15)) / (count - 0.3)
      angle = np.pi * (step - 0.5)
      way = np.array([np.cos(angle), np.sin(angle), 0])
      side = np.array([-way[1], way[0], 0])
      reach = radius * size * (1 + 0.06 * rng.normal())
      start = way * 5.2 + np.array([0, 0.2, z])
      end = way * reach * np.array([1, 1.08, 0])
      end = end + np.array([0, 0.2, z - 0.6]) - side * 1.6
      bend = (start + end) / 2 + side * 1.2 + np.array([0, 0, 1.6])
      color = mane * tone * (1 + 0.12 * rng.normal())
      s += anatomy.tuft(
        (start, bend, end), (2.0, 2.1, 0.4), color, blend=0.35, count=5
      )
  s.append(anatomy.everywhere(coats.fur(0.16, 0.8, seed=t.seed)))
  s += [
    anatomy.ball(t, (0, 0.6, 0.4), (6.4, 7.6, 5.9), blend=0.8),
    anatomy.ball(t, (3.8, -2.2, 2.6), np.array([2.8, 2.8, 2.6]) * t.cheek),
  ]
  s += anatomy.round_ear(t, (6.5, 7.0, 0.6), 2.3, turn=20)
  muzzle, tip, _ = muzzles.cat_muzzle(t, y=-3.4, z=6.9, puff=2.6)
  s += muzzle
  s.append(anatomy.ball(t, (0, -6.6, 5.4), (1.9, 1.7, 1.9), 'light', blend=1))
  s += anatomy.pad(t, tip, (1.6, 1.0, 0.9))
  s += muzzles.cat_mouth(t, s, -3.4, width=2.7)
  s.append(anatomy.dab(t, (3.0, 2.0, 6), (2.0, 1.7, 3), 'light', soft=0.9))
  eye, center = anatomy.eyes(s, t, 3.1, 2.8, 1.6, lid='mark', pupil_size=0.36)
  s += eye
  s += anatomy.mood_brows(s, t, 3.1, 4.9)
  return anatomy.Head(s, center, anatomy.surface(s, 0, -5.3))


def leopard(t: traits.Traits) -> anatomy.Head:
  """Model a leopard: a slim cat covered with spots."""
  s = [
    anatomy.ball(t, (0, 0.4, -0.4), (6.9, 7.7, 6.5)),
    anatomy.ball(
      t, (4.2, -2.8, 1.4), np.array([2.9, 2.7, 3.0]) * t.cheek, blend=1.6
    ),
  ]
  s += anatomy.round_ear(t, (5.2, 7.2, -0.8), 2.3, turn=16)
  muzzle, tip, _ = muzzles.cat_muzzle(t, z=6.2, puff=2.2)
  s.append(
    anatomy.everywhere(
      coats.spots(
        t.colors['mark'],
        0.78 * t.pattern,
        2.25 * t.pattern,
        t.seed,
        ring=t.colors['base'] * 0.55,
      )
    )
  )
  s += muzzle
  s.append(anatomy.dab(t, (0, -7.4, 3), (3.4, 2.6, 5), 'light', soft=1.0))
  s += anatomy.pad(t, tip, (1.2, 0.8, 0.9))
  s += muzzles.cat_mouth(t, s, -3.0, width=2.2)
  eye, center = anatomy.eyes(
    s, t, 3.2, 2.6, 1.7, lid='mark', pupil_size=0.32, patch='light',
    patch_size=1.35,
  )  # fmt: skip
  s += eye
  s += anatomy.mood_brows(s, t, 3.2, 4.9, color='mark')
  return anatomy.Head(s, center, anatomy.surface(s, 0, -4.9))


def cat(t: traits.Traits) -> anatomy.Head:
  """Model a house cat: tall ears, huge slit eyes, whiskers, tabby bars."""
  s = [
    anatomy.ball(t, (0, -0.6, -0.6), (7.6, 7.0, 6.4)),
    anatomy.ball(
      t, (4.4, -3.0, 1.2), np.array([3.3, 2.7, 3.0]) * t.cheek, blend=1.5
    ),
  ]
  s += anatomy.pointed_ear(t, (4.4, 3.8, -0.6), (6.6, 11.4, -0.8), 3.1)
  s.append(anatomy.everywhere(coats.fur(0.1, seed=t.seed)))
  s.append(anatomy.dab(t, (0, -6.6, 3.4), (4.4, 2.6, 4.4), 'light'))
  muzzle, tip, _ = muzzles.cat_muzzle(t, y=-3.4, z=5.5, puff=1.9)
  s += muzzle
  dark, size = t.colors['mark'], t.pattern
  for points, width in (
    (((0, 7.4), (0, 3.2)), 0.5),
    (((1.7, 7.2), (1.3, 5.4), (1.2, 3.4)), 0.45),
    (((3.3, 6.6), (2.7, 5.4), (2.5, 4.4)), 0.4),
    (((8.4, -0.6), (7.0, -1.4), (5.6, -1.2)), 0.5),
    (((8.4, -2.8), (7.2, -3.4), (5.6, -3.0)), 0.5),
    (((8.0, -5.0), (7.0, -5.2), (5.6, -4.6)), 0.45),
  ):
    radii = (width * size, width * size, 0.12)
    s.append(anatomy.stripe(points, radii, dark, back=-2.5))
  s += anatomy.pad(t, tip, (0.85, 0.6, 0.7))
  s += muzzles.cat_mouth(t, s, -3.4, width=1.7, fangs=0.8)
  eye, center = anatomy.eyes(
    s, t, 3.3, 1.3, 2.1, iris_size=0.84, pupil_size=0.6, slit=0.5, sink=0.62
  )
  s += eye
  s += anatomy.mood_brows(s, t, 3.3, 4.0, color='mark')
  return anatomy.Head(s, center, anatomy.surface(s, 0, -5.0))


KINDS = (
  kind.Kind(
    name='tiger', model=tiger, often=True,
    names=('tiger', 'Bengal tiger', 'tiger'),
    palette={
      'base': '#f08a1d', 'light': '#fff4e0', 'mark': '#1d120c',
      'nose': '#e88a86', 'inner': '#f3c9ae', 'iris': '#e7b41a',
    },
  ),
  kind.Kind(
    name='lion', model=lion, often=True,
    names=('lion', 'lion', 'male lion'),
    palette={
      'base': '#eeb04c', 'light': '#fff0cf', 'hair': '#a5480f',
      'nose': '#4a241c', 'inner': '#a9683a', 'iris': '#e08e0c',
      'mark': '#4a2409',
    },
  ),
  kind.Kind(
    name='leopard', model=leopard,
    names=('leopard', 'cheetah', 'jaguar'),
    palette={
      'base': '#edb855', 'light': '#fff3d9', 'mark': '#2c1809',
      'nose': '#c9736c', 'inner': '#e8bd9c', 'iris': '#8fbf3a',
    },
  ),
  kind.Kind(
    name='cat', model=cat, often=True,
    names=('cat', 'house cat', 'kitty'),
    clashes={'kitty': ('old',)},
    palette={
      'base': '#8d8f98', 'light': '#f2f1ef', 'mark': '#4a4b54',
      'nose': '#f08f9d', 'inner': '#f5b3b8', 'iris': '#63c23c',
    },
    breeds=(
      {'base': '#e58a34', 'mark': '#b3581a', 'light': '#fff0dc'},
      {'base': '#2c2b30', 'mark': '#17161a', 'iris': '#e8c21a'},
      {'base': '#f3efe8', 'mark': '#d9b48a', 'iris': '#3f8fd8'},
      {'base': '#8a6a4a', 'mark': '#3f2c1c'},
    ),
  ),
)  # fmt: skip
