"""The start shapes of masks: our own face shell, or any user's mesh.

One half of our shell (shell.py) is triangulated (planar.py) and mirrored, so
both halves agree to the last bit. The plane that it is triangulated in
serves as uv atlas too: no two triangles overlap in it.

Shapes: V vertices, F faces, R rim vertices, N points.
"""

import dataclasses
import functools

import jax.numpy as jnp
from jaxtyping import Array, Float, Int
import numpy as np
import scipy.spatial

from maskjax.geometry import (
  atlas as atlas_lib,
  canonical,
  mesh as mesh_lib,
  mesh_io,
  planar,
  shell,
)

KINDS = shell.KINDS
MAX_FACES = 10_000
# Spans, in cm, that a mask on a human head can have.
MIN_SPAN, MAX_SPAN = 4.0, 60.0
# Further from the origin than this, the middle of a shape is moved there.
_NEAR_CM = 15.0
# Parts of the enclosed volume, and of the mean normal, that tell inward from
# outward faces, and an open sheet from a closed surface.
_INWARD, _OPEN = 0.1, 0.2


@dataclasses.dataclass(frozen=True)
class Template:
  """A start shape with what the loop needs to know about it.

  Attributes:
    mesh: the shape, with uvs where it is ours.
    rim: i32[R], the outer boundary in order (the surface on the left when
      walking along it on the outside); empty for a closed mesh.
    hole_loops: i32[.] of every other boundary (eyes, mouth), in order.
    symmetry: i32[V], the mirror image of each vertex (a vertex of the middle
      is its own), or None.
    canonical_triangles: i32[468], the face that each canonical point lies
      in, or None.
    canonical_weights: f32[468, 3], its barycentric weights there, or None.
    name: 'plain', 'face', or the user's.
    atlas: uvs in several charts; None: those of the mesh, in one piece.
  """

  mesh: mesh_lib.Mesh
  rim: Int[np.ndarray, 'r']
  hole_loops: tuple[Int[np.ndarray, '_'], ...] = ()
  symmetry: Int[np.ndarray, 'v'] | None = None
  canonical_triangles: Int[np.ndarray, '468'] | None = None
  canonical_weights: Float[np.ndarray, '468 3'] | None = None
  name: str = 'mesh'
  atlas: atlas_lib.Atlas | None = None


def boundary_loops(
  faces: Int[Array | np.ndarray, 'f 3'],
) -> list[Int[np.ndarray, '_']]:
  """Return the boundaries of a surface as ordered loops of vertices.

  Args:
    faces: vertex indices of each triangle.

  Returns:
    Loops of vertex indices, in the direction of the faces' own edges, each
    starting at its smallest vertex; empty for a closed surface.
  """
  sides = np.asarray(faces)[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2).tolist()
  present = {tuple(side) for side in sides}
  following: dict[int, list[int]] = {}
  for a, b in sides:
    if (b, a) not in present:
      following.setdefault(a, []).append(b)
  loops = []
  for start in sorted(following):
    while following[start]:
      loop = [start]
      while following.get(loop[-1]):
        loop.append(following[loop[-1]].pop())
        if loop[-1] == start:
          break
      loops.append(np.array(loop[:-1], np.int32))
  return loops


def _sort_loops(
  vertices: Float[np.ndarray, 'v 3'], faces: Int[np.ndarray, 'f 3']
) -> tuple[Int[np.ndarray, 'r'], tuple[Int[np.ndarray, '_'], ...]]:
  """Return the rim, the longest boundary loop, and all others."""
  loops = boundary_loops(faces)
  if not loops:
    return np.zeros(0, np.int32), ()

  def length(loop: Int[np.ndarray, '_']) -> float:
    steps = vertices[loop] - vertices[np.roll(loop, -1)]
    return float(np.linalg.norm(steps, axis=1).sum())

  rim = max(range(len(loops)), key=lambda k: length(loops[k]))
  return loops[rim], tuple(l for k, l in enumerate(loops) if k != rim)


# --- the map from the canonical face ---------------------------------------


def _barycentric(
  points: Float[np.ndarray, 'n 2'], corners: Float[np.ndarray, 'n 3 2']
) -> tuple[Float[np.ndarray, 'n 3'], Float[np.ndarray, '4 n']]:
  """Return weights of the triangles' closest points, and their distances.

  The four distances are those of each side, and 0 or infinity for inside.
  """
  choices = []
  for k in range(3):  # the closest point of every side
    start, end = corners[:, k], corners[:, (k + 1) % 3]
    along = end - start
    t = np.sum((points - start) * along, -1) / np.sum(along**2, -1)
    weights = np.zeros((len(points), 3))
    weights[:, (k + 1) % 3] = np.clip(t, 0.0, 1.0)
    weights[:, k] = 1.0 - weights[:, (k + 1) % 3]
    choices.append(weights)
  system = np.concatenate([corners, np.ones((len(points), 3, 1))], -1)
  target = np.concatenate([points, np.ones((len(points), 1))], -1)
  inner = np.linalg.solve(np.swapaxes(system, 1, 2), target[..., None])[..., 0]
  choices.append(inner)
  weights = np.stack(choices)
  closest = np.einsum('knc,ncd->knd', weights, corners)
  distances = np.linalg.norm(closest - points, axis=-1)
  distances[3] = np.where(np.all(inner >= 0.0, -1), 0.0, np.inf)
  return weights[np.argmin(distances, 0), np.arange(len(points))], distances


def _on_middle(
  heights: Float[np.ndarray, 'n'],
  plane: Float[np.ndarray, 'v 2'],
  half_faces: Int[np.ndarray, 'f 3'],
) -> tuple[Int[np.ndarray, 'n'], Float[np.ndarray, 'n 3']]:
  """Return triangles of points of the middle, and weights within them.

  They stay on the edges of the middle, or left and right would disagree.
  """
  starts = np.concatenate(
    [
      np.stack([np.arange(len(half_faces)), np.full(len(half_faces), k)], -1)
      for k in range(3)
    ]
  )
  triangle, corner = starts.T
  following = (corner + 1) % 3
  first = plane[half_faces[triangle, corner]]
  second = plane[half_faces[triangle, following]]
  kept = np.flatnonzero((first[:, 0] == 0.0) & (second[:, 0] == 0.0))
  low, high = first[kept, 1], second[kept, 1]
  along = np.clip((heights[:, None] - low) / (high - low), 0.0, 1.0)
  gaps = np.abs(low + along * (high - low) - heights[:, None])
  best = np.argmin(gaps, axis=1)
  rows = np.arange(len(heights))
  along, edge = along[rows, best], kept[best]
  weights = np.zeros((len(heights), 3))
  weights[rows, corner[edge]] = 1.0 - along
  weights[rows, following[edge]] = along
  return triangle[edge], weights


def _canonical_map(
  plane: Float[np.ndarray, 'v 2'], half_faces: Int[np.ndarray, 'f 3']
) -> tuple[Int[np.ndarray, '468'], Float[np.ndarray, '468 3']]:
  """Return triangles and weights of the 468 points, mirrored like the mesh.

  The point straight ahead of (or behind) each canonical point, seen from the
  centre; the closest one where that falls into a hole.
  """
  vertices = canonical.load().vertices.astype(np.float64)
  targets, _ = shell.to_plane(vertices)
  right = np.flatnonzero(vertices[:, 0] > 0.0)
  corners = plane[half_faces]
  tree = scipy.spatial.cKDTree(corners.mean(1))
  _, near = tree.query(targets[right], k=16)
  weights, distances = _barycentric(
    np.repeat(targets[right], 16, axis=0), corners[near.ravel()]
  )
  best = np.argmin(distances.min(0).reshape(-1, 16), axis=1)
  rows = np.arange(len(right))
  triangles = np.zeros(len(vertices), np.int32)
  table = np.zeros((len(vertices), 3))
  triangles[right] = near[rows, best]
  table[right] = weights.reshape(-1, 16, 3)[rows, best]
  middle = np.flatnonzero(vertices[:, 0] == 0.0)
  triangles[middle], table[middle] = _on_middle(
    targets[middle, 1], plane, half_faces
  )
  left = np.flatnonzero(vertices[:, 0] < 0.0)
  _, twin = scipy.spatial.cKDTree(vertices).query(
    vertices[left] * [-1.0, 1.0, 1.0]
  )
  triangles[left] = triangles[twin] + len(half_faces)
  table[left] = table[twin][:, ::-1]
  return triangles, table.astype(np.float32)


# --- templates -------------------------------------------------------------


def _uvs(plane: Float[np.ndarray, 'v 2']) -> Float[np.ndarray, 'v 2']:
  """Return the plane fitted into the unit square, one scale for both axes."""
  low, high = plane.min(0), plane.max(0)
  scale = 0.98 / (high - low).max()
  return 0.5 + (plane - 0.5 * (low + high)) * scale


@functools.lru_cache(maxsize=8)
def _build(kind: str, edge_length: float) -> Template:
  """Build one of our templates (slow; cached)."""
  embed = shell.surface(kind)
  growth = 0.03 if kind == 'plain' else 0.12

  def size(points: Float[np.ndarray, 'n 2']) -> Float[np.ndarray, 'n']:
    # Finer in the middle of the face.
    return edge_length * (0.9 + growth * (np.sum(points**2, -1) - 0.8))

  outline, holes = shell.half_outline(kind, embed, size)
  half, half_faces = planar.triangulate(outline, holes, embed, size)
  middle = half[:, 0] == 0.0
  twin = np.where(
    middle, np.arange(len(half)), len(half) + np.cumsum(~middle) - 1
  )
  mirror = np.array([-1.0, 1.0])
  plane = np.concatenate([half, half[~middle] * mirror])
  faces = np.concatenate([half_faces, twin[half_faces][:, ::-1]])
  solid = embed(half)
  solid = np.concatenate([solid, solid[~middle] * [-1.0, 1.0, 1.0]])
  rim, hole_loops = _sort_loops(solid, faces)
  triangles, weights = _canonical_map(plane, half_faces)
  return Template(
    mesh=mesh_lib.Mesh(
      vertices=jnp.asarray(solid, jnp.float32),
      faces=jnp.asarray(faces, jnp.int32),
      uvs=jnp.asarray(_uvs(plane), jnp.float32),
    ),
    rim=rim,
    hole_loops=hole_loops,
    symmetry=np.concatenate([twin, np.flatnonzero(~middle)]).astype(np.int32),
    canonical_triangles=triangles,
    canonical_weights=weights,
    name=kind,
  )


def mask_template(kind: str = 'plain', *, edge_length: float = 0.6) -> Template:
  """Return our own mask: an open, even, exactly symmetric face shell.

  Args:
    kind: 'plain' (closed front with a soft nose) or 'face' (a face with eye
      and mouth holes).
    edge_length: mean length of an edge, cm; 0.6 gives about 3,000 vertices.

  Returns:
    The template, in the mesh frame: x +-8.8, y -10.5..13.1, z -6.9..7.5 cm.

  Raises:
    ValueError: unknown kind, or an edge length that gives no sound mesh.
  """
  if kind not in KINDS:
    raise ValueError(f'unknown mask template {kind!r}: expected one of {KINDS}')
  if not 0.48 <= edge_length <= 1.2:
    raise ValueError(
      f'edge_length is {edge_length} cm: expected a length in [0.48, 1.2]'
    )
  return _build(kind, float(edge_length))


def from_mesh(
  mesh: mesh_lib.Mesh, *, name: str = 'mesh', max_faces: int = MAX_FACES
) -> Template:
  """Make a template of any mesh.

  Args:
    mesh: the start shape, cm; unused vertices are dropped.
    name: what to call it.
    max_faces: the largest number of triangles to accept.

  Returns:
    A template whose rim is the mesh's longest boundary loop; symmetry and
    canonical map are None.

  Raises:
    ValueError: the mesh is empty, not finite, too large, or of a size that
      no mask has.
  """
  mesh_lib.check(mesh)
  count = len(mesh.faces)
  if count == 0:
    raise ValueError('the template has no triangles: expected a surface')
  if count > max_faces:
    raise ValueError(
      f'the template has {count} triangles: at most {max_faces} are allowed; '
      'simplify it first'
    )
  mesh = mesh_lib.compact(mesh)
  vertices = np.asarray(mesh.vertices, np.float64)
  span = float(np.ptp(vertices, axis=0).max())
  if not MIN_SPAN <= span <= MAX_SPAN:
    raise ValueError(
      f'the template spans {span:.3g} cm: expected {MIN_SPAN:g} to '
      f'{MAX_SPAN:g} cm (GLB files are in metres, all others in centimetres)'
    )
  rim, hole_loops = _sort_loops(vertices, np.asarray(mesh.faces))
  return Template(mesh=mesh, rim=rim, hole_loops=hole_loops, name=name)


def _without_doubles(mesh: mesh_lib.Mesh) -> mesh_lib.Mesh:
  """Return a mesh without faces that lie on an earlier one.

  Two-sided surfaces, and faces that are there twice, have no neighbours that
  could be told apart: nothing that looks at both sides of an edge is right.
  """
  faces = np.asarray(mesh.faces)
  places = mesh_lib.same_places(mesh.vertices)[faces]
  _, first = np.unique(np.sort(places, 1), axis=0, return_index=True)
  kept = faces[np.sort(first)]
  return dataclasses.replace(mesh, faces=jnp.asarray(kept, jnp.int32))


def _facing(mesh: mesh_lib.Mesh) -> tuple[Float[np.ndarray, '3'], float]:
  """Return where a surface looks, and whether outward or inward.

  The first is the mean of the normals, by area: short for a closed surface.
  The second is the volume that the faces enclose with the middle, as a part of
  the most they could, in [-1, 1].
  """
  corners = np.asarray(mesh.vertices, np.float64)[np.asarray(mesh.faces)]
  areas = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
  sizes = np.linalg.norm(areas, axis=1)
  middle = corners.mean(1) - (corners.max((0, 1)) + corners.min((0, 1))) / 2
  reach = np.linalg.norm(middle, axis=1) * sizes
  outward = np.sum(middle * areas) / max(float(reach.sum()), 1e-30)
  return areas.sum(0) / max(float(sizes.sum()), 1e-30), float(outward)


def _check_facing(mesh: mesh_lib.Mesh, path: str) -> None:
  """Refuse a surface that a camera in front does not see from outside."""
  mean, outward = _facing(mesh)
  if outward < -_INWARD:
    raise ValueError(
      f'the faces of template {path!r} look inward; turn them over (flip the '
      'normals)'
    )
  length = float(np.linalg.norm(mean))
  is_cap = mean[1] > 0.8 * length  # open below, as hats and helmets are
  if length > _OPEN and mean[2] < 0.5 * length and not is_cap:
    x, y, z = mean / length
    raise ValueError(
      f'template {path!r} looks along ({x:.1f}, {y:.1f}, {z:.1f}); turn it so '
      'that its face looks along +z, with +y up'
    )


def _shift(mesh: mesh_lib.Mesh, path: str) -> Float[np.ndarray, '3']:
  """Return how far to move a shape that does not stand at the origin."""
  vertices = np.asarray(mesh.vertices, np.float64)
  middle = (vertices.min(0) + vertices.max(0)) / 2
  if np.linalg.norm(middle) <= _NEAR_CM:
    return np.zeros(3)
  words = ', '.join(f'{value:.1f}' for value in middle)
  print(
    f'template: {path} is moved from ({words}) cm to the origin', flush=True
  )
  return -middle


def _moved(mesh: mesh_lib.Mesh, shift: Float[np.ndarray, '3']) -> mesh_lib.Mesh:
  moved = np.asarray(mesh.vertices, np.float64) + shift
  return dataclasses.replace(mesh, vertices=jnp.asarray(moved, jnp.float32))


def from_file(path: str, *, atlas_size: int | None = None) -> Template:
  """Make a template of a file, on request with uvs to lay an image over.

  Faces that lie on others are left out, and a shape that does not stand at
  the origin is moved there; both are printed. Usable uvs of the file are
  kept; otherwise xatlas makes new ones. Which it is, is printed.

  Args:
    path: a GLB, glTF, OBJ, PLY or STL file.
    atlas_size: texels on a side of the image, or None for none.

  Raises:
    ValueError: what `mesh_io.load_mesh`, `from_mesh` and `atlas.unwrap`
      refuse, or a shape that does not look along +z, or inward.
  """
  welded = mesh_io.load_mesh(path)
  single = _without_doubles(welded)
  if double := len(welded.faces) - len(single.faces):
    print(
      f'template: {double} faces of {path} that lie on others are left out',
      flush=True,
    )
  shift = _shift(single, path)
  template = from_mesh(_moved(single, shift), name=path)
  _check_facing(template.mesh, path)
  if atlas_size is None:
    return template
  cut = _without_doubles(mesh_io.load_mesh(path, weld=False))
  cut = _moved(cut, shift)
  if atlas_lib.usable(cut):
    print(f'texture: over the uv map of {path}', flush=True)
    whole, charts = atlas_lib.split(cut)
  else:
    lack = 'no uvs' if cut.uvs is None else 'uvs that repeat or leave faces out'
    print(f'texture: {path} has {lack}, xatlas makes new ones', flush=True)
    whole = dataclasses.replace(template.mesh, uvs=None)
    charts = atlas_lib.unwrap(whole, size=atlas_size)
  template = from_mesh(whole, name=path)
  return dataclasses.replace(template, atlas=charts)


def canonical_points(
  template: Template, vertices: Float[Array, 'v 3'] | None = None
) -> Float[Array, '468 3']:
  """Return where the 468 canonical points lie on a (deformed) template.

  Args:
    template: one of our own templates.
    vertices: deformed vertices, cm; the template's own when None.

  Returns:
    Positions in cm.

  Raises:
    ValueError: the template has no canonical map.
  """
  if template.canonical_triangles is None:
    raise ValueError(
      f'template {template.name!r} has no map from the canonical face: use '
      'mask_template()'
    )
  if vertices is None:
    vertices = template.mesh.vertices
  corners = template.mesh.faces[template.canonical_triangles]
  weights = jnp.asarray(template.canonical_weights)
  return jnp.einsum('nk,nkd->nd', weights, vertices[corners])
