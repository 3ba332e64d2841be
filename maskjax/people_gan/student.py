"""The stage `student`: a StyleGAN2 learns to draw what an EG3D renders.

See `gan.student`.
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from maskjax.gan import (
  autodecoder,
  checkpoints,
  kinds,
  model as model_lib,
  student as student_lib,
)
from maskjax.people_gan import (
  batches as people_batches,
  codes as people_codes,
  flat_pictures,
  networks as people_networks,
  pictures as people_pictures,
  settings as settings_lib,
  stage as stage_lib,
)
from maskjax.training import parallel, state as state_lib, task as task_lib
from maskjax.weights import bundled


def _batches(
  settings: settings_lib.Settings, data: people_batches.SourceData
) -> Callable[[int], student_lib.Cameras]:
  """Return the cameras of a step: the data's, in any order."""
  cameras = data.camera.reshape(-1, 25)
  angles = stage_lib.camera_angles(data).reshape(-1, 2)

  def batch(step: int) -> student_lib.Cameras:
    rng = np.random.default_rng([settings.seed, step, 3])
    shape = (settings.scenes, settings.views)
    chosen = rng.integers(len(cameras), size=shape)
    return student_lib.Cameras(cameras[chosen], angles[chosen])

  return batch


def create(
  settings: settings_lib.Settings,
  data: people_batches.SourceData,
  begin: str,
) -> stage_lib.Stage:
  """Return the stage in which a StyleGAN2 learns from an EG3D.

  Args:
    settings: settings of the stage.
    data: pictures of people, of which it sees the cameras.
    begin: model folder of a student, '' for random weights.

  Raises:
    ValueError: the teacher is no EG3D, or does not fit the student.
  """
  folder = settings.teacher or bundled.bundled_path('source')
  teacher = checkpoints.load(folder)
  # What the teacher knows about scenes, an adversarial training can use.
  codes = people_codes.read(folder, len(data.image))
  if not kinds.of(teacher.module).has_cameras:
    raise ValueError(f'the teacher in {folder} is no EG3D')
  model = checkpoints.load(begin) if begin else None
  module: Any = (
    people_networks.flat_generator(settings).build()
    if model is None
    else model.module
  )
  tx = stage_lib.adam(settings, settings.learning_rate)
  step = student_lib.make_step(
    teacher.module,
    module,
    tx,
    levels=settings.losses.levels,
    ema_decay=settings.ema_decay,
  )
  if model is None:
    rng = jax.random.key(settings.seed)
    model = model_lib.initialize(rng, module.config)
    model = autodecoder.with_plain_mapping(model)
  frozen = {
    'teacher': teacher.variables,
    'buffers': model.variables['buffers'],
    'camera': people_pictures.turned((0.0,))[0],
  }
  devices = parallel.usable_devices(settings.scenes)

  def average(state: state_lib.TrainState) -> model_lib.Model:
    variables = jax.device_get(
      {'params': state.ema_params, 'buffers': model.variables['buffers']}
    )
    averaged = model_lib.Model(module, variables)
    return autodecoder.with_mean_latent(averaged, jax.random.key(settings.seed))

  def pictures(state: state_lib.TrainState) -> list[np.ndarray]:
    variables = average(state).variables
    return [flat_pictures.samples(module, variables, range(32))]

  return stage_lib.Stage(
    state=state_lib.create(model.variables['params'], tx, ema=True),
    step=task_lib.with_shared(step, frozen, devices=devices),
    batches=_batches(settings, data),
    images=settings.scenes * settings.views,
    devices=devices,
    models=lambda state: {'G_ema': average(state)},
    pictures=pictures,
    codes=lambda state: codes,
  )
