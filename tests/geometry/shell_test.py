"""The shell of our own masks: a plane, a surface over it, and outlines."""

import functools

import numpy as np
import pytest

from maskjax.geometry import canonical, shell

_MIRROR = np.array([-1.0, 1.0, 1.0])
_surface = functools.cache(shell.surface)


def test_the_plane_keeps_angles_from_straight_ahead():
  ahead = np.array([[0.0, 0.6, 5.0]])
  side = np.array([[7.0, 0.6, -5.0]])
  plane, radii = shell.to_plane(np.concatenate([ahead, side]))
  # The centre is (0, 0.6, -5).
  np.testing.assert_allclose(radii, [10.0, 7.0])
  np.testing.assert_allclose(plane, [[0, 0], [np.pi / 2, 0]], atol=1e-12)


@pytest.mark.parametrize('kind', shell.KINDS)
def test_the_surface_lies_over_its_plane_and_is_symmetric(kind):
  embed = _surface(kind)
  points = np.random.default_rng(0).uniform(-1.2, 1.2, (50, 2))
  solid = embed(points)
  back, radii = shell.to_plane(solid)
  np.testing.assert_allclose(back, points, atol=1e-9)
  assert radii.min() > 4 and radii.max() < 20
  np.testing.assert_allclose(
    embed(points * _MIRROR[:2]), solid * _MIRROR, atol=1e-9
  )


def test_the_face_passes_by_the_canonical_points():
  vertices = canonical.load().vertices.astype(np.float64)
  plane, _ = shell.to_plane(vertices)
  off = {
    kind: np.linalg.norm(_surface(kind)(plane) - vertices, axis=1)
    for kind in shell.KINDS
  }
  # 'face' follows it, lips apart; 'plain' has a soft nose and closed lids.
  assert np.median(off['face']) < 0.05 < np.median(off['plain']) < 0.8


def test_outlines_run_along_the_middle_and_leave_the_eye_open():
  embed = _surface('face')

  def size(points):
    return np.full(len(points), 1.0)

  outline, holes = shell.half_outline('face', embed, size)
  assert len(holes) == 1 and (holes[0][:, 0] > 0).all()
  assert outline[:, 0].min() == 0.0
  # Anticlockwise: a positive area by the shoelace formula.
  x, y = outline.T
  assert np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)) > 0
  steps = np.linalg.norm(np.diff(embed(outline), axis=0), axis=1)
  assert steps.min() > 0.5 and steps.max() < 1.2
  plain, none = shell.half_outline('plain', _surface('plain'), size)
  assert not len(none) and (plain[:, 0] >= 0).all()
