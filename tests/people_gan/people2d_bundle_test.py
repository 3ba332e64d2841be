"""The two-dimensional people that come with the package."""

import numpy as np
import pytest

from maskjax.gan import checkpoints, student, stylegan2
from maskjax.people_gan import (
  flat_pictures,
  metrics as people_metrics,
  pictures as people_pictures,
)
from maskjax.weights import bundled

YAWS = (-23.0, 0.0, 23.0)
# Standard deviation of the horizontal angle in the data, radians.
SPREAD = 0.4


@pytest.fixture(scope='module')
def shown():
  """Pictures of 8 people from three sides, drawn and rendered."""
  flat = checkpoints.load(bundled.bundled_path('people2d'))
  assert isinstance(flat.module, stylegan2.Generator)
  camera = people_pictures.turned(YAWS)
  return flat_pictures.pairs(
    flat,
    checkpoints.load(bundled.bundled_path('source')),
    range(8),
    camera,
    student.angles(camera) / SPREAD,
  )


def test_files_are_small_and_described():
  folder = bundled.bundled_path('people2d')
  sizes = [path.stat().st_size for path in folder.rglob('*') if path.is_file()]
  assert max(sizes) <= 16 * 2**20 and sum(sizes) <= 30 * 2**20
  card = (folder / 'README.md').read_text()
  for words in ('two dimensions', 'licence', 'student', '](samples.png)'):
    assert words in card


def test_the_same_latents_show_the_same_people_turned(shown):
  drawn, rendered = shown
  assert drawn.shape == (8, 3, 64, 64, 3)
  alike = people_metrics.alike(drawn, rendered)
  assert alike['same_person'] > 0.8 and alike['same_view'] > 0.8
  apart = np.abs(drawn[:, None] - rendered[None]).mean((2, 3, 4, 5))
  assert np.diag(apart).mean() < 0.5 * apart.mean()


def test_an_eg3d_is_no_student_of_itself():
  solid = checkpoints.load(bundled.bundled_path('source'))
  camera = people_pictures.turned((0.0,))
  with pytest.raises(ValueError, match='no student and its EG3D'):
    flat_pictures.pairs(solid, solid, (0,), camera, student.angles(camera))


def test_people_stand_before_white_and_differ(shown):
  drawn = shown[0][:, 1]
  assert drawn[:, 2:10, 2:6].mean() > 0.7
  face = drawn[:, 24:48, 24:40].reshape(8, -1)
  apart = np.abs(face[:, None] - face[None]).mean(-1)
  assert (apart[~np.eye(8, dtype=bool)] > 0.04).all()
