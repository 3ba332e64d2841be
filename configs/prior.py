r"""The bundled prior: a small Stable Diffusion of creature heads.

Trained in three stages; each reads the model folder of the one before:

  python -m experiments.build_prior_data --config=configs/prior.py \
    --workdir=out/heads
  python -m experiments.train_prior --config=configs/prior.py:coarse \
    --workdir=out/coarse
  python -m experiments.train_prior --config=configs/prior.py:fine \
    --workdir=out/fine --config.init=out/coarse/model
  python -m experiments.train_prior --config=configs/prior.py:controlnet \
    --workdir=out/prior --config.init=out/fine/model
"""

import ml_collections

_STAGES = ('coarse', 'fine', 'controlnet', 'tiny')


def get_config(stage: str = 'fine') -> ml_collections.ConfigDict:
  """Return the config of a stage: coarse, fine, controlnet, or tiny (tests)."""
  if stage not in _STAGES:
    raise ValueError(f'stage {stage!r} is not one of {", ".join(_STAGES)}')
  config = ml_collections.ConfigDict()
  config.seed = 0
  config.resume = False
  # Model folder to begin from; '' begins with random weights.
  config.init = ''

  # Data: folder of experiments.build_prior_data, pictures of 64 px.
  config.data = 'out/heads'
  config.heads = ml_collections.ConfigDict()
  config.heads.shards = 60  # one head of each kind in a shard
  config.heads.views = 10  # pictures of each head
  config.heads.size = 64

  # Networks. 64 px are folded 2 x 2, so the UNet works on 32 x 32 x 28.
  config.sample_size = 64
  config.pixel_unshuffle = 2
  config.channels = (48, 96, 160)
  config.attention_heads = 4
  config.norm_groups = 16
  config.text_features = 192
  config.text_layers = 3
  config.vocabulary = 1200
  config.tokens = 32
  config.condition_embedding = (16, 32)

  # Training.
  config.trained = ('unet', 'text_encoder')
  config.downscale = 1
  config.steps = 9400
  config.batch_size = 16
  config.views = 4  # of a head, seen together in most steps
  config.learning_rate = 5e-4
  config.warmup_steps = 200
  # The rate falls to zero over the last steps.
  config.decay_steps = 3000
  config.weight_decay = 0.01
  config.ema_decay = 0.999
  config.checkpoint_every = 500
  config.log_every = 20
  config.dtype = 'float32'  # 'bfloat16' on GPU and TPU

  if stage == 'coarse':
    # 32 px: words, colours and layout are learnt at a quarter of the cost.
    config.downscale = 2
    config.batch_size = 32
    config.steps = 8600
    config.decay_steps = 0
    config.learning_rate = 8e-4
    config.views = 1
  if stage == 'controlnet':
    config.views = 1
    config.trained = ('controlnet',)
    config.steps = 320
    config.warmup_steps = 50
    config.decay_steps = 160
    config.ema_decay = 0.99
  if stage == 'tiny':
    config.heads.shards = 1
    config.heads.views = 1
    config.channels = (16, 32)
    config.norm_groups = 8
    config.attention_heads = 2
    config.text_features = 32
    config.text_layers = 1
    config.vocabulary = 600
    config.batch_size = 8
    config.views = 2
    config.steps = 2
    config.warmup_steps = 1
    config.decay_steps = 0
    config.checkpoint_every = 1
    config.log_every = 1
  return config
