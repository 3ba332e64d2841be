r"""Artistic sets, without cameras for the learner.

  python -m experiments.make_styles --config=configs/styles.py:caricature \
    --workdir=out/caricature
  python -m experiments.make_styles --config=configs/styles.py:emoji \
    --workdir=out/emoji_faces
"""

import ml_collections

from maskjax.data.styles import styles


def get_config(style: str = 'caricature') -> ml_collections.ConfigDict:
  """Return the config of a style; 'STYLE-tiny' is for tests."""
  name, _, mode = style.partition('-')
  if name not in styles.STYLES or mode not in ('', 'tiny'):
    raise ValueError(f'style {style!r} is not one of {", ".join(styles.NAMES)}')
  config = ml_collections.ConfigDict()
  config.style = name
  config.seed = 0  # the people of configs/faces.py
  config.shards = 20
  config.count = 100  # pictures in a shard
  config.size = 64  # pixels
  # Whether half of the cartoons are DiceBear's (pip install
  # 'maskjax[styles]').
  config.dicebear = False
  # Folder that Fluent's emoji are fetched into (npm).
  config.emoji = styles.get(name).folder
  if mode == 'tiny':
    config.shards = 1
    config.count = 2
    config.size = 32
  return config
