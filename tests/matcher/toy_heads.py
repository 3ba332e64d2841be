"""Toy heads of tests: discs whose colour and shade say what they are."""

import numpy as np

from maskjax.data.creatures import head_images
from maskjax.matcher import batches as matcher_batches
from maskjax.studio import views as studio_views


def make(rng, count, kinds=3):
  """Discs: a colour a kind, bright on one side, as if lit from there."""
  axis = np.arange(64) - 31.5
  disc = (axis[:, None] ** 2 + axis**2 < 20**2) * np.ones((count, 1, 1))
  kind = np.arange(count) % kinds
  side = np.where(rng.random(count) < 0.5, 1.0, -1.0)
  light = {
    1.0: studio_views.LIGHTINGS.index(('white', 'right')),
    -1.0: studio_views.LIGHTINGS.index(('white', 'left')),
  }
  tint = np.array([(1, 0.1, 0.1), (0.1, 1, 0.1), (0.1, 0.1, 1)])[kind]
  shade = 0.6 + 0.4 * side[:, None, None] * axis / 32
  rgb = tint[:, None, None] * shade[..., None] * disc[..., None]
  zeros = np.zeros((count, 64, 64, 3), np.uint8)
  return head_images.HeadImages(
    rgb=(255 * np.clip(rgb, 0, 1)).astype(np.uint8),
    alpha=(255 * disc).astype(np.uint8),
    normals=zeros,
    height=zeros[..., 0],
    kind=kind.astype(np.int16),
    modifiers=np.full(count, ''),
    angles=np.stack([40 * side, np.zeros(count)], -1).astype(np.float32),
    distance=np.ones(count, np.float32),
    lighting=np.array([light[s] for s in side], np.int16),
    holes=np.zeros((count, 3, 2), np.float32),
  )


def truth(heads):
  """Return the labels of heads and of their mirror images."""
  return (
    matcher_batches.labels(heads),
    matcher_batches.labels(heads, mirrored=True),
  )
