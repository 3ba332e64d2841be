"""The 468 points of a face in a picture, with FaceMesh.

The points are those of the canonical face (geometry.canonical), one to one.
In a video the points of one frame say where to look in the next one; the
detector is asked again only when the face is lost (`follow`).

Source: Kartynnik et al., "Real-time Facial Surface Geometry from Monocular
Video on Mobile GPUs" (2019). Margins and thresholds are MediaPipe's.

Shapes: `h w` pixels, `k` faces.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from maskjax.face import crops, detection, networks

# The outer corners of the eyes, the viewer's left one first.
_EYE_CORNERS = (33, 263)


class Landmarks(NamedTuple):
  """The face of one picture, or of `k` regions of it.

  Attributes:
    found: whether there is a face.
    score: in [0, 1].
    points: image coordinates, 0 to 1 inside of the picture: x in widths, y
      (down) in heights, z in widths, growing away from the viewer and 0 near
      the middle of the head. All 0 where there is no face.
  """

  found: Bool[Array, '*k']
  score: Float[Array, '*k']
  points: Float[Array, '*k 468 3']


def landmarks(
  nets: networks.Networks,
  image: Float[Array, 'h w 3'],
  region: crops.Region,
  *,
  threshold: float = 0.5,
) -> Landmarks:
  """Find the points of the face in one region.

  Args:
    nets: the networks' parameters, from `networks.load`.
    image: sRGB in [0, 1].
    region: unbatched, from `detection.face_region` or `next_region`.
    threshold: the least score of a face.

  Returns:
    Landmarks of one face, differentiable in picture and region.
  """
  height, width, _ = image.shape
  seen = crops.crop(image, region, networks.MESH_SIZE)
  points, logit = networks.FaceMesh().apply({'params': nets.mesh}, seen[None])
  points = points[0] / networks.MESH_SIZE
  flat = crops.to_picture(region, points[:, :2])
  flat = flat / jnp.array([width, height], flat.dtype)[None]
  depth = points[:, 2] * region.size[0] / width
  points = jnp.concatenate([flat, depth[:, None]], -1)
  score = jnp.nan_to_num(jax.nn.sigmoid(logit[0]))
  found = (score >= threshold) & jnp.all(jnp.isfinite(points))
  return Landmarks(
    found=found, score=score, points=jnp.where(found, points, 0.0)
  )


def next_region(
  points: Float[Array, '468 3'], height: int, width: int
) -> crops.Region:
  """Return where to look for a face that was here in the last picture.

  Args:
    points: the face's points in image coordinates, of `Landmarks`.
    height: height of the picture, pixels.
    width: width of the picture, pixels.
  """
  flat = points[:, :2] * jnp.array([width, height], points.dtype)[None]
  left, right = (flat[corner] for corner in _EYE_CORNERS)
  return detection.upright_region(flat.min(0), flat.max(0), left, right)


def find(
  nets: networks.Networks,
  image: Float[Array, 'h w 3'],
  *,
  max_faces: int = 1,
  threshold: float = 0.5,
  refinements: int = 0,
) -> Landmarks:
  """Find the points of every face of a picture.

  Args:
    nets: the networks' parameters, from `networks.load`.
    image: sRGB in [0, 1].
    max_faces: `k`, rows of the answer.
    threshold: the least score of a face, for detector and landmarks.
    refinements: how often to look again, at the region that the found points
      ask for; once helps where the detector's box is a poor one. With 0 the
      points are MediaPipe's.

  Returns:
    Landmarks of `k` faces, the detector's surest first; none of them `found`
    where there is no face, or where the picture is not finite.
  """
  height, width, _ = image.shape
  faces = detection.detect(
    nets, image, max_faces=max_faces, threshold=threshold
  )

  def one(box: Float[Array, '4'], eyes: Float[Array, '6 2']) -> Landmarks:
    region = detection.face_region(box, eyes)
    result = landmarks(nets, image, region, threshold=threshold)
    for _ in range(refinements):
      region = next_region(result.points, height, width)
      result = landmarks(nets, image, region, threshold=threshold)
    return result

  result = jax.vmap(one)(faces.boxes, faces.points)
  found = result.found & faces.found
  return Landmarks(
    found=found,
    score=jnp.where(found, result.score, 0.0),
    points=jnp.where(found[:, None, None], result.points, 0.0),
  )


def follow(
  nets: networks.Networks,
  image: Float[Array, 'h w 3'],
  last: Landmarks,
  *,
  threshold: float = 0.5,
) -> Landmarks:
  """Find the points of one face in the next picture of a video.

  Looks where the face was, and asks the detector only where it is not there.

  Args:
    nets: the networks' parameters, from `networks.load`.
    image: sRGB in [0, 1].
    last: the face in the picture before; `found` may be False.
    threshold: the least score of a face.

  Returns:
    Landmarks of one face; not `found` in pictures without a face or that are
    not finite, which the next one gets over.
  """
  region = next_region(last.points, *image.shape[:2])
  near = landmarks(nets, image, region, threshold=threshold)

  def search() -> Landmarks:
    faces = find(nets, image, threshold=threshold)
    return jax.tree.map(lambda x: x[0], faces)

  return jax.lax.cond(last.found & near.found, lambda: near, search)
