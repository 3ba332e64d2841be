"""Does the loop make a mask more like what it was asked for?

For each kind of head that we have the truth of, the start shape and the
result of a run are compared with it: by shape, and by what the matcher takes
their pictures for.

Shape: the symmetric Chamfer distance to the kind's mean head
(`creatures.mean_shape`), of what a front view sees of either surface. A mask
is an open shell; back, inside and hidden parts of a head have no counterpart
on it, so comparing whole surfaces would hide most of what changes.

Looks: the matcher's probability of the right kind among all kinds, averaged
over the front and 45 degrees to either side, in even light before plain grey.

Shapes: `b` views, `s` pixels a side.
"""

from collections.abc import Mapping, Sequence
import csv
import dataclasses
import io
import json
import pathlib
import time
from typing import Any, NamedTuple
import zlib

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
import numpy as np

from maskjax.data.creatures import creatures
from maskjax.diffusion import model as model_lib
from maskjax.geometry import chamfer, color, mesh as mesh_lib
from maskjax.mask import (
  export,
  generate,
  guide as guide_lib,
  settings as settings_lib,
  surface as surface_lib,
  views,
)
from maskjax.matcher import network as matcher_lib
from maskjax.render import renderer
from maskjax.studio import words as studio_words
from maskjax.training import (
  files,
  media,
  settings as read_lib,
  workdir as workdir_lib,
)

KINDS = (
  'tiger',
  'lion',
  'gorilla',
  'elephant',
  'panda',
  'fox',
  'rabbit',
  'pig',
  'frog',
  'owl',
  'cow',
  'cartoon character',
)
ABLATION_KINDS = ('tiger', 'elephant', 'rabbit')
# The fall of the Chamfer distance that we ask for, per cent.
FALL_PERCENT = 40.0
_FACTORS = np.linspace(0.8, 1.6, 17)
_AZIMUTHS = (-45.0, 0.0, 45.0)
_GREY = (0.3, 0.3, 0.3)  # linear
_SUPERSAMPLING = 2
RESULTS = 'results.json'

Row = dict[str, Any]


class Measure(NamedTuple):
  """How near a mesh is to a kind."""

  chamfer_cm: float
  probability: float


@jax.jit
def _photograph(vertices, faces, colors):
  """Return sRGB pictures as the matcher's training pictures are made."""
  size, step = matcher_lib.SIZE, _SUPERSAMPLING
  cameras, lights = views.fixed(_AZIMUTHS)
  image = renderer.render(
    vertices,
    faces,
    colors,
    cameras,
    lights,
    size=size * step,
    background=jnp.array(_GREY),
    sigma=1e-5,
    gamma=1e-5,
  ).rgb
  image = image.reshape(-1, size, step, size, step, 3).mean((2, 4))
  return color.linear_to_srgb(jnp.clip(image, 0.0, 1.0))


def photograph(mesh: mesh_lib.Mesh) -> Float[Array, 'b s s 3']:
  """Return the pictures that are judged; sRGB in [0, 1]."""
  return _photograph(mesh.vertices, mesh.faces, mesh.colors)


def measure(
  mesh: mesh_lib.Mesh, kind: str, matcher: matcher_lib.Matcher
) -> Measure:
  """Compare a mask with a kind.

  Args:
    mesh: in cm, with vertex colours.
    kind: name of a kind of head, one of `creatures.KINDS`.
    matcher: network that says what pictures show.
  """
  distance = chamfer.distance(
    mesh, creatures.mean_shape(kind), surface='visible'
  )
  chances = matcher_lib.kind_probabilities(matcher, photograph(mesh))
  right = chances[:, creatures.KINDS.index(kind)]
  return Measure(distance, float(right.mean()))


def fall_by_size(mesh: mesh_lib.Mesh, kind: str) -> float:
  """Return the fall of the distance that plain resizing could reach.

  A start shape that is too small gets nearer to every kind by growing; only
  what a mask gains beyond this is the shape of its kind.

  Args:
    mesh: the start shape, cm.
    kind: name of a kind of head, one of `creatures.KINDS`.

  Returns:
    Per cent, for the best factor on all coordinates.
  """
  truth = creatures.mean_shape(kind)
  distances = [
    chamfer.distance(
      dataclasses.replace(mesh, vertices=mesh.vertices * float(factor)),
      truth,
      count=4000,
      surface='visible',
    )
    for factor in (1.0, *_FACTORS)
  ]
  return 100.0 * (1.0 - min(distances) / distances[0])


def compare(
  job: generate.Job,
  settings: settings_lib.MaskSettings,
  kind: str,
  matcher: matcher_lib.Matcher,
  step: generate.StepFn,
  picture: pathlib.Path,
) -> Row:
  """Run the loop for a kind and measure its start and its result.

  Args:
    job: what the loop starts from.
    settings: all settings of the run.
    kind: name of a kind of head, one of `creatures.KINDS`.
    matcher: network that says what pictures show.
    step: the loop's step, see `generate.build_step`.
    picture: where the preview of the mask is written.

  Returns:
    A row of the table: distances in cm, the fall in per cent (and how much
    of it resizing alone could reach, see `fall_by_size`), probabilities,
    seconds of the loop (the first run of a variant compiles the step), and
    the counts of `soundness.report`.
  """
  start = surface_lib.assemble(
    job.surface, job.start.params, bound=settings.optimizer.offset_bound
  )
  before = measure(start, kind, matcher)
  began = time.monotonic()
  outcome = generate.optimize(job, settings, step=step, name=kind)
  if outcome.reason == 'interrupted':
    raise KeyboardInterrupt  # half a run is no result
  state = jax.block_until_ready(outcome.state)
  seconds = time.monotonic() - began
  mesh, sound = surface_lib.finish(job.surface, state.params, settings)
  after = measure(mesh, kind, matcher)
  media.save_png(picture, export.draw(job.surface, job.start, mesh, settings))
  fall = 100.0 * (1.0 - after.chamfer_cm / before.chamfer_cm)
  return {
    'kind': kind,
    'steps': int(state.step),
    'chamfer_start_cm': round(before.chamfer_cm, 4),
    'chamfer_cm': round(after.chamfer_cm, 4),
    'fall_percent': round(fall, 2),
    'fall_by_size_percent': round(fall_by_size(start, kind), 2),
    'probability_start': round(before.probability, 4),
    'probability': round(after.probability, 4),
    'seconds': round(seconds, 1),
    'sound': sound.sound,
    **sound._asdict(),
  }


def read_rows(folder: pathlib.Path) -> list[Row]:
  """Return the finished rows of a folder, none where it has none."""
  path = folder / RESULTS
  if not path.is_file():
    return []
  try:
    return json.loads(path.read_text(encoding='utf-8'))['rows']
  except (ValueError, KeyError, TypeError) as error:
    raise ValueError(
      f'{path} is no list of results ({error}); delete it to begin anew'
    ) from None


def write_rows(folder: pathlib.Path, rows: Sequence[Row]) -> None:
  """Write results.json (with a summary) and results.csv."""
  out = io.StringIO()
  writer = csv.DictWriter(out, list(rows[0]), lineterminator='\n')
  writer.writeheader()
  writer.writerows(rows)
  files.write_text(folder / 'results.csv', out.getvalue())
  content = {'summary': summary(rows), 'rows': list(rows)}
  files.write_json(folder / RESULTS, content)


def summary(rows: Sequence[Row]) -> dict[str, Any]:
  """Return means over rows, and how many of them reach what we ask for."""

  def mean(name: str) -> float:
    return round(float(np.mean([row[name] for row in rows])), 4)

  return {
    'masks': len(rows),
    'fall_percent': mean('fall_percent'),
    'fall_by_size_percent': mean('fall_by_size_percent'),
    'probability_start': mean('probability_start'),
    'probability': mean('probability'),
    'fallen_enough': sum(row['fall_percent'] >= FALL_PERCENT for row in rows),
    'more_probable': sum(
      row['probability'] > row['probability_start'] for row in rows
    ),
    'sound': sum(bool(row['sound']) for row in rows),
    'seconds': mean('seconds'),
  }


def _checksum(matcher: matcher_lib.Matcher) -> int:
  """Tell one matcher from another: their judgements do not mix."""
  total = 0
  for leaf in jax.tree.leaves(matcher.params):
    total = zlib.crc32(np.ascontiguousarray(leaf).tobytes(), total)
  return total


def _place(
  rows: Sequence[Row], changes: Mapping[str, Any], kind: str
) -> int | None:
  """Return the index of the row of a variant and kind, if it is there."""
  wanted = json.loads(json.dumps({**changes, 'kind': kind}))
  for index, row in enumerate(rows):
    variant = dict(list(row.items())[: len(wanted)])
    if variant == wanted:
      return index
  return None


def _variant_of(
  settings: settings_lib.MaskSettings, changes: Mapping[str, Any], kind: str
) -> settings_lib.MaskSettings:
  """Return the settings of a variant, for a kind."""
  prompt = studio_words.with_article(kind)
  settings = read_lib.changed(settings, {**changes, 'prompt': prompt})
  surface_lib.variants(settings)
  return settings


def _measure(
  settings: settings_lib.MaskSettings,
  folder: pathlib.Path,
  matcher: matcher_lib.Matcher,
  *,
  kinds: Sequence[str],
  variants: Sequence[Mapping[str, Any]],
  model: model_lib.DiffusionModel | None,
) -> list[Row]:
  """Measure what a folder has not yet; see `evaluate`."""
  rows = read_rows(folder)

  jobs: dict[str, generate.Job] = {}
  surface = None
  for changes in variants:
    step = None
    for kind in kinds:
      if _place(rows, changes, kind) is not None:
        continue
      run = _variant_of(settings, changes, kind)
      if kind not in jobs:
        model = guide_lib.load_model(settings) if model is None else model
        jobs[kind] = generate.prepare(run, model=model)
      # One start shape for all of them, as one compiled step asks for.
      surface = surface or jobs[kind].surface
      jobs[kind] = jobs[kind]._replace(surface=surface)
      step = step or generate.build_step(surface, run)
      name = '-'.join([*map(str, changes.values()), kind]).replace(' ', '_')
      picture = folder / f'{name}.png'
      row = compare(jobs[kind], run, kind, matcher, step, picture)
      rows.append({**changes, **row})
      write_rows(folder, rows)
      if len(variants) == 1:
        del jobs[kind]
  indices = [
    _place(rows, changes, kind) for changes in variants for kind in kinds
  ]
  return [rows[index] for index in indices if index is not None]


def evaluate(
  settings: settings_lib.MaskSettings,
  directory: files.PathLike,
  matcher: matcher_lib.Matcher,
  *,
  kinds: Sequence[str] = KINDS,
  variants: Sequence[Mapping[str, Any]] = ({},),
  model: model_lib.DiffusionModel | None = None,
) -> list[Row]:
  """Run the loop for kinds and variants of a config and measure each.

  Every finished row is written at once, with a picture of its mask; rows
  that a folder has already are not run again.

  Args:
    settings: all settings of a mask; the prompt is replaced by each kind.
    directory: folder of the results; made when missing.
    matcher: network that says what pictures show.
    kinds: names of kinds of heads, of `creatures.KINDS`.
    variants: changes of fields by dotted name; only fields that the loop
      reads, since first images are painted once.
    model: the prior; None loads the settings'.

  Returns:
    The rows, each with the fields of its variant, in the order of variants,
    then kinds.

  Raises:
    ValueError: unknown kinds, none at all, or a folder of another config.
  """
  unknown = [kind for kind in kinds if kind not in creatures.KINDS]
  if unknown or not kinds:
    raise ValueError(
      f'kinds {unknown or "are missing"}: use some of '
      f'{", ".join(creatures.KINDS)}'
    )
  opened = workdir_lib.opened(
    directory,
    generate.identity(settings) | {'matcher': _checksum(matcher)},
    ignored=(*read_lib.commands(settings), 'prompt'),
  )
  with opened as folder:
    return _measure(
      settings, folder, matcher, kinds=kinds, variants=variants, model=model
    )


def table(rows: Sequence[Row]) -> str:
  """Return rows and their summary as lines of text."""
  fixed = list(rows[0]).index('kind')
  variant = list(rows[0])[:fixed]
  lines = []
  for row in rows:
    words = ' '.join(str(row[name]) for name in variant)
    lines.append(
      f'{words:34}' * bool(variant) + f'{row["kind"]:18}'
      f'{row["chamfer_start_cm"]:7.2f} ->{row["chamfer_cm"]:6.2f} cm '
      f'{-row["fall_percent"]:+7.1f} % '
      f'(size {-row["fall_by_size_percent"]:+5.1f})  p'
      f'{row["probability_start"]:6.2f} ->{row["probability"]:5.2f}'
      f'{row["seconds"]:8.0f} s  ' + ('sound' if row['sound'] else 'NOT SOUND')
    )
  total = summary(rows)
  lines.append(
    f'mean fall {total["fall_percent"]:.1f} % ({total["fallen_enough"]} of '
    f'{total["masks"]} by {FALL_PERCENT:.0f} % or more; by size alone '
    f'{total["fall_by_size_percent"]:.1f} %); probability '
    f'{total["probability_start"]:.2f} -> {total["probability"]:.2f} '
    f'({total["more_probable"]} rise); {total["sound"]} sound'
  )
  return '\n'.join(lines)
