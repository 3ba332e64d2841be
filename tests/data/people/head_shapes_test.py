"""Shapes of heads fit the canonical face, whatever is done to them."""

import dataclasses

import numpy as np
import pytest

from maskjax.data.people import head_model, head_shapes, people
from maskjax.geometry import canonical


@pytest.fixture(scope='module')
def person():
  drawn = people.sample_person(np.random.default_rng([11, 0]))
  return dataclasses.replace(drawn, units={}, gaze=(0.0, 0.0))


def test_the_canonical_face_fits_itself():
  points = canonical.load().vertices.astype(np.float64)
  scale, shift = head_shapes.fit_canonical(points)
  assert scale == pytest.approx(1)
  np.testing.assert_allclose(shift, 0, atol=1e-6)
  # What was scaled and moved is moved back.
  scale, shift = head_shapes.fit_canonical(2.5 * points + [1, 2, 3])
  np.testing.assert_allclose(
    scale * (2.5 * points + [1, 2, 3]) + shift, points, atol=1e-6
  )


def test_exaggeration_grows_with_its_factor(person):
  life, more, most = (
    head_shapes.vertices(dataclasses.replace(person, exaggeration=factor))
    for factor in (1.0, 1.5, 2.0)
  )
  first, second = np.abs(more - life).mean(), np.abs(most - life).mean()
  assert 1.5 < second / first < 2.5


def test_a_toon_has_a_thin_neck_and_keeps_its_sides(person):
  life = head_shapes.vertices(person)
  toon = head_shapes.vertices(dataclasses.replace(person, toon=1.0))
  assert np.all(np.sign(toon[:, 0]) == np.sign(life[:, 0]))
  neck = head_model.rest()[:, 1] < -9.5
  assert np.ptp(toon[neck, 0]) < 0.8 * np.ptp(life[neck, 0])
  half = head_shapes.vertices(dataclasses.replace(person, toon=0.5))
  assert np.abs(half - life).max() < np.abs(toon - life).max()


def test_expressions_move_the_face_only(person):
  life = head_shapes.vertices(person)
  smile = {'mouthSmileLeft': 1.0, 'mouthSmileRight': 1.0}
  smiling = head_shapes.vertices(dataclasses.replace(person, units=smile))
  moved = np.linalg.norm(smiling - life, axis=-1)
  rest = head_model.rest()
  assert moved.max() > 0.5 and moved[rest[:, 1] > 8].max() == 0
