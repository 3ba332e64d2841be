"""glTF as its rules have it: made here, number by number."""

import base64
import io
import json
import struct

import numpy as np
from PIL import Image
import pytest

from maskjax.geometry import gltf_scene

SQUARE = np.array([[0, 0, 0], [2, 0, 0], [2, 2, 0], [0, 2, 0]], np.float32)
ORDER = np.array([0, 1, 2, 0, 2, 3], np.uint16)
UVS = np.array([[0, 1], [1, 1], [1, 0], [0, 0]], np.float32)
_TYPES = {'i1': 5120, 'u1': 5121, 'i2': 5122, 'u2': 5123, 'u4': 5125,
          'f4': 5126}  # fmt: skip
_SHAPES = {1: 'SCALAR', 2: 'VEC2', 3: 'VEC3', 4: 'VEC4', 16: 'MAT4'}


class _Scene:
  """A document while it grows."""

  def __init__(self):
    self.data = b''
    self.document = {
      'asset': {'version': '2.0'}, 'buffers': [{}], 'bufferViews': [],
      'accessors': [], 'meshes': [], 'nodes': [], 'materials': [],
    }  # fmt: skip

  def view(self, data, **fields):
    entry = {'buffer': 0, 'byteOffset': len(self.data)}
    entry |= {'byteLength': len(data), **fields}
    self.document['bufferViews'].append(entry)
    self.data += data + b'\0' * (-len(data) % 4)
    return len(self.document['bufferViews']) - 1

  def accessor(self, array, **fields):
    array = array.reshape(len(array), -1)
    view = self.view(array.tobytes())
    kind = _TYPES[array.dtype.str[1:]]
    entry = {'bufferView': view, 'componentType': kind, 'count': len(array)}
    entry |= {'type': _SHAPES[array.shape[1]], **fields}
    self.document['accessors'].append(entry)
    return len(self.document['accessors']) - 1

  def picture(self, array):
    file = io.BytesIO()
    Image.fromarray(np.asarray(array, np.uint8)).save(file, 'PNG')
    images = self.document.setdefault('images', [])
    images.append({'bufferView': self.view(file.getvalue())})
    self.document.setdefault('textures', []).append({'source': len(images) - 1})
    return len(self.document['textures']) - 1

  def mesh(self, *primitives, **node):
    self.document['meshes'].append({'primitives': list(primitives)})
    node['mesh'] = len(self.document['meshes']) - 1
    self.document['nodes'].append(node)
    return self

  def square(self, *, mode=4, indices=ORDER, material=None, **attributes):
    names = {'POSITION': self.accessor(SQUARE)}
    for name, value in attributes.items():
      names[name] = value if isinstance(value, int) else self.accessor(value)
    primitive = {'attributes': names, 'mode': mode}
    if indices is not None:
      primitive['indices'] = self.accessor(indices)
    if material is not None:
      self.document['materials'].append(material)
      primitive['material'] = len(self.document['materials']) - 1
    return primitive

  def save(self, path):
    self.document['buffers'][0]['byteLength'] = len(self.data)
    text = json.dumps(self.document).encode()
    text += b' ' * (-len(text) % 4)
    body = struct.pack('<I4s', len(text), b'JSON') + text
    body += struct.pack('<I4s', len(self.data), b'BIN\0') + self.data
    head = struct.pack('<4sII', b'glTF', 2, 12 + len(body))
    path.write_bytes(head + body)
    return gltf_scene.read(path)


def _normals(part):
  a, b, c = np.moveaxis(part.vertices[part.faces], 1, 0)
  return np.cross(b - a, c - a) / 2


def _base(factor=None, **texture):
  base = {} if factor is None else {'baseColorFactor': [*factor, 1]}
  if texture:
    base['baseColorTexture'] = texture
  return {'pbrMetallicRoughness': base}


@pytest.fixture
def path(tmp_path):
  return tmp_path / 'a.glb'


@pytest.mark.parametrize(
  ('mode', 'order'),
  [
    (4, ORDER),
    (4, ORDER.astype(np.uint8)),
    (4, ORDER.astype(np.uint32)),
    (5, np.array([0, 1, 3, 2], np.uint16)),
    (6, np.array([0, 1, 2, 3], np.uint16)),
    (6, None),
  ],
)
def test_triangles_strips_and_fans(path, mode, order):
  scene = _Scene()
  (part,) = scene.mesh(scene.square(mode=mode, indices=order)).save(path)
  np.testing.assert_array_equal(part.vertices, SQUARE)
  np.testing.assert_array_equal(_normals(part), [[0, 0, 2]] * 2)
  assert part.colors is None and part.uvs is None


def test_lines_and_points_are_no_surfaces(path):
  scene = _Scene()
  scene.mesh(scene.square(mode=0), scene.square(mode=1), scene.square())
  assert len(scene.save(path)) == 1


def test_nodes_turn_scale_move_and_mirror(path):
  scene = _Scene()
  scene.mesh(scene.square(), translation=[0, 0, 5], scale=[2, 1, 1])
  half = np.sqrt(0.5)
  parent = {'children': [0], 'rotation': [0, half, 0, half]}
  scene.document['nodes'].append(parent)
  mirror = np.diag([-1.0, 1, 1, 1])
  mirror[:3, 3] = (7, 0, 0)
  scene.mesh(scene.square(), matrix=mirror.T.reshape(-1).tolist())
  scene.document |= {'scenes': [{'nodes': []}, {'nodes': [1, 2]}], 'scene': 1}
  turned, mirrored = scene.save(path)
  expected = SQUARE * (2, 1, 1) + (0, 0, 5)
  # By 90 degrees about y, z becomes x.
  np.testing.assert_allclose(
    turned.vertices, expected[:, [2, 1, 0]] * (1, 1, -1), atol=1e-6
  )
  np.testing.assert_allclose(mirrored.vertices, SQUARE * (-1, 1, 1) + (7, 0, 0))
  np.testing.assert_array_equal(_normals(mirrored)[:, 2], [2, 2])


def test_factor_texture_and_colours_are_multiplied(path):
  scene = _Scene()
  texture = scene.picture([[[255, 0, 255], [255, 255, 255]]])
  colors = np.array([[1, 1, 0.5, 1]] * 4, np.float32)
  scene.mesh(
    scene.square(
      material=_base((0.5, 0.25, 1), index=texture),
      TEXCOORD_0=UVS,
      COLOR_0=colors,
    )
  )
  (part,) = scene.save(path)
  left, right = (0.5, 0, 0.5), (0.5, 0.25, 0.5)
  np.testing.assert_allclose(part.colors, [left, right, right, left], atol=1e-6)
  # (0, 0) is at the bottom left from here on.
  np.testing.assert_array_equal(part.uvs, SQUARE[:, :2] / 2)


@pytest.mark.parametrize(
  ('material', 'expected'),
  [
    (_base((0.8, 0.1, 0.05)), (0.8, 0.1, 0.05)),
    (_base((1, 1, 1)), None),
    (_base(), None),
    (None, None),
    (
      {
        'extensions': {
          'KHR_materials_pbrSpecularGlossiness': {
            'diffuseFactor': [0.1, 0.2, 0.3, 1]
          }
        }
      },
      (0.1, 0.2, 0.3),
    ),
  ],
)
def test_plain_colours(path, material, expected):
  scene = _Scene()
  (part,) = scene.mesh(scene.square(material=material)).save(path)
  if expected is None:
    assert part.colors is None
  else:
    np.testing.assert_allclose(part.colors, [expected] * 4, rtol=1e-6)


def test_other_uvs_and_their_transform(path):
  picture = np.zeros((2, 2, 3))
  picture[0, 0] = 255  # white at the top left
  scene = _Scene()
  info = {'index': scene.picture(picture), 'texCoord': 1}
  middle = np.array([[0.25, 0.25]] * 4, np.float32)
  scene.mesh(
    scene.square(material=_base(**info), TEXCOORD_0=UVS, TEXCOORD_1=middle)
  )
  moved = info | {
    'extensions': {
      'KHR_texture_transform': {
        'offset': [0.5, 0], 'rotation': -np.pi / 2, 'scale': [1, 1],
        'texCoord': 0,
      }
    }
  }  # fmt: skip
  scene.mesh(scene.square(material=_base(**moved), TEXCOORD_0=0.8 * UVS))
  scene.document['extensionsRequired'] = ['KHR_texture_transform']
  first, second = scene.save(path)
  np.testing.assert_array_equal(first.colors, np.ones((4, 3)))
  # (u, v) goes to (0.5 - v, u): from (0, 0.8), (0.8, 0.8), (0.8, 0), (0, 0)
  # to (-0.3, 0), (-0.3, 0.8), (0.5, 0.8), (0.5, 0), of which none is at the
  # top left; with a repeated texture the first two wrap to u = 0.7.
  np.testing.assert_array_equal(second.colors, np.zeros((4, 3)))
  expected = [[0, 0.2], [0.8, 0.2], [0.8, 1], [0, 1]]
  np.testing.assert_allclose(second.uvs, expected, atol=1e-6)


def test_the_transform_turns_as_the_extension_says(path):
  """Its matrix is [[cos, sin], [-sin, cos]] for columns of (u, v)."""
  picture = np.zeros((4, 4, 3))
  picture[3, 0] = 255  # u in [0, 1/4], v in [3/4, 1] of glTF
  scene = _Scene()
  info = {'index': scene.picture(picture)}
  info['extensions'] = {
    'KHR_texture_transform': {'rotation': -np.pi / 2, 'offset': [1, 0]}
  }
  uvs = np.array([[0.9, 0.9], [0.9, 0.1], [0.1, 0.9], [0.1, 0.1]], np.float32)
  (part,) = scene.mesh(
    scene.square(material=_base(**info), TEXCOORD_0=uvs)
  ).save(path)
  # (u, v) -> (1 - v, u): only (0.9, 0.9) comes to (0.1, 0.9).
  np.testing.assert_array_equal(part.colors[:, 0], [1, 0, 0, 0])


@pytest.mark.parametrize(
  ('wrap', 'bright'), [(10497, 1), (33071, 0), (33648, 0)]
)
def test_samplers_wrap(path, wrap, bright):
  scene = _Scene()
  info = {'index': scene.picture([[[255, 255, 255], [0, 0, 0]]])}
  scene.document['samplers'] = [{'wrapS': wrap}]
  scene.document['textures'][0]['sampler'] = 0
  uvs = np.array([[1.25, 0.5]] * 4, np.float32)
  (part,) = scene.mesh(
    scene.square(material=_base(**info), TEXCOORD_0=uvs)
  ).save(path)
  np.testing.assert_array_equal(part.colors, np.full((4, 3), bright))


def test_normalised_integers(path):
  scene = _Scene()
  colors = np.array([[255, 0, 51, 255]] * 4, np.uint8)
  uvs = (UVS * 65535).astype(np.uint16)
  names = {
    'COLOR_0': scene.accessor(colors, normalized=True),
    'TEXCOORD_0': scene.accessor(uvs, normalized=True),
    'POSITION': scene.accessor(
      np.array([[-32768, -32767, 0], [32767, 0, 0], [0, 32767, 0]], np.int16),
      normalized=True,
    ),
  }
  for name in ('COLOR_0', 'TEXCOORD_0'):
    scene.document['accessors'][names[name]]['count'] = 3
  scene.mesh({'attributes': names}, scale=[3, 3, 3])
  scene.document['extensionsRequired'] = ['KHR_mesh_quantization']
  (part,) = scene.save(path)
  np.testing.assert_allclose(part.vertices, [[-3, -3, 0], [3, 0, 0], [0, 3, 0]])
  np.testing.assert_allclose(part.colors, [[1, 0, 0.2]] * 3, rtol=1e-6)
  np.testing.assert_array_equal(part.uvs, [[0, 0], [1, 0], [1, 1]])


def test_strides_and_sparse_accessors(path):
  scene = _Scene()
  rows = np.zeros((4, 6), np.float32)
  rows[:, :3], rows[:, 3:] = SQUARE, 9
  entry = {'bufferView': scene.view(rows.tobytes(), byteStride=24)}
  entry |= {'componentType': 5126, 'count': 4, 'type': 'VEC3'}
  entry['sparse'] = {
    'count': 1,
    'indices': {
      'bufferView': scene.view(np.array([2], np.uint16).tobytes()),
      'componentType': 5123,
    },
    'values': {
      'bufferView': scene.view(np.array([5, 5, 5], np.float32).tobytes())
    },
  }
  scene.document['accessors'].append(entry)
  primitive = scene.square()
  primitive['attributes']['POSITION'] = 0
  (part,) = scene.mesh(primitive).save(path)
  expected = SQUARE.copy()
  expected[2] = 5
  np.testing.assert_array_equal(part.vertices, expected)


def test_skins_and_morph_targets_as_they_stand(path):
  scene = _Scene()
  target = np.zeros((4, 3), np.float32)
  target[0] = (0, 0, 4)
  primitive = scene.square(
    JOINTS_0=np.array([[0, 1, 0, 0]] * 4, np.uint8),
    WEIGHTS_0=np.array([[0.5, 0.5, 0, 0]] * 4, np.float32),
  )
  primitive['targets'] = [{'POSITION': scene.accessor(target)}]
  # The transform of a node with a skin does not count.
  scene.mesh(primitive, skin=0, translation=[99, 0, 0], weights=[0.5])
  scene.document['nodes'] += [{'translation': [2, 0, 0]}, {'scale': [3, 3, 3]}]
  inverse = np.stack([np.eye(4), np.eye(4)]).astype(np.float32)
  inverse[0, 3, :3] = (-2, 0, 0)  # in columns
  scene.document['skins'] = [
    {'joints': [1, 2], 'inverseBindMatrices': scene.accessor(inverse)}
  ]
  (part,) = scene.save(path)
  np.testing.assert_allclose(part.vertices, (SQUARE + 0.5 * target) * 2)


@pytest.mark.parametrize('name', ['a b.bin', 'a%20b.bin', 'data'])
def test_buffers_beside_and_within(tmp_path, name):
  scene = _Scene()
  scene.mesh(scene.square())
  uri = 'a%20b.bin'
  if name == 'data':
    data = base64.b64encode(scene.data).decode()
    uri = 'data:application/octet-stream;base64,' + data
  else:
    (tmp_path / name).write_bytes(scene.data)
  scene.document['buffers'] = [{'byteLength': len(scene.data), 'uri': uri}]
  path = tmp_path / 'a.gltf'
  path.write_text(json.dumps(scene.document), encoding='utf-8-sig')
  (part,) = gltf_scene.read(path)
  np.testing.assert_array_equal(part.vertices, SQUARE)


@pytest.mark.parametrize(
  ('name', 'remedy'),
  [
    ('KHR_draco_mesh_compression', 'without compression'),
    ('EXT_meshopt_compression', 'without compression'),
    ('KHR_texture_basisu', 'as PNG or JPEG'),
    ('ACME_soap', 'export it without it'),
  ],
)
def test_what_is_required_and_not_read_is_named(path, name, remedy):
  scene = _Scene()
  scene.mesh(scene.square())
  scene.document['extensionsRequired'] = ['KHR_materials_unlit', name]
  with pytest.raises(ValueError, match=f'it needs {name}.*{remedy}'):
    scene.save(path)


def _circle(scene):
  scene.document['nodes'] = [{'children': [1]}, {'children': [0]}]
  scene.document['scenes'] = [{'nodes': [0]}]


def _beyond(scene):
  scene.document['accessors'][0]['count'] = 10**7


def _outside(scene):
  scene.document['buffers'][0]['uri'] = '../../etc/passwd'


def _no_position(scene):
  del scene.document['accessors'][1]['type']


def _huge(scene):
  del scene.document['accessors'][0]['bufferView']
  scene.document['accessors'][0]['count'] = 10**12


@pytest.mark.parametrize(
  ('change', 'words'),
  [
    (_circle, 'in a circle'),
    (_beyond, 'beyond its buffer'),
    (_outside, "names '../../etc/passwd', which is not beside it"),
    (_no_position, 'no whole glTF file'),
    (_huge, 'larger than any mesh'),
  ],
)
def test_broken_files(path, change, words):
  scene = _Scene()
  scene.mesh(scene.square())
  change(scene)
  with pytest.raises(ValueError, match=words) as caught:
    scene.save(path)
  assert '\n' not in str(caught.value)


def test_files_that_are_cut_short(path):
  scene = _Scene()
  scene.mesh(scene.square()).save(path)
  data = path.read_bytes()
  for size in (3, 15, 40, len(data) - 4):
    path.write_bytes(data[:size])
    with pytest.raises(ValueError, match='whole'):
      gltf_scene.read(path)
