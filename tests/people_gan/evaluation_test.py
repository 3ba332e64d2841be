"""What a measured generator leaves in its folder."""

import json

import jax
import numpy as np
from PIL import Image
import pytest

from maskjax.gan import checkpoints, model as model_lib
from maskjax.people_gan import (
  evaluation as people_evaluation,
  flat_pictures,
  metrics as people_metrics,
  networks as people_networks,
)
from tests.people_gan import people

REQUEST = people_metrics.Request(pictures=8, psi=0.5)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  """Return a folder with people and a small StyleGAN2."""
  folder = tmp_path_factory.mktemp('evaluation')
  people.write(folder / 'faces', count=4, views=2, side=16)
  config = people.settings('tiny_stylegan2', channels=(4, 4, 4))
  model = model_lib.initialize(
    jax.random.key(0), people_networks.flat_generator(config)
  )
  checkpoints.save(folder / 'model', {'G_ema': model})
  return folder


def test_results_and_sheets_are_written(folder, tmp_path, monkeypatch):
  asked = []

  def measure(model, data, codes, request, look):
    asked.append((data.image.shape, codes, request, look))
    return {'recall': 0.25}

  rng = np.random.default_rng(0)
  seen = rng.uniform(-1, 1, (32, 5, 16, 16, 3)).astype(np.float32)
  monkeypatch.setattr(people_metrics, 'measure', measure)
  monkeypatch.setattr(flat_pictures, 'pairs', lambda *arguments: (seen, seen))
  values = people_evaluation.evaluate(
    REQUEST,
    tmp_path / 'out',
    data=folder / 'faces',
    checkpoint=folder / 'model',
    beside=folder / 'model',
  )
  assert asked == [((4, 2, 16, 16, 3), None, REQUEST, None)]
  assert values == {'recall': 0.25, 'same_person': 1.0, 'same_view': 1.0}
  found = {path.name: path for path in (tmp_path / 'out').iterdir()}
  assert set(found) == {'results.json', 'people.png', 'pairs.png'}
  assert json.loads(found['results.json'].read_text()) == values
  for name in ('people.png', 'pairs.png'):
    assert np.asarray(Image.open(found[name])).std() > 1


def test_without_a_file_nothing_looks():
  assert people_evaluation.open_inception(None, 'pytorch-fid') is None
