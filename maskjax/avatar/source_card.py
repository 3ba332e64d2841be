"""A finished source domain, packed to be passed on: weights and model card.

The card says what the networks are, what they saw, under which licences, how
they were trained and what was measured. All of it is read from the runs, so
that it cannot say anything else.
"""

from collections.abc import Mapping, Sequence
import json
import pathlib
from typing import Any

import jax

from maskjax.avatar import source_metrics
from maskjax.gan import checkpoints, restore
from maskjax.training import files, metrics, workdir

_LIMIT = 16 * 2**20  # Bytes of a file.
_CURVES = ('loss', 'image', 'depth_error', 'alpha', 'logit_real', 'logit_fake')
_POINTS = 6


def _read_json(path: pathlib.Path) -> dict[str, Any]:
  """Read a file that a run leaves."""
  if not path.is_file():
    raise FileNotFoundError(f'no file {path}')
  return json.loads(path.read_text('utf-8'))


def _parameters(model: restore.Model) -> int:
  """Return the number of trained numbers."""
  return sum(x.size for x in jax.tree.leaves(model.variables['params']))


def _curve(run: pathlib.Path) -> str:
  """Return a table of some of a run's logged steps."""
  records = metrics.read(run / 'metrics.jsonl')
  if not records:
    raise ValueError(f'{run / "metrics.jsonl"} is empty')
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


def _run(run: pathlib.Path) -> str:
  """Describe a run: command, size, time, curve."""
  config = workdir.read_config(run)
  records = metrics.read(run / 'metrics.jsonl')
  batch = config['batch']
  if config['stage'] == 'decoder':
    batch = config['scenes'] * config['views']
  steps = records[-1]['step']
  gaps = [a['step'] - b['step'] for a, b in zip(records[1:], records)]
  seconds = sum(
    gap * record['seconds_per_step'] for gap, record in zip(gaps, records[1:])
  )
  return '\n'.join(
    [
      f'### {config["stage"]}',
      '',
      f'    python -m experiments.train_source --config=configs/source.py:'
      f'{config["stage"]} --config.steps={steps}',
      '',
      f'{steps:,} steps of {batch} pictures, {steps * batch:,} pictures in '
      f'all, about {seconds / 3600:.1f} hours, seed {config["seed"]}.',
      '',
      _curve(run),
      '',
    ]
  )


def _licences(manifest: Mapping[str, Any]) -> str:
  """Describe the data: sources, licences, recipe."""
  lines = ['| source | licence | origin |', '|---|---|---|']
  for source in manifest['sources']:
    lines.append(
      f'| `{source["file"]}` | {source["licence"]} | {source["origin"]} |'
    )
  return '\n'.join(lines)


def card(
  models: Mapping[str, restore.Model],
  runs: Sequence[pathlib.Path],
  manifest: Mapping[str, Any],
  results: Mapping[str, Any],
) -> str:
  """Return the model card as Markdown.

  Args:
    models: networks that are passed on.
    runs: work folders, in the order of training.
    manifest: of the data, `manifest.json`.
    results: of `evaluate_source`, `results.json`.
  """
  sizes = ', '.join(f'{k} {_parameters(m):,}' for k, m in models.items())
  recipe = json.dumps(manifest['recipe'], sort_keys=True)
  return f"""# Source domain: rendered people

A small EG3D whose scenes are heads of people who do not exist. Parameters:
{sizes}; stored in half precision under the reference's key names.

## Data

{manifest['images']:,} pictures of people rendered by this package
(`experiments.make_faces`), each with its camera, depth and identity. No
photograph and no real person is in them. Recipe: `{recipe}`.

{_licences(manifest)}

The weights may be used like the package itself.

## Training

{chr(10).join(_run(pathlib.Path(run)) for run in runs)}
## Measured

`python -m experiments.evaluate_source`; `data` is the same measure of the
data's own pictures. The Frechet distance is on this package's identity
network: it is not an FID.

{source_metrics.table(dict(results))}

## Limits

The people are as varied as the renderer's, no more; pictures have 64 pixels a
side before white. Trained on two CPU cores: more steps, planes and pixels
sharpen it.
"""


def bundle(
  folder: files.PathLike,
  runs: Sequence[files.PathLike],
  data: files.PathLike,
  results: files.PathLike,
) -> None:
  """Write networks in half precision and their card.

  Args:
    folder: where to.
    runs: work folders in the order of training; the last one's networks are
      taken.
    data: folder of the pictures, with its manifest.
    results: file of `evaluate_source`.

  Raises:
    FileNotFoundError, ValueError: a run is not there or not finished, or a
      file is larger than 16 MiB.
  """
  folder, last = pathlib.Path(folder), pathlib.Path(runs[-1])
  models = checkpoints.load_all(last / 'model')
  content = card(
    models,
    [pathlib.Path(run) for run in runs],
    _read_json(pathlib.Path(data) / 'manifest.json'),
    _read_json(pathlib.Path(results)),
  )
  checkpoints.pack(folder, models)
  for path in folder.glob('*.safetensors'):
    if path.stat().st_size > _LIMIT:
      raise ValueError(
        f'{path} has {path.stat().st_size / 2**20:.1f} MiB, more than 16: '
        'take fewer channels'
      )
  files.write_text(folder / 'README.md', content)
