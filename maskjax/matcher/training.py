"""Training of the matcher, and its accuracy on heads it has not seen.

Each step asks three questions about every picture of a batch: which kind,
which view, which light? Each is a softmax over all phrases of its sort; a
kind is called by one of its names, drawn anew in every step.

Shapes: `b` pictures, `s` pixels a side, `k` kinds, `t` words.
"""

from collections.abc import Callable
import dataclasses
import functools
import pathlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray
import numpy as np
import optax

from maskjax.data.creatures import (
  batches as head_batches,
  captions,
  creatures,
  head_images,
)
from maskjax.matcher import network as matcher_lib
from maskjax.studio import views as studio_views
from maskjax.training import (
  files,
  settings as settings_lib,
  state as state_lib,
  task as task_lib,
  trainer,
  workdir as workdir_lib,
)

# How far a picture is moved, px; how often it is cut to an oval, like a mask.
_SHIFT = 4
_OVAL_RATE = 0.2
# Strongest noise that is added: samples and renders are not free of it.
_NOISE = 0.08


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings(trainer.Settings):
  """A training of the matcher; its values are in configs/matcher.py.

  Attributes:
    data: folder of `experiments.build_prior_data`.
    held_out: number of its last shards that the matcher is judged by.
    channels: widths of the image tower's levels, the finest first.
    features: width of the space in which pictures and words meet.
    batch_size: pictures of a step.
    learning_rate: largest rate of AdamW.
    warmup_steps: first steps, in which the rate rises from 0.
    weight_decay: of AdamW.
    ema_decay: decay of the average of the weights, which is what is saved.
  """

  data: str
  held_out: int = settings_lib.number(1)
  channels: tuple[int, ...] = settings_lib.number(1)
  features: int = settings_lib.number(1)
  batch_size: int = settings_lib.number(1)
  learning_rate: float = settings_lib.number(0)
  warmup_steps: int = settings_lib.number(0)
  weight_decay: float = settings_lib.number(0)
  ema_decay: float = settings_lib.number(0)


class Batch(NamedTuple):
  """Pictures, what is done to them, and what is true of them then."""

  rgb: np.ndarray  # uint8 [b, s, s, 3] straight sRGB
  alpha: np.ndarray  # uint8 [b, s, s]
  ellipses: np.ndarray  # float32 [b, 4, 4] of `head_batches.Batch`
  blur: np.ndarray  # float32 [b] 0 for none, 1 for a 3 x 3 binomial
  noise: np.ndarray  # float32 [b] half width of uniform noise, sRGB in [0, 1]
  labels: np.ndarray  # int32 [b, 3] kind, view, light


def _mirrored_lighting() -> np.ndarray:
  """Return the row of `studio.LIGHTINGS` that each becomes in a mirror."""
  other: dict[str | None, str | None] = {'left': 'right', 'right': 'left'}
  return np.array(
    [
      studio_views.LIGHTINGS.index((color, other.get(direction, direction)))
      for color, direction in studio_views.LIGHTINGS
    ]
  )


def labels(
  images: head_images.HeadImages, *, mirrored: bool = False
) -> np.ndarray:
  """Return i32[n, 3]: rows of KINDS, `view_names` and `lighting_names`."""
  azimuth, elevation = images.angles.T
  view = studio_views.view_index(-azimuth if mirrored else azimuth, elevation)
  light = _mirrored_lighting()[images.lighting] if mirrored else images.lighting
  return np.stack([images.kind, view, light], -1).astype(np.int32)


def _plain(images: head_images.HeadImages, chosen: np.ndarray) -> Batch:
  """Return pictures as they are."""
  count = len(chosen)
  return Batch(
    rgb=images.rgb[chosen],
    alpha=images.alpha[chosen],
    ellipses=np.zeros((count, 4, 4), np.float32),
    blur=np.zeros(count, np.float32),
    noise=np.zeros(count, np.float32),
    labels=labels(head_images.HeadImages(*(x[chosen] for x in images))),
  )


def _move(
  images: np.ndarray, mirrored: np.ndarray, shift: np.ndarray
) -> np.ndarray:
  """Mirror some of [b, s, s, ...], then move each, filling with 0."""
  padding = ((0, 0), (_SHIFT, _SHIFT), (_SHIFT, _SHIFT))
  padded = np.pad(images, padding + ((0, 0),) * (images.ndim - 3))
  padded[mirrored] = padded[mirrored, :, ::-1]
  size = images.shape[1]
  return np.stack(
    [
      image[row : row + size, column : column + size]
      for image, (row, column) in zip(padded, shift)
    ]
  )


def draw(
  rng: np.random.Generator,
  images: head_images.HeadImages,
  truth: tuple[np.ndarray, np.ndarray],
  *,
  batch_size: int,
) -> Batch:
  """Draw a batch and what is done to its pictures.

  Args:
    rng: NumPy generator; make it from (seed, step) so that runs resume.
    images: the data set.
    truth: `labels` of the pictures and of their mirror images.
    batch_size: pictures to draw.
  """
  chosen = rng.integers(len(images.kind), size=batch_size)
  mirrored = rng.random(batch_size) < 0.5
  shift = rng.integers(0, 2 * _SHIFT + 1, (batch_size, 2))
  ellipses = np.zeros((batch_size, 4, 4), np.float32)
  oval = np.concatenate(
    [
      rng.normal(0.5, 0.02, (batch_size, 2)),
      rng.uniform((0.21, 0.28), (0.32, 0.42), (batch_size, 2)),
    ],
    axis=-1,
  )
  cut = rng.random(batch_size) < _OVAL_RATE
  ellipses[:, 3] = oval * cut[:, None]
  return Batch(
    rgb=_move(images.rgb[chosen], mirrored, shift),
    alpha=_move(images.alpha[chosen], mirrored, shift),
    ellipses=ellipses,
    blur=rng.random(batch_size, np.float32),
    noise=_NOISE * rng.random(batch_size, np.float32),
    labels=np.where(mirrored[:, None], truth[1][chosen], truth[0][chosen]),
  )


def _binomial(image: Float[Array, 's s c']) -> Float[Array, 's s c']:
  """Blur by (1, 2, 1) / 4 along rows and columns."""
  for axis in (0, 1):
    padding = [(int(axis == other),) * 2 for other in range(3)]
    padded = jnp.pad(image, padding, mode='edge')
    take = functools.partial(jax.lax.slice_in_dim, padded, axis=axis)
    size = image.shape[axis]
    image = (take(0, size) + 2 * take(1, size + 1) + take(2, size + 2)) / 4
  return image


def compose(rng: PRNGKeyArray, row: Batch) -> Float[Array, 's s 3']:
  """Put one picture of a batch on a random background; sRGB in [0, 1]."""
  rng_background, rng_noise = jax.random.split(rng)
  picture, _ = head_batches.compose(
    rng_background,
    head_batches.Batch(
      tokens=jnp.zeros(0, jnp.int32),
      rgb=row.rgb,
      alpha=row.alpha,
      normals=jnp.zeros_like(row.rgb),
      height=jnp.zeros_like(row.alpha),
      ellipses=row.ellipses,
      has_geometry=jnp.zeros((), bool),
      condition=jnp.zeros(3, bool),
    ),
  )
  picture = 0.5 * picture + 0.5
  picture = picture + row.blur * (_binomial(picture) - picture)
  noise = jax.random.uniform(rng_noise, picture.shape, minval=-1.0)
  return jnp.clip(picture + row.noise * noise, 0.0, 1.0)


@jax.jit
def _compose_batch(rng, batch):
  return jax.vmap(compose)(jax.random.split(rng, batch.alpha.shape[0]), batch)


def pictures(
  rng: PRNGKeyArray, images: head_images.HeadImages, chosen: np.ndarray
) -> tuple[Float[Array, 'b s s 3'], np.ndarray]:
  """Return chosen pictures, unchanged, on random backgrounds, and labels."""
  batch = _plain(images, chosen)
  return _compose_batch(rng, batch), batch.labels


def _names(config: matcher_lib.MatcherConfig) -> np.ndarray:
  """Return i32[k, names, t]: every kind's names, repeated to fill the row."""
  rows = [captions.NAMES[kind] for kind in creatures.KINDS]
  count = int(np.lcm.reduce([len(row) for row in rows]))
  texts = [name for row in rows for name in row * (count // len(row))]
  tokens = matcher_lib.tokenize(config, texts)
  return tokens.reshape(len(rows), count, -1)


def make_step(
  module: matcher_lib.MatcherNet,
  tx: optax.GradientTransformation,
  *,
  ema_decay: float,
) -> Callable[..., tuple[state_lib.TrainState, dict[str, Any]]]:
  """Build `step(state, rng, batch)`, which returns state and metrics."""
  config = module.config
  names = jnp.asarray(_names(config))
  rows = jnp.arange(names.shape[0])
  views = jnp.asarray(matcher_lib.tokenize(config, studio_views.view_names()))
  lights = jnp.asarray(
    matcher_lib.tokenize(config, studio_views.lighting_names())
  )

  def loss_fn(params, rng, batch, axis_name):
    del axis_name
    rng_images, rng_names = jax.random.split(rng)
    images = _compose_batch(rng_images, batch)
    called = jax.random.randint(rng_names, rows.shape, 0, names.shape[1])
    matcher = matcher_lib.Matcher(params, module)
    phrases = (names[rows, called], views, lights)
    answers = matcher_lib.logits(matcher, images, phrases)
    losses, metrics = [], {}
    for index, (name, answer) in enumerate(
      zip(matcher_lib.ATTRIBUTES, answers)
    ):
      truth = batch.labels[:, index]
      losses.append(
        optax.softmax_cross_entropy_with_integer_labels(answer, truth).mean()
      )
      metrics[name] = jnp.mean(answer.argmax(-1) == truth)
    return sum(losses), metrics

  return jax.jit(
    state_lib.make_step(
      loss_fn, tx, ema_decay=ema_decay, watch=lambda grads: {}
    )
  )


def accuracy(
  matcher: matcher_lib.Matcher,
  images: head_images.HeadImages,
  *,
  seed: int = 0,
) -> dict[str, Any]:
  """Judge pictures of known heads.

  Returns:
    'pictures', 'kind', 'view', 'light' (accuracies in [0, 1]), and 'kinds',
    the accuracy of kinds by kind.
  """
  composed, truth = [], []
  for index, chosen in enumerate(
    np.array_split(np.arange(len(images.kind)), -(-len(images.kind) // 256))
  ):
    key = jax.random.fold_in(jax.random.key(seed), index)
    rows, known = pictures(key, images, chosen)
    composed.append(np.asarray(rows))
    truth.append(known)
  expected = np.concatenate(truth)
  answers = matcher_lib.judge(matcher, np.concatenate(composed))
  right = (
    np.stack([answers[name].argmax(-1) for name in matcher_lib.ATTRIBUTES], -1)
    == expected
  )
  report: dict[str, Any] = {'pictures': len(expected)}
  report |= {
    n: round(float(x), 4) for n, x in zip(matcher_lib.ATTRIBUTES, right.mean(0))
  }
  report['kinds'] = {
    creatures.KINDS[kind]: round(
      float(right[expected[:, 0] == kind, 0].mean()), 4
    )
    for kind in np.unique(expected[:, 0])
  }
  return report


def split(
  folder: pathlib.Path, held_out: int
) -> tuple[head_images.HeadImages, head_images.HeadImages]:
  """Read the shards to learn from and the last ones, to be judged by.

  Raises:
    ValueError: there are not more than `held_out` shards.
  """
  paths = sorted(folder.glob('heads-*.npz'))
  if not 0 < held_out < len(paths):
    raise ValueError(
      f'{folder} holds {len(paths)} shards (heads-*.npz), of which held_out='
      f'{held_out} cannot be kept apart; build more with python -m '
      f'experiments.build_prior_data --config.seed=1 --workdir={folder}'
    )
  return head_images.load(paths[:-held_out]), head_images.load(
    paths[-held_out:]
  )


def _optimizer(settings: Settings) -> optax.GradientTransformation:
  """Return AdamW with a warm-up and a cosine that ends at zero."""
  rate = optax.warmup_cosine_decay_schedule(
    0.0, settings.learning_rate, settings.warmup_steps, settings.steps
  )
  return optax.chain(
    optax.clip_by_global_norm(1.0),
    optax.adamw(rate, b2=0.99, weight_decay=settings.weight_decay),
  )


def _task(
  settings: Settings, folder: pathlib.Path, images: head_images.HeadImages
) -> task_lib.Task:
  """Return the training of a matcher on some heads."""
  network = matcher_lib.MatcherConfig(
    words=matcher_lib.vocabulary(),
    channels=settings.channels,
    features=settings.features,
  )
  matcher = matcher_lib.create(jax.random.key(settings.seed), network)
  tx = _optimizer(settings)
  truth = labels(images), labels(images, mirrored=True)

  def batch(step: int) -> Batch:
    rng = np.random.default_rng([settings.seed, step])
    return draw(rng, images, truth, batch_size=settings.batch_size)

  def save(number: int, state: state_lib.TrainState) -> None:
    del number
    averaged = jax.device_get(state.ema_params)
    matcher_lib.save(
      folder / 'matcher', matcher_lib.Matcher(averaged, matcher.module)
    )

  return task_lib.Task(
    state=state_lib.create(matcher.params, tx, ema=True),
    step=make_step(matcher.module, tx, ema_decay=settings.ema_decay),
    batches=batch,
    save=save,
    shown=('loss', *matcher_lib.ATTRIBUTES),
  )


def train(settings: Settings, directory: files.PathLike) -> dict[str, Any]:
  """Train; `directory/matcher` holds the averaged networks so far.

  Args:
    settings: settings of the training, see configs/matcher.py.
    directory: work folder.

  Returns:
    What is written to report.json: accuracies on held-out heads.

  Raises:
    FileNotFoundError: there is no run to resume.
    ValueError: there are too few heads, or the work folder belongs to other
      settings.
  """
  folder = workdir_lib.prepare(
    directory,
    settings,
    resume=settings.resume,
    may_change=('checkpoint_every', 'data'),
  )
  seen, held_out = split(pathlib.Path(settings.data), settings.held_out)
  outcome = trainer.fit(_task(settings, folder, seen), settings, folder)
  saved = matcher_lib.load(folder / 'matcher')
  result = {'steps': outcome.step, 'held_out': accuracy(saved, held_out)}
  files.write_json(folder / 'report.json', result)
  return result
