"""Figures are written, and the same rows give the same file."""

import numpy as np
from PIL import Image
import pytest

from maskjax.evaluation import figures

_KINDS = ('tiger', 'owl')


def _rows(variant='as configured', teacher='model', seeds=(0, 1)):
  return [
    {
      'variant': variant,
      'teacher': teacher,
      'seed': seed,
      'kind': kind,
      'normals_start_degrees': 25.0,
      'normals_degrees': 15.0 + 15.0 * index + seed,
      'silhouette_start': 0.6,
      'silhouette': 0.9 - 0.4 * index,
    }
    for seed in seeds
    for index, kind in enumerate(_KINDS)
  ]


def test_pairs(tmp_path):
  paths = [tmp_path / name for name in ('a.png', 'b.png')]
  rows = _rows() + _rows(teacher='perfect', seeds=(0,))
  for path in paths:
    figures.save_masks(path, rows)
  assert paths[0].read_bytes() == paths[1].read_bytes()
  with Image.open(paths[0]) as file:
    image = np.asarray(file.convert('RGB')).astype(int)
  assert image.shape[1] == 1200
  for color in ((0x1A, 0x7F, 0x5A), (0xC2, 0x45, 0x2D)):  # better, worse
    assert (np.abs(image - color).sum(-1) < 20).any()


def test_ablation(tmp_path):
  rows = _rows('residual=noise') + _rows('camera=False')
  path = tmp_path / 'ablation.png'
  figures.save_masks(path, rows)
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
