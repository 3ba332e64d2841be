"""Uv atlases: those of files, and xatlas' (extra `atlas`) for other meshes.

A surface in several charts has two sides: the connected one, which moves and
has normals, and one that is cut along the charts, which has uvs.

Shapes: `V` vertices of the mesh, `A` of the atlas, `F` faces.
"""

import dataclasses
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Int
import numpy as np
import scipy.spatial

from maskjax.geometry import mesh as mesh_lib


class Atlas(NamedTuple):
  """A mesh cut into charts.

  Attributes:
    mesh: the same faces in the same order, with uvs; vertices on cuts are
      repeated.
    source: number of the vertex, in the mesh that was cut, that each vertex
      came from.
  """

  mesh: mesh_lib.Mesh
  source: Int[np.ndarray, 'a']


def split(cut: mesh_lib.Mesh) -> tuple[mesh_lib.Mesh, Atlas]:
  """Find the connected surface behind a mesh that is cut along its charts.

  Args:
    cut: a mesh with uvs, with several vertices where charts meet (concrete).

  Returns:
    The connected mesh, without uvs and texture; and the atlas over it. Faces
    without an area are left out of both.
  """
  bare = dataclasses.replace(cut, uvs=None, texture=None)
  whole = mesh_lib.weld(bare)
  tree = scipy.spatial.cKDTree(np.asarray(whole.vertices))
  _, source = tree.query(np.asarray(cut.vertices))
  a, b, c = source[np.asarray(cut.faces)].T
  kept = np.asarray(cut.faces)[(a != b) & (b != c) & (c != a)]
  used = np.unique(kept)
  cut = mesh_lib.compact(
    dataclasses.replace(cut, faces=jnp.asarray(kept, jnp.int32))
  )
  return whole, Atlas(cut, source[used].astype(np.int32))


def usable(mesh: mesh_lib.Mesh) -> bool:
  """Tell whether a mesh has uvs that an image can be laid over.

  They lie in the unit square, and nearly all faces have an area there: not so
  with repeated textures, or where one colour stands for a whole part.

  Args:
    mesh: any mesh (concrete, not traced).
  """
  if mesh.uvs is None:
    return False
  uvs = np.asarray(mesh.uvs, np.float64)
  if not (np.isfinite(uvs).all() and uvs.min() > -1e-4 and uvs.max() < 1.0001):
    return False
  a, b, c = np.moveaxis(uvs[np.asarray(mesh.faces)], 1, 0)
  (x0, y0), (x1, y1) = (b - a).T, (c - a).T
  return bool(np.mean(np.abs(x0 * y1 - y0 * x1) > 1e-10) > 0.98)


def unwrap(mesh: mesh_lib.Mesh, *, size: int = 1024) -> Atlas:
  """Cut a mesh into charts that do not overlap.

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
    vertices=mesh.vertices[source],
    faces=jnp.asarray(np.asarray(faces, np.int32)),
    colors=None if mesh.colors is None else mesh.colors[source],
    uvs=jnp.asarray(np.clip(np.asarray(uvs, np.float32), 0.0, 1.0)),
  )
  return Atlas(cut, source)
