"""The trainable mask: parameters that become a mesh.

Vertices are the start shape plus smoothed offsets, x = x_0 + S u, with
S = (I + lambda L)^-1: an optimiser that moves u by small steps moves whole
regions of the surface, and the surface stays smooth ("Large steps in inverse
rendering of geometry", Nicolet et al. 2021, eq. 10). Rows of S that belong to
the rim are zero, so the rim stays on the head exactly. Colours are kept as
logits, so that they stay in (0, 1).

Shape legend: `V` vertices, `F` faces.
"""

import dataclasses
from typing import Any, NamedTuple

from jax import numpy as jnp
from jaxtyping import Array, Float
import ml_collections
import numpy as np

from maskjax.geometry import energies, laplacian
from maskjax.geometry import mesh as mesh_lib
from maskjax.geometry import template as template_lib

# Width of a head, the unit of offsets and rates, in cm.
HEAD_WIDTH_CM = 15.0
# Colours are kept this far from black and white, where logits end.
_EPSILON = 0.01


class MaskParams(NamedTuple):
  """What is optimised."""

  offsets: Float[Array, 'v 3']  # u, in head widths
  colors: Float[Array, 'v 3']  # logits of linear RGB


class Surface(NamedTuple):
  """What stays fixed while a mask is optimised."""

  template: template_lib.Template
  smoothing: Float[Array, 'v v']  # S
  edges: np.ndarray  # int32 [E, 2]
  pairs: np.ndarray  # int32 [P, 2] of faces
  rest_lengths: Float[Array, 'e']


def create(
  template: template_lib.Template, *, smoothing: float, pin_rim: bool
) -> Surface:
  """Prepare a start shape for optimisation.

  Args:
    template: the start shape.
    smoothing: lambda of the class of updates; about sqrt(lambda) edges move
      together.
    pin_rim: whether the border stays where it is.
  """
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
  )


def initial_params(surface: Surface, colors: Float[Array, 'v 3']) -> MaskParams:
  """Return the start shape in these linear RGB colours."""
  clipped = jnp.clip(colors, _EPSILON, 1.0 - _EPSILON)
  return MaskParams(
    offsets=jnp.zeros_like(surface.template.mesh.vertices),
    colors=jnp.log(clipped) - jnp.log1p(-clipped),
  )


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
  return 1.0 / (1.0 + jnp.exp(-params.colors))


def assemble(
  surface: Surface, params: MaskParams, *, bound: float
) -> mesh_lib.Mesh:
  """Return the mask as a mesh in cm with vertex colours."""
  return dataclasses.replace(
    surface.template.mesh,
    vertices=positions(surface, params, bound=bound),
    colors=colors(params),
  )


def regularize(
  surface: Surface,
  vertices: Float[Array, 'v 3'],
  weights: ml_collections.ConfigDict,
) -> dict[str, Any]:
  """Return the weighted energies of a shape, by name.

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
