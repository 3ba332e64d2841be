"""Weights kept as bytes."""

import json

import numpy as np
import pytest
from safetensors import numpy as safetensors

from maskjax.weights import quantized


def test_bytes_become_numbers_and_others_stay(tmp_path):
  path = tmp_path / 'w.safetensors'
  safetensors.save_file(
    {
      'a/kernel': np.array([[0, 255]], np.uint8),
      'a/bias': np.array([1.5], np.float32),
    },
    path,
    {'quantization': json.dumps({'a/kernel': [0.5, -2.0]})},
  )
  tree = quantized.read(path)
  np.testing.assert_array_equal(tree['a']['kernel'], [[-2.0, 125.5]])
  np.testing.assert_array_equal(tree['a']['bias'], [1.5])
  assert tree['a']['kernel'].dtype == np.float32


def test_bytes_without_a_scale_are_refused(tmp_path):
  path = tmp_path / 'w.safetensors'
  safetensors.save_file({'x': np.zeros(2, np.uint8)}, path)
  with pytest.raises(ValueError, match='no scale for the bytes of x'):
    quantized.read(path)
