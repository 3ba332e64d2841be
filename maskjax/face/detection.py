"""Finding faces in a picture with BlazeFace.

The picture is shown to the network whole, padded to a square. Each of 896
anchors answers with a score, a box and six points; answers that overlap are
averaged, weighted by their scores (Bazarevsky et al., "BlazeFace", 2019,
section 4.3). The thresholds are those of MediaPipe's face mesh pipeline.

Shapes: `h w` pixels, `n` anchors, `k` faces.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float
import numpy as np

from maskjax.face import crops, networks

# The six points of a detection, as the viewer sees them.
KEYPOINTS = (
  'left eye',
  'right eye',
  'nose tip',
  'mouth',
  'left ear',
  'right ear',
)
_OVERLAP = 0.3  # intersection over union from which answers mean one face
_MAX_LOGIT = 100.0
# How much larger than the face's box the landmark network's crop is.
_MARGIN = 1.5


class Detections(NamedTuple):
  """Faces of one picture, the surest first.

  Attributes:
    found: which of the `k` rows hold a face.
    scores: in [0, 1], 0 where there is none.
    boxes: left, top, right, bottom, pixels; 0 where there is none.
    points: the six `KEYPOINTS`, x and y in pixels; 0 where there is none.
  """

  found: Bool[Array, 'k']
  scores: Float[Array, 'k']
  boxes: Float[Array, 'k 4']
  points: Float[Array, 'k 6 2']


def anchors() -> Float[np.ndarray, '896 2']:
  """Return the anchors' centres as fractions of the network's picture."""
  rows = []
  for cells, repeats in ((16, 2), (8, 6)):
    centers = (np.arange(cells) + 0.5) / cells
    y, x = np.meshgrid(centers, centers, indexing='ij')
    rows.append(np.repeat(np.stack([x.ravel(), y.ravel()], -1), repeats, 0))
  return np.concatenate(rows).astype(np.float32)


def _decode(raw: Float[Array, 'n 16']) -> Float[Array, 'n 16']:
  """Turn answers into corners (4 numbers) and points (12), as fractions."""
  raw = raw / networks.DETECTOR_SIZE
  places = jnp.asarray(anchors())
  center, size = raw[:, :2] + places, raw[:, 2:4]
  points = raw[:, 4:].reshape(-1, 6, 2) + places[:, None]
  return jnp.concatenate(
    [center - size / 2, center + size / 2, points.reshape(-1, 12)], -1
  )


def _overlaps(
  box: Float[Array, '4'], boxes: Float[Array, 'n 4']
) -> Float[Array, 'n']:
  """Return intersection over union of one box with many."""

  def area(
    low: Float[Array, '*k 2'], high: Float[Array, '*k 2']
  ) -> Float[Array, '*k']:
    return jnp.prod(jnp.maximum(high - low, 0.0), -1)

  low = jnp.maximum(box[None, :2], boxes[:, :2])
  high = jnp.minimum(box[None, 2:], boxes[:, 2:])
  shared = area(low, high)
  both = area(boxes[:, :2], boxes[:, 2:]) + area(box[:2], box[2:]) - shared
  return shared / jnp.maximum(both, 1e-12)


def _suppress(
  scores: Float[Array, 'n'],
  values: Float[Array, 'n 16'],
  count: int,
  threshold: float,
) -> tuple[Float[Array, 'k'], Float[Array, 'k 16']]:
  """Average overlapping answers; return `count` scores and values."""

  def step(
    scores: Float[Array, 'n'], _: None
  ) -> tuple[Float[Array, 'n'], tuple[Float[Array, ''], Float[Array, '16']]]:
    best = jnp.argmax(scores)
    same = _overlaps(values[best, :4], values[:, :4]) > _OVERLAP
    same = same.at[best].set(True)
    weights = jnp.where(same & (scores >= threshold), scores, 0.0)
    total = jnp.sum(weights)
    mean = weights @ values / jnp.where(total > 0, total, 1.0)
    return jnp.where(same, 0.0, scores), (scores[best], mean)

  scores = jnp.where(scores >= threshold, scores, 0.0)
  _, found = jax.lax.scan(step, scores, None, length=count)
  return found


def detect(
  nets: networks.Networks,
  image: Float[Array, 'h w 3'],
  *,
  max_faces: int = 4,
  threshold: float = 0.5,
) -> Detections:
  """Find the faces of a picture.

  Made for faces that fill more than about a tenth of the picture.

  Args:
    nets: the networks' parameters, from `networks.load`.
    image: sRGB in [0, 1]; at least a pixel. Where it is not finite, there is
      no face.
    max_faces: rows of the answer.
    threshold: the least score of a face.

  Returns:
    Detections; none of them `found` where there is no face.
  """
  height, width, _ = image.shape
  side = max(height, width)
  region = crops.whole(height, width, square=True)
  seen = crops.crop(image, region, networks.DETECTOR_SIZE, outside=0.0)
  logits, raw = networks.BlazeFace().apply(
    {'params': nets.detector}, 2.0 * seen[None] - 1.0
  )
  logits = jnp.clip(logits[0], -_MAX_LOGIT, _MAX_LOGIT)
  # One pixel that is no number spoils them all: then there is no face.
  sound = jnp.isfinite(logits) & jnp.all(jnp.isfinite(raw[0]), -1)
  scores = jnp.where(sound, jax.nn.sigmoid(logits), 0.0)
  values = jnp.where(sound[:, None], _decode(raw[0]), 0.0)
  scores, values = _suppress(scores, values, max_faces, threshold)
  found = scores > 0
  offset = 0.5 * (jnp.array([width, height], float) - side)
  values = values.reshape(-1, 8, 2) * side + offset[None, None]
  values = jnp.where(found[:, None, None], values, 0.0)
  return Detections(
    found=found,
    scores=scores,
    boxes=values[:, :2].reshape(-1, 4),
    points=values[:, 2:],
  )


def upright_region(
  low: Float[Array, '2'],
  high: Float[Array, '2'],
  left_eye: Float[Array, '2'],
  right_eye: Float[Array, '2'],
) -> crops.Region:
  """Return the region in which a face stands upright.

  Args:
    low: left and top of the face's box, pixels.
    high: its right and bottom.
    left_eye: centre of the eye on the viewer's left, pixels.
    right_eye: centre of the other eye, pixels.

  Returns:
    A square one and a half times as large as the box's longer side.
  """
  across = right_eye - left_eye
  # Eyes in one place have no direction; arctan2 has no gradient there.
  known = jnp.sum(across * across) > 0
  across = jnp.where(known, across, jnp.array([1.0, 0.0], across.dtype))
  side = _MARGIN * jnp.max(high - low)
  return crops.Region(
    center=0.5 * (low + high),
    size=jnp.stack([side, side]),
    rotation=jnp.arctan2(across[1], across[0]),
  )


def face_region(
  box: Float[Array, '4'], points: Float[Array, '6 2']
) -> crops.Region:
  """Return the landmark network's region for one detection.

  Args:
    box: left, top, right and bottom of the face, pixels.
    points: the six `KEYPOINTS`, x and y in pixels.
  """
  return upright_region(box[:2], box[2:], points[0], points[1])
