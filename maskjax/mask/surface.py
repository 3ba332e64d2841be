"""The trainable mask: parameters that become a mesh.

A surface is a start shape with the geometry and the appearance that its
settings name; what is trained are `trainable.MaskParams`.

Shapes: `V` vertices, `F` faces.
"""

import dataclasses
import pathlib
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int
import numpy as np

from maskjax.geometry import (
  mesh as mesh_lib,
  soundness,
  template as template_lib,
)
from maskjax.mask import (
  appearances,
  geometries,
  settings as settings_lib,
  trainable,
)
from maskjax.render import textures

# Of the start shape's: with less, a mask has collapsed.
_LEAST_AREA = 0.25


class Surface(NamedTuple):
  """What stays fixed while a mask is optimised.

  Attributes:
    base: the start shape as the geometry has prepared it.
    geometry: how the shape moves.
    appearance: what its colours are.
    texture_size: texels on a side of an image that is trained.
  """

  base: trainable.Base
  geometry: trainable.Geometry
  appearance: trainable.Appearance
  texture_size: int

  @property
  def template(self) -> template_lib.Template:
    """The start shape as the geometry shows it."""
    return self.base.template


class Shape(NamedTuple):
  """A mask at one moment, as it is rendered.

  Attributes:
    vertices: positions of the vertices, cm.
    faces: three vertex indices of each triangle.
    colors: linear RGB per vertex, or None for a texture.
    texture: None for vertex colours.
    formed: the form, as the geometry's energies take it.
  """

  vertices: Float[Array, 'v 3']
  faces: Int[Array, 'f 3']
  colors: Float[Array, 'v 3'] | None
  texture: textures.Texture | None
  formed: trainable.Formed


def variants(
  settings: settings_lib.MaskSettings,
) -> tuple[trainable.Geometry, trainable.Appearance]:
  """Return the geometry and the appearance that settings name.

  Raises:
    ValueError: an unknown name, or colours that the shape cannot carry.
  """
  tables = (
    ('geometry', settings.geometry, geometries.GEOMETRIES),
    ('texture', settings.texture, appearances.APPEARANCES),
  )
  for field, name, table in tables:
    if name not in table:
      raise ValueError(f'{field} is {name!r}; not one of {", ".join(table)}')
  geometry = geometries.GEOMETRIES[settings.geometry]
  appearance = appearances.APPEARANCES[settings.texture]
  appearance.check(geometry)
  return geometry, appearance


def is_file(settings: settings_lib.MaskSettings) -> bool:
  """Return whether the start shape is a mesh file of the user's."""
  return settings.template not in template_lib.KINDS


def load_template(
  settings: settings_lib.MaskSettings,
) -> template_lib.Template:
  """Return the start shape that the settings name.

  Raises:
    ValueError: neither one of ours nor a mesh file that can be one.
    FileNotFoundError: there is no such file.
  """
  if not is_file(settings):
    return template_lib.mask_template(
      settings.template, edge_length=settings.edge_length
    )
  if not pathlib.Path(settings.template).suffix:
    raise ValueError(
      f'template {settings.template!r} is neither one of '
      f'{", ".join(template_lib.KINDS)} nor a mesh file'
    )
  geometry, appearance = variants(settings)
  size = appearance.atlas_size(settings) if geometry.keeps_faces else None
  template = template_lib.from_file(settings.template, atlas_size=size)
  if settings.template_colors:
    return template
  bare = dataclasses.replace(template.mesh, colors=None)
  return dataclasses.replace(template, mesh=bare)


def create(
  template: template_lib.Template, settings: settings_lib.MaskSettings
) -> Surface:
  """Prepare a start shape for optimisation.

  Args:
    template: the start shape, cm, +z out of the face.
    settings: all settings of the mask.
  """
  geometry, appearance = variants(settings)
  return Surface(
    base=geometry.create(template, settings),
    geometry=geometry,
    appearance=appearance,
    texture_size=settings.texture_size,
  )


def initial_params(
  surface: Surface, colors: Float[Array, 'v 3']
) -> trainable.MaskParams:
  """Return the start shape in these colours.

  Args:
    surface: the fixed part of the mask.
    colors: linear RGB per vertex of `surface.template`.
  """
  painted = surface.appearance.create(
    surface.base, surface.geometry.spread, colors, surface.texture_size
  )
  return trainable.MaskParams(offsets=surface.base.start, colors=painted)


def shape(
  surface: Surface, params: trainable.MaskParams, *, bound: float
) -> Shape:
  """Return the mask as it is rendered: static shapes, differentiable.

  Args:
    surface: the fixed part of the mask.
    params: the trained part of the mask.
    bound: largest offset, head widths; approached smoothly.
  """
  geometry, appearance = surface.geometry, surface.appearance
  values = appearance.values(params.colors)
  formed = geometry.form(surface.base, params.offsets, values, bound)
  origins = geometry.origins(surface.base, formed.vertices)
  return Shape(
    vertices=formed.vertices,
    faces=formed.faces,
    colors=formed.values,
    texture=appearance.texture(surface.base, params.colors, origins),
    formed=formed,
  )


def _at_vertices(painted: textures.Texture) -> Float[Array, 'v 3']:
  """Return the colours of the vertices of a textured mesh (concrete)."""
  points = painted.coordinates
  colors = painted.lookup(points, jnp.zeros((*points.shape, 2), points.dtype))
  if painted.seams is None:
    return colors
  source = np.asarray(painted.seams.source)
  _, first = np.unique(source, return_index=True)
  return colors[first]


def assemble(
  surface: Surface, params: trainable.MaskParams, *, bound: float
) -> mesh_lib.Mesh:
  """Return the mask as a mesh in cm with vertex colours (concrete).

  Args:
    surface: the fixed part of the mask.
    params: the trained part of the mask.
    bound: largest offset, head widths.
  """
  geometry, appearance = surface.geometry, surface.appearance
  values = appearance.values(params.colors)
  mesh = geometry.mesh(surface.base, params.offsets, values, bound)
  origins = geometry.origins(surface.base, mesh.vertices)
  painted = appearance.texture(surface.base, params.colors, origins)
  if painted is None:
    return mesh
  return dataclasses.replace(mesh, colors=_at_vertices(painted))


def _check_size(mesh: mesh_lib.Mesh, start: mesh_lib.Mesh) -> None:
  """Refuse a mask of which there is hardly anything left."""
  area, before = (
    float(jnp.sum(mesh_lib.face_areas(m.vertices, m.faces)))
    for m in (mesh, start)
  )
  if not area >= _LEAST_AREA * before:
    raise ValueError(
      f'the mask has shrunk to {area:.3g} of {before:.3g} cm2; go back by '
      '--config.back, or give lower rates (--config.optimizer.vertex_rate)'
    )


def finish(
  surface: Surface,
  params: trainable.MaskParams,
  settings: settings_lib.MaskSettings,
) -> tuple[mesh_lib.Mesh, soundness.Soundness]:
  """Return the mask as a sound mesh, and the report of its soundness.

  Args:
    surface: the fixed part of the mask.
    params: the trained part of the mask.
    settings: all settings of the mask.

  Raises:
    ValueError: the mask has collapsed.
  """
  optimizer = settings.optimizer
  mesh = assemble(surface, params, bound=optimizer.offset_bound)
  mesh, sound = surface.geometry.finish(surface.base, mesh, optimizer.pin_rim)
  _check_size(mesh, surface.template.mesh)
  return bake(surface, params, mesh, size=settings.baked_size), sound


def bake(
  surface: Surface,
  params: trainable.MaskParams,
  mesh: mesh_lib.Mesh,
  *,
  size: int,
) -> mesh_lib.Mesh:
  """Return a finished mesh with its texture as an image, where it has one.

  Args:
    surface: the fixed part of the mask.
    params: the trained part of the mask.
    mesh: the mask from `assemble`, perhaps repaired.
    size: texels on a side of a baked field.

  Raises:
    ValueError: a mesh without uvs, and xatlas is not installed.
  """
  origins = surface.geometry.origins(surface.base, mesh.vertices)
  return surface.appearance.bake(
    surface.base, params.colors, mesh, origins, size
  )
