"""The config's fields are the settings' fields, and wrong ones are told."""

import pytest

from configs import wear as config_lib
from maskjax.training import settings as settings_lib
from maskjax.wear import settings


def test_the_config_is_read():
  asked = settings_lib.read(settings.WearSettings, config_lib.get_config())
  assert asked.track.hold <= 0.2 and asked.place.box == ()


@pytest.mark.parametrize(
  ('field', 'value', 'words'),
  [
    ('place.box', (1.0, 2.0, 3.0), 'left, top, right, bottom'),
    ('place.box', (5.0, 2.0, 3.0, 9.0), 'left, top, right, bottom'),
    ('track.steadiness', 1.5, 'expected 0 to 1'),
    ('track.hold', 0.5, 'expected 0 to 0.2'),
    ('mask.shift', (0.0, 0.0, 50.0), 'expected -20 to 20'),
  ],
)
def test_wrong_fields_are_told_in_one_line(field, value, words):
  asked = settings_lib.read(settings.WearSettings, config_lib.get_config())
  with pytest.raises(ValueError, match=words) as caught:
    settings_lib.changed(asked, {field: value})
  assert field in str(caught.value) and '\n' not in str(caught.value)
