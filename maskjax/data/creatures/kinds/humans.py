"""People and their kin: clown, ogre, cartoon character, demon, pirate.

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

_SKINS = ('#f6c29a', '#ffd9bd', '#d99a6c', '#a8693f', '#6f4226')
_HAIRS = ('#6a3a1c', '#26190f', '#e0b04a', '#c2501c', '#17161a')
_CARTOONS = tuple(
  {'base': skin, 'light': skin, 'hair': hair}
  for skin in _SKINS
  for hair in _HAIRS
)


def _person(
  t: traits.Traits, *, jaw: float = 1.0, ear: float = 1.0, base: str = 'base'
) -> anatomy.Strokes:
  """Return a human head: skull, cheeks, jaw, ears."""
  s = [
    anatomy.ball(t, (0, 1.8, -1.0), (7.2, 7.6, 6.8), base),
    anatomy.ball(t, (0, -3.4, 0.6), (5.8 * jaw * t.jaw, 5.4, 5.2), base,
                 blend=2.0),
    anatomy.ball(
      t, (3.6, -2.2, 2.4), np.array([2.6, 2.4, 2.8]) * t.cheek, base
    ),
    anatomy.ball(t, (0, -7.2, 3.0), (2.4 * jaw * t.jaw, 1.9, 2.4), base),
  ]  # fmt: skip
  s += anatomy.round_ear(
    t, (7.4, 0.0, -1.2), 2.0 * ear, color=base, stretch=1.3, turn=30,
    thickness=0.8,
  )  # fmt: skip
  return s


def _lips(
  t: traits.Traits,
  clay: anatomy.Clay,
  y: float,
  width: float,
  *,
  height: float = 1.5,
  color: str = 'mark',
  teeth: float = 0.26,
) -> anatomy.Strokes:
  """Return a mouth at height y (cm), open or closed."""
  if t.gape > 0.12:
    return anatomy.mouth_open(
      clay, t, y, width * 0.9, 0.5 + height * t.gape, teeth=teeth
    )
  return anatomy.mouth_line(
    t, y, width, curve=1.5, rest=0.5, back=2.0, color=t.colors[color] * 0.5,
    thickness=0.28,
  )  # fmt: skip


def _hair_cap(
  t: traits.Traits, *, color: str = 'hair', fringe: int = 5
) -> anatomy.Strokes:
  """Return a cap of hair with a fringe swept to the sides."""
  cap = solids.common(
    solids.ellipsoid((0, 2.7, -1.6), (8.0, 8.0, 7.2)),
    solids.half_space((0, 5.4, 4.0), (0, -0.75, 0.65)),
  )
  strokes = [sculpt.add(cap, t.colors[color], blend=0.4, soft=0.2)]
  for i in range(fringe):
    x = 0.4 + 6.2 * i / max(fringe - 1, 1)
    z = 5.4 - 0.1 * x * x
    start = (0.75 * x, 9.6 - 0.05 * x * x, 1.8)
    end = (x + 0.7, 7.7 - 0.09 * x * x, z - 0.5)
    bend = (0.9 * x, 9.4 - 0.05 * x * x, z + 1.0)
    tone = t.colors[color] * (1.0 if i % 2 else 0.82)
    strokes += anatomy.tuft((start, bend, end), (1.7, 1.5, 0.4), tone, count=5)
  return strokes


def clown(t: traits.Traits) -> anatomy.Head:
  """Model a clown: white face, red ball nose, puffs of hair, painted eyes."""
  s = _person(t)
  size = 0.4 + 0.6 * t.feature
  for angle in (-40, 0, 40, 80):
    a = np.radians(angle)
    center = np.array([8.0, 4.6, -2.2]) + 2.4 * size * np.array(
      [np.cos(a), np.sin(a), 0]
    )
    s.append(anatomy.ball(t, center, 2.3 * size, 'hair', blend=0.4, soft=0.2))
  s.append(anatomy.ball(t, (7.4, 4.4, -1.0), 3.0 * size, 'hair', blend=0.4,
                        soft=0.2))  # fmt: skip
  for y in (1.6,):
    s.append(anatomy.ball(t, (8.2, y, -2.6), 2.2 * size, 'hair', blend=0.4,
                          soft=0.2))  # fmt: skip
  x = 3.2 * t.spacing
  for dy in (2.0, -1.4):
    mid = anatomy.surface(s, x, 2.2)
    body = solids.leaf(
      mid - np.array([0, np.sign(dy) * 0.5, 0]),
      mid + np.array([0, dy * 1.5, 0]), 1.45, 3.0, (0, 0, 1), peak=0.2,
      point=0.05,
    )  # fmt: skip
    s.append(sculpt.paint(body, t.colors['accent'], soft=0.25))
  y = -4.5
  rise = 1.3 * np.clip(t.smile + 0.6, -0.6, 1.2)
  paint = solids.tube(
    (anatomy.surface(s, 0, y - 0.5), (2.4, y - 0.5, 6.0),
     anatomy.surface(s, 3.8, y - 0.3 + rise)),
    (1.7, 1.6, 0.9),
  )  # fmt: skip
  s.append(sculpt.paint(paint, t.colors['mark'], soft=0.25))
  s.append(anatomy.dab(t, anatomy.surface(s, 4.4, -1.6), (1.25, 1.1, 1.6),
                       coats.hex_color('#f58a8a'), soft=0.4))  # fmt: skip
  s += _lips(t, s, y, 3.2)
  nose = anatomy.surface(s, 0, -0.9, 0.8)
  s.append(anatomy.ball(t, nose, 1.75 * t.nose, 'nose', blend=0.1, soft=0.12))
  shine = nose + np.array([0, 0.8, 1.35]) * t.nose
  s.append(anatomy.dab(t, shine, 0.5, coats.hex_color('#ffb0a8'), soft=0.3))
  eye, center = anatomy.eyes(s, t, 3.2, 2.2, 1.6, pupil_size=0.4)
  s += eye
  s += anatomy.brows(s, t, 3.2, 6.0, length=2.8, thickness=0.42, arch=0.7)
  return anatomy.Head(s, center, anatomy.surface(s, 0, y))


def ogre(t: traits.Traits) -> anatomy.Head:
  """Model an ogre: green, a heavy jaw with tusks, trumpet ears, warts."""
  s = [
    anatomy.ball(t, (0, 2.2, -1.0), (6.8, 6.8, 6.2)),
    anatomy.ball(t, (0, -3.6, 0.4), (7.6 * t.jaw, 5.8, 5.6), blend=2.4),
    anatomy.ball(t, (4.2, -2.6, 2.0), np.array([3.0, 2.8, 3.0]) * t.cheek),
    anatomy.ball(t, (0, -6.6, 3.2), (4.4 * t.jaw, 2.7, 3.2)),
  ]
  s += anatomy.pointed_ear(
    t, (6.0, 1.4, -0.8), (12.6, 3.4, -0.6), 2.4, thickness=0.9, peak=0.28,
    point=0.12, facing=(0.1, -0.2, 1.0),
  )  # fmt: skip
  s.append(
    anatomy.everywhere(
      coats.blotches(
        coats.mix(t.colors['base'], t.colors['mark'], 0.4),
        0.2,
        2.4 * t.pattern,
        t.seed,
      )
    )
  )
  for x, tip in ((0.2, (0.3, 11.6, 0.4)), (1.0, (2.2, 11.0, 0))):
    s += anatomy.tuft(((x, 8.0, -0.6), tip), (1.0, 0.2), t.colors['hair'],
                      blend=0.2)  # fmt: skip
  for x, y, r in ((4.9, -1.0, 0.6), (2.6, 6.2, 0.55), (5.2, -4.6, 0.5)):
    s.append(anatomy.ball(t, anatomy.surface(s, x, y), r, 'mark', blend=0.3,
                          soft=0.3))  # fmt: skip
  ridge = solids.tube(
    ((0, 3.9, 5.6), (3.0, 5.0 + 0.4 * t.tilt, 5.4), (5.8, 3.2, 2.6)),
    (1.0, 1.15, 0.8),
  )
  s.append(sculpt.add(ridge, t.colors['base'], blend=0.7))
  s += muzzles.face_nose(t, s, -0.9, 1.55)
  s += anatomy.nostrils(s, 0.8, -1.9, 0.42, color=t.colors['mark'] * 0.3)
  if t.gape > 0.15:
    s += anatomy.mouth_open(
      s, t, -5.2, 3.6, 0.7 + 1.2 * t.gape, lower_teeth=0.2, teeth=0.2
    )
  else:
    s += anatomy.mouth_line(
      t, -5.2, 4.4, curve=1.3, rest=0.4, back=1.0, thickness=0.32,
      color=t.colors['mark'] * 0.35,
    )  # fmt: skip
  s += muzzles.tusks(s, t, 2.7, -5.5, 2.1 * t.feature, width=0.72, up=True)
  eye, center = anatomy.eyes(s, t, 2.9, 2.4, 1.45, upper=40, pupil_size=0.36)
  s += eye
  s += anatomy.brows(s, t, 2.9, 4.7, length=3.6, thickness=0.62, arch=0.1,
                     rest=0.35)  # fmt: skip
  return anatomy.Head(s, center, anatomy.surface(s, 0, -5.2))


def cartoon(t: traits.Traits) -> anatomy.Head:
  """Model a cartoon character: huge eyes, button nose, swept hair, grin."""
  s = _person(t, ear=1.1)
  blush = coats.mix(t.colors['base'], t.colors['mark'], 0.55)
  s.append(anatomy.dab(t, (4.4, -2.4, 5.0), (1.6, 1.2, 2.0), blush))
  s += _hair_cap(t)
  for x, tip in ((0.3, (0.8, 13.0, 1.0)), (1.6, (3.2, 12.4, 0.4)),
                 (3.4, (6.0, 10.8, -0.4))):  # fmt: skip
    end = np.array([x, 9, 0]) + (np.array(tip) - [x, 9, 0]) * t.feature
    s += anatomy.tuft(((x, 8.6, 0), end), (1.9, 0.25), t.colors['hair'])
  s.append(
    anatomy.ball(
      t,
      anatomy.surface(s, 0, -1.5, 0.3),
      np.array([1.2, 1.0, 1.0]) * t.nose,
      blend=0.5,
    )
  )
  s.append(anatomy.dab(t, anatomy.surface(s, 0, -1.5), 1.1, 'inner', soft=1.0))
  if t.gape > 0.12 or t.smile > -0.3:
    grin = 1.1 + 1.0 * t.gape
    s += anatomy.mouth_open(s, t, -4.9, 3.1, grin, teeth=0.26, rest=1.1)
  else:
    s += _lips(t, s, -5.0, 2.6)
  eye, center = anatomy.eyes(
    s, t, 2.9, 1.5, 2.25, sink=0.66, iris_size=0.64, pupil_size=0.36, upper=56,
    lower=-60,
  )  # fmt: skip
  s += eye
  s += anatomy.brows(s, t, 2.9, 5.0, length=3.4, thickness=0.55, arch=0.4)
  return anatomy.Head(s, center, anatomy.surface(s, 0, -5.0))


def demon(t: traits.Traits) -> anatomy.Head:
  """Model a demon: red, bull's horns, pointed ears, goatee, fangs."""
  s = _person(t, jaw=0.9, ear=0.5)
  s += anatomy.pointed_ear(
    t, (6.2, 0.0, -1.0), (12.2, 4.0, -1.6), 2.0, peak=0.3, point=0.06
  )
  s.append(
    anatomy.everywhere(
      coats.blotches(t.colors['mark'], 0.12, 2.6 * t.pattern, t.seed)
    )
  )
  horn = np.array([[3.6, 7.0, 1.0], [9.2, 8.6, 3.4], [6.4, 15.0, 3.6]])
  horn = horn[0] + (horn - horn[0]) * t.feature
  body = solids.tube(horn, (1.7, 1.3, 0.3), count=9)
  body = solids.swollen(body, lambda x, y, z: 0.1 * np.sin(4 * (x + y)), 0.1)
  s.append(sculpt.add(body, t.colors['horn'], blend=0.5, soft=0.25))
  s += anatomy.tuft(((0, -7.6, 3.6), (0, -10.4, 5.0), (0, -13.2, 5.6)),
                    (1.5, 0.9, 0.2), t.colors['hair'], blend=0.3)  # fmt: skip
  s += anatomy.tuft(((0, 8.6, 1.0), (0, 8.2, 4.4), (0, 5.4, 6.4)),
                    (2.4, 1.6, 0.3), t.colors['hair'], blend=0.3)  # fmt: skip
  bone = solids.cone((3.4, -0.9, 5.0), (6.2, 0.8, 2.4), 1.0, 0.9)
  s.append(sculpt.add(bone, t.colors['light'], blend=1.0, soft=0.8))
  s += muzzles.face_nose(t, s, -1.2, 1.15)
  s += anatomy.nostrils(s, 0.62, -1.9, 0.3, color=t.colors['mark'] * 0.3)
  if t.gape > 0.15:
    s += anatomy.mouth_open(
      s, t, -5.0, 3.0, 0.8 + 1.2 * t.gape, fangs=1.5, lower_teeth=0.15
    )
  else:
    s += anatomy.mouth_line(
      t, -5.0, 3.6, curve=1.4, rest=0.4, back=2.0, thickness=0.32,
      color=t.colors['mark'] * 0.2,
    )  # fmt: skip
    s += muzzles.tusks(s, t, 1.9, -4.6, 1.4, width=0.45)
  eye, center = anatomy.eyes(
    s, t, 3.0, 2.0, 1.6, lid='mark', upper=32, slit=0.35, iris_size=0.86,
    pupil_size=0.62,
  )  # fmt: skip
  s += eye
  s += anatomy.brows(s, t, 3.0, 3.9, length=4.0, thickness=0.75, arch=0.1,
                     rest=0.95)  # fmt: skip
  return anatomy.Head(s, center, anatomy.surface(s, 0, -5.0))


def pirate(t: traits.Traits) -> anatomy.Head:
  """Model a pirate: red bandana, eye patch, beard, moustache, earring."""
  s = _person(t, jaw=1.08)
  hair = t.colors['hair']
  for i, (x, y) in enumerate(((0.8, -12.6), (2.8, -11.8), (4.8, -9.8),
                              (6.4, -7.0))):  # fmt: skip
    start = (0.75 * x, -5.6 + 0.5 * i, 3.6 - 0.7 * i)
    end = (x, y * (0.5 + 0.5 * t.feature), 3.8 - 1.0 * i)
    s += anatomy.tuft((start, end), (2.5, 0.35), hair * (0.85 + 0.15 * (i % 2)))
  s.append(
    anatomy.ball(t, (5.8, -2.8, 0.8), (1.8, 3.0, 2.2), 'hair', blend=0.6)
  )
  s.append(anatomy.everywhere(coats.fur(0.06, seed=t.seed)))
  cloth = solids.common(
    solids.ellipsoid((0, 2.6, -1.4), (8.1, 8.1, 7.6)),
    solids.half_space((0, 4.6, 4.0), (0, -0.9, 0.4)),
  )
  s.append(sculpt.add(cloth, t.colors['mark'], blend=0.3, soft=0.15))
  dots = coats.spots(coats.hex_color('#fff6ea'), 0.55, 2.6, 4)
  s.append(sculpt.paint(solids.swollen(cloth, 0.35), dots, soft=0.1))
  band = solids.ellipsoid((0, 4.9, -1.4), (8.0, 0.8, 7.6))
  s.append(sculpt.add(band, t.colors['mark'] * 0.7, blend=0.3, soft=0.15))
  s.append(anatomy.ball(t, (8.4, 4.4, -1.4), 1.3, 'mark', blend=0.3, soft=0.2))
  ring = solids.ellipsoid((8.2, -3.0, -0.8), (0.4, 1.1, 0.95))
  s.append(sculpt.add(ring, coats.hex_color('#f2c22a'), blend=0.1, soft=0.15))
  s += muzzles.face_nose(t, s, -1.0, 1.3)
  s += anatomy.mouth_open(s, t, -5.0, 2.4, 0.6 + 1.2 * t.gape, teeth=0.3)
  s += anatomy.tuft(
    ((0.2, -3.0, 6.8), (2.6, -3.0, 7.4), (5.4, -3.6 + t.smile, 4.4)),
    (0.9, 0.95, 0.25), hair, blend=0.2, soft=0.15,
  )  # fmt: skip
  eye, center = anatomy.eyes(s, t, 3.1, 1.9, 1.6, pupil_size=0.38)
  s += eye
  s += anatomy.brows(s, t, 3.1, 3.9, length=3.4, thickness=0.6, arch=0.3)
  return anatomy.Head(s, center, anatomy.surface(s, 0, -5.0))


KINDS = (
  kind.Kind(
    name='clown', model=clown, often=True,
    names=('clown', 'circus clown'),
    palette={
      'base': '#fdf7f0', 'light': '#ffffff', 'mark': '#d81e26',
      'hair': '#ec3a1c', 'nose': '#e3141e', 'iris': '#2f7fd0',
      'inner': '#f4d3c6', 'accent': '#2a6fd6',
    },
    breeds=(
      {'hair': '#2f9a3c', 'accent': '#d8a018'},
      {'hair': '#2a6fd6', 'accent': '#d81e26'},
      {'hair': '#f2a81c', 'accent': '#2f9a3c'},
    ),
  ),
  kind.Kind(
    name='ogre', model=ogre, often=True,
    names=('ogre', 'troll', 'orc'),
    palette={
      'base': '#86a83a', 'light': '#b4cb6a', 'mark': '#566f22',
      'hair': '#3d2f1c', 'iris': '#a8651c', 'inner': '#66802c',
      'tooth': '#f7edcb',
    },
  ),
  kind.Kind(
    name='cartoon character', model=cartoon, often=True,
    names=(
      'cartoon character', 'cartoon character', 'cartoon face', 'cartoon boy',
    ),
    clashes={'cartoon boy': ('old',)},
    palette={
      'base': '#f6c29a', 'light': '#fbdcc0', 'mark': '#e58e7a',
      'hair': '#6a3a1c', 'iris': '#3f8fd8', 'inner': '#ee9f88',
    },
    breeds=_CARTOONS,
  ),
  kind.Kind(
    name='demon', model=demon,
    names=('demon', 'devil'),
    palette={
      'base': '#b8201c', 'light': '#d8523a', 'mark': '#5a0d10',
      'horn': '#2a2026', 'hair': '#1c1216', 'iris': '#f7d21a',
      'inner': '#7a1414',
    },
  ),
  kind.Kind(
    name='pirate', model=pirate,
    names=('pirate', 'pirate captain'),
    palette={
      'base': '#dba27c', 'light': '#efc3a0', 'mark': '#c22030',
      'hair': '#3a2416', 'iris': '#4a7a3a', 'inner': '#c98666',
      'accent': '#17161a',
    },
    breeds=(
      {'hair': '#17161a', 'mark': '#1f4fa8'},
      {'hair': '#b5481c', 'mark': '#1d1c22'},
      {'base': '#8a5634', 'hair': '#17120e'},
    ),
  ),
)  # fmt: skip
