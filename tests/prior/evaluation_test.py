"""Scores, tables, and a whole judgement of a prior with random weights."""

import csv
import json

import jax
import numpy as np
import pytest

from maskjax.data.creatures import creatures
from maskjax.diffusion import model as model_lib
from maskjax.matcher import network as matcher_lib
from maskjax.prior import evaluation as prior_evaluation
from maskjax.studio import views as studio_views


def _one_hot(rows, count):
  return np.eye(count, dtype=np.float32)[rows]


def _answers(kinds, views, lights):
  return {
    'kind': _one_hot(kinds, len(creatures.KINDS)),
    'view': _one_hot(views, len(studio_views.view_names())),
    'light': _one_hot(lights, len(studio_views.LIGHTINGS)),
  }


def test_requests_take_kinds_in_turn_and_say_what_they_mean():
  requests = prior_evaluation.draw_requests(np.random.default_rng(0), 50)
  np.testing.assert_array_equal(
    requests.labels[:, 0], np.arange(50) % len(creatures.KINDS)
  )
  for (kind, view, light), text in zip(requests.labels, requests.texts):
    assert creatures.KINDS[kind] in text
    assert f', {studio_views.view_names()[view]}, ' in text
    assert text.endswith(studio_views.lighting_names()[light])


def test_chance_is_what_shuffled_answers_reach():
  rng = np.random.default_rng(0)
  asked, answered = rng.integers(0, 3, 90), rng.integers(0, 2, 90)
  expected = np.mean(
    [np.mean(asked == rng.permutation(answered)) for _ in range(2000)]
  )
  # 2,000 draws of a share of 90: a standard error of about 0.001.
  assert abs(prior_evaluation.chance(asked, answered, 3) - expected) < 0.005


def test_scores_of_a_small_case():
  labels = np.array([[0, 1, 2], [0, 1, 2], [1, 0, 0]], np.int32)
  requests = prior_evaluation.Requests(labels, ['a', 'b', 'c'], np.ones((3, 3)))
  report = prior_evaluation.score(
    requests, _answers([0, 3, 1], [1, 1, 1], [2, 0, 0])
  )
  assert report['samples'] == 3
  assert report['kind'] == {'accuracy': 0.6667, 'chance': 0.3333}
  assert report['view'] == {'accuracy': 0.6667, 'chance': 0.6667}
  first, second = report['kinds']
  assert first == {
    'kind': creatures.KINDS[0],
    'samples': 2,
    'kind_accuracy': 0.5,
    'probability': 0.5,
    'view_accuracy': 1.0,
    'light_accuracy': 0.5,
    'taken_for': creatures.KINDS[3],
  }
  assert second['taken_for'] == ''
  lines = prior_evaluation.table(report).splitlines()
  assert len(lines) == 1 + 2 + 3
  assert 'kind 66.7% (chance 33.3%)' in lines


def test_pictures_are_brought_to_the_matchers_size():
  images = np.zeros((2, 128, 128, 3), np.float32)
  images[:, :64] = 1.0
  small = prior_evaluation.at_matcher_size(images)
  assert small.shape == (2, 64, 64, 3)
  np.testing.assert_allclose(small[:, :30], 1.0, rtol=1e-6)
  assert prior_evaluation.at_matcher_size(small) is small


def test_whole_judgement(tiny_prior, tmp_path):
  config = matcher_lib.MatcherConfig(
    matcher_lib.vocabulary(), channels=(8, 8, 8, 8), features=8
  )
  judge = matcher_lib.create(jax.random.key(0), config)
  done = []
  report = prior_evaluation.evaluate(
    tiny_prior,
    judge,
    tmp_path,
    count=3,
    report=done.append,
    steps=2,
    batch_size=2,
  )
  assert done == [2, 3]
  assert json.loads((tmp_path / 'report.json').read_text()) == report
  assert report['options'] == {'seed': 0, 'steps': 2, 'batch_size': 2}
  with open(tmp_path / 'samples.csv', newline='') as file:
    rows = list(csv.DictReader(file))
  assert [row['kind'] for row in rows] == list(creatures.KINDS[:3])
  assert all(0 < float(row['probability_light']) < 1 for row in rows)
  assert (tmp_path / 'contact-1.png').stat().st_size > 1000


def test_a_prior_that_is_told_the_camera_is_told_it(maps_folder):
  model = model_lib.load(maps_folder)
  requests = prior_evaluation.draw_requests(np.random.default_rng(0), 2)
  turned = requests._replace(cameras=requests.cameras * (-1.0, 1.0, 1.0))
  samples = [
    next(prior_evaluation.sample(model, asked, steps=2, batch_size=2))
    for asked in (requests, requests, turned)
  ]
  assert samples[0].shape == (2, 16, 16, 7)
  np.testing.assert_array_equal(samples[0], samples[1])
  assert np.abs(samples[0] - samples[2]).max() > 1e-4


def test_nothing_to_judge_is_refused(tmp_path, unchecked):
  with pytest.raises(ValueError, match='at least 1'):
    prior_evaluation.evaluate(None, None, tmp_path, count=0)


def test_folders_are_read_and_progress_is_shown(tmp_path, monkeypatch):
  asked = {}

  def evaluate(model, matcher, folder, *, report, **options):
    report(1)
    asked.update(model=model, matcher=matcher, folder=folder, **options)
    return {'kind_accuracy': 1.0}

  monkeypatch.setattr(prior_evaluation, 'evaluate', evaluate)
  monkeypatch.setattr(prior_evaluation.model_lib, 'load', str)
  monkeypatch.setattr(prior_evaluation.matcher_lib, 'load', str)
  monkeypatch.setattr(
    prior_evaluation.head_images, 'load', lambda paths: [p.name for p in paths]
  )
  for number in range(3):
    (tmp_path / f'heads-0000{number}.npz').write_bytes(b'')
  found = prior_evaluation.run(
    tmp_path / 'out', prior='a', real=str(tmp_path), count=2, seed=3, steps=4
  )
  assert found == {'kind_accuracy': 1.0}
  assert asked == {
    'model': 'a',
    'matcher': '',
    'folder': tmp_path / 'out',
    'count': 2,
    'real': ['heads-00001.npz', 'heads-00002.npz'],
    'seed': 3,
    'steps': 4,
  }
