"""The table of stages, and the config of each."""

import pytest

from configs import source
from maskjax.people_gan import stages


def test_every_stage_has_a_config_and_a_builder():
  assert list(stages.STAGES) == [
    'decoder', 'adversarial', 'student', 'stylegan2'
  ]  # fmt: skip
  for name, create in stages.STAGES.items():
    assert callable(create)
    assert source.get_config(name).stage == name
  assert source.get_config('tiny').stage == 'decoder'
  with pytest.raises(ValueError, match="stage 'clay' is not one of decoder, "):
    source.get_config('clay')
