r"""The source domain: a small EG3D of people with known cameras.

  python -m experiments.make_faces --config=configs/faces.py:source \
    --workdir=out/source_faces
  python -m experiments.train_source --config=configs/source.py \
    --workdir=out/source
  python -m experiments.train_source --config=configs/source.py:adversarial \
    --workdir=out/source_gan --config.init=out/source/model

The teacher of styles, a small StyleGAN2 of the same people. It first learns
to draw what the EG3D renders:

  python -m experiments.train_source --config=configs/source.py:student \
    --workdir=out/student --config.teacher=out/source_gan/model
  python -m experiments.train_source --config=configs/source.py:stylegan2 \
    --workdir=out/people2d --config.init=out/student/model
"""

import ml_collections

from maskjax.people_gan import stages


def get_config(stage: str = 'decoder') -> ml_collections.ConfigDict:
  """Return the config of a stage.

  Args:
    stage: a name of `stages.STAGES`; with 'tiny_' before it, one that trains
      for two steps in seconds, for tests; 'tiny' alone is the decoder.
  """
  modes = [*stages.STAGES, 'tiny', *(f'tiny_{name}' for name in stages.STAGES)]
  if stage not in modes:
    raise ValueError(f'stage {stage!r} is not one of {", ".join(modes)}')
  config = ml_collections.ConfigDict()
  config.seed = 0
  config.resume = False
  # Model folder to begin from; '' begins with random weights.
  config.init = ''

  # Data: folder of experiments.make_faces.
  config.data = 'out/source_faces'
  config.shards = 0  # the first so many; 0: all

  # Generator. 64 x 64 pixels, rendered at 32 x 32 with 16 features.
  config.latent = 128  # numbers in z and in w
  config.channels = (256, 256, 128, 96, 48)  # of 4 x 4 ... 64 x 64 planes
  config.features = 16  # of a plane and of a rendered pixel
  config.hidden = 48  # of the decoder of points
  config.rendering = 32  # pixels
  config.enlarged = (48, 32)  # channels of the two blocks to 64 pixels
  config.plane_axes = 'eg3d'  # the front plane holds y alone, as released
  config.coarse = 12  # samples of a ray, first pass
  config.fine = 12  # second pass
  config.start = 2.3  # where rays begin, units of 37 cm from the camera
  config.end = 3.1
  config.box = 0.8  # side of the cube of the scene; pictures show 0.63

  # Losses of the decoder; see maskjax.gan.autodecoder.
  config.losses = ml_collections.ConfigDict()
  config.losses.image = 1.0
  config.losses.raw = 1.0
  config.losses.alpha = 2.0
  config.losses.depth = 4.0
  config.losses.prior = 0.05
  config.losses.density = 1e-4

  # Training of the decoder.
  config.scenes = 16  # of a batch
  config.views = 2  # pictures of each
  config.steps = 4000
  # 3e-3 takes more than twice as many steps to the same loss.
  config.learning_rate = 2e-2
  config.codes_rate = 1e-2
  config.warmup_steps = 50
  # The rates fall to zero over the last steps: sharpness comes then.
  config.decay_steps = 3950
  config.ema_decay = 0.998

  config.checkpoint_every = 500
  config.log_every = 20
  config.pictures_every = 250
  # A video and measures of some pictures, about half a minute each; 0: never.
  config.walk_every = 1000
  config.walk_frames = 24  # between two of 8 people
  config.measure_every = 1000
  config.measured = 400  # pictures

  # The EG3D that a student learns from: its model folder, '' for the bundled.
  config.teacher = ''

  # The adversarial training. The discriminator sees pairs of images with their
  # cameras.
  config.batch = 16
  config.discriminator = (128, 128, 128, 64, 32)  # channels, 4 x 4 ... 64 x 64
  config.mapping_layers = 4  # of cameras, in the discriminator
  config.adversarial = ml_collections.ConfigDict()
  config.adversarial.generator_rate = 1e-3
  config.adversarial.discriminator_rate = 2e-3
  config.adversarial.generator_pause = 0  # steps; for one that begins trained
  config.adversarial.r1_gamma = 0.1
  config.adversarial.density_weight = 0.25
  config.adversarial.average_kimg = 5.0
  config.adversarial.blur_sigma = (
    0.0  # pixels; for one that begins from nothing
  )
  config.adversarial.blur_kimg = 0.0
  config.adversarial.reuse_fakes = (
    True  # a forward pass less than the reference
  )
  config.adversarial.augmented = True
  config.adversarial.augment_kimg = 100.0
  # How often the mapping sees another camera, and until when that falls.
  config.adversarial.swap_end = 0.5
  config.adversarial.swap_kimg = 100.0
  # Of the decoder's losses of known scenes, beside the discriminator's word.
  config.adversarial.anchor_weight = 0.0
  config.anchor_scenes = 8  # of a batch, a picture each
  # The side of the rendering grows from the first to the generator's own, in
  # these steps; each is compiled once.
  config.raw_start = 32
  config.raw_kimg = 0.0
  config.raw_sides = (16, 32)

  kind = stage.removeprefix('tiny').removeprefix('_')
  config.stage = kind or 'decoder'
  if kind == 'student':
    config.steps = 4200
    config.decay_steps = 4150
  if stage == 'adversarial':
    # For a generator that the decoder's stage has made. One that begins from
    # nothing has no anchor, does not wait and learns ten times as fast.
    config.adversarial.generator_rate = 3e-4
    config.adversarial.generator_pause = 800
    config.adversarial.anchor_weight = 10.0
  if stage == 'stylegan2':
    # For a student.
    config.steps = 5000
    config.adversarial.generator_rate = 5e-4
    config.adversarial.generator_pause = 300
    config.adversarial.anchor_weight = 10.0
  if stage.startswith('tiny'):
    _shrink(config)
  return config


def _shrink(config: ml_collections.ConfigDict) -> None:
  """Make a config that trains for two steps in seconds."""
  config.latent = 8
  config.channels = (8, 8)
  config.features = 4
  config.hidden = 8
  config.rendering = 8
  config.enlarged = (6, 4)
  config.coarse = 4
  config.fine = 4
  config.scenes = 2
  config.views = 2
  config.steps = 2
  config.warmup_steps = 0
  config.decay_steps = 0
  config.checkpoint_every = 1
  config.log_every = 1
  config.pictures_every = 2
  config.walk_every = 2
  config.walk_frames = 2
  config.measure_every = 2
  config.measured = 8
  config.batch = 4
  config.mapping_layers = 1
  config.discriminator = (8, 8, 8)
  config.raw_sides = (4, 8)
