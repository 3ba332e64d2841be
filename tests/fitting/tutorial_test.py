"""The tutorial's fits: pictures are matched, and results are sound files."""

import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.face import photo
from maskjax.fitting import tutorial
from maskjax.geometry import mesh_io, soundness


def test_the_optimiser_reaches_a_planted_optimum():
  wanted = jnp.array([0.3, -0.7])

  def loss(params):
    place, scale = params
    return jnp.sum((place - wanted) ** 2) + (scale - 2.0) ** 2

  start = (jnp.zeros(2), jnp.ones(()))
  found, losses = tutorial.minimize(loss, start, rates=(0.05, 0.1), steps=150)
  np.testing.assert_allclose(found[0], wanted, atol=1e-3)
  np.testing.assert_allclose(found[1], 2.0, atol=1e-3)
  assert losses.shape == (150,)
  assert losses[-1] < 1e-5 < losses[0]


def test_rates_belong_to_their_parameters():
  start = (jnp.zeros(()), jnp.zeros(()))

  def loss(params):
    return -params[0] - params[1]

  found, _ = tutorial.minimize(loss, start, rates=(0.1, 0.01), steps=1)
  # Adam's first step is as long as the rate.
  np.testing.assert_allclose(found, (0.1, 0.01), rtol=1e-4)


def test_silhouettes_mould_a_ball_into_a_head(tmp_path):
  head = tutorial.planted_head('elephant')
  fit = tutorial.fit_silhouettes(head, size=48, steps=40, level=2)
  # Far from the end (the tutorial takes 200 steps of a finer ball), but on the
  # way: 0.47 to 0.70.
  assert fit.numbers['iou_start'] < 0.5
  assert fit.numbers['iou'] > 0.65
  assert fit.sheet.dtype == np.uint8 and fit.sheet.ndim == 3
  # The sheet shows something: rows are not one colour.
  assert fit.sheet.std() > 20
  mesh_io.save_mesh(tmp_path / 'mesh.glb', fit.mesh)
  back = mesh_io.load_mesh(tmp_path / 'mesh.glb')
  assert len(back.faces) == 20 * 4**2
  report = soundness.report(back)
  assert report.sound, report


def test_a_photo_gives_shape_colours_and_light():
  fit = tutorial.fit_photo(photo.astronaut(), size=48, steps=25)
  # A few steps: 0.51 to 0.31.
  assert fit.numbers['error'] < 0.7 * fit.numbers['error_start']
  albedo = np.asarray(fit.mesh.colors)
  assert albedo.min() > 0 and albedo.max() < 1
  # Skin is red rather than blue.
  assert albedo.mean(0)[0] > albedo.mean(0)[2]


def test_a_picture_without_a_face_is_refused():
  with pytest.raises(ValueError, match='face'):
    tutorial.fit_photo(np.full((64, 64, 3), 0.5, np.float32), size=32, steps=1)
