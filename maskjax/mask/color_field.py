"""Colours of a mask as a field over the space of the start shape.

The field is baked to an image at the end: over the start shape's uv map, or
over one that xatlas makes.

Shapes: `V` vertices.
"""

from collections.abc import Callable
import dataclasses
import importlib.util

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from maskjax.geometry import atlas, mesh as mesh_lib
from maskjax.mask import trainable
from maskjax.render import baking, hashgrid, textures


def _check(geometry: trainable.Geometry) -> None:
  if not geometry.keeps_faces and importlib.util.find_spec('xatlas') is None:
    raise ValueError(
      "texture 'hashgrid' of this mask is baked over a uv map by xatlas: "
      "pip install 'maskjax[atlas]'"
    )


def _create(
  base: trainable.Base,
  spread: Callable[..., Array],
  colors: Float[Array, 'v 3'],
  size: int,
) -> hashgrid.Field:
  """Fit a field to the colours of vertices."""
  del spread, size
  # How it begins matters little after the fit: no key of the run is spent.
  field = hashgrid.create(jax.random.key(0))
  return hashgrid.fit(field, base.template.mesh.vertices, colors, base.box)


def _texture(
  base: trainable.Base, colors: hashgrid.Field, origins: Float[Array, 'v 3']
) -> textures.Texture:
  return hashgrid.texture(colors, origins, base.box)


def _bake(
  base: trainable.Base,
  colors: hashgrid.Field,
  mesh: mesh_lib.Mesh,
  origins: Float[Array, 'v 3'],
  size: int,
) -> mesh_lib.Mesh:
  """Read the field at the texels of a uv map."""
  places = dataclasses.replace(mesh, vertices=origins)
  mesh, places = trainable.cut(base, mesh), trainable.cut(base, places)
  origins = places.vertices
  if mesh.uvs is None:
    mesh, source = atlas.unwrap(mesh, size=size)
    origins = origins[source]
  assert mesh.uvs is not None
  image = baking.bake(
    mesh.uvs,
    mesh.faces,
    origins,
    lambda points: hashgrid.colors(colors, points, base.box),
    size=size,
  )
  return dataclasses.replace(mesh, texture=jnp.asarray(image))


APPEARANCE = trainable.Appearance(
  check=_check,
  atlas_size=lambda settings: settings.baked_size,
  rate=lambda optimizer: optimizer.field_rate,
  create=_create,
  values=lambda colors: None,
  texture=_texture,
  bake=_bake,
)
