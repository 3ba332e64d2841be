"""Filters: calm where nothing moves, exact where it does, never in between."""

import numpy as np
import pytest
import scipy.spatial

from maskjax.wear import smoothing

_RATE = 30.0
_NOISE = 0.01


def _times(count, *, uneven=False):
  steps = np.full(count, 1 / _RATE)
  if uneven:
    steps = np.random.default_rng(5).choice([0.02, 0.033, 0.08], count)
  return np.cumsum(steps)


def _noise(shape, seed=0):
  return np.random.default_rng(seed).normal(0, _NOISE, shape)


def _jitter(values):
  return np.sqrt(np.mean(np.diff(values, axis=0) ** 2))


def _rotations(times):
  """Return a head that shakes, nods and tilts, to 80 degrees of yaw."""
  angles = np.stack(
    [1.4 * np.sin(2 * times), 0.3 * np.sin(3 * times), 0.2 * np.cos(times)], 1
  )
  rotation = scipy.spatial.transform.Rotation.from_euler('yxz', angles)
  return rotation.as_matrix()


def _poses(times, seed=None):
  turned = _rotations(times)
  if seed is not None:
    turned = turned @ smoothing.exp_rotation(_noise((len(times), 3), seed))
  direction = np.stack([0.2 * np.sin(times), 0.1 * np.cos(times)], 1)
  return smoothing.Poses(turned, direction, 4 + 0.1 * np.sin(times))


def test_poses_come_back_from_their_parts():
  poses = _poses(_times(20))
  matrices = smoothing.to_matrices(poses)
  again = smoothing.from_matrices(matrices)
  for a, b in zip(poses, again):
    np.testing.assert_allclose(a, b, atol=1e-12)
  point = matrices[3] @ [0, 0, 0, 1]
  np.testing.assert_allclose(point[:2] / point[2], poses.direction[3])
  np.testing.assert_allclose(np.log(point[2]), poses.log_distance[3])


def test_rotations_come_back_from_their_logarithms():
  rotation = _rotations(_times(20))
  vector = smoothing.log_rotation(rotation)
  np.testing.assert_allclose(smoothing.exp_rotation(vector), rotation,
                             atol=1e-12)  # fmt: skip
  assert smoothing.log_rotation(rotation[4]).shape == (3,)


# --- stretches and visibility ------------------------------------------------


def _row(text):
  return np.array([letter == '1' for letter in text])


def test_short_gaps_are_bridged_and_long_ones_part():
  found = _row('0111001110000000011')
  times = np.arange(len(found)) / 10
  numbers = smoothing.stretches(times, found, hold=0.2)
  assert numbers.tolist() == [-1] + 8 * [0] + 8 * [-1] + 2 * [1]


def test_no_stretch_reaches_over_a_cut():
  found = np.ones(6, bool)
  cuts = _row('000100')
  numbers = smoothing.stretches(np.arange(6) / 30, found, cuts=cuts)
  assert numbers.tolist() == [0, 0, 0, 1, 1, 1]


def test_a_face_that_is_never_there_has_no_stretch():
  numbers = smoothing.stretches(_times(4), np.zeros(4, bool))
  assert numbers.tolist() == [-1] * 4
  np.testing.assert_array_equal(smoothing.visibility(_times(4), numbers), 0)


def test_a_mask_has_faded_when_its_face_is_gone():
  numbers = np.array([-1, -1, 0, 0, 0, 0, 0, 0, -1, -1, 1, 1, 1, 1])
  times = np.arange(len(numbers)) / 20
  alpha = smoothing.visibility(times, numbers, fade=0.15)
  np.testing.assert_allclose(
    alpha,
    [0, 0, 1 / 3, 2 / 3, 1, 1, 2 / 3, 1 / 3, 0, 0, 1 / 3, 2 / 3, 1, 1],
    atol=1e-9,
  )
  assert np.all(alpha[numbers < 0] == 0)
  assert np.abs(np.diff(alpha[:10])).max() <= 1 / 3 + 1e-9
  sharp = smoothing.visibility(times, numbers, fade=0.0)
  np.testing.assert_array_equal(sharp, numbers >= 0)


def test_at_a_cut_nothing_fades():
  numbers = np.array([0, 0, 0, 1, 1, 1, -1])
  cuts = _row('0001001')
  alpha = smoothing.visibility(np.arange(7) / 30, numbers, cuts=cuts)
  np.testing.assert_array_equal(alpha, [1, 1, 1, 1, 1, 1, 0])


def test_gaps_are_filled_by_lines():
  values = np.array([[0.0], [np.nan], [np.nan], [3.0], [np.nan]])
  known = _row('10010')
  filled = smoothing.filled(np.arange(5.0), values, known)
  np.testing.assert_allclose(filled[:, 0], [0, 1, 2, 3, 3])


# --- from both sides ---------------------------------------------------------


@pytest.mark.parametrize('uneven', [False, True])
def test_a_fit_is_that_of_least_squares(uneven):
  times = _times(30, uneven=uneven)
  values, width = _noise((30, 2)), 0.15
  fits, errors = smoothing.local_fit(times, values, width)
  for row in (0, 13, 29):
    apart = (times - times[row]) / width
    weight = np.where(np.abs(apart) <= 3, np.exp(-0.5 * apart**2), 0)
    design = np.stack([np.ones(30), apart, apart**2], 1)
    normal = design.T @ (weight[:, None] * design)
    linear = np.linalg.solve(normal, design.T * weight[None])[0]
    # The ridge bends the fits at the ends a little.
    np.testing.assert_allclose(fits[row], linear @ values, atol=0.1 * _NOISE)
    np.testing.assert_allclose(errors[row], np.linalg.norm(linear), rtol=0.02)


@pytest.mark.parametrize('uneven', [False, True])
def test_a_parabola_is_left_as_it_is(uneven):
  times = _times(60, uneven=uneven)
  values = (1 + 2 * times - 3 * times**2)[:, None]
  fits = smoothing.two_sided(times, values, width=0.3)
  np.testing.assert_allclose(fits, values, atol=0.01)


def test_what_is_still_is_calmed():
  values = _noise((300, 3))
  steady = smoothing.two_sided(_times(300), values, width=0.3)
  assert _jitter(steady) < 0.05 * _jitter(values)


@pytest.mark.parametrize('frequency', [0.5, 1.0, 2.0])
def test_what_moves_has_no_lag_and_keeps_its_peaks(frequency):
  times = _times(240)
  true = np.zeros((240, 3))
  true[:, 0] = 0.3 * np.sin(2 * np.pi * frequency * times)
  steady = smoothing.two_sided(times, true + _noise(true.shape), width=0.3)
  error = np.sqrt(np.mean((steady - true) ** 2))
  assert error < 1.8 * _NOISE  # 0.02 of 0.3; a plain fit is off by 0.1
  slow = np.array([np.sum(steady[10:-10, 0] * true[10 + k : 230 + k, 0])
                   for k in range(-4, 5)])  # fmt: skip
  assert slow.argmax() == 4
  assert np.ptp(steady[:, 0]) > 0.95 * np.ptp(true[:, 0])


def test_calm_before_and_after_a_quick_turn():
  times = _times(200)
  true = np.zeros((200, 1))
  true[:, 0] = np.clip(times - 3, 0, 0.3)
  steady = smoothing.two_sided(times, true + _noise(true.shape), width=0.3)
  assert _jitter(steady[:70]) < 0.15 * _jitter(_noise((70, 1)))
  assert np.abs(steady - true).max() < 4.5 * _NOISE


def test_no_width_leaves_values_alone():
  values = _noise((9, 2))
  np.testing.assert_array_equal(
    smoothing.two_sided(_times(9), values, width=0.0), values
  )
  one = smoothing.two_sided(_times(1), values[:1], width=0.3)
  np.testing.assert_array_equal(one, values[:1])


def test_steadied_poses_are_rigid_and_closer_to_the_truth():
  times = _times(150)
  true, seen = _poses(times), _poses(times, seed=2)
  numbers, known = np.zeros(150, int), np.ones(150, bool)
  steady = smoothing.steady_poses(times, seen, numbers, known, width=0.3)
  product = steady.rotation @ np.swapaxes(steady.rotation, 1, 2)
  np.testing.assert_allclose(product, np.tile(np.eye(3), (150, 1, 1)),
                             atol=1e-9)  # fmt: skip

  def off(poses):
    apart = np.swapaxes(true.rotation, 1, 2) @ poses.rotation
    return np.sqrt(np.mean(smoothing.log_rotation(apart) ** 2))

  assert off(steady) < 0.8 * off(seen)
  np.testing.assert_allclose(steady.direction, true.direction, atol=2e-3)


def test_poses_that_are_not_known_have_no_say():
  times = _times(60)
  poses = _poses(times)
  known = np.ones(60, bool)
  known[20:24] = False
  broken = smoothing.Poses(*(np.array(field) for field in poses))
  for field in broken:
    field[20:24] = np.nan
  numbers = smoothing.stretches(times, known)
  steady = smoothing.steady_poses(times, broken, numbers, known, width=0.2)
  for a, b in zip(steady, poses):
    assert np.all(np.isfinite(a))
    np.testing.assert_allclose(a, b, atol=0.03)


def test_a_cut_does_not_leak():
  times = _times(60)
  poses = _poses(times)
  jumped = poses._replace(
    direction=poses.direction + (np.arange(60) >= 30)[:, None]
  )
  cuts = np.arange(60) == 30
  known = np.ones(60, bool)
  numbers = smoothing.stretches(times, known, cuts=cuts)
  one = smoothing.steady_poses(times, jumped, numbers, known, width=0.3)
  np.testing.assert_allclose(
    one.direction[:30],
    smoothing.steady_poses(
      times[:30],
      smoothing.Poses(*(field[:30] for field in poses)),
      numbers[:30],
      known[:30],
      width=0.3,
    ).direction,
  )
  assert np.all(one.direction[30:, 0] > 0.7)


# --- live --------------------------------------------------------------------


def test_one_euro_is_that_of_its_authors():
  """Algorithm 1 of Casiez et al., written out for one number."""
  times, values = _times(50, uneven=True), _noise((50, 1)) + 1
  values[20:] += 0.5
  state, shown = None, []
  for time, value in zip(times, values):
    state = smoothing.one_euro(
      state, time, value, min_cutoff=0.8, beta=0.5, speed_cutoff=1.2
    )
    shown.append(state.value[0])
  filtered, speed, wanted = values[0, 0], 0.0, [values[0, 0]]
  for before, time, value in zip(times, times[1:], values[1:, 0]):
    period = time - before

    def alpha(cutoff, period=period):
      tau = 1 / (2 * np.pi * cutoff)
      return 1 / (1 + tau / period)

    speed += alpha(1.2) * ((value - filtered) / period - speed)
    filtered += alpha(0.8 + 0.5 * abs(speed)) * (value - filtered)
    wanted.append(filtered)
  np.testing.assert_allclose(shown, wanted, rtol=1e-12)


def test_a_live_filter_survives_what_is_no_number():
  state = smoothing.one_euro(None, 0.0, np.zeros(2))
  assert smoothing.one_euro(state, 0.1, np.array([np.nan, 1])) is state
  assert smoothing.one_euro(state, 0.0, np.ones(2)) is state
  with pytest.raises(ValueError, match='no number'):
    smoothing.one_euro(None, 0.0, np.array([np.inf, 0]))


def _live(times, poses, steadiness):
  state, rotations = None, []
  for index, time in enumerate(times):
    pose = smoothing.Poses(*(field[index] for field in poses))
    state, shown = smoothing.live(state, time, pose, steadiness=steadiness)
    rotations.append(shown.rotation)
  return np.stack(rotations)


def test_live_rotations_follow_all_around():
  times = _times(120)
  poses = _poses(times)
  shown = _live(times, poses, 0.3)
  apart = np.swapaxes(poses.rotation, 1, 2) @ shown
  assert np.abs(smoothing.log_rotation(apart)).max() < 0.12
  product = shown @ np.swapaxes(shown, 1, 2)
  np.testing.assert_allclose(product, np.tile(np.eye(3), (120, 1, 1)),
                             atol=1e-9)  # fmt: skip


def test_more_steadiness_is_calmer():
  times = _times(120)
  still = smoothing.Poses(
    smoothing.exp_rotation(_noise((120, 3))),
    np.zeros((120, 2)),
    np.full(120, 4.0),
  )
  raw = _jitter(smoothing.log_rotation(still.rotation))
  calm = [
    _jitter(smoothing.log_rotation(_live(times, still, s)[20:]))
    for s in (0.0, 0.5, 1.0)
  ]
  assert calm[2] < calm[1] < calm[0] < raw
  assert calm[2] < 0.2 * raw
