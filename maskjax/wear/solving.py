"""From the points of a face over a clip to the motion of a head.

Everybody's head has a shape of its own, the same in all frames: the median of
what single frames tell. With it known, the pose of a frame follows from the
points that do not move in a face, seen through a camera with its true middle
and angle of view; so a mask does not lean at the edge of a frame. What the
points do beyond the pose is the expression.

Shapes: `n` frames, `k` records of a face, `b` records at a time.
"""

from collections.abc import Iterator
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int
import numpy as np

from maskjax.face import pose
from maskjax.geometry import camera as camera_lib, canonical
from maskjax.wear import smoothing, tracking

# Records that are worked on at a time: one program for all of them.
_BATCH = 32
# Records that tell the shape and the angle of view.
_SAMPLES = 64
# Degrees of yaw up to which a face tells its shape.
_FRONTAL = 25.0
# The likely angle of view of a webcam or a phone, degrees, and the spread of
# the logarithm of the focal length around it.
FOVY_DEGREES = 45.0
_SPREAD = 0.2
# Points below, cm, move with the jaw; they say less of the pose.
_JAW, _JAW_WEIGHT = -2.5, 0.05
# Seconds over which an expression is steadied, and how far, cm, points go.
_EXPRESSION = 0.05
_FURTHEST = 3.0
# Degrees of yaw between which expressions are locked: points are guesses then.
_LOCK = (35.0, 50.0)


class Motion(NamedTuple):
  """How one face moves over a clip.

  Attributes:
    face: its number.
    rows: its records.
    frames: of the records.
    shape: the person's 468 points in the head's frame, cm.
    intrinsics: of the camera.
    raw: poses as they were found, of all frames; anything where it was not.
    poses: steadied, of all frames.
    numbers: stretches, of all frames; -1 where the face is not there.
    opacity: of the mask, of all frames.
  """

  face: int
  rows: Int[np.ndarray, 'k']
  frames: Int[np.ndarray, 'k']
  shape: Float[np.ndarray, '468 3']
  intrinsics: Float[np.ndarray, '3 3']
  raw: smoothing.Poses
  poses: smoothing.Poses
  numbers: Int[np.ndarray, 'n']
  opacity: Float[np.ndarray, 'n']


@functools.cache
def rigid_weights() -> Float[np.ndarray, '468']:
  """Return how much each point says of the pose: lids and jaw move."""
  vertices = canonical.load().vertices
  weights = np.where(vertices[:, 1] < _JAW, _JAW_WEIGHT, 1.0)
  weights[[*canonical.LEFT_EYE, *canonical.RIGHT_EYE]] = 0.3
  return weights.astype(np.float32)


@functools.partial(jax.jit, static_argnames=('height', 'width'))
def _heads(
  points: Float[Array, 'b 468 3'],
  fovy: Float[Array, ''],
  *,
  height: int,
  width: int,
) -> tuple[Float[Array, 'b 468 3'], Float[Array, 'b']]:
  """Return the points in the head's frame, and its yaw."""

  def one(face: Array) -> tuple[Array, Array]:
    head = pose.head_pose(face, height, width, fovy=fovy)
    return head.points, pose.angles(head.camera)[0]

  return jax.vmap(one)(points)


@functools.partial(jax.jit, static_argnames=('height', 'width', 'steps'))
def _cameras(
  points: Float[Array, 'b 468 3'],
  shape: Float[Array, '468 3'],
  fovy: Float[Array, ''],
  spread: Float[Array, ''],
  *,
  height: int,
  width: int,
  steps: int,
) -> camera_lib.Camera:
  """Return the cameras that see a shape in the points."""

  def one(face: Array) -> camera_lib.Camera:
    return pose.fit_camera(
      face,
      height,
      width,
      shape=shape,
      weights=jnp.asarray(rigid_weights()),
      fovy=fovy,
      spread=spread,
      steps=steps,
    ).camera

  return jax.vmap(one)(points)


def _batches(
  track: tracking.Track, rows: Int[np.ndarray, 'k']
) -> Iterator[tuple[int, Float[np.ndarray, 'b 468 3']]]:
  """Yield the points of records, `_BATCH` at a time, the last ones repeated."""
  for start in range(0, len(rows), _BATCH):
    chosen = rows[start : start + _BATCH]
    points = np.asarray(track.records['points'][chosen])
    count = len(chosen)
    yield count, np.pad(points, ((0, _BATCH - count), (0, 0), (0, 0)), 'edge')


def _spread_out(rows: Int[np.ndarray, 'k']) -> Int[np.ndarray, 'j']:
  """Return some of many rows, evenly."""
  count = min(len(rows), _SAMPLES)
  return rows[np.linspace(0, len(rows) - 1, count).round().astype(int)]


def person(
  track: tracking.Track, rows: Int[np.ndarray, 'k'], fovy: float
) -> tuple[Float[np.ndarray, '468 3'], Int[np.ndarray, 'j']]:
  """Return the shape of a face, and the records that tell it.

  Args:
    track: of a clip.
    rows: the records of the face.
    fovy: the camera's vertical angle of view, degrees.
  """
  chosen = _spread_out(rows)
  shapes, yaws = [], []
  size = {'height': track.height, 'width': track.width}
  for count, points in _batches(track, chosen):
    found, yaw = _heads(points, jnp.float32(fovy), **size)
    shapes.append(np.asarray(found)[:count])
    yaws.append(np.asarray(yaw)[:count])
  turned = np.abs(np.concatenate(yaws))
  frontal = turned <= max(_FRONTAL, float(np.sort(turned)[:8].max()))
  shape = np.median(np.concatenate(shapes)[frontal], axis=0)
  return shape.astype(np.float32), chosen[frontal]


def angle_of_view(
  track: tracking.Track, *, guess: float = FOVY_DEGREES
) -> float:
  """Estimate the vertical angle of view of a clip's camera, degrees.

  Args:
    track: of the clip.
    guess: the likely one, which little is known against.
  """
  found = []
  for face in tracking.faces_of(track)[:4]:
    shape, rows = person(track, tracking.rows_of(track, face), guess)
    for count, points in _batches(track, rows):
      cameras = _cameras(
        points,
        shape,
        jnp.float32(guess),
        jnp.float32(_SPREAD),
        height=track.height,
        width=track.width,
        steps=20,
      )
      found.append(np.asarray(cameras.intrinsics)[:count, 1, 1])
  if not found:
    return guess
  focal = float(np.median(np.concatenate(found)))
  return float(np.degrees(2 * np.arctan(0.5 / focal)))


def _raw_poses(
  track: tracking.Track,
  rows: Int[np.ndarray, 'k'],
  shape: Float[np.ndarray, '468 3'],
  fovy: float,
) -> Float[np.ndarray, 'k 4 4']:
  """Return world2cam of each record."""
  found = []
  for count, points in _batches(track, rows):
    cameras = _cameras(
      points,
      shape,
      jnp.float32(fovy),
      jnp.float32(1e-4),
      height=track.height,
      width=track.width,
      steps=10,
    )
    inverse = camera_lib.invert_pose(cameras.cam2world)
    found.append(np.asarray(inverse, np.float64)[:count])
  return np.concatenate(found)


def _everywhere(
  values: Float[np.ndarray, 'k *c'], frames: Int[np.ndarray, 'k'], count: int
) -> Float[np.ndarray, 'n *c']:
  """Lay the values of records at their frames; others are not finite."""
  result = np.full((count, *values.shape[1:]), np.nan)
  result[frames] = values
  return result


def solve(
  track: tracking.Track,
  face: int,
  *,
  fovy: float,
  width: float,
  hold: float = 0.2,
  fade: float = 0.15,
) -> Motion:
  """Find how a face moves.

  Args:
    track: of a clip.
    face: number of the face.
    fovy: the camera's vertical angle of view, degrees.
    width: of the widest fit that steadies it, seconds; see `smoothing`.
    hold: seconds that a lost face is waited for.
    fade: seconds in which a mask comes and goes.
  """
  rows = tracking.rows_of(track, face)
  shape, _ = person(track, rows, fovy)
  frames, count = np.asarray(track.records['frame'][rows]), len(track.times)
  raw = smoothing.from_matrices(_raw_poses(track, rows, shape, fovy))
  everywhere = smoothing.Poses(*(_everywhere(x, frames, count) for x in raw))
  known = np.zeros(count, bool)
  known[frames] = np.isfinite(raw.log_distance)
  numbers = smoothing.stretches(track.times, known, cuts=track.cuts, hold=hold)
  intrinsics = pose.photo_intrinsics(track.height, track.width, fovy)
  return Motion(
    face=face,
    rows=rows,
    frames=frames,
    shape=shape,
    intrinsics=np.asarray(intrinsics),
    raw=everywhere,
    poses=smoothing.steady_poses(
      track.times, everywhere, numbers, known, width=width
    ),
    numbers=numbers,
    opacity=smoothing.visibility(
      track.times, numbers, cuts=track.cuts, fade=fade
    ),
  )


def world2cam(motion: Motion, frame: int) -> Float[np.ndarray, '4 4']:
  """Return the steadied map from the head's frame into the camera's."""
  return smoothing.to_matrices(
    smoothing.Poses(*(field[frame] for field in motion.poses))
  )


def camera(motion: Motion, frame: int) -> camera_lib.Camera:
  """Return the camera in the head's frame, steadied."""
  matrix = jnp.asarray(world2cam(motion, frame), jnp.float32)
  return camera_lib.Camera(
    camera_lib.invert_pose(matrix), jnp.asarray(motion.intrinsics)
  )


def _moves(
  points: Float[np.ndarray, 'k 468 3'], motion: Motion, frames: Any
) -> Float[np.ndarray, 'k 468 3']:
  """Return how far points are from the shape, in the picture's plane, cm."""
  poses = smoothing.Poses(*(field[frames] for field in motion.raw))
  matrices = smoothing.to_matrices(poses)
  rotation, shift = matrices[:, :3, :3], matrices[:, :3, 3]
  placed = np.einsum('kij,pj->kpi', rotation, motion.shape) + shift[:, None]
  focal = motion.intrinsics[[0, 1], [0, 1]]
  rays = (points[..., :2] - motion.intrinsics[:2, 2]) / focal
  apart = rays * placed[..., 2:] - placed[..., :2]
  moves = np.einsum('kij,kpi->kpj', rotation[:, :2], apart)
  # Of a face that turns away, the points are guesses.
  yaw = np.degrees(np.arctan2(rotation[:, 0, 2], -rotation[:, 2, 2]))
  free = np.interp(np.abs(yaw), _LOCK, (1.0, 0.0))
  length = np.linalg.norm(moves, axis=-1, keepdims=True)
  limit = np.minimum(1.0, _FURTHEST / np.maximum(length, 1e-9))
  return moves * limit * free[:, None, None]


def expression(
  track: tracking.Track, motion: Motion, frame: int
) -> Float[np.ndarray, '468 3']:
  """Return how far a face's points have moved by its expression, cm.

  Args:
    track: of the clip.
    motion: of the face.
    frame: number of the frame.

  Returns:
    Moves in the head's frame, steadied over a few frames; 0 where unknown.
  """
  near = np.abs(track.times[motion.frames] - track.times[frame])
  same = motion.numbers[motion.frames] == motion.numbers[frame]
  chosen = np.flatnonzero((near <= 3 * _EXPRESSION) & same)
  chosen = chosen[np.isfinite(motion.raw.log_distance[motion.frames[chosen]])]
  if not len(chosen):
    return np.zeros((468, 3))
  points = np.asarray(track.records['points'][motion.rows[chosen]], np.float64)
  moves = _moves(points, motion, motion.frames[chosen])
  weights = np.exp(-0.5 * (near[chosen] / _EXPRESSION) ** 2)
  return np.einsum('k,kpd->pd', weights / weights.sum(), moves)


def known(motion: Motion) -> Bool[np.ndarray, 'n']:
  """Return in which frames a face was found."""
  return np.isfinite(motion.raw.log_distance)
