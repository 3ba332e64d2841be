"""What a trainable mask is made of: a geometry, and an appearance over it.

Both are values, tables of functions with one interface: how the shape moves
(`geometries.GEOMETRIES`) and what its colours are (`appearances.APPEARANCES`)
are chosen by looking a row up, nowhere by asking for a name. Whatever else a
mask does is written once, in `surface`, in these functions.

Shapes: `V` vertices, `F` faces, `P` places where colours per place are kept.
"""

from collections.abc import Callable
import dataclasses
from typing import Any, NamedTuple, TypeAlias

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from maskjax.geometry import (
  mesh as mesh_lib,
  soundness,
  template as template_lib,
)
from maskjax.mask import settings as settings_lib
from maskjax.render import hashgrid, textures

# Width of a head, the unit of offsets and rates, in cm.
HEAD_WIDTH_CM = 15.0
# Colours are kept this far from black and white, where logits end.
_EPSILON = 0.01

# Trained colours are logits of linear RGB, so that they stay in (0, 1):
# [P, 3] or [s, s, 3], or a field.
Colors: TypeAlias = Array | hashgrid.Field


class MaskParams(NamedTuple):
  """What is optimised."""

  offsets: Float[Array, '...']  # of vertices or of distances; head widths
  colors: Colors


class Formed(NamedTuple):
  """The form of a mask at one moment.

  Attributes:
    vertices: positions of the vertices, cm.
    faces: three vertex indices of each triangle.
    values: what was carried along from the places to the vertices, or None.
    change: what the geometry's energies are made of.
    measures: numbers that the step logs, by name.
  """

  vertices: Float[Array, 'v 3']
  faces: Int[Array, 'f 3']
  values: Float[Array, 'v c'] | None
  change: Float[Array, '...']
  measures: dict[str, Float[Array, '']]


class Base(NamedTuple):
  """What a geometry keeps fixed while a mask is optimised.

  Attributes:
    template: the start shape as this geometry shows it.
    start: offsets of the start shape, all 0.
    box: the part of space that a field of colours spans, cm.
    body: what only the geometry itself looks at.
  """

  template: template_lib.Template
  start: Float[Array, '...']
  box: hashgrid.Box
  body: Any


@dataclasses.dataclass(frozen=True, kw_only=True)
class Geometry:
  """A kind of shape.

  Attributes:
    keeps_faces: whether the faces stay the same while the shape changes, as an
      image over a uv map asks for.
    rate: `rate(optimizer)` returns the rate of offsets, head widths a step.
    create: `create(template, settings)` prepares a start shape.
    spread: `spread(base, colors)` returns colours [P, 3] at the places where
      colours per place are kept, for colours of the start's vertices [V, 3].
    form: `form(base, offsets, values, bound)` returns the form as it is
      rendered, of static shapes, differentiable; values [P, C] are carried
      along, and offsets do not exceed the bound, head widths.
    origins: `origins(base, vertices)` returns where the vertices of a formed
      mask lie in the space of the start shape, cm.
    mesh: `mesh(base, offsets, values, bound)` returns the form as a mesh
      (concrete), with the values as its colours.
    energies: `energies(base, formed, weights)` returns weighted energies by
      name.
    largest_offset: `largest_offset(base, offsets, bound)` returns how far the
      surface moved at most, cm.
    hold: `hold(updates, metrics)` returns the updates of a step, or none where
      its metrics say that the form was not whole.
    watch: `watch(step, metrics)` ends a run whose form is no longer whole, by
      a ValueError of one line.
    finish: `finish(base, mesh, pin_rim)` mends a mesh, and reports on its
      soundness.
  """

  keeps_faces: bool
  rate: Callable[[settings_lib.Optimizer], float]
  create: Callable[[template_lib.Template, settings_lib.MaskSettings], Base]
  spread: Callable[[Base, Array], Array]
  form: Callable[[Base, Array, Array | None, float], Formed]
  origins: Callable[[Base, Array], Array]
  mesh: Callable[[Base, Array, Array | None, float], mesh_lib.Mesh]
  energies: Callable[
    [Base, Formed, settings_lib.Regularizers], dict[str, Array]
  ]
  largest_offset: Callable[[Base, Array, float], Array]
  hold: Callable[[Any, dict[str, Array]], Any]
  watch: Callable[[int, dict[str, Any]], None]
  finish: Callable[
    [Base, mesh_lib.Mesh, bool], tuple[mesh_lib.Mesh, soundness.Soundness]
  ]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Appearance:
  """A kind of colours.

  Attributes:
    check: `check(geometry)` refuses a geometry that cannot carry these
      colours, by a ValueError of one line.
    atlas_size: `atlas_size(settings)` returns the side in texels of the image
      that a start shape needs uvs for; None where it needs none.
    rate: `rate(optimizer)` returns the rate of the colours.
    create: `create(base, spread, colors, size)` returns what shows the start
      shape in colours of its vertices [V, 3], linear RGB; `spread` is the
      geometry's, size the side of a trained image in texels.
    values: `values(colors)` returns linear RGB at the places of the geometry
      [P, 3], for colours per place; None for others.
    texture: `texture(base, colors, origins)` returns the texture of vertices
      that lie at these places in the space of the start shape; None for
      colours per place.
    bake: `bake(base, colors, mesh, origins, size)` returns a finished mesh
      with its colours as they are saved; size is the side of a baked image.
  """

  check: Callable[[Geometry], None]
  atlas_size: Callable[[settings_lib.MaskSettings], int | None]
  rate: Callable[[settings_lib.Optimizer], float]
  create: Callable[[Base, Callable[[Base, Array], Array], Array, int], Colors]
  values: Callable[[Colors], Array | None]
  texture: Callable[[Base, Colors, Array], textures.Texture | None]
  bake: Callable[[Base, Colors, mesh_lib.Mesh, Array, int], mesh_lib.Mesh]


def logits(colors: Float[Array, '*n 3']) -> Float[Array, '*n 3']:
  """Return the logits of linear RGB."""
  clipped = jnp.clip(colors, _EPSILON, 1.0 - _EPSILON)
  return jnp.log(clipped) - jnp.log1p(-clipped)


def cut(base: Base, mesh: mesh_lib.Mesh) -> mesh_lib.Mesh:
  """Return a mesh of the start's faces, cut into the charts of its uv map.

  Args:
    base: a start shape; without an atlas the mesh is returned as it is.
    mesh: a mesh of the same faces, wherever its vertices are.
  """
  atlas = base.template.atlas
  if atlas is None:
    return mesh
  colors = None if mesh.colors is None else mesh.colors[atlas.source]
  return dataclasses.replace(
    atlas.mesh, vertices=mesh.vertices[atlas.source], colors=colors
  )


def weigh(
  weights: settings_lib.Regularizers,
  energies: dict[str, Callable[[], Float[Array, '']]],
) -> dict[str, Float[Array, '']]:
  """Compute energies and weigh them; those of weight 0 are left out.

  Args:
    weights: a weight for each name.
    energies: functions without arguments, by name.
  """
  chosen = {name: getattr(weights, name) for name in energies}
  return {n: weight * energies[n]() for n, weight in chosen.items() if weight}
