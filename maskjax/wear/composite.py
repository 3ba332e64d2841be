"""Drawing a mask into a frame: hidden by the head, lit by the frame.

One pass of the rasterizer draws the mask and, in depth alone, the head behind
it, in a square window around the mask whose pixels are those of the frame. The
light is that of the frame, in spherical harmonics. The mask is blurred and
given noise as the frame has them, and laid over it in linear light.

Shapes: `v` vertices, `f` faces, `h w` pixels of a frame, `s` pixels on a side
of a window.
"""

import functools
from typing import NamedTuple

import jax
from jax import lax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, UInt8
import numpy as np

from maskjax.geometry import camera as camera_lib, color, mesh as mesh_lib, safe
from maskjax.render import lights as lights_lib
from maskjax.render.mesh import rasterizer

# Sides of windows, pixels: each is compiled once.
_SIDES = (64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096)
# Windows up to this side are drawn at four samples a pixel.
_FINE = 192
_BLUR_REACH = 3
# What lies nearer to the camera than this, cm, is not drawn.
_NEAR = 3.0


class Window(NamedTuple):
  """A square of a frame, which may reach beyond it.

  Attributes:
    top: row of its first pixel.
    left: column of its first pixel.
    side: pixels.
  """

  top: int
  left: int
  side: int


class Look(NamedTuple):
  """How a frame shows things.

  Attributes:
    blur: standard deviation of its blur, pixels.
    noise: standard deviation of its noise, sRGB in [0, 1].
  """

  blur: float
  noise: float


SHARP = Look(0.0, 0.0)


class Surface(NamedTuple):
  """A mask and the head that hides it, as one mesh in the head's frame.

  Attributes:
    vertices: cm.
    faces: of both, counter-clockwise seen from outside.
    colors: linear RGB of the mask's albedo; anything on the head.
    shown: 1 on the mask, 0 on the head.
  """

  vertices: Float[Array, 'v 3']
  faces: Int[np.ndarray, 'f 3']
  colors: Float[Array, 'v 3']
  shown: Float[Array, 'v 1']


def join(mask: mesh_lib.Mesh, head: mesh_lib.Mesh | None) -> Surface:
  """Lay a mask and a head together.

  Args:
    mask: with colours, or without: then it is light grey.
    head: of `binding.occluder`; None hides nothing.
  """
  colors = mask.colors
  if colors is None:
    colors = jnp.full_like(mask.vertices, 0.6)
  faces, vertices = np.asarray(mask.faces), mask.vertices
  shown = jnp.ones((len(vertices), 1))
  if head is not None:
    faces = np.concatenate([faces, np.asarray(head.faces) + len(vertices)])
    vertices = jnp.concatenate([vertices, head.vertices])
    colors = jnp.concatenate([colors, jnp.zeros_like(head.vertices)])
    shown = jnp.concatenate([shown, jnp.zeros((len(head.vertices), 1))])
  return Surface(vertices, faces, colors, shown)


def window_around(
  points: Float[np.ndarray, 'v 2'], height: int, width: int
) -> Window | None:
  """Return the square in which a mask lies.

  Args:
    points: of its vertices, image coordinates in [0, 1] within the frame.
    height: of the frame, pixels.
    width: of the frame, pixels.

  Returns:
    None where nothing of it is in the frame.
  """
  sides = np.array([width, height])
  if not np.all(np.isfinite(points)):
    return None
  low = np.clip(points.min(0) * sides - _BLUR_REACH - 1, 0, sides)
  high = np.clip(points.max(0) * sides + _BLUR_REACH + 1, 0, sides)
  if np.any(high - low < 1):
    return None
  needed = float((high - low).max())
  side = next((s for s in _SIDES if s >= needed), _SIDES[-1])
  corner = np.floor((low + high) / 2 - side / 2).astype(int)
  return Window(top=int(corner[1]), left=int(corner[0]), side=side)


def _intrinsics(
  intrinsics: Float[Array, '3 3'],
  corner: Float[Array, '2'],
  shape: tuple[int, int],
  side: int,
) -> Float[Array, '3 3']:
  """Return the intrinsics of a window; `corner` is its left and top."""
  sides = jnp.asarray([shape[1], shape[0]], jnp.float32)
  rows = intrinsics[:2] * sides[:, None] / side
  rows = rows.at[:, 2].add(-corner / side)
  return jnp.concatenate([rows, intrinsics[2:]])


def _average(images: Float[Array, 'n n c'], samples: int) -> Array:
  """Average squares of samples."""
  side = images.shape[0] // samples
  shape = (side, samples, side, samples, -1)
  return jnp.mean(images.reshape(shape), axis=(1, 3))


def _draw(
  surface: Surface,
  cam2world: Float[Array, '4 4'],
  intrinsics: Float[Array, '3 3'],
  harmonics: Float[Array, '9 3'],
  *,
  side: int,
) -> Float[Array, 's s 4']:
  """Return premultiplied linear RGB and coverage of the mask that is seen."""
  normals = mesh_lib.vertex_normals(surface.vertices, surface.faces)
  # A sheet is lit on the side that is seen.
  toward = cam2world[None, :3, 3] - surface.vertices
  facing = jnp.sum(normals * toward, -1, keepdims=True)
  normals = normals * jnp.where(facing < 0, -1.0, 1.0)
  lights = lights_lib.create(harmonics=harmonics)
  light = lights_lib.irradiance(lights, surface.vertices, normals)
  attributes = jnp.concatenate([light * surface.colors, surface.shown], -1)
  camera = camera_lib.Camera(cam2world[None], intrinsics[None])
  samples = 2 if side <= _FINE else 1
  raster = rasterizer.rasterize(
    camera_lib.world_to_camera(camera, surface.vertices),
    surface.faces,
    attributes[None],
    intrinsics[None],
    size=side * samples,
    mode='hard',
    depth_range=(_NEAR, 1000.0),
  )
  image, alpha = raster.attributes[0], raster.alpha[0, ..., None]
  shown = jnp.clip(image[..., 3:], 0.0, 1.0)
  rgba = jnp.concatenate([image[..., :3], jnp.ones_like(shown)], -1)
  return _average(rgba * alpha * shown, samples)


def _blurred(
  image: Float[Array, 's s c'], sigma: Float[Array, '']
) -> Float[Array, 's s c']:
  """Blur with a Gaussian of a standard deviation in pixels."""
  steps = jnp.arange(-_BLUR_REACH, _BLUR_REACH + 1)
  weights = jnp.exp(-0.5 * (steps / jnp.maximum(sigma, 0.05)) ** 2)
  weights = weights / jnp.sum(weights)
  pad = ((_BLUR_REACH, _BLUR_REACH), (0, 0), (0, 0))
  for _ in range(2):
    padded = jnp.pad(image, pad)
    image = sum(
      weights[k] * lax.dynamic_slice_in_dim(padded, k, image.shape[0])
      for k in range(2 * _BLUR_REACH + 1)
    )
    image = jnp.swapaxes(image, 0, 1)
  return image


class _Shot(NamedTuple):
  """What differs from frame to frame, beside the surface."""

  cam2world: Float[Array, '4 4']
  intrinsics: Float[Array, '3 3']
  corner: Float[Array, '2']
  harmonics: Float[Array, '9 3']
  blur: Float[Array, '']
  noise: Float[Array, '']
  opacity: Float[Array, '']


@functools.partial(jax.jit, static_argnames='shape')
def _compose(
  surface: Surface,
  shot: _Shot,
  behind: UInt8[Array, 's s 3'],
  matte: Float[Array, 's s'],
  key: Array,
  *,
  shape: tuple[int, int],
) -> tuple[UInt8[Array, 's s 3'], Float[Array, 's s 4']]:
  """Draw the mask over a window; return the window, and the mask alone."""
  side = behind.shape[0]
  intrinsics = _intrinsics(shot.intrinsics, shot.corner, shape, side)
  drawn = _draw(surface, shot.cam2world, intrinsics, shot.harmonics, side=side)
  drawn = _blurred(drawn, shot.blur) * (shot.opacity * matte)[..., None]
  alpha = drawn[..., 3:]
  linear = color.srgb_to_linear(behind.astype(jnp.float32) / 255)
  mixed = color.linear_to_srgb(jnp.clip(linear * (1 - alpha) + drawn[..., :3],
                                        0.0, 1.0))  # fmt: skip
  grain = shot.noise * jax.random.normal(key, alpha.shape)
  mixed = jnp.clip(jnp.round(255 * (mixed + grain * alpha)), 0, 255)
  # Where there is no mask, the frame stays as it is, bit for bit.
  result = jnp.where(alpha > 0, mixed, behind).astype(jnp.uint8)
  own = safe.safe_divide(drawn[..., :3], jnp.broadcast_to(alpha, mixed.shape))
  own = color.linear_to_srgb(jnp.clip(own, 0.0, 1.0))
  return result, jnp.concatenate([own, alpha], -1)


def _cut_out(
  image: UInt8[np.ndarray, 'h w 3'], window: Window
) -> tuple[
  UInt8[np.ndarray, 's s 3'], tuple[slice, slice], tuple[slice, slice]
]:
  """Return a window of a frame, and which part of each is the other's."""
  height, width, _ = image.shape
  top, left = max(window.top, 0), max(window.left, 0)
  bottom = min(window.top + window.side, height)
  right = min(window.left + window.side, width)
  outer = slice(top, bottom), slice(left, right)
  inner = (
    slice(top - window.top, bottom - window.top),
    slice(left - window.left, right - window.left),
  )
  cut = np.zeros((window.side, window.side, 3), np.uint8)
  cut[inner] = image[outer]
  return cut, inner, outer


def wear(
  image: UInt8[np.ndarray, 'h w 3'],
  surface: Surface,
  camera: camera_lib.Camera,
  harmonics: Float[Array, '9 3'],
  look: Look,
  *,
  opacity: float = 1.0,
  seed: int = 0,
) -> tuple[UInt8[np.ndarray, 'h w 3'], UInt8[np.ndarray, 'h w 4']]:
  """Draw a mask into a frame.

  Args:
    image: the frame, sRGB.
    surface: the mask and the head, in the head's frame.
    camera: in the head's frame, of the whole frame.
    harmonics: the light, in the head's frame; see `render.lights`.
    look: blur and noise of the frame.
    opacity: of the mask, in [0, 1].
    seed: of the noise: another one for each frame.

  Returns:
    The frame with the mask on, and the mask alone in sRGB with alpha.
  """
  height, width, _ = image.shape
  alone = np.zeros((height, width, 4), np.uint8)
  mask = np.asarray(surface.shown)[:, 0] > 0
  points, depths = camera_lib.project(camera, surface.vertices)
  points, depths = np.asarray(points)[mask], np.asarray(depths)[mask]
  in_front = depths > _NEAR
  if opacity <= 0 or not in_front.any():
    return image, alone
  window = window_around(points[in_front], height, width)
  if window is None:
    return image, alone
  cut, inner, outer = _cut_out(image, window)
  shot = _Shot(
    cam2world=camera.cam2world,
    intrinsics=camera.intrinsics,
    corner=jnp.asarray([window.left, window.top], jnp.float32),
    harmonics=jnp.asarray(harmonics, jnp.float32),
    blur=jnp.float32(look.blur),
    noise=jnp.float32(look.noise),
    opacity=jnp.float32(opacity),
  )
  matte = jnp.ones((window.side, window.side))
  result, own = _compose(
    surface,
    shot,
    jnp.asarray(cut),
    matte,
    jax.random.key(seed),
    shape=(height, width),
  )
  worn = image.copy()
  worn[outer] = np.asarray(result)[inner]
  alone[outer] = color.to_bytes(np.asarray(own)[inner])
  return worn, alone


def noise_of(image: UInt8[np.ndarray, 'h w 3']) -> float:
  """Estimate the noise of a frame, sRGB in [0, 1].

  The median of a Laplacian's answers, which edges have no say in (Immerkaer,
  "Fast Noise Variance Estimation", 1996, with the median for the mean).

  Args:
    image: sRGB.
  """
  grey = image[..., 1].astype(np.float32) / 255
  clear = (grey > 0.03) & (grey < 0.97)
  rows = grey[:-2] - 2 * grey[1:-1] + grey[2:]
  answers = np.abs(rows[:, :-2] - 2 * rows[:, 1:-1] + rows[:, 2:])
  answers = answers[clear[1:-1, 1:-1]]
  if answers.size < 100:
    return 0.0
  # The mask's squares sum to 36.
  return float(np.median(answers) / 0.6745 / 6)


def blur_of(image: UInt8[np.ndarray, 'h w 3'], noise: float) -> float:
  """Estimate the blur of a frame's sharpest edges, pixels.

  An edge of blur s that is blurred by 1 more pixel falls to
  s / sqrt(s^2 + 1) of its slope (Zhuo and Sim, "Defocus map estimation from a
  single image", 2011, equation 3).

  Args:
    image: sRGB.
    noise: of the frame, see `noise_of`.

  Returns:
    Standard deviation; 0 where there is no edge.
  """
  grey = jnp.asarray(image[..., 1], jnp.float32)[..., None] / 255
  grey = np.asarray(_slopes(grey))
  slopes, blurred = grey
  strong = slopes > max(4 * noise, 0.04)
  if strong.sum() < 50:
    return 0.0
  ratio = slopes[strong] / np.maximum(blurred[strong], 1e-6)
  # The sharpest fifth; the rest lies out of focus.
  sharp = max(float(np.quantile(ratio, 0.8)), 1.0 + 1e-3)
  return float(min(1 / np.sqrt(sharp**2 - 1), 2.5))


@jax.jit
def _slopes(grey: Float[Array, 'h w 1']) -> Float[Array, '2 a b']:
  """Return the slopes of a picture, and of the same blurred by a pixel."""

  def slope(image: Array) -> Array:
    down = image[2:, 1:-1] - image[:-2, 1:-1]
    right = image[1:-1, 2:] - image[1:-1, :-2]
    return 0.5 * jnp.hypot(down, right)[..., 0]

  return jnp.stack([slope(grey), slope(_blurred_rows(grey))])


def _blurred_rows(image: Float[Array, 'h w 1']) -> Float[Array, 'h w 1']:
  """Blur by a Gaussian of one pixel, borders repeated."""
  steps = np.arange(-3, 4)
  weights = np.exp(-0.5 * steps**2)
  weights /= weights.sum()
  for axis in (0, 1):
    pad = [(3, 3) if k == axis else (0, 0) for k in range(3)]
    padded = jnp.pad(image, pad, mode='edge')
    image = sum(
      float(w) * lax.slice_in_dim(padded, k, k + image.shape[axis], axis=axis)
      for k, w in enumerate(weights)
    )
  return image


def look_of(image: UInt8[np.ndarray, 'h w 3']) -> Look:
  """Estimate blur and noise of a frame.

  Args:
    image: sRGB.
  """
  noise = noise_of(image)
  return Look(blur_of(image, noise), noise)
