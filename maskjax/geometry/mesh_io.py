"""Mesh files: the border where units and colours change.

| suffix | units in the file | colours in the file | read | write |
|---|---|---|---|---|
| .glb | metres | linear (COLOR_0), 16 bits, or an sRGB texture | yes | yes |
| .gltf | metres | linear, or an sRGB texture | yes | no |
| .obj | centimetres | sRGB, after the position or of materials | yes | yes |
| .ply | centimetres | sRGB, 8 bits | yes | yes |
| .stl | centimetres | none | yes | no |

Inside, a Mesh is in cm with linear colours. What has a texture is written with
it to GLB, and with its vertex colours to the others. Files are written under a
temporary name and renamed, so that a reader never sees half a file.
"""

from collections.abc import Mapping, Sequence
import json
import pathlib
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float
import numpy as np

from maskjax.geometry import (
  color,
  gltf,
  gltf_scene,
  mesh as mesh_lib,
  obj,
  ply,
  scene_part,
)
from maskjax.training import files
from maskjax.weights import pointers

READABLE = ('.glb', '.gltf', '.obj', '.ply', '.stl')
WRITABLE = ('.glb', '.obj', '.ply')
_METRES = ('.glb', '.gltf')
_CM_PER_METRE = 100.0
# Of a mesh's size: where float32 has larger steps, the mesh is moved.
_LEAST_STEP = 1e-5


def _normals(mesh: mesh_lib.Mesh) -> Float[np.ndarray, 'v 3']:
  """Return unit normals, f32[V, 3]; straight ahead where a vertex has none."""
  faces, same = mesh.faces, np.arange(len(mesh.vertices))
  if mesh.uvs is not None:
    # Where charts meet there are several vertices, but there is no crease.
    same = mesh_lib.same_places(mesh.vertices)
    faces = jnp.asarray(same[np.asarray(faces)])
  normals = np.array(mesh_lib.vertex_normals(mesh.vertices, faces))[same]
  normals[np.sum(normals**2, axis=1) < 0.5] = (0.0, 0.0, 1.0)
  return normals


def _srgb(mesh: mesh_lib.Mesh) -> Float[np.ndarray, 'v 3'] | None:
  """Return the colours as sRGB in [0, 1], or None."""
  if mesh.colors is None:
    return None
  return np.asarray(color.linear_to_srgb(jnp.clip(mesh.colors, 0.0, 1.0)))


def _to_glb(mesh: mesh_lib.Mesh, extras: Mapping[str, Any] | None) -> bytes:
  """Return a binary glTF file, in metres."""
  colors, texture = mesh.colors, None
  if mesh.texture is not None:
    linear = jnp.clip(mesh.texture, 0.0, 1.0)
    texture = np.round(np.asarray(color.linear_to_srgb(linear)) * 255)
    colors, texture = None, texture.astype(np.uint8)
  return gltf.encode(
    np.asarray(mesh.vertices) / np.float32(_CM_PER_METRE),
    np.asarray(mesh.faces),
    _normals(mesh),
    colors=None if colors is None else np.asarray(colors),
    uvs=None if mesh.uvs is None else np.asarray(mesh.uvs),
    texture=texture,
    extras=extras,
  )


def _to_obj(mesh: mesh_lib.Mesh, extras: Mapping[str, Any] | None) -> bytes:
  """Return a text of positions with colours, uvs and normals."""
  lines = ['# maskjax; cm, +y up, +z out of the face; sRGB vertex colours']
  if extras:
    lines.append(f'# {json.dumps(dict(extras), sort_keys=True)}')
  colors = _srgb(mesh)
  rows = np.asarray(mesh.vertices)
  if colors is not None:
    rows = np.concatenate([rows, colors], axis=1)

  def write(tag: str, values: Float[np.ndarray, 'v c']) -> None:
    for row in values.tolist():
      lines.append(tag + ' ' + ' '.join(f'{value:.6f}' for value in row))

  write('v', rows)
  corner = '{0}//{0}'
  if mesh.uvs is not None:
    write('vt', np.asarray(mesh.uvs))
    corner = '{0}/{0}/{0}'
  write('vn', _normals(mesh))
  for face in (np.asarray(mesh.faces) + 1).tolist():
    lines.append('f ' + ' '.join(corner.format(i) for i in face))
  return ('\n'.join(lines) + '\n').encode()


def _to_ply(mesh: mesh_lib.Mesh, extras: Mapping[str, Any] | None) -> bytes:
  """Return a binary PLY file: positions, normals, 8-bit colours."""
  count = len(mesh.vertices)
  fields = [(name, '<f4') for name in ('x', 'y', 'z', 'nx', 'ny', 'nz')]
  colors = _srgb(mesh)
  if colors is not None:
    fields += [(name, 'u1') for name in ('red', 'green', 'blue')]
  names = {'<f4': 'float', 'u1': 'uchar'}
  header = ['ply', 'format binary_little_endian 1.0']
  header.append('comment maskjax; cm, +y up, +z out of the face; sRGB')
  if extras:
    header.append(f'comment {json.dumps(dict(extras), sort_keys=True)}')
  header.append(f'element vertex {count}')
  header += [f'property {names[kind]} {name}' for name, kind in fields]
  header.append(f'element face {len(mesh.faces)}')
  header += ['property list uchar int vertex_indices', 'end_header', '']
  table = np.zeros(count, fields)
  columns = [np.asarray(mesh.vertices), _normals(mesh)]
  if colors is not None:
    columns.append(np.round(colors * 255.0))
  for (name, _), column in zip(fields, np.concatenate(columns, 1).T):
    table[name] = column
  faces = np.zeros(len(mesh.faces), [('count', 'u1'), ('index', '<i4', 3)])
  faces['count'], faces['index'] = 3, np.asarray(mesh.faces)
  return '\n'.join(header).encode() + table.tobytes() + faces.tobytes()


def save_mesh(
  path: str | pathlib.Path,
  mesh: mesh_lib.Mesh,
  *,
  extras: Mapping[str, Any] | None = None,
) -> None:
  """Write a mesh to a GLB, OBJ or PLY file, by its suffix.

  The same mesh and extras give the same bytes. Missing folders are made.

  Args:
    path: where to; replaced if it is there.
    mesh: what to write, in cm, with linear colours.
    extras: what to note in the file (prompt, seed, config, versions): glTF
      extras, or a comment of one line in OBJ and PLY.

  Raises:
    ValueError: unknown suffix, an empty or broken mesh, or extras that are
      not JSON.
  """
  path = pathlib.Path(path)
  writers = {'.glb': _to_glb, '.obj': _to_obj, '.ply': _to_ply}
  if path.suffix.lower() not in writers:
    raise ValueError(
      f'cannot write {path.name}: expected a name that ends in '
      f'{", ".join(WRITABLE)}'
    )
  mesh_lib.check(mesh)
  if not len(mesh.faces):
    raise ValueError(f'cannot write {path.name}: the mesh has no triangles')
  files.write_bytes(path, writers[path.suffix.lower()](mesh, extras))


def _stl(path: pathlib.Path) -> list[scene_part.Part]:
  """Read an STL file, which names no other file."""
  import trimesh  # heavy, and needed for this alone

  mesh = trimesh.load_mesh(path, file_type='stl', process=False)
  return [scene_part.Part(np.asarray(mesh.vertices), np.asarray(mesh.faces))]


def _joined(
  parts: Sequence[tuple[Float[np.ndarray, '_ c'] | None, int]], fill: float
) -> Float[Array, 'v c'] | None:
  """Return per-vertex arrays of all parts as one; None if no part has any."""
  given = [values for values, _ in parts if values is not None]
  if not given:
    return None
  width = given[0].shape[1]
  rows = [
    np.full((count, width), fill) if values is None else values
    for values, count in parts
  ]
  return jnp.asarray(np.concatenate(rows), jnp.float32)


def _near(vertices: Float[np.ndarray, 'v 3']) -> Float[np.ndarray, 'v 3']:
  """Move what is too far off for float32 to the origin."""
  low, high = vertices.min(0), vertices.max(0)
  step = np.spacing(np.float32(max(np.abs(low).max(), np.abs(high).max())))
  if np.isfinite(step) and step > _LEAST_STEP * np.max(high - low):
    return vertices - (low + high) / 2
  return vertices


def _read(path: pathlib.Path, suffix: str) -> mesh_lib.Mesh:
  """Read a file and join all parts of its scene into one Mesh."""
  read = _READERS[suffix](path)
  parts = [scene_part.used(part) for part in read if len(part.faces)]
  if not parts:
    raise ValueError('it has no triangles')
  counts = [len(part.vertices) for part in parts]
  starts = np.cumsum([0, *counts[:-1]])
  vertices = np.concatenate([part.vertices for part in parts])
  vertices *= _CM_PER_METRE if suffix in _METRES else 1.0
  faces = np.concatenate([p.faces + s for p, s in zip(parts, starts)])
  mesh = mesh_lib.Mesh(
    vertices=jnp.asarray(_near(vertices), jnp.float32),
    faces=jnp.asarray(faces, jnp.int32),
    colors=_joined([(p.colors, n) for p, n in zip(parts, counts)], 1.0),
    uvs=_joined([(p.uvs, n) for p, n in zip(parts, counts)], 0.0),
  )
  mesh_lib.check(mesh)
  if not (np.asarray(mesh_lib.face_areas(mesh.vertices, mesh.faces)) > 0).any():
    raise ValueError('none of its triangles has an area')
  return mesh


_READERS = {
  '.glb': gltf_scene.read,
  '.gltf': gltf_scene.read,
  '.obj': obj.read,
  '.ply': ply.read,
  '.stl': _stl,
}


def load_mesh(path: str | pathlib.Path, *, weld: bool = True) -> mesh_lib.Mesh:
  """Read a GLB, glTF, OBJ, PLY or STL file.

  GLB and glTF are in metres and become cm; all others are taken as cm.
  Polygons are split, the parts of a scene are joined, materials and textures
  become vertex colours. What stands so far off that float32 would not tell its
  vertices apart is moved to the origin.

  Args:
    path: the file to read.
    weld: merge vertices at the same place (seams of uv or normals), so that
      the surface is connected; of their uvs the first is kept.

  Returns:
    The mesh in cm with linear colours, or None where the file has no
    colours or uvs.

  Raises:
    ValueError: the file is missing, of an unknown kind, unreadable or empty.
  """
  path = pathlib.Path(path)
  suffix = path.suffix.lower()
  if suffix not in READABLE:
    raise ValueError(
      f'cannot read mesh {path}: expected a name that ends in '
      f'{", ".join(READABLE)}'
    )
  if not path.is_file():
    raise ValueError(f'cannot read mesh {path}: there is no such file')
  pointers.refuse(path)
  try:
    # Numbers that are none are refused when all is read.
    with np.errstate(all='ignore'):
      mesh = _read(path, suffix)
  except Exception as error:  # readers of many formats, each with its own
    reason = ' '.join(str(error).split())[:300] or type(error).__name__
    raise ValueError(f'cannot read mesh {path}: {reason}') from error
  return mesh_lib.weld(mesh) if weld else mesh
