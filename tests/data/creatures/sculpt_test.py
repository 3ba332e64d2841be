"""Surface nets against closed forms: a ball, its hollow, its split edges."""

import numpy as np
import pytest

from maskjax.data.creatures import sculpt, solids, topology

RED, BLUE = np.array([1.0, 0, 0]), np.array([0, 0, 1.0])


def _ball(radius=4.0):
  return [sculpt.add(solids.ellipsoid((0, 0, 0), radius), RED)]


def _volume(vertices, faces):
  a, b, c = (vertices[faces[:, i]] for i in range(3))
  return float((a * np.cross(b, c)).sum() / 6)


def test_ball_has_its_radius_volume_and_outward_faces():
  vertices, faces, colors = sculpt.mesh_arrays(_ball(), spacing=0.4)
  np.testing.assert_allclose(np.linalg.norm(vertices, axis=1), 4, atol=0.03)
  expected = 4 / 3 * np.pi * 4**3
  assert _volume(vertices, faces) == pytest.approx(expected, rel=0.01)
  edges = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), 1)
  _, uses = np.unique(edges, axis=0, return_counts=True)
  assert (uses == 2).all()
  np.testing.assert_allclose(colors, np.tile(RED, (len(colors), 1)), atol=0.06)


def test_back_is_open():
  vertices, faces, _ = sculpt.mesh_arrays(
    [sculpt.add(solids.ellipsoid((0, 0, -5), 4.0), RED)], spacing=0.4
  )
  assert vertices[:, 2].min() > -6.3
  edges = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), 1)
  _, uses = np.unique(edges, axis=0, return_counts=True)
  assert (uses == 1).any()


def test_carve_and_paint():
  strokes = [
    *_ball(),
    sculpt.carve(solids.ellipsoid((0, 0, 4), 1.5), BLUE, blend=0.0),
    sculpt.paint(solids.ellipsoid((0, 4, 0), 1.0), BLUE),
  ]
  points = np.array([[0, 0, 2.5], [0, 4, 0], [4, 0, 0]])
  field, colors = sculpt.field_and_color(strokes, points)
  np.testing.assert_allclose(field, 0, atol=1e-5)
  np.testing.assert_allclose(colors[:2], [BLUE, BLUE], atol=1e-3)
  np.testing.assert_allclose(colors[2], RED, atol=1e-3)
  assert sculpt.front(strokes, 0, 0) == pytest.approx(2.5, abs=0.11)


def test_heads_are_mirrored():
  strokes = [*_ball(), sculpt.add(solids.ellipsoid((4, 1, 0), 1.5), BLUE)]
  points = np.array([[4.4, 1.3, 0.2], [-4.4, 1.3, 0.2]])
  field, colors = sculpt.field_and_color(strokes, points)
  assert field[0] == field[1] < 0
  np.testing.assert_array_equal(colors[0], colors[1])


def test_grid_agrees_with_exact_field():
  strokes = [*_ball(), sculpt.add(solids.cone((3, 0, 0), (7, 3, 0), 1, 0.4))]
  grid = sculpt.sample(strokes, 0.3)
  rng = np.random.default_rng(0)
  points = rng.normal(size=(400, 3)).astype(np.float32)
  points *= 4.0 / np.linalg.norm(points, axis=1, keepdims=True)
  exact, _ = sculpt.field_and_color(strokes, points)
  np.testing.assert_allclose(sculpt.look_up(grid, points), exact, atol=0.08)


def test_split_edges_keep_surface_closed():
  vertices, faces = sculpt.surface_net(sculpt.sample(_ball(), 1.0))
  edges = topology.edge_list(faces)
  marked = np.random.default_rng(0).random(len(edges)) < 0.4
  middles = vertices[edges[marked]].mean(1)
  split = topology.split_edges(faces, marked, edges, len(vertices))
  everything = np.concatenate([vertices, middles])
  assert _volume(everything, split) == pytest.approx(
    _volume(vertices, faces), rel=1e-4
  )
  sides = np.sort(split[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), 1)
  _, uses = np.unique(sides, axis=0, return_counts=True)
  assert (uses == 2).all()


def test_borders_of_colour_are_split():
  strokes = [*_ball(), sculpt.paint(solids.ellipsoid((0, 0, 4), 1), BLUE)]
  coarse = sculpt.mesh_arrays(strokes, spacing=0.6, splits=0)
  fine = sculpt.mesh_arrays(strokes, spacing=0.6, splits=2)
  assert len(coarse[1]) < len(fine[1]) < 2 * len(coarse[1])


@pytest.mark.parametrize(
  'solid',
  [
    solids.ellipsoid((1, 0, 0), (2, 1, 1.5), solids.rotation(20, 30, 10)),
    solids.block((1, 1, 0), (2, 1, 1.5), rounding=0.4),
    solids.cone((0, 0, 0), (2, 3, 1), 1.0, 0.2),
    solids.tube(((0, 0, 0), (2, 3, 1), (4, 0, 1)), (1.0, 0.2)),
    solids.leaf((0, 0, 0), (2, 5, 1), 1.5, 0.5, (0, 0, 1)),
  ],
)
def test_solids_keep_to_their_boxes(solid):
  rng = np.random.default_rng(0)
  points = rng.uniform(-8, 8, (20000, 3)).astype(np.float32)
  inside = solid.distance(*points.T) < 0
  assert inside.any()
  assert (points[inside] > solid.low - 1e-4).all()
  assert (points[inside] < solid.high + 1e-4).all()
  # No distance grows faster than the way walked: meshing relies on it.
  step = rng.normal(size=points.shape).astype(np.float32)
  step *= 0.05 / np.linalg.norm(step, axis=1, keepdims=True)
  change = solid.distance(*(points + step).T) - solid.distance(*points.T)
  near = np.abs(solid.distance(*points.T)) < 0.1
  assert np.abs(change[near]).max() < 0.05 * 3
