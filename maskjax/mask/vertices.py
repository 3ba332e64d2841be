"""Masks whose vertices move: the start shape plus smoothed offsets.

x = x_0 + S u, with S = (I + lambda L)^-1: an optimiser that moves u by small
steps moves whole regions of the surface, and the surface stays smooth. Rows
of S that belong to the rim are zero, so the rim stays on the head exactly.

Source: Nicolet et al., "Large Steps in Inverse Rendering of Geometry" (2021),
equation 10.

Shapes: `V` vertices, `E` edges, `P` pairs of faces.
"""

import dataclasses
import functools
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int
import numpy as np

from maskjax.geometry import (
  energies as energies_lib,
  laplacian,
  mesh as mesh_lib,
  soundness,
  template as template_lib,
)
from maskjax.mask import repair, settings as settings_lib, trainable
from maskjax.render import hashgrid

_WIDTH_CM = trainable.HEAD_WIDTH_CM


class Body(NamedTuple):
  """What moving vertices need beside their start shape."""

  smoothing: Float[Array, 'v v']  # S
  edges: Int[np.ndarray, 'e 2']
  pairs: Int[np.ndarray, 'p 2']  # of faces that share an edge
  rest_lengths: Float[Array, 'e']  # cm


def create(
  template: template_lib.Template, settings: settings_lib.MaskSettings
) -> trainable.Base:
  """Prepare a start shape whose vertices will move.

  Args:
    template: the start shape, cm, +z out of the face.
    settings: settings of the mask; `optimizer.smoothing`, the lambda of the
      updates (about sqrt(lambda) edges move together), and
      `optimizer.pin_rim` count.
  """
  mesh = template.mesh
  faces = np.asarray(mesh.faces)
  operator = laplacian.smoothing_operator(
    np.asarray(mesh.vertices),
    faces,
    settings.optimizer.smoothing,
    pinned=template.rim if settings.optimizer.pin_rim else None,
  )
  edges = mesh_lib.edges(faces)
  return trainable.Base(
    template=template,
    start=jnp.zeros_like(mesh.vertices),
    box=hashgrid.bounding_box(mesh.vertices),
    body=Body(
      smoothing=jnp.asarray(operator),
      edges=edges,
      pairs=energies_lib.face_pairs(faces),
      rest_lengths=energies_lib.edge_lengths(mesh.vertices, edges),
    ),
  )


def positions(
  base: trainable.Base, offsets: Float[Array, 'v 3'], bound: float
) -> Float[Array, 'v 3']:
  """Return vertex positions, cm.

  Args:
    base: the prepared start shape, from `create`.
    offsets: u, the trained offsets, head widths.
    bound: largest offset of a vertex in head widths; approached smoothly.
  """
  # Equation 10: the preconditioner is a change of variables, x = x_0 + S u.
  moved = jnp.matmul(base.body.smoothing, offsets, precision='highest')
  length = jnp.sqrt(jnp.sum(moved**2, -1, keepdims=True) + 1e-12)
  shrunk = moved * (bound * jnp.tanh(length / bound) / length)
  return base.template.mesh.vertices + _WIDTH_CM * shrunk


def _form(
  base: trainable.Base, offsets: Array, values: Array | None, bound: float
) -> trainable.Formed:
  moved = positions(base, offsets, bound)
  return trainable.Formed(
    vertices=moved,
    faces=base.template.mesh.faces,
    values=values,
    change=moved,
    measures={},
  )


def _mesh(
  base: trainable.Base, offsets: Array, values: Array | None, bound: float
) -> mesh_lib.Mesh:
  return dataclasses.replace(
    base.template.mesh, vertices=positions(base, offsets, bound), colors=values
  )


def energies(
  base: trainable.Base,
  vertices: Float[Array, 'v 3'],
  weights: settings_lib.Regularizers,
) -> dict[str, Float[Array, '']]:
  """Return the weighted energies of moved vertices, by name.

  Args:
    base: the prepared start shape, from `create`.
    vertices: positions of the vertices, cm.
    weights: weight of each energy; one of 0 is left out, as is the symmetry
      of a start shape that has none.
  """
  mesh, body = base.template.mesh, base.body
  offsets, symmetry = vertices - mesh.vertices, base.template.symmetry
  found = {
    'laplacian': lambda: energies_lib.laplacian_energy(offsets, body.edges),
    'normal_consistency': lambda: energies_lib.normal_consistency(
      vertices, mesh.faces, body.pairs
    ),
    'edge_length': lambda: energies_lib.edge_length_energy(
      vertices, body.edges, body.rest_lengths
    ),
  }
  if symmetry is not None:
    found['symmetry'] = functools.partial(
      energies_lib.symmetry_energy, offsets, symmetry
    )
  found['foldover'] = lambda: energies_lib.foldover_energy(
    vertices, mesh.faces, mesh.vertices
  )
  return trainable.weigh(weights, found)


def _largest_offset(
  base: trainable.Base, offsets: Array, bound: float
) -> Float[Array, '']:
  del bound
  moved = base.body.smoothing @ offsets
  return _WIDTH_CM * jnp.max(jnp.linalg.norm(moved, axis=-1))


def _hold(updates: Any, metrics: dict[str, Array]) -> Any:
  """Let all updates through: vertices always form a whole surface."""
  del metrics
  return updates


def _watch(step: int, metrics: dict[str, Any]) -> None:
  """Have nothing to say against any step."""
  del step, metrics


def _finish(
  base: trainable.Base, mesh: mesh_lib.Mesh, pin_rim: bool
) -> tuple[mesh_lib.Mesh, soundness.Soundness]:
  template = base.template
  mesh = repair.unfold(mesh, template)
  rim = template.rim if pin_rim else None
  return mesh, soundness.report(mesh, template.mesh, rim)


GEOMETRY = trainable.Geometry(
  keeps_faces=True,
  rate=lambda optimizer: optimizer.vertex_rate,
  create=create,
  spread=lambda base, colors: colors,
  form=_form,
  origins=lambda base, vertices: base.template.mesh.vertices,
  mesh=_mesh,
  energies=lambda base, formed, weights: energies(base, formed.change, weights),
  largest_offset=_largest_offset,
  hold=_hold,
  watch=_watch,
  finish=_finish,
)
