"""Uv atlases for meshes that have none, by xatlas (extra `atlas`).

Shapes: `V` vertices of the mesh, `A` of the atlas, `F` faces.
"""

import dataclasses
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Int
import numpy as np

from maskjax.geometry import mesh as mesh_lib


class Atlas(NamedTuple):
  """A mesh cut into charts.

  Attributes:
    mesh: the same faces in the same order, with uvs; vertices on cuts are
      repeated.
    source: the vertex that each vertex came from.
  """

  mesh: mesh_lib.Mesh
  source: Int[np.ndarray, 'a']


def unwrap(mesh: mesh_lib.Mesh, *, size: int = 1024) -> Atlas:
  """Cuts a mesh into charts that do not overlap.

  Args:
    mesh: any mesh (concrete, not traced).
    size: texels on a side that the space between charts is meant for.

  Returns:
    Atlas.

  Raises:
    ValueError: xatlas is not installed, or the mesh has no faces.
  """
  try:
    import xatlas
  except ImportError as error:
    raise ValueError(
      "a mesh without uvs needs xatlas: pip install 'maskjax[atlas]'"
    ) from error
  if not len(mesh.faces):
    raise ValueError('a mesh without faces has no atlas')
  builder = xatlas.Atlas()
  builder.add_mesh(
    np.ascontiguousarray(mesh.vertices, np.float32),
    np.ascontiguousarray(mesh.faces, np.uint32),
  )
  options = xatlas.PackOptions()
  options.resolution, options.padding = size, max(size // 256, 2)
  builder.generate(xatlas.ChartOptions(), options)
  source, faces, uvs = builder[0]
  source = np.asarray(source, np.int32)
  cut = dataclasses.replace(
    mesh,
    vertices=jnp.asarray(mesh.vertices)[source],
    faces=jnp.asarray(np.asarray(faces, np.int32)),
    colors=None if mesh.colors is None else jnp.asarray(mesh.colors)[source],
    uvs=jnp.asarray(np.clip(np.asarray(uvs, np.float32), 0.0, 1.0)),
  )
  return Atlas(cut, source)
