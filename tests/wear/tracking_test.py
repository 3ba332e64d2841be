"""Faces are followed, lost, found again, and never carried over a cut."""

import numpy as np
from PIL import Image
import pytest

from maskjax.face import networks, photo
from maskjax.wear import tracking


def _face(number, x=0.5, size=0.2):
  points = np.zeros((468, 3), np.float32)
  points[:, 0] = x + size * np.linspace(-0.5, 0.5, 468)
  points[:, 1] = 0.5 + size * np.linspace(-0.5, 0.5, 468)
  return tracking.Face(number, 0.9, points)


def _shifted(columns):
  """Return the astronaut's face, some columns further to the right."""
  astronaut = (255 * photo.astronaut()).astype(np.uint8)[:200]
  moved = np.roll(astronaut, columns, axis=1)[:, 120:360]
  return np.asarray(Image.fromarray(moved).resize((192, 160)))


def test_a_face_is_followed_lost_at_a_cut_and_never_seen_on_a_wall():
  nets = networks.load()
  wall = np.full((160, 192, 3), 120, np.uint8)
  wall[:, ::7] = 90
  state, places = tracking.State(), []
  for columns in (0, 4, 8):
    state = tracking.step(nets, state, _shifted(columns))
    assert [face.number for face in state.faces] == [0] and not state.cut
    places.append(state.faces[0].points[:, 0].mean())
  np.testing.assert_allclose(np.diff(places), 4 / 240, atol=2e-3)
  for index in range(4):
    state = tracking.step(nets, state, wall)
    assert state.faces == () and state.cut == (index == 0)
  state = tracking.step(nets, state, _shifted(0))
  assert state.cut and [face.number for face in state.faces] == [1]


def test_what_changes_is_a_cut_and_what_moves_is_not():
  rng = np.random.default_rng(0)
  small = Image.fromarray(rng.integers(0, 255, (12, 16, 3), np.uint8))
  scene = np.asarray(small.resize((640, 480), Image.Resampling.BICUBIC))
  first = tracking.thumbnail(scene)
  assert first.shape == (18, 32) and 0 <= first.min() < first.max() <= 1
  moved = tracking.thumbnail(np.roll(scene, 4, axis=1))
  other = tracking.thumbnail(scene[::-1])
  assert np.abs(moved - first).mean() < tracking._CUT < 0.1
  assert np.abs(other - first).mean() > tracking._CUT
  brighter = np.clip(scene.astype(int) + 8, 0, 255).astype(np.uint8)
  assert np.abs(tracking.thumbnail(brighter) - first).mean() < tracking._CUT


@pytest.mark.parametrize('shape', [(32, 32, 3), (33, 47, 3), (2160, 3840, 3)])
def test_thumbnails_of_all_sizes_have_one_size(shape):
  seen = tracking.thumbnail(np.full(shape, 51, np.uint8))
  np.testing.assert_allclose(seen, 0.2, atol=1e-6)
  assert seen.shape == (18, 32)


def test_faces_that_lie_on_each_other_are_one():
  faces = (_face(0, 0.3), _face(1, 0.7))
  shape = (360, 640, 3)
  assert tracking._is_known(_face(2, 0.32).points, faces, shape)
  assert not tracking._is_known(_face(2, 0.5).points, faces, shape)
  assert not tracking._is_known(_face(2, 0.5).points, (), shape)


def test_a_face_that_comes_back_is_the_one_that_was_lost():
  shape = (360, 640, 3)
  lost = ((_face(3, 0.3), 4), (_face(5, 0.6), 1))
  assert tracking._back(_face(9, 0.35).points, lost, shape) == 3
  assert tracking._back(_face(9, 0.58).points, lost, shape) == 5
  assert tracking._back(_face(9, 0.95).points, lost, shape) is None
  state = tracking.State(faces=(_face(0), _face(1, 0.2)))
  waiting = tracking._lost(state, (_face(1, 0.2),))
  assert [(face.number, age) for face, age in waiting] == [(0, 0)]
  state = tracking.State(lost=((_face(0), 2), (_face(7), 10**3)))
  waiting = tracking._lost(state, ())
  assert [(face.number, age) for face, age in waiting] == [(0, 3)]


def test_records_come_back_by_face():
  rows = [
    tracking.records(0, (_face(0), _face(1, 0.2))),
    tracking.records(1, ()),
    tracking.records(2, (_face(1, 0.2),)),
  ]
  data = b''.join(row.tobytes() for row in rows)
  records = np.frombuffer(data, tracking.RECORD)
  track = tracking.Track(
    np.arange(3) / 30, np.zeros(3, bool), records, 360, 640
  )
  assert tracking.faces_of(track) == [0, 1]
  assert tracking.rows_of(track, 1).tolist() == [1, 2]
  assert records['frame'][tracking.rows_of(track, 1)].tolist() == [0, 2]
  np.testing.assert_array_equal(records['points'][2], _face(1, 0.2).points)
