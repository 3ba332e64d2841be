"""Pixar: rounded people with large eyes, in soft clay."""

import dataclasses

from jaxtyping import Float
import numpy as np

from maskjax.data.people import people, scenes
from maskjax.data.styles import drawing as drawing_lib, drawn_people
from maskjax.render import lights as lights_lib


def shape(
  params: people.PersonParams, rng: np.random.Generator
) -> people.PersonParams:
  """Return a person as a toy: open eyes, smooth skin, long lashes."""
  toon = float(rng.uniform(0.8, 1.1))
  open_eyes = {'eyeWideLeft': 0.5, 'eyeWideRight': 0.5}
  return dataclasses.replace(
    params,
    exaggeration=1.15,
    toon=toon,
    skin=drawn_people.clean_skin(params.skin, wrinkles=0.3),
    shape={k: 0.6 * v for k, v in params.shape.items()},
    units=open_eyes | dict(params.units),
    lashes=max(params.lashes, 0.3),
  )


def light(rng: np.random.Generator, tone: float) -> lights_lib.Lights:
  """Return soft light; `tone` is the skin's, from 0 (fair) to 1."""
  return scenes.sample_lights(rng, 1 + 0.6 * tone)


def draw(drawing: drawing_lib.Drawing) -> Float[np.ndarray, 'h w 3']:
  """Return the rendered clay, with a little bloom."""
  bright = np.clip(drawing.photo - 0.7, 0, 1)
  bloom = drawing_lib.blur(bright, 2.5 * drawing.pixel)
  return np.clip(drawing.photo + 0.5 * bloom, 0, 1)


STYLE = drawn_people.style(
  drawn_people.Hand(
    name='pixar', shape=shape, draw=draw, light=light, finish='clay',
    bare=False,
  )
)  # fmt: skip
