"""Pictures of others: the one reader for photos, masks and conditions.

Whatever a file is (16 bit, floats, a palette, transparent, in the colours of a
camera or a printer, turned, very large), what comes back is sRGB as one sees
it, over white where it is transparent.

Shapes: `h w` pixels; `s` pixels a side of a square.
"""

from collections.abc import Iterator
import contextlib
import io
import os

from jaxtyping import Float
import numpy as np
from PIL import Image, ImageChops, ImageCms, ImageOps

from maskjax.weights import pointers

# Formats of pictures; others that Pillow knows run programs or hold none.
_FORMATS = (
  *('AVIF', 'BMP', 'DIB', 'GIF', 'ICO', 'JPEG', 'JPEG2000', 'MPO'),
  *('PNG', 'PPM', 'QOI', 'TGA', 'TIFF', 'WEBP'),
)
_WIDE = ('F', 'I', 'I;16', 'I;16B', 'I;16L', 'I;16N')
# Pixels at most: a JPEG is read by eighths, wide numbers take most memory.
_MOST_JPEG, _MOST_WIDE, _MOST = 250_000_000, 50_000_000, 100_000_000
# From here on a picture is made smaller before anything else is done to it.
_LARGE = 25_000_000
_SPACES = {'RGB': 'RGB', 'GRAY': 'L', 'CMYK': 'CMYK'}
# A mask whose numbers differ by less says nothing of where.
_FLAT = 2 / 255


class _TooManyPixelsError(ValueError):
  """A picture that would not fit into memory."""


@contextlib.contextmanager
def _opened(path: str | os.PathLike) -> Iterator[Image.Image]:
  """Open a picture of any size; what is too large is refused by `_check`."""
  Image.init()
  limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
  try:
    file = Image.open(path, formats=[f for f in _FORMATS if f in Image.OPEN])
  finally:
    Image.MAX_IMAGE_PIXELS = limit
  with file:
    yield file


def _check(path: str | os.PathLike, file: Image.Image) -> None:
  """Refuse a picture that would not fit into memory."""
  most = _MOST_WIDE if file.mode in _WIDE else _MOST
  most = _MOST_JPEG if file.format in ('JPEG', 'MPO') else most
  width, height = file.size
  if width * height > most:
    raise _TooManyPixelsError(
      f'{path}: {width} x {height}, too many pixels: '
      f'{width * height / 1e6:,.0f} million, where {most / 1e6:.0f} million of '
      f'a {file.format} are read; make it smaller'
    )


def _smaller(file: Image.Image, side: int) -> Image.Image:
  """Return a very large picture made smaller, others as they are."""
  if file.width * file.height <= _LARGE or file.mode in _WIDE:
    return file
  file.draft(None, (2 * side, 2 * side))  # a JPEG is decoded by halves
  factor = min(file.size) // (2 * side)
  if factor < 2:
    return file
  if file.mode not in ('L', 'LA', 'RGB', 'RGBA', 'CMYK'):
    file = file.convert('RGBA' if file.has_transparency_data else 'RGB')
  return file.reduce(factor)


def _to_bytes(path: str | os.PathLike, picture: Image.Image) -> Image.Image:
  """Turn a grey picture of wide numbers into one of bytes.

  Floats may count to 1, 255 or 65535, integers to 255 or 65535.

  Raises:
    ValueError: some are no numbers.
  """
  values = np.asarray(picture, np.float32)
  unsound = int(np.sum(~np.isfinite(values)))
  if unsound:
    raise ValueError(f'{path} has {unsound} pixels that are no numbers')
  high = values.max(initial=0.0)
  top = 1.0 if picture.mode == 'F' and high <= 1 else 255.0
  top = 65535.0 if high > 255 else top
  scaled = np.clip(255 * values / top, 0, 255).round()
  return Image.fromarray(scaled.astype(np.uint8))


def _is_alike(a: Image.Image, b: Image.Image) -> bool:
  """Return whether a profile only rounds: sRGB, whatever its name says."""
  if a.mode != b.mode:
    return False
  extrema = ImageChops.difference(a, b).convert('RGB').getextrema()
  return bool(np.max(extrema) <= 1)


def _to_srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
  """Convert colours of a profile; one that is broken says nothing."""
  if not profile:
    return picture
  alpha = picture.getchannel('A') if picture.mode in ('LA', 'RGBA') else None
  try:
    own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    mode = _SPACES.get(own.profile.xcolor_space.strip())
    colours = (
      picture.convert(picture.mode.removesuffix('A')) if alpha else picture
    )
    if colours.mode != mode:
      return picture
    converted = ImageCms.profileToProfile(
      colours,
      own,
      ImageCms.createProfile('sRGB'),
      renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
      outputMode='RGB',
    )
  except (ImageCms.PyCMSError, OSError, ValueError):
    return picture
  if converted is None or _is_alike(colours, converted):
    return picture
  if alpha is not None:
    converted.putalpha(alpha)
  return converted


def _open(path: str | os.PathLike, side: int) -> Image.Image:
  """Read a picture upright, RGB or RGBA, in sRGB.

  Args:
    path: of the file.
    side: pixels that are needed; a very large picture is made smaller, to no
      less than these.
  """
  if not os.path.isfile(path):
    raise ValueError(f'{path}: no such file; expected a picture')
  pointers.refuse(path)
  try:
    with _opened(path) as file:
      _check(path, file)
      profile = file.info.get('icc_profile')
      picture = ImageOps.exif_transpose(_smaller(file, side))
      picture.load()
  except _TooManyPixelsError:
    raise
  except Exception as error:  # Broken pictures raise anything.
    raise ValueError(f'{path}: not a picture, or a broken one') from error
  if picture.mode in _WIDE:
    return _to_bytes(path, picture).convert('RGB')
  clear = picture.has_transparency_data
  if picture.mode == 'P' or (clear and picture.mode not in ('LA', 'RGBA')):
    picture = picture.convert('RGBA' if clear else 'RGB')
  picture = _to_srgb(picture, profile)
  return picture.convert('RGBA' if clear else 'RGB')


def _over_white(picture: Image.Image) -> Image.Image:
  """Return a picture without transparency."""
  if picture.mode == 'RGB':
    return picture
  white = Image.new('RGBA', picture.size, 'white')
  return Image.alpha_composite(white, picture).convert('RGB')


def _square(picture: Image.Image, size: int) -> Image.Image:
  """Return the middle square of a picture."""
  return ImageOps.fit(picture, (size, size), Image.Resampling.LANCZOS)


def read(
  path: str | os.PathLike, *, max_side: int
) -> Float[np.ndarray, 'h w 3']:
  """Read a picture, upright as its camera says.

  Args:
    path: of a picture; of an animation, the first is taken.
    max_side: pixels to which a larger one is made smaller.

  Returns:
    sRGB in [0, 1], over white.

  Raises:
    ValueError: no picture, a broken one, one of too many pixels, or numbers
      that are not finite; one line.
  """
  picture = _over_white(_open(path, max_side))
  if max(picture.size) > max_side:
    picture.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
  return np.asarray(picture, np.float32) / np.float32(255)


def read_square(
  path: str | os.PathLike, size: int
) -> Float[np.ndarray, 's s 3']:
  """Read the middle square of a picture.

  Args:
    path: of a picture.
    size: pixels a side of the result.

  Returns:
    sRGB in [0, 1], over white.

  Raises:
    ValueError: what `read` refuses.
  """
  picture = _square(_over_white(_open(path, size)), size)
  return np.asarray(picture, np.float32) / np.float32(255)


def read_grey(path: str | os.PathLike, size: int) -> Float[np.ndarray, 's s']:
  """Read the middle square of a picture of numbers: a mask, a height.

  Args:
    path: of a picture. Where one of even colour is transparent in parts, its
      alpha channel holds the numbers; else what is transparent counts as 0.
    size: pixels a side of the result.

  Returns:
    Brightness in [0, 1], as sRGB stores it.

  Raises:
    ValueError: what `read` refuses.
  """
  picture = _open(path, size)
  grey = picture.convert('L')
  if picture.mode == 'RGBA':
    alpha = picture.getchannel('A')
    covered = np.asarray(alpha)
    if covered.min() < covered.max():
      shown = np.asarray(grey)[covered > 0]
      even = int(shown.max()) - int(shown.min()) <= 2
      black = Image.new('L', grey.size)
      grey = alpha if even else Image.composite(grey, black, alpha)
  return np.asarray(_square(grey, size), np.float32) / np.float32(255)


def read_mask(path: str | os.PathLike, size: int) -> Float[np.ndarray, 's s']:
  """Read the middle square of a mask.

  Args:
    path: of a picture, see `read_grey`.
    size: pixels a side of the result.

  Returns:
    Brightness in [0, 1]: 1 in the mask.

  Raises:
    ValueError: what `read` refuses, or a mask that is the same everywhere.
  """
  mask = read_grey(path, size)
  if mask.max() - mask.min() < _FLAT:
    raise ValueError(
      f'{path}: the mask is the same everywhere ({mask.mean():.0%} white); '
      'draw white where to paint and black elsewhere, or paint on transparent '
      'ground'
    )
  return mask
