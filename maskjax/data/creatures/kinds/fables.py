"""Fables and machines: dragon, unicorn, robot, alien, skull.

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


def dragon(t: traits.Traits) -> anatomy.Head:
  """Model a dragon: long horned head, fin ears, nostrils, fangs, crest."""
  reach = 9.4 + 3.0 * (t.muzzle - 1)
  s = [
    anatomy.ball(t, (0, 1.6, -1.0), (6.4, 6.2, 5.8)),
    anatomy.ball(t, (4.4, -2.2, 0.0), np.array([3.2, 3.2, 3.4]) * t.cheek),
  ]
  snout = solids.tube(
    ((0, 2.0, 2.4), (0, -1.0, 6.0), (0, -2.8, reach)), (4.2, 3.2, 2.6)
  )
  jaw = solids.tube(((0, -4.2, 1.6), (0, -5.8, reach - 1.8)), (3.2, 2.1))
  s.append(sculpt.add(jaw, t.colors['light'], blend=0.9))
  s.append(sculpt.add(snout, t.colors['base'], blend=1.2))
  s.append(anatomy.ball(t, (1.6, -1.6, reach + 0.6), (1.6, 1.4, 1.7),
                        blend=0.8))  # fmt: skip
  horn = np.array([[2.9, 5.8, -0.6], [4.6, 9.6, 0.8], [7.6, 14.6, -3.6]])
  horn = horn[0] + (horn - horn[0]) * t.feature
  body = solids.tube(horn, (1.5, 1.1, 0.3), count=8)
  body = solids.swollen(body, lambda x, y, z: 0.1 * np.sin(4.0 * y), 0.1)
  s.append(sculpt.add(body, t.colors['horn'], blend=0.4, soft=0.2))
  for y, tip in ((2.6, (12.4, 6.6, -3.4)), (0.4, (12.6, 1.8, -3.4)),
                 (-1.8, (11.0, -3.0, -3.4))):  # fmt: skip
    base = np.array([5.4, y, -1.6])
    tip = base + (np.array(tip) - base) * (0.4 + 0.6 * t.ear)
    fin = solids.leaf(base, tip, 1.9, 0.6, (0, 0.2, 1), peak=0.3, point=0.05)
    s.append(sculpt.add(fin, t.colors['inner'], blend=0.4, soft=0.3))
    spine = solids.cone(base, tip, 0.8, 0.3)
    s.append(sculpt.add(spine, t.colors['base'], blend=0.3, soft=0.3))
  for y, z, up in ((7.4, 0.6, 3.4), (6.2, 3.4, 2.6), (4.0, 5.6, 2.0)):
    s += anatomy.tuft(((0, y - 0.6, z), (0, y + up, z - 1.0)), (1.1, 0.2),
                      t.colors['mark'], blend=0.3)  # fmt: skip

  def scales(points: coats.Points, so_far: coats.Points) -> coats.Points:
    x, y = points[:, 0] / 1.1, (points[:, 1] - 0.5 * points[:, 2]) / 0.95
    row = np.floor(y)
    u = x + 0.5 * (row % 2)
    edge = np.hypot(2 * (u - np.floor(u)) - 1, (y - row) - 0.1)
    weight = np.clip((edge - 0.78) * 3, 0, 1) * (points[:, 1] > -3.4)
    return coats.mix(so_far, t.colors['mark'], 0.5 * weight[:, None])

  green = solids.ellipsoid((0, 1.4, 1), (7.8, 6.2, 9.6))
  s.append(sculpt.paint(green, scales, soft=0.4))
  s += anatomy.nostrils(
    s, 1.5, -1.3, 0.6 * t.nose, stretch=0.75, roll=30,
    color=t.colors['mark'] * 0.2,
  )  # fmt: skip
  if t.gape > 0.15:
    s += anatomy.mouth_open(
      s, t, -5.2, 2.7, 0.8 + 1.2 * t.gape, fangs=1.4, teeth=0.2
    )
  else:
    s += anatomy.mouth_line(
      t, -4.8, 4.6, curve=1.2, rest=0.35, back=2.0,
      color=t.colors['mark'] * 0.3,
    )  # fmt: skip
    s += muzzles.tusks(s, t, 1.9, -4.3, 1.4, width=0.5)
  eye, center = anatomy.eyes(
    s, t, 3.6, 2.7, 1.8, lid='mark', slit=0.4, iris_size=0.84,
    pupil_size=0.62, upper=34,
  )  # fmt: skip
  s += eye
  s += anatomy.brows(
    s, t, 3.5, 4.5, length=4.2, thickness=0.8, color='mark', arch=0.1, rest=0.7
  )
  return anatomy.Head(s, center, anatomy.surface(s, 0, -5.0))


def unicorn(t: traits.Traits) -> anatomy.Head:
  """Model a unicorn: a white foal with a golden horn and a bright mane."""
  reach = 6.2 + 2.0 * (t.muzzle - 1)
  s = [
    anatomy.ball(t, (0, 2.0, -1.0), (6.0, 6.0, 5.6)),
    anatomy.ball(t, (2.8, -0.6, 1.2), np.array([3.2, 3.4, 3.4]) * t.cheek),
  ]
  face = solids.tube(
    ((0, 2.4, 2.0), (0, -2.4, 4.6), (0, -6.0, reach)), (4.2, 3.3, 2.9)
  )
  s.append(sculpt.add(face, t.colors['base'], blend=1.2))
  s += anatomy.pointed_ear(
    t, (3.6, 6.0, -1.0), (5.8, 11.2, -0.8), 1.7, point=0.2, peak=0.45
  )
  s.append(anatomy.dab(t, (0, -7.6, reach), (4.2, 2.9, 4.4), 'light'))
  for i, (start, bend, end) in enumerate((
    ((0.4, 8.0, -0.6), (3.4, 10.6, 3.6), (5.2, 4.0, 4.4)),
    ((1.6, 7.6, -1.0), (6.4, 9.2, 1.6), (7.0, 1.0, 1.8)),
    ((2.6, 6.6, -2.6), (9.2, 6.4, -1.0), (8.0, -3.0, -0.6)),
    ((3.0, 4.0, -3.4), (9.8, 2.0, -2.4), (7.4, -8.0, -2.0)),
  )):  # fmt: skip
    tone = t.colors['hair'] if i % 2 == 0 else t.colors['accent']
    s += anatomy.tuft((start, bend, end), (1.3, 1.7, 0.3), tone, count=7)
  top = min(15.6, 7.0 + 8.2 * t.feature)
  horn = solids.cone((0, 6.2, 3.6), (0, top, 6.8), 1.35, 0.2)
  twist = solids.swollen(
    horn, lambda x, y, z: 0.13 * np.sin(3.6 * (y + 0.5 * x)), 0.13
  )
  gold = t.colors['horn']

  def spiral(points: coats.Points, so_far: coats.Points) -> coats.Points:
    wave = np.sin(3.6 * (points[:, 1] + 0.5 * points[:, 0]))
    return coats.mix(gold, gold * 0.5, np.clip(-wave, 0, 1)[:, None])

  s.append(sculpt.add(twist, spiral, blend=0.3, soft=0.15))
  s += anatomy.nostrils(s, 1.5, -6.2, 0.42 * t.nose, stretch=1.2, roll=-25,
                        color=t.colors['mark'] * 0.4)  # fmt: skip
  s += anatomy.mouth_line(t, -8.2, 2.6, curve=1.0, rest=0.6, back=3.0,
                          color=t.colors['mark'] * 0.35)  # fmt: skip
  eye, center = anatomy.eyes(
    s, t, 3.7, 1.6, 2.0, lid='mark', iris_size=0.84, pupil_size=0.5,
    gaze=(0.2, 0, 1),
  )  # fmt: skip
  s += eye
  s += anatomy.mood_brows(s, t, 3.4, 4.4, color='mark')
  return anatomy.Head(s, center, anatomy.surface(s, 0, -8.2))


def robot(t: traits.Traits) -> anatomy.Head:
  """Model a robot: a box with lamp eyes, grille, bolts and an antenna."""
  w, h = 7.2, 7.0
  s = [
    sculpt.add(
      solids.block((0, 0.0, -0.4), (w, h, 6.0), rounding=1.6),
      t.colors['base'],
    ),
    sculpt.add(
      solids.block((0, -5.6, 0.6), (5.6 * t.jaw, 3.4, 5.2), rounding=1.2),
      t.colors['light'], blend=0.2, soft=0.15,
    ),
    sculpt.add(
      solids.block((0, 6.6, -0.4), (5.0, 1.8, 4.2), rounding=0.9),
      t.colors['light'], blend=0.2, soft=0.15,
    ),
  ]  # fmt: skip
  seam = solids.block((0, 4.6, 0), (9, 0.16, 9), rounding=0.1)
  s.append(sculpt.paint(seam, t.colors['mark'], soft=0.15))
  rod = solids.cone((0, 7.6, -0.4), (0, 11.4 * (0.5 + 0.5 * t.feature), -0.4),
                    0.5, 0.4)  # fmt: skip
  knob = solids.ellipsoid((0, 12.2 * (0.5 + 0.5 * t.feature), -0.4), 1.5)
  s.append(sculpt.add(rod, t.colors['mark'], blend=0.1, soft=0.15))
  s.append(sculpt.add(knob, t.colors['hair'], blend=0.1, soft=0.15))
  ear = solids.cone((6.4, 1.4, -0.6), (8.9, 1.4, -0.6), 2.3, 2.1)
  s.append(sculpt.add(ear, t.colors['light'], blend=0.1, soft=0.2))
  cap = solids.cone((8.4, 1.4, -0.6), (10.6, 1.4, -0.6), 1.3, 0.9)
  s.append(sculpt.add(cap, t.colors['hair'], blend=0.1, soft=0.2))
  visor = solids.block((0, 1.9, 5.6), (6.3, 2.9, 1.2), rounding=1.1)
  s.append(sculpt.add(visor, t.colors['mark'], blend=0.15, soft=0.15))
  for x, y in ((5.7, 6.0), (6.0, -2.4)):
    bolt = solids.ellipsoid(
      anatomy.surface(s, x, y) if y < 5 else (3.8, 7.0, 3.4), (0.6, 0.6, 0.5)
    )
    s.append(sculpt.add(bolt, t.colors['mark'], blend=0.05, soft=0.12))
  nose = solids.ellipsoid((0, -2.0, 5.6), (0.9 * t.nose, 0.9, 0.9))
  s.append(sculpt.add(nose, t.colors['hair'], blend=0.1, soft=0.15))
  smile = float(np.clip(t.smile + 0.2, -1, 1))
  frame = solids.block((0, -5.0, 5.4), (3.9, 1.55, 0.9), rounding=0.6)
  s.append(sculpt.add(frame, t.colors['mark'], blend=0.1, soft=0.15))

  def grille(points: coats.Points, so_far: coats.Points) -> coats.Points:
    x, y = points[:, 0], points[:, 1] + 5.0
    bend = 0.5 * smile * ((x / 3.4) ** 2 - 0.4)
    inside = (np.abs(x) < 3.3) & (np.abs(y - bend) < 0.75)
    lit = inside & (np.abs(np.mod(x + 0.65, 1.3) - 0.65) < 0.42)
    return np.where(lit[:, None], t.colors['iris'], so_far)

  s.append(sculpt.paint(solids.swollen(frame, 0.2), grille, soft=0.1))
  s.append(anatomy.everywhere(coats.fur(0.03, 0.5, seed=t.seed)))
  eye, center = anatomy.eyes(
    s, t, 3.0, 1.9, 1.95, lid='mark', iris_size=0.84, pupil_size=0.4, sink=0.45,
    upper=58, lower=-60,
  )  # fmt: skip
  s += eye
  s += anatomy.mood_brows(s, t, 3.0, 4.6, color='hair', arch=0.0)
  return anatomy.Head(s, center, anatomy.surface(s, 0, -5.0))


def alien(t: traits.Traits) -> anatomy.Head:
  """Model an alien: a great bald skull, black almond eyes, tiny mouth."""
  s = [
    anatomy.ball(t, (0, 4.0, -1.0), (8.6, 8.6, 7.0)),
    anatomy.ball(t, (0, -2.4, 0.4), (5.8, 6.0, 5.4), blend=3.0),
    anatomy.ball(t, (0, -7.0, 2.0), np.array([2.8, 2.6, 2.8]) * t.jaw, blend=2),
    anatomy.ball(t, (4.2, -1.4, 2.4), (1.8, 2.0, 2.2)),
  ]
  s.append(
    anatomy.everywhere(
      coats.blotches(t.colors['light'], 0.25, 2.2 * t.pattern, t.seed)
    )
  )
  spots = coats.spots(t.colors['mark'], 0.55 * t.pattern, 2.6, t.seed)
  crown = solids.ellipsoid((0, 11.6, 0), (9, 4.6, 9))
  s.append(sculpt.paint(crown, spots, soft=1.0))
  for x in (2.6,):
    stalk = np.array(
      [(x, 11.0, 0.6), (x + 0.6, 14.0, 1.6), (x + 2.2, 15.2, 1.4)]
    )
    stalk = stalk[0] + (stalk - stalk[0]) * min(t.feature, 1.1)
    s += anatomy.tuft(stalk, (0.55, 0.5), t.colors['base'])
    s.append(anatomy.ball(t, stalk[-1], 1.0, 'light', blend=0.2, soft=0.2))
  dark = t.colors['mark'] * 0.25
  s += anatomy.nostrils(s, 0.5, -3.4, 0.26, stretch=1.4, color=dark)
  if t.gape > 0.3:
    s += anatomy.mouth_open(s, t, -6.2, 1.5, 0.4 + 0.7 * t.gape, teeth=0)
  else:
    s += anatomy.mouth_line(
      t, -6.2, 1.7, curve=0.8, rest=0.4, color=dark, back=3.0
    )
  x, y = 3.7 * t.spacing, 0.9
  tilt = solids.rotation(18, -4, 34 + 10 * t.tilt)
  center = anatomy.surface(s, x, y, -0.9)
  size = np.array([3.4, 2.1 * (1 - 0.5 * t.lid), 1.9]) * t.eye
  socket = solids.ellipsoid(center, size * 1.14, tilt)
  s.append(sculpt.add(socket, t.colors['mark'], blend=0.4, soft=0.3))
  almond = solids.ellipsoid(center + np.array([0, 0, 0.35]), size, tilt)
  glow = t.colors['iris']

  def gloss(points: coats.Points, so_far: coats.Points) -> coats.Points:
    sign = np.where(points[:, 0] < 0, -1, 1)
    u = points[:, 0] * sign - center[0]
    v = points[:, 1] - center[1]
    base = coats.mix(
      t.colors['white'], glow, np.clip(0.5 - 0.4 * v, 0, 1)[:, None]
    )
    for du, dv, size in ((-0.7, 0.9, 0.62), (0.8, -0.3, 0.28)):
      away = np.hypot(u * sign - du, v - dv)
      spot = np.clip(0.5 + (size - away) / 0.25, 0, 1)[:, None]
      base = coats.mix(base, np.ones(3), spot)
    return base

  s.append(sculpt.add(almond, gloss, blend=0.02, soft=0.12))
  return anatomy.Head(s, center, anatomy.surface(s, 0, -6.2))


def skull(t: traits.Traits) -> anatomy.Head:
  """Model a skull: empty sockets, nose hole, cheekbones, rows of teeth."""
  bone, dark = t.colors['base'], t.colors['mark']
  s = [
    anatomy.ball(t, (0, 3.2, -0.8), (7.8, 7.4, 6.8)),
    anatomy.ball(t, (0, -2.0, 1.4), (4.8, 4.8, 4.8), blend=1.6),
    anatomy.ball(
      t, (4.9, -1.0, 2.6), np.array([2.2, 1.5, 2.3]) * t.cheek, 'light',
      blend=1.0,
    ),
    anatomy.ball(t, (0, -7.6, 2.4), (3.9 * t.jaw, 2.2, 3.4), blend=1.0),
    sculpt.add(
      solids.tube(
        ((5.2, -1.6, -0.6), (5.6, -6.6, 0.4), (2.0, -8.4, 3.4)),
        (1.2, 1.1, 1.4),
      ),
      bone,
    ),
    anatomy.ball(t, (0, -4.8, 3.2), (3.6, 2.6, 3.2), 'light', blend=0.8),
  ]  # fmt: skip
  ridge = solids.tube(
    ((0.6, 3.2 - t.tilt, 6.2), (3.2, 4.8, 6.0), (6.4, 2.8, 3.0)),
    (0.8, 1.0, 0.8),
  )
  s.append(sculpt.add(ridge, bone, blend=1.0))
  hollow = solids.ellipsoid((8.4, -4.0, 2.4), (2.6, 2.6, 3.0))
  s.append(sculpt.carve(hollow, bone * 0.8, blend=0.8, soft=0.4))

  def cracks(points: coats.Points, so_far: coats.Points) -> coats.Points:
    value = coats.noise(points * 0.5, t.seed)
    value = value + 0.4 * coats.noise(points * 1.3, t.seed + 1)
    weight = np.clip(1 - np.abs(value) * 14, 0, 1) * (points[:, 1] > 4)
    return coats.mix(so_far, t.colors['inner'], 0.7 * weight[:, None])

  s.append(anatomy.everywhere(cracks))
  s.append(anatomy.everywhere(coats.fur(0.06, 0.5, seed=t.seed)))
  x = 3.2 * t.spacing
  tilt = solids.rotation(12, 0, 8 + 18 * t.tilt)
  center = anatomy.surface(s, x, 1.6, -0.4)
  size = np.array([2.3, 2.2, 2.6]) * t.eye
  socket = solids.ellipsoid(center, size, tilt)
  s.append(sculpt.carve(socket, dark, blend=0.5, soft=0.3))
  glow = solids.ellipsoid(center + np.array([-0.1, 0, -1.2]), 0.75)
  ember = (
    coats.hex_color('#ff5a1c') if t.tilt > 0.5 else coats.hex_color('#6b5a48')
  )
  s.append(sculpt.paint(solids.swollen(glow, 0.6), ember, soft=0.8))
  nose = solids.leaf(
    (0.62, -2.7, 5.8), (0.25, 0.4, 5.8), 0.85, 1.6, (0, 0, 1), peak=0.2,
    point=0.2,
  )  # fmt: skip
  s.append(sculpt.carve(nose, dark, blend=0.3, soft=0.25))
  tooth = t.colors['light']
  drop = 0.4 + 1.4 * t.gape
  for y in (-5.2, -5.5 - drop):
    for i in range(4):
      x = 0.5 + 0.95 * i
      z = 6.0 - 0.18 * x * x
      rise = 0.09 * x * x * (t.smile + 0.2)
      body = solids.block((x, y + rise, z), (0.48, 0.72, 0.55), rounding=0.25)
      s.append(sculpt.add(body, tooth, blend=0.05, soft=0.1))
  band = solids.block(
    (0, -5.35 - drop / 2, 6.6), (4.2, 0.22 + 0.4 * drop, 2.2), rounding=0.2
  )

  def gaps(points: coats.Points, so_far: coats.Points) -> coats.Points:
    x = np.abs(points[:, 0])
    rise = 0.09 * x * x * (t.smile + 0.2)
    y = points[:, 1] + 5.35 + drop / 2 - rise
    line = np.abs(np.mod(x + 0.02, 0.95)) < 0.13
    open_ = np.abs(y) < 0.14 + 0.5 * (drop - 0.4)
    tall = np.abs(y) < 1.0 + 0.5 * drop
    near = (x < 3.9) & (points[:, 2] > 3.0)
    weight = near & tall & (open_ | line)
    return np.where(weight[:, None], dark, so_far)

  s.append(sculpt.paint(solids.swollen(band, 1.5), gaps, soft=0.1))
  return anatomy.Head(s, center, anatomy.surface(s, 0, -5.6))


KINDS = (
  kind.Kind(
    name='dragon', model=dragon, often=True,
    names=('dragon',),
    palette={
      'base': '#2f9a48', 'light': '#e9dc8c', 'mark': '#14532a',
      'horn': '#efe0b4', 'iris': '#f5b90f', 'inner': '#c9584a',
    },
    breeds=(
      {'base': '#c23a22', 'mark': '#6a1612', 'light': '#f0c070'},
      {'base': '#2f62b8', 'mark': '#16306a', 'light': '#bcd8ea'},
      {'base': '#6a3fa0', 'mark': '#351c5c', 'light': '#d9b8e6'},
    ),
  ),
  kind.Kind(
    name='unicorn', model=unicorn,
    names=('unicorn',),
    palette={
      'base': '#fbf8fb', 'light': '#f7cfe0', 'mark': '#e79cc4',
      'hair': '#e86fb4', 'accent': '#8a6fe0', 'iris': '#7a4fd0',
      'inner': '#f5b9d3', 'horn': '#f2c53a',
    },
    breeds=(
      {'hair': '#3fb0d8', 'accent': '#f2a0c8', 'mark': '#8fc3e0'},
    ),
  ),
  kind.Kind(
    name='robot', model=robot, often=True,
    names=('robot', 'android'),
    palette={
      'base': '#8fa3b5', 'light': '#cfd9e2', 'mark': '#2b3440',
      'iris': '#2fd3f5', 'hair': '#e0452f', 'white': '#12202c',
      'pupil': '#eaffff',
    },
    breeds=(
      {'base': '#e3a92c', 'light': '#f2e3b8', 'hair': '#2b3440'},
      {'base': '#3f8fb8', 'light': '#d3e6ee', 'iris': '#ffcf3a'},
      {'base': '#d9dde2', 'light': '#9aa7b5', 'iris': '#ff5a3a'},
    ),
  ),
  kind.Kind(
    name='alien', model=alien, often=True,
    names=('alien', 'extraterrestrial'),
    palette={
      'base': '#6fbf4a', 'light': '#b5e38a', 'mark': '#3f8a2c',
      'iris': '#1c1030', 'inner': '#3f8a2c', 'white': '#07070c',
      'pupil': '#000004',
    },
    breeds=(
      {'base': '#8f9aa3', 'light': '#c3cad0', 'mark': '#5c666f'},
      {'base': '#6f6fc8', 'light': '#b0b0ee', 'mark': '#45459a'},
    ),
  ),
  kind.Kind(
    name='skull', model=skull, often=True,
    names=('skull', 'skeleton'),
    palette={
      'base': '#f0e8d2', 'light': '#fffaf0', 'mark': '#15100d',
      'iris': '#15100d', 'inner': '#4a3c2c',
    },
  ),
)  # fmt: skip
