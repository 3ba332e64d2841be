"""Does the prior do as it is told? Samples, judged by the matcher.

Each sample is asked for in words for its kind, view and light; the matcher,
which never saw what the prior learnt from, says what it sees. Views and
lights are drawn as training pictures have them. "Chance" is how often
question and answer would agree if the answers were dealt out at random.

Shapes: `n` samples, `b` a batch of them, `s` pixels a side, `k` kinds.
"""

from collections.abc import Callable, Iterator
import csv
import functools
import io
import pathlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int, Int32, UInt8
import numpy as np

from maskjax.data.creatures import creatures, head_images
from maskjax.diffusion import model as model_lib, painting
from maskjax.geometry import color
from maskjax.matcher import batches as matcher_batches, network as matcher_lib
from maskjax.studio import (
  maps,
  sheets,
  views as studio_views,
  words as studio_words,
)
from maskjax.training import files, media, progress
from maskjax.weights import bundled

# Kinds on one contact sheet, and pictures of each sort in a row.
_KINDS_A_SHEET = 7
_PICTURES = 4
_SHEET_PX = 112


class Requests(NamedTuple):
  """What is asked for.

  Attributes:
    labels: kind, view and light of each sample.
    texts: the words for them.
    cameras: azimuth and elevation (degrees), and distance of each, for a
      prior that is told them.
  """

  labels: Int32[np.ndarray, 'n 3']
  texts: list[str]
  cameras: Float[np.ndarray, 'n 3']


def draw_requests(rng: np.random.Generator, count: int) -> Requests:
  """Draw views and lights; kinds take turns.

  Args:
    rng: NumPy generator.
    count: number of samples.
  """
  azimuth, elevation, distance, lighting = head_images.sample_views(rng, count)
  kind = np.arange(count) % len(creatures.KINDS)
  view = np.asarray(studio_views.view_index(azimuth, elevation))
  texts = [
    studio_words.adjust(
      f'{studio_words.with_article(creatures.KINDS[k])} mask',
      studio_views.view_names()[v],
      studio_views.lighting_names()[light],
    )
    for k, v, light in zip(kind, view, lighting)
  ]
  return Requests(
    labels=np.stack([kind, view, lighting], -1).astype(np.int32),
    texts=texts,
    cameras=np.stack([azimuth, elevation, distance], -1),
  )


@functools.partial(jax.jit, static_argnames=('steps', 'sampler', 'rescale'))
def _sample(model, rng, tokens, cameras, guidance, *, steps, sampler, rescale):
  """Return pictures in [0, 1]; the last row of tokens is no text."""
  text = model_lib.encode_tokens(model, tokens)
  text, empty = text[:-1], text[-1:]
  return painting.sample_images(
    model,
    rng,
    text,
    jnp.broadcast_to(empty, text.shape),
    steps=steps,
    sampler=sampler,
    guidance_scale=guidance,
    guidance_rescale=rescale,
    labels=maps.camera_labels(*cameras.T) if _is_told(model) else None,
  )


def _is_told(model: model_lib.DiffusionModel) -> bool:
  """Tell if a prior is told the camera."""
  return model_lib.label_size(model) == maps.CAMERA


def sample(
  model: model_lib.DiffusionModel,
  requests: Requests,
  *,
  seed: int = 0,
  steps: int = 20,
  sampler: str = 'ddim',
  guidance: float = 1.0,
  rescale: float = 0.0,
  batch_size: int = 16,
) -> Iterator[Float[np.ndarray, 'b s s p']]:
  """Sample a picture of each text, batch after batch.

  Args:
    model: a prior; its ControlNet, if any, is left out.
    requests: caption of each picture, and its camera.
    seed: seed of the noise.
    steps: evaluations of the network.
    sampler: a name of `sampling.METHODS`.
    guidance: scale of classifier-free guidance.
    rescale: part by which guided outputs are rescaled, in [0, 1], see
      `guidance.rescale`.
    batch_size: number of pictures at a time.

  Yields:
    Pictures in [0, 1], with all channels that the prior paints; the last
    batch may be smaller.
  """
  for index, start in enumerate(range(0, len(requests.texts), batch_size)):
    batch = requests.texts[start : start + batch_size]
    padded = batch + [''] * (batch_size + 1 - len(batch))
    cameras = np.ones((batch_size, 3))
    cameras[: len(batch)] = requests.cameras[start : start + batch_size]
    yield np.asarray(
      _sample(
        model,
        jax.random.fold_in(jax.random.key(seed), index),
        jnp.asarray(model_lib.tokenize(model, padded)),
        jnp.asarray(cameras, jnp.float32),
        guidance,
        steps=steps,
        sampler=sampler,
        rescale=rescale,
      )
    )[: len(batch)]


def at_matcher_size(
  images: Float[np.ndarray, 'n s s 3'],
) -> Float[np.ndarray, 'n 64 64 3']:
  """Resize pictures to what the matcher looks at."""
  size = matcher_lib.SIZE
  if images.shape[1] == size:
    return images
  shape = (len(images), size, size, 3)
  return np.asarray(jax.image.resize(images, shape, 'linear', antialias=True))


def chance(
  asked: Int[np.ndarray, 'n'], answered: Int[np.ndarray, 'n'], count: int
) -> float:
  """Return the agreement to expect of shuffled answers.

  Args:
    asked: what was asked for, in [0, count).
    answered: what is seen, in [0, count).
    count: number of possible answers.
  """
  frequencies = [np.bincount(x, minlength=count) for x in (asked, answered)]
  return float(np.dot(*frequencies)) / len(asked) ** 2


def score(
  requests: Requests, answers: dict[str, Float[np.ndarray, 'n _']]
) -> dict[str, Any]:
  """Compare what was asked for with what is seen.

  Args:
    requests: labels and texts of the samples.
    answers: probabilities by attribute, see `matcher.network.judge`.

  Returns:
    'samples'; for kind, view and light an 'accuracy' and its 'chance'; and
    'kinds', a row for each kind: its samples, accuracies, mean probability of
    the right kind, and the kind that it is most often taken for.
  """
  seen = np.stack(
    [answers[name].argmax(-1) for name in matcher_lib.ATTRIBUTES], -1
  )
  right = seen == requests.labels
  report: dict[str, Any] = {'samples': len(right)}
  for index, name in enumerate(matcher_lib.ATTRIBUTES):
    count = answers[name].shape[-1]
    report[name] = {
      'accuracy': round(float(right[:, index].mean()), 4),
      'chance': round(
        chance(requests.labels[:, index], seen[:, index], count), 4
      ),
    }
  kinds = requests.labels[:, 0]
  rows = []
  for kind in np.unique(kinds):
    of_kind = kinds == kind
    taken = np.bincount(seen[of_kind & ~right[:, 0], 0], minlength=1)
    accuracies = right[of_kind].mean(0)
    rows.append(
      {
        'kind': creatures.KINDS[kind],
        'samples': int(of_kind.sum()),
        'kind_accuracy': round(float(accuracies[0]), 4),
        'probability': round(float(answers['kind'][of_kind, kind].mean()), 4),
        'view_accuracy': round(float(accuracies[1]), 4),
        'light_accuracy': round(float(accuracies[2]), 4),
        'taken_for': creatures.KINDS[taken.argmax()] if taken.any() else '',
      }
    )
  report['kinds'] = rows
  return report


def table(report: dict[str, Any]) -> str:
  """Return a report as lines of text."""
  lines = [
    f'{"kind":20}{"samples":>8}{"kind ok":>9}{"p(kind)":>9}{"view ok":>9}'
    f'{"light ok":>9}  taken for'
  ]
  for row in report['kinds']:
    lines.append(
      f'{row["kind"]:20}{row["samples"]:8d}{row["kind_accuracy"]:9.0%}'
      f'{row["probability"]:9.2f}{row["view_accuracy"]:9.0%}'
      f'{row["light_accuracy"]:9.0%}  {row["taken_for"]}'
    )
  for name in matcher_lib.ATTRIBUTES:
    lines.append(
      f'{name} {report[name]["accuracy"]:.1%} '
      f'(chance {report[name]["chance"]:.1%})'
    )
  return '\n'.join(lines)


def _csv(
  requests: Requests, answers: dict[str, Float[np.ndarray, 'n _']]
) -> str:
  """Return a line for each sample."""
  names = (
    creatures.KINDS,
    studio_views.view_names(),
    studio_views.lighting_names(),
  )
  out = io.StringIO()
  writer = csv.writer(out, lineterminator='\n')
  header = ['sample', 'text']
  for name in matcher_lib.ATTRIBUTES:
    header += [name, f'seen_{name}', f'probability_{name}']
  writer.writerow(header)
  for index, (label, text) in enumerate(zip(requests.labels, requests.texts)):
    row = [index, text]
    for name, words, wanted in zip(matcher_lib.ATTRIBUTES, names, label):
      chances = answers[name][index]
      row += [words[wanted], words[chances.argmax()], f'{chances[wanted]:.4f}']
    writer.writerow(row)
  return out.getvalue()


def _normals(
  images: Float[np.ndarray, 'n s s p'],
) -> list[tuple[str, UInt8[np.ndarray, 's s 3']]]:
  """Return the normals of samples as bytes, none where none are painted."""
  if images.shape[-1] != maps.CHANNELS:
    return []
  return [('', color.to_bytes(image[..., maps.NORMALS])) for image in images]


def _captioned(
  images: Float[Any, 'n s s 3'], chances: Float[np.ndarray, 'n k']
) -> list[tuple[str, UInt8[np.ndarray, 's s 3']]]:
  """Return pictures as bytes, with the kind that each is taken for."""
  return [
    (
      f'{creatures.KINDS[row.argmax()]} {row.max():.0%}',
      color.to_bytes(np.asarray(image)),
    )
    for image, row in zip(images, chances)
  ]


def contact_sheets(
  matcher: matcher_lib.Matcher,
  requests: Requests,
  images: Float[np.ndarray, 'n s s p'],
  real: head_images.HeadImages | None,
  *,
  seed: int = 0,
) -> list[UInt8[np.ndarray, 'y x 3']]:
  """Lay out real pictures beside generated ones, a row for each kind.

  Args:
    matcher: the matcher, which says below each picture what it takes it for.
    requests: labels and texts of the samples.
    images: the samples, in [0, 1]; normals are shown where there are any.
    real: pictures of heads; None shows the samples alone.
    seed: chooses the real pictures and their backgrounds.
  """
  rng = np.random.default_rng(seed)
  rows = []
  for kind in np.unique(requests.labels[:, 0]):
    shown = []
    if real is not None and (of_kind := np.flatnonzero(real.kind == kind)).size:
      chosen = np.resize(rng.permutation(of_kind), _PICTURES)
      key = jax.random.fold_in(jax.random.key(seed), int(kind))
      pictures = matcher_batches.pictures(key, real, chosen)[0]
      chances = matcher_lib.judge(matcher, pictures, batch_size=_PICTURES)
      shown += _captioned(pictures, chances['kind'])
    chosen = np.flatnonzero(requests.labels[:, 0] == kind)[:_PICTURES]
    pictures = at_matcher_size(images[chosen][..., maps.COLOR])
    chances = matcher_lib.judge(matcher, pictures, batch_size=_PICTURES)
    shown += _captioned(images[chosen][..., maps.COLOR], chances['kind'])
    shown += _normals(images[chosen])
    rows.append((creatures.KINDS[kind], shown))
  title = 'Generated, and what the matcher takes it for'
  if real is not None:
    title = f'Real (first {_PICTURES}) and generated, as the matcher sees them'
  return [
    sheets.titled(title, rows[start : start + _KINDS_A_SHEET], size=_SHEET_PX)
    for start in range(0, len(rows), _KINDS_A_SHEET)
  ]


def evaluate(
  model: model_lib.DiffusionModel,
  matcher: matcher_lib.Matcher,
  folder: pathlib.Path,
  *,
  count: int = 400,
  real: head_images.HeadImages | None = None,
  seed: int = 0,
  report: Callable[[int], None] = lambda done: None,
  **options: Any,
) -> dict[str, Any]:
  """Sample, judge, and write report.json, samples.csv and contact sheets.

  Args:
    model: the prior.
    matcher: the judge.
    folder: where the files go.
    count: number of samples.
    real: pictures of heads for the contact sheets; None for none.
    seed: seed of the requests and of the noise.
    report: called with the number of samples that are done.
    **options: options of `sample`.

  Returns:
    The content of report.json, see `score`.

  Raises:
    ValueError: no samples are asked for.
  """
  if count < 1:
    raise ValueError(f'{count} samples cannot be judged; ask for at least 1')
  requests = draw_requests(np.random.default_rng(seed), count)
  pieces: list[np.ndarray] = []
  for piece in sample(model, requests, seed=seed, **options):
    pieces.append(piece)
    report(sum(map(len, pieces)))
  images = np.concatenate(pieces)
  shown = at_matcher_size(images[..., maps.COLOR])
  answers = matcher_lib.judge(matcher, shown)
  result = score(requests, answers) | {'options': {'seed': seed} | options}
  files.write_text(folder / 'samples.csv', _csv(requests, answers))
  pages = contact_sheets(matcher, requests, images, real, seed=seed)
  for number, picture in enumerate(pages, start=1):
    media.save_png(folder / f'contact-{number}.png', picture)
  files.write_json(folder / 'report.json', result)
  return result


def run(
  folder: files.PathLike,
  *,
  prior: str = '',
  matcher: str = '',
  real: str = '',
  count: int = 400,
  **options: Any,
) -> dict[str, Any]:
  """Read prior and matcher, and `evaluate`, while progress is shown.

  Args:
    folder: where the files go.
    prior: model folder; empty for the bundled one.
    matcher: folder of the judge; empty for the bundled one.
    real: folder of head pictures, of which the newest are on the contact
      sheets; empty for none.
    count: number of samples.
    **options: seed, and options of `sample`.

  Returns:
    The content of report.json, see `score`.

  Raises:
    ValueError: no samples are asked for, or a part that cannot be read.
  """
  shards = sorted(pathlib.Path(real).glob('heads-*.npz')) if real else []
  with progress.bar(count, name='samples') as bar:
    return evaluate(
      model_lib.load(prior or bundled.bundled_path('prior')),
      matcher_lib.load(matcher),
      pathlib.Path(folder),
      count=count,
      real=head_images.load(shards[-2:]) if real else None,
      report=lambda done: bar(done, {}),
      **options,
    )
