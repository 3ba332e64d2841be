"""Points carry what hangs on them; the occluder stays under the skin."""

import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.data.people import head_model, head_shapes
from maskjax.face import pose as pose_lib
from maskjax.geometry import (
  camera as camera_lib,
  canonical,
  mesh as mesh_lib,
)
from maskjax.wear import binding, composite
from tests.wear import conftest as truth


def _moves():
  return np.random.default_rng(0).normal(0, 0.5, (468, 3)).astype(np.float32)


def test_a_face_on_the_face_moves_as_the_face():
  face = canonical.load()
  bound = binding.bind(face.vertices)
  carried = binding.carry(bound, jnp.asarray(_moves()))
  # Around nostrils and lids points lie behind each other.
  close = np.abs(np.asarray(carried) - _moves()).max(-1) < 1e-3
  assert close.mean() > 0.9
  np.testing.assert_allclose(bound.weights.sum(1), 1, atol=1e-5)
  assert bound.weights.min() > -1e-5


def test_what_lies_before_a_triangle_moves_by_its_corners():
  face = canonical.load()
  centre = np.array([0, 0.6, -5.0])
  corners = face.faces[np.arange(0, 898, 90)]
  middles = face.vertices[corners].mean(1)
  # Twice as far out, like a trunk.
  bound = binding.bind(centre + 2 * (middles - centre))
  even = binding.carry(bound, jnp.ones((468, 3)))
  np.testing.assert_allclose(np.asarray(even), 1, atol=1e-5)


def test_the_back_of_a_head_stays():
  places = np.array([[0.0, 2, -14], [9, 0, -9], [0, 14, -6]])
  carried = binding.carry(binding.bind(places), jnp.ones((468, 3)))
  assert np.abs(np.asarray(carried)).max() < 0.02
  beside = binding.bind(np.array([[0.0, 9.5, 2.0]]))
  share = float(beside.weights.sum())
  assert 0.02 < share <= 1.0


def test_a_vertex_in_the_middle_of_the_head_is_finite():
  bound = binding.bind(np.array([[0.0, 0.6, -5.0]]))
  assert np.all(np.isfinite(bound.weights))


@pytest.fixture(scope='module')
def head():
  """Return the mean head's skin, on the canonical face."""
  rest, model = head_model.rest(), head_model.load()
  scale, shift = head_shapes.fit_canonical(head_model.landmarks(rest))
  faces = model.faces[model.parts == head_model.SKIN]
  return mesh_lib.from_numpy(scale * rest + shift, faces)


def _covered(mask, hides, yaw):
  """Return where a mask is seen, the head turned to a side."""
  pose = jnp.asarray(truth.pose_of((yaw, 0, 0), (0, 0, 60.0)), jnp.float32)
  intrinsics = pose_lib.photo_intrinsics(120, 120, 40.0)
  camera = camera_lib.Camera(camera_lib.invert_pose(pose), intrinsics)
  frame = np.zeros((120, 120, 3), np.uint8)
  surface = composite.join(mask, hides)
  _, alone = composite.wear(
    frame, surface, camera, truth.even_light(), composite.SHARP
  )
  return alone[..., 3] > 127


@pytest.mark.parametrize('yaw', [0.0, 50.0])
def test_the_occluder_lies_under_the_skin_and_hides_what_is_behind(head, yaw):
  points = head_model.landmarks(np.asarray(head.vertices, np.float64))
  under = binding.occluder(points.astype(np.float32))
  mesh_lib.check(under)
  bare = _covered(head, None, yaw)
  assert (_covered(head, under, yaw) & bare).sum() > 0.99 * bare.sum()
  corners = np.array([[-6.0, -3], [6, -3], [6, 8], [-6, 8]])
  wall = np.concatenate([corners, np.full((4, 1), -20.0)], 1)
  wall = mesh_lib.from_numpy(wall, np.array([[0, 1, 2], [0, 2, 3]]))
  if yaw == 0:
    assert _covered(wall, None, yaw).any()
    assert not _covered(wall, under, yaw).any()


def test_a_wide_person_has_a_wide_occluder():
  shape = canonical.load().vertices.copy()
  wide = binding.occluder(shape * np.array([1.15, 1, 1], np.float32))
  usual = binding.occluder(shape)
  ratio = np.ptp(np.asarray(wide.vertices)[:, 0])
  ratio = ratio / np.ptp(np.asarray(usual.vertices)[:, 0])
  assert 1.08 < ratio < 1.2
