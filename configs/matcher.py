r"""The matcher: a small judge of kinds, views and lights.

It learns from heads of its own, drawn with another seed than the prior's:

  python -m experiments.build_prior_data --config=configs/prior.py \
    --config.seed=1 --config.heads.shards=15 --workdir=out/matcher_heads
  python -m experiments.train_matcher --config=configs/matcher.py \
    --workdir=out/matcher
"""

import ml_collections


def get_config(mode: str = 'default') -> ml_collections.ConfigDict:
  """Return the config of a mode: 'default', or 'tiny' (seconds, for tests)."""
  if mode not in ('default', 'tiny'):
    raise ValueError(f'mode {mode!r} is not one of default, tiny')
  config = ml_collections.ConfigDict()
  config.seed = 0
  config.resume = False

  # Folder of experiments.build_prior_data; its last shards are held out.
  config.data = 'out/matcher_heads'
  config.held_out = 2

  config.channels = (32, 64, 128, 192)  # at 32, 16, 8 and 4 px
  config.features = 96

  config.steps = 3000
  config.batch_size = 64
  config.learning_rate = 2e-3
  config.warmup_steps = 100
  config.weight_decay = 0.02
  config.ema_decay = 0.995
  config.checkpoint_every = 500
  config.log_every = 20

  if mode == 'tiny':
    config.held_out = 1
    config.channels = (8, 8, 16, 16)
    config.features = 16
    config.steps = 2
    config.batch_size = 4
    config.warmup_steps = 1
    config.checkpoint_every = 1
    config.log_every = 1
  return config
