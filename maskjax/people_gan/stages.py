"""The stages of the source domain: what each gives to the training loop.

`decoder_stage` fits EG3D to people whose cameras and depth are known
(`gan.autodecoder`); `student_stage` teaches a StyleGAN2 to draw what an EG3D
renders (`gan.student`). `game_stage` sets either against a discriminator
(`gan.training`): dual discrimination with the true cameras, adaptive
augmentation, R1, swapped cameras, density or path regularisation.
"""

from collections.abc import Callable
import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import optax

from maskjax.gan import (
  adversarial,
  augment as augment_lib,
  autodecoder,
  checkpoints,
  kinds,
  model as model_lib,
  optimizers,
  resize,
  schedules,
  student,
  training,
)
from maskjax.people_gan import (
  batches as people_batches,
  codes as people_codes,
  flat_pictures,
  networks as people_networks,
  pictures as people_pictures,
  presenters as people_presenters,
)
from maskjax.training import parallel, rates, state as state_lib
from maskjax.weights import bundled

_KNOWN = 6  # Scenes of the sheet that are known.
_SEEDS = tuple(range(8))


class Stage(NamedTuple):
  """What the loop needs of a stage.

  Attributes:
    state: the first state.
    step: `step(state, rng, batch)`, on all devices, of what `batches` gives.
    batches: from the number of finished steps to a batch.
    images: of a batch.
    models: from a state to the networks to save.
    pictures: from a state to the blocks of a sheet.
    devices: that share the batch.
    codes: from a state to the latents of known scenes, None where there are
      none.
  """

  state: Any
  step: Callable[..., Any]
  batches: Callable[[int], Any]
  images: int
  models: Callable[[Any], dict[str, model_lib.Model]]
  pictures: Callable[[Any], list[np.ndarray]]
  devices: list[jax.Device]
  codes: Callable[[Any], people_codes.Stored | None] = lambda state: None


def _check_size(config: Any, side: int, data: people_batches.SourceData):
  """Raise ValueError unless pictures have the size of the generator."""
  if data.image.shape[2] != side:
    raise ValueError(
      f'the pictures in {config.data} are {data.image.shape[2]} pixels wide, '
      f'the generator makes {side}; build them anew or change channels and '
      'rendering'
    )


def _adam(
  config: ml_collections.ConfigDict, rate: float
) -> optax.GradientTransformation:
  """Return Adam whose rate rises at first and falls at last."""
  schedule = rates.trapezoid(
    rate,
    config.steps,
    warmup=config.warmup_steps,
    decay=config.decay_steps,
  )
  return optax.adam(schedule, b1=0.9, b2=0.99)


def first_codes(
  config: ml_collections.ConfigDict, data: people_batches.SourceData
) -> autodecoder.Codes:
  """Return the latents that the decoder's training begins with."""
  mean, deviation = people_codes.first_codes(data, config.latent)
  return autodecoder.Codes(jnp.asarray(mean), jnp.log(jnp.asarray(deviation)))


def _blank_codes(
  config: ml_collections.ConfigDict, data: people_batches.SourceData
) -> autodecoder.Codes:
  """Return latents of the right shapes, to be restored."""
  shape = (len(data.image), config.latent)
  return autodecoder.Codes(jnp.zeros(shape), jnp.zeros(config.latent))


def decoder_stage(
  config: ml_collections.ConfigDict,
  data: people_batches.SourceData,
  begin: str,
) -> Stage:
  """Return the stage that fits EG3D to the pictures of known scenes.

  Args:
    config: of the stage.
    data: the pictures.
    begin: model folder, '' for random weights.
  """
  if begin:
    model = checkpoints.load(begin)
  else:
    rng = jax.random.key(config.seed)
    model = model_lib.initialize(rng, people_networks.generator(config))
    model = autodecoder.with_plain_mapping(model)
  generator: Any = model.module
  _check_size(config, generator.config.output_side, data)
  codes = (_blank_codes if config.resume else first_codes)(config, data)
  tx = optax.partition(
    {
      'networks': _adam(config, config.learning_rate),
      'codes': _adam(config, config.codes_rate),
    },
    {'generator': 'networks', 'codes': 'codes'},
  )
  state = state_lib.create(
    {'generator': model.variables['params'], 'codes': codes}, tx, ema=True
  )
  step = autodecoder.make_step(
    generator,
    tx,
    autodecoder.DecoderLosses(**config.losses),
    ema_decay=config.ema_decay,
  )
  devices = parallel.usable_devices(config.scenes)
  mapped = parallel.data_parallel(
    step, devices=devices, donate=True, shared=True
  )
  buffers = parallel.replicate(model.variables['buffers'], devices=devices)

  def models(state):
    variables = {
      'params': state.ema_params['generator'],
      'buffers': model.variables['buffers'],
    }
    averaged = model_lib.Model(generator, jax.device_get(variables))
    rng = jax.random.key(config.seed)
    return {'G_ema': autodecoder.with_mean_latent(averaged, rng)}

  def stored(state):
    own = jax.device_get(state.ema_params['codes'])
    deviation = np.exp(own.log_deviation)
    return people_codes.Stored(own.mean, deviation, data.identity)

  def pictures(state):
    own = models(state)['G_ema']
    known = people_pictures.known(
      generator,
      own.variables,
      jax.device_get(state.ema_params['codes']),
      data,
      np.linspace(0, len(data.image) - 1, _KNOWN).astype(int),
    )
    new = people_pictures.samples(generator, own.variables, _SEEDS)
    return [known, new]

  return Stage(
    state,
    lambda state, rng, batch: mapped(state, rng, batch, buffers),
    functools.partial(
      people_batches.draw,
      data,
      config.seed,
      scenes=config.scenes,
      views=config.views,
    ),
    config.scenes * config.views,
    models,
    pictures,
    devices,
    stored,
  )


def _angles(data: people_batches.SourceData) -> np.ndarray:
  """Return the angles of all cameras, in standard deviations, [n, v, 2]."""
  camera = jnp.asarray(data.camera)
  return np.asarray(student.standard_angles(camera, camera.reshape(-1, 25)))


def _lessons(
  config: ml_collections.ConfigDict, data: people_batches.SourceData
) -> Callable[[int], student.Cameras]:
  """Return the cameras of a step: the data's, in any order."""
  cameras = data.camera.reshape(-1, 25)
  angles = _angles(data).reshape(-1, 2)

  def batch(step):
    rng = np.random.default_rng([config.seed, step, 3])
    shape = (config.scenes, config.views)
    chosen = rng.integers(len(cameras), size=shape)
    return student.Cameras(cameras[chosen], angles[chosen])

  return batch


def student_stage(
  config: ml_collections.ConfigDict,
  data: people_batches.SourceData,
  begin: str,
) -> Stage:
  """Return the stage in which a StyleGAN2 learns from an EG3D.

  Args:
    config: of the stage.
    data: pictures of people, of which it sees the cameras.
    begin: model folder of a student, '' for random weights.
  """
  folder = config.teacher or bundled.bundled_path('source')
  teacher = checkpoints.load(folder)
  renderer: Any = teacher.module
  # What the teacher knows about scenes, a game can use.
  codes = people_codes.read(folder, len(data.image))
  if not kinds.of(renderer).has_cameras:
    raise ValueError(f'the teacher in {folder} is no EG3D')
  if begin:
    model = checkpoints.load(begin)
  else:
    rng = jax.random.key(config.seed)
    own = people_networks.flat_generator(config)
    model = autodecoder.with_plain_mapping(model_lib.initialize(rng, own))
  module: Any = model.module
  tx = _adam(config, config.learning_rate)
  step = student.make_step(
    renderer,
    module,
    tx,
    levels=autodecoder.DecoderLosses.levels,
    ema_decay=config.ema_decay,
  )
  devices = parallel.usable_devices(config.scenes)
  mapped = parallel.data_parallel(
    step, devices=devices, donate=True, shared=True
  )
  frozen = parallel.replicate(
    {
      'teacher': teacher.variables,
      'buffers': model.variables['buffers'],
      'camera': people_pictures.turned((0.0,))[0],
    },
    devices=devices,
  )

  def models(state):
    variables = {
      'params': state.ema_params, 'buffers': model.variables['buffers']
    }  # fmt: skip
    averaged = model_lib.Model(module, jax.device_get(variables))
    rng = jax.random.key(config.seed)
    return {'G_ema': autodecoder.with_mean_latent(averaged, rng)}

  def pictures(state):
    variables = models(state)['G_ema'].variables
    return [flat_pictures.samples(module, variables, range(32))]

  return Stage(
    state_lib.create(model.variables['params'], tx, ema=True),
    lambda state, rng, cameras: mapped(state, rng, cameras, frozen),
    _lessons(config, data),
    config.scenes * config.views,
    models,
    pictures,
    devices,
    lambda state: codes,
  )


def _players(config: ml_collections.ConfigDict, begin: str, flat: bool):
  """Return generator and discriminator, new or from a folder."""
  for_generator, for_judge = jax.random.split(jax.random.key(config.seed))
  found = checkpoints.load_all(begin) if begin else {}
  names = [name for name in checkpoints.GENERATORS if name in found]
  generator = found[names[0]] if names else None
  judge = found.get('D')
  if generator is None:
    make = people_networks.flat_generator if flat else people_networks.generator
    generator = model_lib.initialize(for_generator, make(config))
  if judge is None:
    judge = model_lib.initialize(
      for_judge, people_networks.discriminator(config, flat)
    )
  return generator, judge


def game_config(
  config: ml_collections.ConfigDict, flat: bool
) -> adversarial.GANConfig:
  """Return the settings of the game.

  Args:
    config: of a stage.
    flat: two-dimensional, without cameras.
  """
  own = config.game.to_dict()
  augmented = own.pop('augmented')
  return adversarial.GANConfig(
    **own,
    swap_end=None if flat else config.swap_end,
    swap_kimg=config.swap_kimg,
    augment=augment_lib.AugmentConfig() if augmented else None,
    # A network that begins trained is averaged as slowly from the start.
    average_rampup=None if config.init else 0.05,
  )


def _game_batches(
  config: ml_collections.ConfigDict,
  data: people_batches.SourceData,
  own_side: int | None,
  anchor: people_codes.Stored | None,
) -> Callable[[int], tuple[int, adversarial.GANBatch]]:
  """Return the batches of a game, numbered.

  The rendering's side moves in buckets. An anchor sees known scenes.
  """
  angles = _angles(data) if own_side is None else None

  def batch(step):
    drawn = people_batches.draw_pairs(
      data,
      config.seed,
      step,
      batch=config.batch,
      cameras=own_side is not None,
    )
    if anchor is not None:
      known = people_batches.draw_known(
        data,
        anchor[:2],
        config.seed,
        step,
        scenes=config.anchor_scenes,
        angles=angles,
      )
      drawn = drawn._replace(known=known)
    if own_side is None:
      return step, drawn
    side = schedules.raw_resolution(
      step * config.batch,
      start=config.raw_start,
      end=own_side,
      kimg=config.raw_kimg,
      sides=tuple(config.raw_sides),
    )
    if side == own_side:
      return step, drawn
    raw = np.asarray(resize.resize(jnp.asarray(drawn.image), side))
    return step, drawn._replace(raw=raw)

  return batch


def game_stage(
  config: ml_collections.ConfigDict,
  data: people_batches.SourceData,
  begin: str,
  *,
  flat: bool = False,
) -> Stage:
  """Return the adversarial stage.

  Args:
    config: of the stage.
    data: pictures of people.
    begin: model folder, '' for random weights.
    flat: StyleGAN2 rather than EG3D.
  """
  generator, judge = _players(config, begin, flat)
  module: Any = generator.module
  _check_size(config, module.config.output_side, data)
  settings = game_config(config, flat)
  codes = people_codes.read(begin, len(data.image)) if begin else None
  if settings.anchor_weight and codes is None:
    trained = 'the stage decoder'
    if flat:
      trained = 'a student whose --config.teacher has them'
    raise ValueError(
      f'an anchor needs the latents of known scenes, and {begin or "no init"} '
      f'has none; begin with --config.init=the model of {trained}, or leave it '
      'away: --config.game.anchor_weight=0'
    )
  shared = config.batch
  if settings.anchor_weight:
    shared = math.gcd(shared, config.anchor_scenes)
  devices = parallel.usable_devices(shared)

  @functools.cache
  def program(parts):
    step = training.make_gan_step(module, judge.module, settings, parts=parts)
    return parallel.data_parallel(step, devices=devices, donate=True)

  def step(state, rng, numbered):
    number, batch = numbered
    return program(optimizers.due(module, settings, number))(state, rng, batch)

  def models(state):
    return {
      'G_ema': adversarial.average_model(module, state),
      'D': model_lib.Model(
        judge.module,
        {**judge.variables, 'params': state.discriminator.params},
      ),
    }

  def pictures(state):
    variables = jax.device_get(models(state)['G_ema'].variables)
    own = model_lib.Model(module, variables)
    return people_presenters.of(own).new_people(own)

  return Stage(
    optimizers.first_state(generator, judge, settings),
    step,
    _game_batches(
      config,
      data,
      None if flat else module.config.rendering_resolution,
      codes if settings.anchor_weight else None,
    ),
    config.batch,
    lambda state: jax.device_get(models(state)),
    pictures,
    devices,
    lambda state: codes,
  )


STAGES: dict[str, Callable[..., Stage]] = {
  'decoder': decoder_stage,
  'adversarial': game_stage,
  'student': student_stage,
  'stylegan2': functools.partial(game_stage, flat=True),
}
