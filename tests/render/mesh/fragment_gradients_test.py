"""The derivative by hand against the one jax takes of the formula."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.render.mesh import fragment_gradients, fragments
from tests.render.mesh import fragments_test


@pytest.mark.parametrize('perspective', [True, False])
@pytest.mark.parametrize('product', [True, False])
def test_gradients_equal_automatic_differentiation(product, perspective):
  options = fragments_test.blend(product=product, perspective=perspective)
  with jax.enable_x64(True):
    faces = fragments_test.chunk(seed=2, count=5)
    nearest = jnp.full((16, 5), 2.0)
    upstream = jnp.asarray(np.random.default_rng(3).normal(size=(4, 16, 5)))

    def loss(x, y, z, channels):
      moved = faces._replace(x=x, y=y, z=z, channels=channels)
      sums = fragments.contributions(moved, nearest, options)
      return jnp.sum(sums * jnp.moveaxis(upstream, 0, -1))

    expected = jax.jit(jax.grad(loss, argnums=(0, 1, 2, 3)))(
      faces.x, faces.y, faces.z, faces.channels
    )
    found = jax.jit(
      lambda u: fragment_gradients.gradients(faces, nearest, u, options)
    )(upstream)
  for name, a, b in zip(('x', 'y', 'z', 'channels'), found, expected):
    assert np.abs(b).max() > 1e-2
    np.testing.assert_allclose(a, b, atol=1e-10, rtol=1e-9, err_msg=name)
