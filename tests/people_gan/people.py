"""People of a test: coloured balls with a nose, before known cameras."""

import numpy as np

from configs import source
from maskjax.data.people import face_images, words as people_words
from maskjax.people_gan import (
  pictures as people_pictures,
  settings as people_settings,
)
from maskjax.training import settings as settings_lib

RADIUS = 0.2


def ball_views(colours, views, side, seed=0):
  """Render a ball of each colour from `views` cameras, exactly.

  Returns:
    Colours, coverage, depth along the axis, and cameras, by scene and view.
  """
  rng = np.random.default_rng(seed)
  count = len(colours)
  yaws = rng.uniform(-35, 35, (count, views))
  camera = np.stack(
    [np.asarray(people_pictures.turned(list(row))) for row in yaws]
  )
  pose = camera[..., :16].reshape(count, views, 4, 4)
  place = (np.arange(side) + 0.5) / side
  v, u = np.meshgrid(place, place, indexing='ij')
  focal = camera[0, 0, 16]
  local = np.stack([(u - 0.5) / focal, (v - 0.5) / focal, np.ones_like(u)], -1)
  # The ball's centre in the cameras' frames.
  centre = -np.einsum('nvji,nvj->nvi', pose[..., :3, :3], pose[..., :3, 3])
  along = (local**2).sum(-1)
  half = np.einsum('hwi,nvi->nvhw', local, centre)
  apart = (centre**2).sum(-1)[..., None, None] - RADIUS**2
  root = half**2 - along * apart
  alpha = root > 0
  depth = np.where(alpha, (half - np.sqrt(np.maximum(root, 0))) / along, 0)
  rgb = np.broadcast_to(
    np.asarray(colours, np.uint8)[:, None, None, None],
    (count, views, side, side, 3),
  )
  return rgb, (alpha * 255).astype(np.uint8), depth.astype(np.float16), camera


def face_set(count=4, views=3, side=16, seed=0):
  """Return `FaceImages` of balls; every two scenes are one person's."""
  rng = np.random.default_rng(seed)
  colours = rng.integers(0, 256, (count, 3))
  rgb, alpha, depth, camera = (
    x.reshape(count * views, *x.shape[2:])
    for x in ball_views(colours, views, side, seed)
  )
  total = count * views
  scene = np.repeat(np.arange(count, dtype=np.int32), views)
  order = rng.permutation(total)  # Shards need not be sorted.
  images = face_images.FaceImages(
    rgb, alpha, depth, camera.astype(np.float32),
    landmarks=np.full((total, 468, 2), 0.5, np.float32),
    identity=scene // 2,
    moment=scene,
    attributes=np.zeros((total, len(people_words.ATTRIBUTES)), np.uint8),
    expression=np.zeros(total, np.int16),
    age=np.full(total, 0.5, np.float32),
    tone=np.zeros(total, np.float32),
    light=np.tile(np.array([0, 0, 1], np.float32), (total, 1)),
    caption=np.full(total, 'a ball'),
  )  # fmt: skip
  return face_images.FaceImages(*(x[order] for x in images))


def write(folder, **options):
  """Write such people as a shard."""
  folder.mkdir(parents=True, exist_ok=True)
  np.savez(folder / 'faces-00000.npz', **face_set(**options)._asdict())


def settings(stage='tiny', **fields):
  """Return the settings of a stage with other values, by their names."""
  config = source.get_config(stage)
  config.update_from_flattened_dict(fields)
  return settings_lib.read(people_settings.Settings, config)
