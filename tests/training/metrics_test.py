import jax.numpy as jnp
import numpy as np
import pytest

from maskjax.training import metrics


def test_round_trip(tmp_path):
  path = tmp_path / 'out' / 'metrics.jsonl'
  metrics.append(path, 1, {'loss': jnp.float32(0.5), 'text': 'a lion'})
  metrics.append(path, 2, {'parts': np.array([1, 2]), 'bad': float('nan')})
  assert metrics.read(path) == [
    {'step': 1, 'loss': 0.5, 'text': 'a lion'},
    {'step': 2, 'parts': [1, 2], 'bad': None},
  ]


def test_truncate_drops_later_steps(tmp_path):
  path = tmp_path / 'metrics.jsonl'
  metrics.truncate(path, 3)  # A missing file is fine.
  for step in range(1, 6):
    metrics.append(path, step, {'loss': step})
  metrics.truncate(path, 3)
  metrics.append(path, 4, {'loss': 40})
  assert [m['loss'] for m in metrics.read(path)] == [1, 2, 3, 40]


def test_torn_last_line_is_left_out(tmp_path):
  path = tmp_path / 'metrics.jsonl'
  path.write_text('{"step": 1}\n{"step": 2, "lo')
  assert metrics.read(path) == [{'step': 1}]
  metrics.truncate(path, 9)
  metrics.append(path, 2, {})
  assert metrics.read(path) == [{'step': 1}, {'step': 2}]


def test_broken_line_is_named(tmp_path):
  path = tmp_path / 'metrics.jsonl'
  path.write_text('{"step": 1}\nnonsense\n{"step": 3}\n')
  with pytest.raises(ValueError, match=r'metrics\.jsonl:2 is not'):
    metrics.read(path)


def test_a_full_disk_is_told_with_the_file(tmp_path, full_disk):
  path = tmp_path / 'metrics.jsonl'
  with pytest.raises(OSError, match=r'cannot write .*metrics\.jsonl: File too'):
    metrics.append(path, 1, {'words': 'x' * 200_000})
