"""What the bundled prior paints: colour, normals and coverage, as one picture.

The pictures that it learns from and the renders that it later judges are
stacked by the same functions, and told the camera in the same numbers (the
normal map goes into the network: patent [0022], [0100], [0110]).

Shapes: `b` pictures, `s` pixels a side.
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Num

# Channels of a picture: colour, normals, coverage.
COLOR, NORMALS, COVERAGE = slice(0, 3), slice(3, 6), slice(6, 7)
CHANNELS = 7
# Numbers that tell a camera.
CAMERA = 6
# Distances lie within about a tenth of the usual one; this makes them count.
_DISTANCE_SCALE = 5.0


def stack(
  image: Float[Array, '*b s s 3'],
  normals: Float[Array, '*b s s 3'],
  alpha: Float[Array, '*b s s 1'],
) -> Float[Array, '*b s s 7']:
  """Stack colour, normals and coverage.

  Args:
    image: sRGB in [-1, 1], on its background.
    normals: times alpha; x right, y up, z toward the viewer.
    alpha: coverage in [0, 1].

  Returns:
    The picture, all channels in [-1, 1]; normals are 0 on the background.
  """
  return jnp.concatenate([image, normals, 2.0 * alpha - 1.0], axis=-1)


def channel_weights(
  color: Num[Array, '*b'] | float, shape: Num[Array, '*b'] | float
) -> Float[Array, '*b 7']:
  """Return how much each channel counts.

  Args:
    color: weight of the channels of colour.
    shape: weight of those of normals and coverage.
  """
  color, shape = jnp.broadcast_arrays(
    jnp.asarray(color, jnp.float32), jnp.asarray(shape, jnp.float32)
  )
  return jnp.stack([color] * 3 + [shape] * 4, axis=-1)


def camera_labels(
  azimuth: Num[Array, '*b'],
  elevation: Num[Array, '*b'],
  distance: Num[Array, '*b'],
  known: Bool[Array, '*b'] | None = None,
) -> Float[Array, '*b 6']:
  """Return what a network is told of a camera.

  Args:
    azimuth: degrees, positive to the viewer's right.
    elevation: degrees, positive above.
    distance: times the one that shows 40 cm.
    known: where False, the network is not told: all numbers are 0.

  Returns:
    Sine and cosine of both angles, the distance around 0, and 1.
  """
  a, e = jnp.deg2rad(azimuth), jnp.deg2rad(elevation)
  labels = jnp.stack(
    [
      jnp.sin(a),
      jnp.cos(a),
      jnp.sin(e),
      jnp.cos(e),
      _DISTANCE_SCALE * jnp.log(distance),
      jnp.ones_like(a),
    ],
    axis=-1,
  )
  if known is None:
    return labels
  return jnp.where(jnp.asarray(known)[..., None], labels, 0.0)
