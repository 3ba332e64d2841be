"""Following the faces of a video from frame to frame.

A face is looked for once, then followed: the points of one frame say where to
look in the next. New faces are looked for now and then; a face that scores too
low is lost; it is itself again if it comes back soon and nearby. A cut makes
all of it anew.

What is found is kept in a file, a record for each face of each frame, so that
a clip of any length takes as much memory as a short one.

Shapes: `h w` pixels, `n` frames, `r` records.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, UInt8
import numpy as np

from maskjax.face import landmarks, networks, search

# A face begins with the first score and is kept down to the second one.
_START, _KEEP = 0.6, 0.5
# Frames between two looks for new faces: while there is one, while there is
# none; and between two looks for small ones, which take longer.
_EVERY, _EVERY_LOST, _EVERY_SMALL = 10, 2, 20
# Faces nearer than this part of their size are one.
_SAME = 0.4
# A face that is found at most this many frames after one was lost, no further
# from there than this part of its size, is that one.
_BACK_FRAMES, _BACK = 45, 1.0
# Of a frame's longer side: smaller ones are noise on a wall.
_SMALLEST = 0.025
# Two frames of different shots: parts of the whole range of brightness, and
# of what changes from frame to frame within a shot.
_CUT, _CUT_RATIO = 0.08, 5.0
_THUMBNAIL = (18, 32)

# A face of a frame, as it lies in the file.
RECORD = np.dtype(
  [
    ('frame', '<i4'),
    ('face', '<i4'),
    ('score', '<f4'),
    ('points', '<f4', (468, 3)),
  ]
)


class Face(NamedTuple):
  """A face of one frame.

  Attributes:
    number: the same in all frames that it is followed through.
    score: how sure it is a face, in [0, 1].
    points: see `face.landmarks.Landmarks`.
  """

  number: int
  score: float
  points: Float[np.ndarray, '468 3']


class State(NamedTuple):
  """What is known after a frame.

  Attributes:
    faces: of the frame.
    total: faces there have been.
    since: frames since faces were looked for, and since small ones were.
    thumbnail: the frame, small and grey, in [0, 1]; None before the first.
    change: how much thumbnails change within the shot, a running mean.
    cut: whether the frame begins another shot.
    lost: faces that were there a while ago, and how many frames ago.
  """

  faces: tuple[Face, ...] = ()
  total: int = 0
  since: tuple[int, int] = (1000, 1000)
  thumbnail: Float[np.ndarray, 'a b'] | None = None
  change: float = 0.0
  cut: bool = False
  lost: tuple[tuple[Face, int], ...] = ()


def thumbnail(image: UInt8[np.ndarray, 'h w 3']) -> Float[np.ndarray, 'a b']:
  """Return a small grey picture in [0, 1], which cuts are seen in."""
  rows, columns = _THUMBNAIL
  height, width, _ = image.shape
  step = max(1, min(height // (4 * rows), width // (4 * columns)))
  grey = image[::step, ::step].mean(-1, dtype=np.float32) / 255
  down = np.linspace(0, len(grey), rows + 1).astype(int)[:-1]
  right = np.linspace(0, grey.shape[1], columns + 1).astype(int)[:-1]
  sums = np.add.reduceat(np.add.reduceat(grey, down, 0), right, 1)
  ones = np.ones_like(grey)
  return sums / np.add.reduceat(np.add.reduceat(ones, down, 0), right, 1)


def _unit(image: UInt8[Array, 'h w 3']) -> Float[Array, 'h w 3']:
  return image.astype(jnp.float32) / 255.0


@jax.jit
def _follow(
  nets: networks.Networks,
  image: UInt8[Array, 'h w 3'],
  points: Float[Array, '468 3'],
) -> landmarks.Landmarks:
  """Look for a face near where it was."""
  height, width, _ = image.shape
  region = landmarks.next_region(points, height, width)
  return landmarks.landmarks(nets, _unit(image), region, threshold=_KEEP)


@jax.jit
def _find(
  nets: networks.Networks, image: UInt8[Array, 'h w 3']
) -> landmarks.Landmarks:
  """Look for faces everywhere."""
  return landmarks.find(nets, _unit(image), max_faces=4, refinements=1)


def _extent(
  points: Float[np.ndarray, '468 3'], shape: tuple[int, ...]
) -> tuple[Float[np.ndarray, '2'], float]:
  """Return middle and longer side of a face, pixels."""
  flat = points[:, :2] * [shape[1], shape[0]]
  low, high = flat.min(0), flat.max(0)
  return (low + high) / 2, float((high - low).max())


def _is_face(face: landmarks.Landmarks, shape: tuple[int, ...]) -> bool:
  """Tell whether what is found may be a face of the picture."""
  points = np.asarray(face.points)
  if not bool(face.found) or not np.all(np.isfinite(points)):
    return False
  middle, size = _extent(points, shape)
  inside = np.all(middle > 0) and np.all(middle < [shape[1], shape[0]])
  return bool(inside and size > _SMALLEST * max(shape[:2]))


def _is_known(
  points: Float[np.ndarray, '468 3'],
  faces: tuple[Face, ...],
  shape: tuple[int, ...],
) -> bool:
  """Tell whether a face is one of those that are followed already."""
  middle, size = _extent(points, shape)
  for face in faces:
    other, other_size = _extent(face.points, shape)
    if np.linalg.norm(middle - other) < _SAME * max(size, other_size):
      return True
  return False


def _followed(
  nets: networks.Networks,
  image: UInt8[np.ndarray, 'h w 3'],
  faces: tuple[Face, ...],
) -> tuple[Face, ...]:
  """Return those of some faces that are found again."""
  kept: tuple[Face, ...] = ()
  for face in faces:
    found = _follow(nets, image, face.points)
    points = np.asarray(found.points)
    if not _is_face(found, image.shape) or _is_known(points, kept, image.shape):
      continue
    kept += (Face(face.number, float(found.score), points),)
  return kept


def _new(
  nets: networks.Networks,
  image: UInt8[np.ndarray, 'h w 3'],
  faces: tuple[Face, ...],
  small: bool,
) -> list[landmarks.Landmarks]:
  """Return faces that are not followed yet, the leftmost first."""
  found = _find(nets, image)
  rows = [
    jax.tree.map(lambda x, k=k: x[k], found) for k in range(len(found.found))
  ]
  if small and not bool(found.found.any()) and not faces:
    largest = search.largest(nets, _unit(jnp.asarray(image)))
    rows = [] if largest is None else [largest[0]]
  fresh = [
    row
    for row in rows
    if _is_face(row, image.shape)
    and float(row.score) >= _START
    and not _is_known(np.asarray(row.points), faces, image.shape)
  ]
  return sorted(fresh, key=lambda row: float(row.points[:, 0].mean()))


def _back(
  points: Float[np.ndarray, '468 3'],
  lost: tuple[tuple[Face, int], ...],
  shape: tuple[int, ...],
) -> int | None:
  """Return the number of the lost face that a new one is; None for none."""
  middle, size = _extent(points, shape)
  best, number = _BACK, None
  for face, _ in lost:
    other, other_size = _extent(face.points, shape)
    apart = float(np.linalg.norm(middle - other)) / max(size, other_size)
    if apart < best:
      best, number = apart, face.number
  return number


def _lost(state: State, faces: tuple[Face, ...]) -> Any:
  """Return the faces that are waited for, with their ages in frames."""
  there = {face.number for face in faces}
  gone = [(face, 0) for face in state.faces if face.number not in there]
  waiting = [
    (face, age + 1)
    for face, age in state.lost
    if age < _BACK_FRAMES and face.number not in there
  ]
  return (*gone, *waiting)


def step(
  nets: networks.Networks,
  state: State,
  image: UInt8[np.ndarray, 'h w 3'],
  *,
  most: int = 1,
) -> State:
  """Find the faces of the next frame.

  Args:
    nets: the networks' parameters, from `face.networks.load`.
    state: after the frame before; `State()` before the first.
    image: the frame, sRGB.
    most: faces to follow at most.

  Returns:
    The state after the frame.
  """
  seen = thumbnail(image)
  cut, change = False, state.change
  if state.thumbnail is not None:
    apart = float(np.abs(seen - state.thumbnail).mean())
    cut = apart > max(_CUT, _CUT_RATIO * change)
    change = 0.0 if cut else 0.8 * change + 0.2 * apart
  if cut:
    state = State(total=state.total)
  faces = _followed(nets, image, state.faces)
  lost = _lost(state, faces)
  since, since_small = (n + 1 for n in state.since)
  total = state.total
  every = _EVERY if faces else _EVERY_LOST
  if len(faces) < most and since >= every:
    small = since_small >= _EVERY_SMALL
    for row in _new(nets, image, faces, small)[: most - len(faces)]:
      points = np.asarray(row.points)
      if not _is_known(points, faces, image.shape):
        number = _back(points, lost, image.shape)
        lost = tuple(pair for pair in lost if pair[0].number != number)
        if number is None:
          number, total = total, total + 1
        faces += (Face(number, float(row.score), points),)
    since, since_small = 0, 0 if small else since_small
  return State(
    faces=faces,
    total=total,
    since=(since, since_small),
    thumbnail=seen,
    change=change,
    cut=cut,
    lost=lost,
  )


def records(frame: int, faces: tuple[Face, ...]) -> Any:
  """Return the records of a frame's faces, an array of `RECORD`."""
  rows = np.zeros(len(faces), RECORD)
  for row, face in zip(rows, faces):
    row['frame'], row['face'] = frame, face.number
    row['score'], row['points'] = face.score, face.points
  return rows


class Track(NamedTuple):
  """What was found in a clip.

  Attributes:
    times: of the frames, seconds.
    cuts: frames that begin another shot.
    records: faces, an array of `RECORD` in the order of frames; on disk.
    height: of a frame, pixels.
    width: of a frame, pixels.
  """

  times: Float[np.ndarray, 'n']
  cuts: Bool[np.ndarray, 'n']
  records: Any
  height: int
  width: int


def faces_of(track: Track) -> list[int]:
  """Return the numbers of all faces of a track, by their first frames."""
  return list(dict.fromkeys(track.records['face'].tolist()))


def rows_of(track: Track, face: int) -> Any:
  """Return which records are those of a face, i[k]."""
  return np.flatnonzero(track.records['face'] == face)


Report = Callable[[int, Any], None]
