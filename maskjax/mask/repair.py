"""Unfolding: the last triangles that turned over are smoothed away.

The loop's barrier keeps nearly all triangles in order; the few that are left
folded or collapsed at the end are relaxed here, with the vertices around
them, until none is left. The border does not move. Triangles that the start
shape has folded itself are left to it.
"""

import dataclasses

import jax.numpy as jnp
from jaxtyping import Bool, Float, Int
import numpy as np

from maskjax.geometry import (
  laplacian,
  mesh as mesh_lib,
  soundness,
  template as template_lib,
)

_ROUNDS = 200
# After this many rounds the neighbourhood that is relaxed grows by a ring.
_PATIENCE = 20
# After this many rounds without a better one, there will be none.
_GIVE_UP = 60


def _relaxed(
  vertices: Float[np.ndarray, 'v 3'],
  faces: Int[np.ndarray, 'f 3'],
  own: Bool[np.ndarray, 'f'],
  pinned: Bool[np.ndarray, 'v'],
) -> Float[np.ndarray, 'v 3']:
  """Return the best of some rounds of smoothing around bad triangles.

  Args:
    vertices: positions, cm.
    faces: vertex indices of each triangle.
    own: triangles that may stay bad.
    pinned: vertices that stay where they are.
  """
  matrix = laplacian.uniform(len(vertices), faces)
  degree = np.maximum(matrix.diagonal(), 1.0)
  best, least, found = vertices, len(faces) + 1, 0
  for number in range(_ROUNDS + 1):
    bad = soundness.bad_faces(vertices, faces) & ~own
    if bad.sum() < least:
      best, least, found = vertices, int(bad.sum()), number
    if not least or number - found >= _GIVE_UP:
      break
    moving = np.zeros(len(vertices), bool)
    moving[faces[bad]] = True
    for _ in range(1 + number // _PATIENCE):
      touched = moving[faces].any(1)
      moving[faces[touched]] = True
    moving &= ~pinned
    step = (matrix @ vertices) / degree[:, None]
    vertices = vertices.copy()
    vertices[moving] -= 0.5 * step[moving]
  return best


def unfold(
  mesh: mesh_lib.Mesh, template: template_lib.Template
) -> mesh_lib.Mesh:
  """Return the mesh without flipped or degenerate triangles.

  Args:
    mesh: a deformed template, in cm.
    template: its start shape; its rim and holes stay where `mesh` has them,
      and triangles that are bad in it do not count.

  Returns:
    The mesh, moved only around bad triangles. If some cannot be mended in
    reasonable time, the best try is kept, and they are left for
    `soundness.report` to tell.
  """
  vertices = np.asarray(mesh.vertices, np.float64)
  faces = np.asarray(mesh.faces)
  start = np.asarray(template.mesh.vertices, np.float64)
  own = soundness.bad_faces(start, faces)
  pinned = np.zeros(len(vertices), bool)
  for loop in (template.rim, *template.hole_loops):
    pinned[loop] = True
  vertices = _relaxed(vertices, faces, own, pinned)
  return dataclasses.replace(mesh, vertices=jnp.asarray(vertices, jnp.float32))
