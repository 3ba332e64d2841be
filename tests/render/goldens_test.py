"""The soft mode reproduces dense float64 pictures and their gradients."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.render.mesh import rasterizer

_FOLDER = pathlib.Path(__file__).parent / 'goldens'
_Y_DOWN = np.array([[1.0, -1.0, 1.0]], np.float32)


@pytest.fixture(scope='module')
def drawn():
  """Our picture of the golden scene, and gradients by places and colours."""
  golden = np.load(_FOLDER / 'soft_1280_64.npz')
  faces = jnp.asarray(golden['faces'].astype(np.int32))
  weights = np.random.default_rng(0).standard_normal((1, 64, 64, 4))
  weights = jnp.asarray(weights, jnp.float32)
  intrinsics = jnp.asarray([[[1.0, 0, 0.5], [0, 1.0, 0.5], [0, 0, 1]]])

  @jax.jit
  def draw(vertices, colors):
    def loss(vertices, colors):
      images = rasterizer.rasterize(
        vertices[None], faces, colors[None], intrinsics, size=64
      )
      alpha = images.alpha[..., None]
      rgb = jnp.where(alpha > 0, images.attributes, 1.0)
      image = jnp.concatenate([rgb, alpha], -1)
      return jnp.sum(image * weights), image

    return jax.grad(loss, (0, 1), has_aux=True)(vertices, colors)

  (by_vertices, by_colors), image = draw(
    jnp.asarray(golden['vertices'] * _Y_DOWN), jnp.asarray(golden['colors'])
  )
  return np.asarray(image[0]), np.asarray(by_vertices) * _Y_DOWN, by_colors


def test_picture_and_gradients_equal_the_dense_formula(drawn):
  golden = np.load(_FOLDER / 'soft_1280_64_clipped.npz')
  image, by_vertices, by_colors = drawn
  np.testing.assert_allclose(image, golden['image'], atol=1e-5)
  for found, name in ((by_vertices, 'by_vertices'), (by_colors, 'by_colors')):
    error = np.linalg.norm(np.asarray(found) - golden[name])
    assert error < 1e-4 * np.linalg.norm(golden[name]), name
    # No vertex alone is off either.
    largest = np.abs(np.asarray(found) - golden[name]).max()
    assert largest < 1e-4 * np.abs(golden[name]).max(), name


def _far_from(vertices, pixels):
  """Tell which vertices lie more than 6 pixels from all of some pixels."""
  x, y, z = vertices.astype(np.float64).T
  place = 32 + 64 * np.stack([-y / z, x / z], -1) - 0.5  # row, column
  offsets = place[:, None] - np.argwhere(pixels)[None]
  return np.linalg.norm(offsets, axis=-1).min(1) > 6


def test_where_clipping_comes_second_only_faces_seen_edge_on_differ(drawn):
  golden = np.load(_FOLDER / 'soft_1280_64.npz')
  image, _, by_colors = drawn
  wanted = golden['image']
  np.testing.assert_allclose(image[..., 3], wanted[..., 3], atol=1e-5)
  # On the outermost faces, seen nearly edge-on, it matters whether
  # coordinates are clipped before they are corrected for perspective, as here,
  # or after, as in this golden.
  apart = np.abs(image - wanted).max(-1) > 1e-5
  assert apart.sum() <= 30
  clear = _far_from(golden['vertices'], apart)
  assert clear.sum() > 300
  expected = golden['by_colors'][clear]
  error = np.linalg.norm(np.asarray(by_colors)[clear] - expected)
  assert error < 1e-4 * np.linalg.norm(expected)
