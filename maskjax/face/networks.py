"""Three small networks that find faces and people, as MediaPipe trained them.

`BlazeFace` detects faces in pictures of 128 x 128, `FaceMesh` finds 468
points on a face crop of 192 x 192, `SelfieSegmenter` tells a person from the
background at 256 x 256. Their weights come with the package
(third_party/mediapipe). Convolutions pad as TensorFlow's `SAME`.

Sources: Bazarevsky et al., "BlazeFace" (2019); Kartynnik et al., "Real-time
Facial Surface Geometry from Monocular Video on Mobile GPUs" (2019); Howard et
al., "Searching for MobileNetV3" (2019), whose small network with its
segmentation head the third one follows.

Shapes: `b` pictures, `h w` pixels, `c` channels, `n` anchors.
"""

import functools
from typing import Any

import flax
from flax import linen as nn, traverse_util
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
import numpy as np
from safetensors import numpy as safetensors

from maskjax.weights import bundled

DETECTOR_SIZE = 128
MESH_SIZE = 192
SEGMENTER_SIZE = 256
ANCHORS = 896
LANDMARKS = 468

# Per block: channels, stride.
_DETECTOR_BLOCKS = (
  (24, 1), (28, 1), (32, 2), (36, 1), (42, 1), (48, 2), (56, 1), (64, 1),
  (72, 1), (80, 1), (88, 1), (96, 2), (96, 1), (96, 1), (96, 1), (96, 1),
)  # fmt: skip
_MESH_BLOCKS = (
  (16, 1), (16, 1), (32, 2), (32, 1), (32, 1), (64, 2), (64, 1), (64, 1),
  (128, 2), (128, 1), (128, 1), (128, 2), (128, 1), (128, 1),
)  # fmt: skip
# Per block: channels inside, channels, kernel, stride, channels of the gate.
_SEGMENTER_BLOCKS = (
  (16, 16, 3, 2, 8), (72, 24, 3, 2, 0), (88, 24, 3, 1, 0),
  (96, 32, 5, 2, 24), (128, 32, 5, 1, 32), (128, 32, 5, 1, 32),
  (96, 32, 5, 1, 24), (96, 32, 5, 1, 24),
)  # fmt: skip


def _prelu(
  x: Float[Array, '*b c'], slope: Float[Array, 'c']
) -> Float[Array, '*b c']:
  """Return x where positive, else x times its channel's slope."""
  slope = slope.reshape((1,) * (x.ndim - 1) + slope.shape)
  return jnp.where(x > 0, x, x * slope)


class _Block(nn.Module):
  """Depthwise and pointwise convolution beside a shortcut.

  The shortcut is pooled where the stride is 2, and gets channels of zeros
  where the block widens.
  """

  channels: int
  stride: int
  sloped: bool  # negative values keep a slope per channel, not 0

  @nn.compact
  def __call__(self, x: Float[Array, 'b h w c']) -> Float[Array, 'b _ _ _']:
    """Return f[b, h / stride, w / stride, channels]."""
    width = x.shape[-1]
    y = nn.Conv(
      width,
      (3, 3),
      strides=self.stride,
      feature_group_count=width,
      name='depthwise',
    )(x)
    y = nn.Conv(self.channels, (1, 1), name='pointwise')(y)
    if self.stride == 2:
      x = nn.max_pool(x, (2, 2), strides=(2, 2))
    x = jnp.pad(x, ((0, 0), (0, 0), (0, 0), (0, self.channels - width)))
    if self.sloped:
      zeros = nn.initializers.zeros
      return _prelu(x + y, self.param('slope', zeros, (self.channels,)))
    return nn.relu(x + y)


class BlazeFace(nn.Module):
  """Face detector: scores and boxes of 896 anchors."""

  @nn.compact
  def __call__(
    self, images: Float[Array, 'b 128 128 3']
  ) -> tuple[Float[Array, 'b 896'], Float[Array, 'b 896 16']]:
    """Look for faces.

    Args:
      images: sRGB in [-1, 1].

    Returns:
      Logits of a face at each anchor; and, in pixels from the anchor, the
      box's centre and size and six points (see `detection`). The first 512
      anchors lie two by two on a grid of 16 x 16, the others six by six on
      one of 8 x 8.
    """
    x = nn.relu(nn.Conv(24, (5, 5), strides=2, name='stem')(images))
    taps = []
    for index, (channels, stride) in enumerate(_DETECTOR_BLOCKS):
      if index == 11:
        taps.append(x)
      x = _Block(channels, stride, sloped=False, name=f'blocks_{index}')(x)
    taps.append(x)
    scores, boxes = [], []
    for index, (x, anchors) in enumerate(zip(taps, (2, 6))):
      score = nn.Conv(anchors, (1, 1), name=f'scores_{index}')(x)
      box = nn.Conv(16 * anchors, (1, 1), name=f'boxes_{index}')(x)
      scores.append(score.reshape(len(images), -1))
      boxes.append(box.reshape(len(images), -1, 16))
    return jnp.concatenate(scores, 1), jnp.concatenate(boxes, 1)


class FaceMesh(nn.Module):
  """468 points of the face in a crop, and whether there is one."""

  @nn.compact
  def __call__(
    self, images: Float[Array, 'b 192 192 3']
  ) -> tuple[Float[Array, 'b 468 3'], Float[Array, 'b']]:
    """Find the points.

    Args:
      images: sRGB in [0, 1], the face upright in the middle.

    Returns:
      Points in pixels of the crop, x to the right, y down, z away from the
      viewer in the scale of x; and the logits of a face being there.
    """

    def block(
      x: Float[Array, 'b h w c'], channels: int, stride: int, name: str
    ) -> Float[Array, 'b _ _ _']:
      return _Block(channels, stride, sloped=True, name=name)(x)

    def slope(x: Float[Array, 'b h w c'], name: str) -> Float[Array, 'b h w c']:
      zeros = nn.initializers.zeros
      return _prelu(x, self.param(name, zeros, (x.shape[-1],)))

    x = nn.Conv(16, (3, 3), strides=2, name='stem')(images)
    x = slope(x, 'stem_slope')
    for index, (channels, stride) in enumerate(_MESH_BLOCKS):
      x = block(x, channels, stride, f'blocks_{index}')
    outputs = []
    for name, blocks, numbers in (
      ('mesh', 3, 3 * LANDMARKS),
      ('score', 1, 1),
    ):
      y = x
      for index in range(blocks):
        y = block(y, 128, 1 if index else 2, f'{name}_blocks_{index}')
      y = slope(
        nn.Conv(32, (1, 1), name=f'{name}_reduce')(y), f'{name}_reduce_slope'
      )
      y = block(y, 32, 1, f'{name}_blocks_{blocks}')
      y = nn.Conv(numbers, (3, 3), padding='VALID', name=name)(y)
      outputs.append(y.reshape(len(images), -1))
    points, score = outputs
    return points.reshape(-1, LANDMARKS, 3), score[:, 0]


class _Gate(nn.Module):
  """Weights per channel, from the channels' means."""

  squeezed: int
  channels: int

  @nn.compact
  def __call__(self, x: Float[Array, 'b h w c']) -> Float[Array, 'b 1 1 _']:
    """Return f[b, 1, 1, channels] in (0, 1)."""
    x = jnp.mean(x, axis=(1, 2), keepdims=True)
    x = nn.relu(nn.Conv(self.squeezed, (1, 1), name='squeeze')(x))
    return nn.sigmoid(nn.Conv(self.channels, (1, 1), name='excite')(x))


class _Inverted(nn.Module):
  """An inverted residual block of MobileNetV3."""

  inside: int
  channels: int
  kernel: int
  stride: int
  gate: int

  @nn.compact
  def __call__(self, x: Float[Array, 'b h w c']) -> Float[Array, 'b _ _ _']:
    """Return f[b, h / stride, w / stride, channels]."""
    act = nn.hard_swish if self.kernel == 5 else nn.relu
    y = act(nn.Conv(self.inside, (1, 1), name='expand')(x))
    y = nn.Conv(
      self.inside,
      (self.kernel, self.kernel),
      strides=self.stride,
      feature_group_count=self.inside,
      name='depthwise',
    )(y)
    y = act(y)
    if self.gate:
      y = y * _Gate(self.gate, self.inside, name='gate')(y)
    y = nn.Conv(self.channels, (1, 1), name='project')(y)
    return x + y if x.shape == y.shape else y


class _Decoding(nn.Module):
  """Doubles the picture and mixes in what was seen at that size."""

  @nn.compact
  def __call__(
    self, x: Float[Array, 'b h w k'], skip: Float[Array, 'b hh ww c']
  ) -> Float[Array, 'b hh ww c']:
    """Return f[b, 2 h, 2 w, c] with the channels of `skip`."""
    batch, height, width, channels = skip.shape
    x = jax.image.resize(x, (batch, height, width, x.shape[-1]), 'bilinear')
    x = nn.Conv(channels, (1, 1), name='reduce')(x)
    gate = _Gate(channels, channels, name='gate')(skip + x)
    x = nn.relu(nn.Conv(channels, (1, 1), name='mix')(skip * gate + x))
    y = nn.Conv(
      channels, (3, 3), feature_group_count=channels, name='depthwise'
    )(x)
    return x + nn.relu(y)


class _Doubling(nn.Module):
  """A transposed convolution of 2 x 2 with stride 2, to one channel."""

  @nn.compact
  def __call__(self, x: Float[Array, 'b h w c']) -> Float[Array, 'b 2*h 2*w']:
    """Return f[b, 2 h, 2 w]."""
    zeros = nn.initializers.zeros
    kernel = self.param('kernel', zeros, (2, 2, x.shape[-1], 1))
    bias = self.param('bias', zeros, (1,))
    batch, height, width, _ = x.shape
    x = jnp.einsum('bhwc,ijc->bhiwj', x, kernel[..., 0]) + bias[0]
    return x.reshape(batch, 2 * height, 2 * width)


class SelfieSegmenter(nn.Module):
  """Where the person is in a picture."""

  @nn.compact
  def __call__(
    self, images: Float[Array, 'b 256 256 3']
  ) -> Float[Array, 'b 256 256']:
    """Return the logits of each pixel of sRGB pictures in [0, 1]."""
    x = nn.hard_swish(nn.Conv(16, (3, 3), strides=2, name='stem')(images))
    features = [x]
    for index, sizes in enumerate(_SEGMENTER_BLOCKS):
      x = _Inverted(*sizes, name=f'blocks_{index}')(x)
      features.append(x)
    mean = jnp.mean(x, axis=(1, 2), keepdims=True)
    gate = nn.sigmoid(nn.Conv(128, (1, 1), name='context_gate')(mean))
    x = nn.relu(nn.Conv(128, (1, 1), name='context')(x)) * gate
    # The last features at a side of 32, 64 and 128.
    for index, skip in enumerate((features[3], features[1], features[0])):
      x = _Decoding(name=f'decoder_{index}')(x, skip)
    return _Doubling(name='mask')(x)


@flax.struct.dataclass
class Networks:
  """The parameters of the three networks; a pytree of float32 arrays."""

  detector: dict[str, Any]
  mesh: dict[str, Any]
  segmenter: dict[str, Any]


def read_params(name: str) -> dict[str, Any]:
  """Read the parameters of one network.

  Args:
    name: 'blazeface', 'facemesh' or 'selfie'.

  Returns:
    A tree of float32 arrays.

  Raises:
    FileNotFoundError: the file is missing from the installation.
  """
  path = bundled.third_party_path('mediapipe', f'{name}.safetensors')
  arrays = safetensors.load_file(path)
  arrays = {key: np.asarray(a, np.float32) for key, a in arrays.items()}
  return jax.device_put(traverse_util.unflatten_dict(arrays, sep='/'))


@functools.cache
def load() -> Networks:
  """Return the three networks' parameters (read once)."""
  return Networks(
    detector=read_params('blazeface'),
    mesh=read_params('facemesh'),
    segmenter=read_params('selfie'),
  )
