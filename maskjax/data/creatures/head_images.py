"""Pictures of creature heads with 3D truth, in resumable shards.

A shard holds `len(creatures.KINDS)` heads, one of each kind, seen from
several cameras under several lights: colour, coverage, view-space normals,
height above the back plane, and everything a caption needs. Shard `i` is a
pure function of `(seed, i)`, so any number of processes can build any subset.

Shapes: `n` pictures, `s` pixels a side.
"""

from collections.abc import Sequence
import pathlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Shaped, UInt8
import numpy as np
import tqdm

from maskjax.data import shards
from maskjax.data.creatures import creatures, table, traits
from maskjax.geometry import camera as camera_lib, color, mesh as mesh_lib
from maskjax.render import lights as lights_lib, renderer
from maskjax.studio import views as studio_views
from maskjax.training import files

# Pictures are rendered this many times larger and averaged down.
_SUPERSAMPLING = 2
# Sharp enough to count as a hard edge after the averaging.
_SIGMA = 1e-5
_GAMMA = 1e-5
_BUCKET = 4096
# Seen twice as often as the others.
MAIN_KINDS = frozenset(name for name, kind in table.KINDS.items() if kind.often)
_LIGHT_WEIGHTS = {'white': 4.0, 'warm': 2.0}
# At most one word of each of these groups describes a head.
_MODIFIERS = (traits.COLORS, traits.AGES, traits.MOODS, traits.MATERIALS)


class HeadImages(NamedTuple):
  """Pictures and what is true of them; `uint8` maps to [0, 1] by /255.

  Attributes:
    rgb: straight (not premultiplied) sRGB.
    alpha: coverage.
    normals: (x right, y up, z to the viewer) / 2 + 0.5.
    height: from the back plane to the front one.
    kind: index into `creatures.KINDS`.
    modifiers: str[n], words joined by ','.
    angles: azimuth and elevation in degrees.
    distance: of the camera, times the one that shows 40 cm.
    lighting: index into `studio.views.LIGHTINGS`.
    holes: eyes and mouth in the image, x y in [0, 1].
  """

  rgb: UInt8[np.ndarray, 'n s s 3']
  alpha: UInt8[np.ndarray, 'n s s']
  normals: UInt8[np.ndarray, 'n s s 3']
  height: UInt8[np.ndarray, 'n s s']
  kind: Int[np.ndarray, 'n']
  modifiers: Shaped[np.ndarray, 'n']
  angles: Float[np.ndarray, 'n 2']
  distance: Float[np.ndarray, 'n']
  lighting: Int[np.ndarray, 'n']
  holes: Float[np.ndarray, 'n 3 2']


def _pad(
  array: Shaped[np.ndarray, 'v 3'], rows: int
) -> Shaped[np.ndarray, 'w 3']:
  """Append zero rows; padded faces (0, 0, 0) have no area."""
  return np.pad(array, ((0, rows - len(array)),) + ((0, 0),) * (array.ndim - 1))


def _round_up(count: int) -> int:
  return -(-count // _BUCKET) * _BUCKET


def sample_views(
  rng: np.random.Generator, count: int
) -> tuple[
  Float[np.ndarray, 'n'],
  Float[np.ndarray, 'n'],
  Float[np.ndarray, 'n'],
  Int[np.ndarray, 'n'],
]:
  """Draw cameras and lightings; half of these are even.

  Args:
    rng: advanced by the draw.
    count: how many.

  Returns:
    Azimuths and elevations (degrees), factors on the distance, and indices
    into `studio.views.LIGHTINGS`.
  """
  azimuth = rng.uniform(-82, 82, count)
  elevation = np.clip(rng.normal(4, 18, count), -30, 45)
  frontal = rng.random(count) < 0.35
  azimuth = np.where(frontal, rng.uniform(-10, 10, count), azimuth)
  elevation = np.where(frontal, rng.uniform(-8, 10, count), elevation)
  distance = rng.uniform(0.94, 1.1, count)
  # White and warm light are drawn more often than the colours.
  weights = np.array(
    [
      0.0 if direction is None else _LIGHT_WEIGHTS.get(name, 1.0)
      for name, direction in studio_views.LIGHTINGS
    ]
  )
  lighting = rng.choice(len(weights), count, p=weights / weights.sum())
  lighting = np.where(rng.random(count) < 0.5, 0, lighting)
  return azimuth, elevation, distance, lighting


def _render(
  head: mesh_lib.Mesh,
  azimuth: Float[Array, 'n'],
  elevation: Float[Array, 'n'],
  distance: Float[Array, 'n'],
  lights: lights_lib.Lights,
  *,
  size: int,
) -> Float[Array, 'n s s 8']:
  """Render one head from every camera; return premultiplied, pooled maps."""
  cameras = jax.vmap(studio_views.orbit_camera)(azimuth, elevation, distance)
  image = renderer.render(
    head.vertices,
    head.faces,
    head.colors,
    cameras,
    lights,
    size=size * _SUPERSAMPLING,
    background=jnp.zeros(3),
    height_range=studio_views.HEIGHT_RANGE_CM,
    sigma=_SIGMA,
    gamma=_GAMMA,
  )
  maps = jnp.concatenate(
    [
      image.rgb,
      image.alpha,
      image.normals,
      image.height,
    ],
    axis=-1,
  )
  count = maps.shape[0]
  step = _SUPERSAMPLING
  return maps.reshape(count, size, step, size, step, -1).mean((2, 4))


def _padded(mesh: mesh_lib.Mesh) -> mesh_lib.Mesh:
  """Return a mesh whose arrays have one of a few sizes."""
  vertices, faces = _round_up(len(mesh.vertices)), _round_up(len(mesh.faces))
  return mesh_lib.Mesh(
    vertices=jnp.asarray(_pad(np.asarray(mesh.vertices), vertices)),
    faces=jnp.asarray(_pad(np.asarray(mesh.faces), faces)),
    colors=jnp.asarray(_pad(np.asarray(mesh.colors), vertices)),
  )


_render_jit = jax.jit(_render, static_argnames=('size',))


def _unpremultiply(
  maps: Float[np.ndarray, 'n s s 8'],
) -> dict[str, UInt8[np.ndarray, 'n s s *c']]:
  """Return the uint8 maps of `HeadImages` from premultiplied floats."""
  alpha = maps[..., 3:4]
  straight = maps / np.maximum(alpha, 1e-3)
  covered = alpha > 0.5 / 255  # what `alpha` below is not 0 for
  rgb = np.asarray(color.linear_to_srgb(jnp.clip(straight[..., :3], 0, 1)))
  normals = straight[..., 4:7]
  normals = normals / np.maximum(
    np.linalg.norm(normals, axis=-1, keepdims=True), 1e-6
  )
  return {
    'rgb': color.to_bytes(rgb * covered),
    'alpha': color.to_bytes(alpha[..., 0]),
    'normals': color.to_bytes((normals * 0.5 + 0.5) * covered),
    'height': color.to_bytes(straight[..., 7] * covered[..., 0]),
  }


def _draw_modifiers(rng: np.random.Generator) -> tuple[str, ...]:
  """Draw modifiers: most heads are plain, the others have one or two."""
  if rng.random() < 0.6:
    return ()
  chosen = rng.permutation(len(_MODIFIERS))[: rng.integers(1, 3)]
  return tuple(str(rng.choice(_MODIFIERS[i])) for i in chosen)


def render_head(
  rng: np.random.Generator, kind: str, *, views: int, size: int
) -> dict[str, np.ndarray]:
  """Build one random head of this kind and photograph it.

  Args:
    rng: NumPy generator.
    kind: a name of `creatures.KINDS`.
    views: pictures to take.
    size: picture side in pixels.

  Returns:
    The fields of `HeadImages` for `views` pictures.
  """
  modifiers = _draw_modifiers(rng)
  params = creatures.sample_parameters(rng, kind, modifiers)
  mesh = creatures.build(params)
  landmarks = creatures.landmarks(params)
  holes = np.stack([landmarks[n] for n in ('left_eye', 'right_eye', 'mouth')])
  azimuth, elevation, distance, lighting = sample_views(rng, views)
  table = studio_views.lighting_table()
  lights = jax.tree.map(lambda x: x[jnp.asarray(lighting)], table)
  keys = jax.random.split(jax.random.key(rng.integers(2**31)), views)
  lights = jax.vmap(studio_views.jitter_lights)(keys, lights)
  seen = tuple(
    jnp.asarray(x, jnp.float32) for x in (azimuth, elevation, distance)
  )
  maps = _render_jit(_padded(mesh), *seen, lights, size=size)
  cameras = jax.vmap(studio_views.orbit_camera)(*seen)
  pixels = jax.vmap(
    lambda camera: camera_lib.project(camera, jnp.asarray(holes))[0]
  )(cameras)
  fields = _unpremultiply(np.asarray(maps))
  fields.update(
    kind=np.full(views, creatures.KINDS.index(kind), np.int16),
    modifiers=np.array([','.join(modifiers)] * views),
    angles=np.stack([azimuth, elevation], -1).astype(np.float32),
    distance=distance.astype(np.float32),
    lighting=lighting.astype(np.int16),
    holes=np.asarray(pixels, np.float32),
  )
  return fields


def build_shard(
  path: pathlib.Path, index: int, *, seed: int, views: int, size: int
) -> None:
  """Render shard `index` to `path` (.npz); an existing file is kept."""
  if path.exists():
    return
  heads = []
  for number, kind in enumerate(creatures.KINDS):
    rng = np.random.default_rng([seed, index, number])
    count = views if kind in MAIN_KINDS else max(views // 2, 1)
    heads.append(render_head(rng, kind, views=count, size=size))
  fields: dict[str, Any] = {
    name: np.concatenate([head[name] for head in heads]) for name in heads[0]
  }
  with files.replacing(path) as temporary:
    np.savez(temporary, **fields)


def build(
  folder: pathlib.Path,
  numbers: Sequence[int],
  *,
  seed: int,
  views: int,
  size: int,
) -> None:
  """Render the shards of some numbers, with a progress bar.

  Args:
    folder: of the shards; those that exist are kept.
    numbers: which shards.
    seed: of the data set.
    views: pictures of each head of the main kinds; the others have half.
    size: pixels a side.

  Raises:
    ValueError: the folder holds shards of another seed or size.
  """
  recipe = {'seed': seed, 'views': views, 'size': size}
  shards.claim(folder, recipe)
  for index in tqdm.tqdm(numbers, desc='shards'):
    path = shards.path(folder, 'heads', index)
    build_shard(path, index, **recipe)


def load(paths: list[pathlib.Path]) -> HeadImages:
  """Read shards into one `HeadImages`.

  Raises:
    FileNotFoundError: when there is no shard.
    ValueError: one of them is broken, or of another size than the others.
  """
  if not paths:
    raise FileNotFoundError(
      'no head pictures found (*.npz); build them with '
      'python -m experiments.build_prior_data --workdir=DIR'
    )
  return HeadImages(**shards.load(paths, HeadImages.__annotations__))


def describe(images: HeadImages, index: int) -> dict[str, Any]:
  """Return kind, modifiers, view and light of one picture as plain values."""
  words = str(images.modifiers[index])
  light_color, light_direction = studio_views.LIGHTINGS[images.lighting[index]]
  return {
    'kind': creatures.KINDS[images.kind[index]],
    'modifiers': tuple(words.split(',')) if words else (),
    'azimuth': float(images.angles[index, 0]),
    'elevation': float(images.angles[index, 1]),
    'distance': float(images.distance[index]),
    'light_color': light_color,
    'light_direction': light_direction,
  }
