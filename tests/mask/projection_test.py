"""Projection: the mask's front is painted as the first image."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.geometry import color, template as template_lib
from maskjax.mask import first_image, projection, views
from maskjax.render import renderer

_SIZE = 64


def _template():
  return template_lib.mask_template('plain', edge_length=0.8)


def test_projection_paints_the_front_and_fills_the_rest():
  template = _template()
  mask = first_image.front_mask(template, _SIZE)
  # Left half red, right half blue, as sRGB.
  image = np.zeros((_SIZE, _SIZE, 3), np.float32)
  image[:, : _SIZE // 2] = [0.8, 0.1, 0.1]
  image[:, _SIZE // 2 :] = [0.1, 0.1, 0.8]
  first = first_image.FirstImage(jnp.asarray(image), mask)
  colors, known = projection.project(template, first)
  colors = np.asarray(colors)
  vertices = np.asarray(template.mesh.vertices)
  assert 0.4 < known.mean() < 1.0
  assert np.isfinite(colors).all()
  assert colors.min() >= 0.0
  assert colors.max() <= 1.0
  left, right = vertices[:, 0] < -1.0, vertices[:, 0] > 1.0
  assert (colors[left, 0] > colors[left, 2]).mean() > 0.99
  assert (colors[right, 2] > colors[right, 0]).mean() > 0.99


def test_rendering_the_painted_start_gives_the_picture_back():
  template = _template()
  mask = first_image.front_mask(template, _SIZE)
  rows, columns = np.mgrid[:_SIZE, :_SIZE] / _SIZE
  image = np.stack([0.3 + 0.4 * rows, 0.3 + 0.4 * columns, 0.5 + 0 * rows], -1)
  first = first_image.FirstImage(jnp.asarray(image, jnp.float32), mask)
  colors, _ = projection.project(template, first)
  cameras, lights = views.fixed((0.0,))
  mesh = template.mesh

  @jax.jit
  def draw(colors):
    return renderer.render(
      mesh.vertices,
      mesh.faces,
      colors,
      cameras,
      lights,
      size=_SIZE,
      sigma=1e-6,
    )

  back = draw(colors)
  shown = np.asarray(color.linear_to_srgb(back.rgb))[0]
  inside = np.asarray(mask)[..., 0] > 0.99
  error = np.abs(shown - image)[inside]
  assert np.median(error) < 0.02


def test_a_shape_that_looks_away_is_refused():
  template = _template()
  mask = first_image.front_mask(template, _SIZE)
  first = first_image.FirstImage(jnp.zeros((_SIZE, _SIZE, 3)), 0.0 * mask)
  with pytest.raises(ValueError, match='sees none of its vertices'):
    projection.project(template, first)


def test_points_between_pixels_are_interpolated():
  image = np.arange(12.0).reshape(2, 2, 3)
  points = np.array([[0.25, 0.25], [0.5, 0.25], [0.5, 0.5]])
  found = projection.bilinear(image, points)
  expected = [image[0, 0], image[0].mean(0), image.mean((0, 1))]
  np.testing.assert_allclose(found, expected, atol=1e-2)
