"""Heads: a person's numbers made into surfaces, materials and landmarks.

A head is one triangle soup of several materials in the mesh frame, scaled
and moved so that its landmarks fit the canonical face: what a portrait's crop
does to a photo. Vertices and faces are padded to multiples of fixed counts,
so that few programs are compiled.

Shapes: `V` vertices, `F` faces.
"""

import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int
import numpy as np
import scipy.spatial

from maskjax.data.people import (
  hair as hair_lib,
  head_model,
  people,
  skin,
  wardrobe,
)
from maskjax.geometry import canonical, mesh as mesh_lib

PersonParams = people.PersonParams
sample_person = people.sample_person

# Materials of vertices.
(SKIN, EYE, TEETH, TONGUE, LASH, HAIR, FRAME, LENS, HAT, JEWEL) = range(10)
_SOLIDS = {'frame': FRAME, 'lens': LENS, 'hat': HAT, 'jewel': JEWEL}
# Padded numbers of vertices, faces and faces that cast shadows; what needs
# more is padded to a multiple of _MORE beyond.
_SIZES, _MORE = (25_600, 30_720, 22_528), 4096


class Look(NamedTuple):
  """Colours (linear RGB) and numbers that materials need.

  Attributes:
    hair: f[3].
    iris: f[3].
    frame: f[3], of the glasses.
    hat: f[3].
    jewel: f[3].
    cloth: f[3].
    trim: f[3].
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
    vertices: f32[V, 3], cm, mesh frame.
    faces: i32[F, 3], counter-clockwise seen from outside; padding is
      (0, 0, 0).
    shadow_faces: i32[G, 3], fewer ones that cast the same shadows.
    normals: f32[V, 3], unit.
    tangents: f32[V, 3], along hair; 0 elsewhere.
    places: f32[V, 3]: on skin the place at rest in cm, on eyes the direction
      from their centre with +z along the gaze, on hair (0 at the root to 1 at
      the tip; -1 to 1 across; number of the lock in [0, 1]).
    materials: f32[V], `SKIN`, `EYE`, ...
    cavity: f32[V], 1 inside of the mouth.
    texture: f32[S, S, 5], see `skin.paint`.
    landmarks: f32[468, 3], the points of the canonical face.
    look: colours.
    counts: numbers of vertices and faces without padding.
  """

  vertices: Float[np.ndarray, 'v 3']
  faces: Int[np.ndarray, 'f 3']
  shadow_faces: Int[np.ndarray, 'g 3']
  normals: Float[np.ndarray, 'v 3']
  tangents: Float[np.ndarray, 'v 3']
  places: Float[np.ndarray, 'v 3']
  materials: Float[np.ndarray, 'v']
  cavity: Float[np.ndarray, 'v']
  texture: Float[Array, 's s 5']
  landmarks: Float[np.ndarray, '468 3']
  look: Look
  counts: tuple[int, int]


def _fit_canonical(points):
  """Scale and shift that move 468 points onto the canonical face."""
  face = canonical.load()
  chosen, weights = face.procrustes_landmarks, face.procrustes_weights
  source, target = points[chosen], face.vertices[chosen].astype(float)
  weights = weights[:, None] / weights.sum()
  middles = (weights * source).sum(0), (weights * target).sum(0)
  spreads = [
    np.sqrt((weights * (p - m) ** 2).sum())
    for p, m in zip((source, target), middles)
  ]
  scale = spreads[1] / spreads[0]
  return scale, middles[1] - scale * middles[0]


def head_vertices(
  params: PersonParams,
) -> Float[np.ndarray, 'v 3']:
  """Return the vertices of the head model for a person, with expression.

  Args:
    params: who.

  Returns:
    f64[V, 3] cm; the neutral face fits the canonical face.
  """
  whole = head_model.whole_head(
    params.regions,
    male=params.male,
    age=params.age,
    muscle=params.muscle,
    weight=params.weight,
  )
  factor = params.exaggeration
  # Lips and lids would pass through each other where noses only grow.
  most = {'mouth': 1.0, 'eyes': 1.0, 'asym': 0.5}
  shape = {
    name: min(factor * value, most.get(name.split('/')[0], 2.2))
    for name, value in params.shape.items()
  }
  mean = head_model.rest()
  unlike = head_model.morph(whole) - mean
  own = head_model.morph(shape) - head_model.morph({})
  neutral = mean + factor * unlike + own
  scale, shift = _fit_canonical(head_model.landmarks(neutral))
  units = {f'arkit/{name}': value for name, value in params.units.items()}
  moved = head_model.morph(units) - head_model.morph({}) if units else 0.0
  vertices = scale * (neutral + moved) + shift
  if params.toon:
    vertices = _toon(vertices, params.toon)
  return vertices


def _bump(distance, inner, outer):
  """1 within `inner`, 0 beyond `outer`, smooth between."""
  t = np.clip((outer - distance) / (outer - inner), 0, 1)
  return (t * t * (3 - 2 * t))[..., None]


def _toon(vertices, amount):
  """Large eyes and skull, small nose and chin, thin neck."""
  points = head_model.landmarks(vertices)
  rest = head_model.rest()
  result = vertices.copy()
  # The nose shrinks toward its root between the eyes, the jaw to the axis.
  base = points[[48, 278, 2]].mean(0) - [0, -0.4, 0.6]
  near = _bump(np.linalg.norm(rest - [0, -0.3, 5.6], axis=-1), 0.8, 2.6)
  result += amount * 0.32 * near * (base - result)
  low = np.clip((-2.0 - rest[:, 1]) / 6.0, 0, 1)[:, None]
  result *= 1 - amount * low * [0.1, 0, 0.0]
  neck = np.clip((-7.0 - rest[:, 1]) / 2.5, 0, 1)[:, None]
  back = np.array([0.0, 0.0, -4.5])
  result += amount * 0.3 * neck * ((back - result) * [1, 0, 1])
  high = np.clip((rest[:, 1] - 3.0) / 8.0, 0, 1)[:, None]
  result += amount * high * (result - [0, 3.0, -3.0]) * [0.13, 0.12, 0.1]
  for part in (head_model.LEFT_EYE, head_model.RIGHT_EYE):
    rows = head_model.part_vertices(part)
    middle = vertices[rows].mean(0) * [1.06, 1, 1]
    gap = (vertices - middle) * [1.0, 1.0, 0.8]
    same = np.sign(vertices[:, :1]) == np.sign(middle[0])
    grow = 0.72 * amount * _bump(np.linalg.norm(gap, axis=-1), 1.7, 3.9) * same
    grow[rows] = 0.72 * amount
    result += grow * (vertices - middle) * [0.95, 1.2, 0.7]
  return result


def _eye_places(vertices, rows, gaze):
  """Directions from the middle of an eye, +z along the gaze."""
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
def _lash_roots():
  """(lash vertices, the nearest vertices of the lids), found at rest."""
  rest = head_model.rest()
  lashes = head_model.part_vertices(*head_model.LASHES)
  lids = head_model.part_vertices(head_model.SKIN)
  _, nearest = scipy.spatial.cKDTree(rest[lids]).query(rest[lashes])
  return lashes, lids[nearest]


def _short_lashes(vertices, length):
  """Pull lashes toward the lids they grow on."""
  lashes, roots = _lash_roots()
  moved = vertices.copy()
  moved[lashes] += (1 - length) * (vertices[roots] - vertices[lashes])
  return moved


def _model_materials():
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


def _body(params, vertices):
  """Return the parts of the head model as one table of columns."""
  model = head_model.load()
  vertices = _short_lashes(vertices, 0.6 * params.lashes)
  normals = head_model.vertex_normals(vertices, model.faces)
  places = head_model.rest().copy()
  for part in (head_model.LEFT_EYE, head_model.RIGHT_EYE):
    rows = head_model.part_vertices(part)
    normals[rows], places[rows] = _eye_places(vertices, rows, params.gaze)
  materials = _model_materials()
  cavity = head_model.in_mask('inside_mouth') * (materials == SKIN)
  table = np.concatenate(
    [
      vertices,
      normals,
      0 * normals,
      places,
      materials[:, None],
      cavity[:, None],
    ],
    -1,
  )
  # Lower lashes are too coarse to be seen, and so are short ones.
  long = params.lashes >= 0.45
  shown = head_model.LASHES if not long else head_model.LASHES[::2]
  faces = model.faces[~np.isin(model.parts, shown)]
  return table, faces


def _puffed(params, scalp):
  """Lift the scalp under hair, so that locks do not lie on bare skin."""
  above = hair_lib.height_above_hairline(scalp.rest, params.hair.recede)
  thick = {'bald': 0.0, 'buzz cut': 0.15, 'afro': 0.55, 'curly': 0.4}
  amount = thick.get(params.hair.cut, 0.3) * (0.5 + 0.4 * params.hair.volume)
  if params.hair.cut in ('bun', 'ponytail', 'slicked back'):
    amount = 0.3
  lift = amount * np.clip(above / 2.0, 0, 1)
  return scalp._replace(vertices=scalp.vertices + lift[:, None] * scalp.normals)


def _clothed(wear, table):
  """Lift the skin below the neckline by the thickness of cloth."""
  rest = table[:, 9:12]
  below = np.asarray(neck_height(rest, float(wear.neckline)))
  lift = 0.55 * np.clip(-below / 0.8, 0, 1) * (table[:, 12] == SKIN)
  table[:, :3] += lift[:, None] * table[:, 3:6]
  return table


@jax.numpy_rank_promotion('allow')
def neck_height(
  rest: Float[Array, '... 3'], neckline: Float[Array, ''] | float
) -> Float[Array, '...']:
  """Return how far places at rest lie above the neckline, cm."""
  x, y, z = rest[..., 0], rest[..., 1], rest[..., 2]
  front = jnp.clip((z + 5.0) / 8.0, 0.0, 1.0)
  crew = -12.6 + 0.22 * jnp.abs(x) - 1.5 * front
  vee = -11.9 + 0.0 * x - front * jnp.clip(8.5 - 1.7 * jnp.abs(x), 0, 8.5)
  turtle = -9.6 - 1.0 * front + 0.0 * x
  wide = -14.4 + 0.05 * jnp.abs(x) - 1.5 * front
  lines = jnp.stack([crew, vee, turtle, wide])
  index = jnp.asarray(neckline).astype(jnp.int32)
  return y - jnp.take(lines, index, axis=0)


def _locks_table(locks):
  count = len(locks.vertices)
  return np.concatenate(
    [
      locks.vertices, locks.normals, locks.tangents, locks.places,
      np.full((count, 1), float(HAIR)), np.zeros((count, 1)),
    ],
    -1,
  )  # fmt: skip


def _solid_table(solid):
  normals = head_model.vertex_normals(solid.vertices, solid.faces)
  count = len(solid.vertices)
  return np.concatenate(
    [
      solid.vertices, normals, np.zeros((count, 3)), solid.vertices,
      np.full((count, 1), float(_SOLIDS[solid.kind])), np.zeros((count, 1)),
    ],
    -1,
  )  # fmt: skip


def _look(params):
  wear = params.wear
  numbers = Look(
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
  return Look(*(jnp.asarray(x, jnp.float32) for x in numbers))


def _hidden_by_hat(locks, scalp, hat):
  """Drop the locks that a hat would cover."""
  if locks is None or not hat:
    return locks
  top = scalp.vertices[np.argmax(scalp.rest[:, 1])][1]
  roots = locks.places[:, 0] == 0
  low = (locks.vertices[:, 1] < top - 9.5) | ~roots
  return hair_lib.keep(locks, low & (locks.vertices[:, 1] < top - 6.5))


def _pad(values, least):
  count = max(least, -(-len(values) // _MORE) * _MORE)
  if len(values) <= least:
    count = least
  extra = count - len(values)
  return np.pad(values, ((0, extra),) + ((0, 0),) * (values.ndim - 1))


def build_head(
  params: PersonParams, *, texture: Float[Array, 's s 5'] | None = None
) -> Head:
  """Build a person's head.

  Args:
    params: who, of `sample_person`.
    texture: of `skin.paint(params.skin)`, to paint it only once for several
      expressions of one person; None paints it.

  Returns:
    Head, whose neutral landmarks fit the canonical face.
  """
  model = head_model.load()
  vertices = head_vertices(params)
  landmarks = head_model.landmarks(vertices)
  table, faces = _body(params, vertices)
  table = _clothed(params.wear, table)
  rows = head_model.part_vertices(head_model.SKIN)
  skin_faces = model.faces[model.parts == head_model.SKIN]
  inner = head_model.in_mask('inside_mouth')[skin_faces].max(1) > 0.3
  skin_faces = skin_faces[~inner]
  renumber = np.zeros(len(vertices), np.int64)
  renumber[rows] = np.arange(len(rows))
  scalp = hair_lib.Scalp(
    table[rows, :3], table[rows, 3:6], head_model.rest()[rows],
    renumber[skin_faces],
  )  # fmt: skip
  scalp = _puffed(params, scalp)
  table[rows, :3] = scalp.vertices
  locks = hair_lib.grow(params.hair, scalp, thick=1 + 1.2 * params.toon)
  locks = _hidden_by_hat(locks, scalp, params.wear.hat)
  tables, all_faces = [table], [faces.astype(np.int64)]
  shadows = [faces.astype(np.int64)]
  if locks is not None:
    all_faces.append(locks.faces + len(table))
    shadows.append(locks.coarse + len(table))
    tables.append(_locks_table(locks))
  for solid in wardrobe.dress(params.wear, landmarks, scalp, 0.4):
    all_faces.append(solid.faces + sum(map(len, tables)))
    shadows.append(all_faces[-1])
    tables.append(_solid_table(solid))
  whole, joined = np.concatenate(tables), np.concatenate(all_faces)
  counts = len(whole), len(joined)
  whole = _pad(whole.astype(np.float32), _SIZES[0])
  if texture is None:
    texture = skin.paint(params.skin)
  return Head(
    vertices=whole[:, :3],
    faces=_pad(joined.astype(np.int32), _SIZES[1]),
    shadow_faces=_pad(np.concatenate(shadows).astype(np.int32), _SIZES[2]),
    normals=whole[:, 3:6],
    tangents=whole[:, 6:9],
    places=whole[:, 9:12],
    materials=whole[:, 12],
    cavity=whole[:, 13],
    texture=texture,
    landmarks=landmarks.astype(np.float32),
    look=_look(params),
    counts=counts,
  )


def with_expression(
  params: PersonParams, rng: np.random.Generator, word: str | None = None
) -> PersonParams:
  """Return the same person with another expression and gaze.

  Args:
    params: who.
    rng: advanced by the draw.
    word: of `people.EXPRESSIONS`, or None for any.
  """
  return dataclasses.replace(params, **people.sample_expression(rng, word))


def to_mesh(head: Head) -> mesh_lib.Mesh:
  """Return a head as one mesh with a colour per vertex, without padding."""
  vertices, faces = head.counts
  materials = head.materials[:vertices].astype(int)
  places = head.places[:vertices]
  painted = np.asarray(skin.sample(head.texture, jnp.asarray(places)))[:, :3]
  look = head.look
  covered = np.asarray(neck_height(places, look.neckline)) < 0
  painted = np.where(covered[:, None], np.asarray(look.cloth), painted)
  flat = {
    TEETH: (0.75, 0.7, 0.6), TONGUE: (0.4, 0.12, 0.11), LASH: (0.01,) * 3,
    HAIR: look.hair, FRAME: look.frame, LENS: (0.02,) * 3, HAT: look.hat,
    JEWEL: look.jewel,
  }  # fmt: skip
  colors = painted.astype(np.float32)
  for material, color in flat.items():
    colors[materials == material] = np.asarray(color)
  angle = np.degrees(np.arccos(np.clip(places[:, 2], -1, 1)))[:, None]
  eye = np.where(angle < 24, np.asarray(look.iris), 0.75)
  colors = np.where(
    materials[:, None] == EYE, np.where(angle < 9, 0.01, eye), colors
  )
  return mesh_lib.Mesh(
    vertices=jnp.asarray(head.vertices[:vertices]),
    faces=jnp.asarray(head.faces[:faces]),
    colors=jnp.asarray(colors, jnp.float32),
  )
