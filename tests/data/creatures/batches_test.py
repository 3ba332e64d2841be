"""Batches: what is drawn, how it is mirrored, and how it is composed."""

import zlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.data.creatures import (
  batches as head_batches,
  creatures,
  head_images,
)
from maskjax.geometry import color
from maskjax.studio import (
  condition as condition_lib,
  maps,
  views as studio_views,
)

SIZE = 16


def encode(texts):
  """Stand in for a tokenizer: one number a text."""
  codes = [[zlib.crc32(text.encode()) % 2**31] for text in texts]
  return np.array(codes, np.int32)


def heads(count=6, seed=0):
  """Pictures of noise; the first one is a frontal view."""
  rng = np.random.default_rng(seed)
  covered = rng.random((count, SIZE, SIZE)) < 0.7
  covered[:, 0, 0], covered[:, 0, -1] = True, False

  def noise(*channels):
    return rng.integers(1, 255, (count, SIZE, SIZE, *channels), np.uint8)

  return head_images.HeadImages(
    rgb=noise(3) * covered[..., None],
    alpha=noise() * covered,
    normals=noise(3) * covered[..., None],
    height=noise() * covered,
    kind=rng.integers(len(creatures.KINDS), size=count).astype(np.int16),
    modifiers=np.array(['', 'old', 'old,happy'] * (count // 3)),
    angles=np.float32([[0, 0], *([[40, 0]] * (count - 1))]),
    distance=np.linspace(0.95, 1.1, count, dtype=np.float32),
    lighting=np.full(
      count, studio_views.LIGHTINGS.index(('blue', 'left')), np.int16
    ),
    holes=rng.uniform(0.2, 0.4, (count, 3, 2)).astype(np.float32),
  )


def picture(**fields):
  """One row of a batch; everything is shown and nothing is cut out."""
  row = dict(
    tokens=np.zeros(3, np.int32),
    rgb=np.full((SIZE, SIZE, 3), 200, np.uint8),
    alpha=np.full((SIZE, SIZE), 255, np.uint8),
    normals=np.full((SIZE, SIZE, 3), 255, np.uint8),
    height=np.full((SIZE, SIZE), 51, np.uint8),
    ellipses=np.zeros((4, 4), np.float32),
    has_geometry=np.bool_(True),
    condition=np.ones(3, bool),
    camera=np.float32([0, 0, 1]),
    told=np.bool_(True),
    together=np.bool_(False),
    clean=np.bool_(False),
  )
  return head_batches.Batch(**(row | fields))


_compose = jax.jit(head_batches.compose)


def compose(row):
  return _compose(jax.random.key(5), row)


def colors(row):
  composed = compose(row)
  return composed.picture[..., maps.COLOR], composed.condition


def behind():
  """Return the background that `compose` draws."""
  return studio_views.background(jax.random.key(5), SIZE)


def test_opaque_picture_hides_the_background():
  rng = np.random.default_rng(0)
  rgb = rng.integers(0, 256, (SIZE, SIZE, 3), np.uint8)
  image, condition = colors(picture(rgb=rgb))
  # There and back between sRGB and linear RGB in float32.
  np.testing.assert_allclose(image, rgb / 127.5 - 1.0, atol=2e-5)
  np.testing.assert_allclose(condition[..., 0], 1.0)
  np.testing.assert_allclose(condition[..., 1], 0.2, atol=1e-6)
  np.testing.assert_allclose(condition[..., 2:], 1.0, atol=1e-6)


def test_transparent_picture_is_background_only():
  image, condition = colors(picture(alpha=np.zeros((SIZE, SIZE), np.uint8)))
  np.testing.assert_allclose(
    image, 2 * color.linear_to_srgb(behind()) - 1, atol=1e-6
  )
  assert not np.any(condition)


def test_half_covered_is_mixed_in_linear_light():
  image, _ = colors(picture(alpha=np.full((SIZE, SIZE), 51, np.uint8)))
  mixed = 0.2 * color.srgb_to_linear(np.array(200 / 255.0))
  mixed = mixed + 0.8 * behind()
  np.testing.assert_allclose(
    color.srgb_to_linear(0.5 * image + 0.5), mixed, atol=1e-5
  )


@pytest.mark.parametrize('channel', [0, 1, 2])
def test_a_condition_that_is_not_shown_is_zero(channel):
  slices = [slice(0, 1), slice(1, 2), slice(2, 5)]
  shown = np.arange(3) != channel
  _, condition = colors(picture(condition=shown))
  for number, part in enumerate(slices):
    assert np.any(condition[..., part]) == (number != channel)


def test_a_picture_without_geometry_has_only_its_mask():
  composed = compose(picture(has_geometry=np.bool_(False)))
  condition = composed.condition
  # Only colours count, and only they are there but for the coverage.
  np.testing.assert_array_equal(composed.weights, [1, 1, 1, 0, 0, 0, 0])
  assert not np.any(composed.picture[..., maps.NORMALS])
  assert np.all(condition[..., 0] == 1)
  assert not np.any(condition[..., 1:])


def test_holes_and_oval_are_ellipses_of_the_right_area():
  size = 64
  full = {
    'rgb': np.full((size, size, 3), 200, np.uint8),
    'alpha': np.full((size, size), 255, np.uint8),
    'normals': np.zeros((size, size, 3), np.uint8),
    'height': np.full((size, size), 255, np.uint8),
  }
  ellipses = np.zeros((4, 4), np.float32)
  ellipses[1] = [0.3, 0.6, 0.15, 0.1]
  _, hole = colors(picture(ellipses=ellipses, **full))
  mask = np.asarray(hole[..., 0])
  assert mask[int(0.6 * size), int(0.3 * size)] == 0
  assert mask[int(0.3 * size), int(0.6 * size)] == 1
  area = np.pi * 0.15 * 0.1
  assert 1 - mask.mean() == pytest.approx(area, rel=0.05)
  assert np.any((mask > 0) & (mask < 1))  # the edge is soft
  np.testing.assert_array_equal(hole[..., 1], mask)

  ellipses[3] = [0.5, 0.5, 0.3, 0.4]
  _, both = colors(picture(ellipses=ellipses, **full))
  mask = np.asarray(both[..., 0])
  assert mask[0].max() == 0 and mask[size // 2, size // 2 + 5] == 1
  assert mask.mean() == pytest.approx(np.pi * 0.12 - area, rel=0.05)


def draw(seed=1, batch_size=48, **options):
  return head_batches.draw(
    np.random.default_rng(seed),
    heads(),
    encode,
    batch_size=batch_size,
    **options,
  )


def test_same_seed_same_batch():
  (first, texts), (again, same) = draw(), draw()
  jax.tree.map(np.testing.assert_array_equal, first, again)
  assert texts == same
  other, _ = draw(seed=2)
  assert np.any(first.rgb != other.rgb)
  shapes = jax.tree.map(lambda x: x.shape[0], first)
  assert set(shapes) == {48}
  assert [x.dtype for x in first[1:5]] == [np.uint8] * 4
  assert first.tokens.dtype == np.int32 and first.condition.dtype == bool


def test_mirrored_pictures_have_mirrored_normals_and_words():
  images = heads()
  batch, texts = draw(batch_size=96)
  sides = {False: 'right', True: 'left'}  # of the camera at azimuth 40
  mirrored_rows = 0
  told = {False: 0, True: 0}
  for row, text in enumerate(texts):
    matches = [
      (index, flip)
      for index in range(len(images.kind))
      for flip in (False, True)
      if np.array_equal(
        batch.rgb[row], images.rgb[index][:, :: -1 if flip else 1]
      )
    ]
    assert len(matches) == 1
    index, flip = matches[0]
    mirrored_rows += flip
    step = -1 if flip else 1
    for name in ('alpha', 'height'):
      expected = getattr(images, name)[index][:, ::step]
      np.testing.assert_array_equal(getattr(batch, name)[row], expected)
    normals = images.normals[index][:, ::step]
    np.testing.assert_array_equal(batch.normals[row, ..., 1:], normals[..., 1:])
    x = np.where(normals[..., 0] > 0, 255 - normals[..., 0], 0)
    np.testing.assert_array_equal(
      batch.normals[row, ..., 0], x if flip else normals[..., 0]
    )
    if index and 'view from the' in text:
      assert f'three-quarter view from the {sides[flip]}' in text
      told[flip] += 1
    if 'lit by' in text:  # the light is on the left of the picture as stored
      assert f'blue light from the {sides[not flip]}' in text
      told[flip] += 1
  assert 20 < mirrored_rows < 76
  assert min(told.values()) > 10


def test_cuts_are_made_in_frontal_views_only_and_follow_the_eyes(monkeypatch):
  monkeypatch.setattr(head_batches, '_HOLES_RATE', 1.0)
  monkeypatch.setattr(head_batches, '_OVAL_RATE', 0.5)
  images = heads()
  batch, _ = draw(cut=True)
  ovals = []
  for row in range(48):
    flipped = np.array_equal(batch.rgb[row], images.rgb[0][:, ::-1])
    if not flipped and not np.array_equal(batch.rgb[row], images.rgb[0]):
      assert not batch.ellipses[row].any()
      continue
    centers = images.holes[0] * [-1 if flipped else 1, 1] + [flipped, 0]
    np.testing.assert_allclose(batch.ellipses[row, :3, :2], centers, atol=1e-6)
    assert batch.ellipses[row, :3, 2:].min() > 0.02
    ovals.append(bool(batch.ellipses[row, 3].any()))
  assert len(ovals) > 3 and 0 < sum(ovals) < len(ovals)
  # Who is cut is told the outline.
  assert batch.condition[batch.ellipses.any((1, 2)), 0].all()
  assert not batch.condition[:, 0].all()
  uncut, _ = draw()
  assert not uncut.ellipses.any()


def test_plain_light_and_plain_heads_are_drawn_more_often():
  images = heads()
  rows = np.arange(6)
  images = images._replace(
    rgb=np.broadcast_to(rows[:, None, None, None], images.rgb.shape).astype(
      np.uint8
    ),
    modifiers=np.array(['', 'old', '', 'old', 'old', 'old']),
    lighting=np.array([0, 0, 5, 5, 6, 7], np.int16),
  )
  batch, _ = head_batches.draw(
    np.random.default_rng(0), images, encode, batch_size=3000
  )
  counts = np.bincount(batch.rgb[:, 0, 0, 0], minlength=6)
  assert counts[3:].min() > 200
  assert counts[0] > 1.2 * counts[1] > 1.2 * 1.5 * counts[2]
  assert counts[2] > 1.2 * counts[3:].mean()


def test_dropped_captions_are_empty_but_are_returned():
  batch, texts = draw(text_dropout=1.0)
  np.testing.assert_array_equal(batch.tokens, encode([''] * 48))
  assert all(texts)
  batch, texts = draw(text_dropout=0.0)
  np.testing.assert_array_equal(batch.tokens, encode(texts))


def test_art_comes_with_its_caption_and_without_geometry():
  rng = np.random.default_rng(3)
  art = head_batches.Art(
    images=rng.integers(0, 256, (5, SIZE, SIZE, 4), np.uint8),
    captions=np.array([f'emoji {number}' for number in range(5)]),
  )
  batch, texts = draw(art=art, art_rate=1.0)
  assert not batch.has_geometry.any() and not batch.ellipses.any()
  rows = [int(text.removeprefix('emoji ')) for text in texts]
  assert len(set(rows)) == 5
  np.testing.assert_array_equal(batch.rgb, art.images[rows, ..., :3])
  np.testing.assert_array_equal(batch.alpha, art.images[rows, ..., 3])
  batch, texts = draw(art=art, art_rate=0.0)
  assert batch.has_geometry.all() and 'emoji' not in ''.join(texts)


def test_a_drawn_batch_composes():
  batch, _ = draw(batch_size=4)
  keys = jax.random.split(jax.random.key(0), 4)
  composed = jax.jit(jax.vmap(head_batches.compose))(keys, batch)
  image, condition = composed.picture, composed.condition
  assert image.shape == (4, SIZE, SIZE, maps.CHANNELS)
  assert composed.label.shape == (4, maps.CAMERA)
  assert condition.shape == (4, SIZE, SIZE, condition_lib.CONDITION_CHANNELS)
  assert jnp.abs(image).max() <= 1 and jnp.abs(condition).max() <= 1
  assert image.dtype == condition.dtype == jnp.float32


def test_views_of_one_head_are_drawn_together(monkeypatch):
  monkeypatch.setattr(head_batches, '_TOGETHER_RATE', 1.0)
  images = heads(count=12)
  kind = np.repeat([3, 5, 3], 4).astype(np.int16)
  numbered = np.arange(12, dtype=np.uint8)[:, None, None, None]
  images = images._replace(
    kind=kind,
    rgb=np.broadcast_to(numbered, images.rgb.shape),
    angles=np.stack([np.tile([50.0, -10.0, 30.0, -70.0], 3)] * 2, -1).astype(
      np.float32
    ),
  )
  batch, _ = head_batches.draw(
    np.random.default_rng(0), images, encode, batch_size=24, views=4
  )
  groups = batch.rgb[:, 0, 0, 0].reshape(6, 4)
  # Four views of a head, each once, the most frontal one first.
  assert (groups // 4 == groups[:, :1] // 4).all()
  assert all(len(set(group)) == 4 for group in groups)
  azimuth = np.abs(batch.camera[:, 0]).reshape(6, 4)
  assert (azimuth[:, 0] == 10).all()
  assert batch.together.all()
  clean = batch.clean.reshape(6, 4)
  assert not clean[:, 1:].any() and 0 < clean[:, 0].sum() < 6
  told = batch.told.reshape(6, 4)
  assert (told == told[:, :1]).all()


def test_single_pictures_are_never_clean(monkeypatch):
  monkeypatch.setattr(head_batches, '_TOGETHER_RATE', 0.0)
  batch, _ = draw(views=4)
  assert not batch.together.any() and not batch.clean.any()
