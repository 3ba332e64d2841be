"""Batches of heads: pictures on backgrounds, words, conditions.

The host picks pictures, mirrors them and writes their captions; everything
that touches pixels (`compose`) is a pure JAX function that runs inside the
training step. Captions are written anew each time a picture is drawn.

Shapes: `b` pictures, `s` pixels a side, `t` tokens.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray
import numpy as np

from maskjax.data.creatures import captions, head_images
from maskjax.geometry import color
from maskjax.studio import (
  condition as condition_lib,
  maps,
  views as studio_views,
)

# How often a picture is shown with eye and mouth holes, or cut to an oval:
# the shapes of mask that a first image is asked for.
_HOLES_RATE = 0.2
_OVAL_RATE = 0.3
# How many times more often plain light and plain heads are drawn.
_PLAIN_LIGHT = 2.5
_PLAIN_HEAD = 1.5
# How often the views of a head are drawn together, and how often one of them
# is clean: it is what a first image is to the views of a mask.
_TOGETHER_RATE = 0.7
_CLEAN_RATE = 0.5
_CAMERA = ('azimuth', 'elevation', 'distance')


class Batch(NamedTuple):
  """What one training step needs from the host."""

  tokens: np.ndarray  # int32 [b, t]
  rgb: np.ndarray  # uint8 [b, s, s, 3] straight sRGB
  alpha: np.ndarray  # uint8 [b, s, s]
  normals: np.ndarray  # uint8 [b, s, s, 3]
  height: np.ndarray  # uint8 [b, s, s]
  # float32 [b, 4, 4]: ellipses (center x, y, radius x, y in [0, 1]); the
  # first three are cut out, the last one is what is kept. Radius 0: unused.
  ellipses: np.ndarray
  has_geometry: np.ndarray  # bool [b]: normals and height are known
  condition: np.ndarray  # bool [b, 3] shown to the ControlNet: mask, height, n
  camera: np.ndarray  # float32 [b, 3] azimuth, elevation (degrees), distance
  told: np.ndarray  # bool [b] whether the network is told the camera
  together: np.ndarray  # bool [b], all alike: groups of views of one head
  clean: np.ndarray  # bool [b] shown without noise to the views of its group


class Art(NamedTuple):
  """Emoji pictures, as `experiments.build_prior_data` stores them."""

  images: np.ndarray  # uint8 [n, s, s, 4] straight sRGB and alpha
  captions: np.ndarray  # str [n]


def _ellipse_mask(ellipses: Float[Array, 'n 4'], size: int) -> Array:
  """Return soft-edged ellipses [n, s, s], one pixel wide at the edge."""
  axis = (jnp.arange(size) + 0.5) / size
  x = (axis[None, None, :] - ellipses[:, 0, None, None]) / (
    ellipses[:, 2, None, None] + 1e-6
  )
  y = (axis[None, :, None] - ellipses[:, 1, None, None]) / (
    ellipses[:, 3, None, None] + 1e-6
  )
  distance = jnp.sqrt(x**2 + y**2 + 1e-12) - 1.0
  radius = jnp.minimum(ellipses[:, 2], ellipses[:, 3])[:, None, None]
  return jnp.clip(0.5 - distance * radius * size, 0.0, 1.0)


def _cut(ellipses: Float[Array, '4 4'], size: int) -> Float[Array, 's s']:
  """Return the coverage left by the holes and the oval of one picture."""
  masks = _ellipse_mask(ellipses, size)
  used = ellipses[:, 2] > 0
  holes = jnp.where(used[:3, None, None], masks[:3], 0.0)
  oval = jnp.where(used[3], masks[3], 1.0)
  return jnp.prod(1.0 - holes, axis=0) * oval


class Composed(NamedTuple):
  """A picture on its background, and what is known of it."""

  picture: Float[Array, 's s 7']  # of `maps.stack`
  condition: Float[Array, 's s 5']  # of the ControlNet
  weights: Float[Array, '7']  # how much each channel of the picture counts
  label: Float[Array, '6']  # of `maps.camera_labels`


def compose(rng: PRNGKeyArray, row: Batch) -> Composed:
  """Put one picture on a random background and build its condition.

  Args:
    rng: typed key.
    row: one row of a batch from `draw`.
  """
  size = row.alpha.shape[0]
  alpha = (row.alpha / 255.0 * _cut(row.ellipses, size))[..., None]
  linear = color.srgb_to_linear(row.rgb / 255.0)
  behind = studio_views.background(rng, size)
  composed = linear * alpha + behind * (1.0 - alpha)
  known = jnp.asarray(row.has_geometry, jnp.float32)
  normals = (row.normals / 127.5 - 1.0) * alpha * known
  azimuth, elevation, distance = jnp.asarray(row.camera)
  shown = jnp.asarray(row.condition, jnp.float32)
  shown = shown * jnp.stack([jnp.ones(()), known, known])
  return Composed(
    picture=maps.stack(
      2.0 * color.linear_to_srgb(composed) - 1.0, normals, alpha
    ),
    condition=condition_lib.condition_image(
      alpha * shown[0],
      row.height[..., None] / 255.0 * alpha * shown[1],
      normals * shown[2],
    ),
    # Where no geometry is known its channels do not count.
    weights=maps.channel_weights(1.0, known),
    label=maps.camera_labels(
      azimuth, elevation, distance, known=jnp.asarray(row.told)
    ),
  )


def _mirror(fields: dict[str, np.ndarray], flip: np.ndarray) -> None:
  """Mirror the chosen pictures left to right, in place."""
  for name in ('rgb', 'alpha', 'normals', 'height'):
    fields[name][flip] = fields[name][flip, :, ::-1]
  # x points the other way; 255 - x mirrors it around 127.5.
  covered = fields['alpha'][flip] > 0
  mirrored = np.where(covered, 255 - fields['normals'][flip, ..., 0], 0)
  fields['normals'][flip, ..., 0] = mirrored


_OPPOSITE = {'left': 'right', 'right': 'left'}


def _draw_ellipses(
  rng: np.random.Generator, about: dict, holes: np.ndarray
) -> np.ndarray:
  """Draw what is cut out of one picture (most often nothing)."""
  ellipses = np.zeros((4, 4), np.float32)
  frontal = abs(about['azimuth']) < 30 and abs(about['elevation']) < 25
  if not frontal:
    return ellipses
  if rng.random() < _HOLES_RATE:
    scale = rng.uniform(0.8, 1.3)
    ellipses[:2, :2] = holes[:2]
    ellipses[:2, 2:] = np.array([0.045, 0.028]) * scale
    ellipses[2, :2] = holes[2]
    ellipses[2, 2:] = np.array([0.075, 0.028]) * scale
  if rng.random() < _OVAL_RATE:
    ellipses[3] = [
      0.5 + rng.normal(0, 0.015),
      0.5 + rng.normal(0, 0.02),
      rng.uniform(0.21, 0.30),
      rng.uniform(0.28, 0.38),
    ]
  return ellipses


def _weights(images: head_images.HeadImages) -> np.ndarray:
  """Return how often each picture is drawn, as probabilities.

  Even light and heads without modifiers are what most prompts ask for.
  """
  weights = np.where(images.lighting == 0, _PLAIN_LIGHT, 1.0)
  weights *= np.where(images.modifiers == '', _PLAIN_HEAD, 1.0)
  return weights / weights.sum()


def _head_of(images: head_images.HeadImages) -> np.ndarray:
  """Return the number of the head on each picture; a head's follow another."""
  # Neighbouring heads of a shard, and of two shards, are of different kinds.
  return np.concatenate([[0], np.cumsum(np.diff(images.kind) != 0)])


def _choose_together(
  rng: np.random.Generator,
  images: head_images.HeadImages,
  weights: np.ndarray,
  count: int,
  views: int,
) -> np.ndarray:
  """Choose groups of views of one head, the most frontal one first."""
  head_of = _head_of(images)
  groups = []
  for anchor in rng.choice(len(weights), count // views, p=weights):
    own = np.flatnonzero(head_of == head_of[anchor])
    others = rng.permutation(own[own != anchor])
    group = np.resize(np.concatenate([[anchor], others]), views)
    groups.append(group[np.argsort(np.abs(images.angles[group, 0]))])
  return np.concatenate(groups)


def _about(
  images: head_images.HeadImages, index: int, mirrored: bool
) -> tuple[dict, np.ndarray]:
  """Return what is true of a picture, and where its eyes and mouth are."""
  about = head_images.describe(images, index)
  holes = images.holes[index].copy()
  if mirrored:
    about['azimuth'] = -about['azimuth']
    about['light_direction'] = _OPPOSITE.get(
      about['light_direction'], about['light_direction']
    )
    holes[:, 0] = 1.0 - holes[:, 0]
  return about, holes


def _caption(rng: np.random.Generator, about: dict) -> str:
  """Write a caption of a picture."""
  return captions.caption(
    about['kind'],
    about['modifiers'],
    view=(about['azimuth'], about['elevation']),
    light=(about['light_color'], about['light_direction']),
    rng=rng,
  )


def draw(
  rng: np.random.Generator,
  images: head_images.HeadImages,
  encode: Callable[[list[str]], np.ndarray],
  *,
  batch_size: int,
  art: Art | None = None,
  art_rate: float = 0.05,
  text_dropout: float = 0.1,
  camera_dropout: float = 0.1,
  cut: bool = False,
  views: int = 1,
) -> tuple[Batch, list[str]]:
  """Draw a batch of head pictures with new captions.

  Args:
    rng: NumPy generator; make it from (seed, step) so that runs resume.
    images: the data set; the pictures of a head follow one another.
    encode: texts -> int32 token ids [b, t].
    batch_size: pictures to draw, a multiple of `views`.
    art: emoji pictures, or None.
    art_rate: fraction of single pictures that is drawn from `art`.
    text_dropout: fraction of empty captions, for classifier-free guidance.
    camera_dropout: fraction of cameras that the network is not told.
    cut: whether some faces get holes or are cut to an oval, always with the
      mask as a condition; for training the ControlNet.
    views: most batches are of groups of so many views of one head; 1 for
      single pictures only.

  Returns:
    The batch, and its captions before dropout.
  """
  weights = _weights(images)
  together = views > 1 and rng.random() < _TOGETHER_RATE
  group = views if together else 1

  def each(values: np.ndarray) -> np.ndarray:
    """Give the pictures of a group the same value."""
    return np.repeat(values, group)

  if together:
    chosen = _choose_together(rng, images, weights, batch_size, views)
  else:
    chosen = rng.choice(len(weights), batch_size, p=weights)
  groups = batch_size // group
  flip = each(rng.random(groups) < 0.5)
  fields = {
    name: getattr(images, name)[chosen].copy()
    for name in ('rgb', 'alpha', 'normals', 'height')
  }
  _mirror(fields, flip)
  abouts, holes = zip(*(_about(images, i, m) for i, m in zip(chosen, flip)))
  texts = [_caption(rng, about) for about in abouts]
  ellipses = [
    _draw_ellipses(rng, about, hole) if cut else np.zeros((4, 4))
    for about, hole in zip(abouts, holes)
  ]
  has_geometry = np.ones(batch_size, bool)
  if art is not None and not together:
    for row in np.flatnonzero(rng.random(batch_size) < art_rate):
      pick = rng.integers(len(art.captions))
      fields['rgb'][row] = art.images[pick, ..., :3]
      fields['alpha'][row] = art.images[pick, ..., 3]
      has_geometry[row] = False
      ellipses[row] = np.zeros((4, 4))
      texts[row] = str(art.captions[pick])
  dropped = each(rng.random(groups) < text_dropout)
  told = each(rng.random(groups) >= camera_dropout) & has_geometry
  tokens = encode(['' if drop else text for text, drop in zip(texts, dropped)])
  outlines = np.stack(ellipses).astype(np.float32)
  condition = rng.random((batch_size, 3)) < (0.8, 0.6, 0.6)
  condition[:, 0] |= outlines.any((1, 2))
  clean = each(rng.random(groups) < _CLEAN_RATE)
  first = np.arange(batch_size) % group == 0
  batch = Batch(
    tokens=tokens,
    ellipses=outlines,
    has_geometry=has_geometry,
    condition=condition,
    camera=np.array([[a[n] for n in _CAMERA] for a in abouts], np.float32),
    told=told,
    together=np.full(batch_size, together),
    clean=clean & first & together,
    **fields,
  )
  return batch, texts
