"""Latents of known scenes: the first ones, and those on disk.

The first ones are principal components of the scenes' front.

All views of a scene are carried by their depth into one map seen from the
front: colour, depth and whether there is anything. Of these maps, the
probabilistic principal components give each scene a normal distribution over
z whose mixture is N(0, I). Training goes on from there; from random latents
it would first have to find out who looks like whom.

Shapes: N scenes, V views, S pixels a side, G side of a map, M numbers in it, Z
size of z. Follows Tipping and Bishop, "Probabilistic Principal Component
Analysis", 1999 (equations 6 to 8), and Bojanowski et al., "Optimizing the
Latent Space of Generative Networks", ICML 2018 (latents that begin as
principal components).
"""

import pathlib
from typing import NamedTuple

from jaxtyping import Float, Int
import numpy as np

from maskjax.people_gan import batches as people_batches
from maskjax.training import files
from maskjax.weights import archives

_FILE = 'codes.npz'

# Half the side of a map, units: as much as a picture shows at the middle.
_HALF = 0.33
# Depths in the map are divided by this, to weigh as much as colours.
_DEPTH_SCALE = 0.25
# A point counts exp(k z): what lies in front hides what lies behind.
_HIDING = 60.0
_SIDE = 32


def _points(depth: np.ndarray, camera: np.ndarray) -> np.ndarray:
  """Return the world's points of pixels, float32 [v, s * s, 3]."""
  views, side = depth.shape[:2]
  pose = camera[:, :16].reshape(views, 4, 4)
  focal, centre = camera[:, [16, 20]], camera[:, [18, 21]]
  positions = (np.arange(side, dtype=np.float32) + 0.5) / side
  v, u = np.meshgrid(positions, positions, indexing='ij')
  image = np.stack([u, v], -1).reshape(1, -1, 2)
  xy = (image - centre[:, None]) / focal[:, None]
  local = np.concatenate([xy, np.ones_like(xy[..., :1])], -1)
  local = local * depth.reshape(views, -1, 1)
  return local @ pose[:, :3, :3].transpose(0, 2, 1) + pose[:, None, :3, 3]


def frontal_map(
  image: np.ndarray,
  alpha: np.ndarray,
  depth: np.ndarray,
  camera: np.ndarray,
  side: int = _SIDE,
) -> np.ndarray:
  """Carry all views of a scene into one map from the front.

  Args:
    image: uint8 [v, s, s, 3], sRGB.
    alpha: uint8 [v, s, s], coverage of 255.
    depth: [v, s, s], see `batches.SourceData`.
    camera: float32 [v, 25], EG3D's numbers.
    side: side of the map, cells.

  Returns:
    float32 [side, side, 5]: colour in [-1, 1] (white where nothing is), depth
    toward the viewer / 0.25, and coverage.
  """
  points = _points(depth.astype(np.float32), camera).reshape(-1, 3)
  position = ((points[:, :2] * (1, -1)) / (2 * _HALF) + 0.5) * side
  cell = np.floor(position).astype(int)
  inside = ((cell >= 0) & (cell < side)).all(1) & (alpha.reshape(-1) > 250)
  index = (cell[:, 1] * side + cell[:, 0])[inside]
  weight = np.exp(_HIDING * points[inside, 2].astype(np.float64))
  colour = image.reshape(-1, 3)[inside] / 127.5 - 1
  values = [*colour.T, points[inside, 2] / _DEPTH_SCALE]
  total = np.bincount(index, weight, side**2)
  sums = [np.bincount(index, weight * value, side**2) for value in values]
  seen = total > 0
  means = np.stack(sums, -1) / np.where(seen, total, 1.0)[:, None]
  nothing = np.array([1.0, 1.0, 1.0, -1.0])
  means = np.where(seen[:, None], means, nothing)
  full = np.concatenate([means, seen[:, None]], -1)
  return full.reshape(side, side, 5).astype(np.float32)


def principal(
  maps: np.ndarray, size: int, *, least: float = 0.15
) -> tuple[np.ndarray, np.ndarray]:
  """Return the posterior of probabilistic principal components.

  Args:
    maps: float32 [n, m], the map of each scene as a row.
    size: number of components; those that do not exist, because there are
      fewer scenes, stay at N(0, 1).
    least: smallest deviation of a latent.

  Returns:
    Means [n, size] and deviations [size]; the variance of the means and the
    square of the deviation add up to 1.
  """
  centred = maps - maps.mean(0)
  gram = (centred @ centred.T).astype(np.float64) / len(maps)
  values, vectors = np.linalg.eigh(gram)
  values, vectors = values[::-1], vectors[:, ::-1]
  count = min(size, len(maps) - 1)
  # What the components leave over, as if spread evenly over the numbers.
  rest = max(values[count:].sum(), 0.0) / max(maps.shape[1] - count, 1)
  values = np.maximum(values[:count], 1e-12)
  noise = np.clip(rest / values, least**2, 1.0)
  means = np.zeros((len(maps), size), np.float32)
  scores = vectors[:, :count] * np.sqrt(len(maps))
  means[:, :count] = scores * np.sqrt(1 - noise)
  deviations = np.ones(size, np.float32)
  deviations[:count] = np.sqrt(noise)
  return means, deviations


def first_codes(
  data: people_batches.SourceData, size: int
) -> tuple[np.ndarray, np.ndarray]:
  """Return the first latents of all scenes.

  Args:
    data: pictures of all scenes.
    size: numbers in a latent.

  Returns:
    Means [n, size] and deviations [size].
  """
  maps = [
    frontal_map(*(part[i] for part in data[:4])) for i in range(len(data.image))
  ]
  return principal(np.stack([m.reshape(-1) for m in maps]), size)


class Stored(NamedTuple):
  """Latents of the scenes that a model learnt from.

  Attributes:
    mean: mean latent of each scene.
    deviation: deviation around it, the same for all scenes.
    identity: number of each scene's person.
  """

  mean: Float[np.ndarray, 'n z']
  deviation: Float[np.ndarray, 'z']
  identity: Int[np.ndarray, 'n']


def write(folder: files.PathLike, codes: Stored) -> None:
  """Write latents beside a model.

  Args:
    folder: folder of the model.
    codes: latents of its scenes.
  """
  with files.replacing(pathlib.Path(folder) / _FILE) as temporary:
    np.savez(temporary, **codes._asdict())


def read(folder: files.PathLike, scenes: int) -> Stored | None:
  """Read the latents beside a model, None without.

  Args:
    folder: folder of the model.
    scenes: number of scenes of the data; another number means other data.

  Raises:
    ValueError: latents of other data, or none.
  """
  path = pathlib.Path(folder) / _FILE
  if not path.is_file():
    return None
  try:
    codes = Stored(**archives.read_arrays(path, Stored.__annotations__))
  except ValueError as error:
    raise ValueError(
      f'{path} holds no latents ({error}); copy the model folder again, or '
      'delete the file to begin with new ones'
    ) from error
  if len(codes.mean) != scenes:
    raise ValueError(
      f'{path} holds latents of {len(codes.mean)} scenes, the data has '
      f'{scenes}; give the data that the model was trained on'
    )
  return codes
