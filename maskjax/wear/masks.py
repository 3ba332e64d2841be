"""Masks: read from files, fitted to a person, moved by an expression.

Shapes: `v` vertices.
"""

import dataclasses
import pathlib
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Float
import numpy as np

from maskjax.face import head_fitting
from maskjax.geometry import mesh as mesh_lib, mesh_io
from maskjax.wear import binding, composite, settings as settings_lib

_MAX_FACES = 100_000
# A mask that is far off the head, or of another size, is laid over it.
_SPAN, _NEAR = (8.0, 70.0), 15.0
_HEAD_WIDTH = 17.0


def load(path: str | pathlib.Path) -> mesh_lib.Mesh:
  """Read a mask, in the head's frame.

  One of another program, which lies elsewhere or is of another size, is moved
  and scaled onto the head.

  Args:
    path: of a mesh file, see `geometry.mesh_io`.

  Raises:
    ValueError: no mesh, or one of too many triangles; one line.
  """
  mesh = mesh_io.load_mesh(path)
  count = len(mesh.faces)
  if count > _MAX_FACES:
    raise ValueError(
      f'{path}: {count:,} triangles; a mask has at most {_MAX_FACES:,}, so '
      'make it coarser first (Blender: Decimate)'
    )
  low, high = np.asarray(mesh.vertices).min(0), np.asarray(mesh.vertices).max(0)
  width, middle = float(high[0] - low[0]), (low + high) / 2
  fits = _SPAN[0] <= width <= _SPAN[1] and np.linalg.norm(middle) <= _NEAR
  if not fits:
    scale = _HEAD_WIDTH / max(float((high - low)[:2].max()), 1e-9)
    moved = (mesh.vertices - jnp.asarray(middle)[None]) * scale
    mesh = dataclasses.replace(mesh, vertices=moved)
  return mesh


class Prepared(NamedTuple):
  """A mask for one head.

  Attributes:
    surface: mask and head at rest.
    binding: what carries both.
  """

  surface: composite.Surface
  binding: binding.Binding


def prepare(
  mask: mesh_lib.Mesh,
  shape: Float[np.ndarray, '468 3'],
  settings: settings_lib.Mask,
) -> Prepared:
  """Fit a mask to a person.

  Args:
    mask: in the head's frame, cm.
    shape: the person's 468 points in the head's frame, cm.
    settings: how it sits.
  """
  points = jnp.asarray(shape, jnp.float32)
  vertices = mask.vertices * settings.scale
  vertices = vertices + jnp.asarray(settings.shift)[None]
  head = binding.occluder(shape) if settings.occluded else None
  # Where a vertex lies over the face is asked where the face is everybody's.
  places = [np.asarray(vertices)]
  if head is not None:
    back = head_fitting.displacements(points, head.vertices)
    places.append(np.asarray(head.vertices - back))
  bound = binding.bind(np.concatenate(places))
  if settings.fitted:
    vertices = head_fitting.fit_head(points, vertices)
  surface = composite.join(dataclasses.replace(mask, vertices=vertices), head)
  return Prepared(surface, bound)


def moved(
  prepared: Prepared, moves: Float[np.ndarray, '468 3'], strength: float
) -> composite.Surface:
  """Return a mask that follows an expression.

  Args:
    prepared: of `prepare`.
    moves: of the 468 points, cm.
    strength: factor on the moves.
  """
  carried = binding.carry(
    prepared.binding, jnp.asarray(strength * moves, jnp.float32)
  )
  surface = prepared.surface
  return surface._replace(vertices=surface.vertices + carried)
