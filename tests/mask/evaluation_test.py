"""Measures, tables, resuming, and (slow) a whole evaluation of masks."""

import csv

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import mask as mask_config
from maskjax.data.creatures import creatures
from maskjax.geometry import template as template_lib
from maskjax.mask import evaluation as mask_evaluation
from maskjax.matcher import network as matcher_lib
from tests.mask import small


@pytest.fixture(scope='module')
def judge():
  config = matcher_lib.MatcherConfig(
    matcher_lib.vocabulary(), channels=(8, 8, 8, 8), features=8
  )
  return matcher_lib.create(jax.random.key(0), config)


@pytest.fixture(scope='module')
def start():
  mesh = template_lib.mask_template('plain', edge_length=1.2).mesh
  return mesh.replace(colors=jnp.full_like(mesh.vertices, 0.8))


def _row(kind, fall, before, after, sound=True, **variant):
  return {
    **variant,
    'kind': kind,
    'steps': 3,
    'chamfer_start_cm': 2.0,
    'chamfer_cm': 2.0 - fall / 50.0,
    'fall_percent': fall,
    'fall_by_size_percent': 5.0,
    'probability_start': before,
    'probability': after,
    'seconds': 1.5,
    'sound': sound,
  }


def test_pictures_show_the_mask_before_grey(start):
  images = np.asarray(mask_evaluation.photograph(start))
  assert images.shape == (3, 64, 64, 3)
  grey = images[:, 0, 0]
  np.testing.assert_allclose(grey, grey[0, 0], atol=1e-6)
  assert (np.abs(images[:, 32, 32] - grey) > 0.05).all()
  # Seen from +-45 degrees, a symmetric mask gives mirrored pictures.
  np.testing.assert_allclose(images[0], images[2, :, ::-1], atol=0.1)


def test_the_truth_is_nearer_to_itself_than_the_start_is(start, judge):
  truth = creatures.mean_shape('pig')
  far = mask_evaluation.measure(start, 'pig', judge)
  near = mask_evaluation.measure(
    truth.replace(vertices=jnp.asarray(truth.vertices)), 'pig', judge
  )
  # Two samplings of one surface are about 0.1 cm apart.
  assert near.chamfer_cm < 0.2 < far.chamfer_cm
  assert 0.0 < far.probability < 1.0


def test_resizing_is_told_apart_from_shape():
  truth = creatures.mean_shape('pig')
  truth = truth.replace(vertices=jnp.asarray(truth.vertices))
  small = truth.replace(vertices=truth.vertices / 1.25)
  # Only the noise of the sampling is left after growing by 1.25.
  assert mask_evaluation.fall_by_size(small, 'pig') > 70.0
  assert mask_evaluation.fall_by_size(truth, 'pig') < 5.0


def test_summary_and_table():
  rows = [
    _row('tiger', 50.0, 0.2, 0.6),
    _row('owl', 10.0, 0.4, 0.2, sound=False),
  ]
  total = mask_evaluation.summary(rows)
  assert total == {
    'masks': 2,
    'fall_percent': 30.0,
    'fall_by_size_percent': 5.0,
    'probability_start': 0.3,
    'probability': 0.4,
    'fallen_enough': 1,
    'more_probable': 1,
    'sound': 1,
    'seconds': 1.5,
  }
  lines = mask_evaluation.table(rows).splitlines()
  assert len(lines) == 3
  assert lines[0].startswith('tiger') and lines[0].endswith('sound')
  assert lines[1].endswith('NOT SOUND')
  assert '(1 of 2 by 40 % or more; by size alone 5.0 %)' in lines[2]
  varied = mask_evaluation.table(
    [_row('owl', 1.0, 0, 0, **{'distill.residual': 'noise'})]
  )
  assert varied.startswith('noise ')


def test_rows_are_written_and_read(tmp_path):
  rows = [_row('tiger', 50.0, 0.2, 0.6, **{'distill.residual': 'noise'})]
  assert mask_evaluation.read_rows(tmp_path) == []
  mask_evaluation.write_rows(tmp_path, rows)
  assert mask_evaluation.read_rows(tmp_path) == rows
  with open(tmp_path / 'results.csv', newline='') as file:
    (line,) = csv.DictReader(file)
  assert line['distill.residual'] == 'noise'
  assert float(line['fall_percent']) == 50.0
  (tmp_path / mask_evaluation.RESULTS).write_text('[')
  with pytest.raises(ValueError, match='no list of results'):
    mask_evaluation.read_rows(tmp_path)


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
      surface=settings.prompt, guide=0, texts=[], start=0
    )

  def build_step(self, surface, settings):
    self.steps += 1
    return settings.distill.residual

  def compare(self, job, settings, kind, matcher, step, picture):
    assert picture.name.endswith(f'{kind}.png')
    if len(self.runs) == self.stop_after:
      raise KeyboardInterrupt
    self.runs.append((kind, step, job.surface))
    return _row(kind, 1.0, 0.1, 0.2)


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
  settings = small.settings(seed=7)
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
  assert len(variants) == 12
  assert len(rows) == 24
  assert counter.steps == 12
  assert counter.prepared == ['a tiger', 'an owl']
  assert {run[2] for run in counter.runs} == {'a tiger'}  # one start shape
  assert list(rows[0])[:4] == [*variants[0], 'kind']
  assert rows[-1]['distill.residual'] == 'noised_image'


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
  )
  for row in rows:
    assert row['steps'] == 3
    assert row['sound']
    assert row['rim_displacement'] == 0.0
    assert 0.1 < row['chamfer_cm'] != row['chamfer_start_cm']
    assert 0.0 < row['probability'] < 1.0
