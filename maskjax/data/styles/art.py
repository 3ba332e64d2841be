"""Drawn heads with captions: Fluent Emoji 3D and their flat Noto twins.

Two public picture sets name their pictures by Unicode code points, so the
Unicode names serve as captions. Only heads are taken, each framed like the
rendered creatures; nothing of the pictures is kept in this repository (origin
and licences: third_party/fluent_emoji, third_party/noto_emoji).

Shapes: N pictures, H = W = size pixels, 4 channels RGBA (sRGB, straight alpha).
"""

from collections.abc import Collection, Iterator, Sequence
import io
import pathlib
import re
import subprocess
import tarfile
from typing import Any, NamedTuple
import unicodedata

from jaxtyping import Float, UInt8
import numpy as np

from maskjax.training import files

PACKAGE = '@lobehub/fluent-emoji-3d@1.1.0'
STYLES = ('3D emoji', 'flat cartoon')  # Fluent, Noto
# The diameter of the disc with a head's area, in image widths: ears and horns
# then reach about as far as those of the rendered creatures do.
HEAD_WIDTH = 0.6
MARGIN = 0.04  # always empty at each side, in image widths

_FONT_NAME = 'NotoColorEmoji.ttf'
_FONT_FOLDERS = (
  '/usr/share/fonts/truetype/noto',
  '/usr/share/fonts',
  '/usr/local/share/fonts',
  '~/.local/share/fonts',
  '~/.fonts',
  '/Library/Fonts',
)
_FONT_PIXELS = 109  # the only size at which the font holds its bitmaps

# Smileys, less those that are upside down, burst, or hide behind a hand.
_SMILEYS = (
  '1f600..1f623 1f625..1f630 1f632..1f637 1f641 1f642 1f644 1f910..1f913 1f915'
  ' 1f920 1f922 1f924 1f925 1f928..1f92a 1f92c 1f970 1f972..1f976 1f978..1f97a'
  ' 1f9d0 1fae4 2639-fe0f 263a-fe0f'
)
_ANIMALS = (
  '1f414 1f417 1f428 1f42d..1f432 1f434..1f43b 1f43b-200d-2744-fe0f 1f43c'
  ' 1f638..1f63f 1f981 1f984 1f98a 1f99d 1face'
)
_CREATURES = (
  '1f31a 1f31d 1f31e 1f383 1f385 1f479 1f47a 1f47c 1f47d 1f47f 1f480 1f916'
  ' 1f921 1f936'
)
_PEOPLE = '1f466..1f469 1f474 1f475 1f9d2 1f9d4'
SKINS = {
  0x1F3FB: 'light',
  0x1F3FC: 'medium light',
  0x1F3FD: 'medium',
  0x1F3FE: 'medium dark',
  0x1F3FF: 'dark',
}
# Fluent's package has these two files the wrong way round.
_SWAPPED_SKINS = {0x1F3FC: 0x1F3FD, 0x1F3FD: 0x1F3FC}

# Where one set shows more than a head, or the other alone shows a head.
_NOT_FLAT = ('1f936', '1f47c')
_ONLY_FLAT = ('1f993',)
_FROM_THE_SIDE = ('1f414', '1f417', '1f432', '1f434', '1f984', '1f993', '1face')

# Names that Unicode lacks (newer than Python's tables), or words oddly.
_NAMES = {
  '1f383': 'pumpkin head',
  '1f385': 'santa claus',
  '1f43b-200d-2744-fe0f': 'polar bear face',
  '1f479': 'ogre',
  '1f47a': 'goblin',
  '1f47d': 'alien',
  '1f47f': 'angry purple devil',
  '1f608': 'smiling purple devil',
  '1f60b': 'face savoring delicious food',
  '1f936': 'mother christmas',
  '1face': 'moose face',
  '2639-fe0f': 'frowning face',
  '263a-fe0f': 'smiling face',
}
_KINDS = re.compile(
  r'\b(chicken|boar|koala|mouse|cow|tiger|rabbit|cat|dragon|horse|monkey|dog'
  r'|pig|frog|hamster|wolf|bear|panda|lion|unicorn|fox|raccoon|moose|zebra'
  r'|pumpkin|ogre|goblin|alien|devil|skull|robot|clown)\b'
)


class Art(NamedTuple):
  """Heads with captions; all fields run over the same N pictures.

  Attributes:
    images: uint8 [N, H, W, 4], sRGB with straight alpha.
    captions: one line of words a picture.
    kinds: name of the creature shown, '' where it is none.
    style: one of STYLES.
  """

  images: UInt8[np.ndarray, 'n h w 4']
  captions: list[str]
  kinds: list[str]
  style: list[str]


def parse_code_points(name: str) -> tuple[int, ...]:
  """Read a picture's name, as '1f43b-200d-2744-fe0f', into code points.

  Raises:
    ValueError: a part is not the hexadecimal number of a code point.
  """
  try:
    points = tuple(int(part, 16) for part in name.split('-'))
    ''.join(map(chr, points)).encode()
  except (ValueError, OverflowError):
    raise ValueError(
      f'{name!r} is not a list of code points; expected hexadecimal numbers'
      " joined by '-', such as '1f43b-200d-2744'"
    ) from None
  return points


def _expand(table: str) -> Iterator[str]:
  """Spell out a table of names, where '1f600..1f603' is a range."""
  for entry in table.split():
    if '..' in entry:
      first, last = (int(end, 16) for end in entry.split('..'))
      yield from (f'{point:x}' for point in range(first, last + 1))
    else:
      yield entry


def selection(style: str) -> list[str]:
  """List the names (code points joined by '-') of the heads in one style.

  Raises:
    ValueError: the style is not one of STYLES.
  """
  if style not in STYLES:
    raise ValueError(f'unknown art style {style!r}; expected one of {STYLES}')
  names = [*_expand(f'{_SMILEYS} {_ANIMALS} {_CREATURES}')]
  for person in _expand(_PEOPLE):
    names += [person, *(f'{person}-{skin:x}' for skin in SKINS)]
  if style == STYLES[1]:
    names = [name for name in names if name not in _NOT_FLAT]
    names += _ONLY_FLAT
  return names


def caption(name: str, style: str) -> str:
  """Put a picture into words: 'tiger face, 3D emoji style, front view'.

  A flat drawing has no camera, so its view is told only where it is a profile.

  Args:
    name: code points joined by '-'.
    style: one of STYLES.

  Raises:
    ValueError: the name is malformed or its first code point has no name.
  """
  points = parse_code_points(name)
  words = _NAMES.get(name) or unicodedata.name(chr(points[0]), '').lower()
  if not words:
    raise ValueError(f'code point {name!r} has no Unicode name')
  if len(points) > 1 and points[1] in SKINS:
    skin = points[1]
    if style == STYLES[0]:
      skin = _SWAPPED_SKINS.get(skin, skin)
    words += f' with {SKINS[skin]} skin'
  view = 'side view' if name in _FROM_THE_SIDE else 'front view'
  parts = [words, f'{style} style']
  if style == STYLES[0] or view == 'side view':
    parts.append(view)
  return ', '.join(parts)


def true_skin(point: int) -> int:
  """Return the skin that Fluent's picture of a skin modifier shows."""
  return _SWAPPED_SKINS.get(point, point)


def is_smiley(name: str) -> bool:
  """Tell whether a picture's name is that of a smiley."""
  return name in set(_expand(_SMILEYS))


def kind(name: str) -> str:
  """Name the creature that a picture shows, '' for smileys and people."""
  found = _KINDS.search(caption(name, STYLES[0]))
  return found[0] if found else ''


def find_font(font_path: str | pathlib.Path | None = None) -> pathlib.Path:
  """Return the given font file, or find Noto's in the system's folders.

  Raises:
    ValueError: there is no such file.
  """
  if font_path is not None:
    if not pathlib.Path(font_path).is_file():
      raise ValueError(
        f'no font file at {font_path}; expected the path of {_FONT_NAME}'
      )
    return pathlib.Path(font_path)
  for folder in _FONT_FOLDERS:
    found = sorted(pathlib.Path(folder).expanduser().rglob(_FONT_NAME))
    if found:
      return found[0]
  raise ValueError(
    f'{_FONT_NAME} is not installed; run `apt-get install'
    ' fonts-noto-color-emoji` or pass the path of the file'
  )


def _pictures(directory: str | pathlib.Path) -> pathlib.Path:
  return pathlib.Path(directory) / 'package' / 'assets'


def fetch_fluent(directory: str | pathlib.Path) -> pathlib.Path:
  """Unpack Fluent's pictures in `directory`, unless they are there already.

  npm checks the package's hash itself.

  Args:
    directory: receives `package/assets/*.webp` (16 MB).

  Returns:
    The folder of the pictures.

  Raises:
    ValueError: npm is missing, or could not get the package.
  """
  pictures = _pictures(directory)
  if pictures.is_dir():
    return pictures
  pathlib.Path(directory).mkdir(parents=True, exist_ok=True)
  command = ['npm', 'pack', PACKAGE, '--loglevel=error']
  try:
    done = subprocess.run(
      command, cwd=directory, capture_output=True, text=True, check=True
    )
  except FileNotFoundError:
    raise ValueError(
      'npm is not installed; run `apt-get install npm`'
    ) from None
  except subprocess.CalledProcessError as error:
    reason = ' '.join((error.stderr or 'no reason given').split())[:200]
    raise ValueError(f'npm could not get {PACKAGE}: {reason}') from None
  tarball = pathlib.Path(directory) / done.stdout.split()[-1]
  with tarfile.open(tarball) as archive:
    archive.extractall(directory, filter='data')
  return pictures


def fetch(
  directory: str | pathlib.Path, font_path: str | pathlib.Path | None = None
) -> pathlib.Path:
  """Get both picture sets: unpack Fluent's in `directory`, find Noto's font.

  What is there already is kept.

  Args:
    directory: receives `package/assets/*.webp` (16 MB).
    font_path: the font file; None searches the system's folders.

  Returns:
    The font's path, for `load`.

  Raises:
    ValueError: npm or the font is missing, or npm could not get the package.
  """
  font = find_font(font_path)
  fetch_fluent(directory)
  return font


def _draw_fluent(folder: pathlib.Path, names: list[str]) -> Iterator[Any]:
  """Yield Fluent's pictures, RGBA images of Pillow."""
  from PIL import Image

  missing = [name for name in names if not (folder / f'{name}.webp').is_file()]
  if missing:
    raise ValueError(
      f'{len(missing)} of {len(names)} pictures are missing in {folder}, first'
      f' {missing[0]}.webp; remove the folder and fetch {PACKAGE} again'
    )
  for name in names:
    try:
      with Image.open(folder / f'{name}.webp') as file:
        picture = file.convert('RGBA')
    except OSError as error:
      raise ValueError(f'picture {name}.webp is broken: {error}') from None
    if not picture.getchannel('A').getbbox():
      raise ValueError(f'picture {name}.webp is empty; fetch {PACKAGE} again')
    yield picture


def _draw_noto(font_path: pathlib.Path, names: list[str]) -> Iterator[Any]:
  """Yield Noto's glyphs, RGBA images of Pillow."""
  from PIL import Image, ImageDraw, ImageFont, features

  if not features.check('raqm'):
    raise ValueError(
      'Pillow cannot join emoji sequences; run `apt-get install libfribidi0`'
    )
  try:
    # As a stream: a path that fails sends Pillow to another file of that name.
    stream = io.BytesIO(font_path.read_bytes())
    font = ImageFont.truetype(stream, _FONT_PIXELS)
  except OSError as error:
    raise ValueError(
      f'{font_path} is not the bitmap font {_FONT_NAME}: {error}'
    ) from None
  for name in names:
    text = ''.join(map(chr, parse_code_points(name)))
    left, top, right, bottom = (int(x) for x in font.getbbox(text))
    glyph = Image.new('RGBA', (max(right - left, 1), max(bottom - top, 1)))
    pen = ImageDraw.Draw(glyph)
    pen.text((-left, -top), text, font=font, embedded_color=True)
    if not glyph.getbbox():
      raise ValueError(f'{font_path} is too old: it does not draw {name}')
    yield glyph


def _frame(picture: Any, size: int) -> UInt8[np.ndarray, 'h w 4']:
  """Centre a head on its area, scaled to HEAD_WIDTH and inside MARGIN."""
  from PIL import Image

  alpha = np.asarray(picture)[..., 3] / 255
  area = alpha.sum()
  left, top, right, bottom = picture.getchannel('A').getbbox()
  longest = max(right - left, bottom - top)
  side = 2 * np.sqrt(area / np.pi) / HEAD_WIDTH
  side = max(side, longest / (1 - 2 * MARGIN))
  reach = (0.5 - MARGIN) * side

  def start(axis: int, low: int, high: int) -> float:
    profile = alpha.sum(axis)
    centre = profile @ (np.arange(len(profile)) + 0.5) / area
    return np.clip(centre, high - reach, low + reach) - side / 2

  x, y = start(0, left, right), start(1, top, bottom)
  x0, y0, extent = int(np.floor(x)), int(np.floor(y)), int(np.ceil(side)) + 1
  window = picture.crop((x0, y0, x0 + extent, y0 + extent))  # pads with clear
  box = (x - x0, y - y0, x - x0 + side, y - y0 + side)
  return np.asarray(window.resize((size, size), Image.Resampling.BICUBIC, box))


def load(
  directory: str | pathlib.Path,
  font_path: str | pathlib.Path | None = None,
  size: int = 128,
  *,
  kinds: Collection[str] | None = None,
) -> Art:
  """Read all heads of both styles, Fluent's first; the same at every call.

  Args:
    directory: the folder that `fetch` filled.
    font_path: NotoColorEmoji.ttf; None searches the system's folders.
    size: height and width of the images, pixels.
    kinds: kind names in use, usually `creatures.KINDS`; a picture of another
      kind gets ''. None keeps them all.

  Raises:
    ValueError: pictures or font are missing or broken, or size is below 8.
  """
  if size < 8:
    raise ValueError(f'size is {size} pixels; expected 8 or more')
  folder = _pictures(directory)
  fluent, noto = (selection(style) for style in STYLES)
  art = Art(
    np.zeros((len(fluent) + len(noto), size, size, 4), np.uint8), [], [], []
  )
  drawn = (_draw_fluent(folder, fluent), _draw_noto(find_font(font_path), noto))
  for style, names, pictures in zip(STYLES, (fluent, noto), drawn, strict=True):
    for name, picture in zip(names, pictures, strict=True):
      art.images[len(art.captions)] = _frame(picture, size)
      art.captions.append(caption(name, style))
      word = kind(name)
      art.kinds.append(word if kinds is None or word in kinds else '')
      art.style.append(style)
  return art


def build(
  path: pathlib.Path,
  directory: str | pathlib.Path,
  *,
  size: int,
  kinds: Collection[str],
) -> None:
  """Fetch both picture sets and write all heads to a file.

  Args:
    path: of the file, .npz with `images` and `captions` as in `Art`.
    directory: where the sets are fetched to.
    size: height and width of the images, pixels.
    kinds: kind names in use, as in `load`.

  Raises:
    ValueError: npm or the font is missing, or a picture.
  """
  emoji = load(directory, fetch(directory), size, kinds=kinds)
  with files.replacing(path) as temporary:
    np.savez(temporary, images=emoji.images, captions=np.array(emoji.captions))


def _zoom(
  scale: Float[np.ndarray, 'n'], size: int
) -> Float[np.ndarray, 'n s s']:
  """Return matrices that scale a line about its middle, by a triangle."""
  pixels = np.arange(size, dtype=np.float32)
  middle = (size - 1) / 2
  scale = scale[:, None, None]
  source = (pixels[:, None] - middle) / scale + middle
  reach = np.maximum(1 / scale, 1)  # wider when shrinking, against aliasing
  weights = np.maximum(1 - np.abs(source - pixels) / reach, 0)
  total = weights.sum(-1, keepdims=True)
  return (weights / np.maximum(total, 1)).astype(np.float32)


def compose(
  images: UInt8[np.ndarray, 'n h w 4'],
  background: Float[np.ndarray, '*rest 3'] | Sequence[float],
  scale: Float[np.ndarray, 'n'] | float = 1.0,
) -> tuple[Float[np.ndarray, 'n h w 3'], Float[np.ndarray, 'n h w 1']]:
  """Put heads on backgrounds, each zoomed about the middle of the image.

  Args:
    images: heads as in Art.images, square.
    background: sRGB in [0, 1]: [3], [N, 3], or pictures [N, H, W, 3].
    scale: zoom factor, one or one a head; 1 keeps the head's pixels.

  Returns:
    Images, sRGB in [0, 1], and masks (the heads' coverage) in [0, 1].

  Raises:
    ValueError: images are not square RGBA, a scale is not above 0, or the
      background does not fit.
  """
  count, size = (*images.shape, 0, 0)[:2]
  if images.shape != (count, size, size, 4):
    raise ValueError(f'images have shape {images.shape}; expected [N, S, S, 4]')
  scale = np.broadcast_to(np.asarray(scale, np.float32), (count,))
  if not (scale > 0).all():
    raise ValueError(f'scale {scale.min()} is not above 0')
  background = np.asarray(background, np.float32)
  if background.shape not in ((3,), (count, 3), (*images.shape[:3], 3)):
    raise ValueError(
      f'background has shape {background.shape}; expected [3], [N, 3] or'
      f' [N, H, W, 3] with N = {count}, H = W = {size}'
    )
  if background.ndim < 4:
    background = np.broadcast_to(background, (count, 3))[:, None, None]
  layers = images.astype(np.float32) / 255
  layers[..., :3] *= layers[..., 3:]  # premultiplied: clear pixels have no say
  zoom = _zoom(scale, size)
  for _ in range(2):  # along H, then along W; each turn swaps the two
    layers = zoom @ layers.reshape(count, size, size * 4)
    layers = layers.reshape(count, size, size, 4).swapaxes(1, 2)
  color, mask = layers[..., :3], layers[..., 3:]
  return np.clip(color + (1 - mask) * background, 0, 1), mask
