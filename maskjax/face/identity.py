"""Whose face it is: 128 numbers that are near for pictures of one person.

The residual network of dlib (King 2017, dlib_face_recognition_resnet_model_v1,
CC0) with 29 convolutions, trained so that two pictures of one person lie less
than 0.6 apart and pictures of two people more. Its weights come with the
package, quantised to 8 bits (third_party/face_api). It looks at an upright
chip of 150 x 150 pixels that five landmarks are brought to fixed places in.

For evaluation: it was trained on photographs found on the web.

Shapes: `b` chips, `h w` pixels.
"""

import functools
from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
import numpy as np

from maskjax.face import crops
from maskjax.weights import bundled, quantized

SIZE = 150
# dlib's own threshold: nearer than this is one person.
SAME_PERSON = 0.6
_MEAN_RGB = (122.782, 117.001, 104.298)
# Canonical points: outer and inner corner of the eyes (the viewer's right one
# first), and the base of the nose; and where they belong in dlib's mean face.
_POINTS = (263, 362, 33, 133, 2)
_PLACES = (
  (0.8595674595992, 0.2134981538014),
  (0.6460604764104, 0.2289674387677),
  (0.1205750620789, 0.2137274526848),
  (0.3340850613712, 0.2290642403242),
  (0.4901123135679, 0.6277975316475),
)
_PADDING = 0.25  # around the mean face, in its own size
# Per block: channels, stride.
_BLOCKS = (
  (32, 1), (32, 1), (32, 1), (64, 2), (64, 1), (64, 1), (64, 1),
  (128, 2), (128, 1), (128, 1), (256, 2), (256, 1), (256, 1), (256, 2),
)  # fmt: skip


class _Scale(nn.Module):
  """A factor and an offset per channel, what is left of a batch norm."""

  @nn.compact
  def __call__(self, x: Float[Array, '*b c']) -> Float[Array, '*b c']:
    """Return x * scale + bias."""
    shape = (x.shape[-1],)
    scale = self.param('scale', nn.initializers.ones, shape)
    bias = self.param('bias', nn.initializers.zeros, shape)
    lead = (1,) * (x.ndim - 1)
    return x * scale.reshape(*lead, -1) + bias.reshape(*lead, -1)


class _Convolution(nn.Module):
  """A convolution and its scale; without padding where it halves."""

  channels: int
  size: int = 3
  stride: int = 1

  @nn.compact
  def __call__(self, x: Float[Array, 'b h w c']) -> Float[Array, 'b _ _ _']:
    """Return f[b, h / stride, w / stride, channels]."""
    x = nn.Conv(
      self.channels,
      (self.size, self.size),
      strides=self.stride,
      padding='SAME' if self.stride == 1 else 'VALID',
      name='conv',
    )(x)
    return _Scale(name='scale')(x)


class _Residual(nn.Module):
  """Two convolutions beside a shortcut, averaged where the block halves."""

  channels: int
  stride: int

  @nn.compact
  def __call__(self, x: Float[Array, 'b h w c']) -> Float[Array, 'b _ _ _']:
    """Return f[b, h / stride, w / stride, channels]."""
    y = nn.relu(
      _Convolution(self.channels, stride=self.stride, name='conv_1')(x)
    )
    y = _Convolution(self.channels, name='conv_2')(y)
    if self.stride == 2:
      x = nn.avg_pool(x, (2, 2), (2, 2))
      # The convolution, without padding, may end a row and column earlier.
      short = x.shape[1] - y.shape[1]
      y = jnp.pad(y, ((0, 0), (0, short), (0, short), (0, 0)))
    wider = self.channels - x.shape[-1]
    return nn.relu(jnp.pad(x, ((0, 0), (0, 0), (0, 0), (0, wider))) + y)


class IdentityNet(nn.Module):
  """Chips of faces to points in a space of identities."""

  @nn.compact
  def __call__(
    self, chips: Float[Array, 'b 150 150 3'], *, pooled: bool = False
  ) -> Float[Array, 'b 128'] | Float[Array, 'b 256']:
    """Return the embeddings of sRGB chips in [0, 1], or what they are made of.

    Args:
      chips: upright faces.
      pooled: stop at the last feature map, averaged over its pixels.
    """
    mean = jnp.array(_MEAN_RGB).reshape(1, 1, 1, 3)
    x = (255.0 * chips - mean) / 256.0
    x = nn.relu(_Convolution(32, size=7, stride=2, name='stem')(x))
    x = nn.max_pool(x, (3, 3), (2, 2))
    for index, (channels, stride) in enumerate(_BLOCKS):
      x = _Residual(channels, stride, name=f'blocks_{index}')(x)
    x = jnp.mean(x, axis=(1, 2))
    if pooled:
      return x
    return nn.Dense(128, use_bias=False, name='embedding')(x)


@functools.cache
def load() -> dict[str, Any]:
  """Return the network's parameters (read once)."""
  path = bundled.third_party_path('face_api', 'identity.safetensors')
  return jax.device_put(quantized.read(path))


def chip_region(
  points: Float[Array, '468 3'], height: int, width: int
) -> crops.Region:
  """Return the region of the picture that becomes the chip.

  The similarity that brings five landmarks nearest to their places; in the
  plane it has a closed form in complex numbers.

  Args:
    points: the face's points in image coordinates, of
      `landmarks.Landmarks`.
    height: height of the picture, pixels.
    width: width of the picture, pixels.
  """
  places = (np.array(_PLACES, np.float32) + _PADDING) / (1 + 2 * _PADDING)
  source = jnp.asarray(places) - 0.5  # fractions of the chip, from its middle
  target = points[jnp.array(_POINTS), :2] * jnp.array([[width, height]])
  source_mean, target_mean = source.mean(0), target.mean(0)
  a, b = source - source_mean[None], target - target_mean[None]
  spread = jnp.sum(a * a)
  along = jnp.sum(a * b) / spread
  across = jnp.sum(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]) / spread
  size = jnp.sqrt(jnp.maximum(along**2 + across**2, 1e-12))
  angle = jnp.arctan2(across, along + 1e-12)
  center = target_mean - size * crops.turn(source_mean, angle)
  return crops.Region(center, jnp.stack([size, size]), angle)


def chip(
  image: Float[Array, 'h w 3'], points: Float[Array, '468 3']
) -> Float[Array, '150 150 3']:
  """Cut the face out upright, as the network wants to see it.

  Args:
    image: sRGB in [0, 1].
    points: the face's points, of `landmarks.Landmarks` on this image.
  """
  region = chip_region(points, *image.shape[:2])
  # Four samples a pixel: large faces would alias.
  fine = crops.crop(image, region, 2 * SIZE)
  return fine.reshape(SIZE, 2, SIZE, 2, 3).mean((1, 3))


def embed(
  params: dict[str, Any],
  image: Float[Array, 'h w 3'],
  points: Float[Array, '468 3'],
) -> Float[Array, '128']:
  """Say whose face it is.

  Args:
    params: the network's parameters, from `load`.
    image: sRGB in [0, 1].
    points: the face's points, of `landmarks.Landmarks` on this image.

  Returns:
    The embedding; compare two with `distance`. Differentiable in the image.
  """
  return IdentityNet().apply({'params': params}, chip(image, points)[None])[0]


def pooled(
  params: dict[str, Any], chips: Float[Array, 'b 150 150 3']
) -> Float[Array, 'b 256']:
  """Return the last feature map of chips, averaged over its pixels.

  Args:
    params: the network's parameters, from `load`.
    chips: sRGB in [0, 1].
  """
  return IdentityNet().apply({'params': params}, chips, pooled=True)


def distance(
  first: Float[Array, '... 128'], second: Float[Array, '... 128']
) -> Float[Array, '...']:
  """Return how far two embeddings are apart; below 0.6 it is one person."""
  return jnp.linalg.norm(first - second, axis=-1)


def equal_error_rate(
  same: Float[np.ndarray, 'n'], different: Float[np.ndarray, 'm']
) -> tuple[float, float]:
  """Return the error rate at the threshold where both errors are equal.

  Args:
    same: distances of pairs of pictures of one person.
    different: distances of pairs of two people.

  Returns:
    The rate in [0, 1], and the threshold.
  """
  thresholds = np.sort(np.concatenate([same, different]))
  missed = 1 - np.searchsorted(np.sort(same), thresholds, 'right') / len(same)
  confused = np.searchsorted(np.sort(different), thresholds, 'right') / len(
    different
  )
  best = int(np.argmin(np.abs(missed - confused)))
  rate = 0.5 * (missed[best] + confused[best])
  return float(rate), float(thresholds[best])
