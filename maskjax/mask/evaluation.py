"""Does the loop make a mask more like what it was asked for?

For each kind of head that we have the truth of, the start shape and the
result of a run are compared with it, by the measures of `measures`; over
several seeds, and beside what a perfect teacher would reach.
"""

from collections.abc import Mapping, Sequence
import csv
import io
import itertools
import json
import pathlib
import time
from typing import Any, NamedTuple
import zlib

import jax
import jax.numpy as jnp
import numpy as np

from maskjax.data.creatures import creatures
from maskjax.diffusion import model as model_lib
from maskjax.geometry import mesh_io
from maskjax.mask import (
  export,
  generate,
  guide as guide_lib,
  measures,
  preview,
  settings as settings_lib,
  surface as surface_lib,
)
from maskjax.matcher import network as matcher_lib
from maskjax.studio import sheets, words as studio_words
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
FALL_PERCENT = 75.0
RESULTS = 'results.json'
# Who judges the renders: the diffusion model, or the truth itself.
MODEL, PERFECT = 'model', 'perfect'
# What the rows of a variant of no changes are called.
AS_CONFIGURED = 'as configured'

Row = dict[str, Any]


class Run(NamedTuple):
  """What makes a row different from all others."""

  variant: str  # the changes of the config, as words
  teacher: str  # `MODEL` or `PERFECT`
  seed: int
  kind: str


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
    picture: where the preview of the mask is written, and the mask itself
      beside it, as a GLB of the same name.

  Returns:
    The measures of a row of the table: distances in cm, the fall in per cent
    (and how much of it resizing alone could reach, see
    `measures.fall_by_size`), probabilities, degrees, seconds of the loop (the
    first run of a variant compiles the step), and the counts of
    `soundness.report`.
  """
  start = surface_lib.assemble(
    job.surface, job.start.params, bound=settings.optimizer.offset_bound
  )
  before = measures.measure(start, kind, matcher)
  began = time.monotonic()
  outcome = generate.optimize(job, settings, step=step, name=kind)
  if outcome.reason == 'interrupted':
    raise KeyboardInterrupt  # half a run is no result
  state = jax.block_until_ready(outcome.state)
  seconds = time.monotonic() - began
  mesh, sound = surface_lib.finish(job.surface, state.params, settings)
  after = measures.measure(mesh, kind, matcher)
  media.save_png(picture, export.draw(job.surface, job.start, mesh, settings))
  mesh_io.save_mesh(picture.with_suffix('.glb'), mesh)
  fall = 100.0 * (1.0 - after.chamfer_cm / before.chamfer_cm)
  return {
    'steps': int(state.step),
    'chamfer_start_cm': round(before.chamfer_cm, 4),
    'chamfer_cm': round(after.chamfer_cm, 4),
    'fall_percent': round(fall, 2),
    'fall_by_size_percent': round(measures.fall_by_size(start, kind), 2),
    'probability_start': round(before.probability, 4),
    'probability': round(after.probability, 4),
    'normals_start_degrees': round(before.normals_degrees, 2),
    'normals_degrees': round(after.normals_degrees, 2),
    'silhouette_start': round(before.silhouette, 4),
    'silhouette': round(after.silhouette, 4),
    'named_grey': after.named_grey,
    'views_alike': round(after.views_alike, 4),
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
  """Write results.json (with summaries) and results.csv."""
  out = io.StringIO()
  writer = csv.DictWriter(out, list(rows[0]), lineterminator='\n')
  writer.writeheader()
  writer.writerows(rows)
  files.write_text(folder / 'results.csv', out.getvalue())
  summaries = [
    {**dict(zip(('variant', 'teacher'), group)), **summary(members)}
    for group, members in grouped(rows).items()
  ]
  content = {'summaries': summaries, 'rows': list(rows)}
  files.write_json(folder / RESULTS, content)


def grouped(rows: Sequence[Row]) -> dict[tuple[str, str], list[Row]]:
  """Return rows by variant and teacher, in the order that they came in."""
  groups: dict[tuple[str, str], list[Row]] = {}
  for row in rows:
    groups.setdefault((row['variant'], row['teacher']), []).append(row)
  return groups


_MEANS = (
  'fall_percent',
  'fall_by_size_percent',
  'probability_start',
  'probability',
  'normals_start_degrees',
  'normals_degrees',
  'silhouette_start',
  'silhouette',
  'named_grey',
  'views_alike',
  'seconds',
)
# Of these the summary tells the spread over seeds.
_SPREADS = ('fall_percent', 'normals_degrees', 'silhouette', 'named_grey')


def _spread(rows: Sequence[Row], name: str) -> float:
  """Return the standard deviation over seeds of the mean over kinds."""
  seeds: dict[int, list[float]] = {}
  for row in rows:
    seeds.setdefault(row['seed'], []).append(row[name])
  means = [np.mean(values) for values in seeds.values()]
  return float(np.std(means, ddof=1)) if len(means) > 1 else 0.0


def summary(rows: Sequence[Row]) -> dict[str, Any]:
  """Return means and spreads over rows, the worst, and how many are good."""
  worst = max(rows, key=lambda row: row['normals_degrees'])
  return {
    'masks': len(rows),
    'seeds': len({row['seed'] for row in rows}),
    **{n: round(float(np.mean([r[n] for r in rows])), 4) for n in _MEANS},
    **{f'{name}_spread': round(_spread(rows, name), 4) for name in _SPREADS},
    'worst_normals_degrees': worst['normals_degrees'],
    'worst_kind': worst['kind'],
    'fallen_enough': sum(row['fall_percent'] >= FALL_PERCENT for row in rows),
    'more_probable': sum(
      row['probability'] > row['probability_start'] for row in rows
    ),
    'sound': sum(bool(row['sound']) for row in rows),
  }


def _checksum(matcher: matcher_lib.Matcher) -> int:
  """Tell one matcher from another: their judgements do not mix."""
  total = 0
  for leaf in jax.tree.leaves(matcher.params):
    total = zlib.crc32(np.ascontiguousarray(leaf).tobytes(), total)
  return total


def _words(changes: Mapping[str, Any]) -> str:
  """Return changes of a config as words, e.g. 'residual=noise camera=False'."""
  return ' '.join(f'{n.split(".")[-1]}={v}' for n, v in changes.items()) or (
    AS_CONFIGURED
  )


def _name(run: Run) -> str:
  """Return the name of the files of a run."""
  return '-'.join(map(str, run)).replace(' ', '_')


def _identity(row: Row) -> Run:
  """Return what makes a row different from all others."""
  return Run(*(row[name] for name in Run._fields))


def _settings_of(
  settings: settings_lib.MaskSettings, changes: Mapping[str, Any], run: Run
) -> settings_lib.MaskSettings:
  """Return the settings of a run."""
  prompt = studio_words.with_article(run.kind)
  told = {**changes, 'prompt': prompt, 'seed': run.seed}
  settings = read_lib.changed(settings, told)
  surface_lib.variants(settings)
  return settings


def _taught(job: generate.Job, run: Run) -> generate.Job:
  """Return a job with the teacher of a run."""
  if run.teacher == MODEL:
    return job
  truth = jax.tree.map(jnp.asarray, creatures.mean_shape(run.kind))
  # Its first image is of the truth as well, so there is nothing to hold to.
  return job._replace(guide=job.guide._replace(truth=truth, first=None))


def _measure(
  settings: settings_lib.MaskSettings,
  folder: pathlib.Path,
  matcher: matcher_lib.Matcher,
  *,
  plan: Sequence[tuple[Mapping[str, Any], Run]],
  model: model_lib.DiffusionModel | None,
) -> list[Row]:
  """Measure what a folder has not yet; see `evaluate`."""
  rows = read_rows(folder)
  done = {_identity(row) for row in rows}
  several = len({run[:2] for _, run in plan}) > 1
  jobs: dict[tuple[int, str], generate.Job] = {}
  steps: dict[tuple[str, str], generate.StepFn] = {}
  surface = None
  for changes, run in plan:
    if run in done:
      continue
    own, place = _settings_of(settings, changes, run), (run.seed, run.kind)
    if place not in jobs:
      model = guide_lib.load_model(settings) if model is None else model
      jobs[place] = generate.prepare(own, model=model)
    # One start shape for all of them, as one compiled step asks for.
    surface = surface or jobs[place].surface
    jobs[place] = jobs[place]._replace(surface=surface)
    if run[:2] not in steps:
      steps = {run[:2]: generate.build_step(surface, own)}
    picture = folder / f'{_name(run)}.png'
    job = _taught(jobs[place], run)
    row = compare(job, own, run.kind, matcher, steps[run[:2]], picture)
    rows.append({**run._asdict(), **row})
    write_rows(folder, rows)
    if not several:
      del jobs[place]
  wanted = [run for _, run in plan]
  by_run = {_identity(row): row for row in rows}
  return [by_run[run] for run in wanted]


def evaluate(
  settings: settings_lib.MaskSettings,
  directory: files.PathLike,
  matcher: matcher_lib.Matcher,
  *,
  kinds: Sequence[str] = KINDS,
  seeds: Sequence[int] | None = None,
  variants: Sequence[Mapping[str, Any]] = ({},),
  perfect: bool = False,
  model: model_lib.DiffusionModel | None = None,
) -> list[Row]:
  """Run the loop for kinds, seeds and variants of a config and measure each.

  Every finished row is written at once, with a picture of its mask; rows
  that a folder has already are not run again.

  Args:
    settings: all settings of a mask; the prompt is replaced by each kind.
    directory: folder of the results; made when missing.
    matcher: network that says what pictures show.
    kinds: names of kinds of heads, of `creatures.KINDS`.
    seeds: seeds of the runs; None: the settings' own.
    variants: changes of fields by dotted name; only fields that the loop
      reads, since first images are painted once.
    perfect: whether a teacher that knows the true head is asked, too: what
      the loop could reach at best.
    model: the prior; None loads the settings'.

  Returns:
    The rows, in the order of variants, then teachers, seeds and kinds.

  Raises:
    ValueError: unknown kinds, none at all, or a folder of another config.
  """
  unknown = [kind for kind in kinds if kind not in creatures.KINDS]
  if unknown or not kinds:
    raise ValueError(
      f'kinds {unknown or "are missing"}: use some of '
      f'{", ".join(creatures.KINDS)}'
    )
  seeds = (settings.seed,) if seeds is None else seeds
  teachers = (MODEL, PERFECT) if perfect else (MODEL,)
  plan = [
    (changes, Run(_words(changes), *rest))
    for changes in variants
    for rest in itertools.product(teachers, seeds, kinds)
  ]
  for changes, run in plan:
    _settings_of(settings, changes, run)  # a wrong one is told at once
  opened = workdir_lib.opened(
    directory,
    generate.identity(settings) | {'matcher': _checksum(matcher)},
    ignored=(*read_lib.commands(settings), 'prompt', 'seed'),
  )
  with opened as folder:
    return _measure(settings, folder, matcher, plan=plan, model=model)


def save_sheet(
  folder: pathlib.Path, rows: Sequence[Row], *, size: int = 144
) -> None:
  """Write masks.png: front and 45 degrees, with colours and without.

  Args:
    folder: where `evaluate` has left the masks.
    rows: their rows; of each kind the first is shown.
    size: pixels of a picture.
  """
  shown = {row['kind']: row for row in reversed(rows)}
  kinds = list(dict.fromkeys(row['kind'] for row in rows))
  cells = []
  for kind in kinds:
    path = folder / f'{_name(_identity(shown[kind]))}.glb'
    mesh = mesh_io.load_mesh(path)
    pictures = [
      picture
      for textured in (True, False)
      for picture in preview.photograph(
        mesh, (0.0, 45.0), size=size, textured=textured
      )
    ]
    cells.append(list(zip((kind, '45°', '', ''), pictures)))
  lines = [
    ('', [cell for group in cells[i : i + 2] for cell in group])
    for i in range(0, len(cells), 2)
  ]
  picture = sheets.titled('From words to masks', lines, size=size)
  media.save_png(folder / 'masks.png', picture)


def _line(row: Row) -> str:
  """Return a row as a line of text."""
  return (
    f'{row["kind"]:18}{row["seed"]:3}'
    f'{row["chamfer_start_cm"]:7.2f} ->{row["chamfer_cm"]:5.2f} cm '
    f'{-row["fall_percent"]:+6.1f} %'
    f'{row["normals_start_degrees"]:7.1f} ->'
    f'{row["normals_degrees"]:5.1f} deg'
    f'  IoU{row["silhouette_start"]:5.2f} ->{row["silhouette"]:5.2f}'
    f'  p{row["probability_start"]:5.2f} ->{row["probability"]:5.2f}'
    f'  {"named" if row["named_grey"] else "-":5}'
    f'{row["seconds"]:6.0f} s  ' + ('sound' if row['sound'] else 'NOT SOUND')
  )


def _total(total: dict[str, Any]) -> str:
  """Return a summary as text."""
  several = total['seeds'] > 1
  over = f', +- the spread over {total["seeds"]} seeds' if several else ''

  def spread(name: str, digits: int) -> str:
    return f' +- {total[f"{name}_spread"]:.{digits}f}' if several else ''

  return (
    f'mean of {total["masks"]} masks{over}: normals '
    f'{total["normals_start_degrees"]:.1f} -> {total["normals_degrees"]:.1f}'
    f'{spread("normals_degrees", 1)} degrees (worst '
    f'{total["worst_normals_degrees"]:.1f}, {total["worst_kind"]}); Chamfer '
    f'-{total["fall_percent"]:.1f}{spread("fall_percent", 1)} % '
    f'({total["fallen_enough"]} by {FALL_PERCENT:.0f} % or more; by size alone '
    f'-{total["fall_by_size_percent"]:.1f} %); IoU '
    f'{total["silhouette"]:.3f}{spread("silhouette", 3)}; grey '
    f'shapes named {total["named_grey"]:.0%}; views alike '
    f'{total["views_alike"]:.2f}; probability '
    f'{total["probability_start"]:.2f} -> {total["probability"]:.2f} '
    f'({total["more_probable"]} rise); {total["sound"]} sound'
  )


def table(rows: Sequence[Row]) -> str:
  """Return rows and their summaries as lines of text."""
  lines = []
  for (variant, teacher), members in grouped(rows).items():
    known = '' if teacher == MODEL else f', {teacher} teacher'
    lines.append(f'{variant}{known}')
    lines += [f'  {_line(row)}' for row in members]
    lines.append(f'  {_total(summary(members))}')
  return '\n'.join(lines)
