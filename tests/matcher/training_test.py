"""Learning and resuming of the matcher."""

import json
import shutil

import jax
import numpy as np
import optax
import pytest

from configs import matcher as matcher_config
from maskjax.data.creatures import creatures
from maskjax.matcher import (
  batches as matcher_batches,
  network as matcher_lib,
  training as matcher_training,
)
from maskjax.training import settings, state as state_lib
from tests.matcher import toy_heads

_WORDS = matcher_lib.vocabulary()
_SMALL = matcher_lib.MatcherConfig(_WORDS, channels=(8, 8, 16, 16), features=16)


def test_it_learns_a_toy_set():
  heads = toy_heads.make(np.random.default_rng(0), 60)
  truth = toy_heads.truth(heads)
  matcher = matcher_lib.create(jax.random.key(0), _SMALL)
  tx = optax.adam(5e-3)
  step = matcher_training.make_step(matcher.module, tx, ema_decay=0.9)
  state = state_lib.create(matcher.params, tx, ema=True)
  for number in range(60):
    batch = matcher_batches.draw(
      np.random.default_rng([0, number]), heads, truth, batch_size=16
    )
    rng = jax.random.fold_in(jax.random.key(0), number)
    state, metrics = step(state, rng, batch)
  assert np.isfinite(metrics['loss'])
  report = matcher_training.accuracy(
    matcher.replace(params=state.ema_params),
    toy_heads.make(np.random.default_rng(9), 30),
  )
  assert report['pictures'] == 30
  # Chance is 1 in 41, 21 and 36; an untrained one is right by a third at most.
  assert report['kind'] > 0.9
  assert report['light'] > 0.9
  assert set(report['kinds']) == set(creatures.KINDS[:3])


@pytest.fixture
def config(tmp_path):
  folder = tmp_path / 'heads'
  folder.mkdir()
  for index in range(2):
    heads = toy_heads.make(np.random.default_rng(index), 6)
    np.savez(folder / f'heads-{index:05d}.npz', **heads._asdict())
  config = matcher_config.get_config('tiny')
  config.data = str(folder)
  config.steps = 3
  return config


def train(config, folder):
  """Train as the experiment does."""
  return matcher_training.train(
    settings.read(matcher_training.Settings, config), folder
  )


def test_resumed_training_equals_an_unbroken_one(config, tmp_path, monkeypatch):
  report = train(config, tmp_path / 'whole')
  assert report == json.loads((tmp_path / 'whole' / 'report.json').read_text())
  assert report['held_out']['pictures'] == 6

  draw, calls = matcher_batches.draw, []

  def break_off(*args, **kwargs):
    calls.append(1)
    if len(calls) == 3:
      raise RuntimeError('power cut')
    return draw(*args, **kwargs)

  monkeypatch.setattr(matcher_batches, 'draw', break_off)
  with pytest.raises(RuntimeError, match='power cut'):
    train(config, tmp_path / 'broken')
  shutil.rmtree(tmp_path / 'broken' / 'matcher')
  config.resume = True
  train(config, tmp_path / 'broken')
  for name in ('matcher/model.safetensors', 'matcher/config.json'):
    whole, broken = (tmp_path / run / name for run in ('whole', 'broken'))
    assert whole.read_bytes() == broken.read_bytes()


def test_too_few_shards_are_refused(config, tmp_path):
  config.held_out = 2
  with pytest.raises(ValueError, match='holds 2 shards'):
    train(config, tmp_path / 'run')
