"""Distances of distributions: closed forms, and answers known beforehand."""

import numpy as np
import pytest
import scipy.linalg

from maskjax.evaluation import distributions


def _clouds(shift=0.0, scale=1.0, rows=400, columns=5):
  rng = np.random.default_rng(0)
  mix = rng.normal(size=(columns, columns))
  a = rng.normal(size=(rows, columns)) @ mix
  b = scale * (rng.normal(size=(rows, columns)) @ mix) + shift
  return a, b


def test_frechet_distance_is_the_closed_form():
  a, b = _clouds(shift=1.0, scale=1.5)
  first, second = np.cov(a.T), np.cov(b.T)
  root = np.real(scipy.linalg.sqrtm(first @ second))
  expected = np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(
    first + second - 2 * root
  )
  np.testing.assert_allclose(
    distributions.frechet_distance(a, b), expected, rtol=1e-8
  )
  assert distributions.frechet_distance(a, a) < 1e-9
  np.testing.assert_allclose(
    distributions.frechet_distance(a, a + 2.0), 4.0 * a.shape[1], rtol=1e-8
  )
  # Fewer pictures than features: covariances have no inverse, nor need one.
  few = distributions.frechet_distance(a[:3], b[:3])
  assert np.isfinite(few) and few > 0


def test_kernel_distance_is_the_mean_over_pairs():
  a, b = _clouds(shift=0.5, rows=6)

  def kernel(x, y):
    return (np.dot(x, y) / len(x) + 1) ** 3

  pairs = [(i, j) for i in range(6) for j in range(6) if i != j]
  within = sum(np.mean([kernel(x[i], x[j]) for i, j in pairs]) for x in (a, b))
  across = np.mean([[kernel(x, y) for y in b] for x in a])
  np.testing.assert_allclose(
    distributions.kernel_distance(a, b), within - 2 * across, rtol=1e-9
  )
  # Without bias: about 0 for halves of one cloud, larger for two.
  one, two = _clouds(), _clouds(shift=1.0)
  same = distributions.kernel_distance(one[0], one[1], subset=100)
  other = distributions.kernel_distance(*two, subset=100)
  assert abs(same) < 0.1 * other


def test_precision_and_recall_tell_poor_from_narrow():
  rng = np.random.default_rng(0)
  real = rng.normal(size=(400, 3))
  alike = distributions.precision_recall(real, rng.normal(size=(400, 3)))
  assert alike.precision > 0.8 and alike.recall > 0.8
  # All pictures near the middle: good ones, but not all kinds.
  narrow = distributions.precision_recall(real, 0.1 * rng.normal(size=(400, 3)))
  assert narrow.precision > 0.95 and narrow.recall < 0.2
  wide = distributions.precision_recall(real, 10 * rng.normal(size=(400, 3)))
  assert wide.precision < 0.3 and wide.recall > 0.9
  # By hand: neighbours of k = 1 on a line reach 1, 1 and 3 far.
  line = np.array([[0.0], [1.0], [4.0]])
  fake = np.array([[1.9], [7.1]])
  assert distributions.precision_recall(line, fake, k=1) == (0.5, 1.0)


def test_bad_input_is_named(unchecked):
  good = np.zeros((4, 3))
  with pytest.raises(ValueError, match='one network'):
    distributions.frechet_distance(good, np.zeros((4, 2)))
  with pytest.raises(ValueError, match='two pictures or more'):
    distributions.kernel_distance(good, good[:1])
  with pytest.raises(ValueError, match='not finite'):
    distributions.frechet_distance(good, good + np.nan)
  with pytest.raises(ValueError, match='k is 4'):
    distributions.precision_recall(good, good, k=4)
