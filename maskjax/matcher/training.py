"""Training of the matcher, and its accuracy on heads it has not seen.

Each step asks three questions about every picture of a batch: which kind,
which view, which light? Each is a softmax over all phrases of its sort; a
kind is called by one of its names, drawn anew in every step.

Shapes: `k` kinds, `t` words of a phrase.
"""

from collections.abc import Callable
import dataclasses
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Int
import numpy as np
import optax

from maskjax.data.creatures import captions, creatures, head_images
from maskjax.matcher import batches as matcher_batches, network as matcher_lib
from maskjax.studio import views as studio_views
from maskjax.training import (
  files,
  settings as settings_lib,
  state as state_lib,
  task as task_lib,
  trainer,
  workdir as workdir_lib,
)


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
  held_out: int = settings_lib.number(1, 10**6)
  channels: tuple[int, ...] = settings_lib.number(1, 4096, most=6)
  features: int = settings_lib.number(1, 4096)
  batch_size: int = settings_lib.number(1, 65_536)
  learning_rate: float = settings_lib.number(0, 10)
  warmup_steps: int = settings_lib.number(0, 10**9)
  weight_decay: float = settings_lib.number(0, 10)
  ema_decay: float = settings_lib.number(0, 1)


def _names(config: matcher_lib.MatcherConfig) -> Int[np.ndarray, 'k names t']:
  """Return the words of every kind's names, repeated to fill the row."""
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
  """Build `step(state, rng, batch)`, jitted, which returns state and metrics.

  Args:
    module: the matcher's networks.
    tx: the optimiser that the state was created with.
    ema_decay: decay of the average that is kept for use, in [0, 1).
  """
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
    images = matcher_batches.compose_batch(rng_images, batch)
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

  Args:
    matcher: networks and weights.
    images: heads with their kinds, views and lights.
    seed: seed of the backgrounds.

  Returns:
    'pictures', 'kind', 'view', 'light' (accuracies in [0, 1]), and 'kinds',
    the accuracy of kinds by kind.
  """
  composed, truth = [], []
  for index, chosen in enumerate(
    np.array_split(np.arange(len(images.kind)), -(-len(images.kind) // 256))
  ):
    key = jax.random.fold_in(jax.random.key(seed), index)
    rows, known = matcher_batches.pictures(key, images, chosen)
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
  truth = (
    matcher_batches.labels(images),
    matcher_batches.labels(images, mirrored=True),
  )

  def batch(step: int) -> matcher_batches.Batch:
    rng = np.random.default_rng([settings.seed, step])
    return matcher_batches.draw(
      rng, images, truth, batch_size=settings.batch_size
    )

  def save(number: int, state: state_lib.TrainState) -> None:
    del number
    averaged = jax.device_get(state.ema_params)
    with files.replacing_folder(folder / 'matcher') as new:
      matcher_lib.save(new, matcher_lib.Matcher(averaged, matcher.module))

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
  # What cannot be loaded must not leave a folder behind.
  seen, held_out = matcher_batches.split(
    pathlib.Path(settings.data), settings.held_out
  )
  opened = workdir_lib.opened(
    directory,
    settings,
    resume=settings.resume,
    may_change=('checkpoint_every', 'data'),
  )
  with opened as folder:
    outcome = trainer.fit(_task(settings, folder, seen), settings, folder)
    saved = matcher_lib.load(folder / 'matcher')
    result = {'steps': outcome.step, 'held_out': accuracy(saved, held_out)}
    files.write_json(folder / 'report.json', result)
  return result
