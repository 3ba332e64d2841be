"""How good a source domain is: pictures, depth, turn, identity, speed.

Everything is measured on the averaged generator, on cameras of the data set,
beside the same measure of the data set's own pictures where there is one: a
network that finds faces or compares them has errors of its own.

Shapes: N pictures, V views, H side of an image, S of the rendering, Z numbers
in a latent.
"""

from collections.abc import Callable, Iterator
import dataclasses
import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float, Float32, Int, UInt8
import numpy as np

from maskjax.evaluation import distributions as distributions_lib, gan_metrics
from maskjax.gan import (
  autodecoder,
  draws as draws_lib,
  kinds,
  model as model_lib,
)
from maskjax.geometry import color
from maskjax.people_gan import (
  batches as people_batches,
  flat_pictures,
  pictures as people_pictures,
)
from maskjax.training import progress, settings

# Side that faces are looked for at: at 64 pixels they are too small.
_LOOKED_AT = 256
_YAWS = (-30.0, -15.0, 0.0, 15.0, 30.0)
_COVERED = 0.9
# From pictures, uint8, to a row of features each.
Look = Callable[[np.ndarray], np.ndarray]
# Share of faces that must be found to measure anything on them.
_FOUND = 0.25


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
  """What to measure on how much.

  Attributes:
    pictures: number of pictures, for their distribution.
    scenes: number of known scenes, for depth.
    identities: number of new people, each from five sides, for turn and
      identity.
    batch: number of pictures that are made together.
    psi: truncation toward the mean latent, 1 for none.
    seed: seed of latents and cameras.
  """

  pictures: int = settings.number(8, default=2000)
  scenes: int = settings.number(1, default=200)
  identities: int = settings.number(2, default=60)
  batch: int = settings.number(1, default=20)
  psi: float = settings.number(default=1.0)
  seed: int = settings.seed(default=0)

  def __post_init__(self):
    settings.check_limits(self)


class Made(NamedTuple):
  """Generated pictures.

  Attributes:
    image: sRGB.
    depth: depth along the cameras' axes, units.
    alpha: coverage, [0, 1].
    camera: EG3D's 25 numbers that were asked for.
  """

  image: UInt8[np.ndarray, 'n h h 3']
  depth: Float32[np.ndarray, 'n s s']
  alpha: Float32[np.ndarray, 'n s s']
  camera: Float32[np.ndarray, 'n 25']


def axis_depth(
  depth: Float[Any, 'n s s'], camera: Float[Any, 'n 25']
) -> Float[np.ndarray, 'n s s']:
  """Turn depths along rays into depths along the cameras' axes.

  Args:
    depth: depth along the ray of each pixel, units.
    camera: EG3D's 25 numbers of each picture.
  """
  cosine = autodecoder.cosines(jnp.asarray(camera), depth.shape[1])
  return np.asarray(depth) * np.asarray(cosine)


def _parts(count: int, batch: int) -> Iterator[tuple[np.ndarray, int]]:
  """Yield numbers in batches of one size, and how many are new."""
  for start in range(0, count, batch):
    numbers = np.minimum(np.arange(start, start + batch), count - 1)
    yield numbers, min(batch, count - start)


def make(
  model: model_lib.Model,
  z: Float[np.ndarray, 'n z'],
  camera: Float[np.ndarray, 'n 25'],
  *,
  batch: int,
  psi: float | None,
  name: str = 'pictures',
) -> Made:
  """Generate pictures in batches.

  Args:
    model: EG3D.
    z: latents.
    camera: camera of each latent.
    batch: number of pictures that are made together.
    psi: truncation toward the mean latent; None for none.
    name: word before the progress.
  """
  parts = []
  with progress.bar(len(z), keys=(), name=name) as report:
    for numbers, new in _parts(len(z), batch):
      made = people_pictures.show(
        model.module,
        model.variables,
        jnp.asarray(z[numbers]),
        jnp.asarray(camera[numbers])[:, None],
        psi,
      )
      parts.append([np.asarray(x)[:new] for x in made])
      report(min(int(numbers[0]) + batch, len(z)), {})
  image, depth, alpha = (np.concatenate(part) for part in zip(*parts))
  return Made(
    image=color.signed_to_bytes(image),
    depth=axis_depth(depth, camera),
    alpha=alpha,
    camera=camera,
  )


def enlarged(
  images: UInt8[np.ndarray, 'n a a 3'], side: int
) -> Float[np.ndarray, 'n h h 3']:
  """Enlarge pictures smoothly, a few at a time.

  Args:
    images: sRGB in bytes.
    side: side of the result, pixels.

  Returns:
    sRGB in [0, 1].
  """
  parts = []
  for start in range(0, len(images), 50):
    part = jnp.asarray(images[start : start + 50], jnp.float32) / 255
    shape = (len(part), side, side, 3)
    parts.append(np.asarray(jax.image.resize(part, shape, 'cubic')))
  return np.clip(np.concatenate(parts), 0, 1)


def relief(
  depth: Float[np.ndarray, 'n s s'], alpha: Float[np.ndarray, 'n s s']
) -> float:
  """Return the mean variance of depth within pictures, units squared.

  Args:
    depth: depth along the cameras' axes, units.
    alpha: coverage, [0, 1].

  Raises:
    ValueError: no picture shows a surface.
  """
  variances = [
    d[a > _COVERED].var() for d, a in zip(depth, alpha) if (a > _COVERED).any()
  ]
  if not variances:
    raise ValueError('no picture shows a surface: alpha is 0 everywhere')
  return float(np.mean(variances))


def truth(
  data: people_batches.SourceData, numbers: Int[np.ndarray, 'n'], side: int
) -> tuple[Float[np.ndarray, 'n s s'], Float[np.ndarray, 'n s s']]:
  """Return coverage and depth along the axis of some pictures, at a side.

  Args:
    data: pictures of all scenes.
    numbers: numbers of pictures, scene by scene and view by view.
    side: side of the rendering, pixels.
  """
  flat = lambda x: x.reshape(-1, *x.shape[2:])[numbers]
  camera = jnp.asarray(flat(data.camera))
  alpha, depth = autodecoder.rendered_truth(
    jnp.asarray(flat(data.alpha), jnp.float32) / 255,
    jnp.asarray(flat(data.depth), jnp.float32),
    camera,
    side,
  )
  return np.asarray(alpha), axis_depth(depth, camera)


def distributions(
  made: UInt8[np.ndarray, 'n h h 3'],
  real: UInt8[np.ndarray, 'm h h 3'],
  look: Look | None = None,
) -> dict[str, float]:
  """Compare generated pictures with as many real ones.

  Args:
    made: generated pictures.
    real: real pictures, as many or more; of twice as many, the second half
      tells how far real pictures are from each other.
    look: Inception's features of pictures, see `inception.extractor`.

  Returns:
    'face_frechet' (on the identity network's features: not an FID),
    'precision' and 'recall'; with `look` also 'fid' and 'kid'. Distances
    between real pictures have the same names and '_real'.
  """
  count, values = len(made), {}
  pairs = {'': made}
  if len(real) >= 2 * count:
    pairs['_real'] = real[count : 2 * count]
  true = gan_metrics.face_features(real[:count])
  for ending, images in pairs.items():
    rows = gan_metrics.face_features(images)
    values[f'face_frechet{ending}'] = distributions_lib.frechet_distance(
      true, rows
    )
    shared = distributions_lib.precision_recall(true, rows)
    values[f'precision{ending}'] = float(shared.precision)
    values[f'recall{ending}'] = float(shared.recall)
  if look is not None:
    true = look(real[:count])
    for ending, images in pairs.items():
      rows = look(images)
      values[f'fid{ending}'] = distributions_lib.frechet_distance(true, rows)
      values[f'kid{ending}'] = distributions_lib.kernel_distance(true, rows)
  return values


def known_depth(
  model: model_lib.Model,
  codes: Float[np.ndarray, 'n z'],
  data: people_batches.SourceData,
  request: Request,
) -> dict[str, float]:
  """Compare depth maps of known scenes with the renderer's.

  Args:
    model: EG3D.
    codes: mean latents of all scenes of the data.
    data: pictures of known scenes.
    request: what to measure, and on how many.
  """
  count = min(request.scenes, len(data.image))
  rng = np.random.default_rng([request.seed, 1])
  scenes = rng.permutation(len(data.image))[:count]
  have = data.image.shape[1]
  numbers = scenes * have + rng.integers(have, size=count)
  made = make(
    model,
    codes[scenes],
    data.camera.reshape(-1, 25)[numbers],
    batch=request.batch,
    psi=None,
    name='known people',
  )
  alpha, depth = truth(data, numbers, made.depth.shape[1])
  image = data.image.reshape(-1, *made.image.shape[1:])[numbers]
  apart = np.abs(image.astype(np.float32) - made.image)
  return {
    'known_depth_error': gan_metrics.depth_error(made.depth, depth, alpha),
    'known_flatness': gan_metrics.flatness(made.depth, depth, alpha),
    'known_image_error': float(apart.mean() / 255),
  }


def _faces(
  images: UInt8[np.ndarray, 'n h h 3'],
  camera: Float[np.ndarray, 'n 25'],
  views: int,
) -> tuple[float, dict[str, float]]:
  """Return the share of faces that are found, and what they show.

  Args:
    images: pictures, all views of a person after one another.
    camera: camera of each.
    views: number of views of a person.

  Returns:
    The share; errors of turn (degrees) and distances of identities, nothing
    where faces are too few to tell.
  """
  large = enlarged(images, _LOOKED_AT)
  turn = gan_metrics.yaw_error(large, camera)
  if turn.found < _FOUND:
    return turn.found, {}
  same = gan_metrics.identity_consistency(
    large.reshape(-1, views, *large.shape[1:])
  )
  return turn.found, {
    'yaw_error': turn.median,
    'identity_same': same['same_mean'],
    'identity_different': same['different_mean'],
    'identity_equal_error': same['equal_error_rate'],
  }


def turned_people(
  model: model_lib.Model,
  data: people_batches.SourceData,
  request: Request,
) -> dict[str, float]:
  """Measure turn and identity of new people, and of the data set's.

  Where too few faces are found, only their share is reported.

  Args:
    model: EG3D.
    data: pictures of known scenes.
    request: what to measure, and on how many.
  """
  count, size = request.identities, model.module.config.backbone.z_dim
  seeds = range(request.seed + 10_000, request.seed + 10_000 + count)
  z = np.asarray(draws_lib.of_seeds(seeds, size))
  yaws = np.asarray(people_pictures.turned(_YAWS))
  made = make(
    model,
    np.repeat(z, len(_YAWS), 0),
    np.tile(yaws, (count, 1)),
    batch=request.batch,
    psi=request.psi,
    name='turned people',
  )
  values = {}
  views = min(len(_YAWS), data.image.shape[1])
  rows = np.linspace(0, len(data.image) - 1, min(count, len(data.image)))
  real = data.image[rows.astype(int), :views]
  real = real.reshape(-1, *real.shape[2:])
  cameras = data.camera[rows.astype(int), :views].reshape(-1, 25)
  for name, images, camera, per in (
    ('', made.image, made.camera, len(_YAWS)),
    ('_real', real, cameras, views),
  ):
    found, measured = _faces(images, camera, per)
    values[f'faces_found{name}'] = found
    values |= {f'{key}{name}': value for key, value in measured.items()}
  return values


def _timed(make_all: Callable[[], Any]) -> tuple[Any, float]:
  """Return what is made, and the seconds that it took."""
  begun = time.monotonic()
  return make_all(), time.monotonic() - begun


def _flat_pictures(
  model: model_lib.Model, z: Float[np.ndarray, 'n z'], request: Request
) -> UInt8[np.ndarray, 'n h h 3']:
  """Generate pictures in two dimensions, in batches."""
  parts = []
  with progress.bar(len(z), keys=(), name='pictures') as report:
    for numbers, new in _parts(len(z), request.batch):
      images = flat_pictures.images(
        model.module, model.variables, jnp.asarray(z[numbers]), request.psi
      )
      parts.append(color.signed_to_bytes(images)[:new])
      report(min(int(numbers[0]) + request.batch, len(z)), {})
  return np.concatenate(parts)


def _check_generator(model: model_lib.Model, data: people_batches.SourceData):
  """Raise ValueError unless the network makes pictures as large as the data."""
  generator: Any = model.module
  if kinds.find(generator) is None:
    raise ValueError('the checkpoint is no generator of pictures')
  side = generator.config.output_side
  if data.image.shape[2] != side:
    raise ValueError(
      f'the data has pictures of {data.image.shape[2]} pixels, the generator '
      f'makes {side}'
    )


def measure(
  model: model_lib.Model,
  data: people_batches.SourceData,
  codes: Float[np.ndarray, 'n z'] | None,
  request: Request,
  look: Look | None = None,
) -> dict[str, float]:
  """Measure a generator; one without cameras by its pictures alone.

  What cannot be measured, such as the turn of faces that are not found, is
  left out.

  Args:
    model: EG3D or StyleGAN2.
    data: pictures of the people that it learnt from.
    codes: mean latents of their scenes, None for a generator that has none.
    request: what to measure, and on how many.
    look: Inception's features of pictures, for FID and KID.

  Raises:
    ValueError: no generator, or data of another size.
  """
  _check_generator(model, data)
  generator: Any = model.module
  has_cameras = kinds.of(generator).has_cameras
  rng = np.random.default_rng(request.seed)
  real = data.image.reshape(-1, *data.image.shape[2:])
  order = rng.permutation(len(real))[: 2 * request.pictures]
  count = min(request.pictures, len(real))
  size = generator.config.backbone.z_dim
  z = rng.standard_normal((count, size)).astype(np.float32)
  if has_cameras:
    camera = data.camera.reshape(-1, 25)[order[:count]]
    batch, psi = request.batch, request.psi
    made, seconds = _timed(lambda: make(model, z, camera, batch=batch, psi=psi))
    images = made.image
  else:
    images, seconds = _timed(lambda: _flat_pictures(model, z, request))
  values: dict[str, float] = {
    'pictures': count,
    'seconds_per_1000': 1000 * seconds / count,
    **distributions(images, real[order], look),
  }
  if not has_cameras:
    return values
  alpha, depth = truth(data, order[:count], made.depth.shape[1])
  # A network that has just begun may make fog, which has no depth.
  if (made.alpha > _COVERED).any():
    # Of new people nobody knows the depth: how much less it varies than that
    # of the data's people from the same cameras.
    lost = 1 - relief(made.depth, made.alpha) / relief(depth, alpha)
    values['flatness'] = lost
  values |= turned_people(model, data, request)
  if codes is not None:
    values |= known_depth(model, codes, data, request)
  return values


def alike(
  drawn: Float[np.ndarray, 'n v h h 3'],
  rendered: Float[np.ndarray, 'n v h h 3'],
) -> dict[str, float]:
  """Measure how well pictures in two dimensions follow those in three.

  Args:
    drawn: pictures of the StyleGAN2, see `flat_pictures.pairs`.
    rendered: pictures of the EG3D from the same latents.

  Returns:
    'same_person', the share of pictures that are nearer to the rendering of
    their own person than to that of any other from the same side, and
    'same_view', the share that are nearer to their own side of this person
    than to any other.
  """

  def nearest(picture, among):
    return np.abs(among - picture).mean((1, 2, 3)).argmin()

  positions = list(np.ndindex(drawn.shape[:2]))
  person = [nearest(drawn[n, v], rendered[:, v]) == n for n, v in positions]
  view = [nearest(drawn[n, v], rendered[n]) == v for n, v in positions]
  return {
    'same_person': float(np.mean(person)),
    'same_view': float(np.mean(view)),
  }


def table(values: dict[str, float]) -> str:
  """Return the numbers as lines of a table, the data's own beside."""
  lines = ['| measure | generated | data |', '|---|---|---|']
  for name, value in values.items():
    if not name.endswith('_real'):
      real = values.get(f'{name}_real')
      shown = '' if real is None else f'{real:.4g}'
      lines.append(f'| {name} | {value:.4g} | {shown} |')
  return '\n'.join(lines)
