"""Image textures: lookups, levels, gradients, and on a slanted plane."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.geometry import camera as camera_lib
from maskjax.render import lights, renderer, textures

_RNG = np.random.default_rng(0)


def _reference(image, u, v):
  """One bilinear lookup, clamped, in float64."""
  height, width, _ = image.shape
  x = np.clip(u * width - 0.5, 0, width - 1)
  y = np.clip((1 - v) * height - 0.5, 0, height - 1)
  c, r = int(x), int(y)
  c1, r1 = min(c + 1, width - 1), min(r + 1, height - 1)
  fx, fy = x - c, y - r
  return (
    image[r, c] * (1 - fx) * (1 - fy)
    + image[r, c1] * fx * (1 - fy)
    + image[r1, c] * (1 - fx) * fy
    + image[r1, c1] * fx * fy
  )


def test_bilinear_lookups_equal_numpy_and_are_clamped():
  image = _RNG.uniform(size=(8, 4, 3))
  uvs = _RNG.uniform(-0.2, 1.2, (200, 2))
  wanted = np.stack([_reference(image, u, v) for u, v in uvs])
  got = textures.sample(jnp.asarray(image, jnp.float32), jnp.asarray(uvs))
  # 4 spacings of a row of up to 8, in both directions.
  np.testing.assert_allclose(got, wanted, atol=4e-6)


def test_the_first_row_is_at_the_top():
  image = jnp.zeros((4, 4, 1)).at[0, 0].set(1.0)
  top_left = textures.sample(image, jnp.array([[0.125, 0.875]]))
  assert float(top_left[0, 0]) == 1.0


def test_pyramid_holds_block_means():
  image = _RNG.uniform(size=(8, 4, 3)).astype(np.float32)
  texels, sizes = textures.pyramid(jnp.asarray(image))
  assert sizes == ((8, 4), (4, 2), (2, 1), (1, 1))
  second = image.reshape(4, 2, 2, 2, 3).mean((1, 3)).reshape(-1, 3)
  np.testing.assert_allclose(texels[32:40], second, atol=1e-6)
  np.testing.assert_allclose(texels[-1], image.mean((0, 1)), atol=1e-6)


@pytest.mark.parametrize('footprint', [0.3, 1.0, 1.7, 4.0, 100.0])
def test_levels_blend_between_the_next_two(footprint):
  size = 16
  image = _RNG.uniform(size=(size, size, 3)).astype(np.float32)
  uvs = _RNG.uniform(size=(50, 2)).astype(np.float32)
  # The longer side of the footprint decides.
  slopes = np.zeros((50, 2, 2), np.float32)
  slopes[:, 0, 0] = 0.6 * footprint / size
  slopes[:, 1, 0] = 0.8 * footprint / size
  slopes[:, 1, 1] = 0.5 * footprint / size
  detail = np.clip(np.log2(footprint), 0, 4)
  levels = [image.astype(np.float64)]
  while len(levels[-1]) > 1:
    half = len(levels[-1]) // 2
    levels.append(levels[-1].reshape(half, 2, half, 2, 3).mean((1, 3)))
  low = min(int(detail), 3)
  parts = [
    np.stack([_reference(levels[k], u, v) for u, v in uvs])
    for k in (low, low + 1)
  ]
  wanted = parts[0] + (detail - low) * (parts[1] - parts[0])
  got = textures.sample(
    jnp.asarray(image), jnp.asarray(uvs), jnp.asarray(slopes)
  )
  np.testing.assert_allclose(got, wanted, atol=1e-5)


def test_gradients_by_texels_and_coordinates_equal_finite_differences():
  with jax.enable_x64(True):
    image = jnp.asarray(_RNG.uniform(size=(8, 8, 2)))
    # Within texels: the derivative jumps at their centres.
    place = _RNG.integers(1, 6, (20, 2)) + 0.5 + _RNG.uniform(0.2, 0.8, (20, 2))
    uvs = jnp.asarray(place / 8)
    slopes = jnp.asarray(_RNG.uniform(0.01, 0.2, (20, 2, 2)))
    weights = jnp.asarray(_RNG.normal(size=(20, 2)))

    @jax.jit
    def loss(image, uvs):
      flat = textures.sample(image, uvs)
      mipped = textures.sample(image, uvs, slopes)
      return jnp.sum((flat + 0.5 * mipped) * weights)

    by_image, by_uvs = jax.grad(loss, (0, 1))(image, uvs)
    for argument, gradient in ((0, by_image), (1, by_uvs)):
      direction = jnp.asarray(_RNG.normal(size=gradient.shape))
      step = 1e-6

      def at(t, argument=argument, direction=direction):
        inputs = [image, uvs]
        inputs[argument] = inputs[argument] + t * direction
        return loss(*inputs)

      numeric = (at(step) - at(-step)) / (2 * step)
      analytic = jnp.sum(gradient * direction)
      np.testing.assert_allclose(analytic, numeric, rtol=1e-5)


def test_bad_sides_are_refused():
  with pytest.raises(ValueError, match='powers of two'):
    textures.pyramid(jnp.zeros((6, 8, 3)))


@functools.cache
def _floor(mode, size, mipmap):
  """Return a chessboard that runs from below the camera to the horizon."""
  corners = jnp.array(
    [[-20.0, -3.0, 0.0], [20.0, -3.0, 0.0], [20, -3, -300.0], [-20, -3, -300.0]]
  )
  uvs = jnp.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
  board = (np.indices((256, 256)) // np.array([2, 16])[:, None, None]).sum(0)
  image = jnp.asarray(np.repeat(board[..., None] % 2, 3, -1), jnp.float32)
  camera = camera_lib.Camera(
    camera_lib.look_at(jnp.array([[0.0, 0.0, 5.0]]), jnp.array([0, -1.0, -40])),
    camera_lib.intrinsics_from_fov(jnp.array([45.0])),
  )

  @jax.jit
  def draw(corners, image):
    return renderer.render(
      corners,
      jnp.array([[0, 1, 2], [0, 2, 3]]),
      jnp.zeros((4, 3)),
      camera,
      lights.uniform(),
      size=size,
      mode=mode,
      depth_range=(0.5, 400.0),
      shading='unlit',
      texture=textures.from_image(image, uvs, mipmap=mipmap),
      background=(0.0, 0.0, 0.0),
    )

  return draw(corners, image)


@pytest.mark.parametrize('mode', ['hard', 'soft'])
def test_mip_maps_remove_aliasing_in_the_distance(mode):
  plain = _floor(mode, 64, mipmap=False)
  mipped = _floor(mode, 64, mipmap=True)
  truth = _floor('hard', 512, mipmap=False)
  rows = truth.rgb[0].reshape(64, 8, 64, 8, 3).mean((1, 3))
  covered = np.asarray(truth.alpha[0]).reshape(64, 8, 64, 8).mean((1, 3))
  far = covered > 0.999
  far[40:] = False
  errors = [
    np.abs(np.asarray(r.rgb[0]) - rows)[far].mean() for r in (plain, mipped)
  ]
  assert errors[1] < 0.6 * errors[0]
