"""Adaptive discriminator augmentation.

Images, real and generated, pass through random changes of geometry, colour,
spectrum, noise and cut-outs before the discriminator sees them; a controller
keeps the strength where the discriminator just does not learn the real images
by heart. What is drawn (`Transform`) and what is done with it (`apply`) are
apart: a transform can be made from keys (`draw`) or by hand.

Six channels are a final image and its raw rendering: both are changed alike.

Shapes: B images, H W pixels, K channels (1, 3 or 6). Follows Karras et al.,
"Training Generative Adversarial Networks with Limited Data", NeurIPS 2020,
section 3 and appendix B, where deviations and ranges are from.
"""

from collections.abc import Callable
import dataclasses
import math
from typing import NamedTuple

import flax
import jax
from jax import lax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key
import numpy as np

from maskjax.gan import warp

_EXACT = lax.Precision.HIGHEST
_SHIFT = 0.125  # Of the image's size: range of whole, deviation of other ones.
_SCALE = 0.2  # Deviations of the logarithms to base 2.
_BRIGHTNESS = 0.2
_CONTRAST = 0.5
_SATURATION = 1.0
_BAND = 1.0
_NOISE = 0.1
_CUTOUT = 0.5  # Side, of the image's.
# Expected share of the four octaves in the power of natural images.
_POWER = (10 / 13, 1 / 13, 1 / 13, 1 / 13)
# The low-pass filter of the Symlet-2 wavelet.
_SYMLET2 = (
  -0.12940952255092145,
  0.22414386804185735,
  0.836516303737469,
  0.48296291314469025,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class AugmentConfig:
  """How often each change happens, as a factor on the common probability.

  The default is the set "bgc": blits, geometry, colours.
  """

  flip: float = 1.0
  turn: float = 1.0
  shift: float = 1.0
  scale: float = 1.0
  rotate: float = 1.0
  stretch: float = 1.0
  fraction: float = 1.0
  brightness: float = 1.0
  contrast: float = 1.0
  luma_flip: float = 1.0
  hue: float = 1.0
  saturation: float = 1.0
  bands: float = 0.0
  noise: float = 0.0
  cutout: float = 0.0


class Transform(NamedTuple):
  """What happens to each image; the defaults of `still` change nothing.

  Attributes:
    flip: 1 to mirror left and right, else 0.
    turn: quarter turns.
    shift: right and down, part of the image's size, rounded to pixels.
    scale: of the image.
    rotate_before: radians.
    stretch: wider by this factor, and lower by it.
    rotate_after: radians.
    fraction: right and down, part of the image's size.
    brightness: added.
    contrast: factor.
    luma_flip: 1 to mirror brightness, else 0.
    hue: radians.
    saturation: factor.
    bands: factors of four octaves, coarse to fine.
    noise: to be added; None for none.
    cutout_size: sides of a rectangle, part of the image's size.
    cutout_center: its middle, 0..1.
  """

  flip: Float[Array, 'b']
  turn: Float[Array, 'b']
  shift: Float[Array, 'b 2']
  scale: Float[Array, 'b']
  rotate_before: Float[Array, 'b']
  stretch: Float[Array, 'b']
  rotate_after: Float[Array, 'b']
  fraction: Float[Array, 'b 2']
  brightness: Float[Array, 'b']
  contrast: Float[Array, 'b']
  luma_flip: Float[Array, 'b']
  hue: Float[Array, 'b']
  saturation: Float[Array, 'b']
  bands: Float[Array, 'b 4']
  noise: Float[Array, 'b h w k'] | None
  cutout_size: Float[Array, 'b 2']
  cutout_center: Float[Array, 'b 2']


def still(batch: int) -> Transform:
  """Return the transform that changes nothing."""
  zero, one = jnp.zeros(batch), jnp.ones(batch)
  pair = jnp.zeros((batch, 2))
  return Transform(
    flip=zero,
    turn=zero,
    shift=pair,
    scale=one,
    rotate_before=zero,
    stretch=one,
    rotate_after=zero,
    fraction=pair,
    brightness=zero,
    contrast=one,
    luma_flip=zero,
    hue=zero,
    saturation=one,
    bands=jnp.ones((batch, 4)),
    noise=None,
    cutout_size=pair,
    cutout_center=pair + 0.5,
  )


def rotation_probability(
  probability: float | Float[Array, ''],
) -> Float[Array, '']:
  """Return the probability of each of two rotations: either at p in all."""
  return 1 - jnp.sqrt(jnp.clip(1 - jnp.asarray(probability), 0, 1))


def _draw_one(
  key: Key[Array, ''],
  probability: Array,
  config: AugmentConfig,
  shape: tuple[int, int, int],
) -> Transform:
  """Draw for one image, as a batch of one without the batch axis."""
  rest = jax.tree.map(lambda x: x[0], still(1))
  keys = iter(jax.random.split(key, 40))
  normal = lambda *shape: jax.random.normal(next(keys), shape)
  uniform = lambda *shape: jax.random.uniform(next(keys), shape)

  def happen(share, value, otherwise, chance=lambda x: x):
    draw = jax.random.uniform(next(keys))
    return jnp.where(draw < chance(share * probability), value, otherwise)

  def angle(chance=lambda x: x, share=config.rotate):
    return happen(share, (uniform() * 2 - 1) * math.pi, 0.0, chance)

  bands = [happen(config.bands, 2 ** (normal() * _BAND), 1.0) for _ in range(4)]
  noise = None
  if config.noise:
    deviation = happen(config.noise, jnp.abs(normal()) * _NOISE, 0.0)
    noise = normal(*shape) * deviation
  return rest._replace(
    flip=happen(config.flip, jnp.floor(uniform() * 2), 0.0),
    turn=happen(config.turn, jnp.floor(uniform() * 4), 0.0),
    shift=happen(config.shift, (uniform(2) * 2 - 1) * _SHIFT, 0.0),
    scale=happen(config.scale, 2 ** (normal() * _SCALE), 1.0),
    rotate_before=angle(rotation_probability),
    stretch=happen(config.stretch, 2 ** (normal() * _SCALE), 1.0),
    rotate_after=angle(rotation_probability),
    fraction=happen(config.fraction, normal(2) * _SHIFT, 0.0),
    brightness=happen(config.brightness, normal() * _BRIGHTNESS, 0.0),
    contrast=happen(config.contrast, 2 ** (normal() * _CONTRAST), 1.0),
    luma_flip=happen(config.luma_flip, jnp.floor(uniform() * 2), 0.0),
    hue=angle(share=config.hue),
    saturation=happen(config.saturation, 2 ** (normal() * _SATURATION), 1.0),
    bands=jnp.stack(bands),
    noise=noise,
    cutout_size=happen(config.cutout, jnp.full(2, _CUTOUT), 0.0),
    cutout_center=uniform(2),
  )


def draw(
  keys: Key[Array, 'b'],
  probability: float | Float[Array, ''],
  shape: tuple[int, int, int],
  config: AugmentConfig = AugmentConfig(),
) -> Transform:
  """Draw transforms, each from its own key.

  Args:
    keys: one for each image.
    probability: of each change.
    shape: height, width and channels of an image, for noise.
    config: factors on the probability.
  """
  probability = jnp.asarray(probability, jnp.float32)
  one = lambda key: _draw_one(key, probability, config, shape)
  return jax.vmap(one)(keys)


def geometry(
  transform: Transform, size: tuple[int, int]
) -> Float[Array, 'b 3 3']:
  """Return the way back: from pixels of the result to pixels of the image.

  Args:
    transform: what happens.
    size: height and width.
  """
  t = transform
  extent = jnp.array([size[1], size[0]], jnp.float32)[None]
  whole, rest = jnp.round(t.shift * extent), t.fraction * extent
  return warp.multiply(
    warp.scaling(1 - 2 * t.flip, 1.0),
    warp.rotation(math.pi / 2 * t.turn),
    warp.translation(-whole[:, 0], -whole[:, 1]),
    warp.scaling(1 / t.scale, 1 / t.scale),
    warp.rotation(t.rotate_before),
    warp.scaling(1 / t.stretch, t.stretch),
    warp.rotation(t.rotate_after),
    warp.translation(-rest[:, 0], -rest[:, 1]),
  )


def _colors(transform: Transform, gray: bool) -> Float[Array, 'b 4 4']:
  """Return the change of colours, as matrices on (r, g, b, 1)."""
  t = transform
  wide = lambda x: x[:, None, None]
  axis = jnp.array([1.0, 1.0, 1.0, 0.0]) / math.sqrt(3)
  luma = jnp.outer(axis, axis)[None]
  unit = jnp.eye(4)[None]
  color = jnp.diag(jnp.array([1.0, 1.0, 1.0, 0.0]))[None]
  last = jnp.zeros((4, 4)).at[:3, 3].set(1.0)[None]
  matrix = unit + wide(t.brightness) * last
  scale = unit + (wide(t.contrast) - 1) * color
  matrix = warp.multiply(scale, matrix)
  matrix = warp.multiply(unit - 2 * luma * wide(t.luma_flip), matrix)
  if gray:
    return matrix
  # Rodrigues' formula about the axis of grays.
  third = 1 / math.sqrt(3)
  cross = jnp.array(
    [
      [0, -third, third, 0],
      [third, 0, -third, 0],
      [-third, third, 0, 0],
      [0, 0, 0, 0],
    ]
  )[None]
  turn = (
    unit
    + jnp.sin(wide(t.hue)) * cross
    + (1 - jnp.cos(wide(t.hue))) * (luma - color)
  )
  matrix = warp.multiply(turn, matrix)
  gain = luma + (unit - luma) * wide(t.saturation)
  return warp.multiply(gain, matrix)


def _recolor(
  images: Float[Array, 'b h w k'], transform: Transform
) -> Float[Array, 'b h w k']:
  """Change colours."""
  channels = images.shape[-1]
  matrix = _colors(transform, channels == 1)
  if channels == 1:
    row = matrix[:, :3].mean(1)
    gain, offset = row[:, :3].sum(1), row[:, 3]
    return images * gain[:, None, None, None] + offset[:, None, None, None]

  def change(part):
    turned = jnp.einsum(
      'bij,bhwj->bhwi', matrix[:, :3, :3], part, precision=_EXACT
    )
    return turned + matrix[:, None, None, :3, 3]

  parts = jnp.split(images, channels // 3, -1)
  return jnp.concatenate([change(part) for part in parts], -1)


def octave_filters() -> np.ndarray:
  """Return the filters of four octaves, coarse to fine, float64 [4, 43]."""
  low = np.array(_SYMLET2)
  high = low * (-1.0) ** np.arange(4)
  low, high = (np.convolve(x, x[::-1]) / 2 for x in (low, high))
  bank = np.eye(4, 1)
  for i in range(1, 4):
    spread = np.zeros((4, 2 * bank.shape[1] - 1))
    spread[:, ::2] = bank
    bank = np.stack([np.convolve(row, low) for row in spread])
    start = (bank.shape[1] - len(high)) // 2
    bank[i, start : start + len(high)] += high
  return bank


def _equalize(
  images: Float[Array, 'b h w k'], bands: Float[Array, 'b 4']
) -> Float[Array, 'b h w k']:
  """Amplify octaves, at the same expected power."""
  power = jnp.array(_POWER)
  gains = jnp.ones_like(bands)
  for i in range(4):
    own = jnp.ones_like(bands).at[:, i].set(bands[:, i])
    total = (power[None] * own**2).sum(1, keepdims=True)
    gains = gains * own / jnp.sqrt(total)
  bank = jnp.asarray(octave_filters(), jnp.float32)
  taps = jnp.einsum('bi,ik->bk', gains, bank, precision=_EXACT)
  reach = taps.shape[1] // 2

  def along(image, taps, axis):
    count = image.shape[axis]
    pads = [(0, 0)] * image.ndim
    pads[axis] = (reach, reach)
    image = jnp.pad(image, pads, mode='reflect')
    parts = [
      taps[k] * lax.slice_in_dim(image, k, k + count, axis=axis)
      for k in range(2 * reach + 1)
    ]
    return sum(parts)

  one = lambda image, taps: along(along(image, taps, 1), taps, 0)
  return jax.vmap(one)(images, taps)


def _cut(
  images: Float[Array, 'b h w k'], transform: Transform
) -> Float[Array, 'b h w k']:
  """Blacken rectangles."""
  masks = []
  for axis, side in ((1, images.shape[1]), (0, images.shape[2])):
    positions = (jnp.arange(side) + 0.5) / side
    center = transform.cutout_center[:, axis, None]
    half = transform.cutout_size[:, axis, None] / 2
    masks.append(jnp.abs(positions[None] - center) >= half)
  kept = masks[0][:, :, None] | masks[1][:, None, :]
  return images * kept[..., None]


def apply(
  images: Float[Array, 'b h w k'],
  transform: Transform,
  config: AugmentConfig = AugmentConfig(),
) -> Float[Array, 'b h w k']:
  """Change images.

  Args:
    images: about [-1, 1]; 1, 3 or 6 channels.
    transform: what happens.
    config: changes with the factor 0 are left out of the program.

  Returns:
    Changed images.

  Raises:
    ValueError: another number of channels.
  """
  if images.shape[-1] not in (1, 3, 6):
    raise ValueError(
      f'augmentation takes 1, 3 or 6 channels, got {images.shape[-1]}'
    )
  any_of = lambda *names: any(getattr(config, name) for name in names)
  if any_of('flip', 'turn', 'shift', 'scale', 'rotate', 'stretch', 'fraction'):
    images = warp.warp(images, geometry(transform, images.shape[1:3]))
  if any_of('brightness', 'contrast', 'luma_flip', 'hue', 'saturation'):
    images = _recolor(images, transform)
  if config.bands:
    images = _equalize(images, transform.bands)
  if transform.noise is not None:
    images = images + transform.noise
  return _cut(images, transform) if config.cutout else images


def augmenter(
  keys: Key[Array, 'b'],
  probability: float | Float[Array, ''],
  config: AugmentConfig = AugmentConfig(),
) -> Callable[[Float[Array, 'b h w k']], Float[Array, 'b h w k']]:
  """Return a function that draws and applies transforms."""
  return lambda images: apply(
    images, draw(keys, probability, images.shape[1:], config), config
  )


@flax.struct.dataclass
class Controller:
  """State of the adaptive strength.

  Attributes:
    probability: of each change.
    total: sum of mean signs of logits of real images since the last update.
    count: number of these.
  """

  probability: Float[Array, '']
  total: Float[Array, '']
  count: Float[Array, '']


def start(probability: float | Float[Array, ''] = 0.0) -> Controller:
  """Return the controller at the start of a training."""
  return Controller(
    jnp.asarray(probability, jnp.float32), jnp.float32(0), jnp.float32(0)
  )


def observe(controller: Controller, mean_sign: Float[Array, '']) -> Controller:
  """Take note of a batch: mean sign of the logits of real images."""
  return dataclasses.replace(
    controller, total=controller.total + mean_sign, count=controller.count + 1
  )


def adjust(
  controller: Controller,
  images: float | Float[Array, ''],
  *,
  target: float = 0.6,
  kimg: float = 500.0,
) -> Controller:
  """Move the probability by what was observed (equation 1 of the paper).

  Args:
    controller: state.
    images: shown since the last adjustment.
    target: mean sign that is held.
    kimg: thousands of images in which the probability may move by 1.

  Returns:
    The state with a probability of at least 0, and nothing observed.
  """
  mean = controller.total / jnp.maximum(controller.count, 1)
  step = jnp.sign(mean - target) * images / (kimg * 1e3)
  step = jnp.where(controller.count > 0, step, 0.0)
  return start(jnp.maximum(controller.probability + step, 0.0))
