"""Measures, tables, resuming, and (slow) a whole evaluation of masks."""

import csv
import itertools
import json

import jax
import numpy as np
from PIL import Image
import pytest

from configs import mask as mask_config
from maskjax.mask import evaluation as mask_evaluation, guide as guide_lib
from maskjax.matcher import network as matcher_lib
from tests.mask import small


@pytest.fixture(scope='module')
def judge():
  config = matcher_lib.MatcherConfig(
    matcher_lib.vocabulary(), channels=(8, 8, 8, 8), features=8
  )
  return matcher_lib.create(jax.random.key(0), config)


def _row(
  kind,
  fall=10.0,
  before=0.1,
  after=0.2,
  *,
  sound=True,
  normals=20.0,
  **run,
):
  """Return a finished row; `run` says of which variant, teacher, seed."""
  own = {'variant': 'as configured', 'teacher': 'model', 'seed': 0, **run}
  return {
    **own,
    'kind': kind,
    'steps': 3,
    'chamfer_start_cm': 2.0,
    'chamfer_cm': 2.0 - fall / 50.0,
    'fall_percent': fall,
    'fall_by_size_percent': 5.0,
    'probability_start': before,
    'probability': after,
    'normals_start_degrees': 25.0,
    'normals_degrees': normals,
    'silhouette_start': 0.6,
    'silhouette': 0.8,
    'named_grey': normals < 15.0,
    'views_alike': 0.9,
    'seconds': 1.5,
    'sound': sound,
  }


def test_summary_and_table():
  rows = [
    _row('tiger', 80.0, 0.2, 0.6, normals=12.0),
    _row('owl', 10.0, 0.4, 0.2, normals=20.0, sound=False),
    _row('tiger', 80.0, 0.2, 0.6, normals=14.0, seed=1),
    _row('owl', 30.0, 0.4, 0.5, normals=22.0, seed=1),
  ]
  total = mask_evaluation.summary(rows)
  assert total['masks'] == 4 and total['seeds'] == 2
  assert total['fall_percent'] == 50.0
  # Means of 45 and 55 % over kinds: sqrt(2) 5.
  assert total['fall_percent_spread'] == 7.0711
  assert total['normals_degrees'] == 17.0
  assert total['normals_degrees_spread'] == 1.4142
  assert total['silhouette_spread'] == 0.0
  assert total['worst_normals_degrees'] == 22.0
  assert total['worst_kind'] == 'owl'
  assert total['named_grey'] == 0.5
  assert total['fallen_enough'] == 2
  assert total['more_probable'] == 3
  assert total['sound'] == 3
  lines = mask_evaluation.table(rows).splitlines()
  assert len(lines) == 1 + 4 + 1
  assert lines[0] == 'as configured'
  assert lines[1].startswith('  tiger') and lines[1].endswith('  sound')
  assert lines[2].endswith('NOT SOUND')
  assert 'normals 25.0 -> 17.0 +- 1.4 degrees (worst 22.0, owl)' in lines[5]
  assert '(2 by 75 % or more; by size alone -5.0 %)' in lines[5]
  lines = mask_evaluation.table(
    [
      _row('owl', variant='residual=noise'),
      _row('owl', variant='residual=noise', teacher='perfect'),
    ]
  ).splitlines()
  assert lines[0] == 'residual=noise'
  assert lines[3] == 'residual=noise, perfect teacher'


def test_rows_are_written_and_read(tmp_path):
  rows = [_row('tiger', 50.0, variant='residual=noise')]
  assert mask_evaluation.read_rows(tmp_path) == []
  mask_evaluation.write_rows(tmp_path, rows)
  assert mask_evaluation.read_rows(tmp_path) == rows
  with open(tmp_path / 'results.csv', newline='') as file:
    (line,) = csv.DictReader(file)
  assert line['variant'] == 'residual=noise'
  assert float(line['fall_percent']) == 50.0
  path = tmp_path / mask_evaluation.RESULTS
  (total,) = json.loads(path.read_text())['summaries']
  assert (total['variant'], total['teacher']) == ('residual=noise', 'model')
  assert total['masks'] == 1
  path.write_text('[')
  with pytest.raises(ValueError, match='no list of results'):
    mask_evaluation.read_rows(tmp_path)


_GUIDE = guide_lib.Guide(None, None, None)  # type: ignore[arg-type]


class _Counter:
  """Stands in for the costly parts and counts what they are asked for."""

  def __init__(self, monkeypatch, stop_after=None):
    self.runs, self.steps, self.prepared = [], 0, []
    self.stop_after = stop_after
    monkeypatch.setattr(
      mask_evaluation.guide_lib, 'load_model', lambda settings: 'model'
    )
    monkeypatch.setattr(mask_evaluation.generate, 'prepare', self.prepare)
    monkeypatch.setattr(mask_evaluation.generate, 'build_step', self.build_step)
    monkeypatch.setattr(mask_evaluation, 'compare', self.compare)

  def prepare(self, settings, *, model):
    assert model == 'model'
    self.prepared.append(settings.prompt)
    return mask_evaluation.generate.Job(
      surface=settings.prompt, guide=_GUIDE, texts=[], start=0
    )

  def build_step(self, surface, settings):
    self.steps += 1
    return settings.distill.residual

  def compare(self, job, settings, kind, matcher, step, picture):
    assert picture.name.endswith(f'{kind}.png')
    if len(self.runs) == self.stop_after:
      raise KeyboardInterrupt
    self.runs.append((kind, step, job.surface, settings.seed))
    own = ('variant', 'teacher', 'seed', 'kind')
    return {k: v for k, v in _row(kind).items() if k not in own}


def test_a_broken_off_evaluation_goes_on(tmp_path, monkeypatch, judge):
  settings = small.settings()
  kinds = ('tiger', 'elephant', 'owl')
  counter = _Counter(monkeypatch, stop_after=2)
  with pytest.raises(KeyboardInterrupt):
    mask_evaluation.evaluate(settings, tmp_path, judge, kinds=kinds)
  assert [row['kind'] for row in mask_evaluation.read_rows(tmp_path)] == [
    'tiger',
    'elephant',
  ]
  assert counter.prepared == ['a tiger', 'an elephant', 'an owl']
  counter = _Counter(monkeypatch)
  rows = mask_evaluation.evaluate(settings, tmp_path, judge, kinds=kinds[::-1])
  assert [run[0] for run in counter.runs] == ['owl']
  assert [row['kind'] for row in rows] == list(kinds[::-1])
  settings = small.settings(steps=7, **{'distill.horizon': 7})
  with pytest.raises(ValueError, match='another config'):
    mask_evaluation.evaluate(settings, tmp_path, judge, kinds=kinds)


def test_ablation_compiles_and_paints_once(tmp_path, monkeypatch, judge):
  counter = _Counter(monkeypatch)
  variants = []
  mask_config.sweep(lambda **changes: variants.append(changes))
  kinds = ('tiger', 'owl')
  rows = mask_evaluation.evaluate(
    small.settings(),
    tmp_path,
    judge,
    kinds=kinds,
    variants=variants,
  )
  assert len(variants) == 17
  assert len(rows) == 34
  assert counter.steps == 17
  assert counter.prepared == ['a tiger', 'an owl']
  assert {run[2] for run in counter.runs} == {'a tiger'}  # one start shape
  assert rows[0]['variant'] == (
    'residual=noise timesteps=uniform normal_percentage=0.0'
  )
  assert rows[-1]['variant'] == 'seen=False shape_likeness=0.0'
  assert len({(row['variant'], row['kind']) for row in rows}) == 34


def test_seeds_and_a_perfect_teacher_have_rows_of_their_own(
  tmp_path, monkeypatch, judge
):
  counter = _Counter(monkeypatch)
  rows = mask_evaluation.evaluate(
    small.settings(),
    tmp_path,
    judge,
    kinds=('tiger', 'owl'),
    seeds=(3, 5),
    perfect=True,
  )
  places = [(row['teacher'], row['seed'], row['kind']) for row in rows]
  assert places == list(
    itertools.product(('model', 'perfect'), (3, 5), ('tiger', 'owl'))
  )
  assert [run[3] for run in counter.runs] == [3, 3, 5, 5] * 2
  assert counter.steps == 2  # one for each teacher
  assert len(counter.prepared) == 4  # of each kind and seed


@pytest.mark.parametrize('kinds', [(), ('tiger', 'cupboard')])
def test_unknown_kinds_are_refused(kinds, tmp_path, judge):
  with pytest.raises(ValueError, match='use some of tiger'):
    mask_evaluation.evaluate(small.settings(), tmp_path, judge, kinds=kinds)


@pytest.mark.slow
def test_whole_evaluation(tiny_prior, tmp_path, judge):
  rows = mask_evaluation.evaluate(
    small.settings(),
    tmp_path,
    judge,
    kinds=('tiger', 'pig'),
    model=tiny_prior,
    perfect=True,
  )
  assert [row['teacher'] for row in rows] == ['model'] * 2 + ['perfect'] * 2
  mask_evaluation.save_sheet(tmp_path, rows, size=48)
  with Image.open(tmp_path / 'masks.png') as picture:
    sheet = np.asarray(picture)
  assert sheet.shape[1] > 8 * 48 and sheet.std() > 5.0
  for row in rows:
    assert row['steps'] == 3
    assert row['sound']
    assert row['rim_displacement'] == 0.0
    assert 0.1 < row['chamfer_cm'] != row['chamfer_start_cm']
    assert 0.0 < row['probability'] < 1.0
