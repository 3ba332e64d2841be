"""A stage of the source domain: what it gives to the training and to the eye.

Shapes: N scenes, V views of each.
"""

from collections.abc import Callable
import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Float
import numpy as np
import optax

from maskjax.gan import model as model_lib, student
from maskjax.people_gan import (
  batches as people_batches,
  codes as people_codes,
  settings as settings_lib,
)
from maskjax.training import loop, rates

# People of a sheet or a video, by the seeds of their latents.
SEEDS = tuple(range(8))


def _no_codes(state: Any) -> people_codes.Stored | None:
  """Return the latents of a stage that knows no scenes."""
  del state
  return None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stage:
  """What a stage makes of its settings and data.

  Attributes:
    state: the first state.
    step: `step(state, rng, batch)` on all devices, of what `batches` gives.
    batches: from the number of finished steps to a batch.
    images: pictures of a batch.
    devices: devices that share a batch.
    models: from a state to the networks to save, by name.
    pictures: from a state to the blocks of a sheet.
    codes: from a state to the latents of known scenes, None where there are
      none.
  """

  state: Any
  step: loop.StepFn
  batches: Callable[[int], Any]
  images: int
  devices: list[jax.Device]
  models: Callable[[Any], dict[str, model_lib.Model]]
  pictures: Callable[[Any], list[np.ndarray]]
  codes: Callable[[Any], people_codes.Stored | None] = _no_codes


def check_size(
  settings: settings_lib.Settings, side: int, data: people_batches.SourceData
) -> None:
  """Refuse pictures of another size than the generator's.

  Args:
    settings: settings of the stage.
    side: side of the generator's pictures, pixels.
    data: the pictures.

  Raises:
    ValueError: the sizes differ.
  """
  if data.image.shape[2] != side:
    raise ValueError(
      f'the pictures in {settings.data} are {data.image.shape[2]} pixels wide, '
      f'the generator makes {side}; build them anew or change channels and '
      'rendering'
    )


def adam(
  settings: settings_lib.Settings, rate: float
) -> optax.GradientTransformation:
  """Return Adam whose rate rises at first and falls at last.

  Args:
    settings: settings of the stage, with the lengths of the two slopes.
    rate: the largest rate.
  """
  schedule = rates.trapezoid(
    rate,
    settings.steps,
    warmup=settings.warmup_steps,
    decay=settings.decay_steps,
  )
  return optax.adam(schedule, b1=0.9, b2=0.99)


def camera_angles(
  data: people_batches.SourceData,
) -> Float[np.ndarray, 'n v 2']:
  """Return the angles of all cameras, in standard deviations from their mean.

  Args:
    data: pictures of people with their cameras.
  """
  camera = jnp.asarray(data.camera)
  return np.asarray(student.standard_angles(camera, camera.reshape(-1, 25)))
