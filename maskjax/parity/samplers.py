"""Comparing our samplers with PyTorch's, on a made-up network.

Both are built from one scheduler_config.json, whatever class it names. Shapes
and layouts do not matter here: every number is sampled by itself.
"""

from collections.abc import Callable
import dataclasses
import math
import pathlib
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from maskjax.diffusion import (
  sampling,
  scheduler_config,
  schedulers,
  solvers,
  spacing,
)
from maskjax.parity import torch_peer

STEPS = 10

_SHAPE = (2, 4, 6, 4)
# Our samplers, and PyTorch's class of each.
METHODS = {
  'ddim': 'DDIMScheduler',
  'ddpm': 'DDPMScheduler',
  'dpmpp_2m': 'DPMSolverMultistepScheduler',
  'euler': 'EulerDiscreteScheduler',
}
# Those of which PyTorch's do not bound what they predict.
_UNBOUNDED = ('dpmpp_2m', 'euler')


class Comparison(NamedTuple):
  """Outcome of one sampler.

  Attributes:
    error: relative L2 error of the samples.
    rounding: what float32 loses in PyTorch's first step from noise; 0 for
      next to nothing.
    note: what was left out, '' for nothing.
  """

  error: float
  rounding: float
  note: str


def _denoise(x: Any, t: Any, tanh: Callable) -> Any:
  """Stand in for a network, the same here and in PyTorch."""
  return tanh(0.7 * x + t / 500 - 1)


def _open_scheduler(
  folder: pathlib.Path, schedule: schedulers.NoiseSchedule, name: str
) -> Any:
  """Build PyTorch's sampler of a name from the folder's scheduler."""
  _, diffusers, _ = torch_peer.libraries()
  sampler = getattr(diffusers, name)
  try:
    own = sampler.load_config(folder).get('_class_name', name)
    config = getattr(diffusers, own, sampler).from_pretrained(folder).config
    # Another sampler's settings do not matter, and what the folder's class
    # does not have is as here: PyTorch's defaults contradict each other.
    fields = {
      'clip_sample': schedule.clip_range is not None,
      'set_alpha_to_one': schedule.set_alpha_to_one,
      **{
        key: value
        for key, value in config.items()
        if key[0] != '_' and (own == name or key not in scheduler_config.IDLE)
      },
    }
    scheduler = sampler.from_config(fields)
    scheduler.set_timesteps(STEPS)
  except Exception as error:  # Whatever the library raises.
    raise ValueError(f'{folder}: PyTorch cannot open it: {error}') from error
  if hasattr(scheduler, 'set_begin_index'):
    scheduler.set_begin_index(0)  # A timestep may be there twice.
  return scheduler


def _sample_theirs(scheduler: Any, noise: np.ndarray) -> np.ndarray:
  """Sample with PyTorch, from standard normal noise to the clean end."""
  torch = torch_peer.libraries()[0]
  x = torch.from_numpy(noise) * scheduler.init_noise_sigma
  for t in scheduler.timesteps:
    output = _denoise(scheduler.scale_model_input(x, t), t, torch.tanh)
    options = {}
    if type(scheduler).__name__ == 'DDPMScheduler':
      options = {'generator': torch.Generator().manual_seed(int(t))}
    x = scheduler.step(output, t, x, **options).prev_sample
  return x.numpy()


def _chain(
  schedule: schedulers.NoiseSchedule, method: str
) -> tuple[list[tuple[int, int]], str]:
  """Return each timestep and the next, as PyTorch has them, and a note."""
  steps = spacing.timesteps(schedule, STEPS).tolist()
  after = [*steps[1:], -1]
  if method != 'ddim':
    return list(zip(steps, after)), ''
  # PyTorch's DDIM goes down by this much, whatever timestep comes next.
  stride = schedule.num_train_timesteps // STEPS
  theirs = [max(t - stride, -1) for t in steps]
  note = '' if theirs == after else 'leaps that do not meet, as in PyTorch'
  return list(zip(steps, theirs)), note


def _walk(
  schedule: schedulers.NoiseSchedule,
  noise: np.ndarray,
  chain: list[tuple[int, int]],
  method: str,
) -> np.ndarray:
  """Sample here by DDIM, or by DDPM with the noise that PyTorch draws."""
  torch = torch_peer.libraries()[0]
  x = jnp.asarray(noise)
  for t, t_prev in chain:
    output = _denoise(x, t, jnp.tanh)
    if method == 'ddim':
      x = solvers.ddim_step(schedule, x, output, t, t_prev)
      continue
    generator = torch.Generator().manual_seed(t)
    fresh = torch.randn(noise.shape, generator=generator)
    x = solvers.ddpm_step(
      schedule, x, output, t, t_prev, noise=jnp.asarray(fresh.numpy())
    )
  return np.asarray(x)


def compare(
  folder: pathlib.Path,
  method: str,
  *,
  peer: pathlib.Path | None = None,
  seed: int = 0,
) -> Comparison:
  """Sample from random noise here and in PyTorch.

  Args:
    folder: that holds scheduler_config.json.
    method: one of `METHODS`.
    peer: folder that PyTorch opens; None for the same.
    seed: of the noise.

  Returns:
    How far apart the samples are, and what is to be known of that.

  Raises:
    ValueError: the config is missing or not supported.
  """
  schedule = schedulers.load(folder)
  rng = np.random.default_rng(seed)
  noise = rng.standard_normal(_SHAPE).astype(np.float32)
  sampler = _open_scheduler(peer or folder, schedule, METHODS[method])
  used, note = schedule, ''
  if method in _UNBOUNDED and schedule.clip_range is not None:
    used = dataclasses.replace(schedule, clip_range=None)
    note = 'without clipping, as in PyTorch'
  rounding = 0.0
  scale = 1.0
  if method not in ('ddim', 'ddpm'):
    first, second = sampler.sigmas[:2].tolist()
    if method == 'euler':
      # PyTorch's samples are x_t / alpha there, and the first step is from
      # large numbers, rounded to float32, to small ones.
      scale = float(sampler.init_noise_sigma) / math.hypot(1.0, first)
      rounding = first / second
    elif schedule.prediction_type == 'epsilon':
      rounding = first  # The noise is subtracted, and little is left.
    rounding *= float(np.finfo(np.float32).eps)
  chain, gaps = _chain(used, method)
  if method == 'ddpm' or gaps:
    note = note or gaps
    ours = _walk(used, noise, chain, method)
  else:
    ours = sampling.sample(
      lambda x, t: _denoise(x, schedulers.like(t, x), jnp.tanh),
      used,
      None,
      noise=jnp.asarray(np.float32(scale) * noise),
      steps=STEPS,
      method=method,
    )
  error = torch_peer.relative_l2(ours, _sample_theirs(sampler, noise))
  return Comparison(error, rounding, note)
