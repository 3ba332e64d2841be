"""Every stage of the config can be read; limits are kept."""

import pytest

from maskjax.people_gan import stages
from tests.people_gan import people


@pytest.mark.parametrize('name', stages.STAGES)
def test_stages_can_be_read(name):
  whole, small = people.settings(name), people.settings(f'tiny_{name}')
  assert whole.stage == small.stage == name
  assert small.steps == 2 < whole.steps
  # What the config leaves out is as the room has it.
  assert whole.losses.levels == 4 and whole.adversarial.r1_every == 16


@pytest.mark.parametrize(
  ('field', 'value', 'words'),
  [
    ('views', 0, 'views is 0; expected 1 to 10000'),
    ('raw_kimg', -1.0, r'raw_kimg is -1\.0; expected 0 to 1,000,000,000'),
    ('enlarged', (8, 0), r'enlarged is \(8, 0\); expected 1 to 8192'),
    ('enlarged', (8, 8, 8), r'enlarged is \(8, 8, 8\); give 2 values'),
    ('measured', 7, 'measured is 7; expected 8 to'),
    ('raw_sides', (), r'raw_sides is \(\); give at least one number'),
    ('start', 9.0, 'start is 9.0, not below end'),
    ('plane_axes', 'xyz', "plane_axes is 'xyz'"),
    ('learning_rate', float('nan'), 'learning_rate is nan'),
  ],
)
def test_limits_are_kept(field, value, words):
  with pytest.raises(ValueError, match=words):
    people.settings(**{field: value})
