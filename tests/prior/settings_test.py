"""Every stage of the config can be read; limits are kept."""

import pytest

from configs import prior
from maskjax.prior import settings as prior_settings
from maskjax.training import settings


@pytest.mark.parametrize('stage', ['coarse', 'fine', 'controlnet', 'tiny'])
def test_stages_can_be_read(stage):
  read = settings.read(prior_settings.Settings, prior.get_config(stage))
  trains_control = stage == 'controlnet'
  assert ('controlnet' in read.trained) == trains_control
  assert read.heads.size == read.sample_size == 64


@pytest.mark.parametrize(
  ('field', 'value', 'words'),
  [
    ('heads.shards', 0, r'heads\.shards is 0; expected'),
    ('downscale', 0, 'downscale is 0; expected'),
    ('ema_decay', -0.1, r'ema_decay is -0\.1; expected'),
    ('trained', (), r'trained is \(\); give one or more of unet, '),
    ('weight_decay', float('inf'), 'weight_decay is inf; expected'),
  ],
)
def test_limits_are_kept(field, value, words):
  config = prior.get_config()
  config.update_from_flattened_dict({field: value})
  with pytest.raises(ValueError, match=words):
    settings.read(prior_settings.Settings, config)
