"""Shading of portraits: what a point of the surface looks like.

Plain functions of what the rasterizer interpolated; `portrait` calls them.
Colours are linear RGB.

Shapes: `b` views, `h w` pixels, `l` directional lights, `s` texels a side.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from maskjax.data.people import heads, skin
from maskjax.geometry import camera as camera_lib
from maskjax.render import lights as lights_lib

# How surfaces are shaded: as in a photo, as smooth clay, their bare colours,
# or the light on grey.
STYLES = ('photo', 'clay', 'flat', 'light')
# How far light bleeds around the terminator of skin, per colour: red light
# goes farthest below the surface.
_BLEED = (0.3, 0.14, 0.1)


class Point(NamedTuple):
  """What is known of the surface at every pixel.

  Attributes:
    normals: unit, mesh frame.
    tangents: along hair, unit.
    coordinates: on the surface, see `heads.Head`.
    materials: number of the material.
    cavity: 1 inside of the mouth.
    soft: light of the environment.
    seen: how much of each directional light arrives, in [0, 1].
    toward: unit vectors toward the camera, mesh frame.
  """

  normals: Float[Array, 'b h w 3']
  tangents: Float[Array, 'b h w 3']
  coordinates: Float[Array, 'b h w 3']
  materials: Float[Array, 'b h w']
  cavity: Float[Array, 'b h w']
  soft: Float[Array, 'b h w 3']
  seen: Float[Array, 'b h w l']
  toward: Float[Array, 'b h w 3']


@jax.numpy_rank_promotion('allow')
def rays(camera: camera_lib.Camera, size: int) -> Float[Array, 'b h w 3']:
  """Return unit directions from the camera through the pixels.

  Args:
    camera: batch of perspective cameras.
    size: pixels a side, `h` and `w`.

  Returns:
    Directions in the frame of `cam2world`.
  """
  centre = (jnp.arange(size) + 0.5) / size
  x, y = jnp.meshgrid(centre, centre)
  inner = camera.intrinsics
  fx, fy = inner[:, 0, 0], inner[:, 1, 1]
  cx, cy = inner[:, 0, 2], inner[:, 1, 2]
  planes = jnp.stack(
    [
      (x[None] - cx[:, None, None]) / fx[:, None, None],
      (y[None] - cy[:, None, None]) / fy[:, None, None],
      jnp.ones((len(fx), size, size)),
    ],
    -1,
  )
  turned = jnp.einsum('bij,bhwj->bhwi', camera.cam2world[:, :3, :3], planes)
  return turned / jnp.linalg.norm(turned, axis=-1, keepdims=True)


def _unit(vectors: Float[Array, '*shape 3']) -> Float[Array, '*shape 3']:
  """Return vectors of length 1; 0 stays 0."""
  length = jnp.linalg.norm(vectors, axis=-1, keepdims=True)
  return vectors / jnp.maximum(length, 1e-6)


@jax.numpy_rank_promotion('allow')
def unpack(
  attributes: Float[Array, 'b h w c'], toward: Float[Array, 'b h w 3']
) -> Point:
  """Split the rasterizer's attributes into what they are.

  Args:
    attributes: the columns that `portrait` has the rasterizer interpolate.
    toward: unit vectors toward the camera, mesh frame.
  """
  normals = _unit(attributes[..., 0:3])
  # Interpolated normals may look away at silhouettes, and locks are seen from
  # their backs: both are turned to the viewer, or they would be black.
  facing = jnp.sum(normals * toward, -1, keepdims=True)
  normals = _unit(normals + jnp.maximum(-facing, 0.0) * 1.2 * toward)
  return Point(
    normals=normals,
    tangents=_unit(attributes[..., 3:6]),
    coordinates=attributes[..., 6:9],
    materials=jnp.round(attributes[..., 9]),
    cavity=attributes[..., 10],
    soft=attributes[..., 11:14],
    seen=attributes[..., 14:],
    toward=toward,
  )


def _wave(x: Float[Array, '*shape']) -> Float[Array, '*shape']:
  """Return smooth noise of one number, in [-1, 1]: blended hashes."""
  cell = jnp.floor(x)
  part = x - cell
  part = part * part * (3 - 2 * part)

  def value(i: Float[Array, '*shape']) -> Float[Array, '*shape']:
    # The usual hash of shaders: the fraction of a large sine.
    mixed = jnp.sin(i * 12.9898 + 4.1) * 43758.547
    return 2 * (mixed - jnp.floor(mixed)) - 1

  return value(cell) * (1 - part) + value(cell + 1) * part


def _step(
  value: Float[Array, '*shape'], low: float, high: float
) -> Float[Array, '*shape']:
  """Return a smooth step from 0 at `low` to 1 at `high`."""
  t = jnp.clip((value - low) / (high - low), 0.0, 1.0)
  return t * t * (3 - 2 * t)


def _mix(
  first: Float[Array, '*shape 3'],
  second: Float[Array, '*rest 3'],
  amount: Float[Array, '*shape'],
) -> Float[Array, '*shape 3']:
  """Return the blend of two colours, `amount` of the second."""
  return first + (second - first) * amount[..., None]


def _eye_color(
  directions: Float[Array, 'b h w 3'], look: heads.Look
) -> Float[Array, 'b h w 3']:
  """Return sclera, iris and pupil by the angle from the gaze, +z."""
  directions = _unit(directions)
  angle = jnp.rad2deg(jnp.arccos(jnp.clip(directions[..., 2], -1, 1)))
  angle = angle / (1 + 0.3 * look.toon)
  turn = jnp.arctan2(directions[..., 1], directions[..., 0])
  fibres = _wave(turn * 9.5 + 31 * look.seed) * 0.3 + _wave(turn * 4) * 0.2
  iris = look.iris * (1.25 + fibres + 0.5 * _step(-angle, -15, -9))[..., None]
  ring = _step(angle, 16.5, 21.5)[..., None]
  iris = iris * (1 - 0.7 * ring)
  veins = _step(angle, 35, 75)[..., None]
  white = jnp.asarray([0.66, 0.62, 0.59]) - veins * jnp.asarray(
    [0.1, 0.22, 0.22]
  )
  color = _mix(iris, white, _step(angle, 20.5, 23.5))
  color = _mix(jnp.full_like(color, 0.004), color, _step(angle, 7.5, 9.5))
  # The upper lid and its lashes shade the ball.
  return color * (1 - 0.55 * _step(directions[..., 1], -0.02, 0.3))[..., None]


def _cloth_color(
  rest: Float[Array, 'b h w 3'], look: heads.Look
) -> tuple[Float[Array, 'b h w 3'], Float[Array, 'b h w']]:
  """Return the colour of a shirt, and how much it covers; rest pose, cm."""
  above = heads.neck_height(rest, look.neckline)
  weave = _wave(rest[..., 0] * 7 + 13) * _wave(rest[..., 1] * 7)
  bands = jnp.sin(rest[..., 1] * look.stripes * 2 * jnp.pi)
  striped = _step(bands, -0.15, 0.15) * (look.stripes > 0)
  color = _mix(jnp.broadcast_to(look.cloth, rest.shape), look.trim, striped)
  hem = jnp.exp(-(((above + 0.55) / 0.4) ** 2))
  color = color * (1 + 0.08 * weave - 0.25 * hem)[..., None]
  return color, _step(-above, -0.08, 0.08)


def _hair_color(
  coordinates: Float[Array, 'b h w 3'], look: heads.Look
) -> tuple[Float[Array, 'b h w 3'], Float[Array, 'b h w']]:
  """Return the colour of locks, and the noise of their strands."""
  along, across, lock = (coordinates[..., k] for k in range(3))
  strands = _wave(across * 3.5 + lock * 391) + 0.7 * _wave(
    across * 9 + lock * 77
  )
  # Locks differ in lightness: 613 is far from a period of the hash.
  lightness = _wave(lock * 613.0)
  fine = 1 - 0.75 * look.toon
  strands = strands * fine
  bright = 1 + 0.28 * strands + 0.16 * fine * lightness + 0.35 * (along - 0.5)
  return look.hair * jnp.maximum(bright, 0.25)[..., None], strands


class _Material(NamedTuple):
  """Albedo, gloss and its exponent, and what kind of thing it is."""

  albedo: Float[Array, 'b h w 3']
  gloss: Float[Array, 'b h w']
  power: Float[Array, 'b h w']
  is_skin: Float[Array, 'b h w']
  is_hair: Float[Array, 'b h w']
  is_eye: Float[Array, 'b h w']
  strands: Float[Array, 'b h w']


def _material(
  point: Point, texture: Float[Array, 's s 5'], look: heads.Look
) -> _Material:
  """Return what the surface is made of at every pixel.

  All materials are computed everywhere and one is chosen: on an accelerator
  that costs less than to part the pixels.
  """
  kind = point.materials
  painted = skin.sample(texture, point.coordinates)
  albedo, hairy, lips = painted[..., :3], painted[..., 3], painted[..., 4]
  albedo = _mix(albedo, jnp.asarray([0.16, 0.035, 0.03]), point.cavity)
  cloth, covered = _cloth_color(point.coordinates, look)
  albedo = _mix(albedo, cloth, covered)
  bare = (1 - covered) * (1 - hairy)
  gloss = 0.3 * look.oil * bare * (1 + 1.3 * lips)
  power = 14 + 22 * lips
  locks, strands = _hair_color(point.coordinates, look)
  flat = {
    heads.TEETH: ((0.72, 0.68, 0.60), 0.5, 40.0),
    heads.TONGUE: ((0.38, 0.11, 0.10), 0.4, 30.0),
    heads.LASH: ((0.008, 0.007, 0.006), 0.0, 10.0),
    heads.FRAME: (look.frame, 1.2, 60.0),
    heads.LENS: ((0.012, 0.012, 0.014), 2.0, 120.0),
    heads.HAT: (look.hat, 0.05, 8.0),
    heads.JEWEL: (look.jewel, 2.0, 50.0),
  }
  for number, (color, shine, sharp) in flat.items():
    here = kind == number
    albedo = jnp.where(here[..., None], jnp.asarray(color), albedo)
    gloss = jnp.where(here, shine, gloss)
    power = jnp.where(here, sharp, power)
  turn = jnp.arctan2(point.coordinates[..., 0], point.coordinates[..., 2] + 4)
  knit = 1 + 0.22 * jnp.sin(turn * 60) * (kind == heads.HAT)
  albedo = albedo * knit[..., None]
  eye = kind == heads.EYE
  albedo = jnp.where(
    eye[..., None], _eye_color(point.coordinates, look), albedo
  )
  gloss = jnp.where(eye, 9.0 + 8 * look.toon, gloss)
  power = jnp.where(eye, 130.0, power)
  hair = kind == heads.HAIR
  albedo = jnp.where(hair[..., None], locks, albedo)
  gloss = jnp.where(hair, 0.0, gloss)
  return _Material(
    albedo=albedo,
    gloss=gloss,
    power=power,
    is_skin=(kind == heads.SKIN) * bare,
    is_hair=hair.astype(gloss.dtype),
    is_eye=eye.astype(gloss.dtype),
    strands=strands,
  )


def _hair_shine(
  point: Point, light: Float[Array, '3'], strands: Float[Array, 'b h w']
) -> Float[Array, 'b h w']:
  """Return two highlights along the strands (after Kajiya and Kay, 1989)."""
  half = _unit(light + point.toward)
  shine = jnp.zeros_like(strands)
  # Scales of a hair lean to its tip, so the two reflections are shifted along
  # it: the first off the surface, the second, wider, out of its inside.
  for shift, power, amount in ((-0.08, 70.0, 0.22), (0.16, 18.0, 0.16)):
    moved = _unit(
      point.tangents + (shift + 0.1 * strands)[..., None] * point.normals
    )
    cosine = jnp.sum(moved * half, -1)
    sine = jnp.sqrt(jnp.clip(1 - cosine**2, 0.0, 1.0))
    shine = shine + amount * sine**power
  return shine


def _lit(
  point: Point,
  material: _Material,
  lights: lights_lib.Lights,
  bleed: Float[Array, 'b h w 3'],
) -> Float[Array, 'b h w 3']:
  """Return albedo times all light that arrives, without gloss."""
  color = material.albedo * point.soft
  for index in range(lights.directions.shape[0]):
    light = lights.directions[index]
    cosine = jnp.sum(point.normals * light, -1, keepdims=True)
    # Wrapped diffuse light: its border is moved and softened by `bleed`.
    lit = jnp.maximum((cosine + bleed) / (1 + bleed), 0.0)
    arriving = point.seen[..., index : index + 1]
    arriving = arriving * lights.direction_colors[index]
    color = color + material.albedo * lit * arriving
  return color


def _glossy(
  point: Point,
  material: _Material,
  lights: lights_lib.Lights,
  fresnel: Float[Array, 'b h w'],
) -> Float[Array, 'b h w 3']:
  """Return what shines: skin, wet eyes, strands, glasses."""
  # A window's reflection in wet eyes, and the sky's in glossy things.
  up = _step(point.normals[..., 1], 0.0, 0.9)
  sky = material.gloss * (0.015 + 0.05 * fresnel) * (0.5 + up)
  rim = (0.12 * material.is_skin + 0.1 * material.is_hair) * fresnel
  color = (sky + rim)[..., None] * point.soft
  for index in range(lights.directions.shape[0]):
    light = lights.directions[index]
    arriving = point.seen[..., index : index + 1]
    arriving = arriving * lights.direction_colors[index]
    # Blinn-Phong: the exponent is for the normal and the half vector.
    half = _unit(light + point.toward)
    mirror = jnp.maximum(jnp.sum(point.normals * half, -1), 0.0)
    shine = material.gloss * (0.4 + 2.5 * fresnel) * mirror**material.power
    shine = shine * (jnp.sum(point.normals * light, -1) > 0)
    locks = _hair_shine(point, light, material.strands) * material.is_hair
    tint = 0.04 + 0.5 * material.albedo
    color = color + 1.6 * locks[..., None] * tint * arriving
    color = color + 0.35 * shine[..., None] * arriving
  return color


def _bend(color: Float[Array, '*shape 3']) -> Float[Array, '*shape 3']:
  """Bend what is brighter than white toward it: highlights keep a shape."""
  bent = 0.7 + 0.3 * jnp.tanh((color - 0.7) / 0.3)
  return jnp.where(color > 0.7, bent, color)


@jax.numpy_rank_promotion('allow')
def shade(
  point: Point,
  texture: Float[Array, 's s 5'],
  look: heads.Look,
  lights: lights_lib.Lights,
  style: str = 'photo',
) -> Float[Array, 'b h w 3']:
  """Return the colour of surface points.

  Args:
    point: what is known of them.
    texture: of `skin.paint`.
    look: colours of the materials.
    lights: the directional ones are read; the others are in `point.soft`.
    style: of `STYLES`.

  Returns:
    Linear RGB, 0 or more.
  """
  material = _material(point, texture, look)
  if style == 'flat':
    return material.albedo
  bleed = material.is_skin[..., None] * jnp.asarray(_BLEED)
  bleed = bleed + material.is_hair[..., None] * 0.35
  if style == 'light':
    grey = material._replace(albedo=jnp.full_like(material.albedo, 0.7))
    return jnp.clip(_lit(point, grey, lights, 0 * bleed), 0.0, 1.0)
  facing = jnp.sum(point.normals * point.toward, -1)
  fresnel = jnp.clip(1 - facing, 0.0, 1.0) ** 4
  if style == 'clay':
    # Light goes far below the surface, and colours are rich.
    grey = jnp.mean(material.albedo, -1, keepdims=True)
    rich = jnp.clip(grey + 1.15 * (material.albedo - grey), 0.0, 1.0)
    rich = jnp.where(material.is_eye[..., None] > 0, material.albedo, rich)
    material = material._replace(albedo=rich, power=0.6 * material.power)
    color = _lit(point, material, lights, 2.0 * bleed)
    return _bend(1.15 * color + 0.8 * _glossy(point, material, lights, fresnel))
  color = _lit(point, material, lights, bleed)
  return _bend(color + _glossy(point, material, lights, fresnel))
