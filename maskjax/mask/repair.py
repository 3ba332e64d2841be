"""Unfolding: the last triangles that turned over are smoothed away.

The loop's barrier keeps nearly all triangles in order; the few that are left
folded or collapsed at the end are relaxed here, with the vertices around
them, until none is left. The border does not move.
"""

import dataclasses

import jax.numpy as jnp
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


def unfold(
  mesh: mesh_lib.Mesh, template: template_lib.Template
) -> mesh_lib.Mesh:
  """Return the mesh without flipped or degenerate triangles.

  Args:
    mesh: a deformed template, in cm.
    template: its start shape; its rim and holes stay where `mesh` has them.

  Returns:
    The mesh, moved only around bad triangles. If some cannot be mended in
    reasonable time, they are left for `soundness.report` to tell.
  """
  vertices = np.asarray(mesh.vertices, np.float64).copy()
  faces = np.asarray(mesh.faces)
  matrix = laplacian.uniform(len(vertices), faces)
  degree = np.maximum(matrix.diagonal(), 1.0)
  pinned = np.zeros(len(vertices), bool)
  for loop in (template.rim, *template.hole_loops):
    pinned[loop] = True
  for number in range(_ROUNDS):
    bad = soundness.bad_faces(vertices, faces)
    if not bad.any():
      break
    moving = np.zeros(len(vertices), bool)
    moving[faces[bad]] = True
    for _ in range(1 + number // _PATIENCE):
      touched = moving[faces].any(1)
      moving[faces[touched]] = True
    moving &= ~pinned
    step = (matrix @ vertices) / degree[:, None]
    vertices[moving] -= 0.5 * step[moving]
  return dataclasses.replace(mesh, vertices=jnp.asarray(vertices, jnp.float32))
