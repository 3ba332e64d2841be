"""Mesh files that somebody made to do harm, or that are broken."""

import io
import json
import struct
import zlib

import numpy as np
from PIL import Image
import pytest

from maskjax.geometry import mesh_io
from tests.hostile import guard

TRIANGLE = 'v 0 0 0\nv 4 0 0\nv 0 4 0\nvt 0 0\n'
FACE = 'f 1 2 3\n'


def _spiral(count):
  """Return an outline in which ears are rare: two arms that wind together."""
  turn = np.linspace(0, 40, count // 2)
  arms = [
    np.stack([r * np.cos(turn), r * np.sin(turn)], 1)
    for r in (turn + 1, turn + 1.5)
  ]
  return np.concatenate([arms[0], arms[1][::-1]])


def _tangle(count):
  """Return an outline that crosses itself everywhere: there is no ear."""
  return np.random.default_rng(0).uniform(size=(count, 2))


def _outline(points):
  rows = ''.join(f'v {x:.6g} {y:.6g} 0\n' for x, y in points)
  return rows + 'f ' + ' '.join(map(str, range(1, len(points) + 1))) + '\n'


def obj(text, **beside):
  """Return a maker of an OBJ file and of those beside it."""

  def make(folder):
    for name, content in beside.items():
      path = folder / name.replace('_', '.')
      if isinstance(content, str):
        content = content.encode()
      path.write_bytes(content)
    path = folder / 'a.obj'
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path

  return make


def png(width, height):
  """Return a PNG of a few bytes that says it has so many pixels."""

  def chunk(kind, data):
    body = kind + data
    return (
      struct.pack('>I', len(data)) + body + struct.pack('>I', zlib.crc32(body))
    )

  head = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
  return (
    b'\x89PNG\r\n\x1a\n'
    + chunk(b'IHDR', head)
    + chunk(b'IDAT', zlib.compress(bytes(100)))
    + chunk(b'IEND', b'')
  )


EPS = b"""%!PS-Adobe-3.0 EPSF-3.0
%%BoundingBox: 0 0 10 10
%%EndComments
(planted) (w) file closefile
showpage
"""
USED = 'mtllib a.mtl\n' + TRIANGLE + 'usemtl m\nf 1/1 2/1 3/1\n'
MTL = 'newmtl m\nmap_Kd {}\n'

OBJ = {
  'nothing': (obj(''), 'no triangles'),
  'zeros': (obj(bytes(10_000)), 'no triangles'),
  'noise': (
    obj(bytes(np.random.default_rng(0).integers(0, 256, 10_000, np.uint8))),
    'cannot read mesh',
  ),
  'index 0': (obj(TRIANGLE + 'f 0 1 2\n'), 'line 5: index 0'),
  'index before the first': (obj(TRIANGLE + 'f -4 1 2\n'), 'index -4'),
  'index behind the last': (obj(TRIANGLE + 'f 1 2 9\n'), 'vertex 9 of 3'),
  'index of 20 digits': (obj(TRIANGLE + f'f 1 2 {10**19}\n'), 'line 5: index'),
  'index of a million digits': (
    obj(TRIANGLE + 'f 1 2 ' + '9' * 10**6 + '\n'),
    'line 5: Exceeds the limit',
  ),
  'uv behind the last': (obj(TRIANGLE + 'f 1/9 2/1 3/1\n'), 'uv 9 of 1'),
  'words for numbers': (obj('v a b c\n' * 3 + FACE), 'no number'),
  'too few numbers': (obj('v 1 2\n' * 3 + FACE), 'fewer than 3'),
  'not finite': (obj('v inf 0 0\nv 1 0 0\nv 0 1 0\n' + FACE), 'finite'),
  'too large for float32': (
    obj('v 1e300 0 0\nv 1 0 0\nv 0 1e300 0\n' + FACE),
    'finite',
  ),
  'a line of 10 MB': (obj('#' + 'x' * 10**7), 'no triangles'),
  'a line that goes on for ever': (obj('\\\n' * 200_000), 'no triangles'),
  'a face of 50,000 words': (
    obj(TRIANGLE + 'f' + ' 1' * 50_000 + '\n'),
    'an area',
  ),
  'a spiral of 4,000 corners': (obj(_outline(_spiral(4000))), None),
  'a tangle of 20,000 corners': (
    obj(_outline(_tangle(20_000))),
    'faces of too many corners',
  ),
  '8,000 materials': (
    obj(
      'mtllib a.mtl\n'
      + TRIANGLE
      + ''.join(f'usemtl m{i}\nf 1 2 3\n' for i in range(8_000)),
      a_mtl='newmtl m1\nKd 1 0 0\n',
    ),
    None,
  ),
  'a library of 30,000 materials': (
    obj(USED, a_mtl=''.join(f'newmtl m{i}\n' for i in range(30_000))),
    'more than 10,000 materials',
  ),
  'a library named 100,000 times': (
    obj('mtllib a.mtl\n' * 100_000 + USED, a_mtl='newmtl m\nKd 1 0 0\n' * 999),
    None,
  ),
  '100,000 libraries': (
    obj(''.join(f'mtllib a{i}\n' for i in range(100_000)) + USED),
    'more than 100 material files',
  ),
  '100,000 libraries in a line': (
    obj('mtllib' + ' a' * 100_000 + '\n' + USED),
    'more than 100 material files',
  ),
  '300,000 options': (
    obj(USED, a_mtl=MTL.format('-o ' * 300_000 + 'a.png')),
    None,
  ),
  '20,000 missing pictures': (
    obj(USED, a_mtl='newmtl m\n' + 'map_Kd nothing.png\n' * 20_000),
    None,
  ),
  'a picture that claims gigabytes': (
    obj(USED, a_mtl=MTL.format('a.png'), a_png=png(60_000, 60_000)),
    'pixels',
  ),
  'a picture that is cut off': (
    obj(USED, a_mtl=MTL.format('a.png'), a_png=png(100, 100)),
    'picture cannot be read',
  ),
  # Pillow hands these to Ghostscript.
  'a picture that is a program': (
    obj(USED, a_mtl=MTL.format('a.eps'), a_eps=EPS),
    'picture cannot be read',
  ),
  'a program called a picture': (
    obj(USED, a_mtl=MTL.format('a.png'), a_png=EPS),
    'picture cannot be read',
  ),
  'a picture elsewhere': (obj(USED, a_mtl=MTL.format('../../x.png')), None),
  'a library elsewhere': (obj('mtllib /etc/passwd\n' + USED), None),
  'a name with a zero': (obj('mtllib a\0b\n' + USED), None),
  'a name of a megabyte': (obj('mtllib ' + 'a' * 10**6 + '\n' + USED), None),
  'a colour of words': (obj(USED, a_mtl='newmtl m\nKd 1 x x\n'), 'a.mtl, line'),
}


@guard.table(OBJ)
def test_hostile_obj_files(make, expected, tmp_path):
  guard.check(mesh_io.load_mesh, make(tmp_path), expected)


def ply(*header, body=b'', order='ascii'):
  """Return a maker of a PLY file."""
  lines = ['ply', f'format {order} 1.0', *header, 'end_header', '']
  content = '\n'.join(lines).encode() + body

  def make(folder):
    path = folder / 'a.ply'
    path.write_bytes(content)
    return path

  return make


LITTLE, BIG = 'binary_little_endian', 'binary_big_endian'
XYZ = tuple(f'property float {axis}' for axis in 'xyz')
LIST = 'property list uchar int vertex_indices'
THREE = np.float32([[0, 0, 0], [4, 0, 0], [0, 4, 0]])
BODY = THREE.astype('<f4').tobytes()
ONE = struct.pack('<B3i', 3, 0, 1, 2)
STRIP = ('element tristrips 1', 'property list int int vertex_indices')
_LONG_STRIP = (
  struct.pack('<i', 200_000)
  + np.tile(np.int32([0, 1, 2]), 66_667)[:200_000].astype('<i4').tobytes()
)

PLY = {
  'only a header': (ply(), 'no triangles'),
  'no header': (lambda folder: obj('ply')(folder).rename(folder / 'a.ply'),
                'no header'),
  'another format': (ply(order='binary_middle_endian'), 'no format'),
  'a property of nothing': (ply('property float x'), 'of no element'),
  'a type of nobody': (ply('element vertex 1', 'property odd x'), 'unknown'),
  'a count of words': (ply('element vertex many'), 'invalid literal'),
  'fewer rows than none': (ply('element vertex -5', *XYZ), 'no program writes'),
  '10^18 rows of text': (ply(f'element vertex {10**18}', *XYZ), 'ends within'),
  '10^18 rows': (
    ply(f'element vertex {10**18}', *XYZ, order=LITTLE),
    'ends within',
  ),
  '10^18 rows of nothing': (ply(f'element vertex {10**18}'), 'no triangles'),
  '10^18 binary rows of nothing': (
    ply(f'element vertex {10**18}', order=LITTLE),
    'no triangles',
  ),
  '10^18 lists': (
    ply(f'element face {10**18}', LIST, order=BIG),
    'ends within',
  ),
  'the same property twice': (
    ply('element vertex 3', *XYZ, *XYZ, body=BODY * 2, order=LITTLE),
    'more than once',
  ),
  '100,000 properties': (
    ply('element vertex 1', *('property char a',) * 100_000),
    'more than 1000 properties',
  ),
  '100,000 elements': (ply(*('element a 0',) * 100_000), 'no program writes'),
  'a list of 4 billion': (
    ply(
      'element face 1',
      'property list uint int vertex_indices',
      body=b'\xff' * 8,
      order=LITTLE,
    ),
    'ends within',
  ),
  'a list of fewer than none': (
    ply(
      'element face 1',
      'property list char int vertex_indices',
      body=b'\xff' * 8,
      order=LITTLE,
    ),
    'ends within',
  ),
  'a list of 10^18 words': (
    ply('element face 1', LIST, body=b'1000000000000000000 1 2'),
    'ends within',
  ),
  'a list of words': (ply('element face 1', LIST, body=b'x 1 2'), 'invalid'),
  'an index behind the last': (
    ply(
      *('element vertex 3', *XYZ, 'element face 1', LIST),
      body=BODY + struct.pack('<B3i', 3, 0, 1, 3),
      order=LITTLE,
    ),
    'vertex 3, there are 3',
  ),
  'an index before the first': (
    ply(
      *('element vertex 3', *XYZ, 'element face 1', LIST),
      body=BODY + struct.pack('<B3i', 3, 0, 1, -1),
      order=LITTLE,
    ),
    'vertex -1',
  ),
  'not finite': (
    ply(
      *('element vertex 3', *XYZ, 'element face 1', LIST),
      body=np.float32([[np.nan] * 3] * 3).tobytes() + ONE,
      order=LITTLE,
    ),
    'finite',
  ),
  'cut off': (
    ply(
      *('element vertex 3', *XYZ, 'element face 1', LIST),
      body=BODY + ONE[:7],
      order=LITTLE,
    ),
    'ends within',
  ),
  'integers that overflow': (
    ply('element vertex 1', 'property uchar x', body=b'1e400'),
    'too large',
  ),
  'a strip of 200,000': (
    ply('element vertex 3', *XYZ, *STRIP, body=BODY + _LONG_STRIP,
        order=LITTLE),
    None,
  ),
  'a header without an end': (
    lambda folder: obj('ply\n' + 'comment x\n' * 10**6)(folder).rename(
      folder / 'a.ply'
    ),
    'no header',
  ),
}  # fmt: skip


@guard.table(PLY)
def test_hostile_ply_files(make, expected, tmp_path):
  guard.check(mesh_io.load_mesh, make(tmp_path), expected)


def document(**changes):
  """Return a glTF of one triangle, with some of its top entries replaced."""
  indices = np.arange(3, dtype='<u4').tobytes()
  return {
    'asset': {'version': '2.0'},
    'scene': 0,
    'scenes': [{'nodes': [0]}],
    'nodes': [{'mesh': 0}],
    'meshes': [{'primitives': [PRIMITIVE]}],
    'accessors': [
      {'bufferView': 0, 'componentType': 5126, 'count': 3, 'type': 'VEC3'},
      {'bufferView': 1, 'componentType': 5125, 'count': 3, 'type': 'SCALAR'},
    ],
    'bufferViews': [
      {'buffer': 0, 'byteLength': 36},
      {'buffer': 0, 'byteOffset': 36, 'byteLength': 12},
    ],
    'buffers': [{'byteLength': len(BODY + indices), 'uri': 'a.bin'}],
  } | changes


PRIMITIVE = {'attributes': {'POSITION': 0}, 'indices': 1}


def gltf(text=None, **changes):
  """Return a maker of a glTF file and its buffer."""

  def make(folder):
    indices = np.arange(3, dtype='<u4').tobytes()
    (folder / 'a.bin').write_bytes(BODY + indices)
    path = folder / 'a.gltf'
    path.write_text(json.dumps(document(**changes)) if text is None else text)
    return path

  return make


def accessor(**changes):
  """Return a maker of a glTF whose positions are described otherwise."""
  first, second = document()['accessors']
  return gltf(accessors=[first | changes, second])


def view(**changes):
  """Return a maker of a glTF whose first buffer view is another one."""
  first, second = document()['bufferViews']
  return gltf(bufferViews=[first | changes, second])


def textured(image, count=1):
  """Return a maker of a glTF with pictures."""
  material = {'pbrMetallicRoughness': {'baseColorTexture': {'index': 0}}}
  primitive = {
    'attributes': {'POSITION': 0, 'TEXCOORD_0': 2},
    'indices': 1,
    'material': 0,
  }
  uvs = {'componentType': 5126, 'count': 3, 'type': 'VEC2'}
  return gltf(
    meshes=[{'primitives': [primitive] * count}],
    accessors=[*document()['accessors'], uvs],
    materials=[material],
    textures=[{'source': 0}],
    images=[image],
  )


def _with(make, name, content):
  """Return a maker that lays another file beside."""

  def made(folder):
    (folder / name).write_bytes(content)
    return make(folder)

  return made


def glb(data):
  """Return a maker of a GLB file."""

  def make(folder):
    path = folder / 'a.glb'
    path.write_bytes(data)
    return path

  return make


def _tiff():
  file = io.BytesIO()
  Image.new('RGB', (4, 4)).save(file, 'TIFF')
  return file.getvalue().replace(
    struct.pack('<HHII', 256, 4, 1, 4), struct.pack('<HHII', 256, 4, 1, 2**31)
  )


HUGE = {'componentType': 5126, 'type': 'VEC3'}
GLTF = {
  'nothing': (gltf(''), 'cannot read mesh'),
  'a list': (gltf('[]'), 'no whole glTF'),
  'a number of 10,000 digits': (gltf('1' * 10_000), 'cannot read mesh'),
  'lists 100,000 deep': (gltf('[' * 100_000), 'no whole glTF'),
  'extensions that are numbers': (gltf(extensionsRequired=[1]), 'no whole'),
  'an extension of a megabyte': (
    gltf(extensionsRequired=['x' * 10**6]),
    'is not read',
  ),
  'nodes in a circle': (
    gltf(nodes=[{'children': [1]}, {'children': [0]}]),
    'in a circle',
  ),
  'nodes 5,000 deep': (
    gltf(nodes=[{'children': [i + 1]} for i in range(5000)]),
    'too deep',
  ),
  'a node that is not there': (gltf(scenes=[{'nodes': [7]}]), 'no whole glTF'),
  'nodes of numbers': (gltf(nodes=[5]), 'no whole glTF'),
  'a matrix of words': (gltf(nodes=[{'mesh': 0, 'matrix': ['a'] * 16}]),
                        'cannot read mesh'),
  'a matrix of 3': (gltf(nodes=[{'mesh': 0, 'matrix': [1, 2, 3]}]),
                    'cannot read mesh'),
  'a matrix of 1e308': (gltf(nodes=[{'mesh': 0, 'matrix': [1e308] * 16}]),
                        'finite'),
  'a large mesh of no size': (
    gltf(nodes=[{'mesh': 0}], meshes=[{'primitives': [PRIMITIVE]}],
         scenes=[{'nodes': [0]}],
         accessors=[HUGE | {'count': 10**6},
                    {'componentType': 5125, 'count': 3 * 10**6,
                     'type': 'SCALAR'}]),
    'an area',
  ),
  'a large mesh shown 1,000 times': (
    gltf(nodes=[{'mesh': 0}] * 1000, scenes=[{'nodes': list(range(1000))}],
         accessors=[HUGE | {'count': 10**6}, document()['accessors'][1]]),
    'larger than any mesh',
  ),
  'a large primitive 1,000 times': (
    gltf(meshes=[{'primitives': [PRIMITIVE] * 1000}],
         accessors=[HUGE | {'count': 10**6}, document()['accessors'][1]]),
    'larger than any mesh',
  ),
  '1,000 large morph targets': (
    gltf(meshes=[{'weights': [1] * 1000, 'primitives': [
        PRIMITIVE | {'targets': [{'POSITION': 0}] * 1000}]}],
        accessors=[HUGE | {'count': 10**6}, document()['accessors'][1]]),
    'larger than any mesh',
  ),
  '10^18 vertices': (accessor(count=10**18), 'larger than any mesh'),
  '10^18 vertices of nothing': (
    gltf(accessors=[HUGE | {'count': 10**18}, document()['accessors'][1]]),
    'larger than any mesh',
  ),
  'fewer vertices than none': (accessor(count=-1), 'no count and no offset'),
  'half a vertex': (accessor(count=2.5), 'no count and no offset'),
  'vertices of true': (accessor(count=True), 'no count and no offset'),
  'more vertices than bytes': (accessor(count=4), 'beyond its buffer'),
  'an offset before its buffer': (
    accessor(byteOffset=-12),
    'no count and no offset',
  ),
  'a type of nobody': (accessor(type='VEC9'), 'no whole glTF'),
  'numbers of no type': (accessor(componentType=1), 'no whole glTF'),
  'a stride backward': (view(byteStride=-12), 'no count and no offset'),
  'a stride of 10^18': (view(byteStride=10**18), 'beyond its buffer'),
  'a view before its buffer': (view(byteOffset=-36), 'no count and no offset'),
  'a view of nothing': (view(buffer=9), 'no whole glTF'),
  'a buffer elsewhere': (
    gltf(buffers=[{'uri': '../../../etc/passwd'}]),
    'not beside it',
  ),
  'a buffer from the network': (
    gltf(buffers=[{'uri': 'http://127.0.0.1:9/b.bin'}]),
    'not beside it',
  ),
  'a buffer that is a device': (
    gltf(buffers=[{'uri': '/dev/zero'}]),
    'not beside it',
  ),
  'a buffer of broken base64': (
    gltf(buffers=[{'uri': 'data:;base64,a'}]),
    'data URI is broken',
  ),
  'a buffer named 100,000 times': (
    gltf(buffers=[{'uri': 'a.bin'}] * 100_000),
    'more than 1,000 buffers',
  ),
  'a large buffer spelled 900 times': (
    _with(gltf(buffers=[{'uri': './' * i + 'b'} for i in range(900)]), 'b',
          bytes(2**21)),
    'more than 1,073,741,824 bytes',
  ),
  'a face of a vertex that is not there': (
    gltf(accessors=[document()['accessors'][0] | {'count': 2},
                    document()['accessors'][1]]),
    'not there',
  ),
  'a face of a vertex below 0': (
    _with(gltf(accessors=[
        document()['accessors'][0],
        {'bufferView': 2, 'componentType': 5122, 'count': 3, 'type': 'SCALAR'},
      ], buffers=[{'uri': 'a.bin'}, {'uri': 'b'}], bufferViews=[
        *document()['bufferViews'], {'buffer': 1, 'byteLength': 6}]),
      'b', np.int16([0, 1, -1]).tobytes()),
    'not there',
  ),
  'a picture that claims gigabytes': (
    _with(textured({'uri': 'a.png'}), 'a.png', png(60_000, 60_000)),
    'pixels',
  ),
  'a picture that is a program': (
    _with(textured({'uri': 'a.png'}), 'a.png', EPS),
    'picture cannot be read',
  ),
  'a picture that is cut off': (
    _with(textured({'uri': 'a.png'}), 'a.png', png(100, 100)),
    'picture cannot be read',
  ),
  'a picture of impossible width': (
    _with(textured({'uri': 'a.tif'}), 'a.tif', _tiff()),
    'cannot read mesh',
  ),
  'a picture elsewhere': (textured({'uri': '/etc/passwd'}), 'not beside it'),
  'a picture shown 300 times': (
    _with(textured({'uri': 'a.png'}, count=300), 'a.png',
          (lambda f: (Image.new('L', (4000, 4000)).save(f, 'PNG'),
                      f.getvalue())[1])(io.BytesIO())),
    None,
  ),
  'a GLB of a few bytes': (glb(b'glTF'), 'no whole glTF'),
  'a GLB that says it is larger': (
    glb(struct.pack('<4sII', b'glTF', 2, 2**31)),
    'no whole GLB',
  ),
  'a GLB without JSON': (glb(struct.pack('<4sII', b'glTF', 2, 12)),
                         'no whole glTF'),
  'a GLB of empty chunks': (
    glb(struct.pack('<4sII', b'glTF', 2, 12 + 8 * 10**5)
        + struct.pack('<I4s', 0, b'BIN\0') * 10**5),
    'no whole glTF',
  ),
}  # fmt: skip


@guard.table(GLTF)
def test_hostile_gltf_files(make, expected, tmp_path):
  guard.check(mesh_io.load_mesh, make(tmp_path), expected)


def stl(data):
  """Return a maker of an STL file."""

  def make(folder):
    path = folder / 'a.stl'
    path.write_bytes(data)
    return path

  return make


STL = {
  'nothing': (stl(b''), 'cannot read mesh'),
  'noise': (stl(bytes(range(256)) * 40), 'cannot read mesh'),
  'more triangles than bytes': (
    stl(bytes(80) + struct.pack('<I', 2**32 - 1) + bytes(50)),
    'cannot read mesh',
  ),
  'text that ends': (stl(b'solid a\nfacet normal 0 0 1\n'), 'cannot read mesh'),
  'text of words': (
    stl(b'solid a\n' + b'vertex a b c\n' * 3 + b'endsolid'),
    'cannot read mesh',
  ),
}


@guard.table(STL)
def test_hostile_stl_files(make, expected, tmp_path):
  guard.check(mesh_io.load_mesh, make(tmp_path), expected)


@pytest.mark.parametrize('suffix', mesh_io.READABLE)
def test_a_pointer_of_git_lfs_is_named(suffix, tmp_path):
  path = tmp_path / f'a{suffix}'
  path.write_text('version https://git-lfs.github.com/spec/v1\n')
  guard.check(mesh_io.load_mesh, path, 'Git LFS')
