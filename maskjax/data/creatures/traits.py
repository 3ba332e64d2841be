"""Traits: what varies between heads of one kind, and what words do to it.

Factors are 1 at the mean and signed traits 0, whatever the kind, so that a
kind's modelling code reads as its mean shape.
"""

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any

import numpy as np

from maskjax.data.creatures import coats

# How far each factor strays: the standard deviation of its logarithm.
_SPREAD = {
  'width': 0.05,
  'height': 0.05,
  'depth': 0.05,
  'eye': 0.09,
  'spacing': 0.05,
  'ear': 0.13,
  'muzzle': 0.12,
  'nose': 0.12,
  'cheek': 0.10,
  'jaw': 0.10,
  'brow': 0.15,
  'feature': 0.13,
  'pattern': 0.15,
}
COLORS = tuple(coats.TINTS)
AGES = ('young', 'old')
MOODS = ('angry', 'happy', 'sad')
MATERIALS = tuple(coats.MATERIALS)
MODIFIERS = COLORS + AGES + MOODS + MATERIALS


@dataclasses.dataclass(frozen=True)
class Traits:
  """One head of a kind.

  Attributes:
    kind: its name.
    modifiers: words that hold for it.
    colors: role of colour -> linear RGB f[3].
    material: '' or a key of `coats.MATERIALS`.
    seed: of noise in its coat.
    width, height, depth: factors on the whole head.
    eye, spacing: factors on the eyes' size and distance.
    ear, muzzle, nose, cheek, jaw, brow: factors on these features.
    feature: factor on what marks the kind (trunk, mane, horns, beak...).
    pattern: factor on the size of the coat's pattern.
    tilt: of the brows in [-1, 1]; positive is angry.
    smile: of the mouth in [-1, 1]; positive is happy.
    gape: how far the mouth is open, in [0, 1].
    lid: how far the upper lid comes down, in [0, 1].
    age: from -1 (young) to 1 (old).
  """

  kind: str
  modifiers: tuple[str, ...]
  colors: Mapping[str, np.ndarray]
  material: str = ''
  seed: int = 0
  width: float = 1.0
  height: float = 1.0
  depth: float = 1.0
  eye: float = 1.0
  spacing: float = 1.0
  ear: float = 1.0
  muzzle: float = 1.0
  nose: float = 1.0
  cheek: float = 1.0
  jaw: float = 1.0
  brow: float = 1.0
  feature: float = 1.0
  pattern: float = 1.0
  tilt: float = 0.0
  smile: float = 0.0
  gape: float = 0.0
  lid: float = 0.0
  age: float = 0.0


def mean(kind: str, palette: Mapping[str, str]) -> Traits:
  """Return the mean head of a kind from its palette (role -> '#rrggbb')."""
  colors = {role: coats.hex_color(code) for role, code in palette.items()}
  return Traits(kind, (), colors)


def _stray(rng: np.random.Generator, spread: float) -> float:
  return float(np.clip(rng.normal(), -2, 2) * spread)


def sample(
  rng: np.random.Generator,
  kind: str,
  modifiers: Sequence[str] = (),
  *,
  palette: Mapping[str, str],
  breeds: tuple[Mapping[str, str], ...] = (),
) -> Traits:
  """Draw a head of a kind that the given words describe.

  Args:
    rng: advanced by the draw.
    kind: its name.
    modifiers: words of `MODIFIERS` that hold for the head.
    palette: {role of colour: sRGB such as '#ff8000'} of the mean head.
    breeds: other palettes, of some roles each; one of them is drawn for half
      of the heads.

  Raises:
    ValueError: an unknown modifier.
  """
  factors: dict[str, Any] = {
    name: float(np.exp(_stray(rng, spread))) for name, spread in _SPREAD.items()
  }
  seed = int(rng.integers(1 << 20))
  hue, lightness = _stray(rng, 0.05), float(np.exp(_stray(rng, 0.1)))
  saturation = float(np.exp(_stray(rng, 0.1)))
  if breeds and rng.random() < 0.55:
    palette = {**palette, **breeds[int(rng.integers(len(breeds)))]}
  keep = ('white', 'pupil', 'tooth')
  colors = {}
  for role, color in mean(kind, palette).colors.items():
    if role not in keep:
      color = coats.vary(color, hue, saturation, lightness)
    colors[role] = color
  if rng.random() < 0.35:
    irises = ('#2f7fd0', '#3f9a3c', '#8a5220', '#c98a12', '#5a3a20')
    colors['iris'] = coats.hex_color(irises[rng.integers(len(irises))])
  traits = Traits(
    kind,
    tuple(modifiers),
    colors,
    seed=seed,
    tilt=_stray(rng, 0.18),
    smile=_stray(rng, 0.25),
    gape=float(np.clip(rng.uniform(-1.0, 0.9), 0, 1)),
    lid=float(np.clip(_stray(rng, 0.1), -0.1, 0.3)),
    age=0.0,
    **factors,
  )
  for word in modifiers:
    traits = modify(traits, word, rng)
  return traits


def modify(traits: Traits, word: str, rng: np.random.Generator) -> Traits:
  """Return a head as a word has it; `rng` says how strongly.

  Raises:
    ValueError: the word is not one of `MODIFIERS`.
  """
  strength = float(rng.uniform(0.75, 1.0))
  if word in COLORS:
    return tint(traits, word)
  if word in MATERIALS:
    return dataclasses.replace(traits, material=word)
  if word == 'angry':
    return dataclasses.replace(
      traits,
      tilt=strength,
      smile=-0.8 * strength,
      lid=0.25,
      gape=traits.gape if rng.random() < 0.5 else 0.0,
    )
  if word == 'happy':
    gape = strength if rng.random() < 0.65 else 0.0
    return dataclasses.replace(
      traits, tilt=-0.2, smile=strength, lid=-0.1, gape=gape,
      cheek=traits.cheek * 1.08,
    )  # fmt: skip
  if word == 'sad':
    return dataclasses.replace(
      traits, tilt=-strength, smile=-strength, lid=0.3, gape=0.0
    )
  if word == 'young':
    return dataclasses.replace(
      traits,
      age=-strength,
      eye=traits.eye * 1.2,
      muzzle=traits.muzzle * 0.84,
      nose=traits.nose * 0.9,
      ear=traits.ear * 1.06,
      cheek=traits.cheek * 1.1,
      feature=traits.feature * 0.72,
      height=traits.height * 0.95,
      lid=-0.1,
    )
  if word == 'old':
    return _aged(traits, strength)
  raise ValueError(
    f'unknown modifier {word!r}: use one of {", ".join(MODIFIERS)}'
  )


def tint(traits: Traits, word: str) -> Traits:
  """Return a head whose coat has the colour of a word of `coats.TINTS`."""
  base, light = (coats.hex_color(code) for code in coats.TINTS[word])
  seed = np.random.default_rng(traits.seed)
  colors = dict(traits.colors)
  shift = _stray(seed, 0.04), 1.0, float(np.exp(_stray(seed, 0.07)))
  colors['base'] = coats.vary(base, *shift)
  # The palette keeps its order of light and dark around the new base.
  colors['light'] = coats.mix(colors['light'], light, 0.8)
  if 'hair' in colors:
    colors['hair'] = coats.vary(base, 0, 1.0, 0.62)
  if word == 'black' and 'mark' in colors:
    colors['mark'] = coats.hex_color('#0c0b0d')
  return dataclasses.replace(traits, colors=colors)


def _aged(traits: Traits, strength: float) -> Traits:
  grey = coats.hex_color('#d9d7d2')
  colors = dict(traits.colors)
  for role, weight in (('base', 0.25), ('light', 0.5), ('hair', 0.75)):
    if role in colors:
      colors[role] = coats.mix(colors[role], grey, weight * strength)
  return dataclasses.replace(
    traits,
    colors=colors,
    age=strength,
    eye=traits.eye * 0.88,
    nose=traits.nose * 1.12,
    cheek=traits.cheek * 0.93,
    feature=traits.feature * 1.08,
    brow=traits.brow * 1.35,
    lid=traits.lid + 0.3,
  )
