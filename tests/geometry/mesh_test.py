"""Normals, areas, edges, welding, padding and checks of meshes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.geometry import mesh

_TETRAHEDRON = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]])
_CORNERS = np.array(
  [[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
  np.float32,
)


def _sphere(rings=16, sectors=32, radius=3.0):
  """Return a closed latitude-longitude sphere with outward faces."""
  theta = np.linspace(0, np.pi, rings + 1)[1:-1]
  phi = np.linspace(0, 2 * np.pi, sectors, endpoint=False)
  t, p = np.meshgrid(theta, phi, indexing='ij')
  body = np.stack([np.sin(t) * np.sin(p), np.cos(t), np.sin(t) * np.cos(p)], -1)
  vertices = np.concatenate([[[0, 1, 0]], body.reshape(-1, 3), [[0, -1, 0]]])
  faces = []
  last = len(vertices) - 1
  for s in range(sectors):
    n = (s + 1) % sectors
    faces.append([0, 1 + s, 1 + n])
    for r in range(rings - 2):
      a, b = 1 + r * sectors + s, 1 + r * sectors + n
      c, d = a + sectors, b + sectors
      faces += [[a, c, b], [b, c, d]]
    base = 1 + (rings - 2) * sectors
    faces.append([last, base + n, base + s])
  return (radius * vertices).astype(np.float32), np.asarray(faces, np.int32)


def test_normals_of_a_sphere_point_outward():
  vertices, faces = _sphere()
  normals = jax.jit(mesh.vertex_normals)(vertices, faces)
  np.testing.assert_allclose(jnp.linalg.norm(normals, axis=-1), 1.0, atol=1e-6)
  # A faceted sphere of 32 sectors: within 5 degrees of the true normal.
  cosines = np.sum(normals * vertices / 3.0, -1)
  assert cosines.min() > np.cos(np.deg2rad(5))
  centres = vertices[faces].mean(1)
  flat = jax.jit(mesh.face_normals)(vertices, faces)
  assert (np.sum(flat * centres, -1) > 0).all()


def test_areas_of_a_sphere_and_a_tetrahedron():
  vertices, faces = _sphere(64, 128)
  total = jax.jit(mesh.face_areas)(vertices, faces).sum()
  np.testing.assert_allclose(total, 4 * np.pi * 9, rtol=2e-3)
  np.testing.assert_allclose(
    mesh.face_areas(jnp.asarray(_CORNERS), _TETRAHEDRON),
    [0.5, 0.5, np.sqrt(3) / 2, 0.5],
    rtol=1e-6,
  )


def test_vertex_normals_match_a_plain_loop_and_vmap():
  vertices, faces = _sphere(6, 8)
  noise = np.random.default_rng(0).normal(size=(2, *vertices.shape)) * 0.1
  batch = (vertices + noise).astype(np.float32)
  found = jax.jit(jax.vmap(mesh.vertex_normals, (0, None)))(batch, faces)
  for vertices, normals in zip(batch, found):
    expected = np.zeros_like(vertices)
    for a, b, c in faces:
      area = np.cross(vertices[b] - vertices[a], vertices[c] - vertices[a])
      expected[[a, b, c]] += area
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(normals, expected, atol=1e-5)


def test_degenerate_faces_have_finite_gradients():
  vertices = jnp.asarray([[0.0, 0, 0], [1, 1, 1], [2, 2, 2], [5, 5, 5]])
  faces = jnp.asarray([[0, 1, 2], [0, 0, 0], [0, 1, 1]])
  for function in (mesh.vertex_normals, mesh.face_normals, mesh.face_areas):
    total = jax.value_and_grad(lambda v, f=function: jnp.sum(f(v, faces)))
    value, gradient = jax.jit(total)(vertices)
    assert value == 0
    assert np.isfinite(gradient).all()


def test_edges_and_boundary():
  found = mesh.edges(_TETRAHEDRON)
  np.testing.assert_array_equal(
    found, [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]
  )
  assert mesh.boundary_edges(_TETRAHEDRON).shape == (0, 2)
  opened = _TETRAHEDRON[1:]
  np.testing.assert_array_equal(
    mesh.boundary_edges(opened), [[0, 1], [0, 2], [1, 2]]
  )
  np.testing.assert_array_equal(
    mesh.boundary_vertices(5, opened), [True, True, True, False, False]
  )


def test_weld_restores_a_mesh_that_was_cut_into_triangles():
  vertices, faces = _sphere(6, 8)
  soup = mesh.from_numpy(
    vertices[faces].reshape(-1, 3),
    np.arange(faces.size).reshape(-1, 3),
    colors=vertices[faces].reshape(-1, 3) / 6 + 0.5,
  )
  welded = mesh.weld(soup)
  mesh.check(welded)
  assert welded.vertices.shape == vertices.shape
  assert welded.faces.shape == faces.shape
  np.testing.assert_array_equal(
    np.asarray(welded.vertices)[np.asarray(welded.faces)], vertices[faces]
  )
  np.testing.assert_allclose(
    welded.colors, welded.vertices / 6 + 0.5, atol=1e-6
  )
  assert len(mesh.boundary_edges(welded.faces)) == 0


def test_compact_drops_unused_vertices():
  kept = mesh.compact(mesh.from_numpy(_CORNERS, np.array([[1, 2, 3]])))
  np.testing.assert_array_equal(kept.vertices, _CORNERS[1:])
  np.testing.assert_array_equal(kept.faces, [[0, 1, 2]])
  assert kept.colors is None


def test_pad_changes_counts_and_nothing_else():
  small = mesh.from_numpy(_CORNERS, _TETRAHEDRON)
  padded = mesh.pad(small, vertices=10, faces=8)
  mesh.check(padded)
  assert padded.vertices.shape == (10, 3) and padded.faces.shape == (8, 3)
  areas = jax.jit(mesh.face_areas)(padded.vertices, padded.faces)
  np.testing.assert_array_equal(areas[4:], 0)
  normals = jax.jit(mesh.vertex_normals)
  np.testing.assert_array_equal(
    normals(padded.vertices, padded.faces)[:4],
    normals(small.vertices, small.faces),
  )
  with pytest.raises(ValueError, match='Cannot pad'):
    mesh.pad(small, vertices=3, faces=8)


def test_concatenate_keeps_every_face_and_number():
  one = mesh.from_numpy(_CORNERS, _TETRAHEDRON, colors=_CORNERS)
  two = mesh.from_numpy(
    _CORNERS[:3] + 5, np.array([[0, 1, 2]]), colors=_CORNERS[1:]
  )
  scene = mesh.concatenate(one, two, one)
  mesh.check(scene)
  expected = [m.vertices[np.asarray(m.faces)] for m in (one, two, one)]
  corners = np.asarray(scene.vertices)[np.asarray(scene.faces)]
  np.testing.assert_array_equal(corners, np.concatenate(expected))
  np.testing.assert_array_equal(scene.colors[4:7], _CORNERS[1:])
  assert scene.uvs is None
  plain = mesh.Mesh(one.vertices, one.faces)
  with pytest.raises(ValueError, match='1 of 2 have none'):
    mesh.concatenate(plain, one)
  with pytest.raises(ValueError, match='at least one'):
    mesh.concatenate()


def _broken(*leaves):
  """Return a mesh as jax puts it together: of anything, unlike `Mesh(...)`."""
  whole = mesh.from_numpy(
    _CORNERS, _TETRAHEDRON, colors=_CORNERS if len(leaves) > 2 else None
  )
  return jax.tree.unflatten(jax.tree.structure(whole), leaves)


@pytest.mark.parametrize(
  'broken, message',
  [
    (_broken(_CORNERS[:, :2], _TETRAHEDRON), 'vertices must have shape'),
    (_broken(_CORNERS, _TETRAHEDRON + 1), 'index 4 vertices'),
    (_broken(_CORNERS, _TETRAHEDRON[:, :2]), 'shape'),
    (_broken(_CORNERS, _TETRAHEDRON * 1.0), 'integers'),
    (_broken(_CORNERS, _TETRAHEDRON, _CORNERS[:2]), 'colors must have'),
    (_broken(_CORNERS * np.nan, _TETRAHEDRON), 'finite'),
  ],
)
def test_check_names_the_fault(broken, message):
  with pytest.raises(ValueError, match=message):
    mesh.check(broken)


def test_transform():
  matrix = np.eye(4, dtype=np.float32)
  matrix[:3, :3] = [[0, -1, 0], [1, 0, 0], [0, 0, 2]]
  matrix[:3, 3] = [1, 2, 3]
  np.testing.assert_allclose(
    mesh.transform(jnp.asarray([[1.0, 2.0, 3.0]]), jnp.asarray(matrix)),
    [[-1.0, 3.0, 9.0]],
  )


def test_mesh_is_a_pytree():
  both = jax.tree.map(lambda x: x, mesh.from_numpy(_CORNERS, _TETRAHEDRON))
  assert len(jax.tree.leaves(both)) == 2
