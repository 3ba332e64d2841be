"""What the matcher learns from: pictures of heads, and what is true of them.

Shapes: `b` pictures, `s` pixels a side.
"""

import functools
import pathlib
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import (
  Array,
  Bool,
  Float,
  Float32,
  Int,
  Int32,
  PRNGKeyArray,
  UInt8,
)
import numpy as np

from maskjax.data.creatures import batches as head_batches, head_images
from maskjax.studio import maps, views as studio_views

# Batches are made on the host and taken apart on the device.
_Either: TypeAlias = Array | np.ndarray

# How far a picture is moved, px; how often it is cut to an oval, like a mask.
_SHIFT = 4
_OVAL_RATE = 0.2
# Strongest noise that is added: samples and renders are not free of it.
_NOISE = 0.08


class Batch(NamedTuple):
  """Pictures, what is done to them, and what is true of them then.

  Attributes:
    rgb: straight sRGB.
    alpha: coverage, of 255.
    ellipses: holes and an oval, see `data.creatures.batches.Batch`.
    blur: strength of a 3 x 3 binomial filter, in [0, 1].
    noise: half width of uniform noise, sRGB in [0, 1].
    labels: kind, view and light, see `labels`.
  """

  rgb: UInt8[_Either, '*b s s 3']
  alpha: UInt8[_Either, '*b s s']
  ellipses: Float32[_Either, '*b 4 4']
  blur: Float32[_Either, '*b']
  noise: Float32[_Either, '*b']
  labels: Int32[_Either, '*b 3']


def _mirrored_lighting() -> Int[np.ndarray, 'lights']:
  """Return the row of `studio.LIGHTINGS` that each becomes in a mirror."""
  other: dict[str | None, str | None] = {'left': 'right', 'right': 'left'}
  return np.array(
    [
      studio_views.LIGHTINGS.index((color, other.get(direction, direction)))
      for color, direction in studio_views.LIGHTINGS
    ]
  )


def labels(
  images: head_images.HeadImages, *, mirrored: bool = False
) -> Int32[np.ndarray, 'n 3']:
  """Return what is true of pictures, as rows of the lists of phrases.

  Args:
    images: heads with their kinds, angles and lights.
    mirrored: whether they are seen in a mirror.

  Returns:
    Rows of `creatures.KINDS`, `views.view_names` and `views.lighting_names`.
  """
  azimuth, elevation = images.angles.T
  view = studio_views.view_index(-azimuth if mirrored else azimuth, elevation)
  light = _mirrored_lighting()[images.lighting] if mirrored else images.lighting
  return np.stack([images.kind, view, light], -1).astype(np.int32)


def _plain(
  images: head_images.HeadImages, chosen: Int[np.ndarray, 'b']
) -> Batch:
  """Return pictures as they are."""
  count = len(chosen)
  return Batch(
    rgb=images.rgb[chosen],
    alpha=images.alpha[chosen],
    ellipses=np.zeros((count, 4, 4), np.float32),
    blur=np.zeros(count, np.float32),
    noise=np.zeros(count, np.float32),
    labels=labels(head_images.HeadImages(*(x[chosen] for x in images))),
  )


def _move(
  images: UInt8[np.ndarray, 'b s s *c'],
  mirrored: Bool[np.ndarray, 'b'],
  shift: Int[np.ndarray, 'b 2'],
) -> UInt8[np.ndarray, 'b s s *c']:
  """Mirror some of the pictures, then move each, filling with 0."""
  padding = ((0, 0), (_SHIFT, _SHIFT), (_SHIFT, _SHIFT))
  padded = np.pad(images, padding + ((0, 0),) * (images.ndim - 3))
  padded[mirrored] = padded[mirrored, :, ::-1]
  size = images.shape[1]
  return np.stack(
    [
      image[row : row + size, column : column + size]
      for image, (row, column) in zip(padded, shift)
    ]
  )


def draw(
  rng: np.random.Generator,
  images: head_images.HeadImages,
  truth: tuple[Int32[np.ndarray, 'n 3'], Int32[np.ndarray, 'n 3']],
  *,
  batch_size: int,
) -> Batch:
  """Draw a batch and what is done to its pictures.

  Args:
    rng: NumPy generator; make it from (seed, step) so that runs resume.
    images: all pictures to draw from.
    truth: `labels` of the pictures and of their mirror images.
    batch_size: number of pictures to draw.
  """
  chosen = rng.integers(len(images.kind), size=batch_size)
  mirrored = rng.random(batch_size) < 0.5
  shift = rng.integers(0, 2 * _SHIFT + 1, (batch_size, 2))
  ellipses = np.zeros((batch_size, 4, 4), np.float32)
  oval = np.concatenate(
    [
      rng.normal(0.5, 0.02, (batch_size, 2)),
      rng.uniform((0.21, 0.28), (0.32, 0.42), (batch_size, 2)),
    ],
    axis=-1,
  )
  cut = rng.random(batch_size) < _OVAL_RATE
  ellipses[:, 3] = oval * cut[:, None]
  return Batch(
    rgb=_move(images.rgb[chosen], mirrored, shift),
    alpha=_move(images.alpha[chosen], mirrored, shift),
    ellipses=ellipses,
    blur=rng.random(batch_size, np.float32),
    noise=_NOISE * rng.random(batch_size, np.float32),
    labels=np.where(mirrored[:, None], truth[1][chosen], truth[0][chosen]),
  )


def _binomial(image: Float[Array, 's s c']) -> Float[Array, 's s c']:
  """Blur by (1, 2, 1) / 4 along rows and columns."""
  for axis in (0, 1):
    padding = [(int(axis == other),) * 2 for other in range(3)]
    padded = jnp.pad(image, padding, mode='edge')
    take = functools.partial(jax.lax.slice_in_dim, padded, axis=axis)
    size = image.shape[axis]
    image = (take(0, size) + 2 * take(1, size + 1) + take(2, size + 2)) / 4
  return image


def compose(rng: PRNGKeyArray, row: Batch) -> Float[Array, 's s 3']:
  """Put one picture of a batch on a random background.

  Args:
    rng: key of the background and the noise.
    row: one row of a batch.

  Returns:
    sRGB in [0, 1].
  """
  rng_background, rng_noise = jax.random.split(rng)
  composed = head_batches.compose(
    rng_background,
    head_batches.Batch(
      tokens=jnp.zeros(0, jnp.int32),
      rgb=row.rgb,
      alpha=row.alpha,
      normals=jnp.zeros_like(row.rgb),
      height=jnp.zeros_like(row.alpha),
      ellipses=row.ellipses,
      has_geometry=jnp.zeros((), bool),
      condition=jnp.zeros(3, bool),
      camera=jnp.ones(3),
      told=jnp.zeros((), bool),
      together=jnp.zeros((), bool),
      clean=jnp.zeros((), bool),
    ),
  )
  picture = 0.5 * composed.picture[..., maps.COLOR] + 0.5
  picture = picture + row.blur * (_binomial(picture) - picture)
  noise = jax.random.uniform(rng_noise, picture.shape, minval=-1.0)
  return jnp.clip(picture + row.noise * noise, 0.0, 1.0)


@jax.jit
def compose_batch(rng: PRNGKeyArray, batch: Batch) -> Float[Array, 'b s s 3']:
  """Put all pictures of a batch on random backgrounds; sRGB in [0, 1]."""
  return jax.vmap(compose)(jax.random.split(rng, batch.alpha.shape[0]), batch)


def pictures(
  rng: PRNGKeyArray,
  images: head_images.HeadImages,
  chosen: Int[np.ndarray, 'b'],
) -> tuple[Float[Array, 'b s s 3'], Int32[np.ndarray, 'b 3']]:
  """Return chosen pictures, unchanged, on random backgrounds, and labels.

  Args:
    rng: key of the backgrounds.
    images: all pictures.
    chosen: numbers of the pictures to show.
  """
  batch = _plain(images, chosen)
  return compose_batch(rng, batch), batch.labels


def split(
  folder: pathlib.Path, held_out: int
) -> tuple[head_images.HeadImages, head_images.HeadImages]:
  """Read the shards to learn from and the last ones, to be judged by.

  Args:
    folder: folder of `experiments.build_prior_data`.
    held_out: number of its last shards to be judged by.

  Raises:
    ValueError: there are not more than `held_out` shards.
  """
  paths = sorted(folder.glob('heads-*.npz'))
  if not 0 < held_out < len(paths):
    raise ValueError(
      f'{folder} holds {len(paths)} shards (heads-*.npz), of which held_out='
      f'{held_out} cannot be kept apart; build more with python -m '
      f'experiments.build_prior_data --config.seed=1 --workdir={folder}'
    )
  return head_images.load(paths[:-held_out]), head_images.load(
    paths[-held_out:]
  )
