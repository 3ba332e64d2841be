"""Tests of maskjax.geometry.mesh_io and maskjax.geometry.gltf."""

import json
import struct

import jax.numpy as jnp
import numpy as np
import pytest
import trimesh

from maskjax.geometry import color, gltf, mesh as mesh_lib, mesh_io, template

EXTRAS = {'prompt': 'ein Löwe', 'seed': 3, 'config': {'steps': [1, 2.5]}}
# 16 bits in GLB, six decimals of sRGB in OBJ, 8 bits of sRGB in PLY.
COLOR_TOLERANCE = {'.glb': 1e-5, '.obj': 3e-6, '.ply': 5e-3}


@pytest.fixture(scope='module')
def mask():
  mesh = template.mask_template('face', edge_length=1.2).mesh
  colors = np.random.default_rng(0).uniform(size=mesh.vertices.shape)
  return mesh.replace(colors=jnp.asarray(colors, jnp.float32))


def glb_parts(path):
  """(document, binary chunk) of a GLB file, its framing checked."""
  data = path.read_bytes()
  magic, version, length = struct.unpack_from('<4sII', data)
  assert (magic, version, length) == (b'glTF', 2, len(data))
  size, kind = struct.unpack_from('<I4s', data, 12)
  assert kind == b'JSON' and size % 4 == 0
  rest, kind = struct.unpack_from('<I4s', data, 20 + size)
  assert kind == b'BIN\0' and rest % 4 == 0
  return json.loads(data[20 : 20 + size]), data[28 + size :]


def accessor(document, binary, number):
  """Return an accessor's array, [N, C]."""
  entry = document['accessors'][number]
  view = document['bufferViews'][entry['bufferView']]
  dtype = {5126: '<f4', 5123: '<u2', 5125: '<u4'}[entry['componentType']]
  width = {'SCALAR': 1, 'VEC2': 2, 'VEC3': 3, 'VEC4': 4}[entry['type']]
  assert view['byteOffset'] % 4 == 0
  start, size = view['byteOffset'], view['byteLength']
  array = np.frombuffer(binary[start : start + size], dtype)
  return array.reshape(entry['count'], width)


@pytest.mark.parametrize('suffix', mesh_io.WRITABLE)
def test_round_trip(tmp_path, mask, suffix):
  path = tmp_path / f'mask{suffix}'
  mesh_io.save_mesh(path, mask, extras=EXTRAS)
  back = mesh_io.load_mesh(path)
  # 4 spacings of 8 to 16 cm, to metres and back.
  np.testing.assert_allclose(back.vertices, mask.vertices, atol=4e-6)
  np.testing.assert_array_equal(back.faces, mask.faces)
  np.testing.assert_allclose(
    back.colors, mask.colors, atol=COLOR_TOLERANCE[suffix]
  )
  if suffix != '.ply':
    np.testing.assert_allclose(back.uvs, mask.uvs, atol=1e-6)


@pytest.mark.parametrize('suffix', mesh_io.WRITABLE)
def test_same_mesh_same_bytes_and_nothing_left_over(tmp_path, mask, suffix):
  paths = [tmp_path / 'a' / f'mask{suffix}', tmp_path / 'b' / f'mask{suffix}']
  for path in paths:
    mesh_io.save_mesh(path, mask, extras=EXTRAS)
  assert paths[0].read_bytes() == paths[1].read_bytes()
  assert [p.name for p in (tmp_path / 'a').iterdir()] == [f'mask{suffix}']


def test_glb_contents(tmp_path, mask):
  path = tmp_path / 'mask.glb'
  mesh_io.save_mesh(path, mask, extras=EXTRAS)
  document, binary = glb_parts(path)
  primitive = document['meshes'][0]['primitives'][0]
  arrays = {
    name: accessor(document, binary, number)
    for name, number in primitive['attributes'].items()
  }
  np.testing.assert_allclose(
    arrays['POSITION'], mask.vertices / 100.0, rtol=1e-6
  )
  bounds = document['accessors'][primitive['attributes']['POSITION']]
  np.testing.assert_array_equal(
    np.float32([bounds['min'], bounds['max']]),
    [arrays['POSITION'].min(0), arrays['POSITION'].max(0)],
  )
  np.testing.assert_allclose(
    np.linalg.norm(arrays['NORMAL'], axis=1), 1.0, atol=1e-5
  )
  np.testing.assert_allclose(
    arrays['COLOR_0'][:, :3] / 65535.0, mask.colors, atol=1e-5
  )
  assert np.all(arrays['COLOR_0'][:, 3] == 65535)
  np.testing.assert_allclose(
    arrays['TEXCOORD_0'], np.asarray(mask.uvs) * [1, -1] + [0, 1], atol=1e-6
  )
  indices = accessor(document, binary, primitive['indices'])
  np.testing.assert_array_equal(indices.reshape(-1, 3), mask.faces)
  material = document['materials'][primitive['material']]
  assert material['doubleSided']
  assert material['pbrMetallicRoughness']['metallicFactor'] == 0.0
  assert gltf.read_extras(path) == EXTRAS


def test_vertices_without_a_normal_get_a_unit_one(tmp_path):
  flat = mesh_lib.Mesh(
    jnp.array([[0.0, 0, 0], [1, 0, 0], [2, 0, 0]]), jnp.array([[0, 1, 2]])
  )
  mesh_io.save_mesh(tmp_path / 'flat.glb', flat)
  document, binary = glb_parts(tmp_path / 'flat.glb')
  attributes = document['meshes'][0]['primitives'][0]['attributes']
  normals = accessor(document, binary, attributes['NORMAL'])
  np.testing.assert_array_equal(normals, [[0, 0, 1]] * 3)


def test_obj_of_others_quads_and_seams(tmp_path):
  path = tmp_path / 'box.obj'
  path.write_text(
    'v 0 0 0\nv 5 0 0\nv 5 5 0\nv 0 5 0\nv 9 0 0\nv 9 5 0\n'
    'vt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\n'
    'f 1/1 2/2 3/3 4/4\nf 2/1 5/2 6/3 3/4\n'
  )
  mesh = mesh_io.load_mesh(path)
  assert mesh.vertices.shape == (6, 3) and mesh.faces.shape == (4, 3)
  assert mesh.colors is None
  assert len(template.boundary_loops(np.asarray(mesh.faces))) == 1
  assert len(mesh_io.load_mesh(path, weld=False).vertices) == 8


def test_stl_and_gltf_units(tmp_path):
  import trimesh

  box = trimesh.creation.box(extents=(2.0, 4.0, 6.0))
  box.export(tmp_path / 'box.stl')
  mesh = mesh_io.load_mesh(tmp_path / 'box.stl')
  assert mesh.vertices.shape == (8, 3)
  np.testing.assert_allclose(mesh.vertices.max(0), [1, 2, 3], rtol=1e-6)
  scene = trimesh.Scene([box])
  scene.apply_translation([1.0, 0.0, 0.0])
  scene.export(tmp_path / 'box.glb')
  mesh = mesh_io.load_mesh(tmp_path / 'box.glb')
  np.testing.assert_allclose(mesh.vertices.max(0), [200, 200, 300], rtol=1e-6)


def test_ply_colours_are_srgb(tmp_path, mask):
  grey = mask.replace(colors=jnp.full(mask.vertices.shape, 0.2))
  mesh_io.save_mesh(tmp_path / 'grey.ply', grey)
  data = (tmp_path / 'grey.ply').read_bytes()
  body = data[data.index(b'end_header\n') + 11 :]
  expected = int(np.round(255 * float(color.linear_to_srgb(jnp.array(0.2)))))
  assert list(body[24:27]) == [expected] * 3


def test_a_failed_write_keeps_the_old_file(tmp_path, mask):
  path = tmp_path / 'mask.glb'
  mesh_io.save_mesh(path, mask)
  before = path.read_bytes()
  with pytest.raises(ValueError, match='plain JSON'):
    mesh_io.save_mesh(path, mask, extras={'key': object()})
  with pytest.raises(ValueError, match='finite'):
    mesh_io.save_mesh(path, mask.replace(vertices=mask.vertices * jnp.inf))
  assert path.read_bytes() == before


@pytest.mark.parametrize('name', ['mask.fbx', 'mask', 'mask.stl'])
def test_unknown_suffixes_for_writing(tmp_path, mask, name):
  with pytest.raises(ValueError, match=r'\.glb, \.obj, \.ply'):
    mesh_io.save_mesh(tmp_path / name, mask)


@pytest.mark.parametrize(
  'name, content, message',
  [
    ('none.obj', None, 'no such file'),
    ('mask.fbx', b'', 'name that ends in'),
    ('broken.glb', b'glTFbroken', 'cannot read mesh'),
    ('broken.ply', b'ply\nnonsense', 'cannot read mesh'),
    ('empty.obj', b'', 'cannot read mesh'),
    ('points.obj', b'v 0 0 0\nv 1 0 0\n', 'cannot read mesh'),
    ('nan.obj', b'v nan 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n', 'finite'),
  ],
)
def test_unreadable_files_give_one_line(tmp_path, name, content, message):
  path = tmp_path / name
  if content is not None:
    path.write_bytes(content)
  with pytest.raises(ValueError, match=message) as caught:
    mesh_io.load_mesh(path)
  assert '\n' not in str(caught.value) and name in str(caught.value)


def test_read_extras_refuses_other_files(tmp_path, mask):
  mesh_io.save_mesh(tmp_path / 'mask.glb', mask)
  assert gltf.read_extras(tmp_path / 'mask.glb') == {}
  mesh_io.save_mesh(tmp_path / 'mask.obj', mask)
  for name in ('mask.obj', 'none.glb'):
    with pytest.raises(ValueError, match='cannot read extras'):
      gltf.read_extras(tmp_path / name)


def test_a_texture_is_written_to_glb_and_its_colours_to_others(tmp_path):
  corners = jnp.array([[0.0, 0, 0], [4, 0, 0], [4, 4, 0], [0, 4, 0]])
  image = np.random.default_rng(0).uniform(size=(16, 32, 3))
  mesh = mesh_lib.Mesh(
    vertices=corners,
    faces=jnp.array([[0, 1, 2], [0, 2, 3]]),
    colors=jnp.full((4, 3), 0.25),
    uvs=corners[:, :2] / 4,
    texture=jnp.asarray(image, jnp.float32),
  )
  mesh_io.save_mesh(tmp_path / 'a.glb', mesh)
  mesh_io.save_mesh(tmp_path / 'a.ply', mesh)
  scene = trimesh.load(tmp_path / 'a.glb')
  (part,) = scene.geometry.values()
  shown = part.visual.material.baseColorTexture
  assert shown.size == (32, 16)
  srgb = np.asarray(shown.convert('RGB'), np.float32) / 255
  linear = np.asarray(color.srgb_to_linear(jnp.asarray(srgb)))
  np.testing.assert_allclose(linear, image, atol=0.005)
  assert 'color' not in part.visual.vertex_attributes
  # (0, 0) is at the bottom left in trimesh too.
  np.testing.assert_allclose(part.visual.uv, mesh.uvs, atol=1e-6)
  plain = mesh_io.load_mesh(tmp_path / 'a.ply')
  np.testing.assert_allclose(plain.colors, 0.25, atol=0.005)
  with pytest.raises(ValueError, match='come with uvs'):
    mesh_io.save_mesh(tmp_path / 'b.glb', mesh.replace(uvs=None))


def test_far_coordinates_are_moved_before_they_are_rounded(tmp_path):
  """Of surveys: float32 has steps of half a metre there."""

  def write(path, x, y, z):
    lines = [f'v {x + a}.25 {y + b} {z}\n' for a, b in _CORNERS]
    path.write_text(''.join(lines) + 'f 1 2 3 4\n')

  write(tmp_path / 'far.obj', 450_000_000, 600_000_000, 9)
  moved = mesh_io.load_mesh(tmp_path / 'far.obj').vertices
  expected = np.array(_CORNERS) @ np.eye(2, 3) - (2, 2, 0)
  np.testing.assert_allclose(moved, expected, atol=1e-5)
  write(tmp_path / 'near.obj', 165, 0, 9)
  near = mesh_io.load_mesh(tmp_path / 'near.obj').vertices
  np.testing.assert_allclose(
    near, expected + np.array([167.25, 2, 9]), atol=1e-4
  )


_CORNERS = [(0, 0), (4, 0), (4, 4), (0, 4)]


def test_pieces_that_share_their_vertices_keep_their_colours(tmp_path):
  text = 'mtllib a.mtl\nv 0 0 0\nv 4 0 0\nv 4 4 0\nv 0 4 0\nv 9 9 9\n'
  text += 'usemtl red\nf 1 2 3\nusemtl blue\nf 1 3 4\n'
  (tmp_path / 'a.mtl').write_text(
    'newmtl red\nKd 1 0 0\nnewmtl blue\nKd 0 0 1\n'
  )
  (tmp_path / 'a.obj').write_text(text)
  mesh = mesh_io.load_mesh(tmp_path / 'a.obj')
  colors = np.asarray(mesh.colors)[np.asarray(mesh.faces)]
  assert len(mesh.vertices) == 4
  np.testing.assert_array_equal(colors[0, 1], [1, 0, 0])
  np.testing.assert_array_equal(colors[1, 2], [0, 0, 1])


@pytest.mark.parametrize('suffix', ['obj', 'ply', 'stl'])
def test_a_mesh_without_an_area_is_refused_by_name(tmp_path, suffix):
  path = tmp_path / f'point.{suffix}'
  if suffix == 'obj':
    path.write_text('v 1 1 1\nv 1 1 1\nv 1 1 1\nf 1 2 3\n')
  else:
    point = trimesh.Trimesh(np.ones((3, 3)), [[0, 1, 2]], process=False)
    point.export(path)
  with pytest.raises(ValueError, match=r'cannot read mesh .*point.*an area'):
    mesh_io.load_mesh(path)
