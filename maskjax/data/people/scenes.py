"""Scenes: what is behind people, and the light on them, drawn at random.

Colours are linear RGB.

Shapes: `k` blobs of a backdrop.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
import numpy as np

from maskjax.render import lights as lights_lib

# Soft lights of a backdrop; always as many, so that one program paints all.
_BLOBS = 8


class Backdrop(NamedTuple):
  """A blurred room: a graded wall and some soft lights.

  Attributes:
    top: colour above, f[3].
    bottom: colour below, f[3].
    directions: of the blobs, unit, f[K, 3].
    sharpness: of the blobs, f[K].
    colors: of the blobs, added, f[K, 3].
  """

  top: Float[Array, '3']
  bottom: Float[Array, '3']
  directions: Float[Array, 'k 3']
  sharpness: Float[Array, 'k']
  colors: Float[Array, 'k 3']


def plain_backdrop(color: Sequence[float]) -> Backdrop:
  """Return a backdrop of one colour, linear RGB in [0, 1]."""
  wall = jnp.asarray(color, jnp.float32)
  return Backdrop(
    top=wall,
    bottom=wall,
    directions=jnp.tile(jnp.asarray([[0.0, 0.0, -1.0]]), (_BLOBS, 1)),
    sharpness=jnp.ones(_BLOBS),
    colors=jnp.zeros((_BLOBS, 3)),
  )


@jax.numpy_rank_promotion('allow')
def paint_backdrop(
  backdrop: Backdrop, directions: Float[Array, '*shape 3']
) -> Float[Array, '*shape 3']:
  """Return what is seen of a backdrop.

  Args:
    backdrop: what is behind.
    directions: unit vectors away from the camera, mesh frame.

  Returns:
    Linear RGB in [0, 1].
  """
  height = jnp.clip(0.5 + 1.2 * directions[..., 1:2], 0.0, 1.0)
  color = backdrop.bottom + (backdrop.top - backdrop.bottom) * height
  # Blobs fall off as von Mises-Fisher lobes do: exp(k (cos - 1)).
  cosine = directions @ backdrop.directions.T
  blobs = jnp.exp(backdrop.sharpness * (cosine - 1))
  return jnp.clip(color + blobs @ backdrop.colors, 0.0, 1.0)


def sample_backdrop(rng: np.random.Generator) -> Backdrop:
  """Return a plain wall, or a room out of focus; `rng` draws it."""
  grey = rng.uniform(0.02, 0.7)
  tint = np.exp(rng.normal(0, 0.22, 3))
  base = np.clip(grey * tint, 0, 0.9)
  # Behind the head: seen from in front they lie around -z.
  directions = rng.normal(size=(_BLOBS, 3)) * [0.5, 0.22, 0.0] + [0, 0, -1]
  directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
  busy = rng.random() < 0.6
  # Windows and lamps are brighter than the wall, furniture is darker.
  signs = rng.choice([-0.45, 0.8], (_BLOBS, 1), p=[0.5, 0.5])
  colors = signs * base * rng.uniform(0.3, 1.4, (_BLOBS, 1))
  colors = colors * np.exp(rng.normal(0, 0.18, (_BLOBS, 3))) * busy
  top = base * rng.uniform(0.9, 1.4)
  bottom = base * rng.uniform(0.4, 0.95)
  sharpness = rng.uniform(40, 500, _BLOBS)
  return Backdrop(
    top=jnp.asarray(top, jnp.float32),
    bottom=jnp.asarray(bottom, jnp.float32),
    directions=jnp.asarray(directions, jnp.float32),
    sharpness=jnp.asarray(sharpness, jnp.float32),
    colors=jnp.asarray(colors, jnp.float32),
  )


def sample_lights(
  rng: np.random.Generator, exposure: float = 1.0
) -> lights_lib.Lights:
  """Draw a portrait's light: a room, a key light and a weaker second one.

  Args:
    rng: advanced by the draw.
    exposure: factor on all light, above 1 for dark skin as cameras do.

  Returns:
    Lights with two directions, the key light first, and harmonics.
  """
  azimuth = np.radians(rng.normal(0, 42))
  height = np.radians(np.clip(rng.normal(32, 16), -5, 75))
  key = [
    np.sin(azimuth) * np.cos(height), np.sin(height),
    np.cos(azimuth) * np.cos(height),
  ]  # fmt: skip
  behind = rng.random() < 0.35
  side = -np.sign(key[0] + 1e-9)
  second = [side * 0.8, 0.35, -0.6 if behind else 0.55]
  warm = rng.normal(0, 0.12)
  temperature = np.array([1 + warm, 1.0, 1 - 1.2 * warm])
  strength = rng.uniform(0.45, 1.15) * exposure
  room = rng.uniform(0.26, 0.55) * (1.3 * exposure - 0.5 * strength)
  harmonics = np.zeros((9, 3))
  harmonics[1] = room * rng.uniform(0.2, 0.7)  # from above
  harmonics[3] = room * rng.normal(0, 0.3)
  harmonics[2] = room * rng.uniform(0.0, 0.4)
  other = 1 + rng.normal(0, 0.1, 3)
  return lights_lib.create(
    ambient=room * np.clip(other, 0.6, 1.4),
    directions=[key, second],
    direction_colors=[
      strength * temperature,
      (0.5 if behind else 0.22)
      * strength
      * rng.uniform(0, 1)
      * temperature[::-1],
    ],
    harmonics=harmonics,
  )
