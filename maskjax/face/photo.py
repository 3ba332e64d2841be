"""A photo of a person: read it, and look at the face in it.

What goes wrong with a photo is said here, in one line each; the functions
below (`landmarks.find` and the rest) never raise, so that a video goes on
where one frame shows no face.

Shapes: `h w` pixels.
"""

import os
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int
import numpy as np

from maskjax.face import landmarks, light, networks, pose, search
from maskjax.studio import pictures

# Larger photos are made smaller: nothing here sees more than 192 pixels.
MAX_SIDE = 1280
MIN_SIDE = 32
MAX_FACES = 8
# Width of the smallest face that is found, of the longer side of a picture.
SMALLEST = 0.04
# The angle of view of a portrait, degrees, where it is not known.
FOVY_DEGREES = 35.0


class Face(NamedTuple):
  """The face of a photo.

  Attributes:
    points: 468 landmarks, image coordinates; see `landmarks.Landmarks`.
    score: how sure it is a face, in [0, 1].
    head: where it is and how it is turned.
    light: the light on it, in the head's frame.
    others: how many more faces there are in the photo; this is the largest.
  """

  points: Float[Array, '468 3']
  score: Float[Array, '']
  head: pose.HeadPose
  light: light.LightEstimate
  others: int


def check(image: Float[np.ndarray, 'h w 3'], name: str = 'the photo') -> None:
  """Refuse an array that is no photo.

  Args:
    image: what should be sRGB in [0, 1].
    name: what to call it.

  Raises:
    ValueError: another shape or type, too small, not finite, out of range.
  """
  image = np.asarray(image)
  if image.ndim != 3 or image.shape[-1] != 3:
    raise ValueError(
      f'{name} has the shape {image.shape}; expected [height, width, 3] '
      '(repeat a grey picture three times)'
    )
  if not np.issubdtype(image.dtype, np.floating):
    raise ValueError(
      f'{name} is {image.dtype}; expected floats in [0, 1] (divide by 255)'
    )
  height, width, _ = image.shape
  if min(height, width) < MIN_SIDE:
    raise ValueError(
      f'{name} is {width} x {height} pixels; a face needs at least '
      f'{MIN_SIDE} x {MIN_SIDE}'
    )
  if not np.all(np.isfinite(image)):
    count = int(np.sum(~np.isfinite(image).all(-1)))
    raise ValueError(f'{name} has {count} pixels that are no numbers')
  low, high = float(image.min()), float(image.max())
  if low < -1e-3 or high > 1 + 1e-3:
    raise ValueError(
      f'{name} has values from {low:.3g} to {high:.3g}; expected [0, 1]'
    )


def read(
  path: str | os.PathLike, *, max_side: int = MAX_SIDE
) -> Float[np.ndarray, 'h w 3']:
  """Read a photo, upright as its camera says.

  Args:
    path: of a picture, see `studio.pictures`.
    max_side: pixels to which a larger one is made smaller.

  Returns:
    sRGB in [0, 1].

  Raises:
    ValueError: no picture, a broken one, one that is too small, or numbers
      that are not finite.
  """
  image = pictures.read(path, max_side=max_side)
  check(image, str(path))
  return image


def astronaut() -> Float[np.ndarray, '512 512 3']:
  """Return NASA's portrait of Eileen Collins, in the public domain."""
  from skimage import data  # slow to import, and only this needs it

  return data.astronaut().astype(np.float32) / 255.0


def _areas(
  points: Float[Array, 'k 468 3'], height: int, width: int
) -> Float[Array, 'k']:
  """Return the area of each face's box in pixels."""
  flat = points[..., :2]
  sides = flat.max(-2) - flat.min(-2)
  return sides[..., 0] * width * sides[..., 1] * height


@jax.jit
def _largest(
  nets: networks.Networks, image: Float[Array, 'h w 3']
) -> tuple[Float[Array, '468 3'], Float[Array, ''], Int[Array, '']]:
  """Return points and score of the largest face, and how many there are."""
  height, width, _ = image.shape
  faces = landmarks.find(nets, image, max_faces=MAX_FACES, refinements=1)
  areas = jnp.where(faces.found, _areas(faces.points, height, width), -1.0)
  largest = jnp.argmax(areas)
  return faces.points[largest], faces.score[largest], jnp.sum(faces.found)


@jax.jit
def _describe(
  image: Float[Array, 'h w 3'],
  points: Float[Array, '468 3'],
  fovy: Float[Array, ''],
) -> tuple[pose.HeadPose, light.LightEstimate]:
  """Return the pose of a face and the light on it."""
  height, width, _ = image.shape
  head = pose.head_pose(points, height, width, fovy=fovy)
  return head, light.estimate_light(image, head)


def look(
  image: Float[np.ndarray, 'h w 3'],
  *,
  name: str = 'the photo',
  fovy: float = FOVY_DEGREES,
) -> Face:
  """Find the largest face of a photo, its pose and its light.

  Args:
    image: sRGB in [0, 1], from `read`.
    name: what to call it.
    fovy: vertical angle of view of the camera, degrees.

  Returns:
    The face.

  Raises:
    ValueError: the array is no photo, or no face is in it.
  """
  check(image, name)
  if not 1.0 < fovy < 170.0:
    raise ValueError(f'the angle of view is {fovy}; expected 1 to 170 degrees')
  nets, seen = networks.load(), jnp.asarray(image)
  points, score, count = _largest(nets, seen)
  others = int(count) - 1
  if others < 0:
    small = search.largest(nets, seen)
    if small is None:
      raise ValueError(
        f'no face found in {name}; it should be upright, look at the camera, '
        f'and be at least {SMALLEST:.0%} of the longer side of the picture and '
        f'{MIN_SIDE} pixels wide'
      )
    (_, score, points), others = small
  head, estimate = _describe(seen, points, jnp.float32(fovy))
  return Face(points, score, head, estimate, others)
