"""Settings of masks for tests."""

from configs import mask as mask_config
from maskjax.mask import settings as settings_lib
from maskjax.training import settings as read_lib


def settings(mode='tiny', **fields):
  """Return the settings of a mode of configs/mask.py with fields changed.

  Args:
    mode: 'default', 'sd15' or 'tiny'.
    fields: values by dotted name; those with a dot are given by `**{...}`.
  """
  config = mask_config.get_config(mode)
  config.update_from_flattened_dict(fields)
  return read_lib.read(settings_lib.MaskSettings, config)
