"""The released models' size, rebuilt from the recipe in goldens/README."""

import pathlib

import pytest

from maskjax.gan import model as model_lib
from tests.gan.parity import full, rows as golden_rows

PATH = pathlib.Path(__file__).parent / 'goldens' / 'full' / 'F_golden.npz'


@pytest.mark.slow
def test_full_size_equals_the_reference():
  generator, judge = full.load_models(PATH, golden_rows.load(PATH))
  assert model_lib.parameter_count(generator) == 30_662_136
  assert model_lib.parameter_count(judge) == 31_359_744
  rows = list(full.check(PATH))
  failed = [str(row) for row in rows if not row.passed]
  assert not failed, '\n'.join(failed)
  assert len(rows) == 37
