"""The canonical 468-point face: the space that face trackers work in.

Data of MediaPipe (Apache-2.0), kept with its licence and rebuild script in
third_party/mediapipe. Centimetres, +x to the viewer's right, +y up,
+z out of the face.
"""

import functools
from typing import NamedTuple

from jaxtyping import Float, Int
import numpy as np

from maskjax.weights import bundled

# Closed loops of vertex numbers around the two eyes and between the lips,
# +x side first; each pair of loops is mirrored.
LEFT_EYE = (
  263, 249, 390, 373, 374, 380, 381, 382,
  362, 398, 384, 385, 386, 387, 388, 466,
)  # fmt: skip
RIGHT_EYE = (
  33, 7, 163, 144, 145, 153, 154, 155,
  133, 173, 157, 158, 159, 160, 161, 246,
)  # fmt: skip
INNER_LIPS = (
  78, 95, 88, 178, 87, 14, 317, 402, 318, 324,
  308, 415, 310, 311, 312, 13, 82, 81, 80, 191,
)  # fmt: skip


class CanonicalFace(NamedTuple):
  """The canonical face mesh.

  Attributes:
    vertices: f32[468, 3], cm, exactly symmetric in x.
    uvs: f32[468, 2] in [0, 1]; v grows downwards (chin 0.95, forehead 0.11).
    faces: i32[898, 3], counter-clockwise seen from outside; eyes and mouth
      are closed, the one boundary is the outline of the face.
    procrustes_landmarks: i32[33], the vertices that fix the head's pose.
    procrustes_weights: f32[33], their weights (they sum to 1.055).
  """

  vertices: Float[np.ndarray, '468 3']
  uvs: Float[np.ndarray, '468 2']
  faces: Int[np.ndarray, '898 3']
  procrustes_landmarks: Int[np.ndarray, '33']
  procrustes_weights: Float[np.ndarray, '33']


@functools.cache
def load() -> CanonicalFace:
  """Return the canonical face (read once; the arrays are read-only).

  Raises:
    FileNotFoundError: the data file is missing.
  """
  path = bundled.third_party_path('mediapipe', 'canonical_face.npz')
  with np.load(path) as data:
    arrays = {name: data[name] for name in CanonicalFace._fields}
  for array in arrays.values():
    array.setflags(write=False)
  return CanonicalFace(**arrays)
