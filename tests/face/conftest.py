"""What the tests of face perception share: the pictures and the answers."""

import importlib.util
import pathlib

import jax.numpy as jnp
import numpy as np
import pytest

_GOLDENS = pathlib.Path(__file__).parent / 'goldens'


@pytest.fixture(scope='session')
def pictures():
  """Return pictures by name, f[h, w, 3] sRGB in [0, 1]."""
  path = _GOLDENS / 'record.py'
  spec = importlib.util.spec_from_file_location('record', path)
  record = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(record)
  return {
    name: jnp.asarray(image, jnp.float32) / 255
    for name, image in record.pictures().items()
  }


@pytest.fixture(scope='session')
def answers():
  """Return what MediaPipe 0.10.21 found there (goldens/record.py)."""
  with np.load(_GOLDENS / 'mediapipe.npz') as data:
    return dict(data)
