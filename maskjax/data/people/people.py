"""People: who someone is, drawn at random, and the words for it.

A person is a handful of numbers; `heads.build_head` makes a head of them, and
`portrait.render_person` pictures of it. The same person with another
`expression` (and gaze) keeps the identity.

Sizes: centimetres; angles: degrees; colours: linear RGB.
"""

from collections.abc import Mapping
import dataclasses
import functools

import numpy as np

from maskjax.data.people import (
  expressions,
  hair as hair_lib,
  head_model,
  skin,
  wardrobe,
)

Color = tuple[float, float, float]
# Mirrored or plain axes of shape: {name: (lower target, upper target)}.
_OPPOSITES = (
  ('decr', 'incr'), ('down', 'up'), ('in', 'out'), ('backward', 'forward'),
  ('concave', 'convex'), ('compress', 'uncompress'),
)  # fmt: skip
# Parts of targets' names that move the head as a whole, or look odd.
_LEFT_OUT = (
  'head-trans', 'head-angle', 'head-age', 'head-fat', 'neck-trans', 'ear-shape',
  'ear-trans', 'measure', 'neck-double', 'nose-trans', 'mouth-trans',
  'head-back', 'nose-point-width', 'forehead-nubian', 'asym/', 'arkit/',
  'macrodetails/', 'ear-rot', 'neck-scale-vert', 'neck-back',
)  # fmt: skip
_SPREAD = {
  'nose': 0.25, 'mouth': 0.22, 'eyes': 0.2, 'chin': 0.25, 'cheek': 0.25,
  'head': 0.17, 'forehead': 0.2, 'ears': 0.3, 'eyebrows': 0.3, 'neck': 0.15,
}  # fmt: skip
_FACE_SHAPES = (
  'head/head-oval', 'head/head-round', 'head/head-square',
  'head/head-rectangular', 'head/head-diamond', 'head/head-triangular',
  'head/head-invertedtriangular',
)  # fmt: skip

HAIR_COLORS = {
  'black': (0.012, 0.010, 0.010), 'dark brown': (0.035, 0.018, 0.011),
  'brown': (0.085, 0.042, 0.022), 'light brown': (0.19, 0.105, 0.052),
  'blond': (0.46, 0.31, 0.14), 'red': (0.26, 0.065, 0.018),
  'grey': (0.26, 0.25, 0.24), 'white': (0.62, 0.60, 0.57),
  'pink': (0.6, 0.12, 0.28), 'blue': (0.04, 0.11, 0.36),
}  # fmt: skip
EYE_COLORS = {
  'brown': (0.065, 0.026, 0.010), 'dark': (0.022, 0.011, 0.007),
  'hazel': (0.14, 0.085, 0.030), 'green': (0.10, 0.15, 0.065),
  'blue': (0.11, 0.22, 0.38), 'grey': (0.20, 0.24, 0.27),
}  # fmt: skip
_LIPSTICKS = ((0.42, 0.02, 0.04), (0.5, 0.1, 0.14), (0.3, 0.03, 0.09),
              (0.48, 0.17, 0.13), (0.2, 0.02, 0.05))  # fmt: skip
_CLOTHS = (
  (0.02, 0.02, 0.025), (0.6, 0.6, 0.58), (0.03, 0.05, 0.14), (0.3, 0.03, 0.03),
  (0.05, 0.14, 0.08), (0.35, 0.2, 0.08), (0.16, 0.17, 0.19), (0.5, 0.33, 0.05),
  (0.12, 0.24, 0.42), (0.35, 0.1, 0.22), (0.7, 0.62, 0.5), (0.06, 0.2, 0.24),
)  # fmt: skip

_FRAME_COLORS = (
  (0.015, 0.015, 0.018), (0.06, 0.025, 0.01), (0.45, 0.36, 0.2),
  (0.35, 0.36, 0.38), (0.16, 0.02, 0.03), (0.02, 0.04, 0.12),
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class PersonParams:
  """Who someone is, and the moment's expression.

  Attributes:
    identity: a number that the same person always has.
    regions: weights of `head_model.REGIONS`.
    male: 0 to 1.
    age: 0.19 a child, 0.5 a young adult, 1 old.
    muscle: 0 to 1.
    weight: 0 to 1.
    shape: {target: weight} of the face's shape.
    skin: complexion, make-up, brows, beard.
    hair: the cut.
    hair_color: word of `HAIR_COLORS`.
    eye_color: word of `EYE_COLORS`.
    iris: colour of the eyes.
    lashes: their length, 0 to 1.
    oil: how glossy the skin is, about 1.
    wear: glasses, hat, clothes.
    expression: word of `expressions.EXPRESSIONS`.
    units: {ARKit unit: weight} of the expression.
    gaze: degrees that the eyes turn to +x and up.
    exaggeration: factor on how the face's shape differs from the mean; 1 is
      life, 1.5 to 2.5 a caricature.
    toon: 0 to 1: large eyes and head, small nose and chin, thin neck, hair in
      thick smooth locks.
  """

  identity: int
  regions: Mapping[str, float]
  male: float
  age: float
  muscle: float
  weight: float
  shape: Mapping[str, float]
  skin: skin.Skin
  hair: hair_lib.Hair
  hair_color: str
  eye_color: str
  iris: Color
  lashes: float
  oil: float
  wear: wardrobe.Wear
  expression: str = 'neutral'
  units: Mapping[str, float] = dataclasses.field(default_factory=dict)
  gaze: tuple[float, float] = (0.0, 0.0)
  exaggeration: float = 1.0
  toon: float = 0.0


@functools.cache
def shape_axes() -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
  """Return the axes that faces differ along.

  Returns:
    {axis: (targets of -1, targets of +1)}; left and right are one axis.
  """
  names = head_model.load().names
  axes: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {}
  for name in names:
    if any(part in name for part in _LEFT_OUT) or '/r-' in name:
      continue
    for low, high in _OPPOSITES:
      other = f'{name[: -len(low)]}{high}'
      if name.endswith('-' + low) and other in names:
        pair = (name, other)
        sides = [(n, n.replace('/l-', '/r-')) for n in pair]
        lower, upper = (tuple(dict.fromkeys(s)) for s in sides)
        axes[name[: -len(low) - 1].replace('/l-', '/')] = (lower, upper)
  return axes


def _sample_shape(
  rng: np.random.Generator, strength: float, weight: float
) -> dict[str, float]:
  """Draw targets of the face; `strength` about 1, `weight` in [0, 1]."""
  shape: dict[str, float] = {}
  for axis, (lower, upper) in shape_axes().items():
    spread = _SPREAD[axis.split('/')[0]] * strength
    value = float(np.clip(rng.normal(0, spread), -0.85, 0.85))
    for side in lower if value < 0 else upper:
      shape[side] = abs(value) * float(np.clip(rng.normal(1, 0.08), 0.7, 1.3))
  # Whole heads hardly change with the body's weight: faces do by these.
  fat = 'head/head-fat-incr' if weight > 0.5 else 'head/head-fat-decr'
  shape[fat] = min(2 * abs(weight - 0.5), 1.0) * strength
  face = str(rng.choice(_FACE_SHAPES))
  shape[face] = float(rng.uniform(0, 0.6)) * strength
  names = head_model.load().names
  lopsided = [n for n in names if n.startswith('asym/')]
  for name in rng.choice(lopsided, 8, replace=False):
    shape[str(name)] = float(rng.uniform(0, 0.35))
  return shape


def _pick(rng: np.random.Generator, table: Mapping[str, float]) -> str:
  """Draw a key of {key: chance}."""
  chances = np.array(list(table.values()), float)
  return str(rng.choice(list(table), p=chances / chances.sum()))


def _jitter(
  rng: np.random.Generator, color: Color, amount: float = 0.12
) -> Color:
  """Return a colour a little lighter or darker, and of another hue."""
  factor = np.exp(rng.normal(0, amount)) * np.exp(rng.normal(0, 0.05, 3))
  r, g, b = (float(np.clip(c * f, 0, 0.95)) for c, f in zip(color, factor))
  return r, g, b


def _sample_colors(
  rng: np.random.Generator, regions: Mapping[str, float], age: float
) -> tuple[float, str, str]:
  """Draw skin tone, hair and eye colour; loosely as they go together."""
  middle = 0.78 * regions['african'] + 0.3 * regions['asian']
  middle += 0.16 * regions['caucasian']
  tone = float(np.clip(rng.normal(middle, 0.13), 0.0, 1.0))
  light = max(0.0, 1 - tone / 0.42) * (1 - 0.75 * regions['asian'])
  table = {
    'black': 0.55 - 0.4 * light, 'dark brown': 0.4, 'brown': 0.1 + 0.35 * light,
    'light brown': 0.02 + 0.35 * light, 'blond': 0.01 + 0.42 * light,
    'red': 0.005 + 0.14 * light, 'pink': 0.012, 'blue': 0.012,
  }  # fmt: skip
  color = _pick(rng, table)
  if rng.random() < np.clip((age - 0.62) * 3.2, 0, 0.92):
    color = 'grey' if rng.random() < 0.6 else 'white'
  eyes = _pick(
    rng,
    {
      'dark': 0.15 + 0.5 * tone, 'brown': 0.5, 'hazel': 0.03 + 0.3 * light,
      'green': 0.01 + 0.2 * light, 'blue': 0.005 + 0.6 * light,
      'grey': 0.005 + 0.12 * light,
    },
  )  # fmt: skip
  return tone, color, eyes


def _sample_hair(
  rng: np.random.Generator, male: float, age: float, african: float
) -> hair_lib.Hair:
  """Draw a cut by sex, age and region; see `PersonParams`."""
  if male > 0.5:
    table = {
      'short': 0.34, 'side-parted': 0.18, 'slicked back': 0.08,
      'buzz cut': 0.11 + 0.1 * african, 'curly': 0.12,
      'afro': 0.03 + 0.12 * african,
      'bald': 0.06 + 0.12 * max(0.0, age - 0.55), 'shoulder-length': 0.04,
      'bob': 0.01,
    }  # fmt: skip
  else:
    table = {
      'long': 0.25, 'shoulder-length': 0.16, 'bob': 0.14, 'bun': 0.09,
      'ponytail': 0.1, 'long with a fringe': 0.12, 'curly': 0.09,
      'afro': 0.02 + 0.1 * african, 'short': 0.05, 'side-parted': 0.03,
    }  # fmt: skip
  cut = _pick(rng, table)
  lengths = {
    'short': (2.2, 5.0), 'side-parted': (6.5, 10.0), 'slicked back': (7, 12),
    'curly': (4.5, 9.0), 'afro': (3.0, 6.5), 'bob': (13, 17),
    'shoulder-length': (20, 25), 'long': (28, 38),
    'long with a fringe': (24, 36),
    'bun': (8, 8), 'ponytail': (18, 28), 'buzz cut': (0.3, 0.6), 'bald': (0, 0),
  }  # fmt: skip
  volumes = {
    'short': (0.3, 0.8), 'side-parted': (0.6, 1.3), 'slicked back': (0.3, 0.8),
    'curly': (0.9, 2.0), 'afro': (1.5, 3.0), 'bun': (0.2, 0.4),
    'ponytail': (0.2, 0.45),
  }  # fmt: skip
  wavy = rng.random()
  wave = {'curly': rng.uniform(0.7, 1.1), 'afro': rng.uniform(0.4, 0.8)}.get(
    cut, 0.0 if wavy < 0.45 else rng.uniform(0.12, 0.5)
  )
  recede = 0.0
  if male > 0.5 and cut in ('short', 'slicked back', 'buzz cut', 'side-parted'):
    recede = float(
      rng.uniform(0, 4.5) * (rng.random() < 0.25 + max(0, age - 0.5))
    )
  return hair_lib.Hair(
    cut=cut,
    length=float(rng.uniform(*lengths[cut])),
    volume=float(rng.uniform(*volumes.get(cut, (0.5, 1.2)))),
    part=float(rng.choice([-1, 1]) * rng.uniform(0.2, 3.2)),
    wave=float(wave),
    curl=float(
      rng.uniform(0.25, 0.4)
      if cut in ('curly', 'afro')
      else rng.uniform(0.06, 0.14)
    ),
    mess=float(rng.uniform(0.05, 0.22)),
    recede=recede + float(rng.uniform(-0.4, 0.5)),
    seed=int(rng.integers(2**31)),
  )


def _sample_skin(
  rng: np.random.Generator,
  hair: hair_lib.Hair,
  hair_rgb: Color,
  *,
  male: float,
  age: float,
  tone: float,
) -> skin.Skin:
  """Draw complexion, make-up, brows and beard, in the colour of the hair."""
  woman = male < 0.5
  adult = age > 0.36
  made_up = woman and adult and rng.random() < 0.6
  bearded = rng.random() if not woman and adult else 1.0
  beard = moustache = goatee = 0.0
  if bearded < 0.5:
    stubble = bearded < 0.22
    thick = rng.uniform(0.12, 0.35) if stubble else rng.uniform(0.75, 1.0)
    kind = rng.random()
    beard = float(thick if kind < 0.85 else 0.0)
    moustache = float(thick * (rng.random() < 0.92 or kind >= 0.85))
    goatee = float(kind > 0.6)
  dark = (0.75 * hair_rgb[0], 0.75 * hair_rgb[1], 0.75 * hair_rgb[2])
  white = hair_rgb[0] > 0.2 and abs(hair_rgb[0] - hair_rgb[2]) < 0.1
  red, green, blue = ((0.7 if white else 0.55) * c + 0.004 for c in hair_rgb)
  scalp = {'bald': 0.0, 'buzz cut': 0.82}.get(hair.cut, 1.0)
  if hair.cut == 'bald' and rng.random() < 0.5:
    scalp = float(rng.uniform(0.05, 0.25))
  wrinkles = float(np.clip((age - 0.5) * 2.0, 0, 1) * rng.uniform(0.6, 1.1))
  return skin.Skin(
    tone=tone,
    blood=float(rng.uniform(0.6, 1.5)),
    warmth=float(rng.normal(0, 0.5)),
    uneven=float(rng.uniform(0.6, 1.4)),
    freckles=float(
      rng.uniform(0.3, 0.9) if tone < 0.3 and rng.random() < 0.2 else 0.0
    ),
    wrinkles=wrinkles,
    lips=_jitter(rng, _LIPSTICKS[rng.integers(len(_LIPSTICKS))]),
    lipstick=float(rng.uniform(0.3, 1.0) if made_up else 0.0),
    blush=float(rng.uniform(0.1, 0.7) if made_up else 0.0),
    shadow=_jitter(
      rng,
      ((0.12, 0.06, 0.08), (0.2, 0.1, 0.05), (0.08, 0.08, 0.16))[
        rng.integers(3)
      ],
    ),
    eyeshadow=float(
      rng.uniform(0.2, 0.9) if made_up and rng.random() < 0.7 else 0.0
    ),
    liner=float(rng.uniform(0.3, 1.0) if made_up else 0.0),
    brow=(red, green, blue),
    brow_width=float(
      rng.uniform(0.22, 0.36) if woman else rng.uniform(0.3, 0.5)
    ),
    brow_lift=float(rng.normal(0.18, 0.1)),
    brow_arch=float(
      rng.uniform(0.0, 0.3) if woman else rng.uniform(-0.05, 0.15)
    ),
    brow_strength=float(rng.uniform(0.6, 0.97)),
    hair=dark,
    scalp=scalp,
    recede=hair.recede,
    beard=beard,
    moustache=moustache,
    goatee=goatee,
    shift=(int(rng.integers(skin.SIZE)), int(rng.integers(skin.SIZE))),
  )


def _sample_wear(
  rng: np.random.Generator, male: float, age: float
) -> wardrobe.Wear:
  """Draw glasses, a hat, earrings and a shirt."""
  glasses = ''
  if rng.random() < 0.17 + 0.15 * max(0.0, age - 0.5):
    glasses = _pick(
      rng, {'round': 0.27, 'square': 0.33, 'wide': 0.25, 'sunglasses': 0.15}
    )
  frame = _FRAME_COLORS[rng.integers(len(_FRAME_COLORS))]
  hat = _pick(rng, {'': 0.9, 'beanie': 0.055, 'cap': 0.045})
  cloth, trim = (_CLOTHS[rng.integers(len(_CLOTHS))] for _ in range(2))
  return wardrobe.Wear(
    glasses=glasses,
    frame=frame,
    thickness=float(rng.uniform(0.08, 0.2)),
    hat=hat,
    hat_color=_jitter(rng, _CLOTHS[rng.integers(len(_CLOTHS))]),
    earrings=float(
      rng.uniform(0.2, 0.45)
      if rng.random() < (0.3 if male < 0.5 else 0.04)
      else 0
    ),
    jewel=((0.75, 0.55, 0.2), (0.7, 0.7, 0.72))[rng.integers(2)],
    cloth=_jitter(rng, cloth),
    trim=_jitter(rng, trim),
    neckline=int(rng.choice(4, p=[0.5, 0.2, 0.12, 0.18])),
    stripes=float(rng.uniform(0.25, 0.7) if rng.random() < 0.15 else 0.0),
  )


def sample_person(
  rng: np.random.Generator, *, identity: int = 0, strength: float = 1.0
) -> PersonParams:
  """Draw a person.

  Args:
    rng: advanced by the draw.
    identity: number to call the person by.
    strength: how much faces differ, about 1.

  Returns:
    Parameters for `heads.build_head`.
  """
  if rng.random() < 0.5:
    # One region mostly; the others mixed.
    weights = rng.dirichlet([0.35] * 3)
  else:
    weights = rng.dirichlet([1.0] * 3)
  regions = dict(zip(head_model.REGIONS, (float(w) for w in weights)))
  regions[head_model.REGIONS[0]] += 1 - sum(regions.values())
  weight = float(np.clip(rng.normal(0.5, 0.2), 0, 1))
  male = float(np.clip(rng.beta(0.2, 0.2), 0.03, 0.97))
  age = float(
    rng.choice(
      [
        rng.uniform(0.24, 0.36),
        rng.uniform(0.4, 0.68),
        rng.uniform(0.68, 0.97),
      ],
      p=[0.06, 0.68, 0.26],
    )
  )
  tone, hair_color, eye_color = _sample_colors(rng, regions, age)
  hair_rgb = _jitter(rng, HAIR_COLORS[hair_color], 0.2)
  hair = _sample_hair(rng, male, age, regions['african'])
  wear = _sample_wear(rng, male, age)
  return PersonParams(
    identity=identity,
    regions=regions,
    male=male,
    age=age,
    muscle=float(np.clip(rng.normal(0.5, 0.18), 0, 1)),
    weight=weight,
    shape=_sample_shape(rng, strength, weight),
    skin=_sample_skin(rng, hair, hair_rgb, male=male, age=age, tone=tone),
    hair=hair,
    hair_color=hair_color,
    eye_color=eye_color,
    iris=_jitter(rng, EYE_COLORS[eye_color], 0.2),
    lashes=float(
      rng.uniform(0.5, 0.95) if male < 0.5 else rng.uniform(0.15, 0.4)
    ),
    oil=float(rng.uniform(0.5, 1.5)),
    wear=wear,
    **expressions.sample(rng),
  )
