"""Expressions: what a moment's face is called, and the units that make it.

Units are ARKit's; the head model has a target for each.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from maskjax.data.people import head_model

# Expressions by ARKit units; L/R endings are added.
EXPRESSIONS: Mapping[str, Mapping[str, float]] = {
  'neutral': {},
  'smiling': {
    'mouthSmile': 0.62, 'cheekSquint': 0.35, 'eyeSquint': 0.12,
    'mouthDimple': 0.15,
  },
  'smiling with teeth': {
    'mouthSmile': 0.75, 'cheekSquint': 0.5, 'eyeSquint': 0.2,
    'mouthUpperUp': 0.35, 'mouthLowerDown': 0.3, 'jawOpen': 0.07,
  },
  'laughing': {
    'mouthSmile': 0.85, 'cheekSquint': 0.7, 'eyeSquint': 0.4,
    'mouthUpperUp': 0.4, 'jawOpen': 0.32, 'browInnerUp': 0.2,
  },
  'surprised': {
    'browInnerUp': 0.8, 'browOuterUp': 0.7, 'eyeWide': 0.7, 'jawOpen': 0.4,
    'mouthFunnel': 0.2,
  },
  'sad': {
    'browInnerUp': 0.75, 'mouthFrown': 0.65, 'eyeSquint': 0.15,
    'mouthShrugLower': 0.35,
  },
  'angry': {
    'browDown': 0.9, 'eyeSquint': 0.35, 'noseSneer': 0.4, 'mouthPress': 0.5,
    'mouthFrown': 0.3,
  },
  'talking': {'jawOpen': 0.2, 'mouthFunnel': 0.15, 'mouthStretch': 0.1},
  'eyes closed': {'eyeBlink': 1.0},
}  # fmt: skip
_EXPRESSION_CHANCES = (0.36, 0.22, 0.16, 0.05, 0.05, 0.04, 0.04, 0.07, 0.01)


def sample(rng: np.random.Generator, word: str | None = None) -> dict[str, Any]:
  """Draw an expression and a gaze.

  Args:
    rng: advanced by the draw.
    word: of `EXPRESSIONS`, or None for any.

  Returns:
    The fields `expression`, `units` and `gaze` of `PersonParams`.

  Raises:
    ValueError: an unknown word.
  """
  words = list(EXPRESSIONS)
  if word is None:
    word = str(rng.choice(words, p=_EXPRESSION_CHANCES))
  if word not in EXPRESSIONS:
    raise ValueError(
      f'unknown expression {word!r}: use one of {", ".join(words)}'
    )
  names = head_model.load().names
  gaze = (float(rng.normal(0, 5)), float(rng.normal(0, 3)))
  units: dict[str, float] = {}
  for unit, value in EXPRESSIONS[word].items():
    value = value * float(rng.uniform(0.75, 1.15))
    sides = (
      [unit]
      if f'arkit/{unit}' in names
      else [unit + s for s in ('Left', 'Right')]
    )
    for side in sides:
      units[side] = min(1.0, value * float(rng.uniform(0.92, 1.08)))
  if word == 'neutral':
    # Faces at rest before a camera are friendly.
    calm = float(rng.uniform(0, 0.2))
    units = dict.fromkeys(('mouthSmileLeft', 'mouthSmileRight'), calm)
    units['browInnerUp'] = float(rng.uniform(0, 0.25))
  if word == 'talking':
    units['jawOpen'] = float(rng.uniform(0.05, 0.3))
  look = {
    'eyeLookOutLeft': gaze[0], 'eyeLookInLeft': -gaze[0],
    'eyeLookInRight': gaze[0], 'eyeLookOutRight': -gaze[0],
    'eyeLookUpLeft': gaze[1], 'eyeLookUpRight': gaze[1],
    'eyeLookDownLeft': -gaze[1], 'eyeLookDownRight': -gaze[1],
  }  # fmt: skip
  units |= {n: min(v / 30, 1.0) for n, v in look.items() if v > 0}
  return {'expression': word, 'units': units, 'gaze': gaze}
