"""Inception-v3, whose features make a Frechet distance an FID.

The weights are not part of this package: give the path of the file that
pytorch-fid and torch-fidelity use (pt_inception-2015-12-05-6726825d.pth, the
network of Heusel et al. 2017) or of torchvision's. Modules have torchvision's
names, so that a checkpoint is only transposed.

Architecture: Szegedy et al. 2016, "Rethinking the Inception Architecture for
Computer Vision", as torchvision builds it.

Shapes: `b` pictures, `h w` pixels, `c` channels.
"""

from collections.abc import Callable
import os
import pathlib
from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Num
import numpy as np

from maskjax.weights import diffusers_folder, keymap, persistence, tensor_files

SIZE = 299
FEATURES = 2048
# How a picture of any size becomes what the network sees.
PREPROCESSING = ('pytorch-fid', 'torch-fidelity')
_EPSILON = 1e-3
_BATCH = 8
# Parts of checkpoints that features do not need.
_UNUSED = ('AuxLogits.', 'fc.')
# A branch is convolutions (name, channels, kernel, stride) in a row; 'same'
# padding but where they halve.
_Branch = tuple[tuple[str, int, tuple[int, int], int], ...]


def _branch(name: str, *layers: tuple[int, Any], stride: int = 1) -> _Branch:
  """Return a branch of numbered layers; the last one has the stride."""
  last = len(layers) - 1
  return tuple(
    (
      f'{name}_{k + 1}' if last else name,
      channels,
      (kernel, kernel) if isinstance(kernel, int) else kernel,
      stride if k == last else 1,
    )
    for k, (channels, kernel) in enumerate(layers)
  )


_ROW, _COLUMN = (1, 7), (7, 1)


def _narrow(pooled: int) -> tuple[_Branch, ...]:
  """Return a block of kernels 1, 5 and 3 (35 pixels a side)."""
  return (
    _branch('branch1x1', (64, 1)),
    _branch('branch5x5', (48, 1), (64, 5)),
    _branch('branch3x3dbl', (64, 1), (96, 3), (96, 3)),
    _branch('branch_pool', (pooled, 1)),
  )


def _crossed(inner: int) -> tuple[_Branch, ...]:
  """Return a block of rows and columns of 7 (17 pixels a side)."""
  return (
    _branch('branch1x1', (192, 1)),
    _branch('branch7x7', (inner, 1), (inner, _ROW), (192, _COLUMN)),
    _branch(
      'branch7x7dbl', (inner, 1), (inner, _COLUMN), (inner, _ROW),
      (inner, _COLUMN), (192, _ROW),
    ),
    _branch('branch_pool', (192, 1)),
  )  # fmt: skip


# Blocks in order; those that halve pool without a convolution.
_BLOCKS: dict[str, tuple[_Branch, ...]] = {
  'Mixed_5b': _narrow(32),
  'Mixed_5c': _narrow(64),
  'Mixed_5d': _narrow(64),
  'Mixed_6a': (
    _branch('branch3x3', (384, 3), stride=2),
    _branch('branch3x3dbl', (64, 1), (96, 3), (96, 3), stride=2),
  ),
  'Mixed_6b': _crossed(128),
  'Mixed_6c': _crossed(160),
  'Mixed_6d': _crossed(160),
  'Mixed_6e': _crossed(192),
  'Mixed_7a': (
    _branch('branch3x3', (192, 1), (320, 3), stride=2),
    _branch(
      'branch7x7x3', (192, 1), (192, _ROW), (192, _COLUMN), (192, 3), stride=2
    ),
  ),
}
_STEM = (
  ('Conv2d_1a_3x3', 32, 3, 2, 'VALID'),
  ('Conv2d_2a_3x3', 32, 3, 1, 'VALID'),
  ('Conv2d_2b_3x3', 64, 3, 1, 'SAME'),
  ('pool', 0, 0, 0, ''),
  ('Conv2d_3b_1x1', 80, 1, 1, 'VALID'),
  ('Conv2d_4a_3x3', 192, 3, 1, 'VALID'),
  ('pool', 0, 0, 0, ''),
)


class _BatchNorm(nn.Module):
  """Normalisation by stored statistics."""

  @nn.compact
  def __call__(self, x: Float[Array, 'b h w c']) -> Float[Array, 'b h w c']:
    """Return what has mean 0 and deviation 1, scaled and shifted."""

    def number(name: str, init: Any) -> Float[Array, '1 1 1 c']:
      return self.param(name, init, (x.shape[-1],)).reshape(1, 1, 1, -1)

    ones, zeros = nn.initializers.ones, nn.initializers.zeros
    factor = number('scale', ones) * jax.lax.rsqrt(
      number('running_var', ones) + _EPSILON
    )
    return (x - number('running_mean', zeros)) * factor + number('bias', zeros)


class _Convolution(nn.Module):
  """Convolution, normalisation, rectifier."""

  channels: int
  kernel: tuple[int, int]
  stride: int = 1
  padding: str = 'SAME'

  @nn.compact
  def __call__(self, x: Float[Array, 'b h w c']) -> Float[Array, 'b i j d']:
    """Return `channels` at every `stride`-th pixel."""
    x = nn.Conv(
      self.channels, self.kernel, strides=self.stride, padding=self.padding,
      use_bias=False, name='conv',
    )(x)  # fmt: skip
    return nn.relu(_BatchNorm(name='bn')(x))


def _halved(x: Float[Array, 'b h w c']) -> Float[Array, 'b i j c']:
  """Return maxima of 3 x 3 pixels at every second one."""
  return nn.max_pool(x, (3, 3), (2, 2))


def _averaged(
  x: Float[Array, 'b h w c'], padded: bool
) -> Float[Array, 'b h w c']:
  """Return means of 3 x 3 pixels; `padded` counts zeros beyond borders."""
  return nn.avg_pool(
    x, (3, 3), (1, 1), padding='SAME', count_include_pad=padded
  )


class _Block(nn.Module):
  """Branches side by side, and a pooled one."""

  branches: tuple[_Branch, ...]
  padded: bool

  @nn.compact
  def __call__(self, x: Float[Array, 'b h w c']) -> Float[Array, 'b i j d']:
    """Return the channels of all branches."""
    halves = self.branches[0][-1][-1] == 2
    parts = []
    for branch in self.branches:
      y = _averaged(x, self.padded) if branch[0][0] == 'branch_pool' else x
      for name, channels, kernel, stride in branch:
        padding = 'SAME' if stride == 1 else 'VALID'
        y = _Convolution(channels, kernel, stride, padding, name=name)(y)
      parts.append(y)
    return jnp.concatenate(parts + [_halved(x)] * halves, -1)


class _Last(nn.Module):
  """The widest blocks: two branches end in a row beside a column."""

  pool: Callable[[Array], Array]

  @nn.compact
  def __call__(self, x: Float[Array, 'b h w c']) -> Float[Array, 'b h w 2048']:
    """Return the channels of all branches."""

    def convolve(
      y: Float[Array, 'b h w c'],
      channels: int,
      kernel: tuple[int, int],
      name: str,
    ) -> Float[Array, 'b h w d']:
      return _Convolution(channels, kernel, name=name)(y)

    def both(
      y: Float[Array, 'b h w c'], name: str, row: str, column: str
    ) -> list[Array]:
      return [
        convolve(y, 384, (1, 3), name + row),
        convolve(y, 384, (3, 1), name + column),
      ]

    once = convolve(x, 384, (1, 1), 'branch3x3_1')
    twice = convolve(x, 448, (1, 1), 'branch3x3dbl_1')
    twice = convolve(twice, 384, (3, 3), 'branch3x3dbl_2')
    return jnp.concatenate(
      [
        convolve(x, 320, (1, 1), 'branch1x1'),
        *both(once, 'branch3x3', '_2a', '_2b'),
        *both(twice, 'branch3x3dbl', '_3a', '_3b'),
        convolve(self.pool(x), 192, (1, 1), 'branch_pool'),
      ],
      -1,
    )


class Inception(nn.Module):
  """Pictures to the last feature map, averaged over its pixels.

  Attributes:
    fid: whether to pool as the network of FID does (borders of averages left
      out, the last block's maximum in place of its average) or as
      torchvision's.
  """

  fid: bool = True

  @nn.compact
  def __call__(self, x: Float[Array, 'b h w 3']) -> Float[Array, 'b 2048']:
    """Return features of pictures in [-1, 1], made for 299 pixels a side."""
    for name, channels, kernel, stride, padding in _STEM:
      if name == 'pool':
        x = _halved(x)
        continue
      layer = _Convolution(
        channels, (kernel, kernel), stride, padding, name=name
      )
      x = layer(x)
    padded = not self.fid
    for name, branches in _BLOCKS.items():
      x = _Block(branches, padded, name=name)(x)

    def average(y: Float[Array, 'b h w c']) -> Float[Array, 'b h w c']:
      return _averaged(y, padded)

    def maximum(y: Float[Array, 'b h w c']) -> Float[Array, 'b h w c']:
      return nn.max_pool(y, (3, 3), (1, 1), padding='SAME')

    x = _Last(average, name='Mixed_7b')(x)
    x = _Last(maximum if self.fid else average, name='Mixed_7c')(x)
    return jnp.mean(x, (1, 2))


def _interpolate(
  images: Float[Array, 'b h w 3'],
  positions: Callable[[int], Float[Array, 'n']],
) -> Float[Array, 'b n n 3']:
  """Sample rows, then columns, bilinearly.

  Args:
    images: of any size.
    positions: maps a number of pixels to where to sample them, in pixels.
  """
  for axis in (1, 2):
    count = images.shape[axis]
    position = jnp.clip(positions(count), 0, count - 1)
    low = jnp.floor(position).astype(jnp.int32)
    high = jnp.minimum(low + 1, count - 1)
    part = (position - low).reshape(-1, *(1,) * (3 - axis))[None]
    part = part if axis == 1 else part[None]
    below = jnp.take(images, low, axis)
    images = below + part * (jnp.take(images, high, axis) - below)
  return images


def preprocess(
  images: Float[Array, 'b h w 3'], *, how: str = 'pytorch-fid'
) -> Float[Array, 'b 299 299 3']:
  """Make pictures what the network sees.

  Args:
    images: sRGB in [0, 1].
    how: of `PREPROCESSING`. Both interpolate bilinearly without a filter:
      'pytorch-fid' between pixels' centres, to [-1, 1]; 'torch-fidelity' as
      the first TensorFlow did, from pixels' corners, and 255 becomes 127/128.

  Raises:
    ValueError: another word.
  """
  if how == 'pytorch-fid':
    scaled = _interpolate(
      images, lambda n: (jnp.arange(SIZE) + 0.5) * (n / SIZE) - 0.5
    )
    return 2 * scaled - 1
  if how == 'torch-fidelity':
    scaled = _interpolate(255 * images, lambda n: jnp.arange(SIZE) * (n / SIZE))
    return (scaled - 128) / 128
  raise ValueError(
    f'unknown preprocessing {how!r}: use one of {", ".join(PREPROCESSING)}'
  )


def _tensors(path: pathlib.Path) -> dict[str, np.ndarray]:
  """Read the arrays of a file of weights."""
  if path.suffix == '.safetensors':
    return dict(tensor_files.read(path))
  content = persistence.read(path)
  found = {k: v for k, v in content.items() if isinstance(v, np.ndarray)}
  if not found:
    raise ValueError(f'{path}: no tensors; expected a state_dict')
  return found


def load(path: str | os.PathLike) -> dict[str, Any]:
  """Read weights.

  Args:
    path: of a state_dict, .pth or .safetensors, under torchvision's names.

  Returns:
    Parameters of `Inception`.

  Raises:
    ValueError: no such file, not one of weights, or of another network.
  """
  path = pathlib.Path(path)
  if not path.is_file():
    raise ValueError(
      f'{path}: no such file; expected Inception-v3 weights, such as '
      'pt_inception-2015-12-05-6726825d.pth of pytorch-fid'
    )
  params = keymap.from_torch(
    {
      key: value.astype(np.float32)
      for key, value in _tensors(path).items()
      if not key.startswith(_UNUSED) and not key.endswith('num_batches_tracked')
    }
  )
  shapes = jax.eval_shape(
    Inception().init, jax.random.key(0), jnp.zeros((1, SIZE, SIZE, 3))
  )
  diffusers_folder.check_params(params, shapes['params'], str(path))
  return jax.device_put(params)


def extractor(
  params: dict[str, Any], *, fid: bool = True, how: str = 'pytorch-fid'
) -> Callable[[Num[Any, 'n h w 3']], Float[np.ndarray, 'n 2048']]:
  """Return the function from pictures to features.

  Args:
    params: of `load`.
    fid: see `Inception`.
    how: see `preprocess`.

  Returns:
    Takes sRGB pictures, uint8 or in [0, 1], any number; gives a row each.

  Raises:
    ValueError: unknown preprocessing.
  """
  preprocess(jnp.zeros((1, 2, 2, 3)), how=how)

  @jax.jit
  def look(images: Float[Array, 'b h w 3']) -> Float[Array, 'b 2048']:
    seen = preprocess(images, how=how)
    return Inception(fid).apply({'params': params}, seen)

  def features(images: Num[Any, 'n h w 3']) -> Float[np.ndarray, 'n 2048']:
    rows = []
    for start in range(0, len(images), _BATCH):
      part = np.asarray(images[start : start + _BATCH])
      scale = 255 if part.dtype == np.uint8 else 1
      part = part.astype(np.float32) / scale
      short = _BATCH - len(part)
      whole = np.concatenate([part, part[:1].repeat(short, 0)])
      rows.append(np.asarray(look(whole))[: len(part)])
    return np.concatenate(rows)

  return features
