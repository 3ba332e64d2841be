"""A piece of a scene as mesh files hold it, and what its pictures say.

Positions are float64 in the units of the file until all pieces are joined and
stand where they belong: coordinates of surveys are far from the origin.

Shapes: `v` vertices, `f` faces, `h w` pixels.
"""

import io
import pathlib
from typing import NamedTuple
import urllib.parse
import warnings

from jaxtyping import Float, Int, UInt8
import numpy as np
from PIL import Image

from maskjax.geometry import color

# Of all pictures of a mesh file; one alone may have 89 million.
MOST_PIXELS = 400_000_000
# Formats of pictures; others that Pillow knows run programs or hold none.
_FORMATS = ('AVIF', 'BMP', 'DIB', 'GIF', 'JPEG', 'JPEG2000', 'MPO', 'PNG',
            'PPM', 'TGA', 'TIFF', 'WEBP')  # fmt: skip


class Part(NamedTuple):
  """A piece of a scene.

  Attributes:
    vertices: positions in the units of the file.
    faces: vertices of each triangle, anticlockwise seen from outside.
    colors: linear RGB in [0, 1]; None where nothing says a colour.
    uvs: (0, 0) at the bottom left of a picture; None for none.
  """

  vertices: Float[np.ndarray, 'v 3']
  faces: Int[np.ndarray, 'f 3']
  colors: Float[np.ndarray, 'v 3'] | None = None
  uvs: Float[np.ndarray, 'v 2'] | None = None


def used(part: Part) -> Part:
  """Return a piece without the vertices that no face has.

  Several pieces of a file may share one list of vertices.

  Args:
    part: any piece.
  """
  kept, faces = np.unique(part.faces, return_inverse=True)
  return Part(
    part.vertices[kept],
    faces.reshape(-1, 3),
    None if part.colors is None else part.colors[kept],
    None if part.uvs is None else part.uvs[kept],
  )


def linear(srgb: Float[np.ndarray, '*n 3']) -> Float[np.ndarray, '*n 3']:
  """Return linear RGB of sRGB in [0, 1], float32."""
  return np.asarray(color.srgb_to_linear(np.asarray(srgb, np.float32)))


def beside(path: pathlib.Path, name: str) -> pathlib.Path | None:
  """Find a file that a mesh file names.

  Args:
    path: the mesh file.
    name: as it stands in the file: relative or from another machine, with
      either kind of slash, perhaps percent-encoded.

  Returns:
    The file, which lies in the folder of the mesh file or below it, or None.
  """
  folder = path.parent.resolve()
  for spelling in (name, urllib.parse.unquote(name)):
    spelling = spelling.replace('\\', '/')
    for relative in (spelling, spelling.rpartition('/')[2]):
      try:
        found = (folder / relative).resolve()
        if found.is_relative_to(folder) and found.is_file():
          return found
      except (OSError, ValueError):  # Too long, or with a zero byte.
        continue
  return None


def read_picture(
  source: bytes | pathlib.Path, most: int = MOST_PIXELS
) -> UInt8[np.ndarray, 'h w 3']:
  """Read a picture of a material; what is clear in it keeps its colour.

  Args:
    source: content of a file, or its path.
    most: pixels that it may have.

  Raises:
    ValueError: no picture, or one with too many pixels.
  """
  file = io.BytesIO(source) if isinstance(source, bytes) else source
  try:
    with warnings.catch_warnings():
      warnings.simplefilter('error', Image.DecompressionBombWarning)
      Image.init()
      formats = [name for name in _FORMATS if name in Image.OPEN]
      with Image.open(file, formats=formats) as image:
        if image.width * image.height > most:
          raise ValueError(
            f'its pictures have more than {MOST_PIXELS / 1e6:.0f} million '
            'pixels in all; make them smaller'
          )
        return np.asarray(image.convert('RGB'))
  except (OSError, Image.DecompressionBombError, SyntaxError) as error:
    raise ValueError(f'its picture cannot be read: {error}') from error
  except Image.DecompressionBombWarning as error:
    raise ValueError(f'its picture is too large: {error}') from error


def _wrapped(
  place: Float[np.ndarray, 'v'], wrap: str
) -> Float[np.ndarray, 'v']:
  """Bring places on a picture into [0, 1]."""
  place = np.where(np.isfinite(place), place, 0.0)
  if wrap == 'clamp':
    return np.clip(place, 0.0, 1.0)
  if wrap == 'mirror':
    return 1.0 - np.abs(place % 2.0 - 1.0)
  return np.where((place < 0) | (place > 1), place % 1.0, place)


def look_up(
  picture: UInt8[np.ndarray, 'h w 3'],
  uvs: Float[np.ndarray, 'v 2'],
  *,
  wrap: tuple[str, str] = ('repeat', 'repeat'),
) -> Float[np.ndarray, 'v 3']:
  """Return the linear colours of the nearest pixels.

  Args:
    picture: sRGB, of any size.
    uvs: (0, 0) at the bottom left.
    wrap: beyond the picture, along u and v: 'repeat', 'clamp' or 'mirror'.
  """
  height, width = picture.shape[:2]
  u, v = (_wrapped(uvs[:, k].astype(np.float64), wrap[k]) for k in range(2))
  column = np.minimum((u * width).astype(int), width - 1)
  row = np.minimum(((1.0 - v) * height).astype(int), height - 1)
  return linear(picture[row, column] / np.float32(255))
