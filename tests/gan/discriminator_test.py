import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.gan import discriminator


def test_minibatch_deviation():
  x = np.random.default_rng(0).standard_normal((4, 2, 2, 6)).astype(np.float32)
  ours = discriminator.minibatch_deviation(jnp.asarray(x), 2, 3)
  assert ours.shape == (4, 2, 2, 9)
  for sample in range(4):
    group = x[[sample % 2, sample % 2 + 2]]
    deviation = np.sqrt(group.var(0) + 1e-8)
    for part in range(3):
      mean = deviation[..., 2 * part : 2 * part + 2].mean()
      np.testing.assert_allclose(ours[sample, ..., 6 + part], mean, rtol=1e-5)


def test_groups_that_do_not_divide_the_batch_are_an_error():
  with pytest.raises(ValueError, match='cannot split 5 samples'):
    discriminator.minibatch_deviation(jnp.zeros((5, 2, 2, 6)), 4)


def test_images_of_another_size_are_an_error():
  config = discriminator.DiscriminatorConfig(channels=(4, 4))
  with pytest.raises(ValueError, match='8x8 with 3 channels'):
    discriminator.Discriminator(config).apply({}, jnp.zeros((1, 16, 16, 3)))
