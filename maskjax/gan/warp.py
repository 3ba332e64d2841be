"""Affine resampling of images with reflected borders and little aliasing.

Images are enlarged twofold by a wavelet filter, read bilinearly, and reduced
by the same filter. The reference pads by what the batch needs, a number that
changes from step to step; here images are padded by as much as reflection
allows, once and for all: what is read is the same.

Shapes: B images, H W pixels, K channels. Matrices act on (x, y, 1), pixels
from the image's middle, y down. Follows Karras et al., "Training Generative
Adversarial Networks with Limited Data", NeurIPS 2020, appendix B.1 and C.
"""

from jax import lax
import jax.numpy as jnp
from jaxtyping import Array, Float
import numpy as np

from maskjax.gan import fir
from maskjax.kernels import bilinear

_EXACT = lax.Precision.HIGHEST
# The low-pass filter of the Symlet-6 wavelet (Daubechies, "Ten Lectures on
# Wavelets", table 8.1 and its footnote).
_SYMLET6 = (
  0.015404109327027373,
  0.0034907120842174702,
  -0.11799011114819057,
  -0.048311742585633,
  0.4910559419267466,
  0.787641141030194,
  0.3379294217276218,
  -0.07263752278646252,
  -0.021060292512300564,
  0.04472490177066578,
  0.0017677118642428036,
  -0.007800708325034148,
)
FILTER = fir.setup_filter(_SYMLET6, separable=True)
# Pixels that the filter reaches beyond an edge, at the size of the image.
_REACH = len(_SYMLET6) // 4


def _matrix(rows: list[list[Array | float]]) -> Array:
  """Stack entries, numbers or [B], to matrices."""
  flat = [jnp.asarray(x, jnp.float32) for row in rows for x in row]
  entries = jnp.broadcast_arrays(*flat)
  stacked = jnp.stack(entries, -1)
  return stacked.reshape(*stacked.shape[:-1], len(rows), len(rows[0]))


def multiply(*matrices: Float[Array, '... n n']) -> Float[Array, '... n n']:
  """Multiply matrices exactly, batched or not."""
  product = matrices[0]
  for matrix in matrices[1:]:
    product = jnp.einsum(
      '...ij,...jk->...ik', product, matrix, precision=_EXACT
    )
  return product


def translation(x: Array | float, y: Array | float) -> Float[Array, '... 3 3']:
  """Return the matrix of a shift."""
  return _matrix([[1, 0, x], [0, 1, y], [0, 0, 1]])


def scaling(x: Array | float, y: Array | float) -> Float[Array, '... 3 3']:
  """Return the matrix of a change of scale."""
  return _matrix([[x, 0, 0], [0, y, 0], [0, 0, 1]])


def rotation(angle: Array | float) -> Float[Array, '... 3 3']:
  """Return the matrix of a rotation, radians, x toward y."""
  cosine, sine = jnp.cos(angle), jnp.sin(angle)
  return _matrix([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])


def sampling_matrix(
  inverse: Float[Array, 'b 3 3'],
  size: tuple[int, int],
  padding: tuple[tuple[int, int], tuple[int, int]],
) -> Float[Array, 'b 3 3']:
  """Return where a padded, enlarged image is read.

  Args:
    inverse: from pixels of the result to pixels of the image.
    size: height and width.
    padding: ((top, bottom), (left, right)).

  Returns:
    From the enlarged result, with room for the filter, to the padded and
    enlarged image, both in [-1, 1] from edge to edge.
  """
  (top, bottom), (left, right) = padding
  height, width = size
  matrix = multiply(
    translation((left - right) / 2, (top - bottom) / 2), inverse
  )
  matrix = multiply(scaling(2, 2), matrix, scaling(0.5, 0.5))
  matrix = multiply(translation(-0.5, -0.5), matrix, translation(0.5, 0.5))
  to_unit = scaling(1 / (width + left + right), 1 / (height + top + bottom))
  from_unit = scaling(width + 2 * _REACH, height + 2 * _REACH)
  return multiply(to_unit, matrix, from_unit)


def warp(
  images: Float[Array, 'b h w k'], inverse: Float[Array, 'b 3 3']
) -> Float[Array, 'b h w k']:
  """Resample images.

  Args:
    images: any values.
    inverse: from pixels of the result to pixels of the image.

  Returns:
    Images of the same size; beyond an edge the image is mirrored, once.
  """
  batch, height, width, _ = images.shape
  padding = ((height - 1,) * 2, (width - 1,) * 2)
  matrix = sampling_matrix(inverse, (height, width), padding)
  images = jnp.pad(images, ((0, 0), *padding, (0, 0)), mode='reflect')
  images = fir.upsample(images, FILTER)
  rows, columns = (2 * (side + 2 * _REACH) for side in (height, width))
  x, y = (
    jnp.asarray((2 * np.arange(count) + 1) / count - 1, jnp.float32)
    for count in (columns, rows)
  )
  y, x = (grid.reshape(-1) for grid in jnp.meshgrid(y, x, indexing='ij'))
  positions = jnp.stack([x, y, jnp.ones_like(x)])
  positions = jnp.einsum(
    'bij,jn->bin', matrix[:, :2], positions, precision=_EXACT
  )
  x = ((positions[:, 0] + 1) * images.shape[2] - 1) / 2
  y = ((positions[:, 1] + 1) * images.shape[1] - 1) / 2
  images = bilinear.read(images, jnp.stack([x, y], -1))
  images = images.reshape(batch, rows, columns, -1)
  return fir.downsample(images, FILTER, padding=-2 * _REACH, flip=True)
