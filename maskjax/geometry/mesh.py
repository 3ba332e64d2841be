"""Triangle meshes and the small geometry on them.

Frame: centimetres, +x to the viewer's right, +y up, +z out of the face.
Faces are counter-clockwise seen from outside. A `Mesh` holds jax arrays;
`from_numpy` makes one of what was built outside of jax. Functions on arrays
take one mesh and can be `vmap`ped over vertices; topology (`edges`, `weld`,
...) is NumPy, made once before a loop.

Shapes: `V` vertices, `F` faces, `E` edges.
"""

import dataclasses

import flax
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int
import numpy as np

from maskjax.geometry import safe


@flax.struct.dataclass
class Mesh:
  """A triangle mesh, of jax arrays.

  Attributes:
    vertices: positions in cm.
    faces: vertex indices, counter-clockwise seen from outside.
    colors: linear RGB in [0, 1] per vertex, or None.
    uvs: texture coordinates in [0, 1] per vertex, (0, 0) bottom left, or
      None.
    texture: linear RGB in [0, 1] over the uvs, row 0 at the top, or None.
  """

  vertices: Float[Array, 'v 3']
  faces: Int[Array, 'f 3']
  colors: Float[Array, 'v 3'] | None = None
  uvs: Float[Array, 'v 2'] | None = None
  texture: Float[Array, 'h w 3'] | None = None


def from_numpy(
  vertices: Float[np.ndarray, 'v 3'],
  faces: Int[np.ndarray, 'f 3'],
  *,
  colors: Float[np.ndarray, 'v 3'] | None = None,
  uvs: Float[np.ndarray, 'v 2'] | None = None,
) -> Mesh:
  """Return a mesh of arrays that were made outside of jax.

  Args:
    vertices: positions, cm.
    faces: vertex indices, counter-clockwise seen from outside.
    colors: linear RGB in [0, 1] per vertex, or None.
    uvs: texture coordinates in [0, 1] per vertex, or None.

  Returns:
    Mesh, its floats in float32 and its indices in int32.
  """
  return Mesh(
    vertices=jnp.asarray(vertices, jnp.float32),
    faces=jnp.asarray(faces, jnp.int32),
    colors=None if colors is None else jnp.asarray(colors, jnp.float32),
    uvs=None if uvs is None else jnp.asarray(uvs, jnp.float32),
  )


def _area_vectors(
  vertices: Float[Array, 'v 3'], faces: Int[Array | np.ndarray, 'f 3']
) -> Float[Array, 'f 3']:
  """Return outward vectors as long as twice the area of their faces."""
  a, b, c = (vertices[faces[:, i]] for i in range(3))
  return jnp.cross(b - a, c - a)


def face_normals(
  vertices: Float[Array, 'v 3'], faces: Int[Array | np.ndarray, 'f 3']
) -> Float[Array, 'f 3']:
  """Compute the unit normals of the faces.

  Args:
    vertices: positions, in any unit.
    faces: vertex indices, counter-clockwise seen from outside.

  Returns:
    Outward unit vectors; 0 for degenerate faces.
  """
  return safe.safe_normalize(_area_vectors(vertices, faces))


def face_areas(
  vertices: Float[Array, 'v 3'], faces: Int[Array | np.ndarray, 'f 3']
) -> Float[Array, 'f']:
  """Compute the areas of the faces.

  Args:
    vertices: positions in cm.
    faces: vertex indices of each triangle.

  Returns:
    Areas in cm^2; the gradient of a degenerate face is 0.
  """
  return 0.5 * safe.safe_norm(_area_vectors(vertices, faces))


def vertex_normals(
  vertices: Float[Array, 'v 3'], faces: Int[Array | np.ndarray, 'f 3']
) -> Float[Array, 'v 3']:
  """Compute area-weighted unit normals at the vertices.

  Args:
    vertices: positions, in any unit.
    faces: vertex indices, counter-clockwise seen from outside.

  Returns:
    Outward unit vectors; 0 at vertices without a face of positive area.
  """
  per_face = _area_vectors(vertices, faces)
  total = jnp.zeros_like(vertices)
  for corner in range(3):
    total = total.at[faces[:, corner]].add(per_face)
  return safe.safe_normalize(total)


def _half_edges(
  faces: Int[Array | np.ndarray, 'f 3'],
) -> Int[np.ndarray, 'h 2']:
  """List the three edges of every face, the smaller index first."""
  faces = np.asarray(faces)
  return np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)


def edges(
  faces: Int[Array | np.ndarray, 'f 3'],
) -> Int[np.ndarray, 'e 2']:
  """List every edge once.

  Args:
    faces: vertex indices (concrete, not traced).

  Returns:
    Pairs of vertex indices, the smaller first, sorted.
  """
  return np.unique(_half_edges(faces), axis=0)


def boundary_edges(
  faces: Int[Array | np.ndarray, 'f 3'],
) -> Int[np.ndarray, 'e 2']:
  """List the edges that belong to exactly one face.

  Args:
    faces: vertex indices (concrete, not traced).

  Returns:
    Pairs of vertex indices, the smaller first, sorted.
  """
  pairs, counts = np.unique(_half_edges(faces), axis=0, return_counts=True)
  return pairs[counts == 1]


def boundary_vertices(
  vertex_count: int, faces: Int[Array | np.ndarray, 'f 3']
) -> Bool[np.ndarray, 'v']:
  """Mark the vertices on a boundary edge.

  Args:
    vertex_count: number of vertices of the mesh.
    faces: vertex indices (concrete, not traced).

  Returns:
    True at the vertices of `boundary_edges`.
  """
  marked = np.zeros(vertex_count, bool)
  marked[boundary_edges(faces).ravel()] = True
  return marked


def same_places(
  vertices: Float[Array | np.ndarray, 'v 3'], tolerance: float = 1e-5
) -> Int[np.ndarray, 'v']:
  """Find vertices that lie at the same place.

  Args:
    vertices: positions in cm (concrete, not traced).
    tolerance: side of the grid, in cm, on which positions count as equal.

  Returns:
    The number of the first vertex at the place of each.
  """
  cells = np.round(np.asarray(vertices, np.float64) / tolerance)
  _, first, inverse = np.unique(
    cells, axis=0, return_index=True, return_inverse=True
  )
  return first[inverse.reshape(-1)]


def weld(mesh: Mesh, tolerance: float = 1e-5) -> Mesh:
  """Merge vertices at the same place and drop what that makes degenerate.

  Colours and texture coordinates of the first of the merged vertices are
  kept; vertices without a face are dropped.

  Args:
    mesh: any mesh (concrete, not traced).
    tolerance: side of the grid, in cm, on which positions count as equal.

  Returns:
    The welded mesh, vertices in the order of their first appearance.
  """
  faces = same_places(mesh.vertices, tolerance)[np.asarray(mesh.faces)]
  a, b, c = faces.T
  kept = jnp.asarray(faces[(a != b) & (b != c) & (c != a)], jnp.int32)
  return compact(dataclasses.replace(mesh, faces=kept))


def compact(mesh: Mesh) -> Mesh:
  """Drop the vertices that no face uses.

  Args:
    mesh: any mesh (concrete, not traced).

  Returns:
    The mesh with the remaining vertices in their old order.
  """
  faces = np.asarray(mesh.faces)
  kept, inverse = np.unique(faces, return_inverse=True)

  def pick(values: Float[Array, 'v c'] | None) -> Float[Array, '_ c'] | None:
    return None if values is None else values[kept]

  return dataclasses.replace(
    mesh,
    vertices=pick(mesh.vertices),
    faces=jnp.asarray(inverse.reshape(faces.shape), jnp.int32),
    colors=pick(mesh.colors),
    uvs=pick(mesh.uvs),
  )


def pad(mesh: Mesh, *, vertices: int, faces: int) -> Mesh:
  """Pad a mesh to fixed counts, so that one compiled program serves many.

  The added vertices repeat vertex 0 and the added faces are (0, 0, 0): without
  area, they are never drawn and weigh nothing.

  Args:
    mesh: any mesh.
    vertices: number of vertices to reach.
    faces: number of faces to reach.

  Returns:
    The padded mesh.

  Raises:
    ValueError: if the mesh has more vertices or faces than asked for.
  """
  extra_vertices = vertices - mesh.vertices.shape[0]
  extra_faces = faces - mesh.faces.shape[0]
  if extra_vertices < 0 or extra_faces < 0:
    raise ValueError(
      f'Cannot pad a mesh of {mesh.vertices.shape[0]} vertices and '
      f'{mesh.faces.shape[0]} faces down to {vertices} and {faces}: ask for '
      'at least as many as it has.'
    )

  def extend(values: Float[Array, 'v c'] | None) -> Float[Array, '_ c'] | None:
    if values is None:
      return None
    tail = jnp.broadcast_to(values[:1], (extra_vertices, values.shape[1]))
    return jnp.concatenate([values, tail])

  tail = jnp.zeros((extra_faces, 3), mesh.faces.dtype)
  return dataclasses.replace(
    mesh,
    vertices=extend(mesh.vertices),
    faces=jnp.concatenate([mesh.faces, tail]),
    colors=extend(mesh.colors),
    uvs=extend(mesh.uvs),
  )


def concatenate(*meshes: Mesh) -> Mesh:
  """Put several meshes into one scene.

  An occluder hides what lies behind it but is not part of the picture. Draw
  it along, with an attribute that is 1 on what shall be seen:

      scene = mesh.concatenate(mask, head)
      shown = jnp.arange(len(scene.vertices)) < len(mask.vertices)
      attributes = jnp.concatenate([scene.colors, shown[:, None]], -1)
      images = rasterizer.rasterize(..., scene.faces, attributes[None], ...)
      alpha = images.alpha * images.attributes[..., 3]

  Args:
    *meshes: one or more; all have colours or none has, likewise uvs. Only a
      single one may have a texture.

  Returns:
    One mesh, vertices and faces in the order of the arguments.

  Raises:
    ValueError: without a mesh, or if only some have colours or uvs.
  """
  if not meshes:
    raise ValueError('concatenate needs at least one mesh, got none.')
  if len(meshes) > 1 and any(mesh.texture is not None for mesh in meshes):
    raise ValueError(
      'Meshes with textures cannot be put into one: turn the textures into '
      'colours first.'
    )

  def join(name: str) -> Float[Array, '_ c'] | None:
    values = [getattr(mesh, name) for mesh in meshes]
    missing = sum(value is None for value in values)
    if missing == len(values):
      return None
    if missing:
      raise ValueError(
        f'Either all meshes of a scene have {name} or none has; {missing} of '
        f'{len(values)} have none.'
      )
    return jnp.concatenate(values)

  counts = [mesh.vertices.shape[0] for mesh in meshes]
  starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
  faces = [mesh.faces + int(start) for mesh, start in zip(meshes, starts)]
  return Mesh(
    vertices=join('vertices'),
    faces=jnp.concatenate(faces),
    colors=join('colors'),
    uvs=join('uvs'),
    texture=meshes[0].texture,
  )


def check(mesh: Mesh) -> None:
  """Raise if shapes, indices or numbers of a mesh make no sense.

  Args:
    mesh: any mesh (concrete, not traced).

  Raises:
    ValueError: saying what is wrong and what was expected.
  """
  count = np.shape(mesh.vertices)[0] if np.ndim(mesh.vertices) else 0
  for name, values, width in (
    ('vertices', mesh.vertices, 3),
    ('colors', mesh.colors, 3),
    ('uvs', mesh.uvs, 2),
  ):
    if values is None:
      continue
    if np.shape(values) != (count, width):
      raise ValueError(
        f'Mesh {name} must have shape ({count}, {width}), '
        f'got {np.shape(values)}.'
      )
    if not np.isfinite(np.asarray(values)).all():
      raise ValueError(f'Mesh {name} must be finite, found nan or inf.')
  if mesh.texture is not None and (
    mesh.uvs is None
    or np.ndim(mesh.texture) != 3
    or np.shape(mesh.texture)[2] != 3
  ):
    raise ValueError(
      'A mesh texture must have shape (H, W, 3) and come with uvs, got '
      f'{np.shape(mesh.texture)}.'
    )
  faces = np.asarray(mesh.faces)
  if faces.ndim != 2 or faces.shape[1] != 3 or faces.dtype.kind not in 'iu':
    raise ValueError(
      'Mesh faces must be integers of shape (F, 3), got '
      f'{faces.dtype} of shape {faces.shape}.'
    )
  if faces.size and (faces.min() < 0 or faces.max() >= count):
    raise ValueError(
      f'Mesh faces must index {count} vertices, got indices from '
      f'{faces.min()} to {faces.max()}.'
    )


def transform(
  vertices: Float[Array, 'v 3'], matrix: Float[Array, '4 4']
) -> Float[Array, 'v 3']:
  """Apply an affine transform to positions.

  Args:
    vertices: positions, in any unit.
    matrix: affine map of positions written as columns (x, y, z, 1).

  Returns:
    The moved positions.
  """
  moved = jnp.einsum(
    'ij,vj->vi',
    matrix[:3, :3],
    vertices,
    precision=jax.lax.Precision.HIGHEST,
  )
  return moved + matrix[None, :3, 3]
