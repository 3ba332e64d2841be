"""How well faces are seen: measured on rendered people, where all is known.

Each person is pictured twice. Once under one planted light over an ambient
one, from a camera around the front; and again in another moment: another
expression, camera and backdrop, and the mixed light of the data set (a room, a
key light, a second one). Found landmarks, pose and light are compared with the
truth, and embeddings of the two pictures with each other and with everyone
else's.

Shapes: `n` people, `s` pixels a side.
"""

from collections.abc import Sequence
import dataclasses
import json
import os
import pathlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float
import numpy as np

from maskjax.data.people import (
  expressions,
  face_images,
  heads,
  people,
  portrait,
  scenes,
)
from maskjax.face import identity, landmarks, light, networks, photo, pose
from maskjax.geometry import (
  color,
  ffhq,
)
from maskjax.render import lights as lights_lib
from maskjax.studio import words as studio_words
from maskjax.training import files

SIZE = 256
_FOVY = ffhq.FOVY
_FRONTAL_DEGREES = 25.0
_PHOTOS = ('.jpg', '.jpeg', '.png', '.webp')


class Picture(NamedTuple):
  """A picture of a rendered person, and the truth.

  Attributes:
    rgb: sRGB in [0, 1].
    landmarks: in [0, 1], x right and y down.
    cam2world: of the camera, mesh frame.
    light: unit vector toward the planted or the key light, mesh frame.
    frontal: whether the face is seen from the front.
  """

  rgb: Float[np.ndarray, 's s 3']
  landmarks: Float[np.ndarray, '468 2']
  cam2world: Float[np.ndarray, '4 4']
  light: Float[np.ndarray, '3']
  frontal: bool


def _planted_light(rng: np.random.Generator) -> lights_lib.Lights:
  """Draw one light in front of the face over an ambient one."""
  direction = rng.normal(size=3)
  direction[2] = abs(direction[2]) + 0.2
  strength = rng.uniform(0.5, 1.1)
  return lights_lib.directional(
    direction,
    color=(strength,) * 3,
    ambient=(rng.uniform(0.15, 0.6) * strength,) * 3,
  )


def _take(
  rng: np.random.Generator,
  params: people.PersonParams,
  lights: lights_lib.Lights,
) -> Picture:
  """Take one picture of a person; `rng` draws camera and backdrop."""
  head = heads.build_head(params)
  azimuth, elevation = face_images.sample_cameras(rng, 1)
  camera = ffhq.orbit(azimuth, elevation)
  taken = portrait.render_person(
    head,
    camera,
    lights,
    size=SIZE,
    samples=1,
    backdrop=scenes.sample_backdrop(rng),
  )
  away = max(abs(float(azimuth[0])), abs(float(elevation[0])))
  return Picture(
    rgb=np.asarray(color.linear_to_srgb(taken.rgb[0])),
    landmarks=np.asarray(taken.landmarks[0]),
    cam2world=np.asarray(camera.cam2world[0]),
    light=np.asarray(lights.directions[0]),
    frontal=away < _FRONTAL_DEGREES,
  )


def pictures(seed: int, index: int) -> tuple[Picture, Picture]:
  """Take both pictures of one person.

  Args:
    seed: of all people.
    index: which of them.

  Returns:
    The one under a planted light, and the one of another moment.
  """
  rng = np.random.default_rng([seed, index])
  params = people.sample_person(rng, identity=index)
  first = _take(rng, params, _planted_light(rng))
  later = dataclasses.replace(params, **expressions.sample(rng))
  exposure = 1 + 0.7 * params.skin.tone
  return first, _take(rng, later, scenes.sample_lights(rng, exposure))


@jax.jit
def _see(
  nets: Any, params: Any, image: Float[Array, 's s 3']
) -> tuple[
  Bool[Array, ''],
  Float[Array, '468 3'],
  Float[Array, '4 4'],
  light.LightEstimate,
  Float[Array, '128'],
]:
  """Look at a face: whether it is found, landmarks, pose, light, embedding."""
  found = landmarks.find(nets, image, refinements=1)
  points = found.points[0]
  head = pose.head_pose(points, SIZE, SIZE, fovy=_FOVY)
  estimate = light.estimate_light(image, head)
  row = identity.embed(params, image, points)
  return found.found[0], points, head.camera.cam2world, estimate, row


def _degrees(
  first: Float[np.ndarray, '3'], second: Float[np.ndarray, '3']
) -> float:
  """Return the angle between two directions."""
  lengths = np.linalg.norm(first) * np.linalg.norm(second)
  cosine = float(np.dot(first, second)) / max(float(lengths), 1e-9)
  return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def _turn(
  first: Float[np.ndarray, '3 3'], second: Float[np.ndarray, '3 3']
) -> float:
  """Return the angle between two rotations, degrees."""
  cosine = (np.trace(first.T @ second) - 1) / 2
  return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def judge(picture: Picture) -> dict[str, Any]:
  """Compare what is seen in a picture with the truth.

  Args:
    picture: from `pictures`.

  Returns:
    found, frontal; if found, the mean landmark error in outer eye distances,
    errors of the head's turn and of the light in degrees, whether the light's
    direction gets the right word, and the embedding; all of it JSON.
  """
  found, points, cam2world, estimate, row = _see(
    networks.load(), identity.load(), jnp.asarray(picture.rgb)
  )
  result: dict[str, Any] = {'found': bool(found), 'frontal': picture.frontal}
  if not found:
    return result
  eyes = np.linalg.norm(picture.landmarks[33] - picture.landmarks[263])
  off = np.asarray(points)[:, :2] - picture.landmarks
  direction = np.asarray(estimate.direction)
  return result | {
    'landmarks': float(np.linalg.norm(off, axis=-1).mean() / eyes),
    'turn': _turn(np.asarray(cam2world)[:3, :3], picture.cam2world[:3, :3]),
    'light': _degrees(direction, picture.light),
    'word': studio_words.direction_word(direction)
    == studio_words.direction_word(picture.light),
    'embedding': np.asarray(row).round(5).tolist(),
  }


def identity_results(
  groups: Sequence[Sequence[Any]],
) -> dict[str, float]:
  """Compare embeddings within and between people.

  Args:
    groups: per person, the embeddings of their pictures, f[128] or lists.

  Returns:
    Means and deviations of distances, and the equal error rate.

  Raises:
    ValueError: fewer than two people, or nobody with two pictures.
  """
  owners = np.concatenate([[i] * len(g) for i, g in enumerate(groups)])
  if len(groups) < 2 or len(owners) == len(groups):
    raise ValueError(
      'identities need two people, and somebody with two pictures; got '
      f'{len(groups)} people and {len(owners)} pictures'
    )
  rows = np.stack([np.asarray(row) for group in groups for row in group])
  apart = np.linalg.norm(rows[:, None] - rows[None], axis=-1)
  first, second = np.triu_indices(len(rows), 1)
  pairs, alike = apart[first, second], owners[first] == owners[second]
  same, different = pairs[alike], pairs[~alike]
  rate, threshold = identity.equal_error_rate(same, different)
  return {
    'pictures': float(len(rows)),
    'same_mean': float(same.mean()),
    'same_std': float(same.std()),
    'different_mean': float(different.mean()),
    'different_std': float(different.std()),
    'equal_error_rate': rate,
    'threshold': threshold,
  }


def _summary(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
  """Summarise the judgements of one kind of picture."""
  seen = [row for row in rows if row['found']]
  frontal = [row['found'] for row in rows if row['frontal']]
  return {
    'found_percent': 100 * len(seen) / len(rows),
    'found_frontal_percent': 100 * float(np.mean(frontal)) if frontal else 0.0,
    'landmark_error_percent': 100
    * float(np.median([row['landmarks'] for row in seen])),
    'turn_degrees': float(np.median([row['turn'] for row in seen])),
    'light_degrees': float(np.median([row['light'] for row in seen])),
    'light_degrees_p90': float(
      np.percentile([row['light'] for row in seen], 90)
    ),
    'light_word_percent': 100 * float(np.mean([row['word'] for row in seen])),
  }


def _finished(path: pathlib.Path) -> list[Any]:
  """Read the finished people of a run; half a last line is taken away."""
  if not path.exists():
    return []
  *lines, torn = path.read_text('utf-8', 'replace').split('\n')
  if torn:
    files.write_text(path, ''.join(f'{line}\n' for line in lines))
  try:
    return [json.loads(line) for line in lines]
  except json.JSONDecodeError as error:
    raise ValueError(
      f'{path} holds no results ({error}); delete it to begin anew'
    ) from None


def evaluate(
  workdir: str | os.PathLike, *, count: int = 200, seed: int = 1
) -> dict[str, dict[str, float]]:
  """Measure detection, landmarks, pose, light and identity.

  Finished people are kept: the same call goes on where it was broken off.

  Args:
    workdir: where results.json and people_SEED.jsonl (a line each) go.
    count: people.
    seed: of the people.

  Returns:
    {'planted light': ..., 'mixed light': ..., 'identity': ...}.

  Raises:
    ValueError: fewer than two people.
  """
  if count < 2:
    raise ValueError(f'--count is {count}; identities need at least 2 people')
  path = pathlib.Path(workdir) / f'people_{seed}.jsonl'
  path.parent.mkdir(parents=True, exist_ok=True)
  pairs = _finished(path)[:count]
  with open(path, 'a', encoding='utf-8') as file:
    for index in range(len(pairs), count):
      pairs.append([judge(picture) for picture in pictures(seed, index)])
      file.write(json.dumps(pairs[-1]) + '\n')
      file.flush()
  groups = [[r['embedding'] for r in pair if r['found']] for pair in pairs]
  first, second = zip(*pairs)
  results = {
    'planted light': _summary(first),
    'mixed light': _summary(second),
    'identity': identity_results([group for group in groups if group]),
  }
  files.write_json(path.with_name('results.json'), results)
  return results


def evaluate_photos(folder: str | os.PathLike) -> dict[str, float]:
  """Compare the identities in photos: a folder of pictures for each person.

  Args:
    folder: with a folder of photos for each person.

  Returns:
    As `identity_results`.

  Raises:
    ValueError: no such folders, or a photo without a face.
  """
  people_folders = sorted(
    p for p in pathlib.Path(folder).glob('*') if p.is_dir()
  )
  groups = []
  for person in people_folders:
    group = []
    for path in sorted(person.iterdir()):
      if path.suffix.lower() in _PHOTOS:
        image = photo.read(path)
        face = photo.look(image, name=str(path))
        row = jax.jit(identity.embed)(
          identity.load(), jnp.asarray(image), face.points
        )
        group.append(np.asarray(row))
    groups.append(group)
  if not groups:
    raise ValueError(f'{folder}: no folders; expected one for each person')
  return identity_results([group for group in groups if group])


def table(results: dict[str, dict[str, float]]) -> str:
  """Return results as lines of text."""
  lines = []
  for name, values in results.items():
    lines.append(name)
    lines += [f'  {key:24s}{value:8.3g}' for key, value in values.items()]
  return '\n'.join(lines)
