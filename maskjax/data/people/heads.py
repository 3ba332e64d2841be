"""Heads: a person's numbers made into surfaces, materials and landmarks.

A head is one triangle soup of several materials in the mesh frame, scaled
and moved so that its landmarks fit the canonical face: what a portrait's crop
does to a photo. Vertices and faces are padded to multiples of fixed counts,
so that few programs are compiled.

Shapes: `v` vertices, `f` faces, `g` faces that cast shadows, `n` vertices of a
part, `s` texels a side.
"""

import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Shaped
import numpy as np
import scipy.spatial

from maskjax.data.people import (
  expressions,
  hair as hair_lib,
  head_model,
  head_shapes,
  locks as locks_lib,
  people,
  skin,
  wardrobe,
)
from maskjax.geometry import mesh as mesh_lib

# Materials of vertices.
(SKIN, EYE, TEETH, TONGUE, LASH, HAIR, FRAME, LENS, HAT, JEWEL) = range(10)
_SOLIDS = {'frame': FRAME, 'lens': LENS, 'hat': HAT, 'jewel': JEWEL}
# Padded numbers of vertices, faces and faces that cast shadows; what needs
# more is padded to a multiple of _MORE beyond.
_SIZES, _MORE = (25_600, 30_720, 22_528), 4096


class Look(NamedTuple):
  """Colours (linear RGB) and numbers that materials need.

  Attributes:
    hair: of the locks.
    iris: of the eyes.
    frame: of the glasses.
    hat: its colour.
    jewel: of the earrings.
    cloth: of the shirt.
    trim: second colour of the shirt.
    neckline: 0 to 3, see `wardrobe.Wear`.
    stripes: per cm.
    oil: gloss of the skin, about 1.
    seed: a number in [0, 1) that moves patterns.
    toon: 0 to 1, see `people.PersonParams`.
  """

  hair: Float[Array, '3']
  iris: Float[Array, '3']
  frame: Float[Array, '3']
  hat: Float[Array, '3']
  jewel: Float[Array, '3']
  cloth: Float[Array, '3']
  trim: Float[Array, '3']
  neckline: Float[Array, '']
  stripes: Float[Array, '']
  oil: Float[Array, '']
  seed: Float[Array, '']
  toon: Float[Array, '']


class Head(NamedTuple):
  """A head, ready to be rendered.

  Attributes:
    vertices: cm, mesh frame.
    faces: counter-clockwise seen from outside; padding is (0, 0, 0).
    shadow_faces: fewer ones that cast the same shadows.
    normals: unit.
    tangents: along hair; 0 elsewhere.
    coordinates: on the material. On skin the position at rest in cm; on eyes
      the direction from their centre with +z along the gaze; on hair (0 at
      the root to 1 at the tip; -1 to 1 across; number of the lock in [0, 1]).
    materials: `SKIN`, `EYE`, ...
    cavity: 1 inside of the mouth.
    texture: see `skin.paint`.
    landmarks: the points of the canonical face, cm.
    look: colours.
    counts: numbers of vertices and faces without padding.
  """

  vertices: Float[np.ndarray, 'v 3']
  faces: Int[np.ndarray, 'f 3']
  shadow_faces: Int[np.ndarray, 'g 3']
  normals: Float[np.ndarray, 'v 3']
  tangents: Float[np.ndarray, 'v 3']
  coordinates: Float[np.ndarray, 'v 3']
  materials: Float[np.ndarray, 'v']
  cavity: Float[np.ndarray, 'v']
  texture: Float[Array, 's s 5']
  landmarks: Float[np.ndarray, '468 3']
  look: Look
  counts: tuple[int, int]


def _eye_directions(
  vertices: Float[np.ndarray, 'v 3'],
  rows: Int[np.ndarray, 'n'],
  gaze: tuple[float, float],
) -> tuple[Float[np.ndarray, 'n 3'], Float[np.ndarray, 'n 3']]:
  """Return directions from the middle of an eye.

  Args:
    vertices: of the head model, cm.
    rows: which of them are the eye's.
    gaze: degrees that it turns to +x and up.

  Returns:
    The directions in the mesh frame, which are the normals of the ball, and
    in a frame whose +z is the gaze.
  """
  points = vertices[rows]
  middle = 0.5 * (points.min(0) + points.max(0))
  # The cornea bulges forward: the other two axes give the radius.
  radius = 0.25 * np.ptp(points[:, :2], axis=0).sum()
  middle[2] = points[:, 2].min() + radius
  directions = points - middle
  directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
  yaw, pitch = np.radians(gaze)
  axis = np.array(
    [np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)]
  )
  right = np.cross([0.0, 1.0, 0.0], axis)
  right /= np.linalg.norm(right)
  frame = np.stack([right, np.cross(axis, right), axis])
  return directions, directions @ frame.T


@functools.cache
def _lash_roots() -> tuple[Int[np.ndarray, 'n'], Int[np.ndarray, 'n']]:
  """Return lash vertices and the nearest of the lids, found at rest."""
  rest = head_model.rest()
  lashes = head_model.part_vertices(*head_model.LASHES)
  lids = head_model.part_vertices(head_model.SKIN)
  _, nearest = scipy.spatial.cKDTree(rest[lids]).query(rest[lashes])
  return lashes, lids[nearest]


def _short_lashes(
  vertices: Float[np.ndarray, 'v 3'], length: float
) -> Float[np.ndarray, 'v 3']:
  """Pull lashes toward the lids they grow on."""
  lashes, roots = _lash_roots()
  moved = vertices.copy()
  moved[lashes] += (1 - length) * (vertices[roots] - vertices[lashes])
  return moved


def _model_materials() -> Float[np.ndarray, 'v']:
  """Return the material of every vertex of the head model."""
  model = head_model.load()
  materials = np.zeros(len(model.vertices))
  for parts, material in (
    ((head_model.LEFT_EYE, head_model.RIGHT_EYE), EYE),
    ((head_model.UPPER_TEETH, head_model.LOWER_TEETH), TEETH),
    ((head_model.TONGUE,), TONGUE),
    (head_model.LASHES, LASH),
  ):
    materials[head_model.part_vertices(*parts)] = material
  return materials


class _Table(NamedTuple):
  """Vertices as they are joined: a row each, and what is known of it."""

  vertices: Float[np.ndarray, 'v 3']
  normals: Float[np.ndarray, 'v 3']
  tangents: Float[np.ndarray, 'v 3']
  coordinates: Float[np.ndarray, 'v 3']
  materials: Float[np.ndarray, 'v']
  cavity: Float[np.ndarray, 'v']


def _body(
  params: people.PersonParams, vertices: Float[np.ndarray, 'v 3']
) -> tuple[_Table, Int[np.ndarray, 'f 3']]:
  """Return the head model's vertices and the faces that are shown."""
  model = head_model.load()
  vertices = _short_lashes(vertices, 0.6 * params.lashes)
  normals = head_model.vertex_normals(vertices, model.faces)
  coordinates = head_model.rest().copy()
  for part in (head_model.LEFT_EYE, head_model.RIGHT_EYE):
    rows = head_model.part_vertices(part)
    normals[rows], coordinates[rows] = _eye_directions(
      vertices, rows, params.gaze
    )
  materials = _model_materials()
  table = _Table(
    vertices=vertices,
    normals=normals,
    tangents=0 * normals,
    coordinates=coordinates,
    materials=materials,
    cavity=head_model.in_mask('inside_mouth') * (materials == SKIN),
  )
  # Lower lashes are too coarse to be seen, and so are short ones.
  long = params.lashes >= 0.45
  hidden = head_model.LASHES if not long else head_model.LASHES[::2]
  return table, model.faces[~np.isin(model.parts, hidden)]


def _puffed(
  params: people.PersonParams, scalp: hair_lib.Scalp
) -> hair_lib.Scalp:
  """Lift the scalp under hair, so that locks do not lie on bare skin."""
  above = hair_lib.height_above_hairline(scalp.rest, params.hair.recede)
  thick = {'bald': 0.0, 'buzz cut': 0.15, 'afro': 0.55, 'curly': 0.4}
  amount = thick.get(params.hair.cut, 0.3) * (0.5 + 0.4 * params.hair.volume)
  if params.hair.cut in ('bun', 'ponytail', 'slicked back'):
    amount = 0.3
  lift = amount * np.clip(above / 2.0, 0, 1)
  return scalp._replace(vertices=scalp.vertices + lift[:, None] * scalp.normals)


def _clothed(wear: wardrobe.Wear, table: _Table) -> _Table:
  """Lift the skin below the neckline by the thickness of cloth."""
  below = np.asarray(neck_height(table.coordinates, float(wear.neckline)))
  lift = 0.55 * np.clip(-below / 0.8, 0, 1) * (table.materials == SKIN)
  moved = table.vertices + lift[:, None] * table.normals
  return table._replace(vertices=moved)


@jax.numpy_rank_promotion('allow')
def neck_height(
  rest: Float[Array | np.ndarray, '*shape 3'],
  neckline: Float[Array, ''] | float,
) -> Float[Array, '*shape']:
  """Return how far points lie above the neckline, cm; negative is cloth.

  Args:
    rest: positions at rest, cm.
    neckline: number of the line, see `wardrobe.Wear`.
  """
  x, y, z = rest[..., 0], rest[..., 1], rest[..., 2]
  front = jnp.clip((z + 5.0) / 8.0, 0.0, 1.0)
  crew = -12.6 + 0.22 * jnp.abs(x) - 1.5 * front
  vee = -11.9 + 0.0 * x - front * jnp.clip(8.5 - 1.7 * jnp.abs(x), 0, 8.5)
  turtle = -9.6 - 1.0 * front + 0.0 * x
  wide = -14.4 + 0.05 * jnp.abs(x) - 1.5 * front
  lines = jnp.stack([crew, vee, turtle, wide])
  index = jnp.asarray(neckline).astype(jnp.int32)
  return y - jnp.take(lines, index, axis=0)


def _locks_table(locks: locks_lib.Locks) -> _Table:
  """Return the vertices of locks."""
  count = len(locks.vertices)
  return _Table(
    vertices=locks.vertices,
    normals=locks.normals,
    tangents=locks.tangents,
    coordinates=locks.coordinates,
    materials=np.full(count, float(HAIR)),
    cavity=np.zeros(count),
  )


def _solid_table(solid: wardrobe.Solid) -> _Table:
  """Return the vertices of something worn."""
  count = len(solid.vertices)
  return _Table(
    vertices=solid.vertices,
    normals=head_model.vertex_normals(solid.vertices, solid.faces),
    tangents=np.zeros((count, 3)),
    coordinates=solid.vertices,
    materials=np.full(count, float(_SOLIDS[solid.kind])),
    cavity=np.zeros(count),
  )


def _look(params: people.PersonParams) -> Look:
  """Return the colours of a person and of what they wear."""
  wear = params.wear
  numbers = dict(
    hair=params.skin.hair,
    iris=params.iris,
    frame=wear.frame,
    hat=wear.hat_color,
    jewel=wear.jewel,
    cloth=wear.cloth,
    trim=wear.trim,
    neckline=wear.neckline,
    stripes=wear.stripes,
    oil=params.oil,
    seed=(params.hair.seed % 997) / 997,
    toon=params.toon,
  )
  return Look(**{k: jnp.asarray(x, jnp.float32) for k, x in numbers.items()})


def _hidden_by_hat(
  locks: locks_lib.Locks | None, scalp: hair_lib.Scalp, hat: str
) -> locks_lib.Locks | None:
  """Drop the locks that a hat would cover."""
  if locks is None or not hat:
    return locks
  top = scalp.vertices[np.argmax(scalp.rest[:, 1])][1]
  roots = locks.coordinates[:, 0] == 0
  low = (locks.vertices[:, 1] < top - 9.5) | ~roots
  return locks_lib.keep(locks, low & (locks.vertices[:, 1] < top - 6.5))


def _pad(
  values: Shaped[np.ndarray, 'n *rest'], least: int
) -> Shaped[np.ndarray, 'm *rest']:
  """Append zeros up to `least` rows, or to a multiple of _MORE beyond."""
  count = max(least, -(-len(values) // _MORE) * _MORE)
  if len(values) <= least:
    count = least
  extra = count - len(values)
  return np.pad(values, ((0, extra),) + ((0, 0),) * (values.ndim - 1))


def _scalp(table: _Table) -> hair_lib.Scalp:
  """Return the skin that hair grows on, without the inside of the mouth."""
  model = head_model.load()
  rows = head_model.part_vertices(head_model.SKIN)
  faces = model.faces[model.parts == head_model.SKIN]
  inner = head_model.in_mask('inside_mouth')[faces].max(1) > 0.3
  renumber = np.zeros(len(model.vertices), np.int64)
  renumber[rows] = np.arange(len(rows))
  return hair_lib.Scalp(
    vertices=table.vertices[rows],
    normals=table.normals[rows],
    rest=head_model.rest()[rows],
    faces=renumber[faces[~inner]],
  )


def build_head(
  params: people.PersonParams, *, texture: Float[Array, 's s 5'] | None = None
) -> Head:
  """Build a person's head.

  Args:
    params: who, of `people.sample_person`.
    texture: of `skin.paint(params.skin)`, to paint it only once for several
      expressions of one person; None paints it.

  Returns:
    Head, whose neutral landmarks fit the canonical face.
  """
  vertices = head_shapes.vertices(params)
  landmarks = head_model.landmarks(vertices)
  table, faces = _body(params, vertices)
  table = _clothed(params.wear, table)
  scalp = _puffed(params, _scalp(table))
  rows = head_model.part_vertices(head_model.SKIN)
  table.vertices[rows] = scalp.vertices
  locks = hair_lib.grow(params.hair, scalp, thick=1 + 1.2 * params.toon)
  locks = _hidden_by_hat(locks, scalp, params.wear.hat)
  tables, all_faces = [table], [faces.astype(np.int64)]
  shadows = [faces.astype(np.int64)]
  if locks is not None:
    all_faces.append(locks.faces + len(table.vertices))
    shadows.append(locks.coarse + len(table.vertices))
    tables.append(_locks_table(locks))
  for solid in wardrobe.dress(params.wear, landmarks, scalp, 0.4):
    start = sum(len(part.vertices) for part in tables)
    all_faces.append(solid.faces + start)
    shadows.append(all_faces[-1])
    tables.append(_solid_table(solid))
  joined = np.concatenate(all_faces)
  columns = {
    name: np.concatenate([getattr(part, name) for part in tables])
    for name in _Table._fields
  }
  if texture is None:
    texture = skin.paint(params.skin)
  return Head(
    **{k: _pad(x.astype(np.float32), _SIZES[0]) for k, x in columns.items()},
    faces=_pad(joined.astype(np.int32), _SIZES[1]),
    shadow_faces=_pad(np.concatenate(shadows).astype(np.int32), _SIZES[2]),
    texture=texture,
    landmarks=landmarks.astype(np.float32),
    look=_look(params),
    counts=(len(columns['vertices']), len(joined)),
  )


def with_expression(
  params: people.PersonParams, rng: np.random.Generator, word: str | None = None
) -> people.PersonParams:
  """Return the same person with another expression and gaze.

  Args:
    params: who.
    rng: advanced by the draw.
    word: of `expressions.EXPRESSIONS`, or None for any.

  Raises:
    ValueError: an unknown word.
  """
  return dataclasses.replace(params, **expressions.sample(rng, word))


def to_mesh(head: Head) -> mesh_lib.Mesh:
  """Return a head as one mesh with a colour per vertex, without padding."""
  vertices, faces = head.counts
  materials = head.materials[:vertices].astype(int)
  coordinates = head.coordinates[:vertices]
  texels = skin.sample(head.texture, jnp.asarray(coordinates))
  painted = np.asarray(texels)[:, :3]
  look = head.look
  covered = np.asarray(neck_height(coordinates, look.neckline)) < 0
  painted = np.where(covered[:, None], np.asarray(look.cloth), painted)
  flat = {
    TEETH: (0.75, 0.7, 0.6), TONGUE: (0.4, 0.12, 0.11), LASH: (0.01,) * 3,
    HAIR: look.hair, FRAME: look.frame, LENS: (0.02,) * 3, HAT: look.hat,
    JEWEL: look.jewel,
  }  # fmt: skip
  colors = painted.astype(np.float32)
  for material, color in flat.items():
    colors[materials == material] = np.asarray(color)
  angle = np.degrees(np.arccos(np.clip(coordinates[:, 2], -1, 1)))[:, None]
  eye = np.where(angle < 24, np.asarray(look.iris), 0.75)
  colors = np.where(
    materials[:, None] == EYE, np.where(angle < 9, 0.01, eye), colors
  )
  return mesh_lib.Mesh(
    vertices=jnp.asarray(head.vertices[:vertices]),
    faces=jnp.asarray(head.faces[:faces]),
    colors=jnp.asarray(colors, jnp.float32),
  )
