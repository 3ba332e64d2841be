"""The light in a photo, read off a face.

Skin is nearly matt: its colour is its albedo times the light that falls on
it, which depends on the normal alone (render.lights). Normals come from the
person's own landmarks. Two pictures of the light are fitted to the pixels of
the skin: one light from somewhere over an ambient one, whose direction has
words; and an environment in spherical harmonics up to band 2 (Ramamoorthi and
Hanrahan 2001), which starts from the first one, because a face turns no skin
toward the back and so says nothing about the light from there.

Hair, glasses and shadows are no skin: pixels that fit badly count little
(iteratively reweighted least squares, Holland and Welsch 1977).

Patent: claims 12 and 13, paragraph 104 (the user's light, in the renders and
in the words).

Shapes: `n` samples of skin, `m` directions.
"""

import functools
from typing import NamedTuple

import jax
from jax import lax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int
import numpy as np

from maskjax.face import crops, pose
from maskjax.geometry import (
  camera as camera_lib,
  canonical,
  color,
  mesh as mesh_lib,
  safe,
)
from maskjax.render import lights as lights_lib
from maskjax.studio import words as studio_words

# Vertices of the canonical face that are no skin: brows, lips, eyes, nostrils.
_BROWS = (
  276, 283, 282, 295, 285, 300, 293, 334, 296, 336,
  46, 53, 52, 65, 55, 70, 63, 105, 66, 107,
)  # fmt: skip
_OUTER_LIPS = (
  61, 146, 91, 181, 84, 17, 314, 405, 321, 375,
  291, 409, 270, 269, 267, 0, 37, 39, 40, 185,
)  # fmt: skip
_NOSTRILS = (2, 97, 326, 98, 327, 94, 19)
# Linear RGB albedo of skin of a middle tone; its level is a convention, since
# a dark skin in bright light is the same picture as a bright one in dim light.
SKIN = (0.42, 0.23, 0.16)
_DIRECTIONS = 300
_ROUNDS = 4
_REFINEMENTS = 12
# Skin seen at less than this cosine is blurred by the outline.
_GRAZING = 0.15
# From this share of the light coming from one direction it gets its words.
_DIRECTED = 0.4


class Skin(NamedTuple):
  """Samples of skin in a photo.

  Attributes:
    colors: linear RGB.
    normals: unit vectors in the head's frame.
    weights: how far each may be trusted, in [0, 1].
  """

  colors: Float[Array, 'n 3']
  normals: Float[Array, 'n 3']
  weights: Float[Array, 'n']


class LightEstimate(NamedTuple):
  """The light on a face, in the head's frame.

  Attributes:
    direction: unit vector toward the light.
    color: linear RGB of that light on a surface that faces it.
    ambient: linear RGB of the light from everywhere.
    harmonics: the whole environment, as in `render.lights.Lights`.
    error: root mean square of what is left unexplained, over the mean
      brightness.
  """

  direction: Float[Array, '3']
  color: Float[Array, '3']
  ambient: Float[Array, '3']
  harmonics: Float[Array, '9 3']
  error: Float[Array, '']


@functools.cache
def _skin_faces() -> Int[np.ndarray, 'f 3']:
  """Return the triangles of the canonical face that are skin."""
  faces = canonical.load().faces
  other = [*canonical.LEFT_EYE, *canonical.RIGHT_EYE, *canonical.INNER_LIPS]
  other += [*_BROWS, *_OUTER_LIPS, *_NOSTRILS]
  return faces[~np.isin(faces, other).any(1)]


@functools.cache
def _directions() -> Float[np.ndarray, 'm 3']:
  """Return unit vectors evenly over the front (a Fibonacci spiral).

  Light from behind the face leaves next to nothing on the skin that is seen;
  what would be told of it are the shadows of something else.
  """
  index = np.arange(_DIRECTIONS) + 0.5
  z = 1 - index / _DIRECTIONS
  angle = np.pi * (1 + 5**0.5) * index
  flat = np.sqrt(1 - z * z)
  rows = np.stack([flat * np.cos(angle), flat * np.sin(angle), z], -1)
  return rows.astype(np.float32)


def sample_skin(image: Float[Array, 'h w 3'], head: pose.HeadPose) -> Skin:
  """Look up the colours of a face's skin and the normals there.

  Args:
    image: sRGB in [0, 1].
    head: from `pose.head_pose` on this image.

  Returns:
    Three samples in each skin triangle; those that are turned away or outside
    of the picture have the weight 0.
  """
  height, width, _ = image.shape
  faces = _skin_faces()
  normals = mesh_lib.vertex_normals(
    head.points, jnp.asarray(canonical.load().faces)
  )
  mixes = jnp.array([[4, 1, 1], [1, 4, 1], [1, 1, 4]]) / 6
  places = jnp.einsum('kc,fcd->fkd', mixes, head.points[faces]).reshape(-1, 3)
  normals = jnp.einsum('kc,fcd->fkd', mixes, normals[faces]).reshape(-1, 3)
  normals = safe.safe_normalize(normals)
  seen, _ = camera_lib.project(head.camera, places)
  pixels = seen * jnp.array([[width, height]], seen.dtype)
  values = crops.sample(image, pixels)
  eye = head.camera.cam2world[:3, 3]
  toward = safe.safe_normalize(eye[None] - places)
  cosines = jnp.sum(normals * toward, -1)
  inside = jnp.all((seen > 0) & (seen < 1), -1)
  # Burnt out pixels tell no more than that there is light.
  clear = jnp.all(jnp.isfinite(values), -1) & (jnp.max(values, -1) < 0.995)
  usable = inside & clear & (cosines > _GRAZING)
  values = jnp.where(usable[:, None], values, 0.0)
  return Skin(
    colors=color.srgb_to_linear(values),
    normals=normals,
    weights=jnp.where(usable, jnp.minimum(2 * cosines, 1.0), 0.0),
  )


def _two_terms(
  shading: Float[Array, '*k n'],
  values: Float[Array, '*m n'],
  weights: Float[Array, 'n'],
) -> tuple[Float[Array, '*l'], Float[Array, '*l']]:
  """Fit values = ambient + direct * shading with both at least 0.

  Args:
    shading: clamped cosines of the samples with one or more directions.
    values: brightness of the samples, for one or more channels.
    weights: how far each sample is trusted.

  Returns:
    Ambient and direct light, of the leading shapes' broadcast.
  """
  total = jnp.sum(weights)
  mean_shading = shading @ weights / total
  mean_value = values @ weights / total
  spread = (shading**2) @ weights / total - mean_shading**2
  joint = (shading * values) @ weights / total - mean_shading * mean_value
  direct = jnp.maximum(joint / jnp.maximum(spread, 1e-6), 0.0)
  ambient = mean_value - direct * mean_shading
  # Where ambient light would be negative, all of it is direct.
  alone = ((shading * values) @ weights) / jnp.maximum(
    (shading**2) @ weights, 1e-6
  )
  dark = ambient < 0
  return jnp.where(dark, 0.0, ambient), jnp.where(dark, alone, direct)


def _shading(
  normals: Float[Array, 'n 3'], direction: Float[Array, '3']
) -> Float[Array, 'n']:
  """Return the clamped cosines of normals with one direction."""
  return jnp.maximum(normals @ direction, 0.0)


def _search(
  skin: Skin, values: Float[Array, 'n'], weights: Float[Array, 'n']
) -> Float[Array, '3']:
  """Return the best of all directions to the front."""
  candidates = jnp.asarray(_directions())
  shading = jnp.maximum(candidates @ skin.normals.T, 0.0)
  ambient, direct = _two_terms(shading, values[None], weights)
  left = values[None] - ambient[:, None] - direct[:, None] * shading
  best = jnp.argmin((left**2) @ weights)
  return candidates[best]


def _refine(
  skin: Skin,
  values: Float[Array, 'n'],
  weights: Float[Array, 'n'],
  direction: Float[Array, '3'],
) -> Float[Array, '3']:
  """Improve a direction by damped Gauss-Newton steps."""

  def step(x: Float[Array, '3'], _: None) -> tuple[Float[Array, '3'], None]:
    ambient, direct = _two_terms(_shading(skin.normals, x), values, weights)

    def left(x: Float[Array, '3']) -> Float[Array, 'n']:
      unit = safe.safe_normalize(x)
      return jnp.sqrt(weights) * (
        ambient + direct * _shading(skin.normals, unit) - values
      )

    jacobian = jax.jacfwd(left)(x)
    normal = jnp.matmul(jacobian.T, jacobian, precision=lax.Precision.HIGHEST)
    normal = normal + (1e-2 * jnp.trace(normal) + 1e-9) * jnp.eye(3)
    moved = x - jnp.linalg.solve(normal, jacobian.T @ left(x))
    return safe.safe_normalize(moved), None

  direction, _ = lax.scan(step, direction, None, length=_REFINEMENTS)
  return direction


def _trust(
  residuals: Float[Array, 'n'], weights: Float[Array, 'n']
) -> Float[Array, 'n']:
  """Weigh samples by how well they fit (Tukey's biweight)."""
  sizes = jnp.where(weights > 0, jnp.abs(residuals), jnp.nan)
  scale = 1.4826 * jnp.nanmedian(sizes) + 1e-4
  ratio = jnp.clip(jnp.abs(residuals) / (4.7 * scale), 0.0, 1.0)
  return weights * (1 - ratio**2) ** 2


def _environment(
  skin: Skin,
  weights: Float[Array, 'n'],
  colors: Float[Array, 'n 3'],
  estimate: tuple[Float[Array, '3'], Float[Array, '3'], Float[Array, '3']],
  ridge: float,
) -> Float[Array, '9 3']:
  """Fit spherical harmonics to what one light and an ambient one leave."""
  direction, direct, ambient = estimate
  basis = lights_lib.harmonics_basis(skin.normals)
  # One light is pi * Y(direction) times its colour (render.lights' scale).
  lobe = lights_lib.harmonics_basis(direction)
  prior = jnp.pi * lobe[:, None] * direct[None]
  prior = prior.at[0].add(ambient * 2 * jnp.sqrt(jnp.pi))
  lambert = jnp.array([1.0] + 3 * [2 / 3] + 5 * [1 / 4])
  design = basis * lambert[None]
  left = colors - design @ prior
  weighted = design * weights[:, None]
  normal = jnp.matmul(design.T, weighted, precision=lax.Precision.HIGHEST)
  normal = normal + ridge * jnp.sum(weights) * jnp.eye(9)
  return prior + jnp.linalg.solve(normal, weighted.T @ left)


def light_from_skin(
  skin: Skin,
  *,
  albedo: Float[Array, '3'] | tuple[float, float, float] = SKIN,
  ridge: float = 0.02,
) -> LightEstimate:
  """Find the light that explains the colours of skin.

  Args:
    skin: from `sample_skin`.
    albedo: linear RGB of the skin, if known. A wrong level makes the light
      brighter or dimmer, a wrong tint tints it; directions do not depend on
      it.
    ridge: how strongly the environment is held to the one light.

  Returns:
    The light; all 0 but for a direction to the front if there is no skin.
  """
  colors = skin.colors / jnp.asarray(albedo)[None]
  values = jnp.mean(colors, -1)
  level = jnp.sum(skin.weights * values) / jnp.maximum(
    jnp.sum(skin.weights), 1e-9
  )
  known = (jnp.sum(skin.weights) > 1.0) & (level > 1e-6)
  level = jnp.where(known, level, 1.0)
  values, colors = values / level, colors / level
  weights = jnp.where(known, skin.weights, 1.0)
  for _ in range(_ROUNDS):
    direction = _search(skin, values, weights)
    shading = _shading(skin.normals, direction)
    ambient, direct = _two_terms(shading, values, weights)
    left = values - ambient - direct * shading
    weights = _trust(left, jnp.where(known, skin.weights, 1.0))
  direction = _refine(skin, values, weights, direction)
  shading = _shading(skin.normals, direction)
  ambient, direct = _two_terms(shading[None], colors.T, weights)
  left = colors - ambient[None] - direct[None] * shading[:, None]
  harmonics = _environment(
    skin, weights, colors, (direction, direct, ambient), ridge
  )
  scale = jnp.where(known, level, 0.0)
  error = jnp.sum(weights[:, None] * left**2) / (3 * jnp.sum(weights))
  return LightEstimate(
    direction=jnp.where(known, direction, jnp.array([0.0, 0.0, 1.0])),
    color=direct * scale,
    ambient=ambient * scale,
    harmonics=harmonics * scale,
    error=jnp.where(known, safe.safe_sqrt(error), 0.0),
  )


def estimate_light(
  image: Float[Array, 'h w 3'],
  head: pose.HeadPose,
  *,
  albedo: Float[Array, '3'] | tuple[float, float, float] = SKIN,
) -> LightEstimate:
  """Find the light on the face of a photo.

  Args:
    image: sRGB in [0, 1].
    head: from `pose.head_pose` on this image.
    albedo: linear RGB of the skin, if known; see `light_from_skin`.

  Returns:
    The light, in the head's frame.
  """
  return light_from_skin(sample_skin(image, head), albedo=albedo)


def to_lights(estimate: LightEstimate) -> lights_lib.Lights:
  """Return one light over an ambient one, for the renderer."""
  return lights_lib.Lights(
    ambient=estimate.ambient,
    directions=estimate.direction[None],
    direction_colors=estimate.color[None],
    points=jnp.zeros((0, 3)),
    point_colors=jnp.zeros((0, 3)),
    harmonics=jnp.zeros((9, 3)),
  )


def to_environment(estimate: LightEstimate) -> lights_lib.Lights:
  """Return the light as an environment alone, for the renderer."""
  return lights_lib.create(harmonics=estimate.harmonics)


def directed_share(estimate: LightEstimate) -> Float[Array, '']:
  """Return the share in [0, 1] of the light that comes from one direction."""
  direct, ambient = jnp.mean(estimate.color), jnp.mean(estimate.ambient)
  return safe.safe_divide(direct, direct + ambient)


def words(estimate: LightEstimate) -> str:
  """Say the light in the words of prompts, e.g. 'lit by warm light from above'.

  Args:
    estimate: of one photo, not traced.

  Returns:
    Words of `words.light_words`; 'with uniform ... light' where most of it
    comes from everywhere.
  """
  if float(directed_share(estimate)) < _DIRECTED:
    return studio_words.light_words(studio_words.color_word(estimate.ambient))
  return studio_words.light_words(
    studio_words.color_word(estimate.color),
    studio_words.direction_word(estimate.direction),
  )
