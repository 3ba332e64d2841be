"""One face at some pixels against textbook formulas in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.render.mesh import fragments

_SIGMA, _RATE = 0.05, 0.7
_OFFSETS = np.stack(
  [*(0.25 * np.array(np.divmod(np.arange(16), 4)[::-1])), np.ones(16)]
)


def blend(*, product=True, perspective=True):
  return fragments.Blend(
    sigma=_SIGMA,
    blur=0.6,
    depth_rate=_RATE,
    product=product,
    perspective=perspective,
  )


def chunk(seed=0, count=3):
  """Return random faces around the pixels of a window, with two channels."""
  rng = np.random.default_rng(seed)
  return fragments.Chunk(
    x=jnp.asarray(rng.uniform(-0.5, 1.3, (3, count))),
    y=jnp.asarray(rng.uniform(-0.5, 1.3, (3, count))),
    z=jnp.asarray(rng.uniform(2.0, 6.0, (3, count))),
    channels=jnp.asarray(rng.normal(size=(3, 2, count))),
    counted=jnp.full((16, count), True),
    offsets=jnp.asarray(_OFFSETS),
    run=jnp.asarray(True),
  )


def _reference(chunk, options):
  """Return distance, inside, depth and shares of each face at each pixel."""
  pixels = _OFFSETS[:2].T
  for g in range(chunk.x.shape[1]):
    points = np.stack([chunk.x[:, g], chunk.y[:, g]], -1)
    matrix = np.concatenate([points, np.ones((3, 1))], 1)
    shares = np.concatenate([pixels, np.ones((16, 1))], 1) @ np.linalg.inv(
      matrix
    )
    distances = []
    for a, b in ((0, 1), (1, 2), (2, 0)):
      edge = points[b] - points[a]
      along = np.clip((pixels - points[a]) @ edge / (edge @ edge), 0, 1)
      foot = points[a] + along[:, None] * edge
      distances.append(np.linalg.norm(pixels - foot, axis=-1))
    z = np.asarray(chunk.z[:, g])
    clipped = np.maximum(shares, 0)
    clipped = clipped / (z if options.perspective else 1.0)
    clipped = clipped / clipped.sum(1, keepdims=True)
    yield np.min(distances, 0), (shares >= 0).all(1), clipped @ z, clipped


@pytest.mark.parametrize('perspective', [True, False])
@pytest.mark.parametrize('product', [True, False])
def test_contributions_equal_the_papers_equations(product, perspective):
  options = blend(product=product, perspective=perspective)
  with jax.enable_x64(True):
    faces = chunk()
    nearest = jnp.full((16, 3), 3.0)
    found = jax.jit(
      lambda faces: fragments.contributions(faces, nearest, options)
    )(faces)
  channels = np.asarray(faces.channels)
  for g, (distance, inside, depth, shares) in enumerate(
    _reference(faces, options)
  ):
    logit = np.where(inside, 1, -1) * distance**2 / _SIGMA
    probability = 1 / (1 + np.exp(-logit))
    counted = inside | (distance <= 0.6)
    probability = np.where(counted, probability, 0)
    weight = probability * np.exp(-_RATE * np.maximum(depth - 3.0, 0))
    opacity = -np.log1p(-probability) if product else probability
    expected = np.concatenate(
      [
        np.stack([opacity, weight], -1),
        weight[:, None] * (shares @ channels[:, :, g]),
      ],
      -1,
    )
    np.testing.assert_allclose(found[:, g], expected, atol=1e-12)


def test_depths_of_what_does_not_count_are_infinite():
  with jax.enable_x64(True):
    faces = chunk(seed=1)
    faces = faces._replace(counted=faces.counted.at[5].set(False))
    found = np.asarray(fragments.nearest_depth(faces, blend()))
  assert np.isinf(found[5]).all()
  for g, (distance, inside, depth, _) in enumerate(_reference(faces, blend())):
    counted = (inside | (distance <= 0.6)) & (np.arange(16) != 5)
    np.testing.assert_allclose(found[counted, g], depth[counted], rtol=1e-12)
    assert np.isinf(found[~counted, g]).all()
