"""What can be told of a face at a glance: age, sex, expression.

Two small networks of face-api (third_party/face_api): a Xception of 0.42
million numbers for age and sex, and four densely connected blocks of 0.32
million for seven expressions. For evaluation, as rough labels of pictures:
they tell what a face looks like to them, not what anyone is.

Shapes: `b` crops, `h w` pixels.
"""

import functools
from typing import Any, NamedTuple

from flax import linen as nn
import flax.struct
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from maskjax.face import crops
from maskjax.weights import bundled, quantized

SIZE = 112
EXPRESSIONS = (
  'neutral',
  'happy',
  'sad',
  'angry',
  'fearful',
  'disgusted',
  'surprised',
)
_MEAN_RGB = (122.782, 117.001, 104.298)
# The crop: how large it is by the way from the eyes to the mouth, and where
# the middle of eyes and mouth is in it.
_REACH = 0.45
_MIDDLE = (0.5, 0.43)
_EYES = ((33, 133), (263, 362))
_LIPS = (13, 14, 61, 291)


class Attributes(NamedTuple):
  """What a face looks like.

  Attributes:
    age: apparent age, years.
    male: probability that it looks male, in [0, 1].
    expressions: probabilities of `EXPRESSIONS`.
  """

  age: Float[Array, '*b']
  male: Float[Array, '*b']
  expressions: Float[Array, '*b 7']


def _normalise(
  crops_: Float[Array, 'b 112 112 3'],
) -> Float[Array, 'b 112 112 3']:
  """Move sRGB in [0, 1] to what the networks were trained on."""
  mean = jnp.array(_MEAN_RGB).reshape(1, 1, 1, 3)
  return (255.0 * crops_ - mean) / 255.0


class _Separable(nn.Module):
  """Depthwise, then pointwise convolution."""

  channels: int
  stride: int = 1

  @nn.compact
  def __call__(self, x: Float[Array, 'b h w c']) -> Float[Array, 'b _ _ _']:
    """Return f[b, h / stride, w / stride, channels]."""
    x = nn.Conv(
      x.shape[-1],
      (3, 3),
      strides=self.stride,
      feature_group_count=x.shape[-1],
      use_bias=False,
      name='depthwise',
    )(x)
    return nn.Conv(self.channels, (1, 1), name='pointwise')(x)


class _Reduce(nn.Module):
  """Halves the picture beside a shortcut."""

  channels: int
  activate: bool

  @nn.compact
  def __call__(self, x: Float[Array, 'b h w c']) -> Float[Array, 'b _ _ _']:
    """Return f[b, h / 2, w / 2, channels]."""
    y = nn.relu(x) if self.activate else x
    y = _Separable(self.channels, name='separable_0')(y)
    y = _Separable(self.channels, name='separable_1')(nn.relu(y))
    y = nn.max_pool(y, (3, 3), (2, 2), 'SAME')
    return y + nn.Conv(self.channels, (1, 1), strides=2, name='shortcut')(x)


class _Main(nn.Module):
  """Three convolutions beside a shortcut."""

  @nn.compact
  def __call__(self, x: Float[Array, 'b h w c']) -> Float[Array, 'b h w c']:
    """Return an array of the same shape."""
    y = x
    for index in range(3):
      y = _Separable(x.shape[-1], name=f'separable_{index}')(nn.relu(y))
    return x + y


class AgeGenderNet(nn.Module):
  """Crops of faces to age and logits of male and female."""

  @nn.compact
  def __call__(
    self, faces: Float[Array, 'b 112 112 3']
  ) -> tuple[Float[Array, 'b'], Float[Array, 'b 2']]:
    """Look at sRGB crops in [0, 1]."""
    x = nn.Conv(32, (3, 3), strides=2, name='stem')(_normalise(faces))
    x = _Reduce(64, activate=False, name='reduce_0')(nn.relu(x))
    x = _Reduce(128, activate=True, name='reduce_1')(x)
    for index in range(2):
      x = _Main(name=f'main_{index}')(x)
    x = _Reduce(256, activate=True, name='reduce_2')(x)
    x = nn.relu(_Separable(512, name='last')(x))
    x = jnp.mean(x, axis=(1, 2))
    return nn.Dense(1, name='age')(x)[:, 0], nn.Dense(2, name='gender')(x)


class _Dense(nn.Module):
  """Four convolutions, each of which sees the sum of those before it."""

  channels: int
  first: bool

  @nn.compact
  def __call__(self, x: Float[Array, 'b h w c']) -> Float[Array, 'b _ _ _']:
    """Return f[b, h / 2, w / 2, channels]."""
    if self.first:
      x = nn.Conv(self.channels, (3, 3), strides=2, name='conv_0')(x)
    else:
      x = _Separable(self.channels, stride=2, name='conv_0')(x)
    total = x = nn.relu(x)
    for index in range(1, 4):
      total = total + _Separable(self.channels, name=f'conv_{index}')(x)
      x = nn.relu(total)
    return x


class ExpressionNet(nn.Module):
  """Crops of faces to logits of `EXPRESSIONS`."""

  @nn.compact
  def __call__(self, faces: Float[Array, 'b 112 112 3']) -> Float[Array, 'b 7']:
    """Look at sRGB crops in [0, 1]."""
    x = _normalise(faces)
    for index, channels in enumerate((32, 64, 128, 256)):
      x = _Dense(channels, first=index == 0, name=f'blocks_{index}')(x)
    x = jnp.mean(x, axis=(1, 2))
    return nn.Dense(len(EXPRESSIONS), name='expression')(x)


@flax.struct.dataclass
class Networks:
  """The parameters of both networks; a pytree of float32 arrays."""

  age_gender: dict[str, Any]
  expression: dict[str, Any]


@functools.cache
def load() -> Networks:
  """Return both networks' parameters (read once)."""

  def read(name: str) -> dict[str, Any]:
    path = bundled.third_party_path('face_api', f'{name}.safetensors')
    return jax.device_put(quantized.read(path))

  return Networks(age_gender=read('age_gender'), expression=read('expression'))


def face_region(
  points: Float[Array, '468 3'], height: int, width: int
) -> crops.Region:
  """Return the upright region that the networks want to see.

  Args:
    points: the face's points in image coordinates, of `landmarks.Landmarks`.
    height: height of the picture, pixels.
    width: width of the picture, pixels.
  """
  flat = points[:, :2] * jnp.array([[width, height]], points.dtype)
  left, right = (flat[jnp.array(pair)].mean(0) for pair in _EYES)
  mouth = flat[jnp.array(_LIPS)].mean(0)
  across = right - left
  angle = jnp.arctan2(across[1], across[0] + 1e-12)
  reach = 0.5 * sum(
    jnp.sqrt(jnp.sum((eye - mouth) ** 2) + 1e-12) for eye in (left, right)
  )
  size = reach / _REACH
  middle = (left + right + mouth) / 3
  shift = size * (0.5 - jnp.array(_MIDDLE))
  return crops.Region(
    center=middle + crops.turn(shift, angle),
    size=jnp.stack([size, size]),
    rotation=angle,
  )


def attributes(
  nets: Networks,
  image: Float[Array, 'h w 3'],
  points: Float[Array, '468 3'],
) -> Attributes:
  """Say what a face looks like.

  Args:
    nets: the networks' parameters, from `load`.
    image: sRGB in [0, 1].
    points: the face's points, of `landmarks.Landmarks` on this image.
  """
  region = face_region(points, *image.shape[:2])
  fine = crops.crop(image, region, 2 * SIZE)
  seen = fine.reshape(SIZE, 2, SIZE, 2, 3).mean((1, 3))[None]
  age, gender = AgeGenderNet().apply({'params': nets.age_gender}, seen)
  expression = ExpressionNet().apply({'params': nets.expression}, seen)
  return Attributes(
    age=age[0],
    male=jax.nn.softmax(gender[0])[0],
    expressions=jax.nn.softmax(expression[0]),
  )
