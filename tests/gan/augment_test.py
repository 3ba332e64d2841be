import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.gan import augment


def images(*shape):
  return jax.random.normal(jax.random.key(0), shape)


def geometry_of(**changes):
  values = {name: jnp.asarray(x)[None] for name, x in changes.items()}
  return augment.still(1)._replace(**values)


def test_nothing_changes_without_strength():
  keys = jax.random.split(jax.random.key(1), 2)
  transform = augment.draw(keys, 0.0, (16, 16, 6))
  for drawn, still in zip(transform, augment.still(2)):
    if drawn is not None and still is not transform.cutout_center:
      np.testing.assert_allclose(drawn.shape, still.shape)
  x = images(2, 16, 16, 6)
  y = augment.apply(x, augment.still(2))
  # The wavelet filter reconstructs images, though not to the last digit.
  assert np.abs(y - x)[:, 3:-3, 3:-3].mean() < 0.2
  blank = jnp.full((1, 16, 16, 3), 0.3)
  np.testing.assert_allclose(
    augment.apply(blank, augment.still(1)), 0.3, atol=1e-5
  )


def test_whole_pixels_are_moved_exactly():
  ramp = jnp.broadcast_to(jnp.arange(16.0)[None, None, :, None], (1, 16, 16, 1))
  colors = ('brightness', 'contrast', 'luma_flip', 'hue', 'saturation')
  config = augment.AugmentConfig(**dict.fromkeys(colors, 0.0))
  # The filter keeps a ramp; away from the edges, where it is mirrored.
  moved = augment.apply(ramp, geometry_of(shift=[0.25, 0.0]), config)[0, 8]
  np.testing.assert_allclose(moved[9:15, 0], np.arange(5, 11), atol=1e-2)
  mirrored = augment.apply(ramp, geometry_of(flip=1.0), config)[0, 8]
  # The filter is not symmetric: a mirrored image is off by a part of a pixel.
  np.testing.assert_allclose(mirrored[5:11, 0], np.arange(10, 4, -1), atol=0.11)
  np.testing.assert_allclose(np.diff(mirrored[5:11, 0]), -1, atol=1e-3)


def test_a_pair_is_changed_alike():
  x = images(2, 8, 8, 3)
  keys = jax.random.split(jax.random.key(2), 2)
  transform = augment.draw(keys, 1.0, (8, 8, 6))
  both = augment.apply(jnp.concatenate([x, x], -1), transform)
  np.testing.assert_allclose(both[..., :3], both[..., 3:], atol=1e-5)
  np.testing.assert_allclose(
    both[..., :3], augment.apply(x, transform), atol=1e-5
  )


def test_each_image_has_its_own_key():
  keys = jax.random.split(jax.random.key(3), 3)
  three = augment.draw(keys, 1.0, (8, 8, 3))
  one = augment.draw(jax.random.split(jax.random.key(3), 3)[2:], 1.0, (8, 8, 3))
  np.testing.assert_array_equal(one.hue[0], three.hue[2])
  assert float(three.hue[0]) != float(three.hue[2])


def test_rotations_happen_once_or_twice():
  once = augment.rotation_probability(0.36)
  assert float(1 - (1 - once) ** 2) == pytest.approx(0.36)


def test_the_controller_holds_the_mean_sign():
  state = augment.start(0.1)
  for sign in (0.9, 0.7):
    state = augment.observe(state, jnp.float32(sign))
  up = augment.adjust(state, 1000, target=0.6, kimg=10)
  assert float(up.probability) == pytest.approx(0.2)
  assert float(up.count) == 0
  down = augment.adjust(state, 5000, target=0.9, kimg=10)
  assert float(down.probability) == 0.0
  idle = augment.adjust(augment.start(0.1), 1000)
  assert float(idle.probability) == pytest.approx(0.1)


def test_octave_filters_add_up():
  assert augment.octave_filters().shape == (4, 43)
  total = augment.octave_filters().sum(0)
  np.testing.assert_allclose(total[21], 1.0, atol=1e-6)
  np.testing.assert_allclose(np.delete(total, 21), 0.0, atol=1e-6)


def test_other_channels_are_an_error():
  with pytest.raises(ValueError, match='1, 3 or 6 channels, got 4'):
    augment.apply(images(1, 8, 8, 4), augment.still(1))
