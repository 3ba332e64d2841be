"""The stage `decoder`: EG3D is fitted to people whose depth is known.

Cameras, identities and depth of all pictures are known; see `gan.autodecoder`.

Shapes: N scenes, Z numbers in a latent.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from maskjax.gan import (
  autodecoder,
  checkpoints,
  model as model_lib,
  scene_codes,
)
from maskjax.people_gan import (
  batches as people_batches,
  codes as people_codes,
  networks as people_networks,
  pictures as people_pictures,
  settings as settings_lib,
  stage as stage_lib,
)
from maskjax.training import parallel, state as state_lib, task as task_lib

_KNOWN = 6  # Scenes of the sheet that are known.


def _codes(
  settings: settings_lib.Settings, data: people_batches.SourceData
) -> scene_codes.Codes:
  """Return the latents that the training begins with.

  Those of a resumed run are restored, and need but their shapes.
  """
  if settings.resume:
    shape = (len(data.image), settings.latent)
    return scene_codes.Codes(jnp.zeros(shape), jnp.zeros(settings.latent))
  mean, deviation = people_codes.first_codes(data, settings.latent)
  return scene_codes.Codes(jnp.asarray(mean), jnp.log(jnp.asarray(deviation)))


def _optimizer(
  settings: settings_lib.Settings,
) -> optax.GradientTransformation:
  """Return Adam with a rate for the networks and one for the latents."""
  return optax.partition(
    {
      'networks': stage_lib.adam(settings, settings.learning_rate),
      'codes': stage_lib.adam(settings, settings.codes_rate),
    },
    {'generator': 'networks', 'codes': 'codes'},
  )


def create(
  settings: settings_lib.Settings,
  data: people_batches.SourceData,
  begin: str,
) -> stage_lib.Stage:
  """Return the stage that fits EG3D to the pictures of known scenes.

  Args:
    settings: settings of the stage.
    data: the pictures, with cameras and depth.
    begin: model folder to begin from, '' for random weights.

  Raises:
    ValueError: the pictures are of another size than the generator's.
  """
  model = checkpoints.load(begin) if begin else None
  generator: Any = (
    people_networks.generator(settings).build()
    if model is None
    else model.module
  )
  # Before weights are drawn, which takes a while.
  stage_lib.check_size(settings, generator.config.output_side, data)
  if model is None:
    rng = jax.random.key(settings.seed)
    model = model_lib.initialize(rng, generator.config)
    model = autodecoder.with_plain_mapping(model)
  tx = _optimizer(settings)
  step = autodecoder.make_step(
    generator, tx, settings.losses, ema_decay=settings.ema_decay
  )
  devices = parallel.usable_devices(settings.scenes)
  params = {
    'generator': model.variables['params'], 'codes': _codes(settings, data)
  }  # fmt: skip

  def average(state: state_lib.TrainState) -> model_lib.Model:
    params: Any = state.ema_params
    variables = jax.device_get(
      {'params': params['generator'], 'buffers': model.variables['buffers']}
    )
    averaged = model_lib.Model(generator, variables)
    return autodecoder.with_mean_latent(averaged, jax.random.key(settings.seed))

  def stored(state: state_lib.TrainState) -> people_codes.Stored:
    params: Any = state.ema_params
    codes = jax.device_get(params['codes'])
    deviation = np.exp(codes.log_deviation)
    return people_codes.Stored(codes.mean, deviation, data.identity)

  def pictures(state: state_lib.TrainState) -> list[np.ndarray]:
    params: Any = state.ema_params
    variables = average(state).variables
    known = people_pictures.known(
      generator,
      variables,
      jax.device_get(params['codes']),
      data,
      np.linspace(0, len(data.image) - 1, _KNOWN).astype(int),
    )
    new = people_pictures.samples(generator, variables, stage_lib.SEEDS)
    return [known, new]

  return stage_lib.Stage(
    state=state_lib.create(params, tx, ema=True),
    step=task_lib.with_shared(
      step, model.variables['buffers'], devices=devices
    ),
    batches=functools.partial(
      people_batches.draw,
      data,
      settings.seed,
      scenes=settings.scenes,
      views=settings.views,
    ),
    images=settings.scenes * settings.views,
    devices=devices,
    models=lambda state: {'G_ema': average(state)},
    pictures=pictures,
    codes=stored,
  )
