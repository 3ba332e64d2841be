"""Giants of the wild: elephant, hippo, rhinoceros; and deer, koala.

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


def elephant(t: traits.Traits) -> anatomy.Head:
  """Model an elephant: trunk, sail ears, tusks, domed brow."""
  s = [
    anatomy.ball(t, (0, 1.4, -1.0), (6.8, 7.8, 6.0)),
    anatomy.ball(t, (2.4, 5.6, 0.6), (3.9, 3.4, 4.0)),
    anatomy.ball(t, (3.6, -2.6, 1.6), np.array([3.0, 3.2, 3.0]) * t.cheek),
  ]
  size = 0.45 + 0.55 * t.ear
  matrix = solids.rotation(24, 0, -12)
  fan = solids.ellipsoid(
    (9.3, 1.6, -2.2), (5.4 * size, 7.6 * size, 0.95), matrix
  )
  s.append(sculpt.add(fan, t.colors['base'], blend=1.0))
  lobe = solids.ellipsoid((8.6, -4.0, -1.8), (2.8 * size, 4.0, 0.9), matrix)
  s.append(sculpt.add(lobe, t.colors['base'], blend=1.0))
  cup = solids.ellipsoid(
    (9.9, 1.2, -0.7), (3.9 * size, 5.9 * size, 0.9), matrix
  )
  s.append(sculpt.carve(cup, t.colors['inner'], blend=0.5, soft=0.8))
  jaw = solids.ellipsoid((0, -5.6, 2.8), (2.6, 2.0, 2.6))
  s.append(sculpt.add(jaw, t.colors['light'], blend=1.0))
  s += anatomy.mouth_line(t, -4.6, 3.2, curve=1.4, rest=0.5, back=2.0)
  reach = min(t.feature, 1.15)
  path = (
    (0, 1.4, 3.6),
    (0, -2.0, 8.8),
    (0, -6.4 * reach, 6.4 + 2.0 * reach),
    (0, -12.6 * reach, 4.4 + 2.6 * reach),
    (0, -10.6 * reach, 9.8 + 2.2 * reach),
  )

  def rings(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    return 0.13 * np.sin(4.2 * (y * 0.9 - 0.35 * z))

  trunk = solids.tube(path, (3.0, 2.3, 1.75, 1.45, 1.25), count=12)
  trunk = solids.swollen(trunk, rings, 0.2)
  s.append(sculpt.add(trunk, t.colors['base'], blend=1.4))
  end = solids.bezier(path, 12)[-1]
  hole = solids.ellipsoid(end + np.array([0.45, 0.9, 0.9]), (0.35, 0.4, 0.5))
  s.append(sculpt.paint(hole, t.colors['mark'] * 0.4, soft=0.3))
  s.append(anatomy.everywhere(coats.fur(0.1, 0.7, seed=t.seed)))
  tusk = solids.tube(
    (
      (2.7, -3.4, 3.6),
      (3.5, -7.4, 6.0),
      (3.6, -7.8 * (0.6 + 0.4 * reach), 9.8),
    ),
    (0.95, 0.75, 0.2),
  )
  s.append(sculpt.add(tusk, t.colors['tooth'], blend=0.3, soft=0.15))
  eye, center = anatomy.eyes(
    s, t, 4.0, 2.2, 1.6, iris_size=0.72, pupil_size=0.42, patch='mark',
    patch_size=1.3,
  )  # fmt: skip
  s += eye
  s += anatomy.mood_brows(s, t, 3.9, 4.6, color='mark')
  return anatomy.Head(s, center, np.array([0, -5.0, 5.0]))


def hippo(t: traits.Traits) -> anatomy.Head:
  """Model a hippopotamus: a huge boxy muzzle, eyes and ears on top."""
  z = 4.6 + 2.8 * (t.muzzle - 1)
  s = [
    anatomy.ball(t, (0, 3.0, -1.4), (6.2, 5.4, 5.2)),
    anatomy.ball(t, (0, -0.6, 1.6), (5.0, 4.4, 4.8)),
    anatomy.ball(t, (0, -4.2, z - 1), (6.6, 4.0, 4.4), 'light', blend=2.0),
    anatomy.ball(t, (3.2, -2.4, z + 0.6), (3.2, 2.9, 3.2), 'light', blend=1.0),
    anatomy.ball(t, (0, -7.2, z - 1.0), (5.2, 2.4, 3.8), 'light', blend=0.7),
  ]
  s += anatomy.round_ear(t, (5.0, 8.2, -1.4), 1.9, turn=20, stretch=1.2)
  s.append(anatomy.everywhere(coats.fur(0.06, 0.7, seed=t.seed)))
  s += anatomy.nostrils(s, 2.2, -0.8, 0.75 * t.nose, stretch=0.7, roll=25,
                        color=t.colors['mark'] * 0.3)  # fmt: skip
  if t.gape > 0.15:
    s += anatomy.mouth_open(
      s, t, -6.4, 4.4, 0.7 + 1.2 * t.gape, teeth=0, fangs=0.0
    )
  else:
    s += anatomy.mouth_line(
      t, -6.4, 6.2, curve=1.5, rest=0.4, back=0.0,
      color=t.colors['mark'] * 0.35,
    )  # fmt: skip
  tooth = solids.block((2.3, -5.8, z + 3.0), (0.7, 0.9, 0.55), rounding=0.3)
  s.append(sculpt.add(tooth, coats.hex_color('#fdf6df'), blend=0.1, soft=0.12))
  bump = anatomy.surface(s, 3.5 * t.spacing, 4.8, -0.8)
  s.append(anatomy.ball(t, bump, (2.1, 2.1, 2.0)))
  eye, center = anatomy.eyes(
    s, t, 3.5, 4.9, 1.6, iris_size=0.7, pupil_size=0.42
  )
  s += eye
  s += anatomy.mood_brows(s, t, 3.4, 7.0, color='mark')
  return anatomy.Head(s, center, anatomy.surface(s, 0, -6.3))


def rhinoceros(t: traits.Traits) -> anatomy.Head:
  """Model a rhinoceros: two horns in line on a heavy long face."""
  z = 6.0 + 2.4 * (t.muzzle - 1)
  s = [
    anatomy.ball(t, (0, 2.4, -1.2), (6.2, 6.0, 5.4)),
    anatomy.ball(t, (3.0, -0.8, 1.0), np.array([3.2, 3.4, 3.4]) * t.cheek),
  ]
  face = solids.tube(
    ((0, 2.4, 2.0), (0, -2.4, 4.4), (0, -5.2, z)), (4.6, 3.6, 3.4)
  )
  s.append(sculpt.add(face, t.colors['base'], blend=1.4))
  s.append(anatomy.ball(t, (0, -6.8, z - 1), (3.6, 2.2, 3.2), 'light'))
  s += anatomy.pointed_ear(
    t, (4.2, 6.0, -1.6), (6.6, 10.8, -1.6), 1.8, point=0.3, peak=0.5
  )
  folds = coats.fur(0.16, 0.5, seed=t.seed)
  s.append(anatomy.everywhere(folds))
  for x, y, w in ((4.6, -3.4, 3.0), (5.2, 0.2, 2.4)):
    fold = solids.tube(((x, y + 2.4, 1), (x - 0.6, y, w + 1), (x, y - 2, 1)),
                       (0.25, 0.3, 0.25))  # fmt: skip
    s.append(sculpt.paint(solids.swollen(fold, 0.4), t.colors['mark']))
  s += muzzles.horns(
    t, ((0, -2.0, z + 1.4), (0, 0.6, z + 6.0), (0, 7.6, z + 5.6)),
    (2.0, 1.35, 0.3), blend=0.8,
  )  # fmt: skip
  s += muzzles.horns(
    t, ((0, 2.2, 6.0), (0, 4.2, 8.6), (0, 6.6, 8.2)), (1.4, 0.9, 0.3),
    blend=0.8,
  )  # fmt: skip
  s += anatomy.nostrils(s, 2.0, -4.6, 0.6 * t.nose, stretch=0.75, roll=30)
  s += anatomy.mouth_line(
    t, -6.8, 3.4, curve=1.1, rest=0.3, back=2.0, color=t.colors['mark'] * 0.35
  )
  eye, center = anatomy.eyes(
    s, t, 4.0, 2.2, 1.45, iris_size=0.7, pupil_size=0.4, patch='mark',
    patch_size=1.35,
  )  # fmt: skip
  s += eye
  s += anatomy.mood_brows(s, t, 3.8, 4.4, color='mark')
  return anatomy.Head(s, center, anatomy.surface(s, 0, -6.9))


def deer(t: traits.Traits) -> anatomy.Head:
  """Model a deer: branched antlers, slim face, big gentle eyes."""
  s = [
    anatomy.ball(t, (0, 1.6, -0.8), (5.8, 6.2, 5.6)),
    anatomy.ball(t, (2.4, -1.4, 1.6), np.array([2.9, 3.2, 3.2]) * t.cheek),
  ]
  s += muzzles.side_ear(t, (4.4, 4.4, -0.8), (10.8, 6.8, -0.4), width=1.9)
  beam = ((2.3, 6.4, 0), (5.6, 9.2, -0.6), (6.8, 15.8, 0.4))
  s += muzzles.horns(t, beam, (0.95, 0.72, 0.3))
  root = np.array(beam[0])
  for start, end in (
    ((3.6, 8.2, -0.2), (2.5, 12.0, 1.6)),
    ((5.0, 10.6, -0.3), (9.2, 13.4, 0.8)),
    ((5.7, 12.4, -0.1), (4.0, 15.6, 1.0)),
  ):
    a = root + (np.array(start) - root) * t.feature
    b = root + (np.array(end) - root) * t.feature
    tine = solids.cone(a, b, 0.66, 0.26)
    s.append(sculpt.add(tine, t.colors['horn'], blend=0.3, soft=0.2))
  s.append(anatomy.everywhere(coats.fur(0.1, seed=t.seed)))
  reach = 6.4 + 2.2 * (t.muzzle - 1)
  snout = solids.tube(
    ((0, 1.6, 2.8), (0, -1.6, 6.0), (0, -4.2, reach)), (3.6, 2.6, 1.9)
  )
  s.append(sculpt.add(snout, t.colors['base'], blend=1.2))
  jaw = solids.tube(((0, -3.0, 1.5), (0, -5.8, reach - 0.8)), (2.8, 1.5))
  s.append(sculpt.add(jaw, t.colors['light'], blend=1.0, soft=0.6))
  s.append(anatomy.dab(t, (0, -5.4, 6.4), (2.8, 1.9, 3.4), 'light'))
  crown = solids.ellipsoid((0, 6.0, 3.2), (2.0, 3.4, 4.0))
  s.append(sculpt.paint(crown, t.colors['mark'], soft=1.6))
  tip = (0, -3.4, reach + 1.5)
  s += anatomy.pad(t, tip, (1.45, 1.0, 0.9))
  s += anatomy.mouth_line(t, -5.5, 2.4, curve=0.8, rest=0.6, back=4.0, wave=0.2)
  eye, center = anatomy.eyes(
    s, t, 3.4, 1.9, 1.75, lid='mark', iris_size=0.82, pupil_size=0.52,
    patch='light', patch_size=1.35, gaze=(0.25, 0, 1),
  )  # fmt: skip
  s += eye
  s += anatomy.mood_brows(s, t, 3.2, 4.2, color='mark')
  return anatomy.Head(s, center, anatomy.surface(s, 0, -5.6))


def koala(t: traits.Traits) -> anatomy.Head:
  """Model a koala: fluffy side ears, a long leather nose."""
  s = [
    anatomy.ball(t, (0, -0.6, -0.8), (7.8, 7.4, 6.2)),
    anatomy.ball(t, (4.2, -3.4, 0.8), np.array([3.4, 3.0, 3.2]) * t.cheek),
  ]
  s += anatomy.round_ear(
    t, (8.4, 4.8, -1.0), 4.2, thickness=1.3, turn=16, hollow=0.62
  )
  size = t.ear
  for angle in (-60, -25, 10, 45, 80):
    a = np.radians(angle)
    way = np.array([np.cos(a), np.sin(a), 0])
    start = np.array([8.4, 4.8, -0.8]) + way * 3.0 * size
    s += anatomy.tuft((start, start + way * 2.4), (1.3, 0.3), t.colors['base'])
  s.append(anatomy.everywhere(coats.fur(0.12, seed=t.seed)))
  s.append(anatomy.dab(t, (0, -6.0, 4.4), (3.8, 2.6, 4.0), 'light', soft=1.0))
  s.append(anatomy.ball(t, (0, -3.2, 4.6), (3.0, 2.6, 2.4)))
  s.append(anatomy.dab(t, (0, -5.6, 5.4), (2.6, 1.7, 3.0), 'light', soft=0.8))
  nose = solids.ellipsoid(
    (0, -0.9, 6.9), np.array([1.75, 2.7, 1.5]) * (t.nose, t.nose, 1),
    solids.rotation(0, -12),
  )  # fmt: skip
  s.append(sculpt.add(nose, t.colors['nose'], blend=0.3, soft=0.15))
  s += anatomy.nostrils(s, 0.75, -2.4, 0.34)
  if t.gape > 0.3:
    s += anatomy.mouth_open(s, t, -5.2, 1.7, 0.5 + 0.7 * t.gape, teeth=0)
  else:
    s += anatomy.mouth_line(t, -4.7, 2.1, curve=0.9, rest=0.7, back=3.0)
  eye, center = anatomy.eyes(
    s, t, 3.7, 1.6, 1.35, iris_size=0.78, pupil_size=0.48
  )
  s += eye
  s += anatomy.mood_brows(s, t, 3.6, 3.8, color='mark')
  return anatomy.Head(s, center, anatomy.surface(s, 0, -4.8))


KINDS = (
  kind.Kind(
    name='elephant', model=elephant, often=True,
    names=('elephant', 'elephant', 'African elephant'),
    palette={
      'base': '#8d95a3', 'light': '#b9bfc9', 'mark': '#666d7a',
      'inner': '#d9a3a6', 'iris': '#6b4320', 'tooth': '#fdf6df',
    },
  ),
  kind.Kind(
    name='hippo', model=hippo,
    names=('hippo', 'hippopotamus'),
    palette={
      'base': '#8f7fa3', 'light': '#b79fb8', 'mark': '#6a5c80',
      'inner': '#d58fa8', 'iris': '#4a2c14',
    },
  ),
  kind.Kind(
    name='rhinoceros', model=rhinoceros,
    names=('rhinoceros', 'rhino'),
    palette={
      'base': '#84878c', 'light': '#a8aaad', 'mark': '#5c5f66',
      'inner': '#b78f8c', 'iris': '#4a2c14', 'horn': '#efe4c8',
    },
  ),
  kind.Kind(
    name='deer', model=deer,
    names=('deer', 'stag', 'reindeer'),
    palette={
      'base': '#b9743a', 'light': '#f6e6cd', 'mark': '#6e3d1a',
      'nose': '#201512', 'inner': '#f1d3bd', 'iris': '#3c2110',
      'horn': '#d9c19a',
    },
  ),
  kind.Kind(
    name='koala', model=koala,
    names=('koala', 'koala bear'),
    palette={
      'base': '#97a0ab', 'light': '#eef0f2', 'mark': '#6b7480',
      'nose': '#26262c', 'inner': '#f3e9ea', 'iris': '#5a3418',
    },
  ),
)  # fmt: skip
