"""The notebook runs from its first cell to its last, and is small."""

import base64
import json
import pathlib
import sys

import pytest

_DOCS = pathlib.Path(__file__).parents[2] / 'docs'
_NOTEBOOK = _DOCS / 'mask_in_three_minutes.ipynb'
_LARGEST_PICTURE = 150_000  # bytes


def _cells(kind):
  cells = json.loads(_NOTEBOOK.read_text(encoding='utf-8'))['cells']
  return [cell for cell in cells if cell['cell_type'] == kind]


def test_every_cell_runs(monkeypatch, tmp_path):
  """In the order of the page, in one namespace, as a tiny run."""
  monkeypatch.chdir(_DOCS)
  monkeypatch.setattr(sys, 'path', list(sys.path))
  monkeypatch.setenv('MASKJAX_NOTEBOOK_MODE', 'tiny')
  monkeypatch.setenv('MASKJAX_NOTEBOOK_OUT', str(tmp_path))
  names = {}
  for number, cell in enumerate(_cells('code')):
    source = ''.join(cell['source'])
    assert not source.lstrip().startswith(('%', '!')), 'plain Python only'
    exec(compile(source, f'cell {number}', 'exec'), names)
  assert (tmp_path / 'mask.glb').read_bytes()[:4] == b'glTF'
  preview = names['preview']
  assert preview.ndim == 3 and preview.std() > 5


def test_outputs_are_pictures_of_a_real_run_and_small():
  pictures = 0
  for cell in _cells('code'):
    for output in cell['outputs']:
      assert output['output_type'] != 'error'
      for kind, data in output.get('data', {}).items():
        if kind.startswith('image/'):
          pictures += 1
          assert len(base64.b64decode(''.join(data))) <= _LARGEST_PICTURE
  assert pictures >= 2
  assert _NOTEBOOK.stat().st_size < 3 * _LARGEST_PICTURE


@pytest.mark.parametrize('word', ['maskjax.mask', 'configs'])
def test_it_uses_public_modules(word):
  sources = ''.join(''.join(cell['source']) for cell in _cells('code'))
  assert word in sources and '._' not in sources
