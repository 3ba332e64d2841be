"""Cartoon: cel shading with ink outlines."""

from jaxtyping import Float
import numpy as np

from maskjax.data.people import people
from maskjax.data.styles import drawing as drawing_lib, drawn_people


def shape(
  params: people.PersonParams, rng: np.random.Generator
) -> people.PersonParams:
  """Return a person with large eyes and a small nose, a little exaggerated."""
  return drawn_people.rounded(params, rng, most=1.5, toon=0.8)


def draw(drawing: drawing_lib.Drawing) -> Float[np.ndarray, 'h w 3']:
  """Return flat colours in two tones of light, with ink outlines."""
  flat = drawing_lib.saturate(drawing_lib.smooth_colors(drawing, 1.6), 1.35)
  tones = drawing_lib.blur(drawing.light, 1.2 * drawing.pixel)
  middle = np.median(tones[drawing.alpha > 0.5])
  step = drawing_lib.step
  lit = 0.72 + 0.28 * step(tones, 0.72 * middle - 0.02, 0.72 * middle + 0.02)
  lit = lit + 0.1 * step(tones, 1.22 * middle - 0.02, 1.22 * middle + 0.02)
  shade = np.array([0.86, 0.82, 0.95])
  tinted = np.where(lit[..., None] < 0.9, shade, 1.0)
  picture = np.clip(1.12 * flat * lit[..., None] * tinted, 0, 1)
  background = drawing_lib.palette(drawing.rng, 0.95)
  picture = drawing_lib.over(drawing, picture, background)
  ink = drawing_lib.lines(drawing, 1.1)[..., None]
  return picture * (1 - ink) + np.array([0.06, 0.04, 0.07]) * ink


STYLE = drawn_people.style(
  drawn_people.Hand(name='cartoon', shape=shape, draw=draw), second='dicebear'
)
