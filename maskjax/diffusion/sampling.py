"""Drawing samples from a diffusion model, by one `lax.scan` over timesteps.

Shapes: B samples, any trailing axes. See `solvers` for the steps.
"""

from collections.abc import Callable
from typing import NamedTuple

from absl import logging
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, Num
import numpy as np

from maskjax.diffusion import schedulers, solvers, spacing

METHODS = ('ddim', 'ddpm', 'dpmpp_2m', 'euler')
# diffusers' classes of these samplers. For the others, the nearest: of those
# that add noise the one that does, else the one that needs the fewest steps.
_CLASSES = {
  'DDIMScheduler': 'ddim',
  'DDIMParallelScheduler': 'ddim',
  'DDPMScheduler': 'ddpm',
  'DDPMParallelScheduler': 'ddpm',
  'DPMSolverMultistepScheduler': 'dpmpp_2m',
  'EulerDiscreteScheduler': 'euler',
}
_NOISY_CLASSES = (
  'DPMSolverSDEScheduler',
  'EulerAncestralDiscreteScheduler',
  'KDPM2AncestralDiscreteScheduler',
  'SASolverScheduler',
)

DenoiseFn = Callable[
  [Float[Array, 'b ...'], Num[Array, 'b']], Float[Array, 'b ...']
]


class Known(NamedTuple):
  """What is known of the samples, for painting in the rest.

  Attributes:
    clean: the clean samples.
    mask: 1 where they are to be painted, 0 where they are known; broadcast.
  """

  clean: Float[Array, 'b ...']
  mask: Float[Array, 'b ...']


def method_of(schedule: schedulers.NoiseSchedule) -> str:
  """Return the sampler of a schedule's class, or the nearest one.

  Args:
    schedule: the noise schedule.

  Returns:
    One of `METHODS`; a warning says so where it is not the class's own.
  """
  name = schedule.class_name
  if name in _CLASSES:
    return _CLASSES[name]
  nearest = 'ddpm' if name in _NOISY_CLASSES else 'dpmpp_2m'
  logging.warning('%s is not offered; %s takes its place', name, nearest)
  return nearest


def _initial_noise(
  key: Key[Array, ''] | None,
  shape: tuple[int, ...] | None,
  noise: Float[Array, 'b ...'] | None,
) -> Float[Array, 'b ...']:
  """Return the given noise, or noise of a shape drawn from the key."""
  if noise is not None:
    if shape is not None and tuple(shape) != noise.shape:
      raise ValueError(f'noise is {noise.shape}, but shape says {shape}')
    return noise
  if key is None or shape is None:
    raise ValueError('sample: give a key and a shape, or noise')
  return jax.random.normal(key, shape)


def _chain(
  schedule: schedulers.NoiseSchedule, steps: int, method: str
) -> spacing.Chain:
  """Return the places that a method stops at."""
  if method == 'ddim':
    return spacing.chain(schedule, steps, clean=schedule.set_alpha_to_one)
  if method == 'ddpm':
    return spacing.chain(schedule, steps)
  if method == 'euler':
    return spacing.ratio_chain(schedule, steps, whole=False)
  return spacing.ratio_chain(schedule, steps, endpoint=False)


def sample(
  denoise_fn: DenoiseFn,
  schedule: schedulers.NoiseSchedule,
  key: Key[Array, ''] | None,
  *,
  shape: tuple[int, ...] | None = None,
  noise: Float[Array, 'b ...'] | None = None,
  steps: int = 30,
  method: str = 'ddim',
  eta: float = 0.0,
  use_clipped_output: bool = False,
  known: Known | None = None,
  report: Callable[[int], None] | None = None,
) -> Float[Array, 'b ...']:
  """Denoise from pure noise to a clean sample.

  Args:
    denoise_fn: (x_t [B, ...], t [B]) -> the network's output in the
      schedule's prediction type, guidance included; t is int32, or float32
      where the schedule's spacing does not lead to whole timesteps.
    schedule: the noise schedule.
    key: random key; may be None where noise is given and the method draws
      none of its own ('ddim' with eta 0, 'euler', 'dpmpp_2m').
    shape: shape [B, ...] of the samples; not needed with noise.
    noise: standard normal start [B, ...]; None draws it from the key.
    steps: evaluations of denoise_fn.
    method: 'ddim', 'ddpm', 'dpmpp_2m' or 'euler'; 'auto' for that of the
      schedule's class, or the nearest.
    eta: noise of 'ddim', 0 (none) to 1.
    use_clipped_output: 'ddim' only; see `solvers.ddim_step`.
    known: replaces, after every step, what is known by itself, noised as
      much as the rest.
    report: called on the host with the number of finished steps.

  Returns:
    Samples [B, ...] in the network's range.

  Raises:
    ValueError: unknown method, or neither noise nor key and shape.
  """
  if method == 'auto':
    method = method_of(schedule)
  if method not in METHODS:
    raise ValueError(f'method {method!r} is not one of {", ".join(METHODS)}')
  stochastic = method == 'ddpm' or (method == 'ddim' and eta > 0)
  if stochastic and key is None:
    raise ValueError(f'sample: method {method!r} draws noise, give a key')
  start_key, chain_key = (None, None) if key is None else jax.random.split(key)
  start = _initial_noise(start_key, shape, noise)
  t, levels = _chain(schedule, steps, method)

  def body(carry, inputs):
    x_t, x0_last = carry
    shown, now, after, before, index = inputs
    output = denoise_fn(x_t, jnp.full(x_t.shape[:1], shown))
    fresh = None
    if stochastic:
      step_key = jax.random.fold_in(chain_key, index)
      fresh = jax.random.normal(step_key, x_t.shape, x_t.dtype)
    if method == 'dpmpp_2m':
      x_prev, x0_last = solvers.dpmpp_2m_step(
        schedule, x_t, output, now, after, x0_last=x0_last, t_last=before
      )
    elif method == 'ddpm':
      x_prev = solvers.ddpm_step(schedule, x_t, output, now, after, noise=fresh)
    elif method == 'euler':
      x_prev = solvers.euler_step(schedule, x_t, output, now, after)
    else:
      x_prev = solvers.ddim_step(
        schedule,
        x_t,
        output,
        now,
        after,
        eta=eta,
        noise=fresh,
        use_clipped_output=use_clipped_output,
      )
    if known is not None:
      noised = after.alpha * known.clean + after.sigma * start
      noised = jnp.where(index + 1 < steps, noised, known.clean)
      x_prev = known.mask * x_prev + (1 - known.mask) * noised
    if report is not None:
      jax.debug.callback(report, index + 1)
    return (x_prev, x0_last), None

  def part(chosen):
    return schedulers.Level(*(table[chosen] for table in levels))

  # Before the first comes the clean end: there is no earlier step.
  order = np.arange(steps)
  inputs = (t, part(order), part(order + 1), part(order - 1), order)
  (x0, _), _ = jax.lax.scan(body, (start, jnp.zeros_like(start)), inputs)
  return x0
