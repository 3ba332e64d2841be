"""How a surface point looks under lights: from matte to metal.

All models share `lights.Lights`, linear RGB, and its scale: a white matte
surface that faces a light of colour 1 has the colour 1.

| kind | what it is |
|---|---|
| 'unlit' | the albedo itself |
| 'lambert' | matte |
| 'textureless' | matte and grey, whatever the albedo: shows the shape |
| 'blinn_phong' | matte with highlights |
| 'pbr' | metal and roughness, as glTF has them |

Sources: Blinn, "Models of Light Reflection for Computer Synthesized
Pictures" (1977); glTF 2.0 specification, appendix B (GGX with Smith's
visibility and Schlick's Fresnel term); Karis, "Physically Based Shading on
Mobile" (2014) for the ambient part of a highlight.

Shapes: `N` points, `L` lights.
"""

from collections.abc import Iterator
import dataclasses
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from maskjax.geometry import safe
from maskjax.render import lights as lights_lib

KINDS = ('unlit', 'lambert', 'textureless', 'blinn_phong', 'pbr')
_GREY = 0.7
# Reflectance of plastic, skin and glass, seen head on.
_DIELECTRIC = 0.04
# Smoother surfaces would have highlights smaller than float32 can hold.
_LEAST_ROUGHNESS = 0.045


class Material(NamedTuple):
  """How a surface reflects, apart from its albedo.

  Attributes:
    specular: strength of the highlight of 'blinn_phong', in [0, 1].
    shininess: exponent of that highlight; the larger, the smaller.
    metallic: how much of a metal 'pbr' makes the surface, in [0, 1].
    roughness: how rough 'pbr' makes the surface, in [0, 1].
  """

  specular: float | Float[Array, ''] = 0.25
  shininess: float | Float[Array, ''] = 32.0
  metallic: float | Float[Array, ''] = 0.0
  roughness: float | Float[Array, ''] = 0.5


class Points(NamedTuple):
  """What is shaded.

  Attributes:
    albedo: linear RGB in [0, 1].
    normals: unit vectors, world.
    positions: world, cm.
    toward_eye: unit vectors, world.
  """

  albedo: Float[Array, 'n 3']
  normals: Float[Array, 'n 3']
  positions: Float[Array, 'n 3']
  toward_eye: Float[Array, 'n 3']


def _dot(a: Float[Array, 'n 3'], b: Float[Array, 'n 3']) -> Float[Array, 'n 1']:
  """Return the dot products of vectors."""
  return jnp.sum(a * b, -1, keepdims=True)


def _arriving(
  lights: lights_lib.Lights, points: Points
) -> Iterator[tuple[Float[Array, 'n 3'], Float[Array, 'n 3']]]:
  """List single lights: unit vectors toward them, and what arrives."""
  for i in range(lights.directions.shape[0]):
    toward = jnp.broadcast_to(lights.directions[i], points.positions.shape)
    color = jnp.broadcast_to(lights.direction_colors[i], toward.shape)
    yield toward, color
  for i in range(lights.points.shape[0]):
    offsets = lights.points[i][None] - points.positions
    squared = jnp.broadcast_to(_dot(offsets, offsets), offsets.shape)
    color = jnp.broadcast_to(lights.point_colors[i], offsets.shape)
    yield safe.safe_normalize(offsets), safe.safe_divide(color, squared)


def _blinn_phong(
  points: Points, lights: lights_lib.Lights, material: Material
) -> Float[Array, 'n 3']:
  """Shade matte, with a highlight around each light's half vector."""
  diffuse = lights_lib.irradiance(lights, points.positions, points.normals)
  total = points.albedo * diffuse
  for toward, color in _arriving(lights, points):
    # Blinn's half vector in place of Phong's mirrored one.
    half = safe.safe_normalize(toward + points.toward_eye)
    cosine = jnp.maximum(_dot(points.normals, half), 1e-6)
    lit = _dot(points.normals, toward) > 0
    lobe = jnp.where(lit, cosine**material.shininess, 0.0)
    total = total + material.specular * color * lobe
  return total


def _ambient_reflection(
  f0: Float[Array, 'n 3'],
  roughness: Float[Array, ''],
  cosine: Float[Array, 'n 1'],
) -> Float[Array, 'n 3']:
  """Return the part of even light that a surface mirrors."""
  # The polynomial of Karis (2014), `EnvBRDFApprox`.
  r = roughness * jnp.asarray([-1.0, -0.0275, -0.572, 0.022], f0.dtype)
  r = r + jnp.asarray([1.0, 0.0425, 1.04, -0.04], f0.dtype)
  a = jnp.minimum(r[0] ** 2, jnp.exp2(-9.28 * cosine)) * r[0] + r[1]
  scale, bias = -1.04 * a + r[2], 1.04 * a + r[3]
  return f0 * scale + bias


def _pbr(
  points: Points, lights: lights_lib.Lights, material: Material
) -> Float[Array, 'n 3']:
  """Shade by metal and roughness: GGX highlights over a matte base."""
  normals, eye = points.normals, points.toward_eye
  metallic = jnp.asarray(material.metallic, normals.dtype)
  roughness = jnp.asarray(material.roughness, normals.dtype)
  roughness = jnp.maximum(roughness, _LEAST_ROUGHNESS)
  squared = roughness**4
  f0 = _DIELECTRIC * (1 - metallic) + points.albedo * metallic
  base = points.albedo * (1 - metallic)
  n_v = jnp.maximum(_dot(normals, eye), 1e-4)

  none = jnp.zeros_like(lights.directions[:0])
  even = dataclasses.replace(
    lights,
    directions=none,
    direction_colors=none,
    points=none,
    point_colors=none,
  )
  mirrored = 2 * _dot(normals, eye) * normals - eye
  reflected = _ambient_reflection(f0, roughness, n_v)
  matte = lights_lib.irradiance(even, points.positions, normals)
  shiny = lights_lib.irradiance(even, points.positions, mirrored)
  total = base * (1 - reflected) * matte + reflected * shiny

  for toward, color in _arriving(lights, points):
    half = safe.safe_normalize(toward + eye)
    n_l = jnp.maximum(_dot(normals, toward), 0.0)
    n_h = jnp.maximum(_dot(normals, half), 0.0)
    v_h = jnp.clip(_dot(eye, half), 0.0, 1.0)
    # F of glTF's appendix B: Schlick's polynomial.
    fresnel = f0 + (1 - f0) * (1 - v_h) ** 5
    # D of appendix B (GGX) times pi, as light here is divided by pi.
    spread = squared / (n_h * n_h * (squared - 1) + 1) ** 2
    # V of appendix B: Smith's joint masking and shadowing.
    shadow = n_l * jnp.sqrt(n_v * n_v * (1 - squared) + squared)
    mask = n_v * jnp.sqrt(n_l * n_l * (1 - squared) + squared)
    visible = 0.5 / (shadow + mask)
    total = total + color * n_l * (
      base * (1 - fresnel) + fresnel * spread * visible
    )
  return total


def shade(
  kind: str,
  points: Points,
  lights: lights_lib.Lights,
  material: Material | None = None,
) -> Float[Array, 'n 3']:
  """Compute the colour of points, without shadows.

  Args:
    kind: one of `KINDS`.
    points: what is shaded, where, and from where it is seen.
    lights: the lights of one scene (unbatched).
    material: how the surface reflects, or None for the default.

  Returns:
    Linear RGB, at least 0; highlights may exceed 1.

  Raises:
    ValueError: unknown kind.
  """
  if kind not in KINDS:
    raise ValueError(f'shading {kind!r} is not one of {", ".join(KINDS)}')
  material = Material() if material is None else material
  if kind == 'unlit':
    return points.albedo
  if kind == 'blinn_phong':
    return _blinn_phong(points, lights, material)
  if kind == 'pbr':
    return _pbr(points, lights, material)
  albedo = points.albedo
  if kind == 'textureless':
    albedo = jnp.full_like(albedo, _GREY)
  return albedo * lights_lib.irradiance(
    lights, points.positions, points.normals
  )
