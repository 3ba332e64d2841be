"""Masks are read, laid on the head, fitted to a person, and moved."""

import dataclasses

import numpy as np
import pytest

from configs import wear as config_lib
from maskjax.geometry import canonical, mesh as mesh_lib, mesh_io
from maskjax.training import settings as settings_lib
from maskjax.wear import masks, settings


def _settings(**changes):
  asked = settings_lib.read(settings.WearSettings, config_lib.get_config())
  changes = {f'mask.{name}': value for name, value in changes.items()}
  return settings_lib.changed(asked, changes).mask


def test_a_mask_of_ours_stays_where_it_is(tmp_path, small_mask):
  mesh_io.save_mesh(tmp_path / 'mask.glb', small_mask)
  mesh = masks.load(tmp_path / 'mask.glb')
  np.testing.assert_allclose(
    np.sort(np.asarray(mesh.vertices)[:, 2]),
    np.sort(np.asarray(small_mask.vertices)[:, 2]),
    atol=1e-3,
  )


def test_a_mask_of_others_is_laid_on_the_head(tmp_path, small_mask):
  far = dataclasses.replace(
    small_mask, vertices=30 * small_mask.vertices + 4000.0
  )
  mesh_io.save_mesh(tmp_path / 'mask.glb', far)
  vertices = np.asarray(masks.load(tmp_path / 'mask.glb').vertices)
  middle = (vertices.min(0) + vertices.max(0)) / 2
  np.testing.assert_allclose(middle, 0, atol=0.1)
  np.testing.assert_allclose(np.ptp(vertices, axis=0)[:2].max(), 17, atol=0.1)


def test_too_many_triangles_are_told_in_one_line(tmp_path):
  side = 320
  x, y = np.meshgrid(np.linspace(-8, 8, side), np.linspace(-8, 8, side))
  vertices = np.stack([x.ravel(), y.ravel(), 0 * x.ravel()], 1)
  corner = (np.arange(side - 1)[:, None] * side + np.arange(side - 1)).ravel()
  faces = np.concatenate(
    [
      np.stack([corner, corner + 1, corner + side], 1),
      np.stack([corner + 1, corner + side + 1, corner + side], 1),
    ]
  )
  path = tmp_path / 'mask.ply'
  mesh_io.save_mesh(path, mesh_lib.from_numpy(vertices, faces))
  with pytest.raises(ValueError, match='203,522 triangles') as caught:
    masks.load(path)
  assert '\n' not in str(caught.value)


def test_a_missing_mask_is_told(tmp_path):
  with pytest.raises(ValueError, match='no such file'):
    masks.load(tmp_path / 'mask.glb')


def test_a_mask_without_colours_is_grey(small_mask):
  plain = dataclasses.replace(small_mask, colors=None)
  shape = canonical.load().vertices
  prepared = masks.prepare(plain, shape, _settings(occluded=False))
  np.testing.assert_allclose(np.asarray(prepared.surface.colors), 0.6)
  assert np.all(np.asarray(prepared.surface.shown) == 1)


def test_on_everybodys_face_a_mask_is_as_it_was_made(small_mask):
  shape = canonical.load().vertices
  prepared = masks.prepare(small_mask, shape, _settings())
  count = len(small_mask.vertices)
  vertices = np.asarray(prepared.surface.vertices)
  np.testing.assert_allclose(
    vertices[:count], np.asarray(small_mask.vertices), atol=1e-3
  )
  shown = np.asarray(prepared.surface.shown)[:, 0]
  assert shown[:count].all() and not shown[count:].any()
  assert len(vertices) > count + 1000
  moves = np.zeros((468, 3), np.float32)
  moves[:, 1] = -1
  moved = masks.moved(prepared, moves, 0.5)
  carried = np.asarray(moved.vertices) - vertices
  np.testing.assert_allclose(carried[:count, 1], -0.5, atol=1e-4)


def test_scale_and_shift_are_carried_out(small_mask):
  shape = canonical.load().vertices
  asked = _settings(
    scale=2.0, shift=(0.0, 1.0, 2.0), fitted=False, occluded=False
  )
  prepared = masks.prepare(small_mask, shape, asked)
  wanted = 2 * np.asarray(small_mask.vertices) + [0, 1, 2]
  np.testing.assert_allclose(
    np.asarray(prepared.surface.vertices), wanted, atol=1e-4
  )
