"""Distances of distributions of features: Frechet, kernel, precision, recall.

Features are rows, one a picture; where those come from is the caller's choice:
`gan_metrics.face_features` (the bundled identity network, so the Frechet
distance on them is *not* an FID), or Inception-v3 with weights given by path
(`inception`), for the FID and KID of papers.

Shapes: `n m` pictures, `d` features.
"""

from typing import Any, NamedTuple

from jaxtyping import Float, Num
import numpy as np


def _rows(features: Any, name: str) -> Float[np.ndarray, 'n d']:
  """Return features in float64, or refuse them by their name."""
  rows = np.asarray(features, np.float64)
  if rows.ndim != 2 or len(rows) < 2:
    raise ValueError(
      f'{name} has the shape {rows.shape}; expected [pictures, features] with '
      'two pictures or more'
    )
  if not np.all(np.isfinite(rows)):
    raise ValueError(f'{name} holds numbers that are not finite')
  return rows


def _pair(
  first: Any, second: Any
) -> tuple[Float[np.ndarray, 'n d'], Float[np.ndarray, 'm d']]:
  """Return features of one network."""
  a, b = _rows(first, 'features_a'), _rows(second, 'features_b')
  if a.shape[1] != b.shape[1]:
    raise ValueError(
      f'features have {a.shape[1]} and {b.shape[1]} columns; both must come '
      'from one network'
    )
  return a, b


def _square_root(
  matrix: Float[np.ndarray, 'd d'],
) -> Float[np.ndarray, 'd d']:
  """Return the root of a symmetric matrix without negative eigenvalues."""
  values, vectors = np.linalg.eigh(matrix)
  return (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T


def frechet_distance(
  features_a: Num[Any, 'n d'], features_b: Num[Any, 'm d']
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
  features_a: Num[Any, 'n d'],
  features_b: Num[Any, 'm d'],
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

  def kernel(
    x: Float[np.ndarray, 'n d'], y: Float[np.ndarray, 'm d']
  ) -> Float[np.ndarray, 'n m']:
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


def _distances(
  a: Float[np.ndarray, 'n d'], b: Float[np.ndarray, 'm d']
) -> Float[np.ndarray, 'n m']:
  """Return the distances of rows, by |x|^2 + |y|^2 - 2 x y."""
  squared = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T
  return np.sqrt(np.maximum(squared, 0.0))


def _share_inside(
  points: Float[np.ndarray, 'n d'], manifold: Float[np.ndarray, 'm d'], k: int
) -> float:
  """Return the share of points in a ball up to a row's k-th neighbour."""
  # A row is its own neighbour number 0.
  within = _distances(manifold, manifold)
  np.fill_diagonal(within, 0.0)
  radii = np.partition(within, k, axis=1)[:, k]
  return float(np.mean(np.any(_distances(points, manifold) <= radii, axis=1)))


def precision_recall(
  real: Num[Any, 'n d'], fake: Num[Any, 'm d'], k: int = 3
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
