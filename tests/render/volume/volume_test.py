import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.kernels import permutation
from maskjax.render.volume import rays, volume


def fog(density):
  """Return a field of one raw density, coloured by height."""

  def field(points):
    colour = jax.nn.sigmoid(points[..., 1:2])
    return jnp.full(points.shape[:2], density), colour

  return field


def straight(count):
  origins = jnp.zeros((1, count, 3)).at[..., 1].set(jnp.linspace(-1, 1, count))
  directions = jnp.zeros((1, count, 3)).at[..., 2].set(1.0)
  return rays.Rays(origins, directions)


@pytest.mark.parametrize('mode', ['parity', 'clean'])
def test_constant_fog_has_a_closed_form(mode):
  depths = jnp.linspace(1.0, 3.0, 7)[None, None]
  raw = 0.4
  march = jax.jit(functools.partial(volume.march, mode=mode))
  weights = march(depths, jnp.full_like(depths, raw))
  passed = np.exp(-np.log1p(np.exp(raw - 1)) * (np.asarray(depths) - 1))[0, 0]
  np.testing.assert_allclose(weights[0, 0], -np.diff(passed), atol=1e-6)


def test_colour_depth_and_coverage():
  config = volume.VolumeConfig(coarse=8, fine=6, start=1.0, end=3.0)
  own = straight(3)
  uniforms = rays.centred_uniforms(1, 3, 8, 6)
  result = jax.jit(lambda: volume.render(fog(60.0), own, uniforms, config))()
  colour = jax.nn.sigmoid(own.origins[..., 1:2])
  np.testing.assert_allclose(result.features, 2 * colour - 1, atol=1e-5)
  np.testing.assert_allclose(result.coverage, 1.0, atol=1e-5)
  assert result.weights.shape == (1, 3, 13)
  assert float(jnp.abs(result.depth - 1.1).max()) < 0.2


def test_merged_samples_and_unmoved_features_agree():
  rng = np.random.default_rng(0)
  passes = []
  for count in (6, 5):
    depths = np.sort(rng.uniform(1, 3, (2, 3, count)))
    raw, features = (
      rng.standard_normal((2, 3, count)),
      rng.uniform(size=(2, 3, count, 4)),
    )
    passes.append(
      volume.Samples(
        *(jnp.asarray(x, jnp.float32) for x in (depths, raw, features))
      )
    )
  for mode in ('parity', 'clean'):
    options = {'white_background': True, 'mode': mode}
    merged, own = jax.jit(
      lambda *x, options=options: (
        volume.integrate(volume.merge(*x), **options),
        volume._integrate_both(*x, **options),
      )
    )(*passes)
    for ours, theirs in zip(own[:3], merged):
      np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize('count', [7, 60])
def test_samples_come_in_order_and_equal_ones_stay_in_theirs(count):
  rng = np.random.default_rng(count)
  values = rng.integers(0, count, (2, 5, count)).astype(
    np.float32
  )  # With ties.
  order, rank = jax.jit(volume._ranks)(values)
  np.testing.assert_array_equal(order, np.argsort(values, -1, kind='stable'))
  np.testing.assert_array_equal(
    np.take_along_axis(rank, order, -1)[0, 0], np.arange(count)
  )

  def mine(x):
    return (permutation.permute(x, order, rank) ** 3).sum()

  def plain(x):
    return (jnp.take_along_axis(x, order, -1) ** 3).sum()

  x = jnp.asarray(rng.standard_normal(values.shape), jnp.float32)
  np.testing.assert_allclose(jax.grad(mine)(x), jax.grad(plain)(x), rtol=1e-6)


def test_depth_of_nothing():
  depths = jnp.array([[[1.0, 2.0], [3.0, 5.0]]])
  weights = jnp.zeros((1, 2, 1))
  of = lambda mode: volume.mean_depth(depths, weights, mode=mode)[0, :, 0]
  np.testing.assert_array_equal(of('parity'), [5.0, 5.0])
  np.testing.assert_array_equal(of('clean'), [2.0, 5.0])
  slope = jax.grad(lambda w: volume.mean_depth(depths, w).sum())(weights)
  assert bool(jnp.isfinite(slope).all())


def test_numbers_of_uniforms_are_checked():
  config = volume.VolumeConfig(coarse=8, fine=6)
  with pytest.raises(ValueError, match='uniforms for 8 coarse'):
    volume.render(
      fog(1.0), straight(1), rays.centred_uniforms(1, 1, 8, 5), config
    )
  with pytest.raises(ValueError, match='too few'):
    volume.VolumeConfig(coarse=3, fine=2)
  with pytest.raises(ValueError, match='both start and end'):
    volume.VolumeConfig(start=None)
