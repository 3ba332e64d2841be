"""The fields of a config are listed with their comments."""

from maskjax.training import config_help

_CONFIG = """
def get_config(mode=''):
  config = ConfigDict()
  # Not of the next field:

  config.seed = 0
  # What is shown;
  # in two lines.
  config.prompt = 'a #1 lion'
  config.views = ConfigDict()
  config.views.count = 4  # cameras of a step
  config.views.fovy = (
    30.0  # degrees
  )
  config.a, config.b = 1, 2
  if mode:
    config.views.count = 2  # fewer
  return config
"""


def test_comments_are_those_beside_or_above(tmp_path):
  path = tmp_path / 'config.py'
  path.write_text(_CONFIG)
  assert config_help.comments(path) == {
    'prompt': 'What is shown; in two lines.',
    'views.count': 'cameras of a step',
    'views.fovy': 'degrees',
  }
  text = config_help.text(path, {'seed': 0, 'views': {'count': 4}})
  assert text.split('\n') == [
    '  --config.seed=0',
    '  --config.views.count=4',
    '      cameras of a step',
  ]
