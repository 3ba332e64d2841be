"""Artistic sets: people drawn as caricatures, toys, cartoons and comics.

Each style is an endless iterator of pictures with labels. The heads are those
of `people`, exaggerated or rounded, and the pictures are drawn from what the
renderer knows: bare colours, light on grey, depth and normals. A learner is
given no cameras; the true ones stay beside the pictures for evaluation, where
there are any.

Shapes: `s` pixels a side, `h w` pixels of the larger picture that is drawn.
"""

from collections.abc import Iterator
import dataclasses
import functools
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Float, UInt8
import numpy as np
import scipy.ndimage
import skimage.draw

from maskjax.data.people import (
  face_images,
  heads,
  people,
  portrait,
  shading,
  words as people_words,
)
from maskjax.geometry import camera as camera_lib, canonical, color

NAMES = ('caricature', 'pixar', 'cartoon', 'comic')
# Pictures are drawn this many pixels a side at least, then averaged down.
_DRAWN = 256


class StylePicture(NamedTuple):
  """One picture of an artistic set.

  Attributes:
    image: sRGB.
    caption: words for it.
    attributes: {word of `people_words.ATTRIBUTES`: whether it holds}, or {}
      where the source does not tell.
    camera: f32[25] of the data set's world (see `face_images`), or None.
    landmarks: f32[468, 2] in [0, 1], or None.
    identity: number of the person, who looks the same in every style.
  """

  image: UInt8[np.ndarray, 's s 3']
  caption: str
  attributes: dict[str, bool]
  camera: Float[np.ndarray, '25'] | None
  landmarks: Float[np.ndarray, '468 2'] | None
  identity: int


class _Drawing(NamedTuple):
  """What a style draws from; all of one large picture.

  Attributes:
    photo: sRGB of the renderer's picture.
    flat: sRGB of bare colours.
    light: grey, what light arrives, f[h, w].
    depth: cm, the background far behind.
    normals: unit.
    alpha: coverage.
    eyes: where they are seen, in [0, 1].
    pixel: side of a final pixel.
    rng: for strokes and dots.
  """

  photo: Float[np.ndarray, 'h w 3']
  flat: Float[np.ndarray, 'h w 3']
  light: Float[np.ndarray, 'h w']
  depth: Float[np.ndarray, 'h w']
  normals: Float[np.ndarray, 'h w 3']
  alpha: Float[np.ndarray, 'h w']
  eyes: Float[np.ndarray, 'h w']
  pixel: float
  rng: np.random.Generator


def _step(value, low, high):
  t = np.clip((value - low) / (high - low), 0, 1)
  return t * t * (3 - 2 * t)


def _blur(image, sigma):
  sigmas = (sigma, sigma) + (0,) * (image.ndim - 2)
  return scipy.ndimage.gaussian_filter(image, sigmas, mode='nearest')


def _slope(image):
  across = scipy.ndimage.sobel(image, 1, mode='nearest') / 8
  down = scipy.ndimage.sobel(image, 0, mode='nearest') / 8
  return np.hypot(across, down)


def _lines(drawing, width):
  """Ink where depth jumps, surfaces fold or bare colours change, in [0, 1]."""
  scale = len(drawing.depth) / 256
  jump = _step(_slope(drawing.depth) * scale, 0.5, 1.1)
  fold = sum(_slope(drawing.normals[..., k]) ** 2 for k in range(3)) ** 0.5
  fold = 0.8 * _step(_blur(fold, 0.7 * scale) * scale, 0.13, 0.24)
  fold = fold * (drawing.alpha > 0)
  tone = _blur(drawing.flat, 0.8 * scale) @ np.array([0.3, 0.55, 0.15])
  change = _step(_slope(tone) * scale, 0.03, 0.07)
  around = _blur(drawing.eyes, 1.5 * drawing.pixel)
  calm = 1 - np.clip(1.6 * around, 0, 1)
  ink = np.maximum(jump, np.maximum(fold, change) * calm)
  size = max(1, round(width * drawing.pixel))
  ink = _blur(scipy.ndimage.grey_dilation(ink, size), 0.5)
  # Eyes have an outline, heavier above.
  eyes = drawing.eyes
  lid = np.clip(eyes - np.roll(eyes, round(0.9 * drawing.pixel), 0), 0, 1)
  lid = lid + 0.4 * np.clip(eyes - np.roll(eyes, -1, 0), 0, 1)
  return np.clip(ink + _blur(lid, 0.3 * drawing.pixel), 0, 1)


def _smooth_colors(drawing, sigma):
  """Bare colours without texture: an edge-keeping blur (medians)."""
  size = max(3, round(sigma * drawing.pixel) | 1)
  smooth = np.stack(
    [
      scipy.ndimage.median_filter(drawing.flat[..., k], size, mode='nearest')
      for k in range(3)
    ],
    -1,
  )
  eyes = drawing.eyes[..., None]
  clear = np.clip(1.45 * drawing.flat, 0, 1)
  return smooth * (1 - eyes) + clear * eyes


def _saturate(image, amount):
  grey = image.mean(-1, keepdims=True)
  return np.clip(grey + amount * (image - grey), 0, 1)


def _over(drawing, picture, background):
  alpha = drawing.alpha[..., None]
  return picture * alpha + np.asarray(background) * (1 - alpha)


def _palette(rng, value):
  """A clear colour of a given brightness, f[3]."""
  hue = rng.random()
  wheel = np.abs((hue + np.array([0, 2 / 3, 1 / 3])) % 1 * 6 - 3) - 1
  pure = np.clip(wheel, 0, 1)
  return value * (1 - 0.45 * (1 - pure))


def _cartoon(drawing):
  """Cel shading: flat colours, two tones of light, ink outlines."""
  flat = _saturate(_smooth_colors(drawing, 1.6), 1.35)
  tones = _blur(drawing.light, 1.2 * drawing.pixel)
  middle = np.median(tones[drawing.alpha > 0.5])
  lit = 0.72 + 0.28 * _step(tones, 0.72 * middle - 0.02, 0.72 * middle + 0.02)
  lit = lit + 0.1 * _step(tones, 1.22 * middle - 0.02, 1.22 * middle + 0.02)
  shade = np.array([0.86, 0.82, 0.95])
  tinted = np.where(lit[..., None] < 0.9, shade, 1.0)
  picture = np.clip(1.12 * flat * lit[..., None] * tinted, 0, 1)
  background = _palette(drawing.rng, 0.95)
  picture = _over(drawing, picture, background)
  ink = _lines(drawing, 1.1)[..., None]
  return picture * (1 - ink) + np.array([0.06, 0.04, 0.07]) * ink


def _dots(shape, pitch, angle):
  """A screen of halftone: the threshold at each pixel, in [0, 1]."""
  y, x = np.mgrid[: shape[0], : shape[1]]
  c, s = np.cos(angle), np.sin(angle)
  u, v = (x * c + y * s) / pitch, (-x * s + y * c) / pitch
  return 0.5 + 0.25 * (np.cos(2 * np.pi * u) + np.cos(2 * np.pi * v))


def _comic(drawing):
  """Posterised print: few colours, halftone shadows, black ink."""
  flat = _saturate(_smooth_colors(drawing, 2.0), 1.6)
  flat = np.round(flat * 4) / 4
  tones = _blur(drawing.light, 0.8 * drawing.pixel)
  middle = np.median(tones[drawing.alpha > 0.5])
  dark = np.clip(1.05 - tones / (1.15 * middle), 0, 0.75)
  screen = _dots(tones.shape, 2.6 * drawing.pixel, 0.6)
  dot = _step(dark - (1 - screen) * 0.9 + 0.18, -0.05, 0.05)[..., None]
  shadow = flat * np.array([0.62, 0.5, 0.62])
  picture = np.clip(flat * 1.15 + 0.05, 0, 1) * (1 - dot) + shadow * dot
  black = _step(0.42 * middle - tones, -0.02, 0.02) * drawing.alpha
  first, second = _palette(drawing.rng, 1.0), _palette(drawing.rng, 0.85)
  y = np.linspace(0, 1, len(tones))[:, None]
  spots = _dots(tones.shape, 4.0 * drawing.pixel, 0.785)
  mix = _step(spots - 1.0 + 0.9 * y, -0.05, 0.05)[..., None]
  picture = _over(drawing, picture, first * (1 - mix) + second * mix)
  ink = np.maximum(_lines(drawing, 1.5), black)[..., None]
  return picture * (1 - ink) + 0.03 * ink


def _strokes(drawing, angle):
  """Noise drawn out along an angle: pencil strokes, about in [-1, 1]."""
  size = len(drawing.depth)
  noise = drawing.rng.normal(size=(2 * size, 2 * size))
  long, thin = 5 * drawing.pixel, 0.45 * drawing.pixel
  noise = scipy.ndimage.gaussian_filter(noise, (thin, long), mode='wrap')
  turned = scipy.ndimage.rotate(
    noise, np.degrees(angle), reshape=False, order=1
  )
  half = size // 2
  part = turned[half : half + size, half : half + size]
  return part / part.std()


def _caricature(drawing):
  """A coloured drawing on paper: washes, hatching, uneven pencil lines."""
  wash = _blur(_smooth_colors(drawing, 1.4), 0.5 * drawing.pixel)
  wash = _saturate(wash, 1.15)
  tones = _blur(drawing.light, 0.7 * drawing.pixel)
  middle = np.median(tones[drawing.alpha > 0.5])
  grain = _blur(drawing.rng.normal(size=tones.shape), 0.5 * drawing.pixel)
  grain = 0.02 * grain / grain.std()
  level = np.clip(tones / middle, 0.25, 1.5)
  color_wash = np.clip(wash * (0.55 + 0.5 * level)[..., None], 0, 1)
  paper = np.array([0.965, 0.945, 0.9]) + grain[..., None]
  picture = paper * (0.14 + 0.86 * color_wash)
  # Hatching where it is dark, crossed where it is darker.
  for angle, below in ((0.7, 0.85), (-0.5, 0.55)):
    hatch = _step(_strokes(drawing, angle), 0.1, 0.9)
    hatch = hatch * _step(below - level, 0.0, 0.3)
    picture = picture * (1 - 0.27 * hatch[..., None])
  halo = _blur(drawing.alpha, 6 * drawing.pixel)[..., None]
  tint = _palette(drawing.rng, 0.9)
  loose = _step(_strokes(drawing, 0.3), -1.2, 0.6)[..., None]
  behind = paper * (1 - 0.5 * halo * loose * (1 - tint))
  picture = _over(drawing, picture, behind)
  pressure = 0.78 + 0.22 * np.clip(_strokes(drawing, 1.2), -1, 1)
  ink = (0.85 * _lines(drawing, 0.6) * pressure)[..., None]
  return np.clip(picture * (1 - ink) + np.array([0.13, 0.1, 0.1]) * ink, 0, 1)


def _pixar(drawing):
  """Soft clay as it is rendered, with a little bloom."""
  bright = np.clip(drawing.photo - 0.7, 0, 1)
  return np.clip(drawing.photo + 0.5 * _blur(bright, 2.5 * drawing.pixel), 0, 1)


def _eyes(pictures, size):
  """Where the eyes are, unless something hides them, f[h, w]."""
  points = np.asarray(pictures.landmarks[0]) * size
  depths = np.asarray(pictures.landmark_depths[0])
  depth = np.asarray(pictures.depth[0])
  result = np.zeros((size, size))
  for loop in (canonical.LEFT_EYE, canonical.RIGHT_EYE):
    outline = points[list(loop)]
    column, row = np.clip(outline.mean(0).astype(int), 0, size - 1)
    hidden = depth[row, column] < depths[list(loop)].mean() - 1.2
    if not hidden:
      rows, columns = skimage.draw.polygon(
        outline[:, 1], outline[:, 0], result.shape
      )
      result[rows, columns] = 1
  return _blur(result, 0.6)


_DRAWERS = {
  'caricature': _caricature,
  'pixar': _pixar,
  'cartoon': _cartoon,
  'comic': _comic,
}


def stylise(
  params: people.PersonParams, style: str, rng: np.random.Generator
) -> people.PersonParams:
  """Return how a person is built in a style; the identity stays.

  Args:
    params: who.
    style: of `NAMES`.
    rng: draws how far the style goes.

  Raises:
    ValueError: an unknown style.
  """
  if style not in NAMES:
    raise ValueError(f'unknown style {style!r}: use one of {", ".join(NAMES)}')
  clean = params.skin._replace(
    uneven=0.15 * params.skin.uneven,
    brow_width=1.25 * params.skin.brow_width,
    brow_strength=0.97,
  )
  if style == 'caricature':
    factor = float(rng.uniform(1.5, 2.5))
    # Who draws picks what is odd about a face, and leaves the rest.
    size = {k: abs(v) for k, v in params.shape.items() if k[:4] != 'asym'}
    odd = sorted(size, key=lambda k: -size[k])[: len(size) // 3]
    shape = {k: v * (1.5 if k in odd else 0.7) for k, v in params.shape.items()}
    return dataclasses.replace(params, exaggeration=factor, shape=shape)
  if style == 'pixar':
    toon = float(rng.uniform(0.8, 1.1))
    open_eyes = {'eyeWideLeft': 0.5, 'eyeWideRight': 0.5}
    clean = clean._replace(wrinkles=0.3 * clean.wrinkles)
    shape = {k: 0.6 * v for k, v in params.shape.items()}
    return dataclasses.replace(
      params,
      exaggeration=1.15,
      toon=toon,
      skin=clean,
      shape=shape,
      units=open_eyes | dict(params.units),
      lashes=max(params.lashes, 0.3),
    )
  most_toon, most_factor = {'cartoon': (0.8, 1.5), 'comic': (0.2, 1.3)}[style]
  return dataclasses.replace(
    params,
    exaggeration=float(rng.uniform(1.0, most_factor)),
    toon=float(rng.uniform(0.5, 1.0)) * most_toon,
    skin=clean._replace(wrinkles=0.5 * clean.wrinkles),
  )


def _light(rng, style, tone):
  """Drawn styles need one clear light; toys a soft one."""
  lights = shading.sample_lights(rng, 1 + 0.6 * tone)
  if style == 'pixar':
    return lights
  side = float(rng.choice([-1.0, 1.0]) * rng.uniform(0.3, 0.9))
  direction = np.array([[side, 0.7, 0.8], [-side, 0.3, -0.5]])
  direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
  white = np.full((2, 3), 0.62) * [[1.0], [0.2]]
  return dataclasses.replace(
    lights,
    ambient=jnp.full(3, 0.3),
    harmonics=jnp.zeros((9, 3)),
    directions=jnp.asarray(direction, jnp.float32),
    direction_colors=jnp.asarray(white, jnp.float32),
  )


def draw(
  params: people.PersonParams,
  style: str,
  rng: np.random.Generator,
  *,
  size: int,
  yaw: float = 0.22,
  pitch: float = 0.1,
) -> StylePicture:
  """Draw one person in a style.

  Args:
    params: who, with expression.
    style: of `NAMES`.
    rng: draws the camera, the light and the strokes.
    size: pixels a side.
    yaw: spread of the cameras, radians.
    pitch: likewise.

  Returns:
    StylePicture.

  Raises:
    ValueError: an unknown style.
  """
  shaped = stylise(params, style, rng)
  head = heads.build_head(shaped)
  azimuth, elevation = face_images.sample_cameras(rng, 1, yaw=yaw, pitch=pitch)
  camera = face_images.orbit(azimuth, elevation)
  lights = _light(rng, style, shaped.skin.tone)
  times = max(2, -(-_DRAWN // size))
  take = functools.partial(
    portrait.render_person,
    head, camera, lights,
    size=size * times, samples=1,
    backdrop=shading.sample_backdrop(rng),
    arriving=portrait.illuminate(head, lights),
  )  # fmt: skip
  photo = take(style='clay' if style == 'pixar' else 'photo')

  def srgb(pictures):
    return np.asarray(color.linear_to_srgb(pictures.rgb[0]), np.float64)

  drawn = style != 'pixar'
  alpha = np.asarray(photo.alpha[0], np.float64)
  drawing = _Drawing(
    photo=srgb(photo),
    flat=srgb(take(style='flat')) if drawn else srgb(photo),
    light=np.asarray(take(style='light').rgb[0]).mean(-1) if drawn else alpha,
    depth=np.where(alpha > 0, np.asarray(photo.depth[0]), 150.0),
    normals=np.asarray(photo.normals[0], np.float64),
    alpha=alpha,
    eyes=_eyes(photo, size * times),
    pixel=size * times / 128,
    rng=rng,
  )
  large = _DRAWERS[style](drawing)
  small = large.reshape(size, times, size, times, 3).mean((1, 3))
  vector = camera_lib.to_vector25(face_images.to_units(camera))[0]
  return StylePicture(
    image=color.to_bytes(small),
    caption=f'a {style} of {people_words.describe(params)}',
    attributes=people_words.attributes(params),
    camera=np.asarray(vector, np.float32),
    landmarks=np.asarray(photo.landmarks[0], np.float32),
    identity=params.identity,
  )


def pictures(
  style: str, *, seed: int = 0, size: int = 64, start: int = 0
) -> Iterator[StylePicture]:
  """Draw people in a style, one after the other, without end.

  Args:
    style: of `NAMES`.
    seed: of the people; one seed gives the same people in every style, and
      those of `face_images` with that seed.
    size: pixels a side.
    start: the first identity.

  Yields:
    StylePicture of identity `start`, `start + 1`, ...

  Raises:
    ValueError: an unknown style.
  """
  identity = start
  while True:
    rng = np.random.default_rng([seed, identity])
    params = people.sample_person(rng, identity=identity)
    own = np.random.default_rng([seed, identity, 1])
    yield draw(params, style, own, size=size)
    identity += 1
