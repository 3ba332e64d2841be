"""Figures are written, and the same rows give the same file."""

import numpy as np
from PIL import Image
import pytest

from maskjax.evaluation import figures

_KINDS = ('tiger', 'owl')


def _rows(**variant):
  return [
    {
      **variant,
      'kind': kind,
      'chamfer_start_cm': 2.0,
      'chamfer_cm': 1.0 + index,
      'fall_percent': 50.0 - 50.0 * index,
      'probability_start': 0.2,
      'probability': 0.6 - 0.5 * index,
    }
    for index, kind in enumerate(_KINDS)
  ]


def test_pairs(tmp_path):
  paths = [tmp_path / name for name in ('a.png', 'b.png')]
  for path in paths:
    figures.save_pairs(path, _rows(), fall_percent=40.0)
  assert paths[0].read_bytes() == paths[1].read_bytes()
  with Image.open(paths[0]) as file:
    image = np.asarray(file.convert('RGB')).astype(int)
  assert image.shape[1] == 1200
  for color in ((0x1A, 0x7F, 0x5A), (0xC2, 0x45, 0x2D)):  # better, worse
    assert (np.abs(image - color).sum(-1) < 20).any()


def test_ablation(tmp_path):
  rows = _rows(**{'distill.residual': 'noise', 'distill.timesteps': 'anneal'})
  rows += _rows(**{'distill.residual': 'noise', 'distill.timesteps': 'uniform'})
  path = tmp_path / 'ablation.png'
  figures.save_ablation(path, rows, fall_percent=40.0)
  with Image.open(path) as image:
    assert image.size[0] == 1200


def test_curves(tmp_path):
  records = [
    {'step': step, 'loss': 1 / step, 'found': None if step < 50 else 0.5}
    for step in range(1, 101)
  ]
  path = tmp_path / 'curves.png'
  figures.save_curves(path, records, ('loss', 'found', 'none'))
  with Image.open(path) as file:
    image = np.asarray(file.convert('RGB')).astype(int)
  assert image.shape[1] == 680  # Two panels: nothing is drawn of 'none'.
  for half in (image[:, :340], image[:, 340:]):
    assert (np.abs(half - (0x1A, 0x7F, 0x5A)).sum(-1) < 20).any()
  with pytest.raises(ValueError, match='no record has none'):
    figures.save_curves(path, records, ('none',))
