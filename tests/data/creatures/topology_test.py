"""Faces: cut from quads, split, relaxed, tidied."""

import numpy as np

from maskjax.data.creatures import topology

_SQUARE = np.float32([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])


def test_quads_are_split_along_the_shorter_diagonal():
  long = _SQUARE * np.float32([1, 1, 0])
  long[2] = [2, 2, 0]
  faces = topology.triangulate(long, np.array([[0, 1, 2, 3]]))
  edges = topology.edge_list(faces)
  assert [1, 3] in edges.tolist() and [0, 2] not in edges.tolist()
  # Both triangles keep the quad's direction.
  a, b, c = (long[faces[:, k]] for k in range(3))
  assert np.all(np.cross(b - a, c - a)[:, 2] > 0)


def test_edges_are_told_once():
  edges = topology.edge_list(np.array([[0, 1, 2], [2, 1, 3]]))
  assert edges.tolist() == [[0, 1], [0, 2], [1, 2], [1, 3], [2, 3]]


def test_split_edges_of_one_triangle_make_two_three_or_four():
  faces = np.array([[0, 1, 2]], np.int32)
  edges = topology.edge_list(faces)
  corners = np.float32([[0, 0, 0], [4, 0, 0], [0, 3, 0]])
  for marks in np.ndindex(2, 2, 2):
    marked = np.array(marks, bool)
    split = topology.split_edges(faces, marked, edges, 3)
    assert len(split) == 1 + sum(marks)
    vertices = np.concatenate([corners, corners[edges[marked]].mean(1)])
    a, b, c = (vertices[split[:, k]] for k in range(3))
    areas = 0.5 * np.cross(b - a, c - a)[:, 2]
    assert np.all(areas > 0) and np.isclose(areas.sum(), 6)


def test_relaxing_moves_inner_vertices_to_the_middle_of_their_neighbours():
  vertices = np.concatenate([_SQUARE, np.float32([[0.9, 0.8, 1.0]])])
  faces = np.array([[0, 1, 4], [1, 2, 4], [2, 3, 4], [3, 0, 4]])
  found = topology.relax(vertices, faces, 1.0)
  np.testing.assert_allclose(found[4], [0.5, 0.5, 0.0])
  np.testing.assert_array_equal(found[:4], _SQUARE)  # the rim stays
  half = topology.relax(vertices, faces, 0.5)
  np.testing.assert_allclose(half[4], [0.7, 0.65, 0.5])


def test_faces_without_area_and_unused_vertices_go():
  vertices = np.concatenate([_SQUARE, _SQUARE[:1] + 9])
  faces = np.array([[1, 2, 3], [2, 2, 3]])
  colors = np.arange(15, dtype=np.float32).reshape(5, 3)
  kept, tidy, tones = topology.drop_loose(vertices, faces, colors)
  np.testing.assert_array_equal(kept, _SQUARE[1:])
  assert tidy.tolist() == [[0, 1, 2]]
  np.testing.assert_array_equal(tones, colors[1:4])
