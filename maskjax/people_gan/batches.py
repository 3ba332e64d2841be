"""Batches of people for the source domain, from the shards of `make_faces`.

A scene is one person in one moment: expression and light, seen by several
cameras. All scenes stand before white, so that a generator need not learn
walls; where pictures have another backdrop, it is faded out.

A batch is a pure function of seed and step. Scenes come in a new order in
every round, each as often as any other.

Shapes: N scenes, V views of each, B scenes of a batch, S pixels a side.
"""

import pathlib
from typing import NamedTuple

import numpy as np

from maskjax.data.people import face_images
from maskjax.gan import (
  adversarial,
  autodecoder,
)


class SourceData(NamedTuple):
  """Pictures by scene.

  Attributes:
    image: sRGB over white.
    alpha: coverage, of 255.
    depth: depth along the camera's axis, units; 0 outside.
    camera: EG3D's 25 numbers.
    identity: number of each scene's person.
  """

  image: np.ndarray  # uint8 [n, v, s, s, 3]
  alpha: np.ndarray  # uint8 [n, v, s, s]
  depth: np.ndarray  # float16 [n, v, s, s]
  camera: np.ndarray  # float32 [n, v, 25]
  identity: np.ndarray  # int32 [n]


def over_white(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
  """Fade pictures to white where the person does not cover them.

  Args:
    rgb: uint8 [..., 3], sRGB.
    alpha: uint8 [...], coverage of 255.

  Returns:
    uint8 [..., 3]; pictures that were taken before white stay as they are.
  """
  if (rgb[alpha == 0] == 255).all():
    return rgb
  part = alpha[..., None].astype(np.uint16)
  mixed = (rgb.astype(np.uint16) * part + 255 * (255 - part) + 127) // 255
  return mixed.astype(np.uint8)


def by_scene(images: face_images.FaceImages) -> SourceData:
  """Sort pictures by scene.

  Args:
    images: pictures as `face_images.load` returns them.

  Raises:
    ValueError: scenes with different numbers of views.
  """
  scenes, counts = np.unique(images.moment, return_counts=True)
  if len(set(counts)) > 1:
    raise ValueError(
      f'scenes have {counts.min()} to {counts.max()} views, expected as many '
      'of each; keep every data set in a folder of its own'
    )
  order = np.argsort(images.moment, kind='stable')
  cut = lambda x: x[order].reshape(len(scenes), counts[0], *x.shape[1:])
  return SourceData(
    image=cut(over_white(images.rgb, images.alpha)),
    alpha=cut(images.alpha),
    depth=cut(images.depth),
    camera=cut(images.camera),
    identity=cut(images.identity)[:, 0],
  )


def load(folder: pathlib.Path, *, shards: int = 0) -> SourceData:
  """Read the shards of a folder.

  Args:
    folder: folder of `experiments.make_faces`.
    shards: number of files to read, the first ones; 0 reads all.

  Raises:
    FileNotFoundError: the folder holds no shards.
    ValueError: scenes have different numbers of views.
  """
  paths = sorted(pathlib.Path(folder).glob('faces-*.npz'))
  if not paths:
    raise FileNotFoundError(
      f'no shards faces-*.npz in {folder}; build them with python -m '
      'experiments.make_faces --config=configs/faces.py'
    )
  return by_scene(face_images.load(paths[:shards] if shards else paths))


def views_of(
  data: SourceData, scenes: np.ndarray, views: np.ndarray
) -> autodecoder.Views:
  """Take some views of some scenes.

  Args:
    data: pictures of all scenes.
    scenes: numbers of the scenes, [b].
    views: numbers of each one's views, [b, v].
  """
  rows = scenes[:, None]
  return autodecoder.Views(
    scene=scenes.astype(np.int32),
    image=data.image[rows, views].astype(np.float32) / 127.5 - 1,
    alpha=data.alpha[rows, views].astype(np.float32) / 255,
    depth=data.depth[rows, views].astype(np.float32),
    camera=data.camera[rows, views],
  )


def _round_robin(count: int, size: int, seed: int, step: int) -> np.ndarray:
  """Return the numbers of a step's share of shuffled rounds."""
  numbers = np.arange(step * size, (step + 1) * size)
  rounds = {
    r: np.random.default_rng([seed, int(r)]).permutation(count)
    for r in np.unique(numbers // count)
  }
  return np.array([rounds[n // count][n % count] for n in numbers])


def _choose(
  data: SourceData, seed: int, step: int, scenes: int, views: int
) -> tuple[np.ndarray, np.ndarray]:
  """Return the scenes of a step, [b], and the views of each, [b, v]."""
  count, have = data.image.shape[:2]
  if views > have:
    raise ValueError(f'{views} views are asked for, scenes have {have}')
  rng = np.random.default_rng([seed, step, 1])
  order = np.argsort(rng.random((scenes, have)), axis=1)[:, :views]
  return _round_robin(count, scenes, seed, step), order


def draw(
  data: SourceData, seed: int, step: int, *, scenes: int, views: int
) -> autodecoder.Views:
  """Return the batch of a step of the auto-decoder.

  Args:
    data: pictures of all scenes.
    seed: seed of the run.
    step: number of finished steps.
    scenes: number of scenes of a batch.
    views: number of views of each, without repetition.

  Raises:
    ValueError: there are fewer views.
  """
  return views_of(data, *_choose(data, seed, step, scenes, views))


def draw_pairs(
  data: SourceData, seed: int, step: int, *, batch: int, cameras: bool = True
) -> adversarial.GANBatch:
  """Return the batch of a step of an adversarial training.

  Pictures come one by one, in shuffled rounds; half of them mirrored, with
  their cameras.

  Args:
    data: pictures of all scenes.
    seed: seed of the run.
    step: number of finished steps.
    batch: number of pictures.
    cameras: whether the generator takes any.
  """
  count, views = data.image.shape[:2]
  chosen = _round_robin(count * views, batch, seed, step)
  rng = np.random.default_rng([seed, step, 2])
  flips = rng.random(batch) < 0.5
  image = data.image.reshape(-1, *data.image.shape[2:])[chosen]
  image = np.where(flips[:, None, None, None], image[:, :, ::-1], image)
  image = image.astype(np.float32) / 127.5 - 1
  if not cameras:
    return adversarial.GANBatch(image)
  all_cameras = data.camera.reshape(-1, 25)
  camera = all_cameras[chosen]
  camera = np.where(flips[:, None], mirror(camera), camera)
  other = all_cameras[rng.integers(len(all_cameras), size=batch)]
  turned = rng.random(batch) < 0.5
  other = np.where(turned[:, None], mirror(other), other)
  return adversarial.GANBatch(image=image, c=camera, fake_c=other)


def draw_known(
  data: SourceData,
  codes: tuple[np.ndarray, np.ndarray],
  seed: int,
  step: int,
  *,
  scenes: int,
  angles: np.ndarray | None = None,
) -> adversarial.Known:
  """Return the known scenes of a step of an adversarial training, a view each.

  Args:
    data: pictures of all scenes.
    codes: means [n, z] and deviations [z] of the scenes' latents.
    seed: seed of the run.
    step: number of finished steps.
    scenes: number of scenes to draw.
    angles: angles of all cameras, [n, v, 2], to end the latents in two
      dimensions; None in three.
  """
  chosen, order = _choose(data, seed, step, scenes, 1)
  mean, deviation = codes
  noise = np.random.default_rng([seed, step, 4]).standard_normal(
    (scenes, mean.shape[1])
  )
  z = mean[chosen] + deviation * noise.astype(np.float32)
  if angles is not None:
    z = np.concatenate([z, angles[chosen, order[:, 0]]], 1)
  return adversarial.Known(views_of(data, chosen, order), z)


def mirror(camera: np.ndarray) -> np.ndarray:
  """Return the cameras of mirrored pictures: the world's x changes its sign.

  The image's x changes its sign too, so that an upright camera stays one.

  Args:
    camera: float32 [..., 25], principal points in the middle.
  """
  pose = camera[..., :16].reshape(*camera.shape[:-1], 4, 4)
  sign = np.array([-1.0, 1.0, 1.0, 1.0], camera.dtype)
  pose = pose * sign[:, None] * sign
  flat = pose.reshape(*camera.shape[:-1], 16)
  return np.concatenate([flat, camera[..., 16:]], -1)
