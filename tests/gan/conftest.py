"""Weights of a small EG3D and its discriminator, by the goldens' recipe."""

import pathlib

import pytest

from tests.gan.parity import recipe, rows

GOLDENS = pathlib.Path(__file__).parent / 'goldens'


@pytest.fixture(scope='session')
def reference_meta():
  """Return what the set T was made with."""
  return rows.load(GOLDENS / 'T_forward.npz').meta


@pytest.fixture(scope='session')
def reference_state(reference_meta):
  """Return the weights of the set T, under keys that name the network."""
  seed = reference_meta['seed']
  generator = recipe.make_state(seed, reference_meta['G_keys'])
  other = recipe.make_state(seed + 50, reference_meta['D_keys'])
  other = {f'D.{key}': value for key, value in other.items()}
  return {f'G_ema.{key}': x for key, x in generator.items()} | other
