"""The soft mode reproduces an independent float64 picture and its gradient."""

import pathlib

import jax
from jax import numpy as jnp
import numpy as np

from maskjax.render import rasterizer

_PATH = pathlib.Path(__file__).parent / 'goldens' / 'soft_1280_64.npz'
_Y_DOWN = np.array([[1.0, -1.0, 1.0]], np.float32)


def _far_from(vertices, pixels):
  """Tells which vertices lie more than 6 pixels from all of some pixels."""
  x, y, z = vertices.astype(np.float64).T
  place = 32 + 64 * np.stack([-y / z, x / z], -1) - 0.5  # row, column
  offsets = place[:, None] - np.argwhere(pixels)[None]
  return np.linalg.norm(offsets, axis=-1).min(1) > 6


def test_picture_and_gradient_by_colours_equal_the_golden():
  golden = np.load(_PATH)
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

    return jax.value_and_grad(loss, 1, has_aux=True)(vertices, colors)

  (_, image), gradient = draw(
    jnp.asarray(golden['vertices'] * _Y_DOWN), jnp.asarray(golden['colors'])
  )
  found, wanted = np.asarray(image[0]), golden['image']
  np.testing.assert_allclose(found[..., 3], wanted[..., 3], atol=1e-5)
  # On the outermost faces, seen nearly edge-on, it matters whether
  # coordinates are clipped before they are corrected for perspective, as here,
  # or after, as in the golden.
  apart = np.abs(found - wanted).max(-1) > 1e-5
  assert apart.sum() <= 30
  clear = _far_from(golden['vertices'], apart)
  assert clear.sum() > 300
  expected = golden['by_colors'][clear]
  error = np.linalg.norm(np.asarray(gradient)[clear] - expected)
  assert error < 1e-4 * np.linalg.norm(expected)
