"""The hash grid: interpolation, hashing, gradients, and what it can learn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.render import hashgrid

_RNG = np.random.default_rng(0)
_SIZES = hashgrid.Sizes(levels=4, rows=2**8, coarsest=2, finest=16, width=8)


def _encode_numpy(tables, point, sizes):
  """One point, in plain Python integers and float64."""
  growth = (sizes.finest / sizes.coarsest) ** (1 / (sizes.levels - 1))
  features = []
  for number in range(sizes.levels):
    cells = int(np.floor(sizes.coarsest * growth**number + 1e-6))
    place = np.clip(point, 0, 1) * cells
    low = np.minimum(np.floor(place), cells - 1).astype(int)
    total = np.zeros(sizes.features)
    for corner in np.ndindex(2, 2, 2):
      x, y, z = (int(v) for v in low + corner)
      side = cells + 1
      if side**3 <= sizes.rows:
        row = x + side * (y + side * z)
      else:
        row = (x ^ (y * 2654435761) ^ (z * 805459861)) % 2**32 % sizes.rows
      inner = place - low
      weight = np.prod(np.where(corner, inner, 1 - inner))
      total += weight * tables[number, row]
    features.append(total)
  return np.concatenate(features)


def test_features_equal_numpy():
  tables = _RNG.normal(size=(4, 2**8, 2))
  points = _RNG.uniform(-0.1, 1.1, (60, 3))
  points[0], points[1] = 0.0, 1.0
  wanted = np.stack([_encode_numpy(tables, p, _SIZES) for p in points])
  got = hashgrid.encode(
    jnp.asarray(tables, jnp.float32), jnp.asarray(points, jnp.float32), _SIZES
  )
  np.testing.assert_allclose(got, wanted, atol=2e-4)


def test_features_are_continuous_across_cells():
  tables = jnp.asarray(_RNG.normal(size=(4, 2**8, 2)), jnp.float32)
  line = jnp.linspace(0.1, 0.9, 20_001)
  points = jnp.stack([line, 0.3 + 0.2 * line, 0.7 - 0.1 * line], -1)
  features = np.asarray(hashgrid.encode(tables, points, _SIZES))
  assert np.abs(np.diff(features, axis=0)).max() < 0.01


def test_gradients_equal_finite_differences():
  with jax.enable_x64(True):
    field = hashgrid.create(jax.random.key(0), _SIZES)
    field = jax.tree.map(
      lambda x: jnp.asarray(_RNG.normal(size=x.shape) * 0.5), field
    )
    points = jnp.asarray(_RNG.uniform(-1, 1, (30, 3)))
    box = hashgrid.Box((-1.0,) * 3, (1.0,) * 3)

    def loss(field, points):
      return jnp.sum(hashgrid.colors(field, points, box, _SIZES) ** 2)

    gradient = jax.grad(loss, (0, 1))(field, points)
    direction = jax.tree.map(
      lambda x: jnp.asarray(_RNG.normal(size=x.shape)), (field, points)
    )

    def at(t):
      return loss(
        *jax.tree.map(lambda x, d: x + t * d, (field, points), direction)
      )

    numeric = (at(1e-7) - at(-1e-7)) / 2e-7
    products = jax.tree.map(lambda g, d: jnp.sum(g * d), gradient, direction)
    np.testing.assert_allclose(
      sum(jax.tree.leaves(products)), numeric, rtol=1e-5
    )


def test_a_field_learns_colours_that_vertices_would_have():
  points = _RNG.normal(size=(2000, 3))
  points *= 8 / np.linalg.norm(points, axis=1, keepdims=True)
  target = 0.5 + 0.45 * np.sin(
    points @ np.array([[1.5, 0.2, 0], [0, 1.1, 0.6], [0.4, 0, 0.9]])
  )
  box = hashgrid.bounding_box(points)
  assert np.all(np.asarray(box.low) < points.min(0))
  field = hashgrid.create(jax.random.key(0))
  grey = hashgrid.colors(field, jnp.asarray(points, jnp.float32), box)
  np.testing.assert_allclose(grey, 0.5, atol=1e-3)
  fitted = hashgrid.fit(
    field,
    jnp.asarray(points[:1800], jnp.float32),
    jnp.asarray(target[:1800], jnp.float32),
    box,
  )
  shown = hashgrid.colors(fitted, jnp.asarray(points, jnp.float32), box)
  error = np.abs(np.asarray(shown) - target)
  assert error[:1800].mean() < 0.02
  assert error[1800:].mean() < 0.1  # points between


def test_bad_sizes_are_refused():
  with pytest.raises(ValueError, match='2\\^n rows'):
    hashgrid.create(jax.random.key(0), hashgrid.Sizes(rows=1000))
