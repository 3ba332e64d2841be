"""How good generated faces are: depth, turn and identity of pictures.

Distances of distributions are in `distributions`.

Shapes: `n` pictures, `h w` pixels, `v` views of one identity, `d` features.
Pictures are sRGB: uint8, or floats in [0, 1].
"""

from collections.abc import Callable
import functools
from typing import Any, NamedTuple

import jax
from jaxtyping import Array, Bool, Float, Num
import numpy as np

from maskjax.evaluation import faces
from maskjax.face import identity, landmarks, networks, pose
from maskjax.geometry import ffhq

# Pictures looked at together.
_BATCH = 16
# A pixel counts as surface where it is covered by more than this.
_COVERED = 0.9


def _surface(
  depth: Any, true_depth: Any, alpha: Any
) -> tuple[
  Float[np.ndarray, 'n h w'],
  Float[np.ndarray, 'n h w'],
  Bool[np.ndarray, 'n h w'],
]:
  """Return depths, truths, and where they are surface."""
  found, true, cover = (
    np.asarray(x, np.float64) for x in (depth, true_depth, alpha)
  )
  if np.asarray(alpha).dtype == np.uint8:
    cover = cover / 255
  if not found.shape == true.shape == cover.shape or found.ndim != 3:
    raise ValueError(
      f'depth {found.shape}, true_depth {true.shape} and alpha {cover.shape} '
      'must all be [pictures, height, width]'
    )
  solid = cover > _COVERED
  if not solid.any((1, 2)).all():
    raise ValueError('a picture shows no surface: alpha is 0 everywhere')
  if not np.all(np.isfinite(found[solid])):
    raise ValueError('depth holds numbers that are not finite')
  return found, true, solid


def depth_error(
  depth: Num[Any, 'n h w'],
  true_depth: Num[Any, 'n h w'],
  alpha: Num[Any, 'n h w'],
) -> float:
  """Return the mean distance of depths from the true ones, on the surface.

  Args:
    depth: along the optical axis, any unit.
    true_depth: in the same unit.
    alpha: true coverage, [0, 1] or uint8; pixels above 0.9 count.

  Raises:
    ValueError: unlike shapes, no surface, or not finite.
  """
  found, true, solid = _surface(depth, true_depth, alpha)
  return float(np.mean(np.abs(found - true)[solid]))


def flatness(
  depth: Num[Any, 'n h w'],
  true_depth: Num[Any, 'n h w'],
  alpha: Num[Any, 'n h w'],
) -> float:
  """Return the share of the true depth's variance that is lost.

  Within each picture the depth is fitted by the true one, depth = a + b true;
  what is kept of the variance is b^2, and 1 - b |b|, averaged over pictures,
  is lost. Noise does not count as relief. 0: as deep as it should be, 1: a
  plane, above 1: hollow instead of raised, below 0: too deep.

  Args:
    depth: along the optical axis, any unit.
    true_depth: in the same unit.
    alpha: true coverage, [0, 1] or uint8; pixels above 0.9 count.

  Raises:
    ValueError: unlike shapes, no surface, a true depth that is a plane, or
      not finite.
  """
  lost = []
  for found, true, solid in zip(*_surface(depth, true_depth, alpha)):
    seen, known = found[solid], true[solid]
    known = known - known.mean()
    variance = np.mean(known**2)
    if variance < 1e-12:
      raise ValueError('the true depth of a picture is a plane')
    slope = np.mean(known * (seen - seen.mean())) / variance
    lost.append(1 - slope * abs(slope))
  return float(np.mean(lost))


def _pictures(images: Any, ndim: int = 4) -> Num[np.ndarray, '*lead h w 3']:
  """Return pictures, uint8 or float32, or refuse them."""
  array = np.asarray(images)
  if array.ndim != ndim or array.shape[-1] != 3 or not len(array):
    lead = 'n, v' if ndim == 5 else 'n'
    raise ValueError(
      f'images have the shape {array.shape}; expected [{lead}, h, w, 3]'
    )
  if array.dtype == np.uint8:
    return array
  if not np.all(np.isfinite(array)) or array.min() < 0 or array.max() > 1:
    raise ValueError('images must be uint8, or floats in [0, 1]')
  return array.astype(np.float32)


def _over_batches(look: Callable[..., Any], *arrays: np.ndarray) -> Any:
  """Apply a jitted function of a batch to many rows; outputs are NumPy."""
  count, parts = len(arrays[0]), []
  for start in range(0, count, _BATCH):
    batch = [x[start : start + _BATCH] for x in arrays]
    here = len(batch[0])
    # The last batch repeats its first row: one program serves all.
    batch = [np.concatenate([x, x[:1].repeat(_BATCH - here, 0)]) for x in batch]
    if batch[0].dtype == np.uint8:
      batch[0] = batch[0].astype(np.float32) / 255
    parts.append(look(*batch))
  return jax.tree.map(lambda *x: np.concatenate(x)[:count], *parts)


@jax.jit
def _features(
  params: Any, images: Float[Array, 'n h w 3']
) -> Float[Array, 'n d']:
  """Return pooled features of pictures of any size."""
  shape = (len(images), identity.SIZE, identity.SIZE, 3)
  seen = jax.image.resize(images, shape, 'linear')
  return identity.pooled(params, seen)


def face_features(images: Num[Any, 'n h w 3']) -> Float[np.ndarray, 'n 256']:
  """Return the identity network's last feature map, averaged over pixels.

  The whole picture is looked at, made 150 pixels large, without looking for a
  face in it: pictures are to be framed alike, as `data.people.face_images` are.

  Args:
    images: square, sRGB.

  Returns:
    A row a picture, not negative.

  Raises:
    ValueError: no pictures, or values out of range.
  """
  look = functools.partial(_features, identity.load())
  return _over_batches(look, _pictures(images))


@jax.jit
def _see(
  nets: Any,
  params: Any,
  images: Float[Array, 'n h w 3'],
  fovy: Float[Array, 'n'],
) -> tuple[Bool[Array, 'n'], Float[Array, 'n 3'], Float[Array, 'n d']]:
  """Find each picture's face: found, the camera's axis, the embedding."""
  size = images.shape[1:3]

  def one(
    image: Float[Array, 'h w 3'], angle: Float[Array, '']
  ) -> tuple[Bool[Array, ''], Float[Array, '3'], Float[Array, 'd']]:
    face = landmarks.find(nets, image, refinements=1)
    points = face.points[0]
    head = pose.head_pose(points, *size, fovy=angle)
    axis = head.camera.cam2world[:3, 2]
    return face.found[0], axis, identity.embed(params, image, points)

  return jax.lax.map(lambda x: one(*x), (images, fovy))


def _look(
  images: Num[np.ndarray, 'n h w 3'], fovy: Float[np.ndarray, 'n']
) -> tuple[
  Bool[np.ndarray, 'n'], Float[np.ndarray, 'n 3'], Float[np.ndarray, 'n d']
]:
  """See pictures of given angles of view (degrees), in batches."""
  look = functools.partial(_see, networks.load(), identity.load())
  return _over_batches(look, images, fovy.astype(np.float32))


def _yaw(axis: Float[np.ndarray, 'n 3']) -> Float[np.ndarray, 'n']:
  """Return the azimuth of cameras by their optical axes, degrees."""
  axis = np.asarray(axis)
  return np.degrees(np.arctan2(-axis[..., 0], -axis[..., 2]))


class YawError(NamedTuple):
  """How well faces turn as their cameras ask.

  Attributes:
    median: of the errors of faces that are found, degrees.
    found: share of the pictures in which a face is found.
    errors: of each picture, degrees in [0, 180]; nan where none is found.
  """

  median: float
  found: float
  errors: Float[np.ndarray, 'n']


def yaw_error(
  images: Num[Any, 'n h w 3'], cameras: Num[Any, 'n 25']
) -> YawError:
  """Compare the turn of faces, found anew, with the cameras asked for.

  Args:
    images: sRGB, with a face each.
    cameras: EG3D's 25 numbers, in the world of `data.people.face_images`.

  Raises:
    ValueError: no pictures, values out of range, or other cameras.
  """
  pictures = _pictures(images)
  asked = np.asarray(cameras, np.float64)
  if asked.shape != (len(pictures), 25):
    raise ValueError(
      f'cameras have the shape {asked.shape}; expected {(len(pictures), 25)}'
    )
  focal = asked[:, 20]  # of the image's height
  fovy = np.degrees(2 * np.arctan(0.5 / focal))
  found, axes, _ = _look(pictures, fovy)
  gap = _yaw(axes) - _yaw(asked[:, :16].reshape(-1, 4, 4)[:, :3, 2])
  errors = np.where(found, np.abs((gap + 180) % 360 - 180), np.nan)
  median = float(np.median(errors[found])) if found.any() else float('nan')
  return YawError(median, float(found.mean()), errors)


def identity_consistency(
  images_by_view: Num[Any, 'n v h w 3'],
) -> dict[str, float]:
  """Ask whether views of one identity show one person.

  Args:
    images_by_view: sRGB; `v` views of each of `n` identities.

  Returns:
    As `faces.identity_results` (same_mean, different_mean and
    equal_error_rate among them), and `found`, the share of pictures with a
    face, which alone are compared.

  Raises:
    ValueError: fewer than two identities or views, or values out of range;
      no two pictures of one identity in which a face is found.
  """
  pictures = _pictures(images_by_view, ndim=5)
  count, views = pictures.shape[:2]
  flat = pictures.reshape(count * views, *pictures.shape[2:])
  fovy = np.full(len(flat), ffhq.FOVY)
  found, _, rows = _look(flat, fovy)
  groups = [
    list(r[f])
    for r, f in zip(rows.reshape(count, views, -1), found.reshape(count, views))
  ]
  result = faces.identity_results([g for g in groups if g])
  return result | {'found': float(found.mean())}
