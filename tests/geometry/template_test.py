"""Tests of maskjax.geometry.template (and the shell it is made of)."""

import jax.numpy as jnp
import numpy as np
import pytest
import trimesh

from maskjax.geometry import (
  canonical,
  mesh as mesh_lib,
  mesh_io,
  soundness,
  template,
)


@pytest.fixture(scope='module', params=template.KINDS)
def ours(request):
  return template.mask_template(request.param)


def corners(built):
  return np.asarray(built.mesh.vertices, np.float64)[
    np.asarray(built.mesh.faces)
  ]


def tetrahedron(scale=10.0):
  vertices = scale * np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
  faces = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]], np.int32)
  return mesh_lib.Mesh(jnp.asarray(vertices, jnp.float32), jnp.asarray(faces))


def test_size_and_reach(ours):
  vertices = np.asarray(ours.mesh.vertices)
  assert 2000 <= len(vertices) <= 5000
  assert len(ours.mesh.faces) < template.MAX_FACES
  low, high = vertices.min(0), vertices.max(0)
  np.testing.assert_allclose(low[1:], [-10.8, -6.9], atol=0.3)
  np.testing.assert_allclose(high[:2], [8.7, 13.0], atol=0.3)


def test_mesh_is_sound(ours):
  assert soundness.report(ours.mesh).sound
  mesh_lib.check(ours.mesh)
  used = np.unique(np.asarray(ours.mesh.faces))
  assert len(used) == len(ours.mesh.vertices)


def test_triangles_are_even(ours):
  sides = corners(ours) - np.roll(corners(ours), 1, axis=1)
  squares = np.sum(sides**2, -1)
  area = 0.5 * np.linalg.norm(np.cross(sides[:, 0], sides[:, 1]), axis=1)
  quality = 4 * np.sqrt(3) * area / squares.sum(1)  # 1 when equilateral
  assert quality.min() > 0.5 and np.median(quality) > 0.95
  lengths = np.sqrt(squares)
  assert lengths.max() < 1.2 and lengths.min() > 0.2


def test_faces_look_outward(ours):
  points = corners(ours)
  normals = np.cross(points[:, 1] - points[:, 0], points[:, 2] - points[:, 0])
  outward = points.mean(1) - [0.0, 0.6, -5.0]
  assert np.all(np.sum(normals * outward, -1) > 0.0)


def test_symmetry_is_exact(ours):
  vertices, faces = np.asarray(ours.mesh.vertices), np.asarray(ours.mesh.faces)
  twin = ours.symmetry
  np.testing.assert_array_equal(vertices[twin] * [-1, 1, 1], vertices)
  np.testing.assert_array_equal(twin[twin], np.arange(len(vertices)))

  def rotate(face):  # to begin with the smallest, in the same direction
    k = int(np.argmin(face))
    return tuple(np.roll(face, -k))

  mirrored = {rotate(face[::-1]) for face in twin[faces]}
  assert mirrored == {rotate(face) for face in faces}


def test_loops_are_the_boundary(ours):
  loops = [ours.rim, *ours.hole_loops]
  edges = {
    tuple(sorted(pair))
    for loop in loops
    for pair in zip(loop, np.roll(loop, 1))
  }
  boundary = mesh_lib.boundary_edges(np.asarray(ours.mesh.faces))
  assert edges == set(map(tuple, boundary.tolist()))
  assert len(loops) == (1 if ours.name == 'plain' else 4)
  # The rim lies behind the face, and turns anticlockwise seen from ahead.
  rim = np.asarray(ours.mesh.vertices)[ours.rim]
  assert rim[:, 2].max() < -2.0
  x, y = rim[:, 0], rim[:, 1]
  assert np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)) > 0.0


def test_uv_triangles_do_not_overlap(ours):
  uvs = np.asarray(ours.mesh.uvs, np.float64)
  assert uvs.min() >= 0.0 and uvs.max() <= 1.0
  a, b, c = (uvs[np.asarray(ours.mesh.faces)[:, k]] for k in range(3))
  u, v = b - a, c - a
  areas = 0.5 * (u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0])
  assert areas.min() > 0.0
  # No overlap: the areas add up to those the boundary loops enclose.
  enclosed = 0.0
  for loop in (ours.rim, *ours.hole_loops):
    x, y = uvs[loop].T
    enclosed += 0.5 * np.sum(x * np.roll(y, -1) - y * np.roll(x, -1))
  np.testing.assert_allclose(areas.sum(), enclosed, rtol=1e-6)


def test_canonical_map(ours):
  weights = ours.canonical_weights
  np.testing.assert_allclose(weights.sum(1), 1.0, atol=1e-5)
  assert weights.min() >= 0.0
  points = np.asarray(template.canonical_points(ours))
  face = canonical.load()
  distances = np.linalg.norm(points - face.vertices, axis=1)
  # `plain` smooths eyes, nose and mouth away; `face` only cuts its holes.
  typical, furthest = {'face': (0.05, 1.0), 'plain': (0.3, 1.2)}[ours.name]
  assert np.median(distances) < typical and distances.max() < furthest
  mirrored = face.vertices * [-1, 1, 1]
  twin = np.linalg.norm(
    mirrored[:, None] - face.vertices[None], axis=-1
  ).argmin(1)
  np.testing.assert_allclose(points[twin] * [-1, 1, 1], points, atol=1e-5)


def test_canonical_points_follow_the_vertices(ours):
  shifted = ours.mesh.vertices + jnp.array([[1.0, 2.0, 3.0]])
  before, after = (
    template.canonical_points(ours, v) for v in (ours.mesh.vertices, shifted)
  )
  np.testing.assert_allclose(after - before, [[1, 2, 3]] * 468, atol=1e-5)


def test_building_again_gives_the_same_bytes(ours):
  template._build.cache_clear()
  again = template.mask_template(ours.name)
  for name in ('vertices', 'faces', 'uvs'):
    first, second = (getattr(t.mesh, name) for t in (ours, again))
    np.testing.assert_array_equal(first, second)
  np.testing.assert_array_equal(ours.canonical_weights, again.canonical_weights)


def test_edge_length_sets_the_resolution():
  coarse = template.mask_template('face', edge_length=1.0)
  assert 900 <= len(coarse.mesh.vertices) <= 1300
  assert soundness.report(coarse.mesh).sound


def test_mask_template_refuses_bad_input():
  with pytest.raises(ValueError, match="unknown mask template 'oval'"):
    template.mask_template('oval')
  with pytest.raises(ValueError, match='edge_length is 9'):
    template.mask_template(edge_length=9)


def test_from_mesh_finds_the_rim():
  ours = template.mask_template('face', edge_length=1.0)
  theirs = template.from_mesh(ours.mesh, name='mine')
  np.testing.assert_array_equal(theirs.rim, ours.rim)
  assert len(theirs.hole_loops) == 3
  assert theirs.symmetry is None and theirs.canonical_triangles is None
  with pytest.raises(ValueError, match="'mine' has no map"):
    template.canonical_points(theirs)


def test_from_mesh_takes_closed_meshes():
  closed = template.from_mesh(tetrahedron())
  assert closed.rim.shape == (0,) and closed.hole_loops == ()


def test_boundary_loops_of_pieces_that_share_a_corner():
  faces = np.array([[0, 1, 2], [0, 3, 4]])
  loops = template.boundary_loops(faces)
  assert sorted(len(loop) for loop in loops) == [3, 3]


@pytest.mark.parametrize(
  'change, message',
  [
    ({'faces': jnp.zeros((0, 3), jnp.int32)}, 'no triangles'),
    ({'vertices': jnp.full((4, 3), jnp.nan)}, 'finite'),
    ({'vertices': tetrahedron(0.1).vertices}, 'spans 0.1 cm'),
    ({'faces': jnp.ones((10_001, 3), jnp.int32)}, 'at most 10000'),
    ({'faces': jnp.full((1, 3), 7)}, 'index 4 vertices'),
  ],
)
def test_from_mesh_refuses_bad_meshes(change, message):
  with pytest.raises(ValueError, match=message):
    template.from_mesh(tetrahedron().replace(**change))


def _sheet():
  return template.mask_template('plain', edge_length=1.2).mesh


def _file(tmp_path, mesh):
  path = tmp_path / 'head.obj'
  mesh_io.save_mesh(path, mesh)
  return str(path)


def test_faces_that_lie_on_others_are_left_out(tmp_path, capsys):
  sheet = _sheet()
  faces = np.asarray(sheet.faces)
  twice = np.concatenate([faces, faces[:, ::-1], faces[5:9]])
  path = _file(tmp_path, sheet.replace(faces=jnp.asarray(twice)))
  read = template.from_file(path)
  np.testing.assert_array_equal(read.mesh.faces, faces)
  assert f'{len(faces) + 4} faces of {path}' in capsys.readouterr().out
  assert soundness.report(read.mesh).sound


def test_a_shape_that_stands_elsewhere_is_moved(tmp_path, capsys):
  sheet = _sheet()
  far = sheet.replace(vertices=sheet.vertices + jnp.array([[0.0, 165.0, 3.0]]))
  read = template.from_file(_file(tmp_path, far))
  middle = np.asarray(read.mesh.vertices)
  np.testing.assert_allclose(middle.max(0) + middle.min(0), 0, atol=1e-4)
  assert 'is moved from (0.0, 16' in capsys.readouterr().out
  near = sheet.replace(vertices=sheet.vertices + jnp.array([[0.0, 5.0, 3.0]]))
  read = template.from_file(_file(tmp_path, near))
  np.testing.assert_allclose(read.mesh.vertices, near.vertices, atol=1e-5)


@pytest.mark.parametrize(
  ('change', 'words'),
  [
    (lambda v, f: (v, f[:, ::-1]), 'look inward; turn them over'),
    (lambda v, f: (v * [-1, 1, -1], f), r'looks along \(.*-1.0\); turn it so'),
    (lambda v, f: (v[:, [2, 1, 0]] * [1, 1, -1], f), r'looks along \(1.0'),
    # From a program in which z is up.
    (lambda v, f: (v[:, [0, 2, 1]] * [1, -1, 1], f), r'looks along \(.*-1.0'),
  ],
)
def test_a_shape_that_is_not_seen_from_ahead_is_refused(
  tmp_path, change, words
):
  sheet = _sheet()
  vertices, faces = change(np.asarray(sheet.vertices), np.asarray(sheet.faces))
  other = mesh_lib.Mesh(jnp.asarray(vertices), jnp.asarray(faces))
  with pytest.raises(ValueError, match=words) as caught:
    template.from_file(_file(tmp_path, other))
  assert '\n' not in str(caught.value)


def test_closed_shapes_and_caps_look_everywhere(tmp_path):
  ball = trimesh.creation.icosphere(subdivisions=2, radius=9.0)
  ball.export(tmp_path / 'ball.obj')
  assert len(template.from_file(str(tmp_path / 'ball.obj')).rim) == 0
  upper = ball.faces[ball.triangles_center[:, 1] > 0]
  trimesh.Trimesh(ball.vertices, upper).export(tmp_path / 'cap.obj')
  assert len(template.from_file(str(tmp_path / 'cap.obj')).rim) > 9
