"""The light of a clip, steady over time, on a mask.

The light is estimated on the face (`face.light`), in the head's frame. What
stays where it is while the head turns is the light in the camera's frame:
there it is filtered over time, and from there turned back for each frame.

Source of the rotation: functions of a band of spherical harmonics stay in it,
so values in a few directions give the coefficients (Ramamoorthi and Hanrahan,
2001, section 2).

Shapes: `n` frames, `k` samples.
"""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt8
import numpy as np

from maskjax.face import light, pose
from maskjax.render import lights as lights_lib
from maskjax.wear import smoothing

# Seconds over which the light is averaged.
WIDTH = 0.5
# The brightest that a white surface becomes, linear: cameras expose for that.
_WHITE = 0.95
_DARKEST = 0.12


@functools.cache
def _directions() -> Float[np.ndarray, 'm 3']:
  """Return unit vectors evenly over the sphere (a Fibonacci spiral)."""
  index = np.arange(64) + 0.5
  z = 1 - index / 32
  angle = np.pi * (1 + 5**0.5) * index
  flat = np.sqrt(1 - z * z)
  return np.stack([flat * np.cos(angle), flat * np.sin(angle), z], -1)


@functools.cache
def _solver() -> Float[np.ndarray, '9 m']:
  """Return what makes coefficients of the values in `_directions`."""
  basis = np.asarray(lights_lib.harmonics_basis(jnp.asarray(_directions())))
  return np.linalg.pinv(basis.astype(np.float64))


def turned(
  harmonics: Float[np.ndarray, '9 3'], rotation: Float[np.ndarray, '3 3']
) -> Float[np.ndarray, '9 3']:
  """Return the light as it is told in another frame.

  Args:
    harmonics: in one frame, see `render.lights.Lights`.
    rotation: of directions from that frame into the other.
  """
  # The value in a new direction is that in the old direction.
  old = _directions() @ rotation
  values = np.asarray(lights_lib.harmonics_basis(jnp.asarray(old))) @ harmonics
  return _solver() @ values


@jax.jit
def _estimate(
  image: UInt8[Array, 'h w 3'],
  points: Float[Array, '468 3'],
  fovy: Float[Array, ''],
) -> tuple[Float[Array, '9 3'], Float[Array, '4 4']]:
  height, width, _ = image.shape
  head = pose.head_pose(points, height, width, fovy=fovy)
  found = light.estimate_light(image.astype(jnp.float32) / 255, head)
  return found.harmonics, head.camera.cam2world


def estimate(
  image: UInt8[np.ndarray, 'h w 3'],
  points: Float[np.ndarray, '468 3'],
  fovy: float,
) -> Float[np.ndarray, '9 3']:
  """Estimate the light on a face, in the camera's frame (OpenCV axes).

  Args:
    image: the frame, sRGB.
    points: the face, see `face.landmarks.Landmarks`.
    fovy: the camera's vertical angle of view, degrees.
  """
  harmonics, cam2world = _estimate(image, points, jnp.float32(fovy))
  rotation = np.asarray(cam2world, np.float64)[:3, :3]
  return turned(np.asarray(harmonics, np.float64), rotation.T)


def steadied(
  times: Float[np.ndarray, 'n'],
  when: Float[np.ndarray, 'k'],
  samples: Float[np.ndarray, 'k 9 3'],
) -> Float[np.ndarray, 'n 9 3']:
  """Return the light at every frame of one shot, filtered over time.

  Args:
    times: of the frames, seconds.
    when: the light was estimated, seconds, growing; at least once.
    samples: the light then, in the camera's frame.
  """
  flat = samples.reshape(len(samples), -1)
  if len(when) > 2:
    flat = smoothing.weighted_mean(when, flat, WIDTH)
  columns = [np.interp(times, when, column) for column in flat.T]
  return np.stack(columns, -1).reshape(-1, 9, 3)


def exposed(
  harmonics: Float[np.ndarray, '9 3'], *, tint: float
) -> Float[np.ndarray, '9 3']:
  """Return a light under which a mask looks as the frame is exposed.

  How bright skin is tells of the light and of the skin alike. A camera exposes
  such that white is just white: so no light makes a white mask brighter, and
  that of a dark skin is not taken for darkness beyond a limit.

  Args:
    harmonics: on the face, in the head's frame.
    tint: how much of its colour to keep, in [0, 1]: skins differ in theirs.
  """
  normals = jnp.asarray(_directions()[_directions()[:, 2] > 0], jnp.float32)
  lights = lights_lib.create(harmonics=harmonics)
  falling = np.asarray(lights_lib.irradiance(lights, normals, normals))
  mean = falling.mean(0)
  grey = float(mean.mean())
  if not np.isfinite(grey) or grey <= 1e-6:
    return even(0.5)
  factors = (grey / np.maximum(mean, 1e-6)) ** (1 - tint)
  result = harmonics * factors
  most = float((falling * factors).max())
  return result * np.clip(1.0, _DARKEST / most, _WHITE / most)


def even(level: float) -> Float[np.ndarray, '9 3']:
  """Return an even white light."""
  harmonics = np.zeros((9, 3))
  harmonics[0] = level * 2 * np.sqrt(np.pi)
  return harmonics


def direction(harmonics: Float[np.ndarray, '9 3']) -> Float[np.ndarray, '3']:
  """Return the unit vector toward most of the light; 0 where it is even."""
  # Coefficients of y, z, x in turn.
  vector = harmonics[[3, 1, 2]].mean(-1)
  length = np.linalg.norm(vector)
  return vector / length if length > 1e-9 else np.zeros(3)


def on_mask(
  harmonics: Float[np.ndarray, '9 3'] | None, *, tint: float
) -> Float[Array, '9 3']:
  """Return the light that a mask is drawn under.

  Args:
    harmonics: on the face, in the head's frame; None: even and white.
    tint: how much of its colour to keep, in [0, 1].
  """
  if harmonics is None:
    return jnp.asarray(even(0.9), jnp.float32)
  return jnp.asarray(exposed(harmonics, tint=tint), jnp.float32)
