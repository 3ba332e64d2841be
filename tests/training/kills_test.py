"""Runs that are killed at random moments end like unbroken ones."""

import numpy as np
import pytest

from tests import killed
from tests.matcher import toy_heads
from tests.people_gan import people


def _source(folder):
  people.write(folder)
  return folder


def _prior(folder):
  from tests.prior import training_test

  training_test.write_heads(folder)
  return folder


def _matcher(folder):
  for index in range(2):
    heads = toy_heads.make(np.random.default_rng(index), 6)
    np.savez(folder / f'heads-{index:05d}.npz', **heads._asdict())
  return folder


def test_five_kills_of_a_small_training(tmp_path):
  with killed.Server('toy', '', tmp_path / 'cache') as server:
    killed.survive(server, tmp_path, kills=5, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize(
  ('job', 'make'),
  [('source', _source), ('prior', _prior), ('matcher', _matcher)],
)
def test_a_hundred_kills_of_a_training(job, make, tmp_path):
  data = tmp_path / 'data'
  data.mkdir()
  with killed.Server(job, make(data), tmp_path / 'cache') as server:
    assert killed.survive(server, tmp_path, kills=100, seed=1) > 20


@pytest.mark.slow
def test_a_hundred_kills_of_a_mask(model_folder, tmp_path):
  with killed.Server('mask', model_folder, tmp_path / 'cache') as server:
    assert killed.survive(server, tmp_path, kills=100, seed=2) > 20
