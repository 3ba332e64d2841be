"""Shards of people: deterministic, resumable, with true labels."""

import dataclasses
import json

import jax.numpy as jnp
import numpy as np
import pytest

from configs import faces as faces_config
from maskjax.data import shards
from maskjax.data.people import face_images, words as people_words
from maskjax.geometry import (
  camera as camera_lib,
  ffhq,
)
from maskjax.training import settings

_RECIPE = face_images.Recipe(
  seed=3, shards=2, people=1, moments=2, views=2, size=32, samples=2,
  expression='', backdrop='room', yaw=0.3, pitch=0.155, limit=(0.85, 0.45),
)  # fmt: skip


def _build(path, index, **changes):
  recipe = dataclasses.replace(_RECIPE, **changes)
  face_images.build_shard(path, index, recipe=recipe)


def _never(path, index):
  raise AssertionError(f'{path} is built')


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  folder = tmp_path_factory.mktemp('faces')
  for index in range(2):
    path = shards.path(folder, 'faces', index)
    _build(path, index)
  return folder


def test_a_shard_is_a_function_of_its_number(folder, tmp_path):
  again = tmp_path / 'again.npz'
  _build(again, 1)
  with np.load(again) as a, np.load(shards.path(folder, 'faces', 1)) as b:
    assert set(a) == set(face_images.FaceImages._fields)
    for name in a:
      np.testing.assert_array_equal(a[name], b[name])


def test_existing_shards_are_kept(folder):
  path = shards.path(folder, 'faces', 0)
  before = path.stat().st_mtime_ns
  _build(path, 0, seed=4)
  assert path.stat().st_mtime_ns == before
  # Nothing to do: no process is started.
  shards.build_missing(_never, folder, 'faces', 2, workers=1)


def test_what_is_loaded(folder):
  images = face_images.load(sorted(folder.glob('*.npz')))
  assert images.rgb.shape == (8, 32, 32, 3) and images.rgb.dtype == np.uint8
  np.testing.assert_array_equal(images.identity, np.repeat([0, 1], 4))
  np.testing.assert_array_equal(images.moment, np.repeat([0, 1, 2, 3], 2))
  assert images.attributes.shape == (8, len(people_words.ATTRIBUTES))
  # Faces are in the middle; depth and coverage go together.
  assert np.all(images.alpha[:, 16, 16] == 255)
  covered = images.alpha > 0
  np.testing.assert_array_equal(images.depth > 0, covered)
  near = images.depth[covered].astype(float)
  assert near.min() > 2.0 and near.max() < 3.4
  inside = (images.landmarks > 0) & (images.landmarks < 1)
  assert inside.all()
  assert all(len(caption) > 20 for caption in images.caption)
  np.testing.assert_allclose(
    np.linalg.norm(images.light, axis=-1), 1, atol=1e-5
  )
  # Who someone is does not change with the moment; the picture does.
  tone = images.tone.reshape(2, 4)
  np.testing.assert_array_equal(tone, tone[:, :1] * np.ones((1, 4)))
  assert np.mean(images.rgb[0] != images.rgb[2]) > 0.5


def test_stored_cameras_point_at_the_head(folder):
  images = face_images.load(sorted(folder.glob('*.npz')))
  camera = camera_lib.from_vector25(jnp.asarray(images.camera))
  place = np.linalg.norm(np.asarray(camera.cam2world)[:, :3, 3], axis=-1)
  np.testing.assert_allclose(place, ffhq.RADIUS, rtol=1e-5)
  # As EG3D's FFHQ: they look at a point in front of the middle.
  pivot = jnp.asarray([[0.0, 0.0, 0.2]])
  middle, _ = camera_lib.project(camera, pivot)
  np.testing.assert_allclose(middle, 0.5, atol=1e-5)
  np.testing.assert_allclose(camera.intrinsics[:, 0, 0], ffhq.FOCAL, rtol=1e-4)


def test_depth_of_two_views_is_one_surface(folder):
  """Points seen by one camera lie where the other one sees them, or behind."""
  images = face_images.load([shards.path(folder, 'faces', 0)])
  camera = camera_lib.from_vector25(jnp.asarray(images.camera[:2]))
  size = 32
  centre = (np.arange(size) + 0.5) / size
  x, y = np.meshgrid(centre, centre)
  depth = images.depth[0].astype(np.float64)
  inner = images.camera[0, 16:].reshape(3, 3)
  points = np.stack(
    [(x - 0.5) / inner[0, 0] * depth, (y - 0.5) / inner[1, 1] * depth, depth],
    -1,
  )
  pose = images.camera[0, :16].reshape(4, 4)
  world = points @ pose[:3, :3].T + pose[:3, 3]
  solid = (images.alpha[0] == 255)[8:26, 10:22]
  chosen = world[8:26, 10:22][solid]
  other = dataclasses.replace(
    camera, cam2world=camera.cam2world[1], intrinsics=camera.intrinsics[1]
  )
  place, far = camera_lib.project(other, jnp.asarray(chosen, jnp.float32))
  pixel = np.clip((np.asarray(place) * size).astype(int), 0, size - 1)
  seen = images.depth[1].astype(np.float64)[pixel[:, 1], pixel[:, 0]]
  gap = np.abs(np.asarray(far) - seen) * ffhq.CM_PER_UNIT
  # A pixel is 0.9 cm wide.
  assert np.median(gap) < 0.35


def test_manifest_names_sources_and_shards(folder):
  told = face_images.manifest(folder, _RECIPE)
  assert told['images'] == 8 and len(told['shards']) == 2
  assert told['recipe']['seed'] == 3
  assert {source['licence'] for source in told['sources']} == {
    'CC0-1.0',
    'Apache-2.0',
  }
  assert all(len(source['sha256']) == 64 for source in told['sources'])


def test_a_set_is_built_and_grows_but_not_by_another_recipe(
  tmp_path, monkeypatch
):
  def build_shard(path, index, *, recipe):
    pixels = np.full((2, recipe.size, recipe.size, 3), index, np.uint8)
    np.savez(path, rgb=pixels)

  monkeypatch.setattr(face_images, 'build_shard', build_shard)
  face_images.build(tmp_path, _RECIPE, workers=1)
  more = dataclasses.replace(_RECIPE, shards=3)
  face_images.build(tmp_path, more, workers=1)
  told = json.loads((tmp_path / 'manifest.json').read_text())
  assert told['images'] == 6 and told['recipe']['shards'] == 3
  before = (tmp_path / 'manifest.json').read_bytes()
  for fields in ({'seed': 4}, {'size': 16}, {'shards': 1}):
    other = dataclasses.replace(more, **fields)
    with pytest.raises(ValueError, match=next(iter(fields))):
      face_images.build(tmp_path, other, workers=1)
  assert (tmp_path / 'manifest.json').read_bytes() == before


def test_people_of_a_source_domain(tmp_path):
  """One moment before white: only the camera differs between pictures."""
  path = shards.path(tmp_path, 'faces', 0)
  _build(path, 0, moments=1, backdrop='white', expression='neutral')
  images = face_images.load([path])
  assert len(images.rgb) == 2 and len(set(images.moment)) == 1
  assert np.all(images.rgb[images.alpha == 0] == 255)
  assert np.any(images.alpha == 0)
  np.testing.assert_array_equal(images.light[0], images.light[1])
  assert not images.expression.any()  # the first word is 'neutral'
  assert np.abs(images.camera[0] - images.camera[1]).max() > 0.01
  with pytest.raises(ValueError, match='unknown backdrop'):
    _build(tmp_path / 'x.npz', 0, backdrop='sea')


def test_the_source_config_makes_20_000_pictures():
  config = settings.read(face_images.Recipe, faces_config.get_config('source'))
  views = config.moments * config.views
  assert config.shards * config.people * views == 20_000
  assert config.moments == 1 and config.views >= 8
  rng = np.random.default_rng(0)
  azimuth, elevation = face_images.sample_cameras(
    rng, 20_000, yaw=config.yaw, pitch=config.pitch, limit=config.limit
  )
  turned = np.abs(np.radians(azimuth))
  assert 0.3 < turned.std() / np.sqrt(1 - 2 / np.pi) < 0.45
  assert 0.02 < np.mean(turned > 0.8) < 0.1 and turned.max() < 0.9
  assert np.abs(np.radians(elevation)).max() < 0.5


def test_missing_and_mixed_shards_are_named(folder, tmp_path):
  with pytest.raises(FileNotFoundError, match='make_faces'):
    face_images.load([])
  small = tmp_path / 'small.npz'
  _build(small, 0, size=16, moments=1)
  with pytest.raises(ValueError, match='expected one size'):
    face_images.load([small, shards.path(folder, 'faces', 0)])
