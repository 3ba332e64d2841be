"""Pictures of heads: views, shards, and what is said of them."""

import numpy as np
import pytest

from maskjax.data.creatures import creatures, head_images
from maskjax.studio import views as studio_views

SIZE = 16
ALL_KINDS = creatures.KINDS
COUNT = 4  # pictures of one head, not of a main kind


def build(folder, index=0, seed=0):
  path = folder / f'heads-{index:05d}.npz'
  head_images.build_shard(path, index, seed=seed, views=2 * COUNT, size=SIZE)
  return path


@pytest.fixture(scope='module')
def one_kind():
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(creatures, 'KINDS', ('koala',))
    # Every head has the same shapes: the renderer is compiled once.
    patch.setattr(head_images, '_BUCKET', 16384)
    yield


@pytest.fixture(scope='module')
def shard(one_kind, tmp_path_factory):
  return build(tmp_path_factory.mktemp('heads'))


def test_views_are_in_front_and_half_of_them_evenly_lit():
  views = head_images.sample_views(np.random.default_rng(0), 4000)
  azimuth, elevation, distance, lighting = views
  assert np.abs(azimuth).max() <= 82 and np.abs(azimuth).max() > 75
  assert elevation.min() >= -30 and elevation.max() <= 45
  assert distance.min() >= 0.9 and distance.max() <= 1.15
  assert np.mean(np.abs(azimuth) < 10) > 0.35
  assert 0.45 < np.mean(lighting == 0) < 0.55
  assert set(lighting) == set(range(len(studio_views.LIGHTINGS)))
  rows = {
    name: np.mean([studio_views.LIGHTINGS[row][0] == name for row in lighting])
    for name in ('warm', 'red')
  }
  assert 1.3 < rows['warm'] / rows['red'] < 3
  again = head_images.sample_views(np.random.default_rng(0), 4000)
  np.testing.assert_array_equal(views, again)


def test_pictures_show_a_head(shard):
  images = head_images.load([shard])
  assert images.rgb.shape == images.normals.shape == (COUNT, SIZE, SIZE, 3)
  assert images.alpha.shape == images.height.shape == (COUNT, SIZE, SIZE)
  for name in ('rgb', 'alpha', 'normals', 'height'):
    assert getattr(images, name).dtype == np.uint8
  covered = images.alpha > 250
  empty = images.alpha == 0
  assert 0.15 < covered.mean() < 0.7 and empty.mean() > 0.1
  assert images.rgb[covered].std() > 5
  assert not images.rgb[empty].any() and not images.height[empty].any()
  # The border of the picture is free: heads are not cut off.
  assert images.alpha[:, 0].mean() < 40


def test_normals_are_unit_vectors_that_face_the_viewer(shard):
  images = head_images.load([shard])
  normals = images.normals[images.alpha > 250] / 127.5 - 1.0
  lengths = np.linalg.norm(normals, axis=-1)
  np.testing.assert_allclose(lengths, 1.0, atol=0.02)
  assert np.mean(normals[:, 2] > 0) > 0.95
  # x grows to the right: what lies there is turned there.
  x = np.broadcast_to(np.arange(SIZE), images.alpha.shape)
  inside = images.alpha > 250
  assert np.corrcoef(x[inside], images.normals[inside][:, 0])[0, 1] > 0.25
  y = np.broadcast_to(np.arange(SIZE)[:, None], images.alpha.shape)
  assert np.corrcoef(-y[inside], images.normals[inside][:, 1])[0, 1] > 0.25


def test_holes_lie_on_the_face(shard):
  images = head_images.load([shard])
  assert images.holes.shape == (COUNT, 3, 2)
  frontal = np.abs(images.angles[:, 0]) < 45
  assert frontal.any()
  for holes, alpha in zip(images.holes[frontal], images.alpha[frontal]):
    left, right, mouth = holes
    assert left[0] < right[0] and mouth[1] > max(left[1], right[1])
    columns, rows = (holes * SIZE).astype(int).T
    assert np.all(alpha[rows, columns] > 128)


def test_descriptions_are_what_was_drawn(shard):
  images = head_images.load([shard])
  for index in range(COUNT):
    about = head_images.describe(images, index)
    assert about['kind'] == 'koala'
    assert set(about['modifiers']) <= set(creatures.MODIFIERS)
    assert abs(about['azimuth']) <= 82 and -30 <= about['elevation'] <= 45
    light = (about['light_color'], about['light_direction'])
    assert light in studio_views.LIGHTINGS


def test_shards_depend_on_seed_and_number_only(shard, tmp_path):
  again = build(tmp_path)
  assert again.read_bytes() == shard.read_bytes()
  before = head_images.load([shard])
  other = head_images.load([build(tmp_path, index=1)])
  assert np.any(before.rgb != other.rgb)
  assert np.any(before.angles != other.angles)
  # Several shards are read in the order of their names.
  paths = [tmp_path / 'heads-00001.npz', again]
  both = head_images.load(paths)
  assert len(both.kind) == 2 * COUNT
  np.testing.assert_array_equal(both.angles[:COUNT], before.angles)
  np.testing.assert_array_equal(both.modifiers[COUNT:], other.modifiers)


def test_a_finished_shard_is_kept(tmp_path):
  path = tmp_path / 'heads-00000.npz'
  path.write_text('mine')
  assert build(tmp_path) == path
  assert path.read_text() == 'mine'


def test_a_shard_has_every_kind_and_the_main_ones_more_often(
  tmp_path, monkeypatch
):
  asked = []

  def stub(rng, kind, *, views, size):
    asked.append((kind, views))
    return {'draw': rng.random(views), 'size': np.full(views, size)}

  monkeypatch.setattr(creatures, 'KINDS', ALL_KINDS)
  monkeypatch.setattr(head_images, 'render_head', stub)
  path = tmp_path / 'heads-00003.npz'
  head_images.build_shard(path, 3, seed=0, views=3, size=8)
  counts = dict(asked)
  assert tuple(counts) == ALL_KINDS and len(asked) == len(counts)
  assert set(ALL_KINDS) >= head_images.MAIN_KINDS
  for kind, views in counts.items():
    assert views == (3 if kind in head_images.MAIN_KINDS else 1)
  with np.load(path) as data:
    # Every head has random numbers of its own.
    assert len(set(data['draw'])) == sum(counts.values())


def test_no_shards_and_torn_ones_say_what_to_do(tmp_path):
  torn = tmp_path / 'heads-00009.npz'
  torn.write_bytes(b'PK\x03\x04torn')
  with pytest.raises(ValueError, match=r'00009.npz is no whole shard'):
    head_images.load([torn])
  with pytest.raises(FileNotFoundError, match='build_prior_data'):
    head_images.load([])
