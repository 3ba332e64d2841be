"""What the colours of a mask are made of: vertices, an image, or a field.

| kind | what is trained | in the file |
|---|---|---|
| 'vertex' | a colour per vertex | vertex colours |
| 'uv' | a square image over the start shape's uv map | that image |
| 'hashgrid' | a field over the space of the start shape | an image, baked |

Trained colours are logits of linear RGB, so that they stay in (0, 1).

Shapes: `V` vertices, `D` coordinates, `s` texels on a side.
"""

from typing import TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
import numpy as np

from maskjax.geometry import mesh as mesh_lib
from maskjax.render import baking, hashgrid, textures

KINDS = ('vertex', 'uv', 'hashgrid')
# Colours are kept this far from black and white, where logits end.
_EPSILON = 0.01

# What is trained: logits [V, 3] or [s, s, 3], or a field.
Params: TypeAlias = Array | hashgrid.Field


def logits(colors: Float[Array, '... 3']) -> Float[Array, '... 3']:
  """Returns the logits of linear RGB."""
  clipped = jnp.clip(colors, _EPSILON, 1.0 - _EPSILON)
  return jnp.log(clipped) - jnp.log1p(-clipped)


def create(
  kind: str,
  mesh: mesh_lib.Mesh,
  colors: Float[Array, 'v 3'],
  *,
  size: int,
  box: hashgrid.Box,
) -> Params:
  """Returns what shows a start shape in these colours.

  Args:
    kind: one of `KINDS`.
    mesh: the start shape, with uvs (and so perhaps cut) for 'uv'.
    colors: linear RGB per vertex.
    size: texels on a side, a power of two, for 'uv'.
    box: what a field spans.
  """
  if kind == 'vertex':
    return logits(colors)
  if kind == 'uv':
    assert mesh.uvs is not None
    return logits(
      jnp.asarray(
        baking.bake(mesh.uvs, mesh.faces, colors, lambda x: x, size=size)
      )
    )
  # How it begins matters little after the fit: no key of the run is spent.
  field = hashgrid.create(jax.random.key(0))
  return hashgrid.fit(field, mesh.vertices, colors, box)


def texture(
  kind: str,
  params: Params,
  coordinates: Float[Array, 'v d'],
  box: hashgrid.Box,
  *,
  seams: textures.Seams | None = None,
) -> textures.Texture | None:
  """Returns the texture of a mask, None for vertex colours.

  Args:
    kind: one of `KINDS`.
    params: of `create`.
    coordinates: uvs, or places in the space of the start shape, cm.
    box: what a field spans.
    seams: of an image over a uv map in several charts.
  """
  if kind == 'vertex':
    return None
  if isinstance(params, hashgrid.Field):
    return hashgrid.texture(params, coordinates, box)
  return textures.from_image(jax.nn.sigmoid(params), coordinates, seams=seams)


def at_vertices(painted: textures.Texture) -> Float[Array, 'v 3']:
  """Returns the colours of the vertices of a textured mesh (concrete)."""
  points = painted.coordinates
  colors = painted.lookup(points, jnp.zeros((*points.shape, 2), points.dtype))
  if painted.seams is None:
    return colors
  source = np.asarray(painted.seams.source)
  _, first = np.unique(source, return_index=True)
  return colors[first]


def bake(
  params: Params,
  mesh: mesh_lib.Mesh,
  coordinates: Float[Array, 'v 3'],
  box: hashgrid.Box,
  *,
  size: int,
) -> Float[np.ndarray, 's s 3']:
  """Returns the image that a finished mask is saved with.

  Args:
    params: of `create`; an image is taken as it is.
    mesh: with uvs.
    coordinates: where its vertices lie in the space of the field, cm.
    box: what the field spans.
    size: texels on a side of a baked field.
  """
  if not isinstance(params, hashgrid.Field):
    return np.asarray(jax.nn.sigmoid(params))
  assert mesh.uvs is not None
  return baking.bake(
    mesh.uvs,
    mesh.faces,
    coordinates,
    lambda points: hashgrid.colors(params, points, box),
    size=size,
  )
