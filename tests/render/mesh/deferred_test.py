"""Shaders: what they are given, and that hard edges are blended after them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.geometry import camera as camera_lib
from maskjax.render.mesh import rasterizer

_FACES = jnp.array([[0, 1, 2], [0, 2, 3]])


def _scene(views=2):
  corners = np.array(
    [[-3.0, -2.0, 6.0], [2.5, -3.0, 14.0], [3.0, 2.0, 9.0], [-2.0, 3.0, 7.0]]
  )
  turned = np.stack([corners + np.array([0.3, 0, 1]) * k for k in range(views)])
  values = np.random.default_rng(0).uniform(size=(views, 4, 2))
  intrinsics = camera_lib.intrinsics_from_fov(jnp.full((views,), 50.0))
  return jnp.asarray(turned), jnp.asarray(values), intrinsics


@pytest.mark.parametrize('projection', ['perspective', 'orthographic'])
def test_slopes_equal_differences_between_pixels(projection):
  with jax.enable_x64(True):
    vertices, values, intrinsics = _scene(1)
    intrinsics = jnp.asarray(intrinsics, jnp.float64)
    if projection == 'orthographic':
      intrinsics = camera_lib.orthographic_intrinsics(jnp.full((1,), 7.0))

    def shader(pixels, view):
      slopes = pixels.slopes.reshape(*pixels.covered.shape, 4)
      return jnp.concatenate([pixels.attributes, slopes], -1)

    images = jax.jit(
      lambda *scene: rasterizer.rasterize(
        *scene,
        size=128,
        mode='hard',
        projection=projection,
        antialias=False,
        shader=shader,
      )
    )(vertices[:, :3], _FACES[:1], values[:, :3], intrinsics)
  values, slopes = np.split(np.asarray(images.attributes[0]), [2], -1)
  slopes = slopes.reshape(*slopes.shape[:2], 2, 2)
  inside = np.asarray(images.alpha[0]) == 1
  inner = inside[1:-1, 2:] & inside[1:-1, :-2] & inside[2:, 1:-1]
  inner &= inside[:-2, 1:-1]
  assert inner.sum() > 500
  for axis, change in (
    (0, values[1:-1, 2:] - values[1:-1, :-2]),
    (1, values[2:, 1:-1] - values[:-2, 1:-1]),
  ):
    numeric, analytic = change[inner] / 2, slopes[1:-1, 1:-1][inner][..., axis]
    assert np.abs(analytic).max() > 1e-3
    np.testing.assert_allclose(analytic, numeric, atol=1e-5)


@pytest.mark.parametrize('mode', ['hard', 'soft'])
def test_shaders_know_their_view_and_paint_only_what_is_covered(mode):
  vertices, values, intrinsics = _scene()
  tints = jnp.array([0.25, 0.75])

  def shader(pixels, view):
    tint = jnp.broadcast_to(
      view[:, None, None, None], (*pixels.covered.shape, 1)
    )
    return jnp.concatenate([tint, pixels.attributes], -1)

  images = rasterizer.rasterize(
    *(vertices, _FACES, values, intrinsics),
    size=32,
    mode=mode,
    shader=shader,
    view=tints,
  )
  plain = rasterizer.rasterize(
    *(vertices, _FACES, values, intrinsics), size=32, mode=mode
  )
  np.testing.assert_allclose(
    images.attributes[..., 1:], plain.attributes, atol=1e-6
  )
  np.testing.assert_allclose(images.alpha, plain.alpha, atol=1e-6)
  for view, tint in enumerate((0.25, 0.75)):
    covered = np.asarray(images.alpha[view]) > 0
    shown = np.asarray(images.attributes[view, ..., 0])
    np.testing.assert_allclose(shown[covered], tint, atol=1e-6)
    np.testing.assert_array_equal(shown[~covered], 0.0)


def test_hard_edges_are_blended_after_shading():
  """A square before a larger one: its outline mixes the shaded colours."""
  near = np.array([[-1, -1, 4], [1, -1, 4], [1, 1, 4], [-1, 1, 4.0]])
  near[:, :2] += 0.013
  far = np.array([[-3, -3, 6], [3, -3, 6], [3, 3, 6], [-3, 3, 6.0]])
  vertices = jnp.asarray(np.concatenate([near, far]))[None]
  faces = jnp.concatenate([_FACES, _FACES + 4])
  values = jnp.repeat(jnp.array([0.0, 1.0]), 4)[None, :, None]

  def shader(pixels, view):
    # Nothing between 0 and 1 may ever come in.
    between = jnp.abs(pixels.attributes - 0.5) < 0.4
    return jnp.where(between, 100.0, pixels.attributes)

  images = rasterizer.rasterize(
    *(
      vertices,
      faces,
      values,
      camera_lib.intrinsics_from_fov(jnp.array([50.0])),
    ),
    size=48,
    mode='hard',
    shader=shader,
  )
  shown = np.asarray(images.attributes[0, ..., 0])[
    np.asarray(images.alpha[0]) == 1
  ]
  assert shown.max() < 1.01
  assert ((shown > 0.1) & (shown < 0.9)).sum() > 20
