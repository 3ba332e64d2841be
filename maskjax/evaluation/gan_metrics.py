"""How good generated faces are: measures of pictures, depth and poses.

Distances of distributions take features, one row a picture; where those come
from is the caller's choice: `face_features` (the bundled identity network, so
the Frechet distance on them is *not* an FID), or Inception-v3 with weights
given by path (`evaluation.inception`), for the FID and KID of papers.

Shapes: `n` pictures, `d` features, `h w` pixels, `v` views of one identity.
Pictures are sRGB: uint8, or floats in [0, 1].
"""

from collections.abc import Callable
import functools
from typing import Any, NamedTuple

import jax
from jaxtyping import Float
import numpy as np

from maskjax.evaluation import faces
from maskjax.face import identity, landmarks, networks, pose
from maskjax.geometry import ffhq

# Pictures looked at together.
_BATCH = 16
# A pixel counts as surface where it is covered by more than this.
_COVERED = 0.9


def _rows(features: Any, name: str) -> np.ndarray:
  rows = np.asarray(features, np.float64)
  if rows.ndim != 2 or len(rows) < 2:
    raise ValueError(
      f'{name} has the shape {rows.shape}; expected [pictures, features] with '
      'two pictures or more'
    )
  if not np.all(np.isfinite(rows)):
    raise ValueError(f'{name} holds numbers that are not finite')
  return rows


def _pair(first: Any, second: Any) -> tuple[np.ndarray, np.ndarray]:
  a, b = _rows(first, 'features_a'), _rows(second, 'features_b')
  if a.shape[1] != b.shape[1]:
    raise ValueError(
      f'features have {a.shape[1]} and {b.shape[1]} columns; both must come '
      'from one network'
    )
  return a, b


def _square_root(matrix: np.ndarray) -> np.ndarray:
  """Square root of a symmetric matrix without negative eigenvalues."""
  values, vectors = np.linalg.eigh(matrix)
  return (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T


def frechet_distance(
  features_a: Float[Any, 'n d'], features_b: Float[Any, 'm d']
) -> float:
  """Return the squared Frechet distance of two normal distributions.

  |mean_a - mean_b|^2 + tr(A + B - 2 (A B)^(1/2)) of means and covariances
  (Heusel et al. 2017, section 2). It is biased upward where there are few
  pictures: compare only equal numbers.

  Args:
    features_a: a row a picture.
    features_b: of the same network.

  Returns:
    The distance, 0 for equal statistics.

  Raises:
    ValueError: fewer than two rows, unlike columns, or not finite.
  """
  a, b = _pair(features_a, features_b)
  first, second = (np.cov(x, rowvar=False).reshape(x.shape[1], -1)
                   for x in (a, b))  # fmt: skip
  # tr (A B)^(1/2) = tr (R B R)^(1/2) with R = A^(1/2), which is symmetric.
  root = _square_root(first)
  values = np.linalg.eigvalsh(root @ second @ root)
  shared = np.sum(np.sqrt(np.maximum(values, 0.0)))
  gap = np.sum((a.mean(0) - b.mean(0)) ** 2)
  spread = np.trace(first) + np.trace(second) - 2 * shared
  return float(max(gap + spread, 0.0))


def kernel_distance(
  features_a: Float[Any, 'n d'],
  features_b: Float[Any, 'm d'],
  *,
  subset: int = 1000,
  rounds: int = 100,
  seed: int = 0,
) -> float:
  """Return the squared maximum mean discrepancy of a cubic kernel.

  k(x, y) = (x y / d + 1)^3, estimated without bias on random subsets and
  averaged (Binkowski et al. 2018, section 4: KID on Inception's features).

  Args:
    features_a: a row a picture.
    features_b: of the same network.
    subset: rows of a subset, at most those that there are.
    rounds: number of subsets; one where they hold all rows of both.
    seed: of the choice.

  Returns:
    The discrepancy, about 0 (it may be negative) for equal distributions.

  Raises:
    ValueError: fewer than two rows, unlike columns, or not finite.
  """
  a, b = _pair(features_a, features_b)
  rng = np.random.default_rng(seed)
  size = min(subset, len(a), len(b))
  if size == len(a) == len(b):
    rounds = 1

  def kernel(x, y):
    return (x @ y.T / x.shape[1] + 1) ** 3

  total = 0.0
  for _ in range(rounds):
    x = a[rng.choice(len(a), size, replace=False)]
    y = b[rng.choice(len(b), size, replace=False)]
    within = sum(k.sum() - np.trace(k) for k in (kernel(x, x), kernel(y, y)))
    total += within / (size * (size - 1)) - 2 * kernel(x, y).mean()
  return float(total / rounds)


class PrecisionRecall(NamedTuple):
  """Shares of pictures that lie among those of the other kind.

  Attributes:
    precision: of generated pictures that look like real ones.
    recall: of real pictures that the generator could make.
  """

  precision: float
  recall: float


def _distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
  squared = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T
  return np.sqrt(np.maximum(squared, 0.0))


def _share_inside(points: np.ndarray, manifold: np.ndarray, k: int) -> float:
  """Share of points in a ball that reaches to a row's k-th neighbour."""
  # A row is its own neighbour number 0.
  own = _distances(manifold, manifold)
  np.fill_diagonal(own, 0.0)
  radii = np.partition(own, k, axis=1)[:, k]
  return float(np.mean(np.any(_distances(points, manifold) <= radii, axis=1)))


def precision_recall(
  real: Float[Any, 'n d'], fake: Float[Any, 'm d'], k: int = 3
) -> PrecisionRecall:
  """Return precision and recall of k-nearest-neighbour manifolds.

  Follows Kynkaanniemi et al. 2019, section 3, equations 1 and 2.

  Args:
    real: features of real pictures, a row each.
    fake: of generated ones, of the same network.
    k: neighbours that a ball reaches to.

  Raises:
    ValueError: no more than k rows, unlike columns, or not finite.
  """
  a, b = _pair(real, fake)
  if not 1 <= k < min(len(a), len(b)):
    raise ValueError(
      f'k is {k}; expected at least 1 and fewer than the {min(len(a), len(b))} '
      'pictures'
    )
  return PrecisionRecall(_share_inside(b, a, k), _share_inside(a, b, k))


def _surface(depth, true_depth, alpha):
  """Depths and truths as f64[n, h, w], and where they are surface."""
  found, true, cover = (
    np.asarray(x, np.float64) for x in (depth, true_depth, alpha)
  )
  if np.asarray(alpha).dtype == np.uint8:
    cover = cover / 255
  if not found.shape == true.shape == cover.shape or found.ndim != 3:
    raise ValueError(
      f'depth {found.shape}, true_depth {true.shape} and alpha {cover.shape} '
      'must all be [pictures, height, width]'
    )
  solid = cover > _COVERED
  if not solid.any((1, 2)).all():
    raise ValueError('a picture shows no surface: alpha is 0 everywhere')
  if not np.all(np.isfinite(found[solid])):
    raise ValueError('depth holds numbers that are not finite')
  return found, true, solid


def depth_error(
  depth: Float[Any, 'n h w'],
  true_depth: Float[Any, 'n h w'],
  alpha: Float[Any, 'n h w'],
) -> float:
  """Return the mean distance of depths from the true ones, on the surface.

  Args:
    depth: along the optical axis, any unit.
    true_depth: in the same unit.
    alpha: true coverage, [0, 1] or uint8; pixels above 0.9 count.

  Raises:
    ValueError: unlike shapes, no surface, or not finite.
  """
  found, true, solid = _surface(depth, true_depth, alpha)
  return float(np.mean(np.abs(found - true)[solid]))


def flatness(
  depth: Float[Any, 'n h w'],
  true_depth: Float[Any, 'n h w'],
  alpha: Float[Any, 'n h w'],
) -> float:
  """Return the share of the true depth's variance that is lost.

  Within each picture the depth is fitted by the true one, depth = a + b true;
  what is kept of the variance is b^2, and 1 - b |b|, averaged over pictures,
  is lost. Noise does not count as relief. 0: as deep as it should be, 1: a
  plane, above 1: hollow instead of raised, below 0: too deep.

  Args:
    depth: along the optical axis, any unit.
    true_depth: in the same unit.
    alpha: true coverage, [0, 1] or uint8; pixels above 0.9 count.

  Raises:
    ValueError: unlike shapes, no surface, a true depth that is a plane, or
      not finite.
  """
  lost = []
  for found, true, solid in zip(*_surface(depth, true_depth, alpha)):
    seen, known = found[solid], true[solid]
    known = known - known.mean()
    variance = np.mean(known**2)
    if variance < 1e-12:
      raise ValueError('the true depth of a picture is a plane')
    slope = np.mean(known * (seen - seen.mean())) / variance
    lost.append(1 - slope * abs(slope))
  return float(np.mean(lost))


def _pictures(images: Any, ndim: int = 4) -> np.ndarray:
  array = np.asarray(images)
  if array.ndim != ndim or array.shape[-1] != 3 or not len(array):
    lead = 'n, v' if ndim == 5 else 'n'
    raise ValueError(
      f'images have the shape {array.shape}; expected [{lead}, h, w, 3]'
    )
  if array.dtype == np.uint8:
    return array
  if not np.all(np.isfinite(array)) or array.min() < 0 or array.max() > 1:
    raise ValueError('images must be uint8, or floats in [0, 1]')
  return array.astype(np.float32)


def _over_batches(look: Callable[..., Any], *arrays: np.ndarray) -> Any:
  """Apply a jitted function of a batch to many rows; outputs are NumPy."""
  count, parts = len(arrays[0]), []
  for start in range(0, count, _BATCH):
    batch = [x[start : start + _BATCH] for x in arrays]
    here = len(batch[0])
    # The last batch repeats its first row: one program serves all.
    batch = [np.concatenate([x, x[:1].repeat(_BATCH - here, 0)]) for x in batch]
    if batch[0].dtype == np.uint8:
      batch[0] = batch[0].astype(np.float32) / 255
    parts.append(look(*batch))
  return jax.tree.map(lambda *x: np.concatenate(x)[:count], *parts)


@jax.jit
def _features(params, images):
  shape = (len(images), identity.SIZE, identity.SIZE, 3)
  seen = jax.image.resize(images, shape, 'linear')
  return identity.pooled(params, seen)


def face_features(images: Float[Any, 'n h w 3']) -> Float[np.ndarray, 'n 256']:
  """Return the identity network's last feature map, averaged over pixels.

  The whole picture is looked at, made 150 pixels large, without looking for a
  face in it: pictures are to be framed alike, as `data.people.face_images` are.

  Args:
    images: square, sRGB.

  Returns:
    A row a picture, not negative.

  Raises:
    ValueError: no pictures, or values out of range.
  """
  look = functools.partial(_features, identity.load())
  return _over_batches(look, _pictures(images))


@jax.jit
def _see(nets, params, images, fovy):
  """Find each picture's face: found, the camera's angles, the embedding."""
  size = images.shape[1:3]

  def one(image, angle):
    face = landmarks.find(nets, image, refinements=1)
    points = face.points[0]
    head = pose.head_pose(points, *size, fovy=angle)
    axis = head.camera.cam2world[:3, 2]
    return face.found[0], axis, identity.embed(params, image, points)

  return jax.lax.map(lambda x: one(*x), (images, fovy))


def _look(images: np.ndarray, fovy: np.ndarray):
  look = functools.partial(_see, networks.load(), identity.load())
  return _over_batches(look, images, fovy.astype(np.float32))


def _yaw(axis: Float[Any, 'n 3']) -> Float[np.ndarray, 'n']:
  """Azimuth of cameras by their optical axes, degrees."""
  axis = np.asarray(axis)
  return np.degrees(np.arctan2(-axis[..., 0], -axis[..., 2]))


class YawError(NamedTuple):
  """How well faces turn as their cameras ask.

  Attributes:
    median: of the errors of faces that are found, degrees.
    found: share of the pictures in which a face is found.
    errors: of each picture, degrees in [0, 180]; nan where none is found.
  """

  median: float
  found: float
  errors: Float[np.ndarray, 'n']


def yaw_error(
  images: Float[Any, 'n h w 3'], cameras: Float[Any, 'n 25']
) -> YawError:
  """Compare the turn of faces, found anew, with the cameras asked for.

  Args:
    images: sRGB, with a face each.
    cameras: EG3D's 25 numbers, in the world of `data.people.face_images`.

  Raises:
    ValueError: no pictures, values out of range, or other cameras.
  """
  pictures = _pictures(images)
  asked = np.asarray(cameras, np.float64)
  if asked.shape != (len(pictures), 25):
    raise ValueError(
      f'cameras have the shape {asked.shape}; expected {(len(pictures), 25)}'
    )
  focal = asked[:, 20]  # of the image's height
  fovy = np.degrees(2 * np.arctan(0.5 / focal))
  found, axes, _ = _look(pictures, fovy)
  gap = _yaw(axes) - _yaw(asked[:, :16].reshape(-1, 4, 4)[:, :3, 2])
  errors = np.where(found, np.abs((gap + 180) % 360 - 180), np.nan)
  median = float(np.median(errors[found])) if found.any() else float('nan')
  return YawError(median, float(found.mean()), errors)


def identity_consistency(
  images_by_view: Float[Any, 'n v h w 3'],
) -> dict[str, float]:
  """Ask whether views of one identity show one person.

  Args:
    images_by_view: sRGB; `v` views of each of `n` identities.

  Returns:
    As `faces.identity_results` (same_mean, different_mean and
    equal_error_rate among them), and `found`, the share of pictures with a
    face, which alone are compared.

  Raises:
    ValueError: fewer than two identities or views, or values out of range;
      no two pictures of one identity in which a face is found.
  """
  pictures = _pictures(images_by_view, ndim=5)
  count, views = pictures.shape[:2]
  flat = pictures.reshape(count * views, *pictures.shape[2:])
  fovy = np.full(len(flat), ffhq.FOVY)
  found, _, rows = _look(flat, fovy)
  groups = [
    list(r[f])
    for r, f in zip(rows.reshape(count, views, -1), found.reshape(count, views))
  ]
  result = faces.identity_results([g for g in groups if g])
  return result | {'found': float(found.mean())}
