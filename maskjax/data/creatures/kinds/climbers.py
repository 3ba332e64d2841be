"""Climbers, flyers and swimmers: apes, birds, frog, crocodile.

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


def gorilla(t: traits.Traits) -> anatomy.Head:
  """Model a gorilla: crest, heavy brow bar, bare face, great lips."""
  s = [
    anatomy.ball(t, (0, 0.8, -1.2), (7.8, 8.2, 6.0)),
    anatomy.ball(
      t, (0, 6.8, -1.2), np.array([4.2, 4.4, 4.4]) * (1, t.feature, 1)
    ),
    anatomy.ball(t, (5.4, -3.8, -0.6), np.array([3.9, 4.4, 3.8]) * t.cheek),
  ]
  for y, x in ((-1.0, 9.2), (-4.0, 9.8), (-6.8, 8.4)):
    s += anatomy.tuft(((5.0, y, -0.8), (x, y - 1.4, -1.2)), (2.4, 0.4),
                      t.colors['base'])  # fmt: skip
  s += anatomy.round_ear(t, (8.2, 1.0, -1.4), 1.7, color='skin', turn=35)
  s.append(anatomy.everywhere(coats.fur(0.22, 0.9, seed=t.seed)))
  face = solids.ellipsoid((0, -0.2, 2.6), (5.4, 5.2, 3.6))
  s.append(sculpt.add(face, t.colors['skin'], blend=0.8, soft=0.4))
  z = 5.4 + 2.0 * (t.muzzle - 1)
  s += [
    anatomy.ball(t, (0, -4.9, z - 1.4), (4.9, 3.9, 4.2), 'skin', soft=0.4),
    anatomy.ball(t, (0, -6.9, z - 0.4), (3.5, 1.8, 3.0), 'light', blend=0.7),
    anatomy.ball(t, (0, -4.4, z + 0.3), (3.9, 2.0, 2.6), 'light', blend=0.7),
  ]
  ridge = solids.tube(
    ((0, 4.0, 5.0), (3.2, 4.9 + 0.5 * t.tilt, 5.2), (6.0, 2.4, 2.0)),
    (1.25, 1.25, 0.9),
  )
  ridge = solids.swollen(ridge, 0.15 * (t.brow - 1))
  s.append(sculpt.add(ridge, t.colors['light'], blend=0.7))
  nose = solids.ellipsoid((0, -0.9, 6.2), (1.9 * t.nose, 1.5, 1.5))
  wing = solids.ellipsoid(
    (1.35, -1.4, 6.0), np.array([1.35, 1.05, 1.25]) * t.nose
  )
  bridge = solids.cone((0, 2.8, 5.2), (0, -0.4, 6.2), 1.1, 1.3)
  s += [
    sculpt.add(bridge, t.colors['skin'], blend=0.8),
    sculpt.add(nose, t.colors['skin'], blend=0.5),
    sculpt.add(wing, t.colors['mark'], blend=0.4, soft=0.6),
  ]
  s += anatomy.nostrils(s, 1.1, -1.6, 0.6, stretch=0.8, roll=-20)
  if t.gape > 0.15:
    s += anatomy.mouth_open(
      s, t, -5.6, 3.0, 0.8 + 1.4 * t.gape, fangs=1.5, teeth=0.3,
      lower_teeth=0.2,
    )  # fmt: skip
  else:
    dark = coats.hex_color('#0c0c0f')
    s += anatomy.mouth_line(
      t, -5.7, 3.9, curve=1.1, rest=0.15, back=2.5, color=dark, thickness=0.3
    )
  eye, center = anatomy.eyes(
    s, t, 2.7, 2.0, 1.4, lid='skin', upper=42, pupil_size=0.38
  )
  s += eye
  s += anatomy.mood_brows(s, t, 2.9, 4.6)
  return anatomy.Head(s, center, anatomy.surface(s, 0, -5.6))


def monkey(t: traits.Traits) -> anatomy.Head:
  """Model a monkey: heart-shaped pale face, big ears at the sides."""
  s = [
    anatomy.ball(t, (0, 0.6, -0.8), (7.2, 7.6, 6.2)),
    anatomy.ball(t, (0, -3.4, 1.0), np.array([5.6, 4.2, 4.6]) * (t.jaw, 1, 1)),
  ]
  s += anatomy.round_ear(
    t, (8.6, 0.6, -0.8), 3.3, turn=16, stretch=1.1, thickness=0.85
  )
  for x, tip in ((0.2, (0.6, 10.4, 2.0)), (1.2, (2.4, 9.6, 1.6))):
    s += anatomy.tuft(((x, 6.6, 1.5), tip), (1.6, 0.25), t.colors['hair'])
  s.append(anatomy.everywhere(coats.fur(0.14, seed=t.seed)))
  light = t.colors['light']
  for middle, radii in (
    ((2.7, 2.0, 5.4), (3.2, 3.3, 3.2)),
    ((0, -4.0, 5.0), (5.0, 3.7, 4.6)),
  ):
    s.append(sculpt.paint(solids.ellipsoid(middle, radii), light, soft=0.4))
  z = 5.4 + 1.8 * (t.muzzle - 1)
  s.append(anatomy.ball(t, (0, -3.8, z - 1.2), (4.4, 3.2, 3.5), 'light',
                        soft=0.4))  # fmt: skip
  nose = solids.ellipsoid(
    (0, -1.3, z + 1.3), np.array([1.2, 0.7, 0.8]) * t.nose
  )
  tone = coats.mix(light, t.colors['mark'], 0.4)
  s.append(sculpt.add(nose, tone, blend=0.5, soft=0.4))
  s += anatomy.nostrils(s, 0.55, -1.6, 0.34, stretch=0.7, roll=-25)
  if t.gape > 0.15:
    s += anatomy.mouth_open(s, t, -4.2, 2.9, 0.7 + 1.5 * t.gape)
  else:
    s += anatomy.mouth_line(t, -4.5, 3.2, curve=1.3, rest=0.6, back=2.5)
  s.append(anatomy.dab(t, (4.2, -2.2, 4.8), (1.5, 1.1, 2.0), 'inner'))
  eye, center = anatomy.eyes(
    s, t, 2.7, 1.9, 1.75, lid='light', iris_size=0.66, pupil_size=0.4
  )
  s += eye
  s += anatomy.brows(
    s, t, 2.7, 4.5, length=2.6, thickness=0.42, arch=0.35, rest=-0.2
  )
  return anatomy.Head(s, center, anatomy.surface(s, 0, -4.4))


def frog(t: traits.Traits) -> anatomy.Head:
  """Model a frog: bulging eyes on top, a mouth from side to side."""
  wide = t.jaw
  s = [
    anatomy.ball(t, (0, -1.2, -0.8), (8.8 * wide, 6.0, 6.4)),
    anatomy.ball(t, (0, -3.6, 1.4), (7.2 * wide, 4.0, 5.4)),
    anatomy.ball(t, (4.6, 4.2, 1.6), 3.3 * (0.4 + 0.6 * t.eye), blend=1.2),
  ]
  belly = solids.ellipsoid((0, -8.6, 4.0), (10.0, 4.6, 9.0))
  s.append(sculpt.paint(belly, t.colors['light'], soft=0.8))
  spots = coats.spots(t.colors['mark'], 0.75 * t.pattern, 3.6, t.seed)

  def back_spots(points: coats.Points, so_far: coats.Points) -> coats.Points:
    fade = np.clip((points[:, 1] + 1.0) / 2.0, 0, 1)[:, None]
    return coats.mix(so_far, spots(points, so_far), fade)

  s.append(anatomy.everywhere(back_spots))
  s += anatomy.nostrils(
    s, 1.1, 0.3, 0.36, stretch=0.8, color=t.colors['mark'] * 0.4
  )
  if t.gape > 0.15:
    s += anatomy.mouth_open(
      s, t, -3.8, 5.2, 0.7 + 1.5 * t.gape, teeth=0, depth=2.0
    )
  else:
    s += anatomy.mouth_line(
      t, -3.9, 7.4, curve=2.4, rest=0.6, back=-1.0, thickness=0.3,
      color=t.colors['mark'] * 0.35,
    )  # fmt: skip
  rosy = coats.mix(t.colors['base'], coats.hex_color('#f08a7a'), 0.5)
  s.append(anatomy.dab(t, (6.2, -1.4, 3.4), (1.3, 1.0, 1.6), rosy))
  eye, center = anatomy.eyes(
    s, t, 4.7, 4.8, 2.4, sink=0.72, iris_size=0.7, pupil_size=0.44,
    gaze=(0.12, 0, 1),
  )  # fmt: skip
  s += eye
  s += anatomy.mood_brows(s, t, 4.5, 7.4, color='mark')
  return anatomy.Head(s, center, anatomy.surface(s, 0, -3.8))


def owl(t: traits.Traits) -> anatomy.Head:
  """Model an owl: face discs, enormous eyes, ear tufts, small hooked beak."""
  s = [
    anatomy.ball(t, (0, 0.0, -1.2), (8.4, 8.2, 6.0)),
    anatomy.ball(t, (0, -5.0, -0.6), (6.8, 5.0, 5.0)),
  ]
  speck = coats.spots(t.colors['light'], 0.42 * t.pattern, 1.9, t.seed)
  s.append(anatomy.everywhere(speck))
  s.append(anatomy.everywhere(coats.fur(0.18, seed=t.seed)))
  disc = solids.ellipsoid((3.5, 0.6, 3.6), (4.5, 4.9, 2.2),
                          solids.rotation(22))  # fmt: skip
  s.append(sculpt.add(disc, t.colors['light'], blend=0.6, soft=0.3))
  rim = solids.common(
    solids.swollen(solids.ellipsoid((3.5, 0.6, 3.6), (5.0, 5.4, 2.4)), 0.2),
    solids.half_space((0, 0, 3.0), (-0.4, 0, 1)),
  )
  s.append(sculpt.paint(rim, t.colors['mark'], soft=0.4))
  s.append(anatomy.dab(t, (3.5, 0.6, 6), (3.9, 4.3, 3.6), 'light', soft=0.5))
  ray = t.colors['mark']

  def rays(points: coats.Points, so_far: coats.Points) -> coats.Points:
    x = np.abs(points[:, 0]) - 3.5
    y = points[:, 1] - 0.9
    r = np.hypot(x, y)
    near = np.clip((4.1 - r) * 2, 0, 1) * np.clip((points[:, 2] - 3.5), 0, 1)
    wave = np.clip(np.sin(14 * np.arctan2(y, x)), 0, 1) * 0.35 * near
    return coats.mix(so_far, ray, wave[:, None])

  s.append(anatomy.everywhere(rays))
  brow = solids.tube(
    (
      (0.2, 1.8 - 0.8 * t.tilt, 6.2),
      (2.6, 4.8 - 0.8 * abs(t.tilt), 6.2),
      (6.6, 10.0 * (0.4 + 0.6 * t.ear), 1.6),
    ),
    (0.8, 1.1, 1.2, 0.3), count=8,
  )  # fmt: skip
  s.append(sculpt.add(brow, t.colors['mark'], blend=0.5, soft=0.4))
  s += muzzles.beak(
    t, (0, -0.4, 5.6), (0, -0.8, 8.0), (0, -3.4, 7.6), width=1.25, height=0.8,
    split=False,
  )  # fmt: skip
  eye, center = anatomy.eyes(
    s, t, 3.5, 1.0, 2.5, sink=0.6, lid='mark', iris_size=0.8, pupil_size=0.48,
    upper=58, gaze=(0.05, 0, 1),
  )  # fmt: skip
  s += eye
  return anatomy.Head(s, center, anatomy.surface(s, 0, -3.0))


def eagle(t: traits.Traits) -> anatomy.Head:
  """Model an eagle: white feathers, frowning brow, a great hooked beak."""
  s = [
    anatomy.ball(t, (0, 1.4, -0.8), (6.6, 7.0, 6.2)),
    anatomy.ball(t, (0, -5.0, -1.6), (6.8, 5.4, 5.2)),
  ]
  white = t.colors['base']
  rng = np.random.default_rng(5)
  for y, reach, count in ((-5.6, 8.6, 5), (-2.4, 8.0, 3)):
    for i in range(count):
      angle = np.radians(-88 + 30 * i + (0 if y < -4 else 50))
      way = np.array([np.cos(angle), np.sin(angle), 0])
      start = np.array([0, y, -0.8]) + way * 3.6
      end = np.array([0, y, -1.4]) + way * reach * (1 + 0.06 * rng.normal())
      tone = coats.mix(white, t.colors['mark'], 1.0 if y < -4 else 0.0)
      s += anatomy.tuft((start, end), (2.4, 0.4), tone, soft=0.5)
  for x, z in ((0.4, 0), (2.2, -1.0)):
    s += anatomy.tuft(((x, 6.0, z), (x * 1.4, 9.6, -4.6)), (2.2, 0.4), white)
  s.append(anatomy.everywhere(coats.fur(0.08, seed=t.seed)))
  s += muzzles.beak(
    t, (0, -0.6, 4.6), (0, 1.2, 13.4), (0, -6.0, 12.2), width=2.6, height=1.7,
  )  # fmt: skip
  eye, center = anatomy.eyes(
    s, t, 3.6, 2.5, 1.6, lid='base', upper=26, iris_size=0.74,
    pupil_size=0.36, gaze=(0.2, 0, 1), patch='beak', patch_size=1.25,
  )  # fmt: skip
  s += eye
  s += anatomy.brows(
    s, t, 3.5, 4.0, length=4.4, thickness=0.85, color='base', arch=0.0,
    rest=0.9,
  )  # fmt: skip
  return anatomy.Head(s, center, np.array([0, -2.6, 8.0]))


def parrot(t: traits.Traits) -> anatomy.Head:
  """Model a parrot: bright plumage, white bare cheeks, a huge curved beak."""
  s = [
    anatomy.ball(t, (0, 1.6, -0.8), (6.8, 7.2, 6.2)),
    anatomy.ball(t, (0, -4.6, -1.4), (6.4, 5.0, 5.2)),
  ]
  ramp = coats.gradient(t.colors['mark'], t.colors['base'], -8.6, -4.6)
  s.append(anatomy.everywhere(ramp))
  for i in range(4):
    start = np.array([0.3 + 0.9 * i, 7.0 - 0.4 * i, 1.0 - 0.6 * i])
    end = start + np.array([0.6 * i, 4.6 - 0.5 * i, -1.6]) * t.ear
    bend = (start + end) / 2 + [0, 0.6, 1.4]
    tone = t.colors['hair'] if i % 2 == 0 else t.colors['base']
    s += anatomy.tuft((start, bend, end), (1.3, 1.0, 0.25), tone, count=5)
  s.append(anatomy.everywhere(coats.fur(0.08, seed=t.seed)))
  s.append(anatomy.dab(t, (4.4, -0.2, 4.0), (2.9, 3.9, 4.0), 'light', soft=0.4))
  line = t.colors['base'] * 0.6

  def cheek_lines(points: coats.Points, so_far: coats.Points) -> coats.Points:
    x, y = np.abs(points[:, 0]) - 4.4, points[:, 1] + 1.4
    near = (np.hypot(x / 2.6, y / 2.0) < 1) & (points[:, 2] > 0)
    wave = np.clip(np.sin(7.0 * y) * 2 - 1, 0, 1) * near * 0.6
    return coats.mix(so_far, line, wave[:, None])

  s.append(anatomy.everywhere(cheek_lines))
  s += muzzles.beak(t, (0, 0.2, 4.8), (0, 3.4, 12.6), (0, -7.2, 9.8), width=2.7,
                    height=2.4)  # fmt: skip
  eye, center = anatomy.eyes(
    s, t, 3.7, 2.3, 1.55, lid='light', iris_size=0.76, pupil_size=0.42,
    gaze=(0.2, 0, 1),
  )  # fmt: skip
  s += eye
  s += anatomy.mood_brows(s, t, 3.6, 4.4, color='base')
  return anatomy.Head(s, center, np.array([0, -3.0, 7.0]))


def penguin(t: traits.Traits) -> anatomy.Head:
  """Model a penguin: black hood, white face, a yellow cheek, thin bill."""
  s = [
    anatomy.ball(t, (0, 0.4, -0.8), (7.4, 8.0, 6.4)),
    anatomy.ball(t, (0, -5.0, -0.8), (7.0, 4.6, 5.6)),
  ]
  s.append(anatomy.dab(t, (5.8, -3.0, 3.4), (3.6, 4.8, 4.4), 'mark', soft=0.5))
  s.append(anatomy.dab(t, (2.8, 1.0, 5.6), (3.1, 4.1, 4.0), 'light', soft=0.3))
  s.append(anatomy.dab(t, (0, -6.4, 4.6), (5.2, 5.4, 5.0), 'light', soft=0.4))
  s.append(anatomy.everywhere(coats.fur(0.05, seed=t.seed)))
  s += muzzles.beak(
    t, (0, -1.4, 4.8), (0, -1.3, 8.4), (0, -2.2, 9.8), width=1.55, height=1.1,
  )  # fmt: skip
  eye, center = anatomy.eyes(
    s, t, 2.9, 1.8, 1.75, lid='light', iris_size=0.72, pupil_size=0.48
  )
  s += eye
  s += anatomy.mood_brows(s, t, 2.9, 4.4, color='base')
  return anatomy.Head(s, center, np.array([0, -2.4, 7.0]))


def crocodile(t: traits.Traits) -> anatomy.Head:
  """Model a crocodile: a long flat snout full of teeth, eyes on top."""
  reach = 13.2 + 3.0 * (t.muzzle - 1)
  reach = min(reach, 14.6)
  s = [
    anatomy.ball(t, (0, 0.6, -1.2), (7.0, 5.8, 5.8)),
    anatomy.ball(t, (5.0, -2.6, -0.4), np.array([3.2, 3.0, 3.4]) * t.cheek),
  ]
  jaw = 0.8 + 1.6 * t.gape
  upper = solids.union(
    solids.ellipsoid((0, -1.2, 5.4), (4.8, 2.5, reach - 5.6)),
    solids.ellipsoid((0, -0.9, reach - 2.2), (3.3, 2.0, 2.2)),
  )
  lower = solids.ellipsoid(
    (0, -4.0 - 0.5 * jaw, 4.6), (4.4, 1.9, reach - 5.6),
    solids.rotation(0, 5 * jaw),
  )  # fmt: skip
  s.append(sculpt.add(lower, t.colors['light'], blend=0.8))
  s.append(sculpt.add(upper, t.colors['base'], blend=1.0))
  nose = solids.ellipsoid((1.3, 0.9, reach - 1.8), (1.1, 0.9, 1.1))
  s.append(sculpt.add(nose, t.colors['base'], blend=0.6))

  def scales(points: coats.Points, so_far: coats.Points) -> coats.Points:
    bump = coats.noise(points * 0.8, t.seed)
    weight = np.clip(bump * 3 - 0.6, 0, 1) * np.clip(points[:, 1] + 3, 0, 1)
    return coats.mix(so_far, t.colors['mark'], 0.7 * weight[:, None])

  s.append(anatomy.everywhere(scales))
  dark = t.colors['mark'] * 0.3
  hole = solids.ellipsoid((1.3, 1.4, reach - 0.9), (0.5, 0.45, 0.6))
  s.append(sculpt.paint(hole, dark, soft=0.2))
  gap = solids.ellipsoid((0, -3.1 - 0.2 * jaw, 6), (9, 0.35 * jaw, reach))
  s.append(sculpt.paint(gap, coats.hex_color('#6a1c20'), soft=0.2))
  tooth = coats.hex_color('#fdf8e6')
  for i in range(6):
    u = i / 5.0
    z = 4.2 + u * (reach - 5.6)
    x = 4.5 * np.sqrt(max(1 - ((z - 5.4) / (reach - 5.2)) ** 2, 0.05))
    x = max(x, 2.9 if u < 0.95 else 2.0)
    drop = 1.5 if i % 2 else 1.1
    fang = solids.cone((x, -2.2, z), (x, -2.4 - drop, z), 0.6, 0.2)
    s.append(sculpt.add(fang, tooth, blend=0.1, soft=0.12))
  front = solids.cone((0.9, -2.1, reach - 0.5), (0.9, -3.5, reach - 0.4),
                      0.55, 0.2)  # fmt: skip
  s.append(sculpt.add(front, tooth, blend=0.1, soft=0.12))
  for i in range(3):
    x = 1.2 + 2.2 * i
    s += anatomy.tuft(((x, 4.6 - 0.7 * i, -2.6), (x, 7.4 - 0.8 * i, -4.0)),
                      (1.1, 0.3), t.colors['mark'])  # fmt: skip
  s.append(anatomy.ball(t, (3.3, 4.0, 1.4), 2.5, blend=1.0))
  eye, center = anatomy.eyes(
    s, t, 3.4, 4.4, 1.8, sink=0.7, slit=0.4, iris_size=0.82, pupil_size=0.6
  )
  s += eye
  s += anatomy.mood_brows(s, t, 3.3, 6.4, color='mark')
  return anatomy.Head(s, center, np.array([0, -3.2, reach - 2.0]))


KINDS = (
  kind.Kind(
    name='gorilla', model=gorilla, often=True,
    names=('gorilla', 'gorilla', 'ape'),
    palette={
      'base': '#2f3036', 'light': '#56565e', 'mark': '#1a1a1f',
      'skin': '#4a4a52', 'inner': '#3a3a41', 'iris': '#a8651c',
      'hair': '#1b1b20',
    },
  ),
  kind.Kind(
    name='monkey', model=monkey, often=True,
    names=('monkey', 'chimpanzee'),
    palette={
      'base': '#7a4624', 'light': '#f2c79c', 'mark': '#4f2b14',
      'inner': '#e8a987', 'iris': '#4a2a14', 'hair': '#5a3218',
    },
    breeds=(
      {'base': '#2f2622', 'hair': '#1c1613', 'light': '#d9a27c'},
    ),
  ),
  kind.Kind(
    name='frog', model=frog, often=True,
    names=('frog', 'toad'),
    palette={
      'base': '#5cb531', 'light': '#e3f0a4', 'mark': '#2f7a1e',
      'iris': '#f0b51c', 'inner': '#d9525c',
    },
    breeds=(
      {'base': '#8a9a2c', 'mark': '#4a5a14'},
    ),
  ),
  kind.Kind(
    name='owl', model=owl, often=True,
    names=('owl',),
    palette={
      'base': '#8a5c33', 'light': '#efdcb8', 'mark': '#4c2f17',
      'beak': '#f0a820', 'iris': '#f5a30f',
    },
    breeds=(
      {'base': '#c9c4bb', 'light': '#fbfaf6', 'mark': '#6a6258'},
    ),
  ),
  kind.Kind(
    name='eagle', model=eagle, often=True,
    names=('eagle', 'bald eagle', 'hawk'),
    palette={
      'base': '#f5f3ee', 'light': '#ffffff', 'mark': '#4a3020',
      'beak': '#f5b51a', 'iris': '#e8b414', 'hair': '#4a3020',
    },
  ),
  kind.Kind(
    name='parrot', model=parrot,
    names=('parrot', 'macaw'),
    palette={
      'base': '#d9261c', 'light': '#fbf6ee', 'mark': '#1f62c9',
      'beak': '#2c2a2e', 'iris': '#f2d04a', 'hair': '#f2b81e',
    },
    breeds=(
      {'base': '#2fa03c', 'mark': '#e8c21a', 'hair': '#d9261c'},
      {'base': '#2466c8', 'mark': '#f2b81e', 'hair': '#3fb0e8'},
    ),
  ),
  kind.Kind(
    name='penguin', model=penguin,
    names=('penguin',),
    palette={
      'base': '#23262e', 'light': '#fbfbf8', 'mark': '#f5b21e',
      'beak': '#f08a1c', 'iris': '#5a3418',
    },
  ),
  kind.Kind(
    name='crocodile', model=crocodile,
    names=('crocodile', 'alligator'),
    palette={
      'base': '#5f8a34', 'light': '#dbe0a0', 'mark': '#33541c',
      'iris': '#e6c21a', 'inner': '#33541c',
    },
  ),
)  # fmt: skip
