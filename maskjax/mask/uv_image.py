"""Colours of a mask as a square image over the start shape's uv map.

Shapes: `V` vertices, `s` texels on a side.
"""

from collections.abc import Callable
import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
import numpy as np

from maskjax.geometry import atlas, mesh as mesh_lib
from maskjax.mask import trainable
from maskjax.render import baking, textures


def _check(geometry: trainable.Geometry) -> None:
  if not geometry.keeps_faces:
    raise ValueError(
      "texture 'uv' needs a surface that stays the same, which geometry=sdf "
      "has not; use 'hashgrid', which is baked to a uv map at the end"
    )


def _create(
  base: trainable.Base,
  spread: Callable[..., Array],
  colors: Float[Array, 'v 3'],
  size: int,
) -> Float[Array, 's s 3']:
  """Paint an image with the colours of vertices."""
  del spread
  mesh = trainable.cut(
    base, dataclasses.replace(base.template.mesh, colors=colors)
  )
  assert mesh.uvs is not None and mesh.colors is not None
  image = baking.bake(mesh.uvs, mesh.faces, mesh.colors, lambda x: x, size=size)
  return trainable.logits(jnp.asarray(image))


def _texture(
  base: trainable.Base, colors: Float[Array, 's s 3'], origins: Array
) -> textures.Texture:
  """Lay the image over the uv map, whose charts meet at seams."""
  del origins
  seams, charts = None, base.template.atlas
  if charts is not None:
    seams = textures.Seams(jnp.asarray(charts.source), charts.mesh.faces)
  uvs = trainable.cut(base, base.template.mesh).uvs
  return textures.from_image(jax.nn.sigmoid(colors), uvs, seams=seams)


def _bake(
  base: trainable.Base,
  colors: Float[Array, 's s 3'],
  mesh: mesh_lib.Mesh,
  origins: Array,
  size: int,
) -> mesh_lib.Mesh:
  """Return the mesh with its image as it is."""
  del origins
  mesh = trainable.cut(base, mesh)
  if mesh.uvs is None:
    mesh, _ = atlas.unwrap(mesh, size=size)
  image = np.asarray(jax.nn.sigmoid(colors))
  return dataclasses.replace(mesh, texture=jnp.asarray(image))


APPEARANCE = trainable.Appearance(
  check=_check,
  atlas_size=lambda settings: settings.texture_size,
  rate=lambda optimizer: optimizer.color_rate,
  create=_create,
  values=lambda colors: None,
  texture=_texture,
  bake=_bake,
)
