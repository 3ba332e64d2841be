"""Steadying the motion of a head: for files from both sides, live by one-euro.

A pose is filtered as what it is made of: a rotation, the direction in which
the head is seen, and the logarithm of its distance, each by itself. Rotations
are filtered through the logarithm map, so that what comes out is a rotation.

In a file the future is known. So every frame is a weighted fit of a parabola
in time to the frames around it, which has no lag and keeps peaks (local
regression: Cleveland, "Robust Locally Weighted Regression", 1979). How many
frames around is found for each: as many as agree with each other within their
noise (intersection of confidence intervals: Goldenshluger and Nemirovski,
"On spatially adaptive estimation", 1997). A head that is still is averaged
over half a second; one that nods is hardly touched.

Live, the past is all there is: Casiez, Roussel and Vogel, "1 Euro Filter"
(2012), equations 4 to 9 of its algorithm, with one cutoff for the numbers that
move together.

Shapes: `n` frames, `c` numbers a frame.
"""

from typing import NamedTuple

from jaxtyping import Bool, Float, Int
import numpy as np
import scipy.spatial

# Widths (standard deviations) of the fits, in parts of the widest.
_SCALES = (0.125, 0.25, 0.5, 1.0)
# Fits agree up to the first of these numbers of standard errors of their
# difference, and disagree from the second one on.
_AGREE, _DISAGREE = 1.5, 2.5
# How far a fit looks, in its widths.
_REACH = 3.0


class Poses(NamedTuple):
  """Poses of a head in front of a camera, over time or of one frame.

  Attributes:
    rotation: from the head's frame into the camera's (OpenCV axes).
    direction: where the middle of the head is seen, x / z and y / z.
    log_distance: natural logarithm of its z, cm.
  """

  rotation: Float[np.ndarray, '*n 3 3']
  direction: Float[np.ndarray, '*n 2']
  log_distance: Float[np.ndarray, '*n']


def from_matrices(world2cam: Float[np.ndarray, '*n 4 4']) -> Poses:
  """Take rigid transforms apart.

  Args:
    world2cam: from the head's frame (cm) into the camera's, the head in front
      of it.
  """
  place = world2cam[..., :3, 3]
  return Poses(
    rotation=world2cam[..., :3, :3],
    direction=place[..., :2] / place[..., 2:],
    log_distance=np.log(place[..., 2]),
  )


def to_matrices(poses: Poses) -> Float[np.ndarray, '*n 4 4']:
  """Return the rigid transforms of poses; undoes `from_matrices`."""
  distance = np.exp(poses.log_distance)[..., None]
  result = np.zeros((*poses.log_distance.shape, 4, 4))
  result[..., :3, :3] = poses.rotation
  result[..., :2, 3] = poses.direction * distance
  result[..., 2:3, 3] = distance
  result[..., 3, 3] = 1.0
  return result


def log_rotation(
  rotation: Float[np.ndarray, '*n 3 3'],
) -> Float[np.ndarray, '*n 3']:
  """Return axes times angles (radians) of rotations."""
  flat = rotation.reshape(-1, 3, 3)
  vectors = scipy.spatial.transform.Rotation.from_matrix(flat).as_rotvec()
  return vectors.reshape(*rotation.shape[:-2], 3)


def exp_rotation(
  vector: Float[np.ndarray, '*n 3'],
) -> Float[np.ndarray, '*n 3 3']:
  """Return the rotations of axes times angles; undoes `log_rotation`."""
  flat = vector.reshape(-1, 3)
  matrices = scipy.spatial.transform.Rotation.from_rotvec(flat).as_matrix()
  return matrices.reshape(*vector.shape[:-1], 3, 3)


# --- when a face is there ----------------------------------------------------


def stretches(
  times: Float[np.ndarray, 'n'],
  found: Bool[np.ndarray, 'n'],
  *,
  cuts: Bool[np.ndarray, 'n'] | None = None,
  hold: float = 0.2,
) -> Int[np.ndarray, 'n']:
  """Return the stretches of time in which a face is there, by number.

  Args:
    times: of the frames, seconds, growing.
    found: whether the face was found in each.
    cuts: frames that begin another shot; nothing reaches over them.
    hold: a gap of at most this many seconds is bridged.

  Returns:
    The number of each frame's stretch, from 0; -1 where the face is not there.
  """
  numbers = np.full(len(times), -1)
  cut = np.zeros(len(times), int) if cuts is None else np.cumsum(cuts)
  last, number = -1, -1
  for index in np.flatnonzero(found):
    same = last >= 0 and cut[index] == cut[last]
    # The face is out of sight from the frame after the last one to this one.
    gap = times[index] - times[last + 1] if same else np.inf
    if same and gap <= hold:
      numbers[last + 1 : index] = number
    else:
      number += 1
    numbers[index] = number
    last = int(index)
  return numbers


def visibility(
  times: Float[np.ndarray, 'n'],
  numbers: Int[np.ndarray, 'n'],
  *,
  cuts: Bool[np.ndarray, 'n'] | None = None,
  fade: float = 0.15,
) -> Float[np.ndarray, 'n']:
  """Return how visible a mask is: faded in and out where its face is there.

  In a file it is known when a face will be lost: the mask has faded by then.
  At the ends of the clip and at cuts there is nothing to fade from.

  Args:
    times: of the frames, seconds, growing.
    numbers: of `stretches`.
    cuts: frames that begin another shot.
    fade: seconds from nothing to all; 0 for none.

  Returns:
    In [0, 1]; 0 where the face is not there.
  """
  alpha = np.where(numbers >= 0, 1.0, 0.0)
  if fade <= 0:
    return alpha
  cut = np.zeros(len(times), bool) if cuts is None else cuts
  for number in range(numbers.max(initial=-1) + 1):
    rows = np.flatnonzero(numbers == number)
    first, last = rows[0], rows[-1]
    if first > 0 and not cut[first]:
      rise = (times[rows] - times[first - 1]) / fade
      alpha[rows] = np.minimum(alpha[rows], rise)
    if last + 1 < len(times) and not cut[last + 1]:
      alpha[rows] = np.minimum(
        alpha[rows], (times[last + 1] - times[rows]) / fade
      )
  return alpha


def filled(
  times: Float[np.ndarray, 'n'],
  values: Float[np.ndarray, 'n c'],
  known: Bool[np.ndarray, 'n'],
) -> Float[np.ndarray, 'n c']:
  """Draw lines over gaps.

  Args:
    times: of the frames, seconds, growing.
    values: anything where they are not known.
    known: at least one of them.
  """
  rows = np.flatnonzero(known)
  columns = [np.interp(times, times[rows], column[rows]) for column in values.T]
  return np.stack(columns, -1)


# --- from both sides ---------------------------------------------------------


def _shifted(values: np.ndarray, step: int, fill: float) -> np.ndarray:
  """Return the values `step` frames later; beyond the ends `fill`."""
  result = np.full_like(values, fill)
  if step >= 0:
    result[: len(values) - step or None] = values[step:]
  else:
    result[-step:] = values[:step]
  return result


def _neighbours(times: Float[np.ndarray, 'n'], width: float) -> int:
  """Return how many frames on a side a fit may need."""
  ends = np.searchsorted(times, times + _REACH * width, 'right')
  starts = np.searchsorted(times, times - _REACH * width)
  index = np.arange(len(times))
  return int(max((ends - 1 - index).max(), (index - starts).max()))


def local_fit(
  times: Float[np.ndarray, 'n'],
  values: Float[np.ndarray, 'n c'],
  width: float,
  *,
  weights: Float[np.ndarray, 'n'] | None = None,
) -> tuple[Float[np.ndarray, 'n c'], Float[np.ndarray, 'n']]:
  """Fit a parabola in time around each frame.

  Args:
    times: of the frames, seconds, growing; their distances may differ.
    values: what is fitted.
    width: standard deviation of the weights in time, seconds.
    weights: how much each frame counts; None: all alike.

  Returns:
    The fits at their frames, and the standard error of each for noise of 1.
  """
  given = np.ones(len(times)) if weights is None else weights
  moments = np.zeros((len(times), 5))
  spreads = np.zeros((len(times), 5))
  sums = np.zeros((len(times), 3, values.shape[1]))
  reach = _neighbours(times, width)
  for step in range(-reach, reach + 1):
    # In widths, so that the equations are well scaled.
    apart = (_shifted(times, step, np.inf) - times) / width
    weight = np.exp(-0.5 * apart**2) * _shifted(given, step, 0.0)
    weight = np.where(np.abs(apart) <= _REACH, weight, 0.0)
    apart = np.where(weight > 0, apart, 0.0)
    powers = apart[:, None] ** np.arange(5)
    moments += weight[:, None] * powers
    spreads += weight[:, None] ** 2 * powers
    near = _shifted(values, step, 0.0)
    sums += (weight[:, None] * powers[:, :3])[..., None] * near[:, None]
  index = np.arange(3)[:, None] + np.arange(3)[None]
  # Where too few frames lie near, a parabola is held to a line, to a constant.
  ridge = np.diag([0.0, 1e-5, 1e-5]) * moments[:, :1, None]
  matrices = moments[:, index] + ridge + np.diag([1e-30, 1e-9, 1e-9])
  inverse = np.linalg.inv(matrices)
  fits = np.einsum('nk,nkc->nc', inverse[:, 0], sums)
  spread = np.einsum('nj,njk,nk->n', inverse[:, 0], spreads[:, index],
                     inverse[:, 0])  # fmt: skip
  return fits, np.sqrt(np.maximum(spread, 0.0))


def weighted_mean(
  times: Float[np.ndarray, 'n'], values: Float[np.ndarray, 'n c'], width: float
) -> Float[np.ndarray, 'n c']:
  """Return the mean of values around each time, which cannot overshoot.

  Args:
    times: seconds, growing.
    values: what is averaged.
    width: standard deviation of the weights in time, seconds.
  """
  apart = (times[:, None] - times[None]) / width
  weights = np.exp(-0.5 * apart**2)
  return weights @ values / weights.sum(1, keepdims=True)


def _noise(values: Float[np.ndarray, 'n c']) -> float:
  """Return the length of the noise of values, robust against motion."""
  if len(values) < 4:
    return 0.0
  # Third differences know no parabola; noise of 1 makes them sqrt(20).
  jumps = np.diff(values, 3, axis=0)
  sizes = np.median(np.abs(jumps), axis=0) / 0.6745 / np.sqrt(20.0)
  return float(np.linalg.norm(sizes))


def two_sided(
  times: Float[np.ndarray, 'n'],
  values: Float[np.ndarray, 'n c'],
  *,
  width: float,
) -> Float[np.ndarray, 'n c']:
  """Steady numbers that move together, without lag.

  Args:
    times: of the frames of one stretch, seconds, growing.
    values: in one unit, e.g. the three of a rotation.
    width: of the widest fit, seconds; 0 leaves the values as they are.

  Returns:
    The steadied values.
  """
  if width <= 0 or len(times) < 4:
    return values
  noise = _noise(values)
  steady, error = local_fit(times, values, _SCALES[0] * width)
  gate = np.ones(len(times))
  for scale in _SCALES[1:]:
    wider, next_error = local_fit(times, values, scale * width)
    apart = np.linalg.norm(wider - steady, axis=1)
    # Both see the same noise: of its variance the wider fit has kept a part.
    expected = noise * np.sqrt(np.maximum(error**2 - next_error**2, 0.0))
    ratio = apart / (expected + 1e-12)
    agree = np.clip((_DISAGREE - ratio) / (_DISAGREE - _AGREE), 0.0, 1.0)
    # A gate that opens within a frame would itself be seen as a jump.
    agree, _ = local_fit(times, agree[:, None], 0.25 * scale * width)
    gate = gate * np.clip(agree[:, 0], 0.0, 1.0)
    steady = steady + gate[:, None] * (wider - steady)
    error = error + gate * (next_error - error)
  return steady


def steady_poses(
  times: Float[np.ndarray, 'n'],
  poses: Poses,
  numbers: Int[np.ndarray, 'n'],
  known: Bool[np.ndarray, 'n'],
  *,
  width: float,
) -> Poses:
  """Steady the poses of one face, each stretch by itself.

  Args:
    times: of the frames, seconds, growing.
    poses: of the face; anything where it is not known.
    numbers: of `stretches`.
    known: where the face was found.
    width: of the widest fit, seconds.

  Returns:
    Poses with the gaps of stretches filled; those of no stretch unchanged.
  """
  result = Poses(*(np.array(field) for field in poses))
  for number in range(numbers.max(initial=-1) + 1):
    rows = np.flatnonzero(numbers == number)
    when, seen = times[rows], known[rows]
    middle = poses.rotation[rows[seen][seen.sum() // 2]]
    turned = np.zeros((len(rows), 3))
    turned[seen] = log_rotation(middle.T @ poses.rotation[rows[seen]])
    distances = poses.log_distance[rows][:, None]
    turned, direction, distance = (
      two_sided(when, filled(when, values, seen), width=width)
      for values in (turned, poses.direction[rows], distances)
    )
    result.rotation[rows] = middle @ exp_rotation(turned)
    result.direction[rows] = direction
    result.log_distance[rows] = distance[:, 0]
  return result


# --- live ------------------------------------------------------------------


class OneEuro(NamedTuple):
  """The state of a one-euro filter.

  Attributes:
    time: of the last value, seconds.
    value: filtered.
    speed: filtered, per second.
  """

  time: float
  value: Float[np.ndarray, 'c']
  speed: Float[np.ndarray, 'c']


def _alpha(cutoff: float, seconds: float) -> float:
  """Return how much of a new value is taken in (equations 5 and 6)."""
  rate = 2 * np.pi * cutoff * seconds
  return float(rate / (rate + 1))


def one_euro(
  state: OneEuro | None,
  time: float,
  value: Float[np.ndarray, 'c'],
  *,
  min_cutoff: float = 1.0,
  beta: float = 0.0,
  speed_cutoff: float = 1.0,
) -> OneEuro:
  """Take in a new value.

  Args:
    state: of the value before; None begins anew, e.g. after a cut.
    time: seconds; not after the last one: the state stays.
    value: numbers that move together; what is not finite is left out.
    min_cutoff: of the filter when nothing moves, hertz.
    beta: how much the cutoff grows with the speed, per unit of the value.
    speed_cutoff: of the filter of the speed, hertz.

  Returns:
    The new state; its `value` is what to show.
  """
  if not np.all(np.isfinite(value)):
    if state is None:
      raise ValueError('the first value of a filter is no number')
    return state
  if state is None:
    return OneEuro(time, value, np.zeros_like(value))
  seconds = time - state.time
  if seconds <= 0:
    return state
  speed = (value - state.value) / seconds
  part = _alpha(speed_cutoff, seconds)
  speed = state.speed + part * (speed - state.speed)
  cutoff = min_cutoff + beta * float(np.linalg.norm(speed))
  part = _alpha(cutoff, seconds)
  return OneEuro(time, state.value + part * (value - state.value), speed)


class Live(NamedTuple):
  """The state of the filters of one face that is seen live.

  Attributes:
    around: rotation that the filtered one is told from; it follows the head.
    rotation: filter of the rotation from there.
    direction: filter of the direction, in parts of the head's size.
    log_distance: filter of the distance.
  """

  around: Float[np.ndarray, '3 3']
  rotation: OneEuro
  direction: OneEuro
  log_distance: OneEuro


def live(
  state: Live | None, time: float, pose: Poses, *, steadiness: float = 0.5
) -> tuple[Live, Poses]:
  """Steady the next pose of a face that is seen live.

  Args:
    state: of the pose before; None begins anew.
    time: seconds.
    pose: of one frame.
    steadiness: from 0, hardly any, to 1, calm and late.

  Returns:
    The new state, and the steadied pose.
  """
  cutoff = 4.0 * 0.05**steadiness
  around = pose.rotation if state is None else state.around
  old = (None,) * 3 if state is None else state[1:]
  values = (
    log_rotation(around.T @ pose.rotation),
    pose.direction,
    pose.log_distance[None],
  )
  # Of radians, of tangents, of ratios, each per second.
  betas = (8.0, 20.0, 20.0)
  new = [
    one_euro(before, time, value, min_cutoff=cutoff, beta=beta)
    for before, value, beta in zip(old, values, betas)
  ]
  turned = new[0].value
  steadied = Poses(
    rotation=around @ exp_rotation(turned),
    direction=new[1].value,
    log_distance=new[2].value[0],
  )
  if np.linalg.norm(turned) > 0.5:
    # The logarithm is told from near the head, where it is nearly flat.
    step = exp_rotation(turned)
    around = around @ step
    new[0] = new[0]._replace(value=np.zeros(3), speed=step.T @ new[0].speed)
  return Live(around, *new), steadied
