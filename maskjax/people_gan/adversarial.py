"""The stages `adversarial` and `stylegan2`: against a discriminator.

Either an EG3D, with dual discrimination and the true cameras, or a StyleGAN2;
adaptive augmentation, R1, swapped cameras, density or path regularisation as
`gan.training` has them.
"""

from collections.abc import Callable
import dataclasses
import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from maskjax.gan import (
  adversarial as adversarial_lib,
  augment as augment_lib,
  checkpoints,
  kinds,
  model as model_lib,
  optimizers,
  resize,
  schedules,
  training,
)
from maskjax.people_gan import (
  batches as people_batches,
  codes as people_codes,
  networks as people_networks,
  presenters as people_presenters,
  settings as settings_lib,
  stage as stage_lib,
)
from maskjax.training import parallel


def _networks(
  settings: settings_lib.Settings, begin: str, new: model_lib.Config
) -> tuple[model_lib.Model, model_lib.Model]:
  """Return generator and discriminator, new or from a folder.

  Args:
    settings: settings of the stage.
    begin: model folder to begin from, '' for random weights.
    new: config of the generator where the folder has none.
  """
  rng_generator, rng_discriminator = jax.random.split(
    jax.random.key(settings.seed)
  )
  found = checkpoints.load_all(begin) if begin else {}
  names = [name for name in checkpoints.GENERATORS if name in found]
  generator = found[names[0]] if names else None
  discriminator = found.get('D')
  if generator is None:
    generator = model_lib.initialize(rng_generator, new)
  if discriminator is None:
    kind = kinds.of(new.build())
    discriminator = model_lib.initialize(
      rng_discriminator, people_networks.discriminator(settings, kind)
    )
  return generator, discriminator


def gan_config(
  settings: settings_lib.Settings, kind: kinds.Kind
) -> adversarial_lib.GANConfig:
  """Return the settings of the adversarial training itself.

  Args:
    settings: settings of the stage.
    kind: kind of the generator; without cameras none are swapped.
  """
  given = settings.adversarial
  return dataclasses.replace(
    given,
    swap_end=given.swap_end if kind.has_cameras else None,
    augment=augment_lib.AugmentConfig() if given.augmented else None,
    # A network that begins trained is averaged as slowly from the start.
    average_rampup=None if settings.init else given.average_rampup,
  )


def _anchor(
  begin: str,
  data: people_batches.SourceData,
  kind: kinds.Kind,
  needed: bool,
) -> people_codes.Stored | None:
  """Return the latents of known scenes that a model folder holds.

  Raises:
    ValueError: they are needed, and not there.
  """
  codes = people_codes.read(begin, len(data.image)) if begin else None
  if needed and codes is None:
    trained = 'a student whose --config.teacher has them'
    if kind.has_cameras:
      trained = 'the stage decoder'
    raise ValueError(
      f'an anchor needs the latents of known scenes, and {begin or "no init"} '
      f'has none; begin with --config.init=the model of {trained}, or leave it '
      'away: --config.adversarial.anchor_weight=0'
    )
  return codes


def _batches(
  settings: settings_lib.Settings,
  data: people_batches.SourceData,
  largest: int | None,
  anchor: people_codes.Stored | None,
) -> Callable[[int], tuple[int, adversarial_lib.GANBatch]]:
  """Return the batches, numbered.

  The rendering's side moves in buckets up to the largest, None for two
  dimensions. An anchor sees known scenes.
  """
  angles = stage_lib.camera_angles(data) if largest is None else None

  def batch(step: int) -> tuple[int, adversarial_lib.GANBatch]:
    drawn = people_batches.draw_pairs(
      data,
      settings.seed,
      step,
      batch=settings.batch,
      cameras=largest is not None,
    )
    if anchor is not None:
      known = people_batches.draw_known(
        data,
        anchor[:2],
        settings.seed,
        step,
        scenes=settings.anchor_scenes,
        angles=angles,
      )
      drawn = drawn._replace(known=known)
    if largest is None:
      return step, drawn
    side = schedules.raw_resolution(
      step * settings.batch,
      start=settings.raw_start,
      end=largest,
      kimg=settings.raw_kimg,
      sides=settings.raw_sides,
    )
    if side == largest:
      return step, drawn
    raw = np.asarray(resize.resize(jnp.asarray(drawn.image), side))
    return step, drawn._replace(raw=raw)

  return batch


def create(
  settings: settings_lib.Settings,
  data: people_batches.SourceData,
  begin: str,
  *,
  make: Callable[
    [settings_lib.Settings], model_lib.Config
  ] = people_networks.generator,
) -> stage_lib.Stage:
  """Return the stage against a discriminator.

  Args:
    settings: settings of the stage.
    data: pictures of people.
    begin: model folder to begin from, '' for random weights.
    make: config of the generator, see `networks`; its kind decides whether
      there are cameras.

  Raises:
    ValueError: the pictures are of another size than the generator's, or an
      anchor finds no latents.
  """
  new = make(settings)
  kind = kinds.of(new.build())
  generator, discriminator = _networks(settings, begin, new)
  module: Any = generator.module
  stage_lib.check_size(settings, module.config.output_side, data)
  side = module.config.output_side
  if discriminator.module.config.resolution != side:
    raise ValueError(
      f'the discriminator sees {discriminator.module.config.resolution} '
      f'pixels, the generator makes {side}; give discriminator one width for '
      'each side from 4 pixels up, doubled'
    )
  config = gan_config(settings, kind)
  codes = _anchor(begin, data, kind, bool(config.anchor_weight))
  shared = settings.batch
  if config.anchor_weight:
    shared = math.gcd(shared, settings.anchor_scenes)
  devices = parallel.usable_devices(shared)

  @functools.cache
  def program(parts: adversarial_lib.Parts) -> Callable[..., Any]:
    step = training.make_gan_step(
      module, discriminator.module, config, parts=parts
    )
    return parallel.data_parallel(step, devices=devices, donate=True)

  def step(state, rng, numbered):
    number, batch = numbered
    return program(optimizers.due(module, config, number))(state, rng, batch)

  def models(state: adversarial_lib.GANState) -> dict[str, model_lib.Model]:
    params = {'params': state.discriminator.params}
    return {
      'G_ema': adversarial_lib.average_model(module, state),
      'D': model_lib.Model(
        discriminator.module, {**discriminator.variables, **params}
      ),
    }

  def pictures(state: adversarial_lib.GANState) -> list[np.ndarray]:
    variables = jax.device_get(models(state)['G_ema'].variables)
    averaged = model_lib.Model(module, variables)
    return people_presenters.of(averaged).new_people(averaged)

  return stage_lib.Stage(
    state=optimizers.first_state(generator, discriminator, config),
    step=step,
    batches=_batches(
      settings,
      data,
      module.config.rendering_resolution if kind.has_cameras else None,
      codes if config.anchor_weight else None,
    ),
    images=settings.batch,
    devices=devices,
    models=lambda state: jax.device_get(models(state)),
    pictures=pictures,
    codes=lambda state: codes,
  )
