"""The studio: the cameras, lights and backgrounds that pictures are taken in.

One table of named lightings and one of named views serve both the pictures
that the bundled prior learns from and the renders that it later judges, so
that the words of a prompt mean the same in both (patent [0103], [0104]).

Directions point from the face toward the light, in the mesh frame: +x to the
viewer's right, +y up, +z out of the face.
"""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray
import numpy as np

from maskjax.geometry import camera as camera_lib
from maskjax.render import lights as lights_lib
from maskjax.studio import words as studio_words

# Every lighting by colour and direction, as `words.light_words` takes them;
# the first is even light from all sides.
LIGHTINGS: tuple[tuple[str, str | None], ...] = (
  ('white', None),
  *itertools.product(studio_words.LIGHT_COLORS, studio_words.LIGHT_DIRECTIONS),
)

# The camera of the bundled prior: 40 cm are visible around the target.
RADIUS_CM = 74.6
FOVY_DEGREES = 30.0
TARGET_CM = (0.0, 0.0, 2.5)
# The plane at the back of a mask, and the farthest a trunk or beak reaches.
HEIGHT_RANGE_CM = (-10.0, 17.5)

# Representative angles, in degrees, of the named azimuths and elevations.
AZIMUTHS = (-67.0, -45.0, -20.0, 0.0, 20.0, 45.0, 67.0)
ELEVATIONS = (-20.0, 0.0, 28.0)
# Edges between the bins above, the azimuths' on the right: the bins of
# `words.view_words`, to which an edge belongs as it does there.
_AZIMUTH_EDGES = (10.0, 30.0, 60.0)
_ELEVATION_EDGES = (-12.0, 18.0)


def lighting_table() -> lights_lib.Lights:
  """Return every lighting of `LIGHTINGS`, stacked along a leading axis K."""
  ambient, directions, colors = [], [], []
  for color, direction in LIGHTINGS:
    rgb = np.array(studio_words.LIGHT_COLORS[color])
    if direction is None:
      ambient.append(0.78 * rgb)
      directions.append((0.0, 0.35, 0.94))
      colors.append(0.3 * rgb)
    else:
      ambient.append(0.1 + 0.16 * rgb)
      directions.append(studio_words.LIGHT_DIRECTIONS[direction])
      colors.append(1.05 * rgb)
  unit = np.array(directions, np.float32)
  unit /= np.linalg.norm(unit, axis=-1, keepdims=True)
  count = len(LIGHTINGS)
  return lights_lib.Lights(
    ambient=jnp.asarray(np.array(ambient), jnp.float32),
    directions=jnp.asarray(unit)[:, None],
    direction_colors=jnp.asarray(np.array(colors), jnp.float32)[:, None],
    points=jnp.zeros((count, 0, 3)),
    point_colors=jnp.zeros((count, 0, 3)),
    harmonics=jnp.zeros((count, 9, 3)),
  )


def view_index(
  azimuth: Float[Array | np.ndarray, '*b'],
  elevation: Float[Array | np.ndarray, '*b'],
) -> Int[Array, '*b']:
  """Return the named view (row of `view_names`) that holds these angles.

  Args:
    azimuth: degrees; 0 is in front, positive toward +x.
    elevation: degrees; positive is above.
  """
  away = sum(
    (jnp.abs(azimuth) >= edge).astype(jnp.int32) for edge in _AZIMUTH_EDGES
  )
  column = len(_AZIMUTH_EDGES) + jnp.where(azimuth < 0, -away, away)
  below, above = _ELEVATION_EDGES
  row = 1 - (elevation < below) + (elevation > above)
  return column * len(ELEVATIONS) + row


def view_names() -> list[str]:
  """Return the words of every named view, azimuth-major."""
  return [
    studio_words.view_words(azimuth, elevation)
    for azimuth in AZIMUTHS
    for elevation in ELEVATIONS
  ]


def lighting_names() -> list[str]:
  """Return the words of every lighting, in the order of `LIGHTINGS`."""
  return [studio_words.light_words(*lighting) for lighting in LIGHTINGS]


def orbit_camera(
  azimuth: Float[Array, ''],
  elevation: Float[Array, ''],
  scale: Float[Array, ''] | float = 1.0,
  fovy: Float[Array, ''] | float = FOVY_DEGREES,
) -> camera_lib.Camera:
  """Return the studio camera at these angles (degrees).

  Args:
    azimuth: degrees; positive moves the camera to the viewer's right.
    elevation: degrees; positive raises the camera.
    scale: distance as a multiple of the one that shows 40 cm.
    fovy: vertical field of view in degrees; the distance follows it, so that
      the face keeps its size in the picture.
  """
  distance = RADIUS_CM * jnp.tan(jnp.deg2rad(FOVY_DEGREES / 2))
  radius = scale * distance / jnp.tan(jnp.deg2rad(fovy / 2))
  return camera_lib.orbit(
    azimuth,
    elevation,
    radius=radius,
    fovy=fovy,
    target=jnp.array(TARGET_CM),
  )


def jitter_lights(
  rng: PRNGKeyArray, lights: lights_lib.Lights, amount: float = 0.25
) -> lights_lib.Lights:
  """Return one lighting, moved and dimmed a little, as in a real room.

  Args:
    rng: typed random key, used here only.
    lights: one lighting, without a leading axis.
    amount: standard deviation of the shift of unit directions.
  """
  rng_direction, rng_ambient, rng_color = jax.random.split(rng, 3)
  moved = lights.directions + amount * jax.random.normal(
    rng_direction, lights.directions.shape
  )
  moved = moved / jnp.linalg.norm(moved, axis=-1, keepdims=True)
  return dataclasses.replace(
    lights,
    ambient=lights.ambient
    * jax.random.uniform(rng_ambient, (), minval=0.8, maxval=1.2),
    directions=moved,
    direction_colors=lights.direction_colors
    * jax.random.uniform(rng_color, (), minval=0.8, maxval=1.2),
  )


def background(rng: PRNGKeyArray, size: int) -> Float[Array, 's s 3']:
  """Draw a plain or softly graded background in linear RGB.

  Half are plain greys and tints; half shade from one colour to a darker one
  along a random direction.

  Args:
    rng: typed random key, used here only.
    size: pixels on a side.
  """
  rng_grey, rng_tint, rng_dark, rng_angle, rng_plain = jax.random.split(rng, 5)
  grey = jax.random.uniform(rng_grey, (1,), minval=0.02, maxval=0.95)
  tint = jax.random.uniform(rng_tint, (3,), minval=-0.25, maxval=0.25)
  first = jnp.clip(grey * (1 + tint), 0.0, 1.0)[None, None]
  darker = jax.random.uniform(rng_dark, (), minval=0.3, maxval=1.0)
  second = jnp.where(jax.random.bernoulli(rng_plain), first, first * darker)
  angle = jax.random.uniform(rng_angle, (), maxval=2 * jnp.pi)
  axis = jnp.linspace(-0.5, 0.5, size)
  ramp = axis[:, None] * jnp.sin(angle) + axis[None, :] * jnp.cos(angle)
  ramp = jnp.clip(0.5 + ramp, 0.0, 1.0)[..., None]
  return first * (1 - ramp) + second * ramp
