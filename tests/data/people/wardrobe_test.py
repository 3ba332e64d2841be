"""What is worn: closed, on its place, and of its kind."""

import dataclasses

import numpy as np
import pytest

from maskjax.data.people import hair as hair_lib, head_model, wardrobe


@pytest.fixture(scope='module')
def landmarks():
  return head_model.landmarks(head_model.rest())


@pytest.fixture(scope='module')
def scalp():
  model, rest = head_model.load(), head_model.rest()
  faces = model.faces[model.parts == head_model.SKIN]
  normals = head_model.vertex_normals(rest, model.faces)
  return hair_lib.Scalp(rest, normals, rest, faces)


def _dress(landmarks, scalp, **worn):
  return wardrobe.dress(wardrobe.Wear(**worn), landmarks, scalp, 0.4)


def _uses(solid):
  # A closed tube ends where it begins, with vertices of its own.
  _, same = np.unique(solid.vertices.round(4), axis=0, return_inverse=True)
  faces = same.ravel()[solid.faces]
  edges = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), 1)
  return np.unique(edges, axis=0, return_counts=True)[1]


def test_nothing_is_nothing(landmarks, scalp):
  assert _dress(landmarks, scalp) == []


@pytest.mark.parametrize('name', wardrobe.FRAMES)
def test_glasses_sit_before_the_eyes(landmarks, scalp, name):
  solids = _dress(landmarks, scalp, glasses=name)
  kinds = [solid.kind for solid in solids]
  assert kinds.count('frame') == 5  # two rims and temples, and a bridge
  assert kinds.count('lens') == (2 if name == 'sunglasses' else 0)
  # A closed rim: every edge belongs to two faces.
  assert np.all(_uses(solids[0]) == 2)
  rims = solids[0], solids[2 + kinds.count('lens') // 2]
  for rim, eye in zip(rims, ((362, 263), (133, 33))):
    corners = landmarks[list(eye)]
    low, high = rim.vertices.min(0), rim.vertices.max(0)
    assert low[0] < corners[:, 0].min() and high[0] > corners[:, 0].max()
    assert rim.vertices[:, 2].mean() > corners[:, 2].mean()


def test_tubes_have_their_radius():
  path = np.array([[0.0, 0, 0], [0, 3, 0], [0, 6, 0]])
  tube = wardrobe._tube(path, 0.5, 'frame', sides=12)
  radius = np.linalg.norm(tube.vertices[:, [0, 2]], axis=-1)
  np.testing.assert_allclose(radius, 0.5)
  flat = wardrobe._tube(path, 0.5, 'frame', sides=12, flat=0.5)
  radius = np.linalg.norm(flat.vertices[:, [0, 2]], axis=-1)
  np.testing.assert_allclose([radius.min(), radius.max()], [0.25, 0.5])


def test_rims_are_superellipses():
  for shape, power in (('round', 2.0), ('square', 4.5)):
    outline = wardrobe._rim(shape, 1.0, 1.0)
    # Without the slant of its upper edge.
    x, y = outline[:, 0], outline[:, 1] / (1 + 0.08 * outline[:, 0])
    np.testing.assert_allclose(np.abs(x) ** power + np.abs(y) ** power, 1)


@pytest.mark.parametrize('hat', wardrobe.HATS)
def test_hats_cover_the_crown_and_leave_the_face(landmarks, scalp, hat):
  solids = _dress(landmarks, scalp, hat=hat)
  assert {solid.kind for solid in solids} == {'hat'}
  assert len(solids) == (2 if hat == 'beanie' else 4)
  crown = solids[0].vertices
  top = scalp.vertices[:, 1].max()
  assert crown[:, 1].max() > top and crown[:, 1].min() > landmarks[0, 1]
  # A cap's peak reaches before the forehead.
  reach = max(solid.vertices[:, 2].max() for solid in solids)
  assert (reach > landmarks[:, 2].max()) == (hat == 'cap')


def test_earrings_hang_below_the_lobes(landmarks, scalp):
  left, right = _dress(landmarks, scalp, earrings=0.4)
  for ball in (left, right):
    middle = 0.5 * (ball.vertices.min(0) + ball.vertices.max(0))
    away = np.linalg.norm(ball.vertices - middle, axis=-1)
    np.testing.assert_allclose(away, 0.4, rtol=0.05)
  assert left.vertices[:, 0].min() > 0 > right.vertices[:, 0].max()


def test_unknown_things_are_named(landmarks, scalp):
  with pytest.raises(ValueError, match="unknown glasses 'heart'"):
    _dress(landmarks, scalp, glasses='heart')
  with pytest.raises(ValueError, match="unknown hat 'crown'"):
    _dress(landmarks, scalp, hat='crown')
  wear = dataclasses.replace(wardrobe.Wear(), earrings=0.0)
  assert wardrobe.dress(wear, landmarks, scalp) == []
