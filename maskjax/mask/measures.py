"""How near a mask is to the kind of head that it was asked to be.

Shape: the symmetric Chamfer distance to the kind's mean head
(`creatures.mean_shape`), of what a front view sees of either surface; the
angle between visible surfaces and the overlap of silhouettes, over five views
from 50 degrees left to 50 degrees right. A mask is an open shell; back, inside
and hidden parts of a head have no counterpart on it, so comparing whole
surfaces would hide most of what changes.

Looks: the matcher's probability of the right kind among all kinds, averaged
over the front and 45 degrees to either side, in even light before plain grey;
and whether it names the kind by the shape alone, in an even grey.

Shapes: `b` views, `s` pixels a side, `k` kinds.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float
import numpy as np

from maskjax.data.creatures import creatures
from maskjax.geometry import chamfer, color, mesh as mesh_lib
from maskjax.mask import views
from maskjax.matcher import network as matcher_lib
from maskjax.render import renderer

_FACTORS = np.linspace(0.8, 1.6, 17)
_AZIMUTHS = (-45.0, 0.0, 45.0)
_SHAPE_AZIMUTHS = (-50.0, -25.0, 0.0, 25.0, 50.0)
_SHAPE_SIZE = 96  # pixels
_GREY = (0.3, 0.3, 0.3)  # linear, behind the mask
_BARE = 0.5  # linear, of a shape without paint
_SUPERSAMPLING = 2


class Measure(NamedTuple):
  """How near a mesh is to a kind.

  Attributes:
    chamfer_cm: symmetric distance of what a front view sees of either surface.
    normals_degrees: mean angle between the visible surfaces.
    silhouette: intersection over union of the silhouettes.
    probability: the matcher's, of the right kind, as it is coloured.
    named_grey: whether the matcher names the kind by the grey shape alone.
    views_alike: how alike the matcher's answers are from view to view, 0 to 1.
  """

  chamfer_cm: float
  normals_degrees: float
  silhouette: float
  probability: float
  named_grey: bool
  views_alike: float


class Outline(NamedTuple):
  """Where a mesh is seen from the five views, and how it faces them."""

  covered: Bool[Array, 'b s s']
  normals: Float[Array, 'b s s 3']


@jax.jit
def _outline(vertices, faces):
  """Return what five views see of a shape."""
  cameras, lights = views.fixed(_SHAPE_AZIMUTHS)
  image = renderer.render(
    vertices,
    faces,
    jnp.ones_like(vertices),
    cameras,
    lights,
    size=_SHAPE_SIZE,
  )
  length = jnp.linalg.norm(image.normals, axis=-1, keepdims=True)
  return Outline(
    image.alpha[..., 0] > 0.5, image.normals / jnp.maximum(length, 1e-6)
  )


def shape_errors(
  mesh: mesh_lib.Mesh, truth: mesh_lib.Mesh
) -> tuple[float, float]:
  """Compare two shapes by what five views in front see of them.

  Args:
    mesh: a shape, cm.
    truth: what it should be, cm.

  Returns:
    The mean angle between their normals, degrees, over the pixels that both
    cover; and the intersection over the union of what they cover.
  """
  own, true = (_outline(m.vertices, m.faces) for m in (mesh, truth))
  both, any_ = own.covered & true.covered, own.covered | true.covered
  cosine = jnp.sum(own.normals * true.normals, axis=-1)
  angles = jnp.degrees(jnp.arccos(jnp.clip(cosine, -1.0, 1.0)))
  mean = jnp.sum(jnp.where(both, angles, 0.0)) / jnp.maximum(jnp.sum(both), 1)
  return float(mean), float(jnp.sum(both) / jnp.maximum(jnp.sum(any_), 1))


def _alike(chances: Float[np.ndarray, 'b k']) -> float:
  """Return the mean overlap of answers, over pairs of views."""
  # The Bhattacharyya coefficient: 1 for the same answers, 0 for disjoint ones.
  roots = np.sqrt(chances)
  first, second = np.triu_indices(len(chances), 1)
  return float(np.mean(np.sum(roots[first] * roots[second], axis=-1)))


@jax.jit
def _photograph(vertices, faces, colors):
  """Return sRGB pictures as the matcher's training pictures are made."""
  size, step = matcher_lib.SIZE, _SUPERSAMPLING
  cameras, lights = views.fixed(_AZIMUTHS)
  image = renderer.render(
    vertices,
    faces,
    colors,
    cameras,
    lights,
    size=size * step,
    background=jnp.array(_GREY),
    sigma=1e-5,
    gamma=1e-5,
  ).rgb
  image = image.reshape(-1, size, step, size, step, 3).mean((2, 4))
  return color.linear_to_srgb(jnp.clip(image, 0.0, 1.0))


def photograph(mesh: mesh_lib.Mesh) -> Float[Array, 'b s s 3']:
  """Return the pictures that are judged; sRGB in [0, 1]."""
  return _photograph(mesh.vertices, mesh.faces, mesh.colors)


def measure(
  mesh: mesh_lib.Mesh, kind: str, matcher: matcher_lib.Matcher
) -> Measure:
  """Compare a mask with a kind.

  Args:
    mesh: in cm, with vertex colours.
    kind: name of a kind of head, one of `creatures.KINDS`.
    matcher: network that says what pictures show.
  """
  truth = jax.tree.map(jnp.asarray, creatures.mean_shape(kind))
  number = creatures.KINDS.index(kind)
  chances = np.asarray(
    matcher_lib.kind_probabilities(matcher, photograph(mesh))
  )
  bare = dataclasses.replace(mesh, colors=jnp.full_like(mesh.vertices, _BARE))
  grey = np.asarray(matcher_lib.kind_probabilities(matcher, photograph(bare)))
  angle, overlap = shape_errors(mesh, truth)
  return Measure(
    chamfer_cm=chamfer.distance(mesh, truth, surface='visible'),
    normals_degrees=angle,
    silhouette=overlap,
    probability=float(chances[:, number].mean()),
    named_grey=bool(grey.mean(0).argmax() == number),
    views_alike=_alike(chances),
  )


def fall_by_size(mesh: mesh_lib.Mesh, kind: str) -> float:
  """Return the fall of the distance that plain resizing could reach.

  A start shape that is too small gets nearer to every kind by growing; only
  what a mask gains beyond this is the shape of its kind.

  Args:
    mesh: the start shape, cm.
    kind: name of a kind of head, one of `creatures.KINDS`.

  Returns:
    Per cent, for the best factor on all coordinates.
  """
  truth = creatures.mean_shape(kind)
  distances = [
    chamfer.distance(
      dataclasses.replace(mesh, vertices=mesh.vertices * float(factor)),
      truth,
      count=4000,
      surface='visible',
    )
    for factor in (1.0, *_FACTORS)
  ]
  return 100.0 * (1.0 - min(distances) / distances[0])
