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
from PIL import Image, ImageOps

from maskjax.face import landmarks, light, networks, pose

# Larger photos are made smaller: nothing here sees more than 192 pixels.
MAX_SIDE = 1280
MIN_SIDE = 32
MAX_FACES = 8
# The angle of view of a portrait, degrees, where it is not known.
FOVY_DEGREES = 35.0
_WIDE = ('F', 'I', 'I;16', 'I;16B', 'I;16L', 'I;16N')


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


def _to_bytes(picture: Image.Image) -> tuple[Image.Image, int]:
  """Turn a grey picture of wide numbers into one of bytes.

  Floats may count to 1, 255 or 65535, integers to 255 or 65535.

  Returns:
    The picture, and how many of its pixels are no numbers.
  """
  values = np.asarray(picture, np.float32)
  sound = np.isfinite(values)
  values = np.where(sound, values, 0.0)
  high = values.max(initial=0.0)
  top = 1.0 if picture.mode == 'F' and high <= 1 else 255.0
  top = 65535.0 if high > 255 else top
  scaled = np.clip(255 * values / top, 0, 255).round()
  return Image.fromarray(scaled.astype(np.uint8)), int(np.sum(~sound))


def read(
  path: str | os.PathLike, *, max_side: int = MAX_SIDE
) -> Float[np.ndarray, 'h w 3']:
  """Read a photo, upright as its camera says.

  Args:
    path: of any picture that Pillow opens: grey, 16 bit, floats, palette and
      transparent ones (over white) too; of an animation, the first picture.
    max_side: pixels to which a larger one is made smaller.

  Returns:
    sRGB in [0, 1].

  Raises:
    ValueError: no picture, a broken one, one that is too small, or numbers
      that are not finite.
  """
  if not os.path.isfile(path):
    raise ValueError(f'{path}: no such file; expected a photo')
  unsound = 0
  try:
    with Image.open(path) as file:
      picture = ImageOps.exif_transpose(file)
      if picture.mode in _WIDE:
        picture, unsound = _to_bytes(picture)
      if picture.has_transparency_data:
        picture = picture.convert('RGBA')
        white = Image.new('RGBA', picture.size, 'white')
        picture = Image.alpha_composite(white, picture)
      picture = picture.convert('RGB')
  except (OSError, SyntaxError, ValueError, EOFError) as error:
    raise ValueError(f'{path}: not a picture, or a broken one') from error
  except Image.DecompressionBombError as error:
    raise ValueError(f'{path}: too many pixels') from error
  if unsound:
    raise ValueError(f'{path} has {unsound} pixels that are no numbers')
  if max(picture.size) > max_side:
    picture.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
  image = np.asarray(picture, np.float32) / 255.0
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
def _look(
  nets: networks.Networks, image: Float[Array, 'h w 3'], fovy: Float[Array, '']
) -> tuple[
  Float[Array, '468 3'],
  Float[Array, ''],
  pose.HeadPose,
  light.LightEstimate,
  Int[Array, ''],
]:
  """Return points, score, pose and light of the largest face, and how many."""
  height, width, _ = image.shape
  faces = landmarks.find(nets, image, max_faces=MAX_FACES, refinements=1)
  areas = jnp.where(faces.found, _areas(faces.points, height, width), -1.0)
  largest = jnp.argmax(areas)
  points = faces.points[largest]
  head = pose.head_pose(points, height, width, fovy=fovy)
  estimate = light.estimate_light(image, head)
  return points, faces.score[largest], head, estimate, jnp.sum(faces.found)


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
  found = _look(networks.load(), jnp.asarray(image), jnp.float32(fovy))
  points, score, head, estimate, count = found
  if not int(count):
    raise ValueError(
      f'no face found in {name}; it should be upright, look at the camera '
      'and fill at least a tenth of the picture'
    )
  return Face(points, score, head, estimate, int(count) - 1)
