"""Strokes: what drawn styles make their pictures of.

A `Drawing` is what the renderer knows of a head: bare colours, light on grey,
depth and normals. The functions below find lines in it, flatten its colours,
and make paper, dots and hatching.

Shapes: `h w` pixels of the larger picture that is drawn.
"""

from typing import NamedTuple

from jaxtyping import Float
import numpy as np
import scipy.ndimage


class Drawing(NamedTuple):
  """What a style draws from; all of one large picture.

  Attributes:
    photo: sRGB of the renderer's picture.
    flat: sRGB of bare colours.
    light: grey, what light arrives.
    depth: cm, the background far behind.
    normals: unit.
    alpha: coverage in [0, 1].
    eyes: where they are seen, in [0, 1].
    pixel: side of a pixel of 128 to a picture, in pixels of this one: strokes
      are as wide whatever the size.
    rng: for strokes and dots; advanced by what draws them.
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


def step(
  value: Float[np.ndarray, '*shape'],
  low: float | np.floating,
  high: float | np.floating,
) -> Float[np.ndarray, '*shape']:
  """Return a smooth step from 0 at `low` to 1 at `high`."""
  t = np.clip((value - low) / (high - low), 0, 1)
  return t * t * (3 - 2 * t)


def blur(
  image: Float[np.ndarray, '*shape'], sigma: float
) -> Float[np.ndarray, '*shape']:
  """Return an image [h, w] or [h, w, c], blurred over its pixels.

  Args:
    image: of any range.
    sigma: standard deviation of the Gaussian, pixels.
  """
  sigmas = (sigma, sigma) + (0,) * (image.ndim - 2)
  return scipy.ndimage.gaussian_filter(image, sigmas, mode='nearest')


def slope(image: Float[np.ndarray, 'h w']) -> Float[np.ndarray, 'h w']:
  """Return how steeply an image changes, per pixel (Sobel)."""
  across = scipy.ndimage.sobel(image, 1, mode='nearest') / 8
  down = scipy.ndimage.sobel(image, 0, mode='nearest') / 8
  return np.hypot(across, down)


def lines(drawing: Drawing, width: float) -> Float[np.ndarray, 'h w']:
  """Return ink where depth jumps, surfaces fold or bare colours change.

  Args:
    drawing: what is drawn from.
    width: of the lines, in `Drawing.pixel`.

  Returns:
    How much ink, in [0, 1].
  """
  # Slopes are per pixel; the thresholds are those of 256 pixels.
  scale = len(drawing.depth) / 256
  jump = step(slope(drawing.depth) * scale, 0.5, 1.1)
  fold = sum(slope(drawing.normals[..., k]) ** 2 for k in range(3)) ** 0.5
  fold = 0.8 * step(blur(fold, 0.7 * scale) * scale, 0.13, 0.24)
  fold = fold * (drawing.alpha > 0)
  tone = blur(drawing.flat, 0.8 * scale) @ np.array([0.3, 0.55, 0.15])
  change = step(slope(tone) * scale, 0.03, 0.07)
  # Lids and lashes are all folds and changes: eyes would fill with ink.
  around = blur(drawing.eyes, 1.5 * drawing.pixel)
  calm = 1 - np.clip(1.6 * around, 0, 1)
  ink = np.maximum(jump, np.maximum(fold, change) * calm)
  size = max(1, round(width * drawing.pixel))
  ink = blur(scipy.ndimage.grey_dilation(ink, size), 0.5)
  # Eyes have an outline, heavier above.
  eyes = drawing.eyes
  lid = np.clip(eyes - np.roll(eyes, round(0.9 * drawing.pixel), 0), 0, 1)
  lid = lid + 0.4 * np.clip(eyes - np.roll(eyes, -1, 0), 0, 1)
  return np.clip(ink + blur(lid, 0.3 * drawing.pixel), 0, 1)


def smooth_colors(drawing: Drawing, sigma: float) -> Float[np.ndarray, 'h w 3']:
  """Return bare colours without texture: an edge-keeping blur (medians).

  Args:
    drawing: what is drawn from.
    sigma: side of the medians' window, in `Drawing.pixel`.
  """
  size = max(3, round(sigma * drawing.pixel) | 1)
  smooth = np.stack(
    [
      scipy.ndimage.median_filter(drawing.flat[..., k], size, mode='nearest')
      for k in range(3)
    ],
    -1,
  )
  # A median would swallow pupils, and eyes are bright in drawings.
  eyes = drawing.eyes[..., None]
  clear = np.clip(1.45 * drawing.flat, 0, 1)
  return smooth * (1 - eyes) + clear * eyes


def saturate(
  image: Float[np.ndarray, 'h w 3'], amount: float
) -> Float[np.ndarray, 'h w 3']:
  """Return an image whose colours are `amount` times as far from grey."""
  grey = image.mean(-1, keepdims=True)
  return np.clip(grey + amount * (image - grey), 0, 1)


def over(
  drawing: Drawing,
  picture: Float[np.ndarray, 'h w 3'],
  background: Float[np.ndarray, '*rest 3'],
) -> Float[np.ndarray, 'h w 3']:
  """Return a picture of the head over a background, one colour or many."""
  alpha = drawing.alpha[..., None]
  return picture * alpha + background * (1 - alpha)


def palette(rng: np.random.Generator, value: float) -> Float[np.ndarray, '3']:
  """Return a clear colour of any hue; `value` is its brightness."""
  hue = rng.random()
  wheel = np.abs((hue + np.array([0, 2 / 3, 1 / 3])) % 1 * 6 - 3) - 1
  pure = np.clip(wheel, 0, 1)
  return value * (1 - 0.45 * (1 - pure))


def dots(
  shape: tuple[int, int], pitch: float, angle: float
) -> Float[np.ndarray, 'h w']:
  """Return a screen of halftone: the threshold at each pixel, in [0, 1].

  Args:
    shape: height and width.
    pitch: distance of the dots, pixels.
    angle: that the screen is turned by, radians.
  """
  y, x = np.mgrid[: shape[0], : shape[1]]
  c, s = np.cos(angle), np.sin(angle)
  u, v = (x * c + y * s) / pitch, (-x * s + y * c) / pitch
  return 0.5 + 0.25 * (np.cos(2 * np.pi * u) + np.cos(2 * np.pi * v))


def strokes(drawing: Drawing, angle: float) -> Float[np.ndarray, 'h w']:
  """Return noise drawn out along an angle: pencil strokes.

  Args:
    drawing: gives size, pixels and random numbers.
    angle: of the strokes, radians.

  Returns:
    The noise, of standard deviation 1.
  """
  size = len(drawing.depth)
  noise = drawing.rng.normal(size=(2 * size, 2 * size))
  long, thin = 5 * drawing.pixel, 0.45 * drawing.pixel
  noise = scipy.ndimage.gaussian_filter(noise, (thin, long), mode='wrap')
  # Twice the size: the corners of what is turned are left out.
  turned = scipy.ndimage.rotate(
    noise, np.degrees(angle), reshape=False, order=1
  )
  half = size // 2
  part = turned[half : half + size, half : half + size]
  return part / part.std()
