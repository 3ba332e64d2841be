"""Comic: a posterised print with halftone shadows and black ink."""

from jaxtyping import Float
import numpy as np

from maskjax.data.people import people
from maskjax.data.styles import drawing as drawing_lib, drawn_people


def shape(
  params: people.PersonParams, rng: np.random.Generator
) -> people.PersonParams:
  """Return a person as in life, a little exaggerated."""
  return drawn_people.rounded(params, rng, most=1.3, toon=0.2)


def draw(drawing: drawing_lib.Drawing) -> Float[np.ndarray, 'h w 3']:
  """Return few colours, dots where it is dark, and black ink."""
  flat = drawing_lib.saturate(drawing_lib.smooth_colors(drawing, 2.0), 1.6)
  flat = np.round(flat * 4) / 4
  tones = drawing_lib.blur(drawing.light, 0.8 * drawing.pixel)
  middle = np.median(tones[drawing.alpha > 0.5])
  dark = np.clip(1.05 - tones / (1.15 * middle), 0, 0.75)
  step, dots = drawing_lib.step, drawing_lib.dots
  screen = dots(tones.shape, 2.6 * drawing.pixel, 0.6)
  dot = step(dark - (1 - screen) * 0.9 + 0.18, -0.05, 0.05)[..., None]
  shadow = flat * np.array([0.62, 0.5, 0.62])
  picture = np.clip(flat * 1.15 + 0.05, 0, 1) * (1 - dot) + shadow * dot
  black = step(0.42 * middle - tones, -0.02, 0.02) * drawing.alpha
  first = drawing_lib.palette(drawing.rng, 1.0)
  second = drawing_lib.palette(drawing.rng, 0.85)
  y = np.linspace(0, 1, len(tones))[:, None]
  spots = dots(tones.shape, 4.0 * drawing.pixel, 0.785)
  mix = step(spots - 1.0 + 0.9 * y, -0.05, 0.05)[..., None]
  background = first * (1 - mix) + second * mix
  picture = drawing_lib.over(drawing, picture, background)
  ink = np.maximum(drawing_lib.lines(drawing, 1.5), black)[..., None]
  return picture * (1 - ink) + 0.03 * ink


STYLE = drawn_people.style(
  drawn_people.Hand(name='comic', shape=shape, draw=draw)
)
