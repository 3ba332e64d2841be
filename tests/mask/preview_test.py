"""Pictures of a mask: whole, mirrored where they should be, and shaded."""

import jax.numpy as jnp
import numpy as np

from maskjax.geometry import template as template_lib
from maskjax.mask import preview


def _mesh():
  return template_lib.mask_template('plain', edge_length=0.8).mesh


def test_large_masks_are_shown_whole():
  mesh = _mesh()
  mesh = mesh.replace(
    vertices=2.5 * mesh.vertices, colors=jnp.zeros_like(mesh.vertices)
  )
  (picture,) = preview.photograph(mesh, (0.0,), size=32)
  edge = np.concatenate(
    [picture[0], picture[-1], picture[:, 0], picture[:, -1]]
  )
  assert edge.min() > 200  # the pale background
  assert picture[16, 16].max() < 50


def test_mirrored_cameras_see_a_symmetric_mask_mirrored(monkeypatch):
  mesh = _mesh()
  mesh = mesh.replace(colors=jnp.full_like(mesh.vertices, 0.5))
  light = preview._key_light(1)
  toward = light.directions * jnp.array([0.0, 1.0, 1.0])[None, None]
  monkeypatch.setattr(
    preview, '_key_light', lambda count: light.replace(directions=toward)
  )
  pictures = preview.photograph(mesh, (-40.0, 40.0), size=32).astype(int)
  assert pictures.shape == (2, 32, 32, 3)
  # Light from the middle, so that nothing tells left from right; where two
  # faces meet in a pixel, the one that is drawn may be another.
  error = np.abs(pictures[0] - pictures[1, :, ::-1])
  assert error.mean() < 0.5
  assert np.abs(pictures[0] - pictures[1]).mean() > 5.0


def test_the_key_light_comes_from_the_left():
  mesh = _mesh()
  clay = preview.photograph(mesh, (0.0,), size=32, textured=False)[0]
  clay = clay.astype(int)
  left, right = clay[8:24, 10:15].mean(), clay[8:24, 17:22].mean()
  assert left > right + 5.0
  # Clay is grey-brown, whatever the colours of the mask.
  painted = mesh.replace(colors=jnp.ones_like(mesh.vertices))
  same = preview.photograph(painted, (0.0,), size=32, textured=False)[0]
  np.testing.assert_array_equal(same, clay)


def test_a_sheet_shows_start_first_image_and_result():
  mesh = _mesh()
  start = mesh.replace(colors=jnp.full_like(mesh.vertices, 0.2))
  result = mesh.replace(colors=jnp.full_like(mesh.vertices, 0.9))
  first = jnp.full((8, 8, 3), 0.25)
  sheet = preview.mask_sheet('a', start, first, result, size=32)
  assert sheet.dtype == np.uint8
  # Five pictures in a row, and three rows.
  assert sheet.shape[1] > 5 * 32 and sheet.shape[0] > 3 * 32
  plain = (sheet == 64).all(-1)  # the first image, in bytes
  assert plain.sum() == 32 * 32
