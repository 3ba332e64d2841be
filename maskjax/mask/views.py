"""Where the mask is looked at from, under what light, and in what words.

Every step draws a few cameras around the front of the face and a light for
each, and adjusts the user's text to them: "a Bengal tiger, looking from
above, with uniform white light" (patent [0103], [0104], claims 10 to 13). The
texts form a finite table, encoded once before the loop, so that the step only
looks rows up.

Shapes: `b` views of a step, `n` texts, `t d` tokens and features.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray
import numpy as np

from maskjax.diffusion import model as model_lib
from maskjax.geometry import camera as camera_lib
from maskjax.mask import settings as settings_lib
from maskjax.render import lights as lights_lib
from maskjax.studio import views as studio_views, words as studio_words

# Up to here, in degrees, a view is that of a front.
_NEAR_FRONT = 35.0
# Texts are encoded in pieces of this many, to bound memory.
_CHUNK = 128


class Views(NamedTuple):
  """The views of one step, or one of them."""

  camera: camera_lib.Camera
  lights: lights_lib.Lights
  text: Int[Array, '*b']  # row of the table of texts
  other: Int[Array, '*b']  # the row of a view that this is not
  azimuth: Float[Array, '*b']  # degrees
  elevation: Float[Array, '*b']  # degrees
  distance: Float[Array, '*b']  # times the one that shows 40 cm
  bare: Bool[Array, '*b']  # shown without texture


def lightings(light_colors: tuple[str, ...]) -> list[int]:
  """Return the rows of `studio.LIGHTINGS` that may be drawn.

  Args:
    light_colors: names of coloured lights, beside the even white one.
  """
  return [0] + [
    index
    for index, (name, direction) in enumerate(studio_views.LIGHTINGS)
    if direction is not None and name in light_colors
  ]


def _rows() -> int:
  """Return the number of views and lightings that have words of their own."""
  views = len(studio_views.AZIMUTHS) * len(studio_views.ELEVATIONS)
  return views * len(studio_views.LIGHTINGS)


def adjusted_texts(
  prompt: str, form: str, material: str, *, lit: bool = True
) -> list[str]:
  """Return the prompt in the words of every view and lighting.

  Row `view * len(studio.LIGHTINGS) + lighting`; in the second half of the
  table the mask is of the material that it shows without texture.

  Args:
    prompt: the user's words for the mask.
    form: one of `studio.words.PROMPT_FORMS`: 'words' ("looking from above"),
      'numbers' ("at position x, y, z"), or 'plain', which leaves the prompt
      alone.
    material: adjective for the bare mask, 'stone'.
    lit: whether the light is told; normals have none.

  Raises:
    ValueError: unknown form.
  """
  forms = studio_words.PROMPT_FORMS
  if form not in forms:
    raise ValueError(
      f'views.prompt_form {form!r} is not one of {", ".join(forms)}'
    )
  texts = []
  for subject in (prompt, studio_words.with_adjective(prompt, material)):
    for azimuth in studio_views.AZIMUTHS:
      for elevation in studio_views.ELEVATIONS:
        for light in studio_views.lighting_names():
          words = [subject, *forms[form](azimuth, elevation, light * lit)]
          texts.append(', '.join(word for word in words if word))
  return texts


def encode_texts(
  model: model_lib.DiffusionModel, texts: list[str]
) -> Float[Array, 'n t d']:
  """Encode texts once each, however often they repeat."""
  unique = list(dict.fromkeys(texts))
  tokens = model_lib.tokenize(model, unique)
  padded = -(-len(unique) // _CHUNK) * _CHUNK if len(unique) > 1 else 1
  tokens = np.pad(tokens, ((0, padded - len(unique)), (0, 0)), mode='edge')
  encode = jax.jit(model_lib.encode_tokens)
  pieces = [
    encode(model, jnp.asarray(piece))
    for piece in np.split(tokens, max(padded // _CHUNK, 1))
  ]
  rows = {text: row for row, text in enumerate(unique)}
  return jnp.concatenate(pieces)[np.array([rows[text] for text in texts])]


def _between(
  rng: PRNGKeyArray, limits: tuple[float, float]
) -> Float[Array, '']:
  return jax.random.uniform(rng, (), minval=limits[0], maxval=limits[1])


def _text_rows(
  azimuth: Float[Array, ''],
  elevation: Float[Array, ''],
  lighting: Int[Array, ''],
  bare: Bool[Array, ''],
) -> tuple[Int[Array, ''], Int[Array, '']]:
  """Return the row of the table of texts of a view, and of one it is not."""
  view = studio_views.view_index(azimuth, elevation)
  # What is seen from near the front is not the side, and the other way round.
  frontal = jnp.abs(azimuth) < _NEAR_FRONT
  elsewhere = studio_views.view_index(
    jnp.where(frontal, studio_views.AZIMUTHS[-1], 0.0), elevation
  )
  row = view * len(studio_views.LIGHTINGS) + lighting + bare * _rows()
  return row, row + (elsewhere - view) * len(studio_views.LIGHTINGS)


def draw(rng: PRNGKeyArray, settings: settings_lib.Views) -> Views:
  """Draw one view.

  Args:
    rng: typed random key, used here only.
    settings: ranges of the camera, how often light is uniform and which
      colours it has otherwise, and how often the mask is without texture.

  Returns:
    One view; `vmap` over keys for a batch.
  """
  keys = jax.random.split(rng, 8)
  azimuth = _between(keys[0], settings.azimuth)
  elevation = _between(keys[1], settings.elevation)
  scale = _between(keys[2], settings.distance)
  fovy = _between(keys[3], settings.fovy)
  rows = jnp.asarray(lightings(settings.light_colors))
  lighting = jax.random.choice(keys[4], rows)
  plain = jax.random.bernoulli(keys[5], settings.uniform_light)
  lighting = jnp.where(plain, 0, lighting)
  table = jax.tree.map(lambda x: x[lighting], studio_views.lighting_table())
  bare = jax.random.bernoulli(keys[7], settings.textureless)
  row, other = _text_rows(azimuth, elevation, lighting, bare)
  return Views(
    camera=studio_views.orbit_camera(azimuth, elevation, scale, fovy),
    lights=studio_views.jitter_lights(keys[6], table, settings.light_jitter),
    text=row,
    other=other,
    azimuth=azimuth,
    elevation=elevation,
    distance=scale,
    bare=bare,
  )


def fixed(
  azimuths: tuple[float, ...],
  elevation: float = 0.0,
  scale: float | Float[Array, ''] = 1.0,
) -> tuple[camera_lib.Camera, lights_lib.Lights]:
  """Return cameras and uniform lights for showing a mask, one per azimuth.

  Args:
    azimuths: angles in degrees, positive to the viewer's right.
    elevation: angle in degrees, positive above.
    scale: distance as a multiple of the one that shows 40 cm.
  """
  angles = jnp.asarray(azimuths, jnp.float32)
  cameras = jax.vmap(
    lambda azimuth: studio_views.orbit_camera(
      azimuth, jnp.float32(elevation), scale
    )
  )(angles)
  lights = jax.tree.map(
    lambda x: jnp.repeat(x[:1], len(azimuths), axis=0),
    studio_views.lighting_table(),
  )
  return cameras, lights


def front_text() -> int:
  """Return the row of `adjusted_texts` for the front under even light."""
  with jax.ensure_compile_time_eval():
    view = int(studio_views.view_index(jnp.float32(0.0), jnp.float32(0.0)))
  return view * len(studio_views.LIGHTINGS)
