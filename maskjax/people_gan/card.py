"""A finished source domain, packed to be passed on: weights and model card.

The card says what the networks are, what they saw, under which licences, how
they were trained, what was measured, and how other routes compare. All of it
but a note is read from the runs, so that it cannot say anything else.
"""

from collections.abc import Mapping, Sequence
import json
import pathlib
from typing import Any, NamedTuple

from maskjax.evaluation import figures
from maskjax.gan import checkpoints, kinds, model as model_lib
from maskjax.people_gan import (
  metrics as people_metrics,
  pictures as people_pictures,
  presenters as people_presenters,
)
from maskjax.training import files, metrics, workdir
from maskjax.weights import json_files

_LIMIT = 16 * 2**20  # Bytes of a file.
_CURVES = (
  'loss', 'image', 'depth_error', 'alpha', 'prior', 'logit_real', 'logit_fake',
  'r1', 'augment', 'anchor',
)  # fmt: skip
_POINTS = 6
# Of a config, what is a path on somebody's disk or of no weight.
_LEFT_OUT = (
  'data', 'init', 'teacher', 'pictures_every', 'walk_every', 'walk_frames',
)  # fmt: skip
_COMPARED = (
  'face_frechet', 'precision', 'recall', 'flatness', 'yaw_error',
  'identity_equal_error',
)  # fmt: skip
_SEEDS = range(32)


def _read_json(path: pathlib.Path) -> dict[str, Any]:
  """Read a file that a run leaves."""
  if not path.is_file():
    raise FileNotFoundError(f'no file {path}')
  return json_files.read(path)


def _records(run: pathlib.Path) -> list[dict[str, Any]]:
  """Return a run's logged steps."""
  records = metrics.read(run / 'metrics.jsonl')
  if not records:
    raise ValueError(f'{run / "metrics.jsonl"} is empty')
  return records


def _curve(records: Sequence[Mapping[str, Any]]) -> str:
  """Return a table of some of a run's logged steps."""
  last = len(records) - 1
  shown = [records[round(i * last / (_POINTS - 1))] for i in range(_POINTS)]
  keys = [key for key in _CURVES if key in records[-1]]
  lines = [
    '| ' + ' | '.join(('step', *keys)) + ' |', '|---' * (len(keys) + 1) + '|'
  ]  # fmt: skip
  for record in shown:
    values = [f'{record[key]:.4g}' for key in keys]
    lines.append('| ' + ' | '.join((str(record['step']), *values)) + ' |')
  return '\n'.join(dict.fromkeys(lines))


class _Seen(NamedTuple):
  """A run: its config, logged steps, pictures of a step, and hours."""

  config: dict[str, Any]
  records: list[dict[str, Any]]
  batch: int
  hours: float

  @property
  def steps(self) -> int:
    """Finished steps."""
    return self.records[-1]['step']


def _seen(run: pathlib.Path) -> _Seen:
  """Read a run."""
  config, records = workdir.read_config(run), _records(run)
  batch = config['batch']
  if config['stage'] in ('decoder', 'student'):
    batch = config['scenes'] * config['views']
  gaps = [
    a['step'] - b['step'] for a, b in zip(records, [{'step': 0}, *records])
  ]
  seconds = sum(
    gap * record['seconds_per_step'] for gap, record in zip(gaps, records)
  )
  return _Seen(config, records, batch, seconds / 3600)


def _run(run: pathlib.Path) -> str:
  """Describe a run: command, size, time, curve, config."""
  seen = _seen(run)
  config, steps, batch = seen.config, seen.steps, seen.batch
  begin = ' --config.init=...' if config['init'] else ''
  kept = {k: v for k, v in config.items() if k not in _LEFT_OUT}
  return '\n'.join(
    [
      f'### {config["stage"]}',
      '',
      f'    python -m experiments.train_source --config=configs/source.py:'
      f'{config["stage"]} --config.steps={steps}{begin}',
      '',
      f'{steps:,} steps of {batch} pictures, {steps * batch:,} pictures in '
      f'all, about {seen.hours:.1f} hours with all pauses, seed '
      f'{config["seed"]}.',
      '',
      _curve(seen.records),
      '',
      'All settings:',
      '',
      f'    {json.dumps(kept, sort_keys=True)}',
      '',
    ]
  )


def _route(runs: Sequence[pathlib.Path]) -> str:
  """Name runs after one another: stages and pictures."""
  words = []
  for run in runs:
    seen = _seen(run)
    words.append(
      f'{seen.config["stage"]}, {seen.steps * seen.batch / 1000:.0f} thousand '
      f'pictures, {60 * seen.hours:.0f} min'
    )
  return '; then '.join(words)


def _comparison(
  routes: Sequence[tuple[Sequence[pathlib.Path], Mapping[str, Any]]],
) -> str:
  """Return the measures of several routes, a column each."""
  lines = ['| measure |' + ''.join(f' {_route(runs)} |' for runs, _ in routes)]
  lines.append('|---' * (len(routes) + 1) + '|')
  for key in _COMPARED:
    values = [results.get(key) for _, results in routes]
    if all(value is None for value in values):
      continue
    cells = ['not found' if v is None else f'{v:.4g}' for v in values]
    lines.append(f'| {key} | ' + ' | '.join(cells) + ' |')
  return '\n'.join(lines)


def _licences(manifest: Mapping[str, Any]) -> str:
  """Describe the data: sources, licences, recipe."""
  lines = ['| source | licence | origin |', '|---|---|---|']
  for source in manifest['sources']:
    lines.append(
      f'| `{source["file"]}` | {source["licence"]} | {source["origin"]} |'
    )
  return '\n'.join(lines)


def _introduction(models: Mapping[str, model_lib.Model]) -> str:
  """Say what the networks are."""
  sizes = ', '.join(
    f'{k} {model_lib.parameter_count(m):,}' for k, m in models.items()
  )
  kind = kinds.of(next(iter(models.values())).module)
  return f"""# {kind.title}

{kind.words}
Parameters: {sizes}; stored in half precision under the
reference's key names."""


def card(
  models: Mapping[str, model_lib.Model],
  runs: Sequence[pathlib.Path],
  manifest: Mapping[str, Any],
  results: Mapping[str, Any],
  others: Sequence[tuple[Sequence[pathlib.Path], Mapping[str, Any]]] = (),
  note: str = '',
) -> str:
  """Return the model card as Markdown.

  Args:
    models: networks that are passed on, the generator first.
    runs: work folders, in the order of training.
    manifest: content of the data's `manifest.json`.
    results: content of `results.json` of `evaluate_source`.
    others: work folders and results of other routes, to compare.
    note: what else is to be known of the training.
  """
  side = next(iter(models.values())).module.config.output_side
  recipe = json.dumps(manifest['recipe'], sort_keys=True)
  routes = ''
  if others:
    routes = f"""
Other routes to the same networks, measured in the same way; the first is this
one. What found too few faces to be measured is left open.

{_comparison([(runs, results), *others])}
"""
  return f"""{_introduction(models)}

![Generated people](samples.png)

## Data

{manifest['images']:,} pictures of people rendered by this package
(`experiments.make_faces`), each with its camera, depth and identity. No
photograph and no real person is in them. Recipe: `{recipe}`.

{_licences(manifest)}

The weights may be used like the package itself.

## Training

{chr(10).join(_run(pathlib.Path(run)) for run in runs)}
{note}

![Curves](curves.png)

## Measured

`python -m experiments.evaluate_source`; `data` is the same measure of the
data's own pictures. The Frechet distance is on this package's identity
network: it is not an FID.

{people_metrics.table(dict(results))}
{routes}
## Limits

The people are as varied as the renderer's, no more, and stand before white;
pictures have {side} pixels a side. What more compute would buy: more steps,
larger pictures, wider planes (`channels`, `rendering`) and more samples of a
ray.
"""


def read_route(
  text: str,
) -> tuple[list[pathlib.Path], dict[str, Any]]:
  """Read 'results.json=run[+run...]': another route to compare.

  Args:
    text: the file of `evaluate_source`, and the work folders in order.

  Raises:
    FileNotFoundError, ValueError: no such file, or another form.
  """
  results, sign, runs = text.partition('=')
  if not sign or not runs:
    raise ValueError(f'route {text!r} is not like results.json=out/run')
  folders = [pathlib.Path(run) for run in runs.split('+')]
  return folders, _read_json(pathlib.Path(results))


def bundle(
  folder: files.PathLike,
  runs: Sequence[files.PathLike],
  data: files.PathLike,
  results: files.PathLike,
  others: Sequence[str] = (),
  networks: Sequence[str] = (),
  note: str = '',
) -> None:
  """Write networks in half precision, their card, samples and curves.

  Args:
    folder: where the bundle is written.
    runs: work folders in the order of training; the last one's networks are
      taken.
    data: folder of the pictures, with its manifest.
    results: file of the measures, from `evaluate_source`.
    others: other routes to compare, see `read_route`.
    networks: names of those to pack, all when empty.
    note: words for the card, on the training.

  Raises:
    FileNotFoundError, ValueError: a run is not there or not finished, or a
      file is larger than 16 MiB.
  """
  if not runs:
    raise ValueError('runs is empty; give the work folders of the training')
  folder, last = pathlib.Path(folder), pathlib.Path(runs[-1])
  routes = [read_route(text) for text in others]
  measured = _read_json(pathlib.Path(results))
  manifest = _read_json(pathlib.Path(data) / 'manifest.json')
  models = checkpoints.load_all(last / 'model')
  if unknown := sorted(set(networks) - set(models)):
    raise ValueError(f'{last} has no {unknown[0]}, only {", ".join(models)}')
  models = {k: models[k] for k in networks or models}
  content = card(
    models,
    [pathlib.Path(run) for run in runs],
    manifest,
    measured,
    routes,
    note,
  )
  checkpoints.pack(folder, models)
  for path in folder.glob('*.safetensors'):
    if path.stat().st_size > _LIMIT:
      raise ValueError(
        f'{path} has {path.stat().st_size / 2**20:.1f} MiB, more than 16: '
        'take fewer channels'
      )
  sheet = people_presenters.crowd(checkpoints.load(folder), _SEEDS, psi=1.0)
  people_pictures.save_sheet(folder / 'samples.png', sheet, times=1)
  figures.save_curves(folder / 'curves.png', _records(last), _CURVES)
  files.write_text(folder / 'README.md', content)
