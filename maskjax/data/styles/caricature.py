"""Caricature: what is odd about a face grows, in pencil and wash on paper."""

import dataclasses

from jaxtyping import Float
import numpy as np

from maskjax.data.people import people
from maskjax.data.styles import drawing as drawing_lib, drawn_people


def shape(
  params: people.PersonParams, rng: np.random.Generator
) -> people.PersonParams:
  """Return a person whose odd features are exaggerated; the others fade."""
  factor = float(rng.uniform(1.5, 2.5))
  # Who draws picks what is odd about a face, and leaves the rest.
  size = {k: abs(v) for k, v in params.shape.items() if k[:4] != 'asym'}
  odd = sorted(size, key=lambda k: -size[k])[: len(size) // 3]
  targets = {k: v * (1.5 if k in odd else 0.7) for k, v in params.shape.items()}
  return dataclasses.replace(params, exaggeration=factor, shape=targets)


def draw(drawing: drawing_lib.Drawing) -> Float[np.ndarray, 'h w 3']:
  """Return a coloured drawing: washes, hatching, uneven pencil lines."""
  wash = drawing_lib.smooth_colors(drawing, 1.4)
  wash = drawing_lib.saturate(drawing_lib.blur(wash, 0.5 * drawing.pixel), 1.15)
  tones = drawing_lib.blur(drawing.light, 0.7 * drawing.pixel)
  middle = np.median(tones[drawing.alpha > 0.5])
  grain = drawing.rng.normal(size=tones.shape)
  grain = drawing_lib.blur(grain, 0.5 * drawing.pixel)
  grain = 0.02 * grain / grain.std()
  level = np.clip(tones / middle, 0.25, 1.5)
  color_wash = np.clip(wash * (0.55 + 0.5 * level)[..., None], 0, 1)
  paper = np.array([0.965, 0.945, 0.9]) + grain[..., None]
  picture = paper * (0.14 + 0.86 * color_wash)
  # Hatching where it is dark, crossed where it is darker.
  for angle, below in ((0.7, 0.85), (-0.5, 0.55)):
    hatch = drawing_lib.step(drawing_lib.strokes(drawing, angle), 0.1, 0.9)
    hatch = hatch * drawing_lib.step(below - level, 0.0, 0.3)
    picture = picture * (1 - 0.27 * hatch[..., None])
  halo = drawing_lib.blur(drawing.alpha, 6 * drawing.pixel)[..., None]
  tint = drawing_lib.palette(drawing.rng, 0.9)
  loose = drawing_lib.step(drawing_lib.strokes(drawing, 0.3), -1.2, 0.6)
  behind = paper * (1 - 0.5 * halo * loose[..., None] * (1 - tint))
  picture = drawing_lib.over(drawing, picture, behind)
  pressure = drawing_lib.strokes(drawing, 1.2)
  pressure = 0.78 + 0.22 * np.clip(pressure, -1, 1)
  ink = (0.85 * drawing_lib.lines(drawing, 0.6) * pressure)[..., None]
  return np.clip(picture * (1 - ink) + np.array([0.13, 0.1, 0.1]) * ink, 0, 1)


STYLE = drawn_people.style(
  drawn_people.Hand(name='caricature', shape=shape, draw=draw)
)
