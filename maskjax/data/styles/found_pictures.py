"""Pictures that others drew, framed as ours are: before a wall, mirrored.

They come from packages (`pip`, `npm`) when a set is built; nothing of them is
kept in this repository. They have no cameras.

Shapes: `s` pixels a side.
"""

from jaxtyping import Float, UInt8
import numpy as np
from PIL import Image

from maskjax.data.styles import style as style_lib
from maskjax.geometry import color


def soft_background(
  rng: np.random.Generator, size: int
) -> Float[np.ndarray, 's s 3']:
  """Return a pale wall, graded from top to bottom; sRGB in [0, 1]."""
  first = rng.uniform(0.55, 1.0, 3) ** 0.7
  second = first * rng.uniform(0.7, 1.0)
  ramp = np.linspace(0, 1, size)[:, None, None]
  return np.broadcast_to(first + (second - first) * ramp, (size, size, 3))


def frame(
  picture: Image.Image,
  rng: np.random.Generator,
  *,
  size: int,
  zoom: float,
  top: float,
) -> UInt8[np.ndarray, 's s 3']:
  """Put a picture before a wall, half of them mirrored.

  Args:
    picture: square, RGBA.
    rng: draws the mirroring and the wall.
    size: pixels a side of the result.
    zoom: side of the picture, in sizes of the result.
    top: where its upper edge comes, in sizes of the result.

  Returns:
    The picture, sRGB.
  """
  side = round(size * zoom)
  small = picture.resize((side, side), Image.Resampling.LANCZOS)
  canvas = Image.new('RGBA', (size, size))
  canvas.paste(small, ((size - side) // 2, round(top * size)))
  values = np.asarray(canvas, np.float64) / 255
  alpha = values[..., 3:]
  if rng.random() < 0.5:
    values, alpha = values[:, ::-1], alpha[:, ::-1]
  behind = soft_background(rng, size)
  return color.to_bytes(values[..., :3] * alpha + behind * (1 - alpha))


def labelled(
  image: UInt8[np.ndarray, 's s 3'],
  caption: str,
  attributes: dict[str, bool],
  identity: int,
) -> style_lib.StylePicture:
  """Return a picture with its words, without camera and landmarks."""
  return style_lib.StylePicture(
    image=image,
    caption=caption,
    attributes=attributes,
    camera=None,
    landmarks=None,
    identity=identity,
  )
