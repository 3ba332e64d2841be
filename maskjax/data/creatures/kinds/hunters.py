"""Hunters: dogs and bears.

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


def fox(t: traits.Traits) -> anatomy.Head:
  """Model a fox: wide pointed cheeks, slender snout, tall black-tipped ears."""
  s = [
    anatomy.ball(t, (0, 0.4, -0.8), (6.8, 6.8, 6.0)),
    anatomy.ball(t, (3.8, -2.2, 0.6), (3.6, 2.9, 3.0), blend=1.6),
  ]
  for y, reach, drop in ((-1.6, 10.6, -1.0), (-3.6, 9.2, -2.0)):
    end = (reach * (0.5 + 0.5 * t.cheek), y + drop, -1.0)
    s += anatomy.tuft(((4.0, y, 0.4), end), (2.5, 0.3), t.colors['light'],
                      soft=0.5)  # fmt: skip
  s += anatomy.pointed_ear(
    t, (4.2, 4.4, -1.0), (6.4, 13.0, -1.4), 2.9, tip_color='mark'
  )
  s.append(anatomy.everywhere(coats.fur(0.1, seed=t.seed)))
  snout, tip = muzzles.snout(t, 5.6, y=-2.2, width=2.0, tip=1.15)
  s += snout
  s.append(anatomy.dab(t, (3.6, -2.6, 4.4), (2.9, 2.3, 3.0), 'light', soft=0.6))
  s.append(anatomy.dab(t, (0, -6, 2), (4.5, 2.6, 6), 'light', soft=0.8))
  s += anatomy.pad(t, tip, (1.05, 0.85, 0.85))
  s += muzzles.snout_mouth(t, s, -4.0, 1.6, fangs=1.0)
  eye, center = anatomy.eyes(
    s, t, 3.1, 2.0, 1.6, lid='mark', slit=0.7, upper=38, pupil_size=0.4
  )
  s += eye
  s += anatomy.mood_brows(s, t, 3.1, 4.2, color='mark')
  return anatomy.Head(s, center, np.array([0, -4.2, tip[2] - 2.5]))


def wolf(t: traits.Traits) -> anatomy.Head:
  """Model a wolf: grey, heavy snout, shaggy cheeks, a dark cap."""
  s = [
    anatomy.ball(t, (0, 0.4, -0.8), (7.0, 7.6, 6.2)),
    anatomy.ball(t, (4.0, -2.0, 0.6), (3.6, 3.4, 3.2), blend=1.6),
  ]
  light = t.colors['light']
  for y, reach, drop in (
    (1.2, 9.0, -1.2), (-1.0, 10.0, -1.6), (-3.4, 9.6, -2.2), (-5.8, 7.6, -2.6),
  ):  # fmt: skip
    end = (reach * (0.5 + 0.5 * t.cheek), y + drop, -1.2)
    tone = coats.mix(t.colors['base'], light, 0.0 if y > 0 else 0.8)
    s += anatomy.tuft(((4.4, y, 0.2), end), (2.4, 0.3), tone, soft=0.6)
  s += anatomy.tuft(((0, -5, 1), (0.8, -10.5, 0.5)), (3.0, 0.4), light)
  s += anatomy.pointed_ear(
    t, (4.0, 5.0, -1.2), (5.6, 12.6, -1.8), 2.4, tip_color='mark'
  )
  cap = solids.ellipsoid((0, 7.0, 3.0), (3.6, 4.2, 6.0))
  s.append(sculpt.paint(cap, t.colors['mark'], soft=2.0))
  s.append(anatomy.everywhere(coats.fur(0.2, 0.9, seed=t.seed)))
  snout, tip = muzzles.snout(t, 5.2, y=-2.2, width=2.6, tip=1.7)
  s += snout
  ridge = solids.cone((0, 3.0, 6.0), (0, -1.2, tip[2] - 1.0), 1.3, 0.9)
  s.append(sculpt.paint(ridge, t.colors['mark'], soft=0.8))
  s.append(anatomy.dab(t, (3.6, -2.0, 4.4), (2.6, 2.0, 3.0), 'light'))
  s.append(anatomy.dab(t, (2.9, 4.4, 5.5), (1.3, 0.8, 2.5), 'light', soft=0.6))
  s += anatomy.pad(t, tip, (1.45, 1.1, 1.0))
  s += muzzles.snout_mouth(t, s, -4.4, 2.3, fangs=1.5)
  eye, center = anatomy.eyes(
    s, t, 3.0, 2.4, 1.4, lid='mark', upper=30, pupil_size=0.3
  )
  s += eye
  s += anatomy.brows(
    s, t, 2.8, 3.9, length=3.0, thickness=0.55, color='base', arch=0.1, rest=0.8
  )
  return anatomy.Head(s, center, np.array([0, -4.6, tip[2] - 2.5]))


def dog(t: traits.Traits) -> anatomy.Head:
  """Model a dog: floppy ears, a broad snout, often a hanging tongue."""
  s = [
    anatomy.ball(t, (0, 1.2, -0.6), (6.9, 7.2, 6.2)),
    anatomy.ball(t, (3.2, -2.6, 1.8), np.array([3.0, 2.8, 2.8]) * t.cheek),
  ]
  blaze = solids.ellipsoid((0, 4.2, 5.4), (1.7, 6.0, 3.5))
  s.append(sculpt.paint(blaze, t.colors['light'], soft=0.6))
  patch = solids.ellipsoid((4.2, 2.6, 4.6), (3.0, 3.2, 3.4))
  s.append(sculpt.paint(patch, t.colors['mark'], soft=0.5))
  size = t.ear
  ear = solids.leaf(
    (5.0, 6.2, -1.2), (9.2, -6.2 * size, 0.8), 3.0 * size, 1.1,
    (0.85, 0.25, 0.6), peak=0.6, point=0.5,
  )  # fmt: skip
  s.append(sculpt.add(ear, t.colors['mark'], blend=0.6, soft=0.3))
  s.append(anatomy.everywhere(coats.fur(0.08, seed=t.seed)))
  snout, tip = muzzles.snout(t, 3.4, y=-2.0, width=2.7, tip=2.0)
  s += snout
  jowl = solids.ellipsoid((1.5, -3.6, tip[2] - 2.4), (1.9, 1.7, 2.2))
  s.append(sculpt.add(jowl, t.colors['light'], blend=0.6, soft=0.5))
  s += anatomy.pad(t, tip, (1.65, 1.15, 1.0))
  s += muzzles.snout_mouth(t, s, -4.6, 2.3, fangs=0.0)
  if t.gape > 0.3 or t.smile > 0.4:
    root = anatomy.surface(s, 0, -5.4, -0.6)
    lick = solids.leaf(
      root, root + np.array([0, -3.6, 0.9]), 1.25, 0.6, (0, 0.2, 1),
      peak=0.5, point=0.8,
    )  # fmt: skip
    s.append(sculpt.add(lick, t.colors['tongue'], blend=0.2, soft=0.15))
  eye, center = anatomy.eyes(
    s, t, 3.0, 2.6, 1.75, lid='mark', iris_size=0.76, pupil_size=0.46
  )
  s += eye
  s += anatomy.mood_brows(s, t, 3.0, 5.0, color='mark')
  return anatomy.Head(s, center, np.array([0, -4.9, tip[2] - 2.0]))


def bear(t: traits.Traits) -> anatomy.Head:
  """Model a brown bear: round, small ears far apart, a pale stout muzzle."""
  s = [
    anatomy.ball(t, (0, 0.2, -0.8), (8.2, 8.0, 6.4)),
    anatomy.ball(t, (4.4, -3.4, 0.6), np.array([3.8, 3.4, 3.4]) * t.cheek),
    anatomy.ball(t, (0, 4.0, 2.0), (4.8, 3.4, 3.6)),
  ]
  s += anatomy.round_ear(t, (6.0, 7.2, -1.2), 2.7, turn=14)
  s.append(anatomy.everywhere(coats.fur(0.14, seed=t.seed)))
  z = 6.2 + 2.4 * (t.muzzle - 1)
  s += [
    anatomy.ball(t, (0, -2.8, z - 0.6), (3.8, 3.1, 3.4), 'light', soft=0.5),
    anatomy.ball(t, (0, -2.2, z + 1.2), (2.6, 2.0, 2.0), 'light'),
  ]
  tip = (0, -1.2, z + 2.9)
  s += anatomy.pad(t, tip, (1.75, 1.2, 1.0))
  groove = solids.block((0, -2.9, z + 2.4), (0.2, 1.2, 3), rounding=0.1)
  s.append(sculpt.paint(groove, coats.hex_color('#2a1413'), soft=0.2))
  s += muzzles.snout_mouth(t, s, -4.1, 2.2, fangs=1.2)
  eye, center = anatomy.eyes(
    s, t, 3.4, 2.0, 1.35, lid='mark', iris_size=0.78, pupil_size=0.46
  )
  s += eye
  s += anatomy.mood_brows(s, t, 3.4, 4.0, color='mark')
  return anatomy.Head(s, center, anatomy.surface(s, 0, -4.3))


def panda(t: traits.Traits) -> anatomy.Head:
  """Model a panda: white ball, black ears, black drooping patches."""
  s = [
    anatomy.ball(t, (0, -0.4, -0.8), (8.8, 8.0, 6.6)),
    anatomy.ball(t, (5.0, -3.4, 0.4), np.array([4.0, 3.4, 3.6]) * t.cheek),
  ]
  s += anatomy.round_ear(t, (6.4, 7.0, -1.0), 3.0, color='mark', turn=14)
  s.append(anatomy.everywhere(coats.fur(0.05, seed=t.seed)))
  z = 5.8 + 2.0 * (t.muzzle - 1)
  s += [
    anatomy.ball(t, (0, -2.9, z - 0.4), (3.1, 2.5, 2.9), 'light', soft=0.5),
    anatomy.ball(t, (0, -2.3, z + 0.9), (2.1, 1.6, 1.7), 'light'),
  ]
  s += anatomy.pad(t, (0, -1.5, z + 2.3), (1.4, 0.9, 0.8))
  groove = solids.block((0, -2.8, z + 2), (0.18, 0.9, 3), rounding=0.1)
  s.append(sculpt.paint(groove, coats.hex_color('#2a1413'), soft=0.2))
  s += muzzles.snout_mouth(t, s, -3.8, 1.7, fangs=0.0)
  x = 3.5 * t.spacing
  patch = solids.ellipsoid(
    anatomy.surface(s, x + 0.4, 1.2), (2.3, 3.3, 3.2),
    solids.rotation(0, 0, 28),
  )  # fmt: skip
  s.append(sculpt.paint(patch, t.colors['mark'], soft=0.4))
  eye, center = anatomy.eyes(
    s, t, 3.5, 1.8, 1.45, lid='mark', iris_size=0.76, pupil_size=0.46
  )
  s += eye
  s += anatomy.mood_brows(s, t, 3.4, 4.6, color='mark')
  return anatomy.Head(s, center, anatomy.surface(s, 0, -4.0))


def raccoon(t: traits.Traits) -> anatomy.Head:
  """Model a raccoon: bandit mask, white brow band, shaggy cheeks."""
  s = [
    anatomy.ball(t, (0, 0.0, -0.8), (7.4, 6.9, 6.2)),
    anatomy.ball(t, (4.2, -2.6, 0.6), (3.6, 2.8, 3.0), 'light', soft=1.4),
  ]
  for y, reach, drop in ((-0.8, 9.8, -0.8), (-3.0, 9.4, -1.6)):
    end = (reach * (0.5 + 0.5 * t.cheek), y + drop, -1.0)
    s += anatomy.tuft(((4.4, y, 0.4), end), (2.3, 0.3), t.colors['light'])
  s += anatomy.round_ear(
    t, (5.0, 6.8, -1.0), 2.3, stretch=1.2, turn=14, roll=-20
  )
  s.append(anatomy.everywhere(coats.fur(0.18, seed=t.seed)))
  brow = solids.tube(
    ((0.6, 3.6, 6.4), (3.6, 5.2, 5.4), (7.4, 2.4, 1.8)), (1.3, 1.5, 1.3)
  )
  s.append(sculpt.paint(brow, t.colors['light'], soft=0.5))
  snout, tip = muzzles.snout(t, 4.0, y=-2.4, width=2.1, tip=1.3)
  s += snout
  s.append(anatomy.dab(t, (0, -2.6, 6.4), (2.9, 2.2, 4.5), 'light', soft=0.6))
  mask = solids.tube(
    ((1.3, 1.4, 6.2), (3.6, 2.0, 5.2), (7.0, -1.6, 3.2)), (1.7, 2.3, 1.5)
  )
  s.append(sculpt.paint(mask, t.colors['mark'], soft=0.4))
  blaze = solids.cone((0, 7.0, 5.0), (0, -0.2, 8.0), 0.9, 0.7)
  s.append(sculpt.paint(blaze, t.colors['mark'], soft=0.5))
  s += anatomy.pad(t, tip, (1.15, 0.9, 0.85))
  s += muzzles.snout_mouth(t, s, -4.4, 1.6, fangs=0.0)
  eye, center = anatomy.eyes(
    s, t, 3.1, 1.5, 1.5, lid='mark', iris_size=0.74, pupil_size=0.44
  )
  s += eye
  s += anatomy.mood_brows(s, t, 3.1, 4.0, color='base')
  return anatomy.Head(s, center, np.array([0, -4.6, tip[2] - 2.0]))


KINDS = (
  kind.Kind(
    name='fox', model=fox, often=True,
    names=('fox', 'red fox'),
    clashes={'red fox': traits.COLORS},
    palette={
      'base': '#ea6a1c', 'light': '#ffffff', 'mark': '#2a1a16',
      'nose': '#17130f', 'inner': '#3a221b', 'iris': '#c98a12',
    },
  ),
  kind.Kind(
    name='wolf', model=wolf, often=True,
    names=('wolf', 'grey wolf'),
    clashes={'grey wolf': traits.COLORS},
    palette={
      'base': '#6d7583', 'light': '#e9ecf0', 'mark': '#353b47',
      'nose': '#131316', 'inner': '#4a4550', 'iris': '#f0c419',
    },
    breeds=(
      {'base': '#e4e3df', 'mark': '#a3a6ac', 'light': '#ffffff'},
    ),
  ),
  kind.Kind(
    name='dog', model=dog, often=True,
    names=('dog', 'hound', 'puppy'),
    clashes={'puppy': ('old',)},
    palette={
      'base': '#b97a3f', 'light': '#fff0d8', 'mark': '#6b3c1b',
      'nose': '#1a1413', 'inner': '#8a5230', 'iris': '#6a3c18',
      'tongue': '#f0707c',
    },
    breeds=(
      {'base': '#e2b878', 'mark': '#b9803f', 'light': '#fff6e6'},
      {'base': '#33302f', 'mark': '#1a1817', 'light': '#c98a4a'},
      {'base': '#f4efe6', 'mark': '#4a3426', 'light': '#ffffff'},
      {'base': '#8d8f98', 'mark': '#4f525c', 'light': '#f2f2f2'},
    ),
  ),
  kind.Kind(
    name='bear', model=bear, often=True,
    names=('bear', 'brown bear', 'grizzly bear'),
    clashes={'brown bear': traits.COLORS},
    palette={
      'base': '#7a4a26', 'light': '#d3a36c', 'mark': '#4a2a14',
      'nose': '#19110e', 'inner': '#b98252', 'iris': '#4a2c14',
    },
    breeds=(
      {'base': '#332722', 'light': '#a8754a', 'mark': '#1c1512'},
      {'base': '#f3f0e8', 'light': '#fffdf8', 'mark': '#b9b2a4'},
    ),
  ),
  kind.Kind(
    name='panda', model=panda, often=True,
    names=('panda', 'giant panda', 'panda bear'),
    palette={
      'base': '#f6f5f1', 'light': '#ffffff', 'mark': '#17171a',
      'nose': '#131315', 'inner': '#2c2c31', 'iris': '#5b3a1c',
    },
  ),
  kind.Kind(
    name='raccoon', model=raccoon,
    names=('raccoon',),
    palette={
      'base': '#8a8b90', 'light': '#f1f1ef', 'mark': '#1f1f25',
      'nose': '#141316', 'inner': '#d9d4d0', 'iris': '#7a4c20',
    },
  ),
)  # fmt: skip
