"""The trainable mask: parameters that become a mesh.

Either vertices move, or a signed distance changes (`sdf`); the colours are
those of `albedo`. Moving vertices are the start shape plus smoothed offsets,
x = x_0 + S u, with S = (I + lambda L)^-1: an optimiser that moves u by small
steps moves whole regions of the surface, and the surface stays smooth ("Large
steps in inverse rendering of geometry", Nicolet et al. 2021, eq. 10). Rows of
S that belong to the rim are zero, so the rim stays on the head exactly.

Shapes: `V` vertices, `F` faces.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int
import ml_collections
import numpy as np
import scipy.spatial

from maskjax.geometry import (
  atlas,
  energies,
  laplacian,
  mesh as mesh_lib,
  template as template_lib,
  tetrahedra,
)
from maskjax.mask import albedo, sdf
from maskjax.render import hashgrid, textures

# Width of a head, the unit of offsets and rates, in cm.
HEAD_WIDTH_CM = 15.0
GEOMETRIES = ('vertices', 'sdf')


class MaskParams(NamedTuple):
  """What is optimised."""

  offsets: Float[Array, '...']  # u [V, 3], or of distances [X, Y, Z]; widths
  colors: albedo.Params


class Surface(NamedTuple):
  """What stays fixed while a mask is optimised."""

  template: template_lib.Template
  smoothing: Float[Array, 'v v']  # S; empty with a volume
  edges: np.ndarray  # int32 [E, 2]
  pairs: np.ndarray  # int32 [P, 2] of faces
  rest_lengths: Float[Array, 'e']
  volume: sdf.Volume | None = None
  texture: str = 'vertex'  # one of albedo.KINDS
  texture_size: int = 256
  box: hashgrid.Box = hashgrid.Box((-1.0,) * 3, (1.0,) * 3)


class Shape(NamedTuple):
  """A mask at one moment, as it is rendered.

  Attributes:
    vertices: cm.
    faces: vertex indices.
    colors: linear RGB per vertex, or None for a texture.
    texture: or None for vertex colours.
    fallen: of `sdf.growth`, cm; None for moving vertices.
    fullness: of the lists of the mesh, see `sdf.fullness`; 0 for vertices.
  """

  vertices: Float[Array, 'v 3']
  faces: Int[Array, 'f 3']
  colors: Float[Array, 'v 3'] | None
  texture: textures.Texture | None
  fallen: Float[Array, 'x y z'] | None
  fullness: Float[Array, '']


def _of_volume(volume, template):
  """Return the start shape as the volume shows it, as a template."""
  mesh = sdf.export(volume, jnp.zeros_like(volume.start))
  return dataclasses.replace(
    template,
    mesh=mesh,
    rim=np.zeros(0, np.int32),
    hole_loops=(),
    symmetry=None,
    atlas=None,
    canonical_triangles=None,
    canonical_weights=None,
  )


def create(
  template: template_lib.Template,
  *,
  smoothing: float,
  pin_rim: bool,
  texture: str = 'vertex',
  texture_size: int = 256,
  volume: sdf.Volume | None = None,
) -> Surface:
  """Prepare a start shape for optimisation.

  Args:
    template: the start shape.
    smoothing: lambda of the class of updates; about sqrt(lambda) edges move
      together.
    pin_rim: whether the border stays where it is.
    texture: one of `albedo.KINDS`.
    texture_size: texels on a side of a 'uv' texture.
    volume: of `sdf.create`, or None for vertices that move.
  """
  if volume is not None:
    template = _of_volume(volume, template)
    none = np.zeros((0, 2), np.int32)
    return Surface(
      template=template,
      smoothing=jnp.zeros((0, 0)),
      edges=none,
      pairs=none,
      rest_lengths=jnp.zeros(0),
      volume=volume,
      texture=texture,
      box=hashgrid.bounding_box(tetrahedra.positions(volume.grid), 0.0),
    )
  vertices = np.asarray(template.mesh.vertices)
  faces = np.asarray(template.mesh.faces)
  operator = laplacian.smoothing_operator(
    vertices, faces, smoothing, pinned=template.rim if pin_rim else None
  )
  edges = mesh_lib.edges(faces)
  mesh = template.mesh
  return Surface(
    template=template,
    smoothing=jnp.asarray(operator),
    edges=edges,
    pairs=energies.face_pairs(faces),
    rest_lengths=energies.edge_lengths(mesh.vertices, edges),
    texture=texture,
    texture_size=texture_size,
    box=hashgrid.bounding_box(mesh.vertices),
  )


def _seams(surface):
  """Return how an image's charts cut the surface, None for one piece."""
  atlas_ = surface.template.atlas
  if surface.texture != 'uv' or atlas_ is None:
    return None
  return textures.Seams(jnp.asarray(atlas_.source), atlas_.mesh.faces)


def _cut(surface, mesh):
  """Return a mesh of the surface's faces, cut into its charts."""
  atlas_ = surface.template.atlas
  if surface.volume is not None or atlas_ is None:
    return mesh
  colors = None if mesh.colors is None else mesh.colors[atlas_.source]
  return dataclasses.replace(
    atlas_.mesh, vertices=mesh.vertices[atlas_.source], colors=colors
  )


def initial_params(surface: Surface, colors: Float[Array, 'v 3']) -> MaskParams:
  """Return the start shape in these linear RGB colours, one per vertex."""
  mesh, volume = surface.template.mesh, surface.volume
  if volume is not None and surface.texture == 'vertex':
    # Colours are kept where the distances are.
    tree = scipy.spatial.cKDTree(np.asarray(mesh.vertices))
    _, nearest = tree.query(tetrahedra.positions(volume.grid))
    painted = albedo.logits(jnp.asarray(colors)[nearest])
  else:
    if surface.texture == 'uv':
      mesh = _cut(surface, dataclasses.replace(mesh, colors=colors))
      colors = mesh.colors
    painted = albedo.create(
      surface.texture,
      mesh,
      colors,
      size=surface.texture_size,
      box=surface.box,
    )
  start = surface.template.mesh.vertices if volume is None else volume.start
  return MaskParams(offsets=jnp.zeros_like(start), colors=painted)


def positions(
  surface: Surface, params: MaskParams, *, bound: float
) -> Float[Array, 'v 3']:
  """Return vertex positions in cm.

  Args:
    surface: the fixed part.
    params: the trained part.
    bound: largest offset of a vertex in head widths; approached smoothly.
  """
  moved = jnp.matmul(surface.smoothing, params.offsets, precision='highest')
  length = jnp.sqrt(jnp.sum(moved**2, -1, keepdims=True) + 1e-12)
  shrunk = moved * (bound * jnp.tanh(length / bound) / length)
  return surface.template.mesh.vertices + HEAD_WIDTH_CM * shrunk


def colors(params: MaskParams) -> Float[Array, 'v 3']:
  """Return vertex colours, linear RGB in (0, 1)."""
  return jax.nn.sigmoid(params.colors)


def _fallen(volume, params, bound):
  """Return by how many cm the distance of a volume has fallen."""
  return HEAD_WIDTH_CM * sdf.growth(volume, params.offsets, bound=bound)


def shape(surface: Surface, params: MaskParams, *, bound: float) -> Shape:
  """Return the mask as it is rendered: static shapes, differentiable.

  Args:
    surface: the fixed part.
    params: the trained part.
    bound: see `positions`.
  """
  plain = surface.texture == 'vertex'
  if surface.volume is None:
    mesh = surface.template.mesh
    coordinates = mesh.vertices
    if surface.texture == 'uv':
      coordinates = _cut(surface, mesh).uvs
    return Shape(
      vertices=positions(surface, params, bound=bound),
      faces=mesh.faces,
      colors=colors(params) if plain else None,
      texture=albedo.texture(
        surface.texture,
        params.colors,
        coordinates,
        surface.box,
        seams=_seams(surface),
      ),
      fallen=None,
      fullness=jnp.zeros(()),
    )
  fallen = _fallen(surface.volume, params, bound)
  marched = sdf.march(surface.volume, fallen, colors(params) if plain else None)
  return Shape(
    vertices=marched.vertices,
    faces=marched.faces,
    colors=marched.values,
    texture=albedo.texture(
      surface.texture, params.colors, marched.vertices, surface.box
    ),
    fallen=fallen,
    fullness=sdf.fullness(surface.volume, marched),
  )


def assemble(
  surface: Surface, params: MaskParams, *, bound: float
) -> mesh_lib.Mesh:
  """Return the mask as a mesh in cm with vertex colours (concrete)."""
  if surface.volume is None:
    formed = shape(surface, params, bound=bound)
    mesh = dataclasses.replace(
      surface.template.mesh, vertices=formed.vertices, colors=formed.colors
    )
    painted = formed.texture
  else:
    plain = surface.texture == 'vertex'
    fallen = _fallen(surface.volume, params, bound)
    mesh = sdf.export(surface.volume, fallen, colors(params) if plain else None)
    painted = albedo.texture(
      surface.texture, params.colors, mesh.vertices, surface.box
    )
  if painted is None:
    return mesh
  return dataclasses.replace(mesh, colors=albedo.at_vertices(painted))


def bake(
  surface: Surface, params: MaskParams, mesh: mesh_lib.Mesh, *, size: int
) -> mesh_lib.Mesh:
  """Return a finished mesh with its texture as an image, where it has one.

  Args:
    surface: the fixed part.
    params: the trained part.
    mesh: of `assemble`, perhaps repaired.
    size: texels on a side of a baked field.

  Raises:
    ValueError: a mesh without uvs, and xatlas is not installed.
  """
  if surface.texture == 'vertex':
    return mesh
  places = mesh.vertices
  if surface.volume is None:
    places = _cut(surface, surface.template.mesh).vertices
    mesh = _cut(surface, mesh)
  if mesh.uvs is None:
    mesh, source = atlas.unwrap(mesh, size=size)
    places = places[source]
  image = albedo.bake(params.colors, mesh, places, surface.box, size=size)
  return dataclasses.replace(mesh, texture=jnp.asarray(image))


def largest_offset_cm(
  surface: Surface, params: MaskParams, *, bound: float
) -> Float[Array, '']:
  """Return how far the surface moved at most, in cm."""
  if surface.volume is not None:
    return jnp.max(jnp.abs(_fallen(surface.volume, params, bound)))
  moved = surface.smoothing @ params.offsets
  return HEAD_WIDTH_CM * jnp.max(jnp.linalg.norm(moved, axis=-1))


def regularize(
  surface: Surface,
  vertices: Float[Array, 'v 3'],
  weights: ml_collections.ConfigDict,
) -> dict[str, Any]:
  """Return the weighted energies of moving vertices, by name.

  Args:
    surface: the fixed part.
    vertices: positions in cm.
    weights: `regularizers` of configs/mask.py; a weight of 0 leaves an
      energy out.
  """
  mesh = surface.template.mesh
  offsets = vertices - mesh.vertices
  terms = {}
  if weights.laplacian:
    terms['laplacian'] = weights.laplacian * energies.laplacian_energy(
      offsets, surface.edges
    )
  if weights.normal_consistency:
    terms['normal_consistency'] = (
      weights.normal_consistency
      * energies.normal_consistency(vertices, mesh.faces, surface.pairs)
    )
  if weights.edge_length:
    terms['edge_length'] = weights.edge_length * energies.edge_length_energy(
      vertices, surface.edges, surface.rest_lengths
    )
  if weights.symmetry and surface.template.symmetry is not None:
    terms['symmetry'] = weights.symmetry * energies.symmetry_energy(
      offsets, surface.template.symmetry
    )
  if weights.foldover:
    terms['foldover'] = weights.foldover * energies.foldover_energy(
      vertices, mesh.faces, mesh.vertices
    )
  return terms


def energy_terms(
  surface: Surface, formed: Shape, weights: ml_collections.ConfigDict
) -> dict[str, Any]:
  """Return the weighted energies of a mask of either geometry, by name."""
  if surface.volume is None:
    return regularize(surface, formed.vertices, weights)
  return sdf.regularize(surface.volume, formed.fallen, weights)
