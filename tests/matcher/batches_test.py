"""What the matcher learns from: labels, augmentation, backgrounds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.matcher import batches as matcher_batches
from maskjax.studio import views as studio_views
from tests.matcher import toy_heads


def test_mirrored_labels_swap_left_and_right():
  heads = toy_heads.make(np.random.default_rng(0), 8)
  plain, mirrored = toy_heads.truth(heads)
  np.testing.assert_array_equal(plain[:, 0], mirrored[:, 0])
  swap = {'left': 'right', 'right': 'left'}
  for names, column in (
    (studio_views.view_names(), 1),
    (studio_views.lighting_names(), 2),
  ):
    for row, other in zip(plain, mirrored):
      words = [swap.get(word, word) for word in names[row[column]].split()]
      assert ' '.join(words) == names[other[column]]


def test_drawn_labels_agree_with_drawn_pictures():
  heads = toy_heads.make(np.random.default_rng(0), 32)
  batch = matcher_batches.draw(
    np.random.default_rng(1), heads, toy_heads.truth(heads), batch_size=64
  )
  columns = np.arange(64)
  brightness, covered = batch.rgb.sum((1, 3)), batch.alpha.sum(1)
  bright = (brightness * columns).sum(-1) / brightness.sum(-1)
  middle = (covered * columns).sum(-1, dtype=float) / covered.sum(-1)
  side = np.where(bright > middle, 'right', 'left')
  assert list(side) == [
    studio_views.LIGHTINGS[row][1] for row in batch.labels[:, 2]
  ]
  np.testing.assert_array_equal(
    batch.rgb.sum((1, 2)).argmax(-1), batch.labels[:, 0]
  )
  assert len(np.unique(middle.round())) > 3  # moved


def test_composed_pictures_are_heads_on_backgrounds():
  heads = toy_heads.make(np.random.default_rng(0), 4)
  images, labels = matcher_batches.pictures(
    jax.random.key(0), heads, np.array([2, 0])
  )
  assert images.shape == (2, 64, 64, 3)
  np.testing.assert_array_equal(labels[:, 0], [2, 0])
  np.testing.assert_allclose(
    images[0, 20:44, 20:44], heads.rgb[2, 20:44, 20:44] / 255, atol=2e-3
  )
  assert 0.0 <= images.min() <= images.max() <= 1.0


def test_blur_keeps_the_mean():
  image = np.zeros((8, 8, 1), np.float32)
  image[3, 4] = 1.0
  blurred = matcher_batches._binomial(jnp.asarray(image))
  np.testing.assert_allclose(blurred.sum(), 1.0, rtol=1e-6)
  np.testing.assert_allclose(
    blurred[2:5, 3:6, 0] * 16, [[1, 2, 1], [2, 4, 2], [1, 2, 1]]
  )


def test_shards_are_kept_apart(tmp_path):
  for index in range(3):
    heads = toy_heads.make(np.random.default_rng(index), 2 + index)
    np.savez(tmp_path / f'heads-{index:05d}.npz', **heads._asdict())
  seen, held_out = matcher_batches.split(tmp_path, 1)
  assert len(seen.kind) == 2 + 3 and len(held_out.kind) == 4
  for count in (0, 3):
    with pytest.raises(ValueError, match=f'held_out={count} cannot be kept'):
      matcher_batches.split(tmp_path, count)
