"""The farm: pig, cow, sheep, horse, rabbit, mouse, rooster.

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


def rabbit(t: traits.Traits) -> anatomy.Head:
  """Model a rabbit: long ears, round cheeks, two long teeth."""
  s = [
    anatomy.ball(t, (0, -1.0, -0.6), (6.8, 6.8, 6.2)),
    anatomy.ball(
      t, (3.6, -3.6, 1.8), np.array([3.3, 2.8, 3.0]) * t.cheek, 'light',
      blend=1.4, soft=1.4,
    ),
  ]  # fmt: skip
  s += anatomy.pointed_ear(
    t, (2.6, 3.6, -0.8), (4.8, 14.6, -1.6), 2.0, point=0.5, peak=0.55,
    hollow=0.62, thickness=0.85,
  )  # fmt: skip
  s.append(anatomy.everywhere(coats.fur(0.1, seed=t.seed)))
  z = 6.0 + 1.2 * (t.muzzle - 1)
  s.append(anatomy.ball(t, (0, -5.2, z - 1.2), (1.9, 1.5, 1.8), 'light'))
  s.append(
    anatomy.ball(t, (1.45, -3.4, z - 0.4), (2.0, 1.6, 1.9), 'light',
                 blend=0.6, soft=0.5)
  )  # fmt: skip
  nose = solids.ellipsoid((0, -2.1, z + 1.1), (0.95, 0.65, 0.7))
  s.append(sculpt.add(nose, t.colors['nose'], blend=0.3, soft=0.15))
  s += anatomy.mouth_line(
    t, -4.0, 2.5, wave=0.7, curve=0.8, rest=0.6, back=4.0, thickness=0.22
  )
  s += muzzles.buck_teeth(s, -4.7)
  s.append(
    anatomy.dab(
      t,
      (3.7, -2.0, 5.0),
      (1.3, 0.9, 2.0),
      coats.mix(t.colors['base'], t.colors['inner'], 0.7),
    )
  )
  eye, center = anatomy.eyes(
    s, t, 3.2, 0.8, 2.0, iris_size=0.8, pupil_size=0.5, patch='light',
    patch_size=1.25,
  )  # fmt: skip
  s += eye
  s += anatomy.mood_brows(s, t, 3.2, 3.5, color='mark')
  return anatomy.Head(s, center, anatomy.surface(s, 0, -4.6))


def pig(t: traits.Traits) -> anatomy.Head:
  """Model a pig: a disc of a snout with two holes, folded ears."""
  s = [
    anatomy.ball(t, (0, -0.4, -0.6), (7.8, 7.6, 6.4)),
    anatomy.ball(t, (4.2, -3.6, 1.0), np.array([3.6, 3.2, 3.2]) * t.cheek),
    anatomy.ball(t, (0, -6.6, 1.6), (4.0, 2.4, 3.4), 'light'),
  ]
  root = np.array([4.6, 5.4, -0.6])
  ear = solids.leaf(
    root, root + np.array([4.2, 3.4, 3.2]) * t.ear,
    2.9 * t.ear, 0.8, (0.2, -0.6, 0.9), peak=0.35, point=0.2,
  )  # fmt: skip
  s.append(sculpt.add(ear, t.colors['base'], blend=0.8))
  cup = solids.swollen(ear, -0.35)
  moved = solids.Solid(
    lambda x, y, z: cup.distance(x, y + 0.45, z - 0.75), cup.low, cup.high + 0.8
  )
  s.append(sculpt.carve(moved, t.colors['inner'], blend=0.3, soft=0.3))
  s.append(anatomy.everywhere(coats.fur(0.04, seed=t.seed)))
  z = 6.6 + 2.4 * t.muzzle
  width = 3.0 * (0.5 + 0.5 * t.nose)
  snout = solids.cone((0, -1.7, 4.0), (0, -1.9, z - 1.4), 3.6, 2.5)
  s.append(sculpt.add(snout, t.colors['base'], blend=1.4))
  disc = solids.ellipsoid((0, -1.8, z - 0.7), (width, 2.3, 1.15))
  s.append(sculpt.add(disc, t.colors['nose'], blend=0.5, soft=0.3))
  s += anatomy.nostrils(
    s, 1.15 * t.nose, -1.7, 0.62, stretch=1.5, roll=-12,
    color=t.colors['mark'] * 0.35,
  )  # fmt: skip
  if t.gape > 0.15:
    s += anatomy.mouth_open(s, t, -5.4, 2.9, 0.7 + 1.1 * t.gape)
  else:
    s += anatomy.mouth_line(
      t, -5.3, 3.2, curve=1.5, rest=0.6, back=2.0,
      color=t.colors['mark'] * 0.35,
    )  # fmt: skip
  s.append(anatomy.dab(t, (5.0, -2.2, 4.4), (1.6, 1.1, 2.2), 'nose'))
  eye, center = anatomy.eyes(s, t, 3.4, 2.6, 1.65, pupil_size=0.4)
  s += eye
  s += anatomy.mood_brows(s, t, 3.4, 4.9, color='mark')
  return anatomy.Head(s, center, anatomy.surface(s, 0, -5.3))


def cow(t: traits.Traits) -> anatomy.Head:
  """Model a cow: patches, a broad pink muzzle, horns, sideways ears."""
  s = [
    anatomy.ball(t, (0, 2.6, -0.8), (6.6, 6.2, 5.8)),
    anatomy.ball(t, (0, -2.0, 1.6), (5.4, 5.6, 5.0)),
  ]
  s.append(
    anatomy.everywhere(
      coats.blotches(t.colors['mark'], 0.22, 4.2 * t.pattern, t.seed)
    )
  )
  blaze = solids.ellipsoid((0, 2.6, 5), (1.7, 7.0, 4.5))
  s.append(sculpt.paint(blaze, t.colors['base'], soft=0.5))
  patch = solids.ellipsoid((4.4, 3.2, 4.0), (2.9, 3.6, 4.0))
  s.append(sculpt.paint(patch, t.colors['mark'], soft=0.5))
  s += muzzles.side_ear(t, (5.6, 4.4, -0.8), (12.0, 3.2, -0.6), color='mark')
  s += muzzles.horns(
    t, ((3.6, 7.2, -0.6), (7.2, 8.2, -0.4), (7.6, 12.2, 0.4)),
    (1.25, 1.0, 0.25),
  )  # fmt: skip
  top = solids.ellipsoid((0, 8.2, 1.4), (2.6, 1.7, 2.6))
  s.append(sculpt.add(top, t.colors['base'], blend=0.8))
  z = 5.4 + 2.4 * (t.muzzle - 1)
  s += [
    anatomy.ball(t, (0, -4.4, z), (4.9, 3.2, 3.4), 'light', soft=0.5),
    anatomy.ball(t, (0, -6.8, z - 0.8), (3.4, 1.9, 2.8), 'light', blend=0.7),
  ]
  s += anatomy.nostrils(
    s, 2.3, -3.4, 0.7 * t.nose, stretch=0.75, roll=20,
    color=coats.hex_color('#4a1f1d'),
  )  # fmt: skip
  if t.gape > 0.15:
    s += anatomy.mouth_open(s, t, -6.2, 2.8, 0.6 + 0.9 * t.gape)
  else:
    s += anatomy.mouth_line(
      t, -6.0, 3.8, curve=1.2, rest=0.5, back=2.0,
      color=coats.hex_color('#5a2a26'),
    )  # fmt: skip
  eye, center = anatomy.eyes(
    s, t, 3.7, 3.0, 1.75, lid='mark', iris_size=0.76, pupil_size=0.46
  )
  s += eye
  s += anatomy.mood_brows(s, t, 3.6, 5.4, color='mark')
  return anatomy.Head(s, center, anatomy.surface(s, 0, -6.0))


def mouse(t: traits.Traits) -> anatomy.Head:
  """Model a mouse: great round ears, a pointed snout, pink nose."""
  s = [
    anatomy.ball(t, (0, -1.4, -0.6), (6.4, 6.2, 5.8)),
    anatomy.ball(t, (3.4, -3.4, 1.4), np.array([3.0, 2.6, 2.8]) * t.cheek),
  ]
  s += anatomy.round_ear(
    t, (6.6, 6.2, -1.0), 4.6, thickness=0.85, turn=12, hollow=0.74
  )
  s.append(anatomy.everywhere(coats.fur(0.08, seed=t.seed)))
  reach = 7.8 + 2.6 * (t.muzzle - 1)
  snout = solids.tube(((0, -1.4, 3.0), (0, -3.0, reach)), (3.4, 1.15))
  s.append(sculpt.add(snout, t.colors['base'], blend=1.4))
  s.append(anatomy.dab(t, (0, -4.6, 5.6), (3.0, 2.0, 4.4), 'light'))
  nose = solids.ellipsoid(
    (0, -2.5, reach + 0.9), np.array([1.15, 1.0, 0.95]) * t.nose
  )
  s.append(sculpt.add(nose, t.colors['nose'], blend=0.2, soft=0.15))
  s += anatomy.mouth_line(
    t, -4.8, 2.5, curve=1.0, rest=0.7, back=3.0, thickness=0.22
  )
  s += muzzles.buck_teeth(s, -5.1, 0.46, 0.62)
  s.append(
    anatomy.dab(
      t,
      (4.0, -2.4, 4.4),
      (1.4, 1.0, 2.0),
      coats.mix(t.colors['base'], t.colors['inner'], 0.7),
    )
  )
  eye, center = anatomy.eyes(
    s, t, 2.9, 0.6, 1.75, iris_size=0.82, pupil_size=0.6
  )
  s += eye
  s += anatomy.mood_brows(s, t, 2.9, 3.2, color='mark')
  return anatomy.Head(s, center, anatomy.surface(s, 0, -5.0))


def sheep(t: traits.Traits) -> anatomy.Head:
  """Model a sheep: a cloud of wool around a dark slim face."""
  s = [anatomy.ball(t, (0, 1.4, -2.6), (7.8, 8.0, 4.6), 'hair')]
  rng = np.random.default_rng(3)
  size = 0.5 + 0.5 * t.feature
  for angle in np.linspace(-70, 90, 8):
    for radius, z in ((7.6, -2.6), (6.0, 0.8)):
      a = np.radians(angle + (6 if z > 0 else 0))
      if z > 0 and angle < -30:
        continue
      middle = (radius * np.cos(a), 1.4 + radius * np.sin(a), z)
      puff = (2.5 + 0.25 * rng.normal()) * size
      s.append(anatomy.ball(t, middle, puff, 'hair', blend=0.5, soft=0.3))
  s.append(anatomy.ball(t, (1.2, 7.2, 2.8), 2.3 * size, 'hair', blend=0.5))
  s.append(anatomy.everywhere(coats.fur(0.06, seed=t.seed)))
  s += [
    anatomy.ball(t, (0, 0.4, 0.8), (5.0, 6.0, 5.0), soft=0.3, blend=0.4),
    anatomy.ball(
      t, (0, -4.4, 3.6), np.array([3.3, 3.2, 3.4]) * (1, 1, t.muzzle)
    ),
  ]
  s += muzzles.side_ear(t, (5.2, 1.8, 0.6), (11.0, -0.8, 0.8), width=1.7)
  s.append(anatomy.ball(t, (0, 6.0, 4.0), (2.6, 1.8, 2.0), 'hair', blend=0.3,
                        soft=0.3))  # fmt: skip
  light = t.colors['base'] * 2.2 + 0.03
  s.append(anatomy.dab(t, (0, -5.6, 6.2), (2.9, 2.4, 2.4), light, soft=1.2))
  s += anatomy.nostrils(s, 1.0, -4.0, 0.42, stretch=0.7, roll=-30,
                        color=t.colors['mark'] * 0.3)  # fmt: skip
  pink = coats.hex_color('#e59a98')
  s += anatomy.mouth_line(t, -6.0, 1.9, curve=0.9, rest=0.7, back=3.0,
                          color=pink)  # fmt: skip
  eye, center = anatomy.eyes(
    s, t, 2.9, 1.9, 1.7, iris_size=0.6, pupil_size=0.34
  )
  s += eye
  s += anatomy.mood_brows(s, t, 2.9, 4.2)
  return anatomy.Head(s, center, anatomy.surface(s, 0, -6.0))


def _equine(t: traits.Traits, coat: anatomy.Strokes) -> anatomy.Head:
  """Model a horse-like head: a very long face, upright ears, a forelock."""
  reach = 6.6 + 2.4 * (t.muzzle - 1)
  s = [
    anatomy.ball(t, (0, 3.2, -1.2), (5.2, 5.6, 5.2)),
    anatomy.ball(t, (2.4, 0.4, 0.6), np.array([3.0, 3.6, 3.4]) * t.cheek),
  ]
  face = solids.tube(
    ((0, 4.0, 1.6), (0, -2.4, 4.6), (0, -8.6, reach)), (4.0, 3.2, 2.5)
  )
  s.append(sculpt.add(face, t.colors['base'], blend=1.2))
  s.append(anatomy.ball(t, (0, -8.6, reach - 0.4), (3.3, 2.7, 2.8)))
  if t.kind == 'zebra':
    s += anatomy.round_ear(
      t, (4.6, 9.6, -1.0), 1.9, stretch=1.6, turn=12, roll=-24, hollow=0.66
    )
  else:
    s += anatomy.pointed_ear(
      t, (2.8, 7.0, -1.0), (4.2, 12.6, -0.6), 1.5, point=0.2, peak=0.45,
      thickness=0.9,
    )  # fmt: skip
  s += coat
  s.append(anatomy.everywhere(coats.fur(0.08, seed=t.seed)))
  nose = 'light' if t.kind == 'zebra' else 'mark'
  s.append(anatomy.dab(t, (0, -9.8, reach + 0.6), (4.4, 2.9, 4.4), nose))
  tone = t.colors['hair']
  locks: tuple[tuple[tuple[float, ...], ...], ...] = (
    ((0.5, 8.6, -0.6), (0.8, 10.4, 3.6), (0.6, 4.2, 6.2)),
    ((1.2, 8.4, -0.6), (2.4, 10.2, 3.0), (2.1, 5.4, 5.2)),
    ((0.6, 8.0, -3), (1.2, 13.0, -2.5), (0.8, 12.4, 1.5)),
  )
  if t.kind == 'zebra':
    locks = (
      ((0.2, 7.8, 2.0), (0.3, 9.8, 2.2), (0.2, 11.4, 3.0)),
      ((0.3, 8.2, 0.2), (0.5, 11.0, 0.4), (0.3, 13.2, 1.2)),
      ((0.3, 8.2, -2.0), (0.5, 11.6, -2.2), (0.3, 13.8, -1.4)),
      ((0.3, 7.6, -4.2), (0.5, 11.0, -4.6), (0.3, 13.2, -4.0)),
    )
  for start, bend, end in locks:
    tip = np.array(start) + (np.array(end) - np.array(start)) * t.feature
    s += anatomy.tuft((start, bend, tip), (1.1, 1.2, 0.25), tone, count=6)
  s += anatomy.nostrils(s, 1.7, -7.9, 0.6 * t.nose, stretch=1.25, roll=-25)
  if t.gape > 0.3:
    s += anatomy.mouth_open(
      s, t, -10.2, 2.2, 0.9 * t.gape + 0.3, teeth=0.4, lower_teeth=0.3
    )
  else:
    s += anatomy.mouth_line(
      t, -10.0, 2.8, curve=0.9, rest=0.5, back=3.0,
      color=t.colors[nose] * 0.25,
    )  # fmt: skip
  eye, center = anatomy.eyes(
    s, t, 3.7, 3.0, 1.75, iris_size=0.8, pupil_size=0.5,
    gaze=(0.3, 0, 1), sink=0.5, lid='mark',
  )  # fmt: skip
  s += eye
  s += anatomy.mood_brows(s, t, 3.4, 5.2, color='mark')
  return anatomy.Head(s, center, anatomy.surface(s, 0, -10.0))


def horse(t: traits.Traits) -> anatomy.Head:
  """Model a horse: a long brown face with a white blaze, dark mane."""
  blaze = solids.tube(
    ((0, 5.2, 5.6), (0, -1.0, 7.2), (0, -6.4, 9.4)), (1.1, 0.8, 1.2)
  )
  star = solids.ellipsoid((0, 4.4, 5.6), (1.6, 1.8, 2))
  coat = [
    sculpt.paint(solids.swollen(blaze, 0.3), t.colors['light'], soft=0.4),
    sculpt.paint(star, t.colors['light'], soft=0.4),
  ]
  return _equine(t, coat)


def zebra(t: traits.Traits) -> anatomy.Head:
  """Model a zebra: a horse's head, striped to a dark muzzle."""
  mark = t.colors['mark']

  def stripes(points: coats.Points, so_far: coats.Points) -> coats.Points:
    x = np.abs(points[:, 0])
    wobble = 0.35 * coats.noise(points * 0.45, t.seed)
    phase = (points[:, 1] + 0.34 * x + wobble) / (1.05 * t.pattern)
    upper = x / (0.75 * t.pattern) + 0.2 * points[:, 1]
    blend = np.clip((points[:, 1] - 3.4) / 1.5, 0, 1)
    wave = (1 - blend) * np.sin(2 * phase) + blend * np.sin(3 * upper)
    return coats.mix(so_far, mark, np.clip(0.5 + 2.5 * wave, 0, 1)[:, None])

  return _equine(t, [anatomy.everywhere(stripes)])


def rooster(t: traits.Traits) -> anatomy.Head:
  """Model a rooster: red comb and wattles, a short pointed beak."""
  s = [
    anatomy.ball(t, (0, 0.8, -0.8), (6.6, 7.0, 6.0)),
    anatomy.ball(t, (0, -5.4, -1.4), (6.8, 5.2, 5.2)),
  ]
  for i in range(5):
    angle = np.radians(-86 + 26 * i)
    way = np.array([np.cos(angle), np.sin(angle), 0])
    start = np.array([0, -5.2, -0.8]) + way * 4.0
    end = np.array([0, -5.2, -1.4]) + way * 8.6
    s += anatomy.tuft((start, end), (2.3, 0.4), t.colors['base'])
  s.append(anatomy.everywhere(coats.fur(0.08, seed=t.seed)))
  red = t.colors['mark']
  for y, z, top in ((6.4, 3.6, 2.6), (7.6, 1.2, 4.2), (7.4, -1.6, 4.4)):
    lobe = solids.cone((0, y, z), (0, y + top * t.feature, z - 0.5), 1.7, 1.15)
    s.append(sculpt.add(lobe, red, blend=0.5, soft=0.2))
  s.append(anatomy.dab(t, (3.2, 1.4, 5.0), (2.9, 3.0, 3.6), red, soft=0.3))
  wattle = solids.cone(
    (0.9, -3.4, 5.4), (1.5, -3.6 - 3.6 * t.feature, 5.8), 1.0, 1.5
  )
  s.append(sculpt.add(wattle, red, blend=0.3, soft=0.2))
  s += muzzles.beak(
    t, (0, -0.8, 5.0), (0, 0.0, 9.6), (0, -2.4, 10.2), width=1.75, height=1.2,
  )  # fmt: skip
  eye, center = anatomy.eyes(
    s, t, 3.2, 1.9, 1.7, lid='mark', iris_size=0.72, pupil_size=0.42,
    gaze=(0.12, 0, 1),
  )  # fmt: skip
  s += eye
  s += anatomy.mood_brows(s, t, 3.2, 4.2, color='mark')
  return anatomy.Head(s, center, np.array([0, -2.0, 7.6]))


KINDS = (
  kind.Kind(
    name='rabbit', model=rabbit, often=True,
    names=('rabbit', 'bunny', 'hare'),
    palette={
      'base': '#b99a7c', 'light': '#fbf4ea', 'mark': '#8a6a4e',
      'nose': '#f0899a', 'inner': '#f6b3b6', 'iris': '#5a3418',
    },
    breeds=(
      {'base': '#f4f1ec', 'mark': '#cfc6bc'},
      {'base': '#8f8a88', 'mark': '#5f5a58'},
      {'base': '#7a5030', 'mark': '#4f321c'},
    ),
  ),
  kind.Kind(
    name='pig', model=pig, often=True,
    names=('pig', 'piglet'),
    clashes={'piglet': ('old',)},
    palette={
      'base': '#f4a3ae', 'light': '#f9c3c8', 'mark': '#d97a8a',
      'nose': '#ee8b9b', 'inner': '#e47f90', 'iris': '#3f7fc4',
    },
  ),
  kind.Kind(
    name='cow', model=cow, often=True,
    names=('cow', 'bull'),
    palette={
      'base': '#f7f4ef', 'light': '#f0b7a8', 'mark': '#2a211e',
      'horn': '#e9dab8', 'inner': '#eda79c', 'iris': '#4a2a14',
    },
    breeds=(
      {'base': '#9a5a2c', 'mark': '#6a3818', 'light': '#e5b9a0'},
    ),
  ),
  kind.Kind(
    name='mouse', model=mouse,
    names=('mouse', 'rat'),
    palette={
      'base': '#a9a6ad', 'light': '#efecec', 'mark': '#7c7983',
      'nose': '#f27f97', 'inner': '#f7aab4', 'iris': '#2c2224',
    },
    breeds=(
      {'base': '#f2eff0', 'mark': '#cfc9cc', 'iris': '#a82030'},
      {'base': '#8a6a4e', 'mark': '#5a4330'},
    ),
  ),
  kind.Kind(
    name='sheep', model=sheep,
    names=('sheep', 'lamb'),
    clashes={'lamb': ('old',)},
    palette={
      'base': '#3a3331', 'light': '#f5efe2', 'mark': '#1f1a19',
      'nose': '#1a1414', 'inner': '#8a6a62', 'iris': '#d9a520',
      'hair': '#f5efe2',
    },
    breeds=(
      {'base': '#e9c9b0', 'mark': '#c99a80'},
    ),
  ),
  kind.Kind(
    name='horse', model=horse,
    names=('horse', 'pony'),
    palette={
      'base': '#8c4b22', 'light': '#e9d3b8', 'mark': '#2a1710',
      'inner': '#5f3520', 'iris': '#3c2110', 'hair': '#2a1a14',
    },
    breeds=(
      {'base': '#c98a4a', 'hair': '#f3e3bd', 'mark': '#8a5a2c'},
      {'base': '#2c2522', 'hair': '#14110f'},
      {'base': '#a9a6a2', 'hair': '#e9e6e0', 'mark': '#55524f'},
    ),
  ),
  kind.Kind(
    name='zebra', model=zebra,
    names=('zebra',),
    palette={
      'base': '#f5f4f0', 'light': '#3a3638', 'mark': '#17161a',
      'inner': '#6a6466', 'iris': '#3c2110', 'hair': '#17161a',
    },
  ),
  kind.Kind(
    name='rooster', model=rooster,
    names=('rooster', 'chicken'),
    palette={
      'base': '#f4ead8', 'light': '#ffffff', 'mark': '#d8201c',
      'beak': '#f3ae1c', 'iris': '#d97a10',
    },
  ),
)  # fmt: skip
